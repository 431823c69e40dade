/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A set of filters, for set.c (adding, matching), programs.c (building), print.c and tests.
 */
#ifndef CW_CORE_FILTER_SET_H
#define CW_CORE_FILTER_SET_H

#include "core/filter/filter.h"
#include "core/filter/passes/build.h"

struct cw_set_entry {
	uint32_t id;
	bool is_joint;
	int unjoined_reason; /* a negative errno; 0: joined, or not tried */
	bool has_code;       /* the program it is joined in is machine code */
	uint32_t requirement_count;
	struct cw_filter_requirement required[CW_FILTER_REQUIREMENTS_MAX];
	struct cw_filter *filter;
};

struct cw_set_program {
	struct cw_decision decision;
	uint32_t *ids;                   /* ids of the program's filters */
	size_t first;                    /* index of the first filter in the set's entries */
	struct cw_build_options options; /* options that the program was built with */
};

struct cw_filter_set {
	struct cw_filter_set_options options;
	struct cw_filter_budget budget;
	struct cw_set_entry *entries; /* ascending ids, once built */
	size_t count;
	size_t capacity;
	struct cw_set_program *programs; /* ascending ids */
	size_t program_count;
	struct cw_set_entry **apart; /* entries run separately, ascending ids */
	size_t apart_count;
	uint32_t *ids_seen; /* bitmap of used ids */
	size_t ids_seen_words;
	uint64_t build_ns;
	bool is_code_over_budget; /* for at least one program */
	bool is_built;
};

/*
 * Build the programs and the list of separate filters from the entries, which are in the order of
 * ids. 0 or -ENOMEM.
 */
int cw_set_build_programs(struct cw_filter_set *set);

/* Filter `index` of a built set in the order of ids (fills *id); NULL after the last. */
const struct cw_filter *cw_filter_set_at(const struct cw_filter_set *set, size_t index,
					 uint32_t *id);

/*
 * Build decision program `index` of a built set again (fills; the caller finishes it), because a
 * program that is machine code has dropped its nodes. Fills `ids`, which the set keeps.
 * 0, -ENOENT after the last, -ENOMEM.
 */
int cw_filter_set_decision(const struct cw_filter_set *set, size_t index,
			   struct cw_decision *decision, const uint32_t **ids);

/* Set other budgets than the default, before the set is built; for tests. */
void cw_filter_set_budget(struct cw_filter_set *set, const struct cw_filter_budget *budget);

#endif
