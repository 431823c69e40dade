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

void cw_decision_fini(struct cw_decision *decision)
{
	cw_jit_fini(decision);
	CW_FREE_ALL(decision->steps, decision->vars, decision->hashes, decision->trees,
		    decision->words, decision->leaves, decision->code, decision->owners,
		    decision->parents, decision->bounds);
	*decision = (struct cw_decision){.root = CW_REF_EMPTY};
}

size_t cw_decision_bytes(const struct cw_decision *decision)
{
	size_t parts = decision->owners ? 2 * (size_t)decision->part_count : 0;
	size_t bounds = decision->bounds ? (size_t)decision->part_count + decision->leaf_count : 0;

	return (decision->steps ? decision->step_count * sizeof(struct cw_step) : 0) +
	       decision->var_count * sizeof(struct cw_var) +
	       decision->hash_count * sizeof(struct cw_edge) +
	       decision->leaf_count * sizeof(struct cw_leaf) +
	       ((size_t)decision->tree_count + decision->word_count + decision->code_count + parts +
		bounds) *
		   sizeof(uint32_t) +
	       decision->jit_bytes;
}
