/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Third pass: from a diagram a filter to one graph for all. A problem is a set of pairs (diagram
 * node, part to emit); its answer is a node of the joint graph. The first problem holds all
 * filters. A problem takes the first variable in the order that any of its nodes asks for, and
 *
 *   expands   into one switch: for each interval in which no node's child changes, the children
 *             are a smaller problem. This is the good case, but expensive if many pairs survive in
 *             many intervals (a thousand "src a or dst a": each of the 1,000 values of src would
 *             repeat the 999 questions about dst).
 *   forks     into the pairs that ask for this variable and the rest; once half of the budget is
 *             gone, into single pairs, which are as large as their diagrams. In a small set also if
 *             the pairs are few and each is a few comparisons.
 *   splits    each node f whose default child d (the target of most values) is contained in all its
 *             other children, as in "a or b": f = (the exceptions) or d. All exceptions go into one
 *             table, the defaults into another problem, a sibling in a fork. This keeps the graph
 *             linear: src in one table, dst in another.
 *   takes back  for a node f of another shape (a negation), which would emit in too many places: d
 *             is emitted for a separate part, and an excluding pair takes that part back in the
 *             exceptions. A thousand "not host a" become one leaf of all, and two tables of
 *             exclusions.
 *
 * Equal problems are solved once, from a work list: no recursion. Parts made here have the filter
 * they count for (owners) and the part whose taking back includes them (parents).
 */
#include "core/filter/passes/join_problem.h"

#define COPY_FACTOR 2u     /* entries while pairs are copied, for each interval of the diagrams */
#define COPY_EXTRA 16384u  /* further entries */
#define SHORT_PAIRS_MAX 6u /* pairs that are solved alone if all are short */
#define SHORT_NODES_MAX 4u /* nodes of a short diagram */
#define SHORT_EDGES_MAX 3u /* and edges of each: one interval */
#define SURVEYED_MAX (UINT64_C(4) << 20) /* places where children change; 50 ns each */

/* ---- problems ---- */

/* Divide the pairs by the first variable that any of the problem's nodes asks for; returns it. */
static uint32_t divide(struct cw_join *join, const struct problem *problem)
{
	const struct cw_build *build = join->build;
	uint32_t var = CW_NONE, rank = CW_NONE;

	join->mine.count = join->others.count = 0;
	for (uint32_t i = 0; i < problem->set_count; i++) {
		uint32_t asked = cw_join_node_of(join, join->sets.at[problem->set_first + i])->var;

		if (build->diagrams.rank[asked] < rank) {
			rank = build->diagrams.rank[asked];
			var = asked;
		}
	}
	for (uint32_t i = 0; i < problem->set_count; i++) {
		uint64_t pair = join->sets.at[problem->set_first + i];

		cw_join_push(join,
			     cw_join_node_of(join, pair)->var == var ? &join->mine : &join->others,
			     cw_pair_node(pair), cw_pair_part(pair));
	}
	return var;
}

/* Whether the rest of the budget is reserved for single pairs. */
static bool is_alone(const struct cw_join *join)
{
	return join->entries > join->entries_alone || join->surveyed > SURVEYED_MAX;
}

/* Solve each pair alone, in a fork: as large as the diagrams, and no larger. */
static void solve_alone(struct cw_join *join, const struct problem *problem)
{
	uint32_t first, i;

	join->kids.count = 0;
	for (i = 0; i < problem->set_count && !join->build->failure; i++) {
		uint64_t pair = join->sets.at[problem->set_first + i];
		uint32_t node;

		join->gathered.count = 0;
		cw_join_push(join, &join->gathered, cw_pair_node(pair), cw_pair_part(pair));
		node = cw_join_set(join, &join->gathered, CW_JOIN_EXPAND);
		if (node)
			cw_build_push(join->build, &join->kids, node);
	}
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): cw_join frees `kids` at its end */
	first = cw_join_words(join, join->kids.at, join->kids.count);
	join->build->joint.at[problem->node] = (struct cw_joint_node){
	    .kind = CW_JOINT_FORK, .first = first, .count = join->kids.count};
}

/* Fork into a switch for the pairs that ask for the variable, and a problem for the others. */
static void solve_apart(struct cw_join *join, const struct problem *problem)
{
	uint32_t kids[2];
	uint32_t first;

	kids[0] = cw_join_set(join, &join->mine, CW_JOIN_EXPAND);
	kids[1] = cw_join_set(join, &join->others, CW_JOIN_CHOOSE);
	first = cw_join_words(join, kids, 2);
	join->build->joint.at[problem->node] =
	    (struct cw_joint_node){.kind = CW_JOINT_FORK, .first = first, .count = 2};
}

/* Whether the pair's diagram is a few comparisons, which become code without branches. */
static bool is_short(const struct cw_join *join, uint64_t pair)
{
	const struct cw_diagrams *diagrams = &join->build->diagrams;
	uint32_t nodes[SHORT_NODES_MAX + 1] = {cw_pair_node(pair)}, count = 1, i, n, found;

	for (i = 0; i < count; i++) {
		const struct cw_diagram_node *node = &diagrams->at[nodes[i]];

		if (count > SHORT_NODES_MAX || node->edge_count > SHORT_EDGES_MAX)
			return false;
		for (n = 0; n <= node->edge_count && count <= SHORT_NODES_MAX; n++) {
			nodes[count] = n < node->edge_count
					   ? diagrams->edges.at[node->edge_first + n].to
					   : node->trap;
			for (found = 0; nodes[found] != nodes[count]; found++)
				;
			count += found == count && nodes[count] > CW_DIAGRAM_ACCEPT;
		}
	}
	return true;
}

/*
 * Whether the pairs are better off alone: few filters with a few comparisons each, such as "source
 * or destination port". A switch on a port would be a branch that goes both ways. Filters with
 * equal diagrams stay together.
 */
static bool are_short(const struct cw_join *join, const struct problem *problem)
{
	const struct cw_build *build = join->build;
	uint32_t node, node_before = 0;

	if (build->filter_count > CW_BITS_MAX || build->mode == CW_FILTER_FIRST ||
	    problem->mode == CW_JOIN_EXPAND || problem->set_count > SHORT_PAIRS_MAX)
		return false;
	for (uint32_t i = 0; i < problem->set_count; i++) {
		uint64_t pair = join->sets.at[problem->set_first + i];

		node = cw_pair_node(pair);
		if (!is_short(join, pair) || (i > 0 && node == node_before))
			return false;
		node_before = node;
	}
	return true;
}

/* Whether a switch that holds `cost` pairs is small enough for `count` pairs. */
static bool is_cheap(uint64_t cost, uint32_t count)
{
	return cost <= CW_JOIN_FACTOR * (uint64_t)count + CW_JOIN_EXTRA;
}

/*
 * Whether the problem may become a switch. Copies of pairs that do not ask for the variable double
 * with each question that few ask. So copies are made only up to entries_copy, which sets that join
 * well do not reach; beyond it, such a question is a fork.
 */
static bool may_expand(const struct cw_join *join, const struct problem *problem, uint64_t cost)
{
	if (problem->mode == CW_JOIN_EXPAND || (problem->set_count == 1 && is_alone(join)))
		return true;
	return is_cheap(cost, problem->set_count) &&
	       (join->others.count == 0 || join->entries < join->entries_copy);
}

static void solve(struct cw_join *join, const struct problem *problem)
{
	uint64_t cost;
	uint32_t var;

	if (problem->set_count > 1 && (is_alone(join) || are_short(join, problem))) {
		solve_alone(join, problem);
		return;
	}
	var = divide(join, problem);
	cost = cw_join_survey(join, &join->mine, join->others.count);
	if (may_expand(join, problem, cost)) {
		cw_join_expand(join, problem->node, var, &join->mine, &join->others);
		return;
	}
	if (join->others.count) {
		cost = cw_join_survey(join, &join->mine, 0);
		if (is_cheap(cost, join->mine.count)) {
			solve_apart(join, problem);
			return;
		}
	}
	cw_join_split(join, problem->node, var);
}

/* ---- filters without a diagram ---- */

/* The node of a record's target; `made` holds the nodes of the filter's records. */
static uint32_t end_of(struct cw_join *join, const uint32_t *made, uint32_t next, uint32_t part)
{
	if (next == CW_LIFT_REJECT)
		return 0;
	return next == CW_LIFT_ACCEPT ? cw_join_fork(join, &part, 1, NULL, 0) : made[next];
}

/* Make a switch that goes to `then` for low..high, to `otherwise` for other values, and rejects a
 * packet that ends before the field. */
static uint32_t make_question(struct cw_join *join, uint32_t var, uint32_t low, uint32_t high,
			      uint32_t then, uint32_t otherwise)
{
	struct cw_edges *edges = &join->build->joint.edges;
	uint32_t max = join->build->exprs.at[var].max;
	struct cw_joint_node node = {.kind = CW_JOINT_SWITCH, .var = var, .first = edges->count};

	if (CW_GROW(edges, 3)) {
		cw_build_fail(join->build, -ENOMEM);
		return 0;
	}
	if (low > 0)
		edges->at[edges->count++] = (struct cw_edge){0, otherwise};
	edges->at[edges->count++] = (struct cw_edge){low, then};
	if (high < max)
		edges->at[edges->count++] = (struct cw_edge){high + 1, otherwise};
	node.count = edges->count - node.first;
	cw_join_spend(join, node.count);
	return cw_join_append(join, &node);
}

/* Join the records of a filter as they are, question by question; returns the node. */
static uint32_t join_records(struct cw_join *join, uint32_t number)
{
	const struct cw_build *build = join->build;
	const struct cw_build_filter *filter = &build->filters[number];
	uint32_t *made = malloc(filter->record_count * sizeof(*made));
	uint32_t i, n, node = 0;

	if (!made)
		cw_build_fail(join->build, -ENOMEM);
	for (i = 0; i < filter->record_count && !build->failure; i++) {
		const struct cw_lift_record *record = &build->records.at[filter->record_first + i];

		node = end_of(join, made, record->then, number);
		if (record->expr != CW_NONE)
			node = make_question(join, record->expr, record->low, record->high, node,
					     end_of(join, made, record->otherwise, number));
		for (n = record->check_count; n-- > 0 && !build->failure;)
			node = make_question(join, build->checks.at[record->check_first + n], 0,
					     UINT32_MAX, node, 0);
		made[i] = node;
	}
	free(made);
	return node;
}

/* Add filters without a diagram: separate kids of a fork beside the joint graph. */
static void add_records(struct cw_join *join)
{
	struct cw_joint *joint = &join->build->joint;

	join->kids.count = 0;
	if (joint->root)
		cw_build_push(join->build, &join->kids, joint->root);
	for (uint32_t i = 0; i < join->build->filter_count && !join->build->failure; i++)
		if (join->build->filters[i].has_records)
			cw_build_push(join->build, &join->kids, join_records(join, i));
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): cw_join frees `kids` at its end */
	joint->root = cw_join_fork(join, NULL, 0, join->kids.at, join->kids.count);
}

/* ---- all ---- */

/* Pose the first problem: all filters. */
static void start(struct cw_join *join)
{
	struct cw_build *build = join->build;
	struct cw_joint *joint = &build->joint;

	cw_join_append(join, &(struct cw_joint_node){.kind = CW_JOINT_LEAF});
	for (uint32_t i = 0; i < build->filter_count; i++) {
		cw_build_push(join->build, &joint->owners, i);
		cw_build_push(join->build, &joint->parents, CW_NONE);
		cw_build_push(join->build, &joint->taken, 0);
		cw_join_push(join, &join->gathered, build->filters[i].diagram, i);
	}
	join->entries_free = (uint64_t)build->diagrams.edges.count * build->budget.joint_per_input;
	join->entries_max = join->entries_free + build->budget.joint_extra;
	if (join->entries_max > build->budget.joint_max)
		join->entries_max = build->budget.joint_max;
	join->entries_alone = join->entries_max / 2;
	join->entries_copy = COPY_FACTOR * (uint64_t)build->diagrams.edges.count + COPY_EXTRA;
	/* Splitting makes new nodes; a diagram over these limits is a program over its budget. */
	build->diagrams.is_over = false;
	build->diagrams.count_max = build->diagrams.count + (uint32_t)join->entries_max;
	build->diagrams.edge_max = build->diagrams.edges.count + (uint32_t)join->entries_max;
	if (!build->failure)
		joint->root = cw_join_set(join, &join->gathered, CW_JOIN_CHOOSE);
}

void cw_join(struct cw_build *build)
{
	struct cw_join join = {.build = build, .entries_max = UINT64_MAX};

	start(&join);
	for (uint32_t i = 0; i < join.problems.count && !build->failure; i++) {
		struct problem problem = join.problems.at[i]; /* a copy: the array moves */

		solve(&join, &problem);
		if (build->diagrams.is_over)
			cw_build_fail(build, -E2BIG);
	}
	if (!build->failure)
		add_records(&join);
	build->entries_free = join.entries_free;
	build->entries = join.entries;
	cw_index_fini(&join.problem_index);
	cw_index_fini(&join.node_index);
	cw_index_fini(&join.piece_index);
	CW_FREE_ALL(join.sets.at, join.problems.at, join.pieces.at, join.mine.at, join.others.at,
		    join.gathered.at, join.spare.at, join.emits.at, join.kids.at, join.active.at,
		    join.child.at, join.events.at);
}
