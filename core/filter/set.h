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
	bool has_code;       /* its program is machine code */
	uint32_t requirement_count;
	struct cw_filter_requirement required[CW_FILTER_REQUIREMENTS_MAX];
	struct cw_filter *filter;
};

struct cw_set_program {
	struct cw_decision decision;
	uint32_t *ids;                   /* of its filters */
	size_t first;                    /* of them, in the set's entries */
	struct cw_build_options options; /* that it was built with */
};

struct cw_filter_set {
	struct cw_filter_set_options options;
	struct cw_filter_budget budget;
	struct cw_set_entry *entries; /* by id once built */
	size_t count;
	size_t capacity;
	struct cw_set_program *programs; /* by id */
	size_t program_count;
	struct cw_set_entry **apart; /* by id */
	size_t apart_count;
	uint32_t *ids_seen; /* bitmap of ids, to refuse one used twice */
	size_t ids_seen_words;
	uint64_t build_ns;
	bool is_code_over_budget; /* of a program */
	bool is_built;
};

/*
 * Build the programs, and the list of what is run apart, from the entries, which are in the order
 * of ids. 0 or -ENOMEM.
 */
int cw_set_build_programs(struct cw_filter_set *set);

/* Filter `index` of a built set in the order of ids (fills *id); NULL behind the last. */
const struct cw_filter *cw_filter_set_at(const struct cw_filter_set *set, size_t index,
					 uint32_t *id);

/*
 * Decision program `index` of a built set, built once more (fills; the caller finishes it), because
 * one that is machine code has dropped its nodes; the set keeps the ids of its filters (fills).
 * 0, -ENOENT behind the last, -ENOMEM.
 */
int cw_filter_set_decision(const struct cw_filter_set *set, size_t index,
			   struct cw_decision *decision, const uint32_t **ids);

/* For tests: other budgets than the default; before the set is built. */
void cw_filter_set_budget(struct cw_filter_set *set, const struct cw_filter_budget *budget);

#endif
