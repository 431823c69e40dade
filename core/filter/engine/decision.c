/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of a decision program, and its arithmetic.
 */
#include "core/filter/engine/decision.h"

/* As in the interpreter; callers exclude division by zero. */
uint32_t cw_expr_compute(uint32_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return a / b;
	case BPF_MOD:
		return a % b;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	case BPF_RSH:
		return b < 32 ? a >> b : 0;
	case CW_ALU_GT:
		return a > b;
	case CW_ALU_GE:
		return a >= b;
	default: /* BPF_NEG */
		return 0 - a;
	}
}

/* The parts of a leaf as bits; parts are filters. */
static uint64_t leaf_bits(const struct cw_decision *decision, const struct cw_leaf *leaf)
{
	const uint32_t *words = decision->words + leaf->first;
	uint64_t bits = 0;

	if (leaf->count == 0)
		return words[0] | (uint64_t)words[1] << 32;
	for (uint32_t i = 0; i < leaf->count; i++)
		bits |= UINT64_C(1) << words[i];
	return bits;
}

int cw_decision_add_bits(struct cw_decision *decision)
{
	uint32_t part_count = decision->part_count, i;
	uint64_t *bits;

	if (decision->owners || part_count > CW_BITS_MAX)
		return 0;
	bits = malloc(((size_t)part_count + decision->leaf_count + 1) * sizeof(*bits));
	if (!bits)
		return -ENOMEM;
	for (i = 0; i < part_count; i++)
		bits[i] = UINT64_C(1) << i;
	for (i = 0; i < decision->leaf_count; i++)
		bits[part_count + i] = leaf_bits(decision, &decision->leaves[i]);
	decision->event_bits = bits;
	return 0;
}

void cw_decision_fini(struct cw_decision *decision)
{
	cw_jit_fini(decision);
	CW_FREE_ALL(decision->steps, decision->vars, decision->hashes, decision->trees,
		    decision->words, decision->leaves, decision->code, decision->owners,
		    decision->parents, decision->bounds, decision->event_bits);
	*decision = (struct cw_decision){.root = CW_REF_EMPTY};
}

size_t cw_decision_bytes(const struct cw_decision *decision)
{
	size_t parts = decision->owners ? 2 * (size_t)decision->part_count : 0;
	size_t events = (size_t)decision->part_count + decision->leaf_count;
	size_t bounds = decision->bounds ? events : 0;

	return (decision->steps ? decision->step_count * sizeof(struct cw_step) : 0) +
	       decision->var_count * sizeof(struct cw_var) +
	       decision->hash_count * sizeof(struct cw_edge) +
	       decision->leaf_count * sizeof(struct cw_leaf) +
	       ((size_t)decision->tree_count + decision->word_count + decision->code_count + parts +
		bounds) *
		   sizeof(uint32_t) +
	       (decision->event_bits ? events * sizeof(uint64_t) : 0) + decision->jit_bytes;
}
