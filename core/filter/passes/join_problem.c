/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Third pass: from a diagram a filter to one graph for all. A problem is a set of pairs (diagram
 * node, part to emit); its answer is a node of the joint graph. The first problem holds all
 * filters. A problem takes the first variable in the order that any of its nodes asks for, and
 *
 *   expands   one switch: for each interval in which all nodes agree with themselves, the children
 *             there are a smaller problem. This is the good case, and the expensive one where many
 *             pairs live on in many intervals (a thousand "src a or dst a": each of the 1,000
 *             values of src would repeat the 999 questions about dst).
 *   forks     into the pairs that ask for this variable and those that do not; and where half of
 *	       the budget is gone, into single pairs, which are as large as their diagrams.
 *   splits    each node f whose default child d (what most values lead to) is contained in all its
 *             other children, which "a or b" is: f = (the exceptions) or d. The exceptions go into
 *             one table together, the defaults into another problem, a sibling in a fork. This
 *             keeps the graph linear: src in one table, dst in another.
 *   takes back  what a node f of another shape (a negation) would emit in too many places: d is
 *             emitted for a part of its own, and an excluding pair takes that part back in the
 *             exceptions. "not host a", a thousand times, is then one leaf of all, and two tables
 *             of what to leave out.
 *
 * Equal problems are one problem, and a list of them is worked off: no recursion. Parts that are
 * made here have the filter they count for (owners) and the part whose taking back includes them
 * (parents).
 */
#include "core/filter/passes/join_problem.h"

#define COPY_FACTOR 2u /* of entries while pairs are copied, for each interval of the diagrams */
#define COPY_EXTRA 16384u
#define SURVEYED_MAX (UINT64_C(4) << 20) /* places where children change; 50 ns each */

void cw_join_push(struct cw_join *join, struct cw_pairs *pairs, uint32_t node, uint32_t part)
{
	if (node == CW_DIAGRAM_REJECT)
		return;
	if (CW_GROW(pairs, 1))
		cw_build_fail(join->build, -ENOMEM);
	else
		pairs->at[pairs->count++] = cw_make_pair(node, part);
}

void cw_join_push_u32(struct cw_join *join, struct cw_u32s *list, uint32_t value)
{
	if (CW_GROW(list, 1))
		cw_build_fail(join->build, -ENOMEM);
	else
		list->at[list->count++] = value;
}

void cw_join_spend(struct cw_join *join, uint64_t entries)
{
	join->entries += entries;
	if (join->entries > join->entries_max)
		cw_build_fail(join->build, -E2BIG);
}

/* ---- sorting ---- */

/* Where the rising run that begins at `first` ends. */
static uint32_t run_end(const uint64_t *pairs, uint32_t first, uint32_t count)
{
	uint32_t end = first + 1;

	while (end < count && pairs[end - 1] <= pairs[end])
		end++;
	return end < count ? end : count;
}

/* Merge neighbouring runs of `from` into `to`; how many runs there are then. */
static uint32_t merge_runs(const uint64_t *from, uint64_t *to, uint32_t count)
{
	uint32_t first, runs = 0;

	for (first = 0; first < count; runs++) {
		uint32_t middle = run_end(from, first, count);
		uint32_t end = middle < count ? run_end(from, middle, count) : count;
		uint32_t left = first, right = middle;

		while (left < middle && right < end) {
			bool is_left = from[left] <= from[right];

			to[first++] = is_left ? from[left] : from[right];
			left += is_left;
			right += !is_left;
		}
		while (left < middle)
			to[first++] = from[left++];
		while (right < end)
			to[first++] = from[right++];
	}
	return runs;
}

/*
 * Sets are gathered from sorted ones, so they come sorted or as a few rising runs: those are
 * merged.
 */
void cw_join_sort(struct cw_join *join, uint64_t *pairs, uint32_t count)
{
	uint64_t *from = pairs, *to;
	uint32_t i, n;

	if (count > 24) {
		if (run_end(pairs, 0, count) == count)
			return;
		join->spare.count = 0;
		if (CW_GROW(&join->spare, count)) {
			cw_build_fail(join->build, -ENOMEM);
			return;
		}
		to = join->spare.at;
		while (merge_runs(from, to, count) > 1) {
			uint64_t *merged = to;

			to = from;
			from = merged;
		}
		if (to != pairs)
			memcpy(pairs, to, count * sizeof(*pairs));
		return;
	}
	for (i = 1; i < count; i++) {
		uint64_t pair = pairs[i];

		for (n = i; n > 0 && pairs[n - 1] > pair; n--)
			pairs[n] = pairs[n - 1];
		pairs[n] = pair;
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

/* ---- nodes of the joint graph ---- */

static uint32_t append_node(struct cw_join *join, const struct cw_joint_node *node)
{
	struct cw_joint *joint = &join->build->joint;

	if (CW_GROW(joint, 1)) {
		cw_build_fail(join->build, -ENOMEM);
		return 0;
	}
	cw_join_spend(join, 1);
	joint->at[joint->count] = *node;
	return joint->count++;
}

uint32_t cw_join_words(struct cw_join *join, const uint32_t *words, uint32_t count)
{
	struct cw_u32s *all = &join->build->joint.words;
	uint32_t first = all->count;

	if (CW_GROW(all, count)) {
		cw_build_fail(join->build, -ENOMEM);
		return 0;
	}
	cw_join_spend(join, count);
	if (count)
		memcpy(all->at + first, words, count * sizeof(*words));
	all->count += count;
	return first;
}

static bool is_same(const uint32_t *a, const uint32_t *b, uint32_t count)
{
	return count == 0 || memcmp(a, b, count * sizeof(*a)) == 0;
}

/* The leaf (no kids) or fork with these emits (sorted) and kids; made when it is new. */
uint32_t cw_join_fork(struct cw_join *join, const uint32_t *emits, uint32_t emit_count,
		      const uint32_t *kids, uint32_t kid_count)
{
	struct cw_joint *joint = &join->build->joint;
	uint32_t hash = cw_hash_u32s(kids, kid_count, cw_hash_u32s(emits, emit_count, kid_count));
	uint32_t cursor = hash, found;
	struct cw_joint_node node = {.kind = kid_count ? CW_JOINT_FORK : CW_JOINT_LEAF};

	if (emit_count == 0 && kid_count == 0)
		return 0;
	if (emit_count == 0 && kid_count == 1)
		return kids[0];
	while ((found = cw_index_next(&join->node_index, hash, &cursor)) != CW_NONE) {
		const struct cw_joint_node *at = &joint->at[found];

		if (at->emit_count == emit_count && at->count == kid_count &&
		    is_same(joint->words.at + at->emit_first, emits, emit_count) &&
		    is_same(joint->words.at + at->first, kids, kid_count))
			return found;
	}
	node.emit_first = cw_join_words(join, emits, emit_count);
	node.emit_count = emit_count;
	node.first = cw_join_words(join, kids, kid_count);
	node.count = kid_count;
	if (cw_index_add(&join->node_index, hash, joint->count))
		cw_build_fail(join->build, -ENOMEM);
	return append_node(join, &node);
}

/* The node for a problem; made, and noted for solving, when it is new. */
static uint32_t find_problem(struct cw_join *join, const uint64_t *set, uint32_t count,
			     enum cw_join_mode mode)
{
	uint32_t hash = cw_hash_u32s((const uint32_t *)set, 2 * (size_t)count, mode);
	uint32_t cursor = hash, found;
	struct problem problem = {.set_count = count, .mode = mode};

	while ((found = cw_index_next(&join->problem_index, hash, &cursor)) != CW_NONE) {
		const struct problem *at = &join->problems.at[found];

		if (at->set_count == count && at->mode == (uint32_t)mode &&
		    memcmp(join->sets.at + at->set_first, set, count * sizeof(*set)) == 0)
			return at->node;
	}
	if (CW_GROW(&join->problems, 1) || CW_GROW(&join->sets, count) ||
	    cw_index_add(&join->problem_index, hash, join->problems.count)) {
		cw_build_fail(join->build, -ENOMEM);
		return 0;
	}
	cw_join_spend(join, count);
	problem.set_first = join->sets.count;
	memcpy(join->sets.at + problem.set_first, set, count * sizeof(*set));
	join->sets.count += count;
	problem.node = append_node(join, &(struct cw_joint_node){.kind = CW_JOINT_PENDING});
	join->problems.at[join->problems.count++] = problem;
	return problem.node;
}

uint32_t cw_joint_certain(const struct cw_joint *joint, uint32_t part)
{
	uint32_t at;

	if (part & CW_PART_EXCLUDE)
		return CW_NONE;
	part &= CW_PART_MASK;
	for (at = part; at != CW_NONE; at = joint->parents.at[at])
		if (joint->taken.at[at])
			return CW_NONE;
	return joint->owners.at[part];
}

/*
 * Where only the first match is wanted: once a filter has accepted, those with larger numbers are
 * of no interest. A part is taken back, if it ever is, by a problem before those that emit it, so
 * what is certain here stays so.
 */
static void drop_later(const struct cw_join *join, struct cw_pairs *set)
{
	const struct cw_joint *joint = &join->build->joint;
	uint32_t lowest = CW_NONE, part = 0, kept = 0, i;

	for (i = 0; i < set->count && !join->build->failure; i++) {
		uint32_t filter;

		if (cw_pair_node(set->at[i]) != CW_DIAGRAM_ACCEPT)
			continue;
		filter = cw_joint_certain(joint, cw_pair_part(set->at[i]));
		if (filter < lowest) {
			lowest = filter;
			part = cw_pair_part(set->at[i]);
		}
	}
	if (lowest == CW_NONE || join->build->failure) /* a part may be without its record */
		return;
	for (i = 0; i < set->count; i++) {
		uint64_t pair = set->at[i];

		if (joint->owners.at[cw_pair_part(pair) & CW_PART_MASK] < lowest ||
		    pair == cw_make_pair(CW_DIAGRAM_ACCEPT, part))
			set->at[kept++] = pair;
	}
	set->count = kept;
}

/*
 * The node for a set of pairs (sorted here, doubles removed): what is accepted already is emitted,
 * the rest is a problem.
 */
uint32_t cw_join_set(struct cw_join *join, struct cw_pairs *set, enum cw_join_mode mode)
{
	uint32_t count = 0, i, rest;

	join->emits.count = 0;
	if (join->build->mode == CW_FILTER_FIRST)
		drop_later(join, set);
	cw_join_sort(join, set->at, set->count);
	for (i = 0; i < set->count; i++) {
		if (cw_pair_node(set->at[i]) == CW_DIAGRAM_ACCEPT)
			cw_join_push_u32(join, &join->emits,
					 cw_pair_part(set->at[i]) & ~CW_PART_SHARED);
		else if (count == 0 || set->at[count - 1] != set->at[i])
			set->at[count++] = set->at[i];
	}
	if (count == 0 && join->emits.count == 0)
		return 0;
	/* Without their flag, parts can be out of order and twice. */
	if (join->emits.count > 1) {
		uint32_t kept = 1;

		for (i = 1; i < join->emits.count; i++)
			if (join->emits.at[i - 1] > join->emits.at[i])
				break;
		if (i < join->emits.count)
			qsort(join->emits.at, join->emits.count, sizeof(uint32_t), by_number);
		for (i = 1; i < join->emits.count; i++)
			if (join->emits.at[i] != join->emits.at[kept - 1])
				join->emits.at[kept++] = join->emits.at[i];
		join->emits.count = kept;
	}
	if (count == 0)
		return cw_join_fork(join, join->emits.at, join->emits.count, NULL, 0);
	rest = find_problem(join, set->at, count, mode);
	return cw_join_fork(join, join->emits.at, join->emits.count, &rest, 1);
}

/* ---- problems ---- */

/* The variable that comes first in any of the problem's nodes; divides its pairs by it. */
static uint32_t divide(struct cw_join *join, const struct problem *problem)
{
	const struct cw_build *build = join->build;
	uint32_t var = CW_NONE, rank = CW_NONE;
	uint32_t i;

	join->mine.count = join->others.count = 0;
	for (i = 0; i < problem->set_count; i++) {
		uint32_t asked = cw_join_node_of(join, join->sets.at[problem->set_first + i])->var;

		if (build->diagrams.rank[asked] < rank) {
			rank = build->diagrams.rank[asked];
			var = asked;
		}
	}
	for (i = 0; i < problem->set_count; i++) {
		uint64_t pair = join->sets.at[problem->set_first + i];

		cw_join_push(join,
			     cw_join_node_of(join, pair)->var == var ? &join->mine : &join->others,
			     cw_pair_node(pair), cw_pair_part(pair));
	}
	return var;
}

/* Whether so much of the budget is gone that what is left is kept for pairs on their own. */
static bool is_alone(const struct cw_join *join)
{
	return join->entries > join->entries_alone || join->surveyed > SURVEYED_MAX;
}

/* Each pair on its own, in a fork: as large as the diagrams are, and no more. */
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
			cw_join_push_u32(join, &join->kids, node);
	}
	first = cw_join_words(join, join->kids.at, join->kids.count);
	join->build->joint.at[problem->node] = (struct cw_joint_node){
	    .kind = CW_JOINT_FORK, .first = first, .count = join->kids.count};
}

/* Those that ask for the variable, as a switch, and the others: a fork of the two. */
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

/* Whether a switch over `cost` pairs is not too much for `count` of them. */
static bool is_cheap(uint64_t cost, uint32_t count)
{
	return cost <= CW_JOIN_FACTOR * (uint64_t)count + CW_JOIN_EXTRA;
}

/*
 * Copies of the pairs that do not ask for the variable are what grows without bounds: twice as many
 * for each question that few ask. So there are copies only up to entries_copy, which what joins
 * well does not reach; behind that, such a question is a fork.
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

	if (problem->set_count > 1 && is_alone(join)) {
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

/* The node where a record goes on; `made` are those of its filter. */
static uint32_t end_of(struct cw_join *join, const uint32_t *made, uint32_t next, uint32_t part)
{
	if (next == CW_LIFT_REJECT)
		return 0;
	return next == CW_LIFT_ACCEPT ? cw_join_fork(join, &part, 1, NULL, 0) : made[next];
}

/* A switch that goes to `then` for low..high, to `otherwise` for other values, and rejects where
 * the packet ends before. */
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
	return append_node(join, &node);
}

/* The records of a filter as they are, question by question. */
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

/* Such filters are not joined, but stand beside what the others became, in a fork. */
static void add_records(struct cw_join *join)
{
	struct cw_joint *joint = &join->build->joint;
	uint32_t i;

	join->kids.count = 0;
	if (joint->root)
		cw_join_push_u32(join, &join->kids, joint->root);
	for (i = 0; i < join->build->filter_count && !join->build->failure; i++)
		if (join->build->filters[i].has_records)
			cw_join_push_u32(join, &join->kids, join_records(join, i));
	joint->root = cw_join_fork(join, NULL, 0, join->kids.at, join->kids.count);
}

/* The first problem: all filters. */
static void start(struct cw_join *join)
{
	struct cw_build *build = join->build;
	struct cw_joint *joint = &build->joint;
	uint32_t i;

	append_node(join, &(struct cw_joint_node){.kind = CW_JOINT_LEAF});
	for (i = 0; i < build->filter_count; i++) {
		cw_join_push_u32(join, &joint->owners, i);
		cw_join_push_u32(join, &joint->parents, CW_NONE);
		cw_join_push_u32(join, &joint->taken, 0);
		cw_join_push(join, &join->gathered, build->filters[i].diagram, i);
	}
	join->entries_free = (uint64_t)build->diagrams.edges.count * build->budget.joint_per_input;
	join->entries_max = join->entries_free + build->budget.joint_extra;
	if (join->entries_max > build->budget.joint_max)
		join->entries_max = build->budget.joint_max;
	join->entries_alone = join->entries_max / 2;
	join->entries_copy = COPY_FACTOR * (uint64_t)build->diagrams.edges.count + COPY_EXTRA;
	/* Splitting makes new nodes; a diagram that cannot be made is a program over its budget. */
	build->diagrams.is_over = false;
	build->diagrams.count_max = build->diagrams.count + (uint32_t)join->entries_max;
	build->diagrams.edge_max = build->diagrams.edges.count + (uint32_t)join->entries_max;
	if (!build->failure)
		joint->root = cw_join_set(join, &join->gathered, CW_JOIN_CHOOSE);
}

void cw_join(struct cw_build *build)
{
	struct cw_join join = {.build = build, .entries_max = UINT64_MAX};
	uint32_t i;

	start(&join);
	for (i = 0; i < join.problems.count && !build->failure; i++) {
		struct problem problem = join.problems.at[i]; /* the array moves */

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
	free(join.sets.at);
	free(join.problems.at);
	free(join.pieces.at);
	free(join.mine.at);
	free(join.others.at);
	free(join.gathered.at);
	free(join.spare.at);
	free(join.emits.at);
	free(join.kids.at);
	free(join.active.at);
	free(join.child.at);
	free(join.events.at);
}
