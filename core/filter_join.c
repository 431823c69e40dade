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
 *   forks     into the pairs that ask for this variable and those that do not.
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
#include "core/filter_join.h"

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

static void spend(struct cw_join *join, uint64_t entries)
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
 * Sets are gathered from sorted ones, so they come sorted or as a few rising runs: those are merged.
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

static int by_start(const void *a, const void *b)
{
	const struct event *left = a, *right = b;

	return left->start < right->start ? -1 : left->start > right->start;
}

/* ---- nodes of the joint graph ---- */

static uint32_t append_node(struct cw_join *join, const struct cw_joint_node *node)
{
	struct cw_joint *joint = &join->build->joint;

	if (CW_GROW(joint, 1)) {
		cw_build_fail(join->build, -ENOMEM);
		return 0;
	}
	spend(join, 1);
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
	spend(join, count);
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
	spend(join, count);
	problem.set_first = join->sets.count;
	memcpy(join->sets.at + problem.set_first, set, count * sizeof(*set));
	join->sets.count += count;
	problem.node = append_node(join, &(struct cw_joint_node){.kind = CW_JOINT_PENDING});
	join->problems.at[join->problems.count++] = problem;
	return problem.node;
}

/*
 * The node for a set of pairs (sorted here, doubles removed): what is accepted already is emitted,
 * the rest is a problem.
 */
uint32_t cw_join_set(struct cw_join *join, struct cw_pairs *set, enum cw_join_mode mode)
{
	uint32_t count = 0, i, rest;

	join->emits.count = 0;
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

/* ---- expanding ---- */

/* What tells one interval's children from another's: a sum over the pairs, kept up as they change.
 * Only used to estimate costs, so that a collision does no harm. */
static uint64_t signature(uint32_t index, uint32_t to)
{
	uint64_t mixed = ((uint64_t)index << 32 | to) * UINT64_C(0x9e3779b97f4a7c15);

	return (mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

struct seen { /* signatures of the first intervals */
	uint64_t at[16];
	uint32_t count;
};

static bool is_new(struct seen *seen, uint64_t sum)
{
	uint32_t i;

	for (i = 0; i < seen->count; i++)
		if (seen->at[i] == sum)
			return false;
	if (seen->count < CW_ARRAY_COUNT(seen->at))
		seen->at[seen->count++] = sum;
	return true;
}

/* List the places where the children of `set` change, in order; and its first children. */
static void list_events(struct cw_join *join, const struct cw_pairs *set)
{
	struct events *events = &join->events;
	uint32_t i, n;

	events->count = join->child.count = 0;
	for (i = 0; i < set->count; i++) {
		const struct cw_diagram_node *node = cw_join_node_of(join, set->at[i]);
		const struct cw_edge *edges = cw_join_edges_of(join, set->at[i]);

		cw_join_push_u32(join, &join->child, edges[0].to);
		if (CW_GROW(events, node->edge_count)) {
			cw_build_fail(join->build, -ENOMEM);
			return;
		}
		for (n = 1; n < node->edge_count; n++)
			events->at[events->count++] =
			    (struct event){edges[n].start, i, edges[n].to};
	}
	if (events->count)
		qsort(events->at, events->count, sizeof(*events->at), by_start);
}

/*
 * List where the children of `set` change, and return what a switch would hold: the pairs that are
 * alive, summed over its intervals, but for those that lead to the same as an earlier one.
 * `others` more pairs are alive in each.
 */
uint64_t cw_join_survey(struct cw_join *join, const struct cw_pairs *set, uint32_t others)
{
	struct events *events = &join->events;
	uint64_t alive = others, sum = 0, cost;
	struct seen seen = {.count = 0};
	uint32_t i;

	list_events(join, set);
	if (join->build->failure)
		return 0;
	for (i = 0; i < set->count; i++) {
		alive += join->child.at[i] != CW_DIAGRAM_REJECT;
		sum += signature(i, join->child.at[i]);
	}
	is_new(&seen, sum);
	cost = alive;
	for (i = 0; i < events->count;) {
		uint32_t start = events->at[i].start;

		for (; i < events->count && events->at[i].start == start; i++) {
			const struct event *event = &events->at[i];
			uint32_t *child = &join->child.at[event->index];

			alive += (uint64_t)(event->to != 0) - (uint64_t)(*child != 0);
			sum += signature(event->index, event->to) - signature(event->index, *child);
			*child = event->to;
		}
		if (is_new(&seen, sum))
			cost += alive;
	}
	return cost;
}

/* The first place in the list of living pairs that is not before `index`. */
static uint32_t find_active(const struct cw_join *join, uint32_t index)
{
	uint32_t low = 0, high = join->active.count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (join->active.at[middle] < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The child of pair `index` is `to` from here on. The list stays in order, so that what is gathered
 * from it mostly needs no sorting. */
static void set_child(struct cw_join *join, uint32_t index, uint32_t to)
{
	uint32_t was = join->child.at[index];
	uint32_t place;
	uint32_t *at;

	join->child.at[index] = to;
	if ((was == CW_DIAGRAM_REJECT) == (to == CW_DIAGRAM_REJECT))
		return;
	place = find_active(join, index);
	at = join->active.at + place;
	if (was == CW_DIAGRAM_REJECT) { /* there is room for all */
		memmove(at + 1, at, (join->active.count - place) * sizeof(*at));
		*at = index;
		join->active.count++;
	} else {
		join->active.count--;
		memmove(at, at + 1, (join->active.count - place) * sizeof(*at));
	}
}

/* Add an edge to what the children of `set` are now, and `others`, unless the edge before is so. */
static void add_edge(struct cw_join *join, struct cw_joint_node *node, const struct cw_pairs *set,
		     const struct cw_pairs *others, uint32_t start)
{
	struct cw_edges *edges = &join->build->joint.edges;
	struct cw_pairs *gathered = &join->gathered;
	uint32_t i, to;

	gathered->count = 0;
	for (i = 0; i < join->active.count; i++)
		cw_join_push(join, gathered, join->child.at[join->active.at[i]],
			     cw_pair_part(set->at[join->active.at[i]]));
	for (i = 0; i < others->count; i++)
		cw_join_push(join, gathered, cw_pair_node(others->at[i]),
			     cw_pair_part(others->at[i]));
	to = cw_join_set(join, gathered, CW_JOIN_CHOOSE);
	if (node->count && edges->at[edges->count - 1].to == to)
		return;
	if (CW_GROW(edges, 1)) {
		cw_build_fail(join->build, -ENOMEM);
		return;
	}
	spend(join, 1);
	edges->at[edges->count++] = (struct cw_edge){start, to};
	node->count++;
}

/* Prepare the list of pairs that are alive in the first interval. */
static void start_sweep(struct cw_join *join, const struct cw_pairs *set)
{
	uint32_t i;

	join->active.count = join->child.count = 0;
	if (CW_GROW(&join->active, set->count) || CW_GROW(&join->child, set->count)) {
		cw_build_fail(join->build, -ENOMEM);
		return;
	}
	for (i = 0; i < set->count; i++)
		join->child.at[i] = CW_DIAGRAM_REJECT;
	for (i = 0; i < set->count; i++)
		set_child(join, i, cw_join_edges_of(join, set->at[i])[0].to);
}

/* One switch on `var` for `set`, which asks for it, and `others`, which go on in each interval.
 * The events of `set` are listed. */
static void expand(struct cw_join *join, uint32_t target, uint32_t var, const struct cw_pairs *set,
		   const struct cw_pairs *others)
{
	struct cw_joint_node node = {.kind = CW_JOINT_SWITCH, .var = var};
	const struct events *events = &join->events;
	uint32_t i;

	node.first = join->build->joint.edges.count;
	start_sweep(join, set);
	if (join->build->failure)
		return;
	add_edge(join, &node, set, others, 0);
	for (i = 0; i < events->count && !join->build->failure;) {
		uint32_t start = events->at[i].start;

		for (; i < events->count && events->at[i].start == start; i++)
			set_child(join, events->at[i].index, events->at[i].to);
		add_edge(join, &node, set, others, start);
	}
	join->gathered.count = 0;
	for (i = 0; i < set->count; i++)
		cw_join_push(join, &join->gathered, cw_join_node_of(join, set->at[i])->trap,
			     cw_pair_part(set->at[i]));
	for (i = 0; i < others->count; i++)
		cw_join_push(join, &join->gathered, cw_pair_node(others->at[i]),
			     cw_pair_part(others->at[i]));
	node.trap = cw_join_set(join, &join->gathered, CW_JOIN_CHOOSE);
	join->build->joint.at[target] = node;
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

static void solve(struct cw_join *join, const struct problem *problem)
{
	uint32_t var = divide(join, problem);
	uint32_t count = problem->set_count;
	uint64_t cost = cw_join_survey(join, &join->mine, join->others.count);

	if (problem->mode == CW_JOIN_EXPAND ||
	    cost <= CW_JOIN_FACTOR * (uint64_t)count + CW_JOIN_EXTRA) {
		expand(join, problem->node, var, &join->mine, &join->others);
		return;
	}
	if (join->others.count) {
		cost = cw_join_survey(join, &join->mine, 0);
		if (cost <= CW_JOIN_FACTOR * (uint64_t)join->mine.count + CW_JOIN_EXTRA) {
			uint32_t kids[2];
			uint32_t first;

			kids[0] = cw_join_set(join, &join->mine, CW_JOIN_EXPAND);
			kids[1] = cw_join_set(join, &join->others, CW_JOIN_CHOOSE);
			first = cw_join_words(join, kids, 2);
			join->build->joint.at[problem->node] = (struct cw_joint_node){
			    .kind = CW_JOINT_FORK, .first = first, .count = 2};
			return;
		}
	}
	cw_join_split(join, problem->node, var);
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
		cw_join_push(join, &join->gathered, build->filters[i].diagram, i);
	}
	join->entries_max = (uint64_t)build->diagrams.edges.count * build->budget.joint_per_input +
			    build->budget.joint_extra;
	if (join->entries_max > build->budget.joint_max)
		join->entries_max = build->budget.joint_max;
	/* Splitting makes new nodes; a diagram that cannot be made is a program over its budget. */
	build->diagrams.is_over = false;
	build->diagrams.count_max = build->diagrams.count + build->budget.joint_max;
	build->diagrams.edge_max = build->diagrams.edges.count + build->budget.joint_max;
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
