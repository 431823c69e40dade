/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The self-check of --verify-filters: of every so-many-th packet of the sequence, what the filter
 * set found is compared with what libpcap's bpf_filter says of each rule. Workers compare while
 * they match and note each sample in its batch; the turn counts those of the packets that the run
 * takes in. So which packets are checked, and what is counted and told, depends neither on threads
 * nor on sizes; and each counter has one writer.
 */
#ifndef CW_PIPELINE_MATCH_SAMPLE_H
#define CW_PIPELINE_MATCH_SAMPLE_H

#include "pipeline/match/match.h"

#define CW_DIFFERENCES_REPORTED 8u /* of a run, the first ones; all are counted */

/* Values of cw_sample.rule besides the rules' indices. */
#define CW_SAMPLE_AGREES UINT32_MAX
#define CW_SAMPLE_PREFILTER (UINT32_MAX - 1) /* the global filter */

/* A sample whose verdicts differ, for the user. */
struct cw_difference {
	uint64_t packet; /* its number in the input, from 1 */
	uint32_t input;
	uint32_t rule;                         /* or CW_SAMPLE_PREFILTER */
	char name[CW_RULE_NAME_BYTES_MAX + 1]; /* of the rule */
	bool is_match_by_libpcap;
};

/* What was checked so far. Owner: the turn. */
struct cw_verification {
	uint64_t sampled;
	uint64_t differences; /* samples with one, however many rules differ */
	uint32_t reported_count;
	struct cw_difference reported[CW_DIFFERENCES_REPORTED]; /* in the order of the sequence */
};

/* How many samples a batch of so many records can hold; every = 0: none. */
uint32_t cw_samples_capacity(uint32_t records_max, uint32_t every);

/* Check the samples of the burst, whose ids by the set are in the scratch as
 * cw_filter_set_match_burst leaves them. The worker that matches. */
void cw_samples_take(const struct cw_matcher *matcher, const struct cw_rule_set *set,
		     struct cw_match_scratch *scratch, struct cw_batch *batch,
		     struct cw_burst burst);

/* Forget the samples from packet part_end on: the run ends there. The turn. */
void cw_samples_cut(struct cw_batch *batch);

/* Count the samples of the batch's part; `packets_before` it in its input. The turn. */
void cw_verification_add(struct cw_verification *verification, const struct cw_batch *batch,
			 uint64_t packets_before);

#endif
