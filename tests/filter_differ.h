/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Holds sets of filters against libpcap: whatever the engine, the mode and the budgets, the ids
 * that a set gives are those of the filters for which bpf_filter does not return 0.
 */
#ifndef CW_TESTS_FILTER_DIFFER_H
#define CW_TESTS_FILTER_DIFFER_H

#include "core/filter_decision.h"
#include "core/linktype.h"
#include "tests/filter_sets.h"

#define DIFFER_SETS_MAX 8u

struct differ {
	struct cw_filter **filters; /* id = 3 * place, so that ids have gaps */
	uint32_t count;
	uint32_t capacity;
	struct cw_filter_set *sets[DIFFER_SETS_MAX];
	enum cw_filter_mode modes[DIFFER_SETS_MAX];
	char names[DIFFER_SETS_MAX][64];
	uint32_t set_count;
	uint32_t *expected, *got;
	uint64_t checks;  /* programs times packets times engines */
	uint64_t matches; /* of the oracle */
};

#define DIFFER_ID(place) (3 * (place))

/* Takes the filter. */
static inline void differ_add(struct differ *differ, struct cw_filter *filter)
{
	if (differ->count == differ->capacity) {
		differ->capacity = differ->capacity ? 2 * differ->capacity : 64;
		differ->filters =
		    realloc(differ->filters, differ->capacity * sizeof(*differ->filters));
		differ->expected =
		    realloc(differ->expected, differ->capacity * sizeof(*differ->expected));
		differ->got = realloc(differ->got, differ->capacity * sizeof(*differ->got));
		if (!differ->filters || !differ->expected || !differ->got)
			abort();
	}
	differ->filters[differ->count++] = filter;
}

/* false when libpcap refuses the expression (random ones can be wrong). */
static inline bool differ_add_expression(struct differ *differ, const char *expression,
					 bool unoptimized)
{
	struct cw_filter_options options = {.linktype = CW_LINKTYPE_ETHERNET,
					    .unoptimized = unoptimized};
	struct cw_filter *filter;

	if (cw_filter_compile(&filter, expression, &options, NULL) < 0)
		return false;
	differ_add(differ, filter);
	return true;
}

static inline void differ_add_program(struct differ *differ, const struct bpf_insn *program,
				      uint32_t count)
{
	struct cw_filter *filter;

	if (cw_filter_from_program(&filter, program, count, NULL))
		abort();
	differ_add(differ, filter);
}

/* A set of all filters so far, with this engine; budget NULL = the default. */
static inline struct cw_filter_set *
differ_build(struct differ *differ, enum cw_filter_engine engine, enum cw_filter_mode mode,
	     const struct cw_filter_budget *budget, const char *name)
{
	struct cw_filter_set_options options = {
	    .filter = {.linktype = CW_LINKTYPE_ETHERNET}, .mode = mode, .engine = engine};
	struct cw_filter_set *set;
	struct cw_error error;
	uint32_t i;

	if (differ->set_count == DIFFER_SETS_MAX || cw_filter_set_new(&set, &options, NULL))
		abort();
	if (budget)
		cw_filter_set_budget(set, budget);
	for (i = differ->count; i-- > 0;) { /* in any order */
		uint32_t count;
		const struct bpf_insn *program = cw_filter_program(differ->filters[i], &count);
		struct cw_filter *copy;

		if (cw_filter_from_program(&copy, program, count, NULL) ||
		    cw_filter_set_add_filter(set, DIFFER_ID(i), copy, NULL))
			abort();
	}
	if (cw_filter_set_build(set, &error)) {
		fprintf(stderr, "%s: %s\n", name, error.text);
		abort();
	}
	snprintf(differ->names[differ->set_count], sizeof(differ->names[0]), "%s%s", name,
		 mode == CW_FILTER_FIRST ? ", first" : "");
	differ->modes[differ->set_count] = mode;
	differ->sets[differ->set_count++] = set;
	return set;
}

/* Budgets at which something has to give. */
static inline struct cw_filter_budget differ_tiny(struct random *random)
{
	struct cw_filter_budget budget = cw_filter_budget_default;

	switch (random_below(random, 5)) {
	case 0:
		budget.states = 1 + random_below(random, 30);
		break;
	case 1:
		budget.diagram_nodes = random_below(random, 30);
		budget.diagram_edges = 1 + random_below(random, 200);
		break;
	case 2:
		budget.joint_per_input = 0;
		budget.joint_extra = random_below(random, 2000);
		break;
	case 3:
		budget.filters = 1 + random_below(random, 5);
		break;
	default:
		budget.code_bytes = random_below(random, 8192);
		break;
	}
	return budget;
}

static inline bool differ_report(const struct differ *differ, uint32_t set, size_t found,
				 size_t expected, uint32_t caplen)
{
	size_t at = 0;

	while (at < found && at < expected && differ->got[at] == differ->expected[at])
		at++;
	fprintf(stderr, "%s of %u filters: %zu ids, not %zu, on %u bytes; from place %zu on: ",
		differ->names[set], differ->count, found, expected, caplen, at);
	fprintf(stderr, "got %lld, expected %lld", at < found ? (long long)differ->got[at] : -1,
		at < expected ? (long long)differ->expected[at] : -1);
	if (at < expected && differ->expected[at] / 3 < differ->count)
		fprintf(stderr, " (\"%s\")",
			cw_filter_expression(differ->filters[differ->expected[at] / 3]));
	if (at < found && differ->got[at] / 3 < differ->count)
		fprintf(stderr, " (\"%s\")",
			cw_filter_expression(differ->filters[differ->got[at] / 3]));
	fprintf(stderr, "\n");
	return false;
}

/* Whether all sets agree with libpcap on this packet. */
static inline bool differ_check(struct differ *differ, const struct cw_packet *packet)
{
	size_t expected = 0, found;
	bool result = true;
	uint32_t i;

	for (i = 0; i < differ->count; i++) {
		uint32_t count;
		const struct bpf_insn *program = cw_filter_program(differ->filters[i], &count);

		if (bpf_filter(program, packet->data, packet->wire_len, packet->caplen))
			differ->expected[expected++] = DIFFER_ID(i);
	}
	differ->matches += expected;
	for (i = 0; i < differ->set_count; i++) {
		size_t wanted =
		    differ->modes[i] == CW_FILTER_FIRST ? cw_min_size(expected, 1) : expected;

		found = cw_filter_set_match(differ->sets[i], packet, differ->got);
		differ->checks += differ->count;
		if (found != wanted ||
		    memcmp(differ->got, differ->expected, found * sizeof(*differ->got)) != 0)
			result = differ_report(differ, i, found, wanted, packet->caplen);
	}
	return result;
}

static inline void differ_drop_sets(struct differ *differ)
{
	while (differ->set_count)
		cw_filter_set_free(differ->sets[--differ->set_count]);
}

/* Keeps the counters. */
static inline void differ_clear(struct differ *differ)
{
	differ_drop_sets(differ);
	while (differ->count)
		cw_filter_free(differ->filters[--differ->count]);
}

static inline void differ_fini(struct differ *differ)
{
	differ_clear(differ);
	free(differ->filters);
	free(differ->expected);
	free(differ->got);
}

#endif
