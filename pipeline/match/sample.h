/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The self-check of --verify-filters: for one packet in N of the sequence, the filter set's result
 * is compared with the verdict of libpcap's bpf_filter on each rule. Workers compare while they
 * match, and note each sample in its batch; the turn counts the samples of packets that the run
 * takes in. So the packets checked, the counts and the reports depend neither on threads nor on
 * sizes, and each counter has one writer.
 */
#ifndef CW_PIPELINE_MATCH_SAMPLE_H
#define CW_PIPELINE_MATCH_SAMPLE_H

#include "pipeline/match/burst.h"

#define CW_DIFFERENCES_REPORTED 8u /* the first ones of a run; all are counted */

/* Values of cw_sample.rule besides the rules' indices. */
#define CW_SAMPLE_AGREES UINT32_MAX
#define CW_SAMPLE_PREFILTER (UINT32_MAX - 1) /* the global filter */

/* A sample whose verdicts differ, for the user. */
struct cw_difference {
	uint64_t packet; /* number in the input, from 1 */
	uint32_t input;
	uint32_t rule;                         /* index, or CW_SAMPLE_PREFILTER */
	char name[CW_RULE_NAME_BYTES_MAX + 1]; /* of the rule */
	bool is_match_by_libpcap;
};

/* Samples checked so far. Owner: the turn. */
struct cw_verification {
	uint64_t sampled;
	uint64_t differences; /* samples in which at least one rule differs */
	uint32_t reported_count;
	struct cw_difference reported[CW_DIFFERENCES_REPORTED]; /* in sequence order */
};

/* Returns the most samples in a batch of this many records; every = 0: none. */
uint32_t cw_samples_capacity(uint32_t records_max, uint32_t every);

/* Checks the samples of the burst; the set's ids are in the scratch as cw_filter_set_match_burst
 * leaves them. The worker that matches. */
void cw_samples_take(const struct cw_matcher *matcher, const struct cw_rule_set *set,
		     struct cw_match_scratch *scratch, struct cw_batch *batch,
		     struct cw_burst burst);

/* The turn: forgets the samples from packet part.end on, where the run ends. */
void cw_samples_cut(struct cw_batch *batch);

/* The turn: counts the samples of the part; `packets_before`: packets before it in its input. */
void cw_verification_add(struct cw_verification *verification, const struct cw_batch *batch,
			 uint64_t packets_before);

#endif
