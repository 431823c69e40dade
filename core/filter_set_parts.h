/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A set of filters, between filter_set.c (its life, what it says of itself), filter_set_build.c and
 * filter_set_match.c, and private to them.
 *
 *	entries		e0 e1 e2 e3 e4 e5 e6 e7 ...	by id
 *	programs	[ e0 e1    e3 ] [ e4 e5 e6 e7 ]	each of a stretch of entries
 *	apart		      [ e2 ]			what cannot be joined, or is too large
 */
#ifndef CW_CORE_FILTER_SET_PARTS_H
#define CW_CORE_FILTER_SET_PARTS_H

#include "core/filter_decision.h"

struct cw_filter_entry {
	uint32_t id;
	bool is_joint;
	int apart;     /* why it is not: a negative errno, or 0 when it was not tried */
	bool has_code; /* its program is machine code */
	uint32_t requirement_count;
	struct cw_filter_requirement required[CW_FILTER_REQUIREMENTS_MAX];
	struct cw_filter *filter;
};

struct cw_filter_program {
	struct cw_decision decision;
	struct cw_filter_budget budget; /* what it was built with */
	size_t first;                   /* of its stretch of entries */
	uint32_t *ids;                  /* of its filters */
};

struct cw_filter_set {
	struct cw_filter_set_options options;
	struct cw_filter_budget budget;
	struct cw_filter_entry *entries; /* by id once built */
	size_t count;
	size_t capacity;
	struct cw_filter_program *programs; /* by id */
	size_t program_count;
	struct cw_filter_entry **apart; /* by id */
	size_t apart_count;
	uint32_t *ids_seen; /* bitmap of ids, to refuse one used twice; NULL once built */
	size_t ids_seen_words;
	uint64_t build_ns;
	bool is_built;
};

/* For qsort and bsearch. */
static inline int cw_filter_entry_order(const void *a, const void *b)
{
	const struct cw_filter_entry *left = a, *right = b;

	return left->id < right->id ? -1 : left->id > right->id;
}

#endif
