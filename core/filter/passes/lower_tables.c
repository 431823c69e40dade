/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tables of a decision program: variables, hash tables, search trees. Equal tables are stored
 * once: source and destination hosts mostly share a table.
 */
#include "core/filter/passes/lower.h"

#define MULTIPLIER_TRIES 2048u /* multipliers tried for one bucket */
#define TABLE_TRIES 3u         /* sizes tried, each twice the last */

/* Write the postfix code of an expression, two words an operation; returns its offset. */
static uint32_t lower_code(struct cw_lower *lower, uint32_t expr)
{
	const struct cw_expr *exprs = lower->build->exprs.at;
	uint32_t stack[2 * CW_EXPR_SIZE_MAX + 2];
	uint32_t first = lower->code.count;
	uint32_t depth = 0;

	stack[depth++] = expr << 1; /* bit 0: operands are written */
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
			cw_build_push(lower->build, &lower->code,
				      CW_CODE_LOAD | (uint32_t)(at->a != CW_NONE) << 8 |
					  (uint32_t)at->bytes << 9);
		else if (at->op == CW_EXPR_ALU)
			cw_build_push(lower->build, &lower->code, CW_CODE_ALU);
		else
			cw_build_push(lower->build, &lower->code,
				      at->op == CW_EXPR_LEN ? CW_CODE_LEN : CW_CODE_CONST);
		cw_build_push(lower->build, &lower->code, at->k);
	}
	cw_build_push(lower->build, &lower->code, CW_CODE_END);
	cw_build_push(lower->build, &lower->code, 0);
	return first;
}

/* Whether `expr` is 4 * (byte at k & 15); fills *k. */
static bool is_header_length(const struct cw_lower *lower, uint32_t expr, uint32_t *k)
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

/* Whether the expression is a load with its own kind of variable; fills `var`. */
static bool lower_load(const struct cw_lower *lower, uint32_t expr, struct cw_var *var)
{
	const struct cw_expr *load = &lower->build->exprs.at[expr];
	uint32_t size = load->bytes == 1 ? 0 : load->bytes == 2 ? 1 : 2;

	if (load->op != CW_EXPR_LOAD || load->k > CW_VAR_OFFSET_MAX)
		return false;
	var->offset = load->k;
	var->need = load->k + load->bytes;
	var->kind = CW_VAR_BYTE + size;
	if (load->a == CW_NONE)
		return true;
	var->kind = CW_VAR_BYTE_MSH + size;
	return is_header_length(lower, load->a, &var->msh);
}

uint32_t cw_lower_var(struct cw_lower *lower, uint32_t expr)
{
	const struct cw_expr *at = &lower->build->exprs.at[expr];
	struct cw_var var = {.mask = UINT32_MAX};
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
		var = (struct cw_var){
		    .kind = CW_VAR_CODE, .offset = lower_code(lower, expr), .mask = UINT32_MAX};
	}
	if (CW_GROW(&lower->vars, 1)) {
		cw_build_fail(lower->build, -ENOMEM);
		return 0;
	}
	if (lower->vars.count > UINT16_MAX)
		cw_build_fail(lower->build, -E2BIG);
	lower->vars.at[lower->vars.count] = var;
	return lower->var_of.at[expr] = lower->vars.count++;
}

/* ---- tables ---- */

uint32_t cw_lower_share(struct cw_lower *lower, uint32_t kind, const uint32_t *all, uint32_t *end,
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
		cw_build_fail(lower->build, -ENOMEM);
	return first;
}

/* Divide lower->keys into buckets: bucket i holds lower->bucket_keys[ends[i-1]] .. [ends[i]-1]. */
static void fill_buckets(struct cw_lower *lower, uint32_t n)
{
	uint32_t *ends = lower->bucket_ends.at + 1;
	uint32_t bucket_count = UINT32_C(1) << CW_HASH_BUCKET_BITS(n);

	/* Count the keys, then find each bucket's first place, which moves to its end. */
	memset(lower->bucket_ends.at, 0, (bucket_count + 2) * sizeof(*ends));
	for (uint32_t i = 0; i < lower->keys.count; i++)
		ends[cw_hash_bucket(lower->keys.at[i].start, n) + 1]++;
	for (uint32_t i = 1; i < bucket_count; i++)
		ends[i] += ends[i - 1];
	for (uint32_t i = 0; i < lower->keys.count; i++)
		lower->bucket_keys.at[ends[cw_hash_bucket(lower->keys.at[i].start, n)]++] = i;
}

/* Put the keys of a bucket into the places of a multiplier; false: a place is taken, no key is put.
 */
static bool try_multiplier(const struct cw_lower *lower, struct cw_edge *table, uint32_t n,
			   const uint32_t *numbers, uint32_t count, uint32_t multiplier)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		struct cw_edge key = lower->keys.at[numbers[i]];
		struct cw_edge *entry = &table[cw_hash_place(key.start, multiplier, n)];

		if (entry->to != CW_NONE)
			break;
		*entry = key;
	}
	if (i == count)
		return true;
	while (i-- > 0)
		table[cw_hash_place(lower->keys.at[numbers[i]].start, multiplier, n)].to = CW_NONE;
	return false;
}

/* Find the multiplier of a bucket and put its keys; false: no multiplier fits. */
static bool place_bucket(const struct cw_lower *lower, struct cw_edge *table, uint32_t n,
			 uint32_t bucket)
{
	const uint32_t *ends = lower->bucket_ends.at + 1;
	uint32_t first = bucket ? ends[bucket - 1] : 0;
	uint32_t multiplier = CW_HASH_MULTIPLIER, tries;

	for (tries = 0; tries < MULTIPLIER_TRIES; tries++) {
		multiplier = (multiplier * 747796405 + 2891336453) | 1;
		if (try_multiplier(lower, table, n, lower->bucket_keys.at + first,
				   ends[bucket] - first, multiplier)) {
			((uint32_t *)(table + (UINT32_C(1) << CW_HASH_BITS(n))))[bucket] =
			    multiplier;
			return true;
		}
	}
	return false;
}

/*
 * Put all keys into the table, the largest buckets first, while there is room. The bucket of key 0
 * comes before all, because that key has place 0 under any multiplier.
 */
static bool fill_table(struct cw_lower *lower, struct cw_edge *table, uint32_t n)
{
	const uint32_t *ends = lower->bucket_ends.at + 1;
	uint32_t bucket_count = UINT32_C(1) << CW_HASH_BUCKET_BITS(n);
	uint32_t size = UINT32_C(1) << CW_HASH_BITS(n);
	uint32_t largest = 0, i;

	memset(table, 0xff, cw_hash_entries(n) * sizeof(*table));
	fill_buckets(lower, n);
	if (!place_bucket(lower, table, n, 0))
		return false;
	for (i = 1; i < bucket_count; i++)
		largest = largest < ends[i] - ends[i - 1] ? ends[i] - ends[i - 1] : largest;
	for (; largest > 0; largest--)
		for (i = 1; i < bucket_count; i++)
			if (ends[i] - ends[i - 1] == largest && !place_bucket(lower, table, n, i))
				return false;
	for (i = 0; i < size; i++)
		if (table[i].to == CW_NONE)
			table[i].start = lower->keys.at[0].start;
	return true;
}

bool cw_lower_hash(struct cw_lower *lower, uint32_t shift, struct cw_step *step)
{
	uint32_t first = lower->hashes.count, end, bits = 2, entries = 0, tries;
	bool is_filled = false;

	while ((UINT64_C(15) << bits) / 16 < lower->keys.count)
		bits++;
	for (tries = 0; tries < TABLE_TRIES && !is_filled; tries++, bits++) {
		if (bits > CW_HASH_BITS_MAX)
			return false;
		step->n = CW_HASH_N(bits, shift, bits < 3 ? 1 : bits - 2);
		entries = cw_hash_entries(step->n);
		if (CW_GROW(&lower->hashes, entries) ||
		    CW_GROW(&lower->bucket_keys, lower->keys.count) ||
		    CW_GROW(&lower->bucket_ends,
			    (UINT32_C(1) << CW_HASH_BUCKET_BITS(step->n)) + 2)) {
			cw_build_fail(lower->build, -ENOMEM);
			return false;
		}
		is_filled = fill_table(lower, lower->hashes.at + first, step->n);
	}
	if (!is_filled)
		return false;
	lower->hashes.count += entries;
	end = 2 * lower->hashes.count;
	first = cw_lower_share(lower, CW_TABLE_HASH, (const uint32_t *)lower->hashes.at, &end,
			       2 * first, 2 * entries);
	lower->hashes.count = end / 2;
	step->k = first / 2;
	return true;
}

static uint32_t tree_key(uint32_t start)
{
	return (start - 1) ^ 0x80000000;
}

/* Count the blocks of each level of a tree of `count` keys, lowest first; returns the levels. */
static uint32_t count_blocks(uint32_t count, uint32_t blocks[CW_TREE_LEVELS_MAX])
{
	uint32_t levels = 1;

	blocks[0] = (count + CW_TREE_FANOUT - 1) / CW_TREE_FANOUT;
	for (; blocks[levels - 1] > 1; levels++)
		blocks[levels] = (blocks[levels - 1] + CW_TREE_FANOUT) / (CW_TREE_FANOUT + 1);
	return levels;
}

/* Write the keys of a level: the starts on the lowest level; above it, key n of node i is the first
 * start under child n + 1. `span`: starts under a child; 0: the lowest level. */
static void fill_level(const struct cw_edges *edges, uint32_t *keys, uint32_t blocks, uint32_t span)
{
	uint32_t i, n;

	for (i = 0; i < blocks; i++) {
		for (n = 0; n < CW_TREE_FANOUT; n++) {
			uint64_t start = span ? ((uint64_t)i * (CW_TREE_FANOUT + 1) + n + 1) * span
					      : (uint64_t)i * CW_TREE_FANOUT + n;

			*keys++ = start < edges->count - 1 ? tree_key(edges->at[start + 1].start)
							   : INT32_MAX;
		}
	}
}

uint32_t cw_lower_tree(struct cw_lower *lower)
{
	const struct cw_edges *edges = &lower->edges;
	struct cw_tree tree = {.start_count = edges->count - 1}; /* without the first */
	uint32_t blocks[CW_TREE_LEVELS_MAX], level, i;
	uint64_t words = sizeof(tree) / 4 + edges->count + CW_TREE_FANOUT;
	uint32_t first = lower->trees.count, span = 0, end = sizeof(tree) / 4;
	uint32_t *at;

	tree.level_count = count_blocks(tree.start_count, blocks);
	for (level = tree.level_count; level-- > 0;) {
		tree.levels[tree.level_count - 1 - level] = end;
		end += blocks[level] * CW_TREE_FANOUT;
		words += (uint64_t)blocks[level] * CW_TREE_FANOUT;
	}
	if (CW_GROW(&lower->trees, words)) {
		cw_build_fail(lower->build, -ENOMEM);
		return 0;
	}
	at = lower->trees.at + first;
	tree.refs = end;
	memcpy(at, &tree, sizeof(tree));
	for (level = 0; level < tree.level_count; level++) {
		fill_level(edges, at + tree.levels[tree.level_count - 1 - level], blocks[level],
			   span);
		span = span ? span * (CW_TREE_FANOUT + 1) : CW_TREE_FANOUT;
	}
	for (i = 0; i < edges->count; i++)
		at[end++] = edges->at[i].to;
	while (end % CW_TREE_FANOUT)
		at[end++] = 0;
	lower->trees.count += end;
	end = lower->trees.count;
	first = cw_lower_share(lower, CW_TABLE_TREE, lower->trees.at, &end, first, end - first);
	lower->trees.count = end;
	return first;
}
