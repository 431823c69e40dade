/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Expressions: values that a program computes from a packet, independent of the place in the
 * program. Equal expressions are stored once, so that equal questions of different filters are the
 * same variable. Constants are folded, and masks are reduced to the bits that can matter.
 */
#include "core/filter/passes/passes.h"

static uint32_t make_expr(struct cw_build *build, const struct cw_expr *wanted)
{
	uint32_t key[5] = {wanted->op, wanted->bytes, wanted->k, wanted->a, wanted->b};
	uint32_t hash = cw_hash_u32s(key, 5, 0);
	uint32_t cursor = hash, found;
	struct cw_exprs *exprs = &build->exprs;

	while ((found = cw_index_next(&exprs->index, hash, &cursor)) != CW_NONE) {
		const struct cw_expr *expr = &exprs->at[found];

		if (expr->op == wanted->op && expr->bytes == wanted->bytes &&
		    expr->k == wanted->k && expr->a == wanted->a && expr->b == wanted->b)
			return found;
	}
	if (CW_GROW(exprs, 1) || cw_index_add(&exprs->index, hash, exprs->count)) {
		cw_build_fail(build, -ENOMEM);
		return 0;
	}
	exprs->at[exprs->count] = *wanted;
	return exprs->count++;
}

uint32_t cw_expr_const(struct cw_build *build, uint32_t value)
{
	return make_expr(build, &(struct cw_expr){.op = CW_EXPR_CONST,
						  .k = value,
						  .a = CW_NONE,
						  .b = CW_NONE,
						  .max = value,
						  .stack = 1,
						  .size = 1});
}

uint32_t cw_expr_len(struct cw_build *build)
{
	return make_expr(build, &(struct cw_expr){.op = CW_EXPR_LEN,
						  .a = CW_NONE,
						  .b = CW_NONE,
						  .max = UINT32_MAX,
						  .stack = 1,
						  .size = 1});
}

static uint32_t make_trap(struct cw_build *build)
{
	return make_expr(build, &(struct cw_expr){.op = CW_EXPR_TRAP,
						  .a = CW_NONE,
						  .b = CW_NONE,
						  .can_trap = 1,
						  .stack = 1,
						  .size = 1});
}

uint32_t cw_expr_load(struct cw_build *build, uint32_t bytes, uint32_t k, uint32_t base)
{
	static const uint32_t max[] = {0, UINT8_MAX, UINT16_MAX, 0, UINT32_MAX};
	struct cw_expr load = {.op = CW_EXPR_LOAD,
			       .bytes = (uint8_t)bytes,
			       .can_trap = 1,
			       .a = CW_NONE,
			       .b = CW_NONE,
			       .max = max[bytes],
			       .stack = 1,
			       .size = 1};

	if (base != CW_NONE && cw_expr_is(&build->exprs, base, CW_EXPR_TRAP))
		return base;
	if (base != CW_NONE && cw_expr_is(&build->exprs, base, CW_EXPR_CONST)) {
		/* Packets are shorter. */
		if ((uint64_t)k + build->exprs.at[base].k > UINT32_MAX)
			return make_trap(build);
		k += build->exprs.at[base].k;
		base = CW_NONE;
	}
	if (base != CW_NONE) {
		load.stack = build->exprs.at[base].stack;
		load.size = cw_min_u32(UINT16_MAX, build->exprs.at[base].size + 1);
	}
	load.k = k;
	load.a = base;
	return make_expr(build, &load);
}

/* All ones up to the highest one of `max`. */
static uint32_t fill_ones(uint32_t max)
{
	return max ? UINT32_MAX >> __builtin_clz(max) : 0;
}

/* An upper bound of a (op) k. */
static uint32_t bound(uint32_t op, uint32_t max, uint32_t k)
{
	switch (op) {
	case BPF_AND:
		return cw_min_u32(max, k);
	case BPF_RSH:
		return k < 32 ? max >> k : 0;
	case BPF_LSH:
		return k < 32 && (uint64_t)max << k <= UINT32_MAX ? max << k : UINT32_MAX;
	case BPF_ADD:
		return (uint64_t)max + k <= UINT32_MAX ? max + k : UINT32_MAX;
	case BPF_MOD:
		return cw_min_u32(max, k - 1);
	case BPF_DIV:
		return max / k;
	default:
		return UINT32_MAX;
	}
}

/* Make the operation without simplifying it. */
static uint32_t make_alu_expr(struct cw_build *build, uint32_t op, uint32_t a, uint32_t b)
{
	struct cw_expr alu = {.op = CW_EXPR_ALU, .k = op, .a = a, .b = b, .max = UINT32_MAX};
	const struct cw_expr *left = &build->exprs.at[a];
	const struct cw_expr *right = &build->exprs.at[b];
	bool is_known = right->op == CW_EXPR_CONST;

	if (op == CW_ALU_GT || op == CW_ALU_GE)
		alu.max = 1;
	else if (is_known)
		alu.max = bound(op, left->max, right->k);
	alu.can_trap =
	    left->can_trap || right->can_trap || ((op == BPF_DIV || op == BPF_MOD) && !is_known);
	/* The left value waits while the right one is computed. */
	alu.stack = (uint8_t)cw_min_u32(UINT8_MAX, left->stack > right->stack ? left->stack
									      : right->stack + 1u);
	alu.size = cw_min_u32(UINT16_MAX, left->size + right->size + 1);
	return make_expr(build, &alu);
}

/* Make a & k, simplified: masks of masks are merged, bits that a never has are dropped. */
static uint32_t make_and(struct cw_build *build, uint32_t a, uint32_t k)
{
	const struct cw_expr *left = &build->exprs.at[a];

	if (left->op == CW_EXPR_ALU && left->k == BPF_AND &&
	    cw_expr_is(&build->exprs, left->b, CW_EXPR_CONST)) {
		k &= build->exprs.at[left->b].k;
		a = left->a;
		left = &build->exprs.at[a];
	}
	k &= fill_ones(left->max);
	if (k == fill_ones(left->max))
		return a;
	if (k == 0 && !left->can_trap)
		return cw_expr_const(build, 0);
	return make_alu_expr(build, BPF_AND, a, cw_expr_const(build, k));
}

uint32_t cw_expr_alu(struct cw_build *build, uint32_t op, uint32_t a, uint32_t b)
{
	const struct cw_expr *left = &build->exprs.at[a];
	const struct cw_expr *right = &build->exprs.at[b];

	if (left->op == CW_EXPR_TRAP || right->op == CW_EXPR_TRAP)
		return make_trap(build);
	if (right->op != CW_EXPR_CONST)
		return make_alu_expr(build, op, a, b);
	if ((op == BPF_DIV || op == BPF_MOD) && right->k == 0)
		return make_trap(build);
	if (left->op == CW_EXPR_CONST)
		return cw_expr_const(build, cw_expr_compute(op, left->k, right->k));
	if (right->k == 0 && (op == BPF_ADD || op == BPF_SUB || op == BPF_OR || op == BPF_XOR ||
			      op == BPF_LSH || op == BPF_RSH))
		return a;
	if (op == BPF_AND)
		return make_and(build, a, right->k);
	return make_alu_expr(build, op, a, b);
}
