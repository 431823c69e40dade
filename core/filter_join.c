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
#include "core/filter_passes.h"

#define EXPAND_FACTOR 6u     /* a switch may cost so much for each pair, */
#define EXPAND_EXTRA 16u     /* and this on top */
#define EXCEPTIONS_FACTOR 8u /* the same for the exceptions of a split */
#define EXCEPTIONS_EXTRA 64u
#define EXPAND_COST_MAX 2000000u /* of a switch whose intervals overlap a lot */

enum mode {
	MODE_CHOOSE, /* whatever is best */
	MODE_EXPAND, /* a switch, whatever it costs */
};

/* A pair is one number, so that sets are sorted, compared and hashed as such. */
static uint64_t make_pair(uint32_t node, uint32_t part)
{
	return (uint64_t)node << 32 | part;
}

static uint32_t pair_node(uint64_t pair)
{
	return (uint32_t)(pair >> 32);
}

static uint32_t pair_part(uint64_t pair)
{
	return (uint32_t)pair;
}

struct pairs {
	uint64_t *at;
	uint32_t count;
	uint32_t capacity;
};

struct problem {
	uint32_t set_first, set_count; /* in join.sets */
	uint32_t mode;
	uint32_t node; /* of the joint graph */
};

/* Child `to` of the pair `index` begins at `start`. */
struct event {
	uint32_t start;
	uint32_t index;
	uint32_t to;
};

struct piece { /* a part made here: for (parent, node) */
	uint32_t parent;
	uint32_t node;
};

struct join {
	struct cw_build *build;
	struct pairs sets; /* of all problems */
	struct problems {
		struct problem *at;
		uint32_t count;
		uint32_t capacity;
	} problems;
	struct cw_index problem_index;
	struct cw_index node_index; /* leaves and forks */
	struct cw_index piece_index;
	struct pieces {
		struct piece *at;
		uint32_t count;
		uint32_t capacity;
	} pieces; /* parallel to the parts behind the filters */
	uint64_t entries, entries_max;
	/* of the problem at hand */
	struct pairs mine, others; /* those that ask for its variable, and the rest */
	struct pairs gathered;     /* a set on its way to a problem */
	struct cw_u32s emits;
	struct cw_u32s kids;
	struct cw_u32s active; /* expand: pairs with a child now */
	struct cw_u32s child;
	struct events {
		struct event *at;
		uint32_t count;
		uint32_t capacity;
	} events;
};

static void push(struct join *join, struct pairs *pairs, uint32_t node, uint32_t part)
{
	if (node == CW_DIAGRAM_REJECT)
		return;
	if (CW_GROW(pairs, 1))
		cw_build_fail(join->build, -ENOMEM);
	else
		pairs->at[pairs->count++] = make_pair(node, part);
}

static void push_u32(struct join *join, struct cw_u32s *list, uint32_t value)
{
	if (CW_GROW(list, 1))
		cw_build_fail(join->build, -ENOMEM);
	else
		list->at[list->count++] = value;
}

static void spend(struct join *join, uint64_t entries)
{
	join->entries += entries;
	if (join->entries > join->entries_max)
		cw_build_fail(join->build, -E2BIG);
}

/* ---- sorting ---- */

static int by_value(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void sort_pairs(uint64_t *pairs, uint32_t count)
{
	uint32_t i, n;

	if (count > 24) {
		for (i = 1; i < count && pairs[i - 1] <= pairs[i]; i++)
			;
		if (i < count) /* often they are sorted already */
			qsort(pairs, count, sizeof(*pairs), by_value);
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

static uint32_t append_node(struct join *join, const struct cw_joint_node *node)
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

static uint32_t append_words(struct join *join, const uint32_t *words, uint32_t count)
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
static uint32_t make_fork(struct join *join, const uint32_t *emits, uint32_t emit_count,
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
	node.emit_first = append_words(join, emits, emit_count);
	node.emit_count = emit_count;
	node.first = append_words(join, kids, kid_count);
	node.count = kid_count;
	if (cw_index_add(&join->node_index, hash, joint->count))
		cw_build_fail(join->build, -ENOMEM);
	return append_node(join, &node);
}

/* The node for a problem; made, and noted for solving, when it is new. */
static uint32_t find_problem(struct join *join, const uint64_t *set, uint32_t count, enum mode mode)
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
static uint32_t find_set(struct join *join, struct pairs *set, enum mode mode)
{
	uint32_t count = 0, i, rest;

	join->emits.count = 0;
	sort_pairs(set->at, set->count);
	for (i = 0; i < set->count; i++) {
		if (pair_node(set->at[i]) == CW_DIAGRAM_ACCEPT)
			push_u32(join, &join->emits, pair_part(set->at[i]) & ~CW_PART_SHARED);
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
		return make_fork(join, join->emits.at, join->emits.count, NULL, 0);
	rest = find_problem(join, set->at, count, mode);
	return make_fork(join, join->emits.at, join->emits.count, &rest, 1);
}

/* ---- expanding ---- */

static const struct cw_diagram_node *node_of(const struct join *join, uint64_t pair)
{
	return &join->build->diagrams.at[pair_node(pair)];
}

static const struct cw_edge *edges_of(const struct join *join, uint64_t pair)
{
	return &join->build->diagrams.edges.at[node_of(join, pair)->edge_first];
}

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
static void list_events(struct join *join, const struct pairs *set)
{
	struct events *events = &join->events;
	uint32_t i, n;

	events->count = join->child.count = 0;
	for (i = 0; i < set->count; i++) {
		const struct cw_diagram_node *node = node_of(join, set->at[i]);
		const struct cw_edge *edges = edges_of(join, set->at[i]);

		push_u32(join, &join->child, edges[0].to);
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
static uint64_t survey(struct join *join, const struct pairs *set, uint32_t others)
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
static uint32_t find_active(const struct join *join, uint32_t index)
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
static void set_child(struct join *join, uint32_t index, uint32_t to)
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
static void add_edge(struct join *join, struct cw_joint_node *node, const struct pairs *set,
		     const struct pairs *others, uint32_t start)
{
	struct cw_edges *edges = &join->build->joint.edges;
	struct pairs *gathered = &join->gathered;
	uint32_t i, to;

	gathered->count = 0;
	for (i = 0; i < join->active.count; i++)
		push(join, gathered, join->child.at[join->active.at[i]],
		     pair_part(set->at[join->active.at[i]]));
	for (i = 0; i < others->count; i++)
		push(join, gathered, pair_node(others->at[i]), pair_part(others->at[i]));
	to = find_set(join, gathered, MODE_CHOOSE);
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
static void start_sweep(struct join *join, const struct pairs *set)
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
		set_child(join, i, edges_of(join, set->at[i])[0].to);
}

/* One switch on `var` for `set`, which asks for it, and `others`, which go on in each interval.
 * The events of `set` are listed. */
static void expand(struct join *join, uint32_t target, uint32_t var, const struct pairs *set,
		   const struct pairs *others)
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
		push(join, &join->gathered, node_of(join, set->at[i])->trap, pair_part(set->at[i]));
	for (i = 0; i < others->count; i++)
		push(join, &join->gathered, pair_node(others->at[i]), pair_part(others->at[i]));
	node.trap = find_set(join, &join->gathered, MODE_CHOOSE);
	join->build->joint.at[target] = node;
}

/* ---- splitting ---- */

enum side {
	SIDE_EXCEPTIONS, /* f where it does not lead to its default, else reject */
	SIDE_MARKS,      /* accept there, else reject */
	SIDE_DEFAULT,    /* the default where f leads to it, else reject */
};

static uint32_t side_of(uint32_t to, uint32_t standard, enum side side)
{
	if (to == standard)
		return side == SIDE_DEFAULT ? standard : CW_DIAGRAM_REJECT;
	if (side == SIDE_DEFAULT)
		return CW_DIAGRAM_REJECT;
	return side == SIDE_MARKS ? CW_DIAGRAM_ACCEPT : to;
}

static uint32_t make_side(struct join *join, uint64_t pair, uint32_t standard, enum side side)
{
	struct cw_diagram_node node = *node_of(join, pair);
	struct cw_edge *edges = malloc(node.edge_count * sizeof(*edges));
	uint32_t i, result;

	if (!edges) {
		cw_build_fail(join->build, -ENOMEM);
		return CW_DIAGRAM_REJECT;
	}
	for (i = 0; i < node.edge_count; i++) {
		edges[i] = edges_of(join, pair)[i];
		edges[i].to = side_of(edges[i].to, standard, side);
	}
	result = cw_diagram_make(join->build, node.var, edges, node.edge_count,
				 side_of(node.trap, standard, side));
	free(edges);
	return result;
}

/* Whether f = (exceptions) or `standard`: it is contained in all children, or f traps to nothing.
 */
static bool is_contained(struct join *join, uint64_t pair, uint32_t standard)
{
	uint32_t count = node_of(join, pair)->edge_count;
	uint32_t trap = node_of(join, pair)->trap;
	uint32_t i;

	if (count == 1 || (trap != CW_DIAGRAM_REJECT && trap != standard))
		return false;
	for (i = 0; i < count; i++) {
		uint32_t to = edges_of(join, pair)[i].to;

		if (to != standard && cw_diagram_or(join->build, standard, to) != to)
			return false;
	}
	return true;
}

/* What most values lead to: the child of the widest interval. */
static uint32_t widest_child(const struct join *join, uint64_t pair)
{
	const struct cw_diagram_node *node = node_of(join, pair);
	const struct cw_edge *edges = edges_of(join, pair);
	uint64_t end = (uint64_t)join->build->exprs.at[node->var].max + 1;
	uint64_t widest = 0;
	uint32_t result = edges[0].to;
	uint32_t i;

	for (i = 0; i < node->edge_count; i++) {
		uint64_t next = i + 1 < node->edge_count ? edges[i + 1].start : end;

		if (next - edges[i].start > widest) {
			widest = next - edges[i].start;
			result = edges[i].to;
		}
	}
	return result;
}

/* The child to split f by, if there is one: the default, or in small nodes any that will do. */
static bool find_contained(struct join *join, uint64_t pair, uint32_t *standard)
{
	uint32_t count = node_of(join, pair)->edge_count;
	uint32_t i;

	if (is_contained(join, pair, *standard))
		return true;
	for (i = 0; i < count && count <= 4; i++) {
		uint32_t to = edges_of(join, pair)[i].to;

		if (to != CW_DIAGRAM_REJECT && to != *standard && is_contained(join, pair, to)) {
			*standard = to;
			return true;
		}
	}
	return false;
}

/* A part of its own below `parent`, for the function of `node`; CW_NONE when there are too many. */
static uint32_t make_piece(struct join *join, uint32_t parent, uint32_t node)
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
	push_u32(join, &joint->owners, joint->owners.at[parent]);
	push_u32(join, &joint->parents, parent);
	return joint->owners.count - 1;
}

/* A problem of its own for the pairs that asked for the variable, as a kid of the fork. */
static void add_kid(struct join *join, struct pairs *set, enum mode mode)
{
	uint32_t node = find_set(join, set, mode);

	if (node)
		push_u32(join, &join->kids, node);
}

static bool is_affordable(const struct join *join, uint64_t cost)
{
	return cost <= EXPAND_COST_MAX && join->entries + cost < join->entries_max / 4;
}

/* Exceptions, all of which ask for the variable: one table, or, if they overlap too much, halves.
 */
static void add_exceptions(struct join *join, struct pairs *set)
{
	uint64_t cost;
	uint32_t half;

	if (set->count == 0)
		return;
	sort_pairs(set->at, set->count);
	cost = survey(join, set, 0);
	if (set->count <= 2 ||
	    cost <= EXCEPTIONS_FACTOR * (uint64_t)set->count + EXCEPTIONS_EXTRA ||
	    is_affordable(join, cost)) {
		add_kid(join, set, MODE_EXPAND);
		return;
	}
	half = set->count / 2;
	join->gathered.count = 0;
	for (uint32_t i = half; i < set->count; i++)
		push(join, &join->gathered, pair_node(set->at[i]), pair_part(set->at[i]));
	set->count = half;
	add_kid(join, set, MODE_CHOOSE);
	add_kid(join, &join->gathered, MODE_CHOOSE);
}

/*
 * f of another shape: emit its default for a part of its own, and take that part back in the
 * exceptions. false when it has to stand alone (an excluding pair, or too many parts).
 */
static bool take_back(struct join *join, uint64_t pair, struct pairs *exceptions,
		      struct pairs *defaults)
{
	uint32_t part = pair_part(pair);
	uint32_t standard = widest_child(join, pair);
	uint32_t exception = make_side(join, pair, standard, SIDE_EXCEPTIONS);
	uint32_t piece = part;

	if (part & CW_PART_EXCLUDE)
		return false;
	/* The part itself serves if nobody else emits it. */
	if (exception != CW_DIAGRAM_REJECT || part & CW_PART_SHARED)
		piece = make_piece(join, part & CW_PART_MASK,
				   make_side(join, pair, standard, SIDE_DEFAULT));
	if (piece == CW_NONE)
		return false;
	push(join, exceptions, exception, part | CW_PART_SHARED);
	push(join, exceptions, make_side(join, pair, standard, SIDE_MARKS),
	     piece | CW_PART_EXCLUDE);
	push(join, defaults, standard, piece);
	join->build->joint.has_excludes = true;
	return true;
}

/* Nodes that cannot be split by containment. */
static void add_negated(struct join *join, struct pairs *set, struct pairs *defaults)
{
	struct pairs exceptions = {0}, alone = {0};
	uint64_t cost;
	uint32_t i;

	if (set->count == 0)
		return;
	cost = survey(join, set, 0);
	if (set->count == 1 || cost <= EXPAND_FACTOR * (uint64_t)set->count + EXPAND_EXTRA) {
		add_kid(join, set, MODE_EXPAND);
		return;
	}
	for (i = 0; i < set->count && !join->build->failure; i++) {
		if (take_back(join, set->at[i], &exceptions, defaults))
			continue;
		alone.count = 0;
		push(join, &alone, pair_node(set->at[i]), pair_part(set->at[i]));
		add_kid(join, &alone, MODE_EXPAND);
	}
	add_exceptions(join, &exceptions);
	free(exceptions.at);
	free(alone.at);
}

/* Fork into exceptions, negated ones and defaults. */
static void split(struct join *join, uint32_t target, uint32_t var)
{
	struct pairs exceptions = {0}, negated = {0}, defaults = {0};
	uint32_t i, made;

	for (i = 0; i < join->others.count; i++)
		push(join, &defaults, pair_node(join->others.at[i]), pair_part(join->others.at[i]));
	for (i = 0; i < join->mine.count && !join->build->failure; i++) {
		uint64_t pair = join->mine.at[i];
		uint32_t part = pair_part(pair);
		uint32_t standard = widest_child(join, pair);
		uint32_t shared = part & CW_PART_EXCLUDE ? part : part | CW_PART_SHARED;

		if (standard == CW_DIAGRAM_REJECT) {
			push(join, &exceptions, pair_node(pair), part);
		} else if (!find_contained(join, pair, &standard)) {
			push(join, &negated, pair_node(pair), part);
		} else {
			uint32_t trap = node_of(join, pair)->trap;

			push(join, &exceptions, make_side(join, pair, standard, SIDE_EXCEPTIONS),
			     shared);
			if (trap == CW_DIAGRAM_REJECT)
				standard = cw_diagram_guard(join->build, var, standard);
			push(join, &defaults, standard, shared);
		}
	}
	join->kids.count = 0;
	add_exceptions(join, &exceptions);
	add_negated(join, &negated, &defaults);
	if (defaults.count)
		add_kid(join, &defaults, MODE_CHOOSE);
	made = make_fork(join, NULL, 0, join->kids.at, join->kids.count);
	if (!join->build->failure) {
		struct cw_joint *joint = &join->build->joint;
		uint32_t first = append_words(join, &made, 1);

		/* The problem's own node goes on to it. */
		joint->at[target] =
		    (struct cw_joint_node){.kind = CW_JOINT_FORK, .first = first, .count = 1};
	}
	free(exceptions.at);
	free(negated.at);
	free(defaults.at);
}

/* ---- problems ---- */

/* The variable that comes first in any of the problem's nodes; divides its pairs by it. */
static uint32_t divide(struct join *join, const struct problem *problem)
{
	const struct cw_build *build = join->build;
	uint32_t var = CW_NONE, rank = CW_NONE;
	uint32_t i;

	join->mine.count = join->others.count = 0;
	for (i = 0; i < problem->set_count; i++) {
		uint32_t asked = node_of(join, join->sets.at[problem->set_first + i])->var;

		if (build->diagrams.rank[asked] < rank) {
			rank = build->diagrams.rank[asked];
			var = asked;
		}
	}
	for (i = 0; i < problem->set_count; i++) {
		uint64_t pair = join->sets.at[problem->set_first + i];

		push(join, node_of(join, pair)->var == var ? &join->mine : &join->others,
		     pair_node(pair), pair_part(pair));
	}
	return var;
}

static void solve(struct join *join, const struct problem *problem)
{
	uint32_t var = divide(join, problem);
	uint32_t count = problem->set_count;
	uint64_t cost = survey(join, &join->mine, join->others.count);

	if (problem->mode == MODE_EXPAND ||
	    cost <= EXPAND_FACTOR * (uint64_t)count + EXPAND_EXTRA) {
		expand(join, problem->node, var, &join->mine, &join->others);
		return;
	}
	if (join->others.count) {
		cost = survey(join, &join->mine, 0);
		if (cost <= EXPAND_FACTOR * (uint64_t)join->mine.count + EXPAND_EXTRA) {
			uint32_t kids[2];
			uint32_t first;

			kids[0] = find_set(join, &join->mine, MODE_EXPAND);
			kids[1] = find_set(join, &join->others, MODE_CHOOSE);
			first = append_words(join, kids, 2);
			join->build->joint.at[problem->node] = (struct cw_joint_node){
			    .kind = CW_JOINT_FORK, .first = first, .count = 2};
			return;
		}
	}
	split(join, problem->node, var);
}

/* The first problem: all filters. */
static void start(struct join *join)
{
	struct cw_build *build = join->build;
	struct cw_joint *joint = &build->joint;
	uint32_t i;

	append_node(join, &(struct cw_joint_node){.kind = CW_JOINT_LEAF});
	for (i = 0; i < build->filter_count; i++) {
		push_u32(join, &joint->owners, i);
		push_u32(join, &joint->parents, CW_NONE);
		push(join, &join->gathered, build->filters[i].diagram, i);
	}
	join->entries_max = (uint64_t)build->diagrams.edges.count * build->budget.joint_per_input +
			    build->budget.joint_extra;
	if (join->entries_max > build->budget.joint_max)
		join->entries_max = build->budget.joint_max;
	build->diagrams.count_max = CW_NONE;
	if (!build->failure)
		joint->root = find_set(join, &join->gathered, MODE_CHOOSE);
}

void cw_join(struct cw_build *build)
{
	struct join join = {.build = build, .entries_max = UINT64_MAX};
	uint32_t i;

	start(&join);
	for (i = 0; i < join.problems.count && !build->failure; i++) {
		struct problem problem = join.problems.at[i]; /* the array moves */

		solve(&join, &problem);
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
	free(join.emits.at);
	free(join.kids.at);
	free(join.active.at);
	free(join.child.at);
	free(join.events.at);
}
