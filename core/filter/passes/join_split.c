/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Joining, if one switch would be too large: pairs are divided into exceptions and defaults, or a
 * part is emitted and taken back. See join.c.
 */
#include "core/filter/passes/join_problem.h"

#define EXCEPTIONS_FACTOR 8u     /* cost of a table of exceptions, for each pair */
#define EXCEPTIONS_EXTRA 64u     /* further cost */
#define EXPAND_COST_MAX 2000000u /* cost of a switch with many overlaps but few open pairs */
#define OPEN_FACTOR 8u /* its open pairs (they neither accept nor reject), for each pair */

enum side {
	SIDE_EXCEPTIONS, /* f for values that do not lead to its default, else reject */
	SIDE_MARKS,      /* accept for values that do not lead to its default, else reject */
	SIDE_DEFAULT,    /* the default for values that lead to it, else reject */
};

static uint32_t side_of(uint32_t to, uint32_t default_child, enum side side)
{
	if (to == default_child)
		return side == SIDE_DEFAULT ? default_child : CW_DIAGRAM_REJECT;
	if (side == SIDE_DEFAULT)
		return CW_DIAGRAM_REJECT;
	return side == SIDE_MARKS ? CW_DIAGRAM_ACCEPT : to;
}

static uint32_t make_side(struct cw_join *join, uint64_t pair, uint32_t default_child,
			  enum side side)
{
	struct cw_diagram_node node = *cw_join_node_of(join, pair);
	struct cw_edge *edges = malloc(node.edge_count * sizeof(*edges));
	uint32_t i, result;

	if (!edges) {
		cw_build_fail(join->build, -ENOMEM);
		return CW_DIAGRAM_REJECT;
	}
	for (i = 0; i < node.edge_count; i++) {
		edges[i] = cw_join_edges_of(join, pair)[i];
		edges[i].to = side_of(edges[i].to, default_child, side);
	}
	result = cw_diagram_make(join->build, node.var, edges, node.edge_count,
				 side_of(node.trap, default_child, side));
	free(edges);
	return result;
}

/* Whether f = (exceptions) or `default_child`: all children contain it; a trap rejects or leads to
 * it. */
static bool is_contained(struct cw_join *join, uint64_t pair, uint32_t default_child)
{
	uint32_t count = cw_join_node_of(join, pair)->edge_count;
	uint32_t trap = cw_join_node_of(join, pair)->trap;

	if (count == 1 || (trap != CW_DIAGRAM_REJECT && trap != default_child))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t to = cw_join_edges_of(join, pair)[i].to;

		if (to != default_child && cw_diagram_or(join->build, default_child, to) != to)
			return false;
	}
	return true;
}

/* The child of the widest interval: the target of most values. */
static uint32_t widest_child(const struct cw_join *join, uint64_t pair)
{
	const struct cw_diagram_node *node = cw_join_node_of(join, pair);
	const struct cw_edge *edges = cw_join_edges_of(join, pair);
	uint64_t end = (uint64_t)join->build->exprs.at[node->var].max + 1;
	uint64_t widest = 0;
	uint32_t result = edges[0].to;

	for (uint32_t i = 0; i < node->edge_count; i++) {
		uint64_t next = i + 1 < node->edge_count ? edges[i + 1].start : end;

		if (next - edges[i].start > widest) {
			widest = next - edges[i].start;
			result = edges[i].to;
		}
	}
	return result;
}

/* Find a child to split f by: the default, or in small nodes any other that is contained. */
static bool find_contained(struct cw_join *join, uint64_t pair, uint32_t *default_child)
{
	uint32_t count = cw_join_node_of(join, pair)->edge_count;

	if (is_contained(join, pair, *default_child))
		return true;
	for (uint32_t i = 0; i < count && count <= 4; i++) {
		uint32_t to = cw_join_edges_of(join, pair)[i].to;

		if (to != CW_DIAGRAM_REJECT && to != *default_child &&
		    is_contained(join, pair, to)) {
			*default_child = to;
			return true;
		}
	}
	return false;
}

/* Find or make a part below `parent` for the function of `node`; CW_NONE: too many parts. */
static uint32_t make_piece(struct cw_join *join, uint32_t parent, uint32_t node)
{
	struct cw_joint *joint = &join->build->joint;
	uint32_t hash = cw_hash_u32s((uint32_t[]){parent, node}, 2, 0);
	uint32_t cursor = hash, found;

	while ((found = cw_index_next(&join->piece_index, hash, &cursor)) != CW_NONE)
		if (join->pieces.at[found].parent == parent && join->pieces.at[found].node == node)
			return join->build->filter_count + found;
	if (joint->owners.count >= CW_PARTS_MAX)
		return CW_NONE;
	if (CW_GROW(&join->pieces, 1) ||
	    cw_index_add(&join->piece_index, hash, join->pieces.count)) {
		cw_build_fail(join->build, -ENOMEM);
		return CW_NONE;
	}
	join->pieces.at[join->pieces.count++] = (struct piece){parent, node};
	cw_build_push(join->build, &joint->owners, joint->owners.at[parent]);
	cw_build_push(join->build, &joint->parents, parent);
	cw_build_push(join->build, &joint->taken, 0);
	return joint->owners.count - 1;
}

/* Add a separate problem for a set of pairs, as a kid of the fork. */
static void add_kid(struct cw_join *join, struct cw_pairs *set, enum cw_join_mode mode)
{
	uint32_t node = cw_join_set(join, set, mode);

	if (node)
		cw_build_push(join->build, &join->kids, node);
}

static bool is_affordable(const struct cw_join *join, uint64_t cost, uint32_t count)
{
	return join->open <= OPEN_FACTOR * (uint64_t)count + EXCEPTIONS_EXTRA &&
	       cost <= EXPAND_COST_MAX && join->entries + cost < join->entries_max / 4;
}

/* Add exceptions, all of which ask for the variable: one table, or halves if they overlap too much.
 */
static void add_exceptions(struct cw_join *join, struct cw_pairs *set)
{
	uint64_t cost;
	uint32_t half;

	if (set->count == 0)
		return;
	cw_join_sort(join, set->at, set->count);
	cost = cw_join_survey(join, set, 0);
	if (set->count <= 2 ||
	    cost <= EXCEPTIONS_FACTOR * (uint64_t)set->count + EXCEPTIONS_EXTRA ||
	    is_affordable(join, cost, set->count)) {
		add_kid(join, set, CW_JOIN_EXPAND);
		return;
	}
	half = set->count / 2;
	join->gathered.count = 0;
	for (uint32_t i = half; i < set->count; i++)
		cw_join_push(join, &join->gathered, cw_pair_node(set->at[i]),
			     cw_pair_part(set->at[i]));
	set->count = half;
	add_kid(join, set, CW_JOIN_CHOOSE);
	add_kid(join, &join->gathered, CW_JOIN_CHOOSE);
}

/*
 * For f of another shape: emit its default for a separate part, and take that part back in the
 * exceptions. False: f must stay alone (an excluding pair, or too many parts).
 */
static bool take_back(struct cw_join *join, uint64_t pair, struct cw_pairs *exceptions,
		      struct cw_pairs *defaults)
{
	uint32_t part = cw_pair_part(pair);
	uint32_t default_child = widest_child(join, pair);
	uint32_t exception = make_side(join, pair, default_child, SIDE_EXCEPTIONS);
	uint32_t piece = part;

	if (part & CW_PART_EXCLUDE)
		return false;
	/* The part itself will do if no other pair emits it. */
	if (exception != CW_DIAGRAM_REJECT || part & CW_PART_SHARED)
		piece = make_piece(join, part & CW_PART_MASK,
				   make_side(join, pair, default_child, SIDE_DEFAULT));
	if (piece == CW_NONE)
		return false;
	cw_join_push(join, exceptions, exception, part | CW_PART_SHARED);
	cw_join_push(join, exceptions, make_side(join, pair, default_child, SIDE_MARKS),
		     piece | CW_PART_EXCLUDE);
	cw_join_push(join, defaults, default_child, piece);
	if (!join->build->failure)
		join->build->joint.taken.at[piece] = 1;
	join->build->joint.has_excludes = true;
	return true;
}

/* Add nodes that cannot be split by containment. */
static void add_negated(struct cw_join *join, struct cw_pairs *set, struct cw_pairs *defaults)
{
	struct cw_pairs exceptions = {0}, alone = {0};
	uint64_t cost;

	if (set->count == 0)
		return;
	cost = cw_join_survey(join, set, 0);
	if (set->count == 1 || cost <= CW_JOIN_FACTOR * (uint64_t)set->count + CW_JOIN_EXTRA) {
		add_kid(join, set, CW_JOIN_EXPAND);
		return;
	}
	for (uint32_t i = 0; i < set->count && !join->build->failure; i++) {
		if (take_back(join, set->at[i], &exceptions, defaults))
			continue;
		alone.count = 0;
		cw_join_push(join, &alone, cw_pair_node(set->at[i]), cw_pair_part(set->at[i]));
		add_kid(join, &alone, CW_JOIN_EXPAND);
	}
	add_exceptions(join, &exceptions);
	free(exceptions.at);
	free(alone.at);
}

void cw_join_split(struct cw_join *join, uint32_t target, uint32_t var)
{
	struct cw_pairs exceptions = {0}, negated = {0}, defaults = {0};
	uint32_t i, made;

	for (i = 0; i < join->others.count; i++)
		cw_join_push(join, &defaults, cw_pair_node(join->others.at[i]),
			     cw_pair_part(join->others.at[i]));
	for (i = 0; i < join->mine.count && !join->build->failure; i++) {
		uint64_t pair = join->mine.at[i];
		uint32_t part = cw_pair_part(pair);
		uint32_t default_child = widest_child(join, pair);
		uint32_t shared = part & CW_PART_EXCLUDE ? part : part | CW_PART_SHARED;

		if (default_child == CW_DIAGRAM_REJECT) {
			cw_join_push(join, &exceptions, cw_pair_node(pair), part);
		} else if (!find_contained(join, pair, &default_child)) {
			cw_join_push(join, &negated, cw_pair_node(pair), part);
		} else {
			uint32_t trap = cw_join_node_of(join, pair)->trap;

			cw_join_push(join, &exceptions,
				     make_side(join, pair, default_child, SIDE_EXCEPTIONS), shared);
			if (trap == CW_DIAGRAM_REJECT)
				default_child = cw_diagram_guard(join->build, var, default_child);
			cw_join_push(join, &defaults, default_child, shared);
		}
	}
	join->kids.count = 0;
	add_exceptions(join, &exceptions);
	add_negated(join, &negated, &defaults);
	if (defaults.count)
		add_kid(join, &defaults, CW_JOIN_CHOOSE);
	made = cw_join_fork(join, NULL, 0, join->kids.at, join->kids.count);
	if (!join->build->failure) {
		struct cw_joint *joint = &join->build->joint;
		uint32_t first = cw_join_words(join, &made, 1);

		/* The problem's node continues there. */
		joint->at[target] =
		    (struct cw_joint_node){.kind = CW_JOINT_FORK, .first = first, .count = 1};
	}
	CW_FREE_ALL(exceptions.at, negated.at, defaults.at);
}
