/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Matching: which outputs a packet goes to. One filter set per link type; the capture thread builds
 * the set when it first meets the type, before it hands out a packet of that type.
 */
#ifndef CW_PIPELINE_MATCH_MATCH_H
#define CW_PIPELINE_MATCH_MATCH_H

#include "pipeline/run/batch.h"
#include "pipeline/rules/rules.h"

#define CW_LINKTYPES_MAX 512u /* different link types in one run */
#define CW_MATCH_BURST 64u    /* packets: one bit each in a word */
#define CW_MATCH_BITS 64u     /* most rules of a set that has bits */
#define CW_MATCH_IDS_EXTRA 4096u

struct cw_output;

/* The rules, compiled for one link type. */
struct cw_rule_set {
	uint32_t linktype;
	bool is_swapped;                 /* files of the other byte order, if that matters */
	struct cw_filter_set *filters;   /* ids are rule indices */
	struct cw_filter_set *prefilter; /* one filter; NULL: every packet passes */
	uint32_t illegal_count;          /* rules that do not compile for this type */
	bool *is_illegal;                /* per rule */
	uint32_t rule_of[CW_MATCH_BITS]; /* of bit i of a match, if the set has bits */
	bool is_prefilter_illegal;       /* no packet of this type passes */
};

struct cw_matcher {
	/* constant after start */
	const struct cw_rules *rules;
	const char *prefilter; /* expression or NULL */
	struct cw_filter_set_options options;
	uint32_t unmatched_rule; /* index; UINT32_MAX: none */
	const uint32_t *outputs; /* by rule: index of its output; borrowed */
	/* set: compile nothing more; may be NULL; sequentially consistent, read once a filter */
	const _Atomic bool *is_cancelled;
	uint32_t verify_every; /* check one packet in this many, see sample.h; 0 (init) = none */
	/* appended to by the capture thread, [SET-1], which reads sequentially consistently */
	_Atomic uint32_t set_count;
	struct cw_rule_set *sets[CW_LINKTYPES_MAX];
};

/* A worker's memory for matching. */
struct cw_match_scratch {
	uint32_t *ids; /* of a burst; room for the rules and CW_MATCH_IDS_EXTRA */
	uint32_t ids_capacity;
	uint32_t *expected_ids;   /* of one packet, by libpcap */
	uint32_t *ends;           /* per packet of a burst: end of its ids */
	uint32_t *tally_of;       /* per output: index of its tally in the part + 1; 0 = none */
	struct cw_packet *passed; /* packets of a burst that pass the prefilter */
};

void cw_matcher_init(struct cw_matcher *matcher, const struct cw_rules *rules,
		     const char *prefilter, const struct cw_filter_set_options *options);
void cw_matcher_fini(struct cw_matcher *matcher);

/* Called for each rule that does not compile, or compiles with a warning (`is_warning`). */
typedef void cw_matcher_report(void *context, const struct cw_rule *rule, uint32_t linktype,
			       bool is_warning, const char *text);

/*
 * Makes sure the interface's link type has a set (capture thread, or before it starts). Rules that
 * are illegal for the type are reported, marked and skipped. 0, -ENOMEM, -ENOSPC (too many types),
 * -EIO (the compiler process is gone), -ECANCELED.
 */
int cw_matcher_prepare(struct cw_matcher *matcher, const struct cw_iface *iface,
		       cw_matcher_report *report, void *context, struct cw_error *error);

/* Returns the interface's set; NULL: none was prepared. Any thread. */
const struct cw_rule_set *cw_matcher_find(struct cw_matcher *matcher, const struct cw_iface *iface);

int cw_match_scratch_init(struct cw_match_scratch *scratch, uint32_t rule_count);
void cw_match_scratch_fini(struct cw_match_scratch *scratch);

/*
 * Matches the next part of the batch, from batch->part.end (0 at first) until the batch has no room
 * for more matches. Fills batch->part.
 */
void cw_match_part(struct cw_matcher *matcher, struct cw_match_scratch *scratch,
		   const struct cw_output *outputs, struct cw_batch *batch);

#endif
