/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "pipeline/control/metrics.h"

struct metrics {
	FILE *file;
	enum cw_metrics_format format;
};

/* A family's head. OpenMetrics names a counter without the "_total" of its samples. */
static void begin(const struct metrics *metrics, const char *name, bool is_counter,
		  const char *help)
{
	const char *total = is_counter && metrics->format == CW_METRICS_PROMETHEUS ? "_total" : "";

	fprintf(metrics->file, "# TYPE capweir_%s%s %s\n# HELP capweir_%s%s %s\n", name, total,
		is_counter ? "counter" : "gauge", name, total, help);
}

/* A label's value: backslashes, quotes and line ends are escaped. */
static void put_label(FILE *file, const char *before, const char *name, const char *value)
{
	fprintf(file, "%s%s=\"", before, name);
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

static void one(const struct metrics *metrics, const char *name, bool is_counter, uint64_t value,
		const char *help)
{
	begin(metrics, name, is_counter, help);
	fprintf(metrics->file, "capweir_%s%s %" PRIu64 "\n", name, is_counter ? "_total" : "",
		value);
}

/* ---- the run ---- */

static void put_run(const struct metrics *metrics, const struct cw_snapshot *snapshot)
{
	const struct cw_progress *progress = &snapshot->progress;

	begin(metrics, "build_info", false, "Always 1; the version is a label.");
	fprintf(metrics->file, "capweir_build_info{version=\"%s\"} 1\n", CW_VERSION);
	begin(metrics, "run_seconds", false, "How long the run goes on.");
	fprintf(metrics->file, "capweir_run_seconds %.3f\n", snapshot->elapsed_s);
	one(metrics, "stopping", false, snapshot->is_stopping, "Whether the run is being stopped.");
	one(metrics, "read_bytes", true, progress->bytes, "Captured bytes of packets received.");
	one(metrics, "lost_before_tap_packets", true, progress->lost_before_tap,
	    "Packets that devices or drivers say they lost.");
	one(metrics, "pool_chunks", false, snapshot->pool_chunks, "Chunks of output memory.");
	one(metrics, "pool_free_chunks", false, snapshot->pool_free, "Of them, those free.");
	one(metrics, "pool_starved", false, snapshot->is_starved,
	    "Whether packets wait for chunks.");
	one(metrics, "rules", false, snapshot->reload.rule_count, "Rules in force.");
	one(metrics, "rules_generation", false, snapshot->reload.generation,
	    "Number of the rules in force, from 1.");
	one(metrics, "reloads_accepted", true, snapshot->reload.accepted, "Reloads of the rules.");
	one(metrics, "reloads_refused", true, snapshot->reload.refused,
	    "Reloads that changed nothing, because of a fault in the file.");
}

static void put_books(const struct metrics *metrics, const struct cw_books *books)
{
	one(metrics, "packets_received", true, books->received, "Packets taken from the kernel.");
	one(metrics, "packets_shed", true, books->shed, "Packets beyond the limit of -c.");
	one(metrics, "packets_malformed", true, books->malformed,
	    "Packets that no filter can be given.");
	one(metrics, "packets_prefiltered", true, books->prefiltered,
	    "Packets rejected by the global filter.");
	one(metrics, "packets_classified", true, books->classified, "Packets given to the rules.");
	one(metrics, "packets_matched", true, books->matched_any, "Packets that a rule matched.");
	one(metrics, "packets_unmatched", true, books->unmatched, "Packets that no rule matched.");
	one(metrics, "records_matched", true, books->matched,
	    "Sum over rules of the packets they matched.");
	one(metrics, "records_left_out", true, books->left_out,
	    "Of them, those not written because sampling or limits say so.");
	one(metrics, "records_written", true, books->written, "Of them, those written.");
	one(metrics, "records_lost", true, books->lost,
	    "Of them, those lost, but for failures that last.");
}

/* ---- queues, workers, rules: a family at a time, as the formats want it ---- */

static void queue_family(const struct metrics *metrics, const struct cw_snapshot *snapshot,
			 const char *name, bool is_counter, size_t offset, bool is_wide,
			 const char *help)
{
	uint32_t index;

	begin(metrics, name, is_counter, help);
	for (index = 0; index < snapshot->queue_count; index++) {
		const struct cw_snapshot_queue *queue = &snapshot->queues[index];
		const void *at = (const char *)queue + offset;
		uint64_t wide;
		uint32_t narrow;

		memcpy(&wide, at, is_wide ? sizeof(wide) : 0);
		memcpy(&narrow, at, sizeof(narrow));
		fprintf(metrics->file, "capweir_%s%s", name, is_counter ? "_total" : "");
		put_label(metrics->file, "{", "device", queue->device);
		fprintf(metrics->file, ",queue=\"%u\"} %" PRIu64 "\n", queue->queue,
			is_wide ? wide : narrow);
	}
}

#define QUEUE(name, is_counter, member, help)                    \
	queue_family(metrics, snapshot, name, is_counter,        \
		     offsetof(struct cw_snapshot_queue, member), \
		     sizeof(((struct cw_snapshot_queue *)NULL)->member) == 8, help)

static void put_queues(const struct metrics *metrics, const struct cw_snapshot *snapshot)
{
	QUEUE("queue_kernel_seen_packets", true, kernel_seen,
	      "Packets the kernel had for the queue.");
	QUEUE("queue_kernel_dropped_packets", true, kernel_dropped,
	      "Packets for which the queue's ring had no room.");
	QUEUE("queue_freezes", true, freezes, "How often the ring was full.");
	QUEUE("queue_batches", true, handed_out, "Batches handed to workers.");
	QUEUE("queue_batches_out", false, batches_out, "Batches not finished yet.");
	QUEUE("queue_batches_most", false, batch_count, "As many can be out; then the ring fills.");
	QUEUE("queue_ring_used_blocks", false, ring_used, "Blocks of the ring that hold packets.");
	QUEUE("queue_ring_blocks", false, ring_blocks, "Blocks of the ring; 0: not known.");
}

static void put_workers(const struct metrics *metrics, const struct cw_snapshot *snapshot)
{
	uint32_t index;

	begin(metrics, "worker_cpu_seconds", true, "Processor time of a worker thread.");
	for (index = 0; index < snapshot->worker_count; index++)
		fprintf(metrics->file, "capweir_worker_cpu_seconds_total{worker=\"%u\"} %.6f\n",
			index, (double)snapshot->workers[index].cpu_ns * 1e-9);
}

static void rule_family(const struct metrics *metrics, const struct cw_snapshot *snapshot,
			const char *name, bool is_counter, size_t offset, size_t bytes,
			const char *help)
{
	uint32_t index;

	begin(metrics, name, is_counter, help);
	for (index = 0; index < snapshot->output_count; index++) {
		const struct cw_snapshot_output *output = &snapshot->outputs[index];
		uint64_t value = 0;

		if (bytes == sizeof(uint64_t)) {
			memcpy(&value, (const char *)output + offset, sizeof(value));
		} else if (bytes == sizeof(uint32_t)) {
			uint32_t narrow;

			memcpy(&narrow, (const char *)output + offset, sizeof(narrow));
			value = narrow;
		} else {
			bool is_so;

			memcpy(&is_so, (const char *)output + offset, sizeof(is_so));
			value = is_so;
		}
		fprintf(metrics->file, "capweir_%s%s", name, is_counter ? "_total" : "");
		put_label(metrics->file, "{", "rule", output->name);
		fprintf(metrics->file, ",generation=\"%" PRIu64 "\"} %" PRIu64 "\n",
			output->generation, value);
	}
}

#define RULE(name, is_counter, member, help)                     \
	rule_family(metrics, snapshot, name, is_counter,         \
		    offsetof(struct cw_snapshot_output, member), \
		    sizeof(((struct cw_snapshot_output *)NULL)->member), help)

static void put_rules(const struct metrics *metrics, const struct cw_snapshot *snapshot)
{
	RULE("rule_matched_records", true, matched, "Packets that the rule matched.");
	RULE("rule_left_out_records", true, left_out,
	     "Of them, those not written because sampling or limits say so.");
	RULE("rule_written_records", true, written, "Of them, those written.");
	RULE("rule_lost_records", true, lost, "Of them, those lost, but for a failure that lasts.");
	RULE("rule_backlog_records", true, backlog,
	     "Of those lost, the ones for which the output was too slow.");
	RULE("rule_chunks", false, chunks, "Chunks of output memory that the output holds.");
	RULE("rule_failed", false, has_failed, "Whether its output cannot be written at present.");
	RULE("rule_leaving", false, is_leaving,
	     "Whether the rule is gone, and its output closing.");
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
	put_books(&metrics, &snapshot->books);
	put_queues(&metrics, snapshot);
	put_workers(&metrics, snapshot);
	put_rules(&metrics, snapshot);
	if (format == CW_METRICS_OPENMETRICS)
		fputs("# EOF\n", file);
	return ferror(file) ? -EIO : 0;
}
