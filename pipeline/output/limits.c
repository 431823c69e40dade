/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A rule's settings for its output, besides name and format: rotation, file ring, sample, limits. A
 * reload can change them while the output continues; they apply from the first counted batch of the
 * new rules.
 */
#include "pipeline/output/output_parts.h"

/* Sets the file size limit. A file being filled counts at its limit. */
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
	    limits->bytes != rule->limit_bytes) { /* a new limit counts from now */
		limits->is_at_limit = false;
		output->thin.taken = output->thin.taken_bytes = 0;
	}
	limits->sample_every = rule->sample_every;
	limits->packets = rule->limit_packets;
	limits->bytes = rule->limit_bytes;
	limits->rate = rule->limit_rate;
	limits->is_at_limit |= rule->is_count;
	limits->is_thinned = rule->is_count || rule->sample_every > 1 || rule->limit_packets ||
			     rule->limit_bytes || rule->limit_rate || rule->stop_files;
	/* Relaxed: a hint. */
	atomic_store_explicit(&output->shared.encoding,
			      limits->is_thinned ? CW_ENCODING_REFUSED : CW_ENCODING_NONE,
			      memory_order_relaxed);
	limits->ring_files = rule->ring_files;
	limits->ring_bytes = rule->ring_bytes;
	limits->priority = rule->priority;
}

void cw_outputs_adopt(struct cw_outputs *outputs, const struct cw_rules *rules)
{
	outputs->turn.kept_bytes_max = rules->total_bytes;
	/* Relaxed: the number publishes no other data. */
	atomic_store_explicit(&outputs->free_bytes, rules->free_bytes, memory_order_relaxed);
}

/*
 * ---- packets that a rule leaves out ----
 *
 * Sample: all but one in N. Limits: packets and bytes beyond them, and packets beyond the rate in a
 * second of packet timestamps. Decided packet by packet in the turn, so the result does not depend
 * on threads. Counted as left out, not as lost.
 */

static uint32_t caplen_of(const struct cw_output *output, const struct cw_packet *packet)
{
	return cw_min_u32(packet->caplen, output->snaplen);
}

/* Changes nothing: a packet without room in the pool is checked again later. */
static bool is_over_limit(const struct cw_output *output, uint32_t caplen)
{
	const struct cw_output_limits *limits = &output->limits;
	const struct cw_output_thin *thin = &output->thin;

	if (limits->is_at_limit || (limits->packets && thin->taken >= limits->packets))
		return true;
	return limits->bytes && thin->taken_bytes + caplen > limits->bytes;
}

/* A timestamp that goes backwards counts in the latest second so far. */
static bool is_over_rate(const struct cw_output_limits *limits, const struct cw_output_thin *thin,
			 const struct cw_packet *packet)
{
	return limits->rate && packet->ts_ns / CW_NS_PER_S <= thin->rate_second &&
	       thin->rate_count >= limits->rate;
}

bool cw_output_leaves_out(struct cw_output *output, const struct cw_packet *packet)
{
	bool is_over = false;
	enum cw_left_out cause = CW_LEFT_OUT_LIMIT;

	if (output->limits.sample_every > 1 && output->turn.matched % output->limits.sample_every) {
		cause = CW_LEFT_OUT_SAMPLE;
	} else {
		is_over = is_over_limit(output, caplen_of(output, packet));
		if (!is_over && !is_over_rate(&output->limits, &output->thin, packet))
			return false;
	}
	/* The first packet over a limit ends the rule, even if smaller packets would fit. */
	output->limits.is_at_limit |= is_over;
	output->turn.left_out[cause]++;
	output->turn.matched++;
	output->turn.matched_bytes += caplen_of(output, packet);
	return true;
}

void cw_output_note_taken(struct cw_output *output, const struct cw_packet *packet)
{
	uint64_t second = packet->ts_ns / CW_NS_PER_S;

	output->turn.matched++;
	output->turn.matched_bytes += caplen_of(output, packet);
	if (!output->limits.is_thinned)
		return;
	output->thin.taken++;
	output->thin.taken_bytes += caplen_of(output, packet);
	if (second > output->thin.rate_second) {
		output->thin.rate_second = second;
		output->thin.rate_count = 0;
	}
	output->thin.rate_count++;
}
