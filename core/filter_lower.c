/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fourth pass: from the joint graph to the tables that run. Nodes are lowered from the leaves up,
 * each once; equal results become one, so that a table of src and the same table of dst are one
 * table. A switch becomes the cheapest step that answers it: a comparison, a hash table where what
 * differs are single values (or prefixes of one length), a search tree for the rest.
 */
#include "core/filter_passes.h"

const uint32_t cw_hash_multipliers[4] = {0x9e3779b1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f};

#define HASH_KEYS_EXTRA 8u /* that intervals of more than one value may add */

struct growing_steps {
	struct cw_step *at;
	uint32_t count;
	uint32_t capacity;
};

struct costs { /* of a step */
	struct cost {
		uint32_t events;
		uint32_t forks;
	} * at;
	uint32_t count;
	uint32_t capacity;
};

struct lower {
	struct cw_build *build;
	struct growing_steps steps;
	struct costs costs;
	struct vars {
		struct cw_var *at;
		uint32_t count;
		uint32_t capacity;
	} vars;
	struct cw_edges hashes;
	struct cw_u32s trees;
	struct cw_u32s words;
	struct leaves {
		struct cw_leaf *at;
		uint32_t count;
		uint32_t capacity;
	} leaves;
	struct cw_u32s code;
	struct cw_index step_index, leaf_index, table_index;
	struct cw_u32s var_of; /* expression -> var, CW_NONE */
	struct cw_u32s ref_of; /* joint node -> ref, CW_NONE */
	struct cw_edges edges; /* of the switch at hand, refs in place of nodes */
	struct cw_edges keys;  /* of the hash table at hand */
	struct cw_u32s refs;   /* of the fork at hand */
	uint32_t bitmap_words;
};

static void fail_memory(struct lower *lower)
{
	cw_build_fail(lower->build, -ENOMEM);
}

static void push_word(struct lower *lower, struct cw_u32s *list, uint32_t word)
{
	if (CW_GROW(list, 1))
		fail_memory(lower);
	else
		list->at[list->count++] = word;
}

static void push_edge(struct lower *lower, struct cw_edges *list, uint32_t start, uint32_t to)
{
	if (CW_GROW(list, 1))
		fail_memory(lower);
	else
		list->at[list->count++] = (struct cw_edge){start, to};
}

/* ---- variables ---- */

/* Postfix code of an expression; an operation is two words. */
static uint32_t lower_code(struct lower *lower, uint32_t expr)
{
	const struct cw_expr *exprs = lower->build->exprs.at;
	uint32_t stack[2 * CW_EXPR_SIZE_MAX + 2];
	uint32_t first = lower->code.count;
	uint32_t depth = 0;

	stack[depth++] = expr << 1; /* bit 0: what it is made of is there */
	while (depth && !lower->build->failure) {
		uint32_t top = stack[--depth];
		const struct cw_expr *at = &exprs[top >> 1];

		if (!(top & 1) && at->a != CW_NONE) {
			stack[depth++] = top | 1;
			if (at->b != CW_NONE)
				stack[depth++] = at->b << 1;
			stack[depth++] = at->a << 1;
			continue;
		}
		if (at->op == CW_EXPR_LOAD)
			push_word(lower, &lower->code,
				  CW_CODE_LOAD | (uint32_t)(at->a != CW_NONE) << 8 |
				      (uint32_t)at->bytes << 9);
		else if (at->op == CW_EXPR_ALU)
			push_word(lower, &lower->code, CW_CODE_ALU);
		else
			push_word(lower, &lower->code,
				  at->op == CW_EXPR_LEN ? CW_CODE_LEN : CW_CODE_CONST);
		push_word(lower, &lower->code, at->k);
	}
	push_word(lower, &lower->code, CW_CODE_END);
	push_word(lower, &lower->code, 0);
	return first;
}

/* Whether `expr` is 4 * (byte at k & 15): then *k is that. */
static bool is_header_length(const struct lower *lower, uint32_t expr, uint32_t *k)
{
	const struct cw_expr *exprs = lower->build->exprs.at;
	const struct cw_expr *shift = &exprs[expr], *mask, *load;

	if (shift->op != CW_EXPR_ALU || shift->k != BPF_LSH ||
	    exprs[shift->b].op != CW_EXPR_CONST || exprs[shift->b].k != 2)
		return false;
	mask = &exprs[shift->a];
	if (mask->op != CW_EXPR_ALU || mask->k != BPF_AND || exprs[mask->b].op != CW_EXPR_CONST ||
	    exprs[mask->b].k != 15)
		return false;
	load = &exprs[mask->a];
	*k = load->k;
	return load->op == CW_EXPR_LOAD && load->bytes == 1 && load->a == CW_NONE &&
	       load->k < INT32_MAX;
}

/* Whether the expression is a load that has a kind of its own; fills it. */
static bool lower_load(const struct lower *lower, uint32_t expr, struct cw_var *var)
{
	const struct cw_expr *load = &lower->build->exprs.at[expr];
	uint32_t size = load->bytes == 1 ? 0 : load->bytes == 2 ? 1 : 2;

	if (load->op != CW_EXPR_LOAD || load->k > INT32_MAX / 2)
		return false;
	var->offset = load->k;
	var->need = load->k + load->bytes;
	var->kind = CW_VAR_BYTE + size;
	if (load->a == CW_NONE)
		return true;
	var->kind = CW_VAR_BYTE_MSH + size;
	return is_header_length(lower, load->a, &var->msh);
}

static uint32_t lower_var(struct lower *lower, uint32_t expr)
{
	const struct cw_expr *at = &lower->build->exprs.at[expr];
	struct cw_var var = {.mask = UINT32_MAX, .max = at->max};
	uint32_t inner = expr;

	if (lower->var_of.at[expr] != CW_NONE)
		return lower->var_of.at[expr];
	if (at->op == CW_EXPR_ALU && at->k == BPF_AND &&
	    lower->build->exprs.at[at->b].op == CW_EXPR_CONST) {
		var.mask = lower->build->exprs.at[at->b].k;
		inner = at->a;
	}
	if (lower->build->exprs.at[inner].op == CW_EXPR_LEN) {
		var.kind = CW_VAR_LEN;
	} else if (!lower_load(lower, inner, &var)) {
		var = (struct cw_var){.kind = CW_VAR_CODE,
				      .offset = lower_code(lower, expr),
				      .mask = UINT32_MAX,
				      .max = at->max};
	}
	if (CW_GROW(&lower->vars, 1)) {
		fail_memory(lower);
		return 0;
	}
	if (lower->vars.count > UINT16_MAX)
		cw_build_fail(lower->build, -E2BIG);
	lower->vars.at[lower->vars.count] = var;
	return lower->var_of.at[expr] = lower->vars.count++;
}

/* ---- steps ---- */

static struct cost cost_of(const struct lower *lower, uint32_t ref)
{
	if (ref & CW_REF_EVENT)
		return (struct cost){1, 0};
	if (ref == CW_REF_EMPTY)
		return (struct cost){0, 0};
	return lower->costs.at[ref];
}

static void raise_cost(struct cost *cost, struct cost other)
{
	if (cost->events < other.events)
		cost->events = other.events;
	if (cost->forks < other.forks)
		cost->forks = other.forks;
}

/* The step; appended when there is no equal one. */
static uint32_t make_step(struct lower *lower, const struct cw_step *step, struct cost cost)
{
	uint32_t hash = cw_hash_u32s((const uint32_t *)step, sizeof(*step) / 4, 0);
	uint32_t cursor = hash, found;

	while ((found = cw_index_next(&lower->step_index, hash, &cursor)) != CW_NONE)
		if (memcmp(&lower->steps.at[found], step, sizeof(*step)) == 0)
			return found;
	if (CW_GROW(&lower->steps, 1) || CW_GROW(&lower->costs, 1) ||
	    cw_index_add(&lower->step_index, hash, lower->steps.count)) {
		fail_memory(lower);
		return CW_REF_EMPTY;
	}
	if (cost.events > CW_EVENTS_MAX || cost.forks > CW_FORK_DEPTH_MAX)
		cw_build_fail(lower->build, -E2BIG);
	lower->costs.at[lower->costs.count++] = cost;
	lower->steps.at[lower->steps.count] = *step;
	return lower->steps.count++;
}

/* ---- tables: found again when equal ---- */

/* `count` words at `first` of the list are a new table: its offset, or that of an equal older one,
 * the new one being dropped. `kind` keeps tables of different lists apart. */
static uint32_t share_table(struct lower *lower, uint32_t kind, const uint32_t *all, uint32_t *end,
			    uint32_t first, uint32_t count)
{
	uint32_t hash = cw_hash_u32s(all + first, count, kind);
	uint32_t cursor = hash, found;

	while ((found = cw_index_next(&lower->table_index, hash, &cursor)) != CW_NONE) {
		if (found % 4 == kind && (found / 4 + (uint64_t)count) <= first &&
		    memcmp(all + found / 4, all + first, count * sizeof(*all)) == 0) {
			*end = first;
			return found / 4;
		}
	}
	if (cw_index_add(&lower->table_index, hash, first * 4 + kind))
		fail_memory(lower);
	return first;
}

#define TABLE_HASH 0u
#define TABLE_TREE 1u
#define TABLE_WORDS 2u

/* Put the keys into a table and its bitmap; how far they lie from where they belong, summed. */
static uint32_t fill_table(const struct lower *lower, struct cw_edge *table, uint32_t n)
{
	uint32_t size = UINT32_C(1) << CW_HASH_BITS(n);
	uint32_t *bitmap = (uint32_t *)(table + size);
	uint32_t distance = 0;
	uint32_t i;

	memset(table, 0xff, size * sizeof(*table));
	memset(bitmap, 0, (cw_hash_entries(n) - size) * sizeof(*table));
	for (i = 0; i < lower->keys.count; i++) {
		uint32_t bit = cw_hash_bit(lower->keys.at[i].start, n);
		uint32_t at = bit / 8;

		bitmap[bit / 32] |= UINT32_C(1) << bit % 32;
		while (table[at].to != CW_NONE) {
			at = (at + 1) & (size - 1);
			distance++;
		}
		table[at] = lower->keys.at[i];
	}
	return distance;
}

/* The hash table of lower->keys, by the multiplier that suits them best. */
static uint32_t make_hash(struct lower *lower, uint32_t shift, uint32_t *n)
{
	uint32_t first = lower->hashes.count, end;
	uint32_t bits = 1, which, best = 0, least = UINT32_MAX, entries;

	while (UINT32_C(1) << bits < 2 * lower->keys.count)
		bits++;
	entries = cw_hash_entries(CW_HASH_N(bits, shift, 0));
	if (bits > CW_HASH_BITS_MAX) {
		cw_build_fail(lower->build, -E2BIG);
		return 0;
	}
	if (CW_GROW(&lower->hashes, entries)) {
		fail_memory(lower);
		return 0;
	}
	for (which = 0; which < CW_ARRAY_COUNT(cw_hash_multipliers) && least; which++) {
		uint32_t distance =
		    fill_table(lower, lower->hashes.at + first, CW_HASH_N(bits, shift, which));

		if (distance < least) {
			least = distance;
			best = which;
		}
	}
	*n = CW_HASH_N(bits, shift, best);
	fill_table(lower, lower->hashes.at + first, *n);
	lower->hashes.count += entries;
	end = 2 * lower->hashes.count;
	first = share_table(lower, TABLE_HASH, (const uint32_t *)lower->hashes.at, &end, 2 * first,
			    2 * entries);
	lower->hashes.count = end / 2;
	return first / 2;
}

static uint32_t tree_key(uint32_t start)
{
	return (start - 1) ^ 0x80000000;
}

/* The search tree of lower->edges; see struct cw_tree. */
static uint32_t make_tree(struct lower *lower)
{
	const struct cw_edge *edges = lower->edges.at;
	uint32_t count = lower->edges.count - 1; /* starts after the first */
	uint32_t blocks[CW_TREE_LEVELS_MAX], level_count = 0, level, i, n;
	uint64_t words = sizeof(struct cw_tree) / 4 + count + 1 + CW_TREE_FANOUT;
	uint32_t first = lower->trees.count, span = CW_TREE_FANOUT, end;
	struct cw_tree tree = {.start_count = count};
	uint32_t *at;

	/* blocks[0] is the lowest level here. */
	blocks[level_count++] = (count + CW_TREE_FANOUT - 1) / CW_TREE_FANOUT;
	while (blocks[level_count - 1] > 1) {
		blocks[level_count] =
		    (blocks[level_count - 1] + CW_TREE_FANOUT) / (CW_TREE_FANOUT + 1);
		level_count++;
	}
	for (level = 0; level < level_count; level++)
		words += (uint64_t)blocks[level] * CW_TREE_FANOUT;
	if (CW_GROW(&lower->trees, words)) {
		fail_memory(lower);
		return 0;
	}
	at = lower->trees.at + first;
	tree.level_count = level_count;
	end = sizeof(tree) / 4;
	for (level = level_count; level-- > 0;) {
		tree.levels[level_count - 1 - level] = end;
		end += blocks[level] * CW_TREE_FANOUT;
	}
	tree.refs = end;
	memcpy(at, &tree, sizeof(tree));
	for (level = 0; level < level_count; level++) {
		uint32_t *keys = at + tree.levels[level_count - 1 - level];

		/* Key n of node i: the lowest level's are the starts; above, the first start under
		 * child n + 1. `span` starts lie under a child. */
		for (i = 0; i < blocks[level]; i++) {
			for (n = 0; n < CW_TREE_FANOUT; n++) {
				uint64_t start =
				    level == 0
					? (uint64_t)i * CW_TREE_FANOUT + n
					: ((uint64_t)i * (CW_TREE_FANOUT + 1) + n + 1) * span;

				keys[i * CW_TREE_FANOUT + n] =
				    start < count ? tree_key(edges[start + 1].start) : INT32_MAX;
			}
		}
		if (level > 0)
			span *= CW_TREE_FANOUT + 1;
	}
	for (i = 0; i <= count; i++)
		at[end++] = edges[i].to;
	while (end % CW_TREE_FANOUT)
		at[end++] = 0;
	lower->trees.count += end;
	end = lower->trees.count;
	first = share_table(lower, TABLE_TREE, lower->trees.at, &end, first, end - first);
	lower->trees.count = end;
	return first;
}

/* ---- leaves and forks ---- */

/* The event for parts (ascending, all excluding or none). */
static uint32_t lower_parts(struct lower *lower, const uint32_t *parts, uint32_t count)
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
		fail_memory(lower);
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
		fail_memory(lower);
	lower->words.count += words;
	lower->leaves.at[lower->leaves.count] = leaf;
	return flags | CW_EVENT_LEAF | lower->leaves.count++;
}

/* A kid's ref into the fork at hand; a fork's own kids in its place. */
static void add_ref(struct lower *lower, uint32_t ref)
{
	uint32_t i;

	if (ref == CW_REF_EMPTY)
		return;
	if (ref & CW_REF_EVENT || lower->steps.at[ref].op != CW_STEP_FORK) {
		push_word(lower, &lower->refs, ref);
		return;
	}
	for (i = 0; i < lower->steps.at[ref].n; i++)
		push_word(lower, &lower->refs, lower->words.at[lower->steps.at[ref].k + i]);
}

/* The fork to lower->refs. */
static uint32_t make_fork(struct lower *lower)
{
	struct cw_step step = {.op = CW_STEP_FORK, .n = lower->refs.count};
	struct cost cost = {0, 0};
	uint32_t first = lower->words.count, i;

	if (lower->refs.count == 0)
		return CW_REF_EMPTY;
	if (lower->refs.count == 1)
		return lower->refs.at[0];
	for (i = 0; i < lower->refs.count; i++) {
		struct cost kid = cost_of(lower, lower->refs.at[i]);
		uint32_t events = cost.events + kid.events;

		raise_cost(&cost, kid);
		cost.events = events;
	}
	cost.forks++;
	if (CW_GROW(&lower->words, lower->refs.count)) {
		fail_memory(lower);
		return CW_REF_EMPTY;
	}
	memcpy(lower->words.at + first, lower->refs.at, lower->refs.count * sizeof(uint32_t));
	lower->words.count += lower->refs.count;
	step.k = share_table(lower, TABLE_WORDS, lower->words.at, &lower->words.count, first,
			     lower->refs.count);
	return make_step(lower, &step, cost);
}

/* A leaf or a fork: what it emits, then its kids. */
static uint32_t lower_fork(struct lower *lower, const struct cw_joint_node *node)
{
	const uint32_t *emits = lower->build->joint.words.at + node->emit_first;
	uint32_t include_count = 0, i;

	lower->refs.count = 0;
	while (include_count < node->emit_count && !(emits[include_count] & CW_PART_EXCLUDE))
		include_count++;
	if (include_count)
		push_word(lower, &lower->refs, lower_parts(lower, emits, include_count));
	if (node->emit_count > include_count)
		push_word(
		    lower, &lower->refs,
		    lower_parts(lower, emits + include_count, node->emit_count - include_count));
	for (i = 0; i < node->count; i++)
		add_ref(lower, lower->ref_of.at[lower->build->joint.words.at[node->first + i]]);
	return make_fork(lower);
}

/* ---- switches ---- */

/* Edges with refs in place of nodes, equal neighbours merged, none above the largest value. */
static void gather_edges(struct lower *lower, const struct cw_joint_node *node)
{
	const struct cw_edge *edges = lower->build->joint.edges.at + node->first;
	uint32_t i;

	lower->edges.count = 0;
	for (i = 0; i < node->count; i++) {
		uint32_t ref = lower->ref_of.at[edges[i].to];

		if (lower->edges.count == 0 || lower->edges.at[lower->edges.count - 1].to != ref)
			push_edge(lower, &lower->edges, edges[i].start, ref);
	}
}

static uint64_t edge_end(const struct lower *lower, uint32_t index, uint32_t max)
{
	return index + 1 < lower->edges.count ? lower->edges.at[index + 1].start
					      : (uint64_t)max + 1;
}

/* The ref of the widest interval. */
static uint32_t widest_ref(const struct lower *lower, uint32_t max)
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
 * List the values (without the bits in which no two intervals differ) that do not go to `standard`;
 * false when there are too many for a hash table.
 */
static bool gather_keys(struct lower *lower, uint32_t standard, uint32_t max, uint32_t *shift)
{
	uint32_t bits = 0, i;

	for (i = 1; i < lower->edges.count; i++)
		bits |= lower->edges.at[i].start;
	*shift = bits ? (uint32_t)__builtin_ctz(bits) : 0;
	lower->keys.count = 0;
	for (i = 0; i < lower->edges.count; i++) {
		uint64_t start = lower->edges.at[i].start >> *shift;
		uint64_t last = (edge_end(lower, i, max) - 1) >> *shift;

		if (lower->edges.at[i].to == standard)
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

/* Whether the switch asks about one interval only; then the step for that. */
static bool lower_interval(const struct lower *lower, uint32_t standard, uint32_t max,
			   struct cw_step *step)
{
	uint32_t found = CW_NONE, i;

	for (i = 0; i < lower->edges.count; i++) {
		if (lower->edges.at[i].to == standard)
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

static uint32_t lower_switch(struct lower *lower, const struct cw_joint_node *node)
{
	const struct cw_expr *expr = &lower->build->exprs.at[node->var];
	uint32_t max = expr->max, standard, shift, i;
	struct cw_step step = {.then = CW_REF_EMPTY};
	struct cost cost = {0, 0};

	gather_edges(lower, node);
	if (lower->build->failure)
		return CW_REF_EMPTY;
	step.trap = expr->can_trap ? lower->ref_of.at[node->trap] : CW_REF_EMPTY;
	if (lower->edges.count == 1 && (!expr->can_trap || lower->edges.at[0].to == step.trap))
		return lower->edges.at[0].to;
	step.var = (uint16_t)lower_var(lower, node->var);
	if (lower->build->failure)
		return CW_REF_EMPTY;
	step.kind = (uint8_t)lower->vars.at[step.var].kind;
	standard = widest_ref(lower, max);
	step.otherwise = standard;
	if (lower->edges.count == 1) {
		step.op = CW_STEP_EXISTS;
		step.then = standard;
	} else if (!lower_interval(lower, standard, max, &step)) {
		if (gather_keys(lower, standard, max, &shift)) {
			step.op = CW_STEP_HASH;
			step.k = make_hash(lower, shift, &step.n);
		} else {
			step.op = CW_STEP_TREE;
			step.k = make_tree(lower);
			step.otherwise = CW_REF_EMPTY;
		}
	}
	for (i = 0; i < lower->edges.count; i++)
		raise_cost(&cost, cost_of(lower, lower->edges.at[i].to));
	raise_cost(&cost, cost_of(lower, step.trap));
	return make_step(lower, &step, cost);
}

/* ---- the graph ---- */

/* Push what a node leads to and is not lowered yet; false when there was nothing. */
static bool push_missing(struct lower *lower, struct cw_u32s *stack, uint32_t number)
{
	const struct cw_joint *joint = &lower->build->joint;
	const struct cw_joint_node *node = &joint->at[number];
	uint32_t before = stack->count, i;

	for (i = 0; i < node->count; i++) {
		uint32_t to = node->kind == CW_JOINT_SWITCH ? joint->edges.at[node->first + i].to
							    : joint->words.at[node->first + i];

		if (lower->ref_of.at[to] == CW_NONE)
			push_word(lower, stack, to);
	}
	if (node->kind == CW_JOINT_SWITCH && lower->ref_of.at[node->trap] == CW_NONE)
		push_word(lower, stack, node->trap);
	return stack->count > before;
}

static uint32_t lower_graph(struct lower *lower)
{
	const struct cw_joint *joint = &lower->build->joint;
	struct cw_u32s stack = {0};

	push_word(lower, &stack, joint->root);
	while (stack.count && !lower->build->failure) {
		uint32_t number = stack.at[stack.count - 1];
		const struct cw_joint_node *node = &joint->at[number];

		if (lower->ref_of.at[number] == CW_NONE) {
			if (push_missing(lower, &stack, number))
				continue;
			lower->ref_of.at[number] = node->kind == CW_JOINT_SWITCH
						       ? lower_switch(lower, node)
						       : lower_fork(lower, node);
		}
		stack.count--;
	}
	free(stack.at);
	return lower->build->failure ? CW_REF_EMPTY : lower->ref_of.at[joint->root];
}

/* `count` times CW_NONE. */
static void fill_none(struct lower *lower, struct cw_u32s *list, uint32_t count)
{
	if (CW_GROW(list, count + 1)) {
		fail_memory(lower);
		return;
	}
	memset(list->at, 0xff, (count + 1) * sizeof(uint32_t));
	list->count = count;
}

/* Trees on cache lines. */
static uint32_t *align_trees(struct lower *lower)
{
	size_t bytes =
	    ((size_t)lower->trees.count * 4 + CW_CACHE_LINE) & ~(size_t)(CW_CACHE_LINE - 1);
	uint32_t *trees = aligned_alloc(CW_CACHE_LINE, bytes);

	if (!trees)
		fail_memory(lower);
	else if (lower->trees.count)
		memcpy(trees, lower->trees.at, (size_t)lower->trees.count * 4);
	free(lower->trees.at);
	return trees;
}

/* Give back what growing took too much. */
static void *trim(void *array, size_t bytes)
{
	void *trimmed = realloc(array, bytes ? bytes : 1);

	return trimmed ? trimmed : array;
}

static void hand_over(struct lower *lower, struct cw_decision *decision)
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
	decision->has_excludes = joint->has_excludes;
	if (joint->has_excludes) {
		decision->owners = joint->owners.at;
		decision->parents = joint->parents.at;
		joint->owners = (struct cw_u32s){0};
		joint->parents = (struct cw_u32s){0};
	}
}

void cw_lower(struct cw_build *build, struct cw_decision *decision)
{
	struct lower lower = {.build = build};

	*decision = (struct cw_decision){.root = CW_REF_EMPTY};
	lower.bitmap_words = (build->joint.owners.count + 31) / 32;
	fill_none(&lower, &lower.var_of, build->exprs.count);
	fill_none(&lower, &lower.ref_of, build->joint.count);
	if (!build->failure) {
		lower.ref_of.at[0] = CW_REF_EMPTY;
		decision->root = lower_graph(&lower);
		decision->event_max = cost_of(&lower, decision->root).events;
	}
	hand_over(&lower, decision);
	cw_index_fini(&lower.step_index);
	cw_index_fini(&lower.leaf_index);
	cw_index_fini(&lower.table_index);
	free(lower.costs.at);
	free(lower.var_of.at);
	free(lower.ref_of.at);
	free(lower.edges.at);
	free(lower.keys.at);
	free(lower.refs.at);
}

void cw_decision_fini(struct cw_decision *decision)
{
	cw_jit_fini(decision);
	free(decision->steps);
	free(decision->vars);
	free(decision->hashes);
	free(decision->trees);
	free(decision->words);
	free(decision->leaves);
	free(decision->code);
	free(decision->owners);
	free(decision->parents);
	*decision = (struct cw_decision){.root = CW_REF_EMPTY};
}

size_t cw_decision_bytes(const struct cw_decision *decision)
{
	size_t parts = decision->owners ? 2 * (size_t)decision->part_count : 0;

	return (decision->steps ? decision->step_count * sizeof(struct cw_step) : 0) +
	       decision->var_count * sizeof(struct cw_var) +
	       decision->hash_count * sizeof(struct cw_edge) +
	       decision->leaf_count * sizeof(struct cw_leaf) +
	       ((size_t)decision->tree_count + decision->word_count + decision->code_count +
		parts) *
		   sizeof(uint32_t) +
	       decision->jit_bytes;
}
