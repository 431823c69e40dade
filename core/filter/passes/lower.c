/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fourth pass: from the joint graph to the tables that run. Nodes are lowered from the leaves up,
 * each once; equal results are stored once, so that equal tables of src and dst are one table. A
 * switch becomes the cheapest step that answers it: a comparison, a hash table for single values
 * (or prefixes of one length), a search tree for the rest.
 */
#include "core/filter/passes/lower.h"

#define HASH_KEYS_EXTRA 8u /* keys that intervals of several values may add */

static void push_edge(struct cw_lower *lower, struct cw_edges *list, uint32_t start, uint32_t to)
{
	if (CW_GROW(list, 1))
		cw_build_fail(lower->build, -ENOMEM);
	else
		list->at[list->count++] = (struct cw_edge){start, to};
}

/* ---- steps ---- */

static struct cost cost_of(const struct cw_lower *lower, uint32_t ref)
{
	if (ref == CW_REF_EMPTY)
		return (struct cost){0, 0, CW_NONE};
	if (!(ref & CW_REF_EVENT))
		return lower->costs.at[ref];
	if (lower->build->mode != CW_FILTER_FIRST)
		return (struct cost){1, 0, 0};
	if (ref & CW_EVENT_LEAF)
		return (struct cost){1, 0, lower->leaf_leasts.at[ref & CW_EVENT_MASK]};
	return (struct cost){1, 0, lower->build->joint.owners.at[ref & CW_EVENT_MASK]};
}

static void raise_cost(struct cost *cost, struct cost other)
{
	if (cost->events < other.events)
		cost->events = other.events;
	if (cost->forks < other.forks)
		cost->forks = other.forks;
	if (cost->least > other.least)
		cost->least = other.least;
}

/* Find an equal step, or append this one; returns its number. */
static uint32_t make_step(struct cw_lower *lower, const struct cw_step *step, struct cost cost)
{
	uint32_t hash = cw_hash_u32s((const uint32_t *)step, sizeof(*step) / 4, 0);
	uint32_t cursor = hash, found;

	while ((found = cw_index_next(&lower->step_index, hash, &cursor)) != CW_NONE)
		if (memcmp(&lower->steps.at[found], step, sizeof(*step)) == 0)
			return found;
	if (CW_GROW(&lower->steps, 1) || CW_GROW(&lower->costs, 1) ||
	    cw_index_add(&lower->step_index, hash, lower->steps.count)) {
		cw_build_fail(lower->build, -ENOMEM);
		return CW_REF_EMPTY;
	}
	if (cost.events > CW_EVENTS_MAX || cost.forks > CW_FORK_DEPTH_MAX)
		cw_build_fail(lower->build, -E2BIG);
	lower->costs.at[lower->costs.count++] = cost;
	lower->steps.at[lower->steps.count] = *step;
	return lower->steps.count++;
}

/* ---- leaves and forks ---- */

/* For the first match: note a leaf's lowest filter, and the lowest that it finds for certain. */
static void note_leaf(struct cw_lower *lower, const uint32_t *parts, uint32_t count)
{
	const struct cw_joint *joint = &lower->build->joint;
	uint32_t least = CW_NONE, bound = CW_NONE, i;

	for (i = 0; i < count; i++) {
		uint32_t part = parts[i] & CW_PART_MASK;

		least = cw_min_u32(least, joint->owners.at[part]);
		bound = cw_min_u32(bound, cw_joint_certain(joint, part));
	}
	cw_build_push(lower->build, &lower->leaf_leasts, least);
	cw_build_push(lower->build, &lower->leaf_bounds, bound);
}

/* Find or make the event for parts (ascending, all excluding or none). */
static uint32_t lower_parts(struct cw_lower *lower, const uint32_t *parts, uint32_t count)
{
	uint32_t flags = CW_REF_EVENT | (parts[0] & CW_PART_EXCLUDE ? CW_EVENT_EXCLUDE : 0);
	uint32_t hash, cursor, found, i;
	struct cw_leaf leaf = {.first = lower->words.count, .count = count};
	uint32_t words = count;

	if (count == 1)
		return flags | (parts[0] & CW_PART_MASK);
	if (count > CW_LEAF_LIST_MAX) {
		leaf.count = 0;
		words = lower->bitmap_words;
	}
	if (CW_GROW(&lower->words, words) || CW_GROW(&lower->leaves, 1)) {
		cw_build_fail(lower->build, -ENOMEM);
		return CW_REF_EMPTY;
	}
	memset(lower->words.at + leaf.first, 0, words * sizeof(uint32_t));
	for (i = 0; i < count; i++) {
		uint32_t part = parts[i] & CW_PART_MASK;

		if (leaf.count)
			lower->words.at[leaf.first + i] = part;
		else
			lower->words.at[leaf.first + part / 32] |= UINT32_C(1) << part % 32;
	}
	hash = cursor = cw_hash_u32s(lower->words.at + leaf.first, words, leaf.count);
	while ((found = cw_index_next(&lower->leaf_index, hash, &cursor)) != CW_NONE)
		if (lower->leaves.at[found].count == leaf.count &&
		    memcmp(lower->words.at + lower->leaves.at[found].first,
			   lower->words.at + leaf.first, words * sizeof(uint32_t)) == 0)
			return flags | CW_EVENT_LEAF | found;
	if (cw_index_add(&lower->leaf_index, hash, lower->leaves.count))
		cw_build_fail(lower->build, -ENOMEM);
	if (lower->build->mode == CW_FILTER_FIRST)
		note_leaf(lower, parts, count);
	if (lower->build->failure)
		return CW_REF_EMPTY;
	lower->words.count += words;
	lower->leaves.at[lower->leaves.count] = leaf;
	return flags | CW_EVENT_LEAF | lower->leaves.count++;
}

/* Add a kid's ref to the fork at hand; a kid that is a fork is replaced by its kids. */
static void add_ref(struct cw_lower *lower, uint32_t ref)
{
	if (ref == CW_REF_EMPTY)
		return;
	if (ref & CW_REF_EVENT || lower->steps.at[ref].op != CW_STEP_FORK) {
		cw_build_push(lower->build, &lower->refs, ref);
		return;
	}
	for (uint32_t i = 0; i < lower->steps.at[ref].n; i++) {
		uint32_t kid = lower->words.at[lower->steps.at[ref].k + i];

		if (kid < CW_REF_EMPTY && lower->steps.at[kid].op == CW_STEP_GUARD)
			kid = lower->steps.at[kid].then;
		cw_build_push(lower->build, &lower->refs, kid);
	}
}

static int by_start(const void *a, const void *b)
{
	const struct cw_edge *left = a, *right = b;

	return left->start < right->start ? -1 : left->start > right->start;
}

/* Sort the kids of the fork at hand by their lowest filter, and guard all but the first. */
static void guard_kids(struct cw_lower *lower)
{
	uint32_t count = lower->refs.count, i;

	lower->edges.count = 0;
	for (i = 0; i < count; i++)
		push_edge(lower, &lower->edges, cost_of(lower, lower->refs.at[i]).least,
			  lower->refs.at[i]);
	if (lower->build->failure)
		return;
	qsort(lower->edges.at, count, sizeof(*lower->edges.at), by_start);
	for (i = 0; i < count; i++) {
		struct cw_edge kid = lower->edges.at[i];
		struct cw_step guard = {.op = CW_STEP_GUARD,
					.form = CW_STEP_FORM(CW_STEP_GUARD, 0),
					.k = kid.start,
					.n = count - 1 - i,
					.then = kid.to};

		lower->refs.at[i] = i ? make_step(lower, &guard, cost_of(lower, kid.to)) : kid.to;
	}
}

/* Make the fork to lower->refs; returns its ref. */
static uint32_t make_fork(struct cw_lower *lower)
{
	struct cw_step step = {
	    .op = CW_STEP_FORK, .form = CW_STEP_FORM(CW_STEP_FORK, 0), .n = lower->refs.count};
	struct cost cost = {0, 0, CW_NONE};
	uint32_t first = lower->words.count, i;

	if (lower->refs.count == 0)
		return CW_REF_EMPTY;
	if (lower->refs.count == 1)
		return lower->refs.at[0];
	if (lower->build->mode == CW_FILTER_FIRST)
		guard_kids(lower);
	for (i = 0; i < lower->refs.count; i++) {
		struct cost kid = cost_of(lower, lower->refs.at[i]);
		uint32_t events = cost.events + kid.events;

		raise_cost(&cost, kid);
		cost.events = events;
	}
	cost.forks++;
	if (CW_GROW(&lower->words, lower->refs.count)) {
		cw_build_fail(lower->build, -ENOMEM);
		return CW_REF_EMPTY;
	}
	memcpy(lower->words.at + first, lower->refs.at, lower->refs.count * sizeof(uint32_t));
	lower->words.count += lower->refs.count;
	step.k = cw_lower_share(lower, CW_TABLE_WORDS, lower->words.at, &lower->words.count, first,
				lower->refs.count);
	return make_step(lower, &step, cost);
}

/*
 * List the nodes of a leaf or fork in lower->gathered: itself, the forks and leaves below it, and
 * the switches below those. So nested forks become one, and a fork below only another fork is never
 * made: a chain of forks would be written once for each of its links.
 */
static void gather_fork(struct cw_lower *lower, uint32_t number)
{
	const struct cw_joint *joint = &lower->build->joint;
	uint32_t stamp = ++lower->stamp, at, i;

	lower->gathered.count = lower->forks.count = 0;
	cw_build_push(lower->build, &lower->forks, number);
	while (lower->forks.count && !lower->build->failure) {
		const struct cw_joint_node *node;

		at = lower->forks.at[--lower->forks.count];
		if (lower->stamps.at[at] == stamp)
			continue;
		lower->stamps.at[at] = stamp;
		cw_build_push(lower->build, &lower->gathered, at);
		node = &joint->at[at];
		for (i = node->count; node->kind != CW_JOINT_SWITCH && i-- > 0;)
			cw_build_push(lower->build, &lower->forks,
				      joint->words.at[node->first + i]);
	}
}

/* Add the refs for a node's emits. */
static void add_emits(struct cw_lower *lower, const struct cw_joint_node *node)
{
	const uint32_t *emits = lower->build->joint.words.at + node->emit_first;
	uint32_t include_count = 0;

	while (include_count < node->emit_count && !(emits[include_count] & CW_PART_EXCLUDE))
		include_count++;
	if (include_count)
		cw_build_push(lower->build, &lower->refs, lower_parts(lower, emits, include_count));
	if (node->emit_count > include_count)
		cw_build_push(
		    lower->build, &lower->refs,
		    lower_parts(lower, emits + include_count, node->emit_count - include_count));
}

/* Lower a leaf or fork: its emits and kids; the switches among them are lowered already. */
static uint32_t lower_fork(struct cw_lower *lower, uint32_t number)
{
	const struct cw_joint *joint = &lower->build->joint;

	gather_fork(lower, number);
	lower->refs.count = 0;
	for (uint32_t i = 0; i < lower->gathered.count; i++) {
		uint32_t at = lower->gathered.at[i];

		if (joint->at[at].kind == CW_JOINT_SWITCH)
			add_ref(lower, lower->ref_of.at[at]);
		else
			add_emits(lower, &joint->at[at]);
	}
	return make_fork(lower);
}

/* ---- switches ---- */

/* Gather the edges with refs in place of nodes; equal neighbours are merged. */
static void gather_edges(struct cw_lower *lower, const struct cw_joint_node *node)
{
	const struct cw_edge *edges = lower->build->joint.edges.at + node->first;

	lower->edges.count = 0;
	for (uint32_t i = 0; i < node->count; i++) {
		uint32_t ref = lower->ref_of.at[edges[i].to];

		if (lower->edges.count == 0 || lower->edges.at[lower->edges.count - 1].to != ref)
			push_edge(lower, &lower->edges, edges[i].start, ref);
	}
}

static uint64_t edge_end(const struct cw_lower *lower, uint32_t index, uint32_t max)
{
	return index + 1 < lower->edges.count ? lower->edges.at[index + 1].start
					      : (uint64_t)max + 1;
}

/* The ref of the widest interval: the target of most values. */
static uint32_t widest_ref(const struct cw_lower *lower, uint32_t max)
{
	uint64_t widest = 0;
	uint32_t i, ref = lower->edges.at[0].to;

	for (i = 0; i < lower->edges.count; i++) {
		uint64_t width = edge_end(lower, i, max) - lower->edges.at[i].start;

		if (width > widest) {
			widest = width;
			ref = lower->edges.at[i].to;
		}
	}
	return ref;
}

/*
 * List the values that do not go to `default_child`, without the low `shift` bits, in which no two
 * intervals differ. False: too many for a hash table.
 */
static bool gather_keys(struct cw_lower *lower, uint32_t default_child, uint32_t max,
			uint32_t *shift)
{
	uint32_t bits = 0, i;

	for (i = 1; i < lower->edges.count; i++)
		bits |= lower->edges.at[i].start;
	*shift = bits ? (uint32_t)__builtin_ctz(bits) : 0;
	lower->keys.count = 0;
	for (i = 0; i < lower->edges.count; i++) {
		uint64_t start = lower->edges.at[i].start >> *shift;
		uint64_t last = (edge_end(lower, i, max) - 1) >> *shift;

		if (lower->edges.at[i].to == default_child)
			continue;
		if (last - start > 2 * lower->edges.count + HASH_KEYS_EXTRA)
			return false;
		for (; start <= last; start++)
			push_edge(lower, &lower->keys, (uint32_t)start, lower->edges.at[i].to);
		if (lower->keys.count > 2 * lower->edges.count + HASH_KEYS_EXTRA)
			return false;
	}
	return true;
}

/* Whether the switch asks about only one interval; fills the step for it. */
static bool lower_interval(const struct cw_lower *lower, uint32_t default_child, uint32_t max,
			   struct cw_step *step)
{
	uint32_t found = CW_NONE, i;

	for (i = 0; i < lower->edges.count; i++) {
		if (lower->edges.at[i].to == default_child)
			continue;
		if (found != CW_NONE)
			return false;
		found = i;
	}
	if (found == CW_NONE)
		return false;
	step->k = lower->edges.at[found].start;
	step->then = lower->edges.at[found].to;
	step->n = (uint32_t)(edge_end(lower, found, max) - step->k);
	step->op = step->n == 1 ? CW_STEP_EQUAL : CW_STEP_RANGE;
	if (step->n == 1)
		step->n = 0;
	return true;
}

/* Whether the table of lower->keys leads to events, and other values to nothing. */
static bool emits_only(const struct cw_lower *lower, uint32_t default_child)
{
	for (uint32_t i = 0; i < lower->keys.count; i++)
		if (!(lower->keys.at[i].to & CW_REF_EVENT))
			return false;
	return default_child == CW_REF_EMPTY;
}

static uint32_t lower_switch(struct cw_lower *lower, const struct cw_joint_node *node)
{
	const struct cw_expr *expr = &lower->build->exprs.at[node->var];
	uint32_t max = expr->max, default_child, shift, i;
	struct cw_step step = {.then = CW_REF_EMPTY};
	const struct cw_var *var;
	struct cost cost = {0, 0, CW_NONE};

	gather_edges(lower, node);
	if (lower->build->failure)
		return CW_REF_EMPTY;
	step.trap = expr->can_trap ? lower->ref_of.at[node->trap] : CW_REF_EMPTY;
	if (lower->edges.count == 1 && (!expr->can_trap || lower->edges.at[0].to == step.trap))
		return lower->edges.at[0].to;
	step.var = (uint16_t)cw_lower_var(lower, node->var);
	if (lower->build->failure)
		return CW_REF_EMPTY;
	var = &lower->vars.at[step.var];
	step.mask = var->mask;
	if (var->kind != CW_VAR_CODE) {
		step.offset = (uint16_t)var->offset;
		step.need = (uint16_t)var->need;
	}
	default_child = widest_ref(lower, max);
	step.otherwise = default_child;
	if (lower->edges.count == 1) {
		step.op = CW_STEP_EXISTS;
		step.then = default_child;
	} else if (!lower_interval(lower, default_child, max, &step)) {
		if (gather_keys(lower, default_child, max, &shift) &&
		    cw_lower_hash(lower, shift, &step)) {
			step.op = CW_STEP_HASH;
			step.n |= emits_only(lower, default_child) ? CW_HASH_EMITS : 0;
		} else {
			step.n = 0;
			step.op = CW_STEP_TREE;
			step.k = cw_lower_tree(lower);
			step.otherwise = CW_REF_EMPTY;
		}
	}
	step.form = (uint8_t)CW_STEP_FORM(step.op, lower->vars.at[step.var].kind);
	for (i = 0; i < lower->edges.count; i++)
		raise_cost(&cost, cost_of(lower, lower->edges.at[i].to));
	raise_cost(&cost, cost_of(lower, step.trap));
	return make_step(lower, &step, cost);
}

/* ---- the graph ---- */

static void push_if_missing(struct cw_lower *lower, struct cw_u32s *stack, uint32_t number)
{
	if (lower->ref_of.at[number] == CW_NONE)
		cw_build_push(lower->build, stack, number);
}

/* Push a node's targets that are not lowered yet; false: there are none. */
static bool push_missing(struct cw_lower *lower, struct cw_u32s *stack, uint32_t number)
{
	const struct cw_joint *joint = &lower->build->joint;
	const struct cw_joint_node *node = &joint->at[number];
	uint32_t before = stack->count, i;

	if (node->kind == CW_JOINT_SWITCH) {
		for (i = 0; i < node->count; i++)
			push_if_missing(lower, stack, joint->edges.at[node->first + i].to);
		push_if_missing(lower, stack, node->trap);
		return stack->count > before;
	}
	gather_fork(lower, number);
	for (i = 0; i < lower->gathered.count; i++)
		if (joint->at[lower->gathered.at[i]].kind == CW_JOINT_SWITCH)
			push_if_missing(lower, stack, lower->gathered.at[i]);
	return stack->count > before;
}

static uint32_t lower_graph(struct cw_lower *lower)
{
	const struct cw_joint *joint = &lower->build->joint;
	struct cw_u32s stack = {0};

	cw_build_push(lower->build, &stack, joint->root);
	while (stack.count && !lower->build->failure) {
		uint32_t number = stack.at[stack.count - 1];
		const struct cw_joint_node *node = &joint->at[number];

		if (lower->ref_of.at[number] == CW_NONE) {
			if (push_missing(lower, &stack, number))
				continue;
			lower->ref_of.at[number] = node->kind == CW_JOINT_SWITCH
						       ? lower_switch(lower, node)
						       : lower_fork(lower, number);
		}
		stack.count--;
	}
	free(stack.at);
	return lower->build->failure ? CW_REF_EMPTY : lower->ref_of.at[joint->root];
}

/* Fill the list with `count` times CW_NONE. */
static void fill_none(struct cw_lower *lower, struct cw_u32s *list, uint32_t count)
{
	if (CW_GROW(list, count + 1)) {
		cw_build_fail(lower->build, -ENOMEM);
		return;
	}
	memset(list->at, 0xff, (count + 1) * sizeof(uint32_t));
	list->count = count;
}

/* Copy the trees to cache-line-aligned memory. */
static uint32_t *align_trees(struct cw_lower *lower)
{
	size_t bytes =
	    ((size_t)lower->trees.count * 4 + CW_CACHE_LINE) & ~(size_t)(CW_CACHE_LINE - 1);
	uint32_t *trees = aligned_alloc(CW_CACHE_LINE, bytes);

	if (!trees)
		cw_build_fail(lower->build, -ENOMEM);
	else if (lower->trees.count)
		memcpy(trees, lower->trees.at, (size_t)lower->trees.count * 4);
	free(lower->trees.at);
	return trees;
}

/* Give back memory that growing took in excess. */
static void *trim(void *array, size_t bytes)
{
	void *trimmed = realloc(array, bytes ? bytes : 1);

	return trimmed ? trimmed : array; /* cppcheck-suppress memleak ; the caller has it */
}

static void hand_over(struct cw_lower *lower, struct cw_decision *decision)
{
	struct cw_joint *joint = &lower->build->joint;

	decision->steps = trim(lower->steps.at, lower->steps.count * sizeof(struct cw_step));
	decision->step_count = lower->steps.count;
	decision->vars = trim(lower->vars.at, lower->vars.count * sizeof(struct cw_var));
	decision->var_count = lower->vars.count;
	decision->hashes = trim(lower->hashes.at, lower->hashes.count * sizeof(struct cw_edge));
	decision->hash_count = lower->hashes.count;
	decision->words = trim(lower->words.at, lower->words.count * sizeof(uint32_t));
	decision->word_count = lower->words.count;
	decision->leaves = trim(lower->leaves.at, lower->leaves.count * sizeof(struct cw_leaf));
	decision->leaf_count = lower->leaves.count;
	decision->code = trim(lower->code.at, lower->code.count * sizeof(uint32_t));
	decision->code_count = lower->code.count;
	decision->trees = align_trees(lower);
	decision->tree_count = lower->trees.count;
	decision->part_count = joint->owners.count;
	decision->filter_count = lower->build->filter_count;
	decision->bitmap_words = lower->bitmap_words;
	if (joint->has_excludes) {
		decision->owners = joint->owners.at;
		decision->parents = joint->parents.at;
		joint->owners = (struct cw_u32s){0};
		joint->parents = (struct cw_u32s){0};
	}
}

/* Make the bounds: the filter that each part, then each leaf, finds for certain. */
static void make_bounds(struct cw_lower *lower, struct cw_decision *decision)
{
	const struct cw_joint *joint = &lower->build->joint;
	uint32_t part_count = joint->owners.count, i;

	decision->bounds =
	    malloc(((size_t)part_count + lower->leaves.count + 1) * sizeof(*decision->bounds));
	if (!decision->bounds) {
		cw_build_fail(lower->build, -ENOMEM);
		return;
	}
	for (i = 0; i < part_count; i++)
		decision->bounds[i] = cw_joint_certain(joint, i);
	for (i = 0; i < lower->leaves.count; i++)
		decision->bounds[part_count + i] = lower->leaf_bounds.at[i];
}

void cw_lower(struct cw_build *build, struct cw_decision *decision)
{
	struct cw_lower lower = {.build = build};

	*decision = (struct cw_decision){.root = CW_REF_EMPTY};
	lower.bitmap_words = (build->joint.owners.count + 63) / 64 * 2;
	fill_none(&lower, &lower.var_of, build->exprs.count);
	fill_none(&lower, &lower.ref_of, build->joint.count);
	fill_none(&lower, &lower.stamps, build->joint.count);
	if (!build->failure) {
		lower.ref_of.at[0] = CW_REF_EMPTY;
		decision->root = lower_graph(&lower);
	}
	if (!build->failure && build->mode == CW_FILTER_FIRST)
		make_bounds(&lower, decision);
	hand_over(&lower, decision);
	cw_index_fini(&lower.step_index);
	cw_index_fini(&lower.leaf_index);
	cw_index_fini(&lower.table_index);
	CW_FREE_ALL(lower.costs.at, lower.var_of.at, lower.ref_of.at, lower.edges.at, lower.keys.at,
		    lower.bucket_ends.at, lower.bucket_keys.at, lower.refs.at, lower.gathered.at,
		    lower.forks.at, lower.stamps.at, lower.leaf_leasts.at, lower.leaf_bounds.at);
}
