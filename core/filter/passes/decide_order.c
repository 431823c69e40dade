/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Before the second pass: the order of variables, the same in all diagrams, and the choice of
 * masked bytes that are asked for unmasked.
 */
#include "core/filter/passes/passes.h"

/* Variables with up to this many boundaries divide traffic into kinds (ethertype, protocol) and
 * come first, the most used at the head; then come the most selective ones; last the length, which
 * tells little and is unpredictable for branches. */
#define STRUCTURAL_BOUNDARIES_MAX 20u
#define MASKS_MAX 6u /* masks of one byte that are separate variables */

struct variable {
	uint32_t expr;
	uint32_t use_count;      /* filters that ask for the variable */
	uint32_t boundary_count; /* distinct ends of intervals */
	uint32_t last_filter;
	uint32_t size;
	bool is_late;
};

struct survey {
	struct cw_build *build;
	struct variable *variables; /* by expression */
	struct cw_index seen;       /* (expression, boundary) */
	struct cw_edges boundaries;
};

static void note_use(struct survey *survey, uint32_t expr, uint32_t number)
{
	struct variable *variable = &survey->variables[expr];

	if (variable->last_filter == number)
		return;
	variable->last_filter = number;
	variable->use_count++;
}

static void note_boundary(struct survey *survey, uint32_t expr, uint32_t boundary)
{
	uint32_t hash = cw_hash_u32s((uint32_t[]){expr, boundary}, 2, 0);
	uint32_t cursor = hash, found;
	struct cw_edges *boundaries = &survey->boundaries;

	while ((found = cw_index_next(&survey->seen, hash, &cursor)) != CW_NONE)
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what is indexed is there */
		if (boundaries->at[found].start == boundary && boundaries->at[found].to == expr)
			return;
	if (CW_GROW(boundaries, 1) || cw_index_add(&survey->seen, hash, boundaries->count)) {
		cw_build_fail(survey->build, -ENOMEM);
		return;
	}
	boundaries->at[boundaries->count++] = (struct cw_edge){boundary, expr};
	survey->variables[expr].boundary_count++;
}

static void survey_filter(struct survey *survey, uint32_t number)
{
	const struct cw_build *build = survey->build;
	const struct cw_build_filter *filter = &build->filters[number];
	const uint32_t *asked = build->diagrams.asked;
	uint32_t i, n;

	for (i = 0; i < filter->record_count; i++) {
		const struct cw_lift_record *record = &build->records.at[filter->record_first + i];

		for (n = 0; n < record->check_count; n++)
			note_use(survey, asked[build->checks.at[record->check_first + n]], number);
		if (record->expr == CW_NONE)
			continue;
		note_use(survey, asked[record->expr], number);
		if (record->low > 0)
			note_boundary(survey, asked[record->expr], record->low);
		if (record->high < UINT32_MAX)
			note_boundary(survey, asked[record->expr], record->high + 1);
	}
}

static int by_order(const void *a, const void *b)
{
	const struct variable *left = a, *right = b;
	bool left_structural = left->boundary_count <= STRUCTURAL_BOUNDARIES_MAX;
	bool right_structural = right->boundary_count <= STRUCTURAL_BOUNDARIES_MAX;

	if (left->is_late != right->is_late)
		return left->is_late ? 1 : -1;
	if (left_structural != right_structural)
		return left_structural ? -1 : 1;
	if (left_structural && left->use_count != right->use_count)
		return left->use_count > right->use_count ? -1 : 1;
	if (left_structural && left->size != right->size)
		return left->size < right->size ? -1 : 1;
	if (!left_structural && left->boundary_count != right->boundary_count)
		return left->boundary_count > right->boundary_count ? -1 : 1;
	return left->expr < right->expr ? -1 : left->expr > right->expr;
}

/* Whether the expression is a byte under a mask. */
static bool is_masked_byte(const struct cw_exprs *exprs, uint32_t expr)
{
	const struct cw_expr *at = &exprs->at[expr];

	return at->op == CW_EXPR_ALU && at->k == BPF_AND && exprs->at[at->b].op == CW_EXPR_CONST &&
	       exprs->at[at->a].op == CW_EXPR_LOAD && exprs->at[at->a].bytes == 1;
}

/* Choose to ask for a byte itself if it has many masks; counts[] is scratch. */
static void choose_asked(struct cw_build *build, struct variable *counts)
{
	const struct cw_exprs *exprs = &build->exprs;

	for (uint32_t i = 0; i < exprs->count; i++)
		if (is_masked_byte(exprs, i))
			counts[exprs->at[i].a].use_count++;
	for (uint32_t i = 0; i < exprs->count; i++) {
		bool is_byte =
		    is_masked_byte(exprs, i) && counts[exprs->at[i].a].use_count > MASKS_MAX;

		build->diagrams.asked[i] = is_byte ? exprs->at[i].a : i;
	}
}

void cw_decide_order(struct cw_build *build)
{
	uint32_t count = build->exprs.count;
	struct survey survey = {.build = build};

	survey.variables = calloc(count + 1, sizeof(*survey.variables));
	build->diagrams.rank = calloc(count + 1, sizeof(*build->diagrams.rank));
	build->diagrams.asked = calloc(count + 1, sizeof(*build->diagrams.asked));
	if (!survey.variables || !build->diagrams.rank || !build->diagrams.asked) {
		cw_build_fail(build, -ENOMEM);
		free(survey.variables);
		return;
	}
	choose_asked(build, survey.variables);
	for (uint32_t i = 0; i < count; i++)
		survey.variables[i] =
		    (struct variable){.expr = i,
				      .last_filter = CW_NONE,
				      .size = build->exprs.at[i].size,
				      .is_late = build->exprs.at[i].op == CW_EXPR_LEN};
	for (uint32_t i = 0; i < build->filter_count; i++)
		survey_filter(&survey, i);
	qsort(survey.variables, count, sizeof(*survey.variables), by_order);
	for (uint32_t i = 0; i < count; i++)
		build->diagrams.rank[survey.variables[i].expr] = i;
	if (CW_GROW(&build->diagrams, 2))
		cw_build_fail(build, -ENOMEM);
	else
		while (build->diagrams.count <= CW_DIAGRAM_ACCEPT)
			build->diagrams.at[build->diagrams.count++] =
			    (struct cw_diagram_node){.var = CW_NONE};
	cw_index_fini(&survey.seen);
	free(survey.boundaries.at);
	free(survey.variables);
}
