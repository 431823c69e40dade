/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Matching: which outputs a packet goes to. One filter set per link type, built by the capture
 * thread when it meets the type, before it hands out a packet of it.
 */
#ifndef CW_PIPELINE_MATCH_MATCH_H
#define CW_PIPELINE_MATCH_MATCH_H

#include "pipeline/run/batch.h"
#include "pipeline/rules/rules.h"

#define CW_LINKTYPES_MAX 512u /* different link types in one run */
#define CW_MATCH_BURST 64u    /* a bit each in a word */
#define CW_MATCH_IDS_EXTRA 4096u

struct cw_output;

/* The rules, compiled for one link type. */
struct cw_rule_set {
	uint32_t linktype;
	bool is_swapped;                 /* of files of the other byte order, where that matters */
	struct cw_filter_set *filters;   /* ids are rule indices */
	struct cw_filter_set *prefilter; /* of one filter; NULL: everything passes */
	uint32_t illegal_count;          /* rules that do not compile for this type */
	bool *is_illegal;                /* per rule */
	bool is_prefilter_illegal;       /* then no packet of the type passes it */
};

struct cw_matcher {
	/* constant after start */
	const struct cw_rules *rules;
	const char *prefilter; /* expression or NULL */
	struct cw_filter_set_options options;
	uint32_t unmatched_rule; /* UINT32_MAX: there is none */
	const uint32_t *outputs; /* by rule: the index of its output; of its owner */
	/* NULL, or: compile no more; sequentially consistent, once a filter */
	const _Atomic bool *is_cancelled;
	uint32_t verify_every; /* check every so-many-th packet, see sample.h; 0 (init) = none */
	/* appended to by the capture thread, [SET-1]; its own reads are sequentially consistent */
	_Atomic uint32_t set_count;
	struct cw_rule_set *sets[CW_LINKTYPES_MAX];
};

/* What a worker needs besides the batch; its own. */
struct cw_match_scratch {
	uint32_t *ids; /* of a burst; room for the rules and CW_MATCH_IDS_EXTRA */
	uint32_t ids_capacity;
	uint32_t *expected_ids;   /* of one packet, by libpcap */
	uint32_t *ends;           /* CW_MATCH_BURST */
	uint32_t *tally_of;       /* per output: its tally in the part + 1, 0 = none */
	struct cw_packet *passed; /* CW_MATCH_BURST: what the prefilter let through */
};

/* Packets that one set matches together: [first, first + count) of the batch. */
struct cw_burst {
	uint32_t first;
	uint32_t count;
	uint64_t rejected; /* bit i: the global filter rejected packet first + i */
};

void cw_matcher_init(struct cw_matcher *matcher, const struct cw_rules *rules,
		     const char *prefilter, const struct cw_filter_set_options *options);
void cw_matcher_fini(struct cw_matcher *matcher);

/* Called for each rule that does not compile, or compiles with a warning (`is_warning`). */
typedef void cw_matcher_report(void *context, const struct cw_rule *rule, uint32_t linktype,
			       bool is_warning, const char *text);

/*
 * Make sure there is a set for the interface's link type (capture thread, or before it starts). The
 * rules that are illegal for it are reported, marked and left out. 0, -ENOMEM, -ENOSPC (too many
 * types), -EIO (the compiler is lost), -ECANCELED.
 */
int cw_matcher_prepare(struct cw_matcher *matcher, const struct cw_iface *iface,
		       cw_matcher_report *report, void *context, struct cw_error *error);

/* Any thread. NULL where none was prepared. */
const struct cw_rule_set *cw_matcher_find(struct cw_matcher *matcher, const struct cw_iface *iface);

int cw_match_scratch_init(struct cw_match_scratch *scratch, uint32_t rule_count);
void cw_match_scratch_fini(struct cw_match_scratch *scratch);

/*
 * Match the next part of the batch: from batch->part_end (0 at first) on, as many packets as the
 * batch has room for the matches of. Fills the part's fields.
 */
void cw_match_part(struct cw_matcher *matcher, struct cw_match_scratch *scratch,
		   const struct cw_output *outputs, struct cw_batch *batch);

#endif
