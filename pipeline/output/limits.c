/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a rule asks of an output beside its name and format: when files end, which of them are kept,
 * what is left out. Such things change with a reload while the output goes on; they are in force
 * from the first batch of the new rules that is counted, for whatever is reserved after it.
 */
#include "pipeline/output/output_parts.h"

/* Files being filled count as large as they may become. */
static void change_size(struct cw_outputs *outputs, struct cw_output *output, uint64_t bytes)
{
	if (output->turn.has_begun)
		outputs->turn.open_bytes += bytes - output->limits.rotate_bytes; /* modulo 2^64 */
	output->limits.rotate_bytes = bytes;
}

static void change_period(struct cw_output *output, const struct cw_rule *rule)
{
	bool is_aligned = !rule->is_rotate_from_first;

	if (output->limits.rotate_every_ns == rule->rotate_every_ns &&
	    output->limits.is_rotate_aligned == is_aligned)
		return;
	output->limits.rotate_every_ns = rule->rotate_every_ns;
	output->limits.is_rotate_aligned = is_aligned;
	if (output->turn.file)
		cw_output_start_period(output, output->turn.period_start_ns);
}

void cw_output_adopt(struct cw_outputs *outputs, struct cw_output *output,
		     const struct cw_rule *rule)
{
	struct cw_output_limits *limits = &output->limits;

	change_size(outputs, output, rule->rotate_bytes);
	limits->rotate_records = rule->rotate_packets;
	change_period(output, rule);
	if (rule->rotate_every_ns)
		atomic_store(&outputs->has_time_rotation, true);
	if (limits->packets != rule->limit_packets ||
	    limits->bytes != rule->limit_bytes) { /* a limit counts from when it is set */
		output->thin.is_at_limit = false;
		output->thin.taken = output->thin.taken_bytes = 0;
	}
	limits->sample_every = rule->sample_every;
	limits->packets = rule->limit_packets;
	limits->bytes = rule->limit_bytes;
	limits->rate = rule->limit_rate;
	limits->is_thinned =
	    rule->sample_every > 1 || rule->limit_packets || rule->limit_bytes || rule->limit_rate;
	limits->ring_files = rule->ring_files;
	limits->ring_bytes = rule->ring_bytes;
	limits->priority = rule->priority;
}

void cw_outputs_adopt(struct cw_outputs *outputs, const struct cw_rules *rules)
{
	outputs->turn.kept_bytes_max = rules->total_bytes;
	/* Relaxed: a number that writers look at before they begin a file. */
	atomic_store_explicit(&outputs->free_bytes, rules->free_bytes, memory_order_relaxed);
}
