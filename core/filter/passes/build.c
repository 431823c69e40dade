/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs the passes: filters in, a decision program out. Filters that cannot be part of the program
 * (loops, over a budget) are reported with the reason. If the program is over a budget, the caller
 * makes two programs.
 */
#include "core/filter/passes/passes.h"

const struct cw_filter_budget cw_filter_budget_default = {
    .states = 20000,
    .diagram_nodes = 20000,
    .diagram_edges = 4u << 20,
    .joint_per_input = 64,
    .joint_extra = 1u << 20,
    .joint_max = 12u << 20,
    .code_bytes = 16u << 20,
    .filters = 32768,
};

static void free_diagrams(struct cw_diagrams *diagrams)
{
	CW_FREE_ALL(diagrams->at, diagrams->edges.at, diagrams->results.at, diagrams->rank,
		    diagrams->asked, diagrams->scratch.at, diagrams->stack.at);
	cw_index_fini(&diagrams->index);
	cw_index_fini(&diagrams->memo);
	*diagrams = (struct cw_diagrams){0};
}

static void free_lifted(struct cw_build *build)
{
	CW_GROWN_FINI(&build->records);
	CW_GROWN_FINI(&build->checks);
}

void cw_build_fini(struct cw_build *build)
{
	free(build->filters);
	free(build->exprs.at);
	cw_index_fini(&build->exprs.index);
	free_lifted(build);
	free_diagrams(&build->diagrams);
	CW_FREE_ALL(build->joint.at, build->joint.edges.at, build->joint.words.at,
		    build->joint.owners.at, build->joint.parents.at, build->joint.taken.at);
	*build = (struct cw_build){0};
}

struct place {
	uint32_t record_count;
	uint32_t number;
};

static int by_size(const void *a, const void *b)
{
	const struct place *left = a, *right = b;

	if (left->record_count != right->record_count)
		return left->record_count < right->record_count ? -1 : 1;
	return left->number < right->number ? -1 : left->number > right->number;
}

/* Make all diagrams, small filters first, so that large ones do not use up the budget of all. */
static void decide(struct cw_build *build)
{
	struct place *places = malloc((build->filter_count + 1) * sizeof(*places));
	uint32_t count = 0, i;

	if (!places) {
		cw_build_fail(build, -ENOMEM);
		return;
	}
	cw_decide_order(build);
	for (i = 0; i < build->filter_count; i++)
		if (!build->filters[i].unjoined_reason)
			places[count++] = (struct place){build->filters[i].record_count, i};
	if (count)
		qsort(places, count, sizeof(*places), by_size);
	for (i = 0; i < count && !build->failure; i++)
		build->filters[places[i].number].unjoined_reason =
		    cw_decide(build, places[i].number);
	free(places);
}

/* Returns build->failure. */
static int run_passes(struct cw_build *build, struct cw_decision *decision)
{
	for (uint32_t i = 0; i < build->filter_count && !build->failure; i++)
		build->filters[i].unjoined_reason = cw_lift(build, i);
	if (!build->failure)
		decide(build);
	if (!build->failure)
		cw_join(build);
	free_lifted(build);
	free_diagrams(&build->diagrams);
	if (!build->failure)
		cw_lower(build, decision);
	return build->failure;
}

int cw_decision_build(struct cw_decision *decision, const struct cw_bpf *programs, uint32_t count,
		      const struct cw_build_options *options, int *unjoined_reasons)
{
	struct cw_build build = {.budget = options->budget,
				 .mode = options->mode,
				 .with_records = options->with_records,
				 .filter_count = count};
	int result;

	*decision = (struct cw_decision){.root = CW_REF_EMPTY};
	if (count > build.budget.filters)
		return -E2BIG;
	build.filters = calloc(count + 1, sizeof(*build.filters));
	if (!build.filters)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		build.filters[i].program = &programs[i];
	result = run_passes(&build, decision);
	for (uint32_t i = 0; i < count; i++) {
		unjoined_reasons[i] = build.filters[i].unjoined_reason;
		decision->record_filters += build.filters[i].has_records;
	}
	decision->joint_entries = build.entries;
	decision->joint_free = build.entries_free;
	if (result)
		cw_decision_fini(decision);
	cw_build_fini(&build);
	return result;
}
