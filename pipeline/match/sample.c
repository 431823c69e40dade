/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "pipeline/match/generation.h"
#include "pipeline/match/sample.h"

uint32_t cw_samples_capacity(uint32_t records_max, uint32_t every)
{
	return every ? (records_max - 1) / every + 1 : 0;
}

/* Returns the first sample at or after the batch's packet `index`; may lie beyond the batch. */
static uint64_t next_sample(const struct cw_batch *batch, uint64_t every, uint32_t index)
{
	uint64_t past = (batch->first_packet + index) % every;

	return past ? index + every - past : index;
}

static void note_sample(struct cw_batch *batch, const struct cw_sample *sample)
{
	batch->samples[batch->part.sample_count++] = *sample;
	batch->part.difference_count += sample->rule != CW_SAMPLE_AGREES;
}

/* Compares the ids found with the ids expected; both ascend. */
static void compare(const uint32_t *found, size_t found_count, const uint32_t *expected,
		    size_t expected_count, struct cw_sample *sample)
{
	size_t at = 0;

	while (at < found_count && at < expected_count && found[at] == expected[at])
		at++;
	if (at == found_count && at == expected_count)
		return;
	sample->is_match_by_libpcap =
	    at == found_count || (at < expected_count && expected[at] < found[at]);
	sample->rule = sample->is_match_by_libpcap ? expected[at] : found[at];
}

static bool passes_by_libpcap(const struct cw_rule_set *set, const struct cw_packet *packet)
{
	uint32_t id;

	return !set->prefilter || cw_filter_set_match_libpcap(set->prefilter, packet, &id) == 1;
}

void cw_samples_take(const struct cw_matcher *matcher, const struct cw_rule_set *set,
		     struct cw_match_scratch *scratch, struct cw_batch *batch,
		     struct cw_burst burst)
{
	uint64_t index;

	for (index = next_sample(batch, matcher->verify_every, burst.first);
	     index < (uint64_t)burst.first + burst.count; index += matcher->verify_every) {
		const struct cw_packet *packet = &batch->packets[index];
		struct cw_sample sample = {.packet = (uint32_t)index, .rule = CW_SAMPLE_AGREES};
		uint32_t at = sample.packet - burst.first;
		uint32_t start = at ? scratch->ends[at - 1] : 0;
		bool is_passed = !(burst.rejected >> at & 1);

		if (packet->flags & CW_PACKET_MALFORMED)
			continue;
		if (set->is_prefilter_illegal) /* nothing to compare with */
			continue;
		if (passes_by_libpcap(set, packet) != is_passed) {
			sample.rule = CW_SAMPLE_PREFILTER;
			sample.is_match_by_libpcap = !is_passed;
		} else if (is_passed) {
			compare(scratch->ids + start, scratch->ends[at] - start,
				scratch->expected_ids,
				cw_filter_set_match_libpcap(set->filters, packet,
							    scratch->expected_ids),
				&sample);
		}
		note_sample(batch, &sample);
	}
}

void cw_samples_cut(struct cw_batch *batch)
{
	while (batch->part.sample_count &&
	       batch->samples[batch->part.sample_count - 1].packet >= batch->part.end) {
		batch->part.sample_count--;
		batch->part.difference_count -=
		    batch->samples[batch->part.sample_count].rule != CW_SAMPLE_AGREES;
	}
}

void cw_verification_add(struct cw_verification *verification, const struct cw_batch *batch,
			 uint64_t packets_before)
{
	struct cw_difference *difference;

	verification->sampled += batch->part.sample_count;
	verification->differences += batch->part.difference_count;
	if (!batch->part.difference_count)
		return;
	for (uint32_t index = 0; index < batch->part.sample_count; index++) {
		const struct cw_sample *sample = &batch->samples[index];

		if (verification->reported_count == CW_DIFFERENCES_REPORTED)
			return;
		if (sample->rule == CW_SAMPLE_AGREES)
			continue;
		difference = &verification->reported[verification->reported_count++];
		*difference = (struct cw_difference){
		    .packet = packets_before + sample->packet - batch->part.first + 1,
		    .input = batch->input,
		    .rule = sample->rule,
		    .is_match_by_libpcap = sample->is_match_by_libpcap};
		if (sample->rule != CW_SAMPLE_PREFILTER)
			snprintf(difference->name, sizeof(difference->name), "%s",
				 batch->generation->rules->rules[sample->rule].name);
	}
}
