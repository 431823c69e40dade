/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "pipeline/control/metrics.h"

struct metrics {
	FILE *file;
	enum cw_metrics_format format;
};

/* The metrics of one name: a value of the run, or one of each queue, worker or rule. */
struct family {
	const char *name;
	bool is_counter;
	size_t offset, bytes; /* of the value in the snapshot's struct: a bool or a number */
	const char *help;
};

#define AT(type, member) offsetof(struct type, member), sizeof(((struct type *)NULL)->member)
#define RUN(member) AT(cw_snapshot, member)
#define QUEUE(member) AT(cw_snapshot_queue, member)
#define RULE(member) AT(cw_snapshot_output, member)

static const struct family run_families[] = {
    {"stopping", false, RUN(is_stopping), "Whether the run is being stopped."},
    {"read_bytes", true, RUN(progress.bytes), "Captured bytes of packets received."},
    {"lost_before_tap_packets", true, RUN(progress.lost_before_tap),
     "Packets that devices or drivers say they lost."},
    {"pool_chunks", false, RUN(pool_chunks), "Chunks of output memory."},
    {"pool_free_chunks", false, RUN(pool_free), "Of them, those free."},
    {"pool_starved", false, RUN(is_starved), "Whether packets wait for chunks."},
    {"rules", false, RUN(reload.rule_count), "Rules in force."},
    {"rules_generation", false, RUN(reload.generation), "Number of the rules in force, from 1."},
    {"reloads_accepted", true, RUN(reload.accepted), "Reloads of the rules."},
    {"reloads_refused", true, RUN(reload.refused),
     "Reloads that changed nothing, because of a fault in the file."},
};

static const struct family queue_families[] = {
    {"queue_kernel_seen_packets", true, QUEUE(kernel_seen),
     "Packets the kernel had for the queue."},
    {"queue_kernel_dropped_packets", true, QUEUE(kernel_dropped),
     "Packets for which the queue's ring had no room."},
    {"queue_freezes", true, QUEUE(freezes), "How often the ring was full."},
    {"queue_batches", true, QUEUE(handed_out), "Batches handed to workers."},
    {"queue_batches_out", false, QUEUE(batches_out), "Batches not finished yet."},
    {"queue_batches_most", false, QUEUE(batch_count), "As many can be out; then the ring fills."},
    {"queue_ring_used_blocks", false, QUEUE(ring_used), "Blocks of the ring that hold packets."},
    {"queue_ring_blocks", false, QUEUE(ring_blocks), "Blocks of the ring; 0: not known."},
};

static const struct family rule_families[] = {
    {"rule_matched_records", true, RULE(matched), "Packets that the rule matched."},
    {"rule_left_out_records", true, RULE(left_out),
     "Of them, those not written because sampling or limits say so."},
    {"rule_written_records", true, RULE(written), "Of them, those written."},
    {"rule_lost_records", true, RULE(lost), "Of them, those lost, but for a failure that lasts."},
    {"rule_backlog_records", true, RULE(backlog),
     "Of those lost, the ones for which the output was too slow."},
    {"rule_chunks", false, RULE(chunks), "Chunks of output memory that the output holds."},
    {"rule_failed", false, RULE(has_failed), "Whether its output cannot be written at present."},
    {"rule_leaving", false, RULE(is_leaving), "Whether the rule is gone, and its output closing."},
};

static uint64_t value_of(const struct family *family, const void *from)
{
	const void *at = (const char *)from + family->offset;

	switch (family->bytes) {
	case sizeof(uint64_t):
		return *(const uint64_t *)at;
	case sizeof(uint32_t):
		return *(const uint32_t *)at;
	default:
		return *(const bool *)at;
	}
}

/* A family's head. OpenMetrics names a counter without the "_total" of its samples. */
static void put_head(const struct metrics *metrics, const struct family *family)
{
	const char *total =
	    family->is_counter && metrics->format == CW_METRICS_PROMETHEUS ? "_total" : "";

	fprintf(metrics->file, "# TYPE capweir_%s%s %s\n# HELP capweir_%s%s %s\n", family->name,
		total, family->is_counter ? "counter" : "gauge", family->name, total, family->help);
}

static void put_name(const struct metrics *metrics, const struct family *family)
{
	fprintf(metrics->file, "capweir_%s%s", family->name, family->is_counter ? "_total" : "");
}

static void put_one(const struct metrics *metrics, const struct family *family, uint64_t value)
{
	put_head(metrics, family);
	put_name(metrics, family);
	fprintf(metrics->file, " %" PRIu64 "\n", value);
}

/* The first label; of its value, backslashes, quotes and line ends are escaped. */
static void put_label(FILE *file, const char *name, const char *value)
{
	fprintf(file, "{%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', file);
		if (*value == '\n')
			fputs("\\n", file);
		else
			fputc(*value, file);
	}
	fputc('"', file);
}

static void put_run(const struct metrics *metrics, const struct cw_snapshot *snapshot)
{
	const struct cw_books_line *line;

	put_head(metrics,
		 &(struct family){"build_info", .help = "Always 1; the version is a label."});
	fprintf(metrics->file, "capweir_build_info{version=\"%s\"} 1\n", CW_VERSION);
	put_head(metrics, &(struct family){"run_seconds", .help = "How long the run goes on."});
	fprintf(metrics->file, "capweir_run_seconds %.3f\n", snapshot->elapsed_s);
	for (size_t index = 0; index < CW_ARRAY_COUNT(run_families); index++)
		put_one(metrics, &run_families[index], value_of(&run_families[index], snapshot));
	for (line = cw_books_lines; line->name; line++) {
		if (line->metric)
			put_one(metrics, &(struct family){line->metric, true, .help = line->help},
				cw_books_count(&snapshot->books, line));
	}
}

static void put_queues(const struct metrics *metrics, const struct cw_snapshot *snapshot)
{
	uint32_t family, index;

	for (family = 0; family < CW_ARRAY_COUNT(queue_families); family++) {
		put_head(metrics, &queue_families[family]);
		for (index = 0; index < snapshot->queue_count; index++) {
			const struct cw_snapshot_queue *queue = &snapshot->queues[index];

			put_name(metrics, &queue_families[family]);
			put_label(metrics->file, "device", queue->device);
			fprintf(metrics->file, ",queue=\"%u\"} %" PRIu64 "\n", queue->queue,
				value_of(&queue_families[family], queue));
		}
	}
}

static void put_workers(const struct metrics *metrics, const struct cw_snapshot *snapshot)
{
	const struct family family = {"worker_cpu_seconds", true,
				      .help = "Processor time of a worker thread."};

	put_head(metrics, &family);
	for (uint32_t index = 0; index < snapshot->worker_count; index++) {
		put_name(metrics, &family);
		fprintf(metrics->file, "{worker=\"%u\"} %.6f\n", index,
			(double)snapshot->workers[index].cpu_ns * 1e-9);
	}
}

static void put_rules(const struct metrics *metrics, const struct cw_snapshot *snapshot)
{
	uint32_t family, index;

	for (family = 0; family < CW_ARRAY_COUNT(rule_families); family++) {
		put_head(metrics, &rule_families[family]);
		for (index = 0; index < snapshot->output_count; index++) {
			const struct cw_snapshot_output *output = &snapshot->outputs[index];

			put_name(metrics, &rule_families[family]);
			put_label(metrics->file, "rule", output->name);
			fprintf(metrics->file, ",generation=\"%" PRIu64 "\"} %" PRIu64 "\n",
				output->generation, value_of(&rule_families[family], output));
		}
	}
}

const char *cw_metrics_content_type(enum cw_metrics_format format)
{
	return format == CW_METRICS_OPENMETRICS
		   ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		   : "text/plain; version=0.0.4; charset=utf-8";
}

int cw_metrics_print(const struct cw_snapshot *snapshot, enum cw_metrics_format format, FILE *file)
{
	const struct metrics metrics = {.file = file, .format = format};

	put_run(&metrics, snapshot);
	put_queues(&metrics, snapshot);
	put_workers(&metrics, snapshot);
	put_rules(&metrics, snapshot);
	if (format == CW_METRICS_OPENMETRICS)
		fputs("# EOF\n", file);
	return ferror(file) ? -EIO : 0;
}
