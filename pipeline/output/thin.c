/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a rule matches and, as it asks, does not write: all but one in N (sample), what goes beyond
 * its limits, and beyond so many packets a second of the packets' own time. Decided packet by
 * packet in the sequencer's turn, so it does not depend on threads; counted as left out, which is
 * no loss.
 */
#include "pipeline/output/output_parts.h"

static uint32_t caplen_of(const struct cw_output *output, const struct cw_packet *packet)
{
	return cw_min_u32(packet->caplen, output->snaplen);
}

/* Nothing is changed here: a packet for which there is no memory now is looked at again. */
static bool is_over_limit(const struct cw_output_limits *limits, const struct cw_output_thin *thin,
			  uint32_t caplen)
{
	if (thin->is_at_limit || (limits->packets && thin->taken >= limits->packets))
		return true;
	return limits->bytes && thin->taken_bytes + caplen > limits->bytes;
}

/* A time that goes back counts in the latest second there was. */
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
		is_over = is_over_limit(&output->limits, &output->thin, caplen_of(output, packet));
		if (!is_over && !is_over_rate(&output->limits, &output->thin, packet))
			return false;
	}
	/* The first one too many is the end, also for smaller ones that would fit. */
	output->thin.is_at_limit |= is_over;
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
