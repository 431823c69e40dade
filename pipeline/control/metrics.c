/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/base/text.h"
#include "pipeline/control/metrics.h"

#define LABEL_BYTES 1024u

struct metrics {
	FILE *file;
	enum cw_metrics_format format;
};

/* The metrics of one name: one value of the run, or one per queue, worker or rule. */
struct family {
	const char *name;
	bool is_counter;
	size_t offset, bytes; /* of the value, a bool or number, in the snapshot's struct */
	const char *help;
};

#define AT(type, member) offsetof(struct type, member), sizeof(((struct type *)NULL)->member)
#define RUN(member) AT(cw_snapshot, member)
#define QUEUE(member) AT(cw_snapshot_queue, member)
#define RULE(member) AT(cw_snapshot_output, member)

static const struct family run_families[] = {
    {"stopping", false, RUN(is_stopping), "1 while the run is stopping."},
    {"read_bytes", true, RUN(progress.bytes), "Captured bytes of the packets received."},
    {"lost_before_tap_packets", true, RUN(progress.lost_before_tap),
     "Packets lost before capture, as counted by network interfaces and drivers."},
    {"interface_rx_dropped_packets", true, RUN(progress.interface_rx_dropped),
     "Packets without a protocol handler on this host, or dropped by the system: not a loss."},
    {"pool_chunks", false, RUN(pool_chunks), "Chunks of output memory."},
    {"pool_free_chunks", false, RUN(pool_free), "Free chunks of output memory."},
    {"pool_starved", false, RUN(is_starved), "1 while packets wait for output memory."},
    {"rules", false, RUN(reload.rule_count), "Rules in force."},
    {"rules_generation", false, RUN(reload.generation), "Number of the rules in force, from 1."},
    {"reloads_accepted", true, RUN(reload.accepted), "Reloads that put new rules in force."},
    {"reloads_refused", true, RUN(reload.refused),
     "Reloads refused, for example because of a fault in the rules file: nothing changed."},
};

static const struct family queue_families[] = {
    {"queue_kernel_seen_packets", true, QUEUE(kernel_seen),
     "Packets that the kernel received for the queue."},
    {"queue_kernel_dropped_packets", true, QUEUE(kernel_dropped),
     "Packets that the kernel dropped because the queue's kernel ring was full."},
    {"queue_freezes", true, QUEUE(freezes), "Times that the kernel ring was full."},
    {"queue_batches", true, QUEUE(handed_out), "Batches of packets handed to workers."},
    {"queue_batches_out", false, QUEUE(batches_out), "Batches that workers have not finished yet."},
    {"queue_batches_most", false, QUEUE(batch_count),
     "Limit of queue_batches_out; at the limit the kernel ring fills."},
    {"queue_ring_used_blocks", false, QUEUE(ring_used),
     "Blocks of the kernel ring that hold packets."},
    {"queue_ring_blocks", false, QUEUE(ring_blocks), "Blocks of the kernel ring; 0 if unknown."},
};

static const struct family rule_families[] = {
    {"rule_matched_records", true, RULE(matched), "Packets that the rule matched."},
    {"rule_left_out_records", true, RULE(left_out),
     "Matched packets not written because of the rule's sample or limit: not a loss."},
    {"rule_written_records", true, RULE(written), "Matched packets written."},
    {"rule_lost_records", true, RULE(lost),
     "Matched packets lost. The losses of an ongoing failure are added when it ends."},
    {"rule_backlog_records", true, RULE(backlog),
     "Lost packets that found no memory because the output was too slow."},
    {"rule_chunks", false, RULE(chunks), "Chunks of output memory that the output holds."},
    {"rule_failed", false, RULE(has_failed), "1 while the output cannot be written."},
    {"rule_leaving", false, RULE(is_leaving), "1 while the output of a removed rule is closing."},
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

/* Prints a family's TYPE and HELP. OpenMetrics names a counter without its samples' "_total". */
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

/* Prints the first label. Control characters and invalid UTF-8 of its value become "?", for those
 * who read metrics on a terminal; backslashes, quotes and newlines are escaped. */
static void put_label(FILE *file, const char *name, const char *value)
{
	char text[LABEL_BYTES];

	snprintf(text, sizeof(text), "%s", value);
	cw_text_clean(text);
	fprintf(file, "{%s=\"", name);
	for (value = text; *value; value++) {
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
	put_head(metrics, &(struct family){"run_seconds", .help = "Seconds since the start."});
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
