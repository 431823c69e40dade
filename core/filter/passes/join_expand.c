/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Joining, if one switch answers: its cost, and making it. See join.c.
 */
#include "core/filter/passes/join_problem.h"

static int by_start(const void *a, const void *b)
{
	const struct event *left = a, *right = b;

	return left->start < right->start ? -1 : left->start > right->start;
}

/* A pair's term in the signature of an interval's children, a sum that is updated as children
 * change. Signatures only estimate costs, so a collision does no harm. */
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
	for (uint32_t i = 0; i < seen->count; i++)
		if (seen->at[i] == sum)
			return false;
	if (seen->count < CW_ARRAY_COUNT(seen->at))
		seen->at[seen->count++] = sum;
	return true;
}

/* List the places where the children of `set` change, in order, and the first children. */
static void list_events(struct cw_join *join, const struct cw_pairs *set)
{
	struct events *events = &join->events;
	uint32_t i, n;

	events->count = join->child.count = 0;
	for (i = 0; i < set->count; i++) {
		const struct cw_diagram_node *node = cw_join_node_of(join, set->at[i]);
		const struct cw_edge *edges = cw_join_edges_of(join, set->at[i]);

		cw_build_push(join->build, &join->child, edges[0].to);
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

uint64_t cw_join_survey(struct cw_join *join, const struct cw_pairs *set, uint32_t others)
{
	struct events *events = &join->events;
	uint64_t alive = others, open = others, sum = 0, cost;
	struct seen seen = {.count = 0};

	list_events(join, set);
	if (join->build->failure)
		return 0;
	join->surveyed += events->count;
	for (uint32_t i = 0; i < set->count; i++) {
		alive += join->child.at[i] != CW_DIAGRAM_REJECT;
		open += join->child.at[i] > CW_DIAGRAM_ACCEPT;
		sum += signature(i, join->child.at[i]);
	}
	is_new(&seen, sum);
	cost = alive;
	join->open = open;
	for (uint32_t i = 0; i < events->count;) {
		uint32_t start = events->at[i].start;

		for (; i < events->count && events->at[i].start == start; i++) {
			const struct event *event = &events->at[i];
			uint32_t *child = &join->child.at[event->index];

			alive += (uint64_t)(event->to != 0) - (uint64_t)(*child != 0);
			open += (uint64_t)(event->to > 1) - (uint64_t)(*child > 1);
			sum += signature(event->index, event->to) - signature(event->index, *child);
			*child = event->to;
		}
		if (!is_new(&seen, sum))
			continue;
		cost += alive;
		join->open += open;
	}
	return cost;
}

/* The first place in the sorted list of living pairs that is not below `index`. */
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

/* Set the child of pair `index`. The list of living pairs stays in order, so that sets gathered
 * from it rarely need sorting. */
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
	if (was == CW_DIAGRAM_REJECT) { /* start_sweep made room for all */
		memmove(at + 1, at, (join->active.count - place) * sizeof(*at));
		*at = index;
		join->active.count++;
	} else {
		join->active.count--;
		memmove(at, at + 1, (join->active.count - place) * sizeof(*at));
	}
}

/* Add an edge to the current children of `set` and `others`, unless the last edge is equal. */
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
	cw_join_spend(join, 1);
	edges->at[edges->count++] = (struct cw_edge){start, to};
	node->count++;
}

/* List the pairs that live in the first interval. */
static void start_sweep(struct cw_join *join, const struct cw_pairs *set)
{
	join->active.count = join->child.count = 0;
	if (CW_GROW(&join->active, set->count) || CW_GROW(&join->child, set->count)) {
		cw_build_fail(join->build, -ENOMEM);
		return;
	}
	for (uint32_t i = 0; i < set->count; i++)
		join->child.at[i] = CW_DIAGRAM_REJECT;
	for (uint32_t i = 0; i < set->count; i++)
		set_child(join, i, cw_join_edges_of(join, set->at[i])[0].to);
}

void cw_join_expand(struct cw_join *join, uint32_t target, uint32_t var, const struct cw_pairs *set,
		    const struct cw_pairs *others)
{
	struct cw_joint_node node = {.kind = CW_JOINT_SWITCH, .var = var};
	const struct events *events = &join->events;

	node.first = join->build->joint.edges.count;
	start_sweep(join, set);
	if (join->build->failure)
		return;
	add_edge(join, &node, set, others, 0);
	for (uint32_t i = 0; i < events->count && !join->build->failure;) {
		uint32_t start = events->at[i].start;

		for (; i < events->count && events->at[i].start == start; i++)
			set_child(join, events->at[i].index, events->at[i].to);
		add_edge(join, &node, set, others, start);
	}
	join->gathered.count = 0;
	for (uint32_t i = 0; i < set->count; i++)
		cw_join_push(join, &join->gathered, cw_join_node_of(join, set->at[i])->trap,
			     cw_pair_part(set->at[i]));
	for (uint32_t i = 0; i < others->count; i++)
		cw_join_push(join, &join->gathered, cw_pair_node(others->at[i]),
			     cw_pair_part(others->at[i]));
	node.trap = cw_join_set(join, &join->gathered, CW_JOIN_CHOOSE);
	join->build->joint.at[target] = node;
}
