/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a decision program, portably: from the root, each step looks at one value and says where to
 * go; a fork goes everywhere, the places still to be seen waiting on a stack; events are collected.
 * The x86-64 code of filter_jit_x86.c does the same. cw_collect then makes filters of the events.
 */
#include "core/filter_passes.h"

/* Refs of a fork that are still to be gone to. */
struct waiting {
	const uint32_t *next;
	const uint32_t *end;
};

static uint32_t compute(uint32_t op, uint32_t a, uint32_t b)
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

bool cw_walk_code(const uint32_t *code, const uint8_t *data, uint32_t caplen, uint32_t wire_len,
		  uint32_t *value)
{
	uint32_t stack[CW_EXPR_STACK_MAX];
	uint32_t depth = 0;

	for (;; code += 2) {
		uint32_t k = code[1];

		switch ((enum cw_code_op)(code[0] & 0xff)) {
		case CW_CODE_END:
			*value = stack[0];
			return true;
		case CW_CODE_CONST:
			stack[depth++] = k;
			break;
		case CW_CODE_LEN:
			stack[depth++] = wire_len;
			break;
		case CW_CODE_LOAD: {
			uint32_t bytes = code[0] >> 9;
			uint64_t offset = k;

			if (code[0] >> 8 & 1)
				offset += stack[--depth];
			if (offset + bytes > caplen)
				return false;
			stack[depth++] = bytes == 4   ? cw_load_be32(data + offset)
					 : bytes == 2 ? cw_load_be16(data + offset)
						      : data[offset];
			break;
		}
		case CW_CODE_ALU:
			depth--;
			if ((k == BPF_DIV || k == BPF_MOD) && stack[depth] == 0)
				return false;
			stack[depth - 1] = compute(k, stack[depth - 1], stack[depth]);
			break;
		}
	}
}

/* The value of a variable; false when it traps. */
static inline bool read_var(const struct cw_decision *decision, const struct cw_var *var,
			    const uint8_t *data, uint32_t caplen, uint32_t wire_len,
			    uint32_t *value)
{
	const uint8_t *at = data + var->offset;
	uint64_t need = var->need;

	switch ((enum cw_var_kind)var->kind) {
	case CW_VAR_LEN:
		*value = wire_len & var->mask;
		return true;
	case CW_VAR_CODE:
		return cw_walk_code(decision->code + var->offset, data, caplen, wire_len, value);
	case CW_VAR_BYTE_MSH:
	case CW_VAR_HALF_MSH:
	case CW_VAR_WORD_MSH:
		if (cw_unlikely(var->msh >= caplen))
			return false;
		need += (data[var->msh] & 15u) << 2;
		at += (data[var->msh] & 15u) << 2;
		break;
	default:
		break;
	}
	if (cw_unlikely(need > caplen))
		return false;
	switch ((enum cw_var_kind)var->kind) {
	case CW_VAR_BYTE:
	case CW_VAR_BYTE_MSH:
		*value = *at & var->mask;
		return true;
	case CW_VAR_HALF:
	case CW_VAR_HALF_MSH:
		*value = cw_load_be16(at) & var->mask;
		return true;
	default:
		*value = cw_load_be32(at) & var->mask;
		return true;
	}
}

static inline uint32_t find_hash(const struct cw_decision *decision, const struct cw_step *step,
				 uint32_t value)
{
	const struct cw_edge *table = decision->hashes + step->k;
	uint32_t size = UINT32_C(1) << CW_HASH_BITS(step->n);
	const uint32_t *bitmap = (const uint32_t *)(table + size);
	uint32_t key = value >> CW_HASH_SHIFT(step->n);
	uint32_t bit = cw_hash_bit(key, step->n);
	uint32_t at;

	if (!(bitmap[bit / 32] >> bit % 32 & 1))
		return step->otherwise;
	for (at = bit / 8; table[at].to != CW_NONE; at = (at + 1) & (size - 1))
		if (table[at].start == key)
			return table[at].to;
	return step->otherwise;
}

/* See struct cw_tree. */
static inline uint32_t find_tree(const struct cw_decision *decision, const struct cw_step *step,
				 uint32_t value)
{
	const uint32_t *words = decision->trees + step->k;
	const struct cw_tree *tree = (const struct cw_tree *)words;
	int32_t turned = (int32_t)(value ^ 0x80000000);
	uint32_t node = 0, smaller = 0, level, i;

	for (level = 0; level < tree->level_count; level++) {
		const int32_t *keys =
		    (const int32_t *)words + tree->levels[level] + node * CW_TREE_FANOUT;

		smaller = 0;
		for (i = 0; i < CW_TREE_FANOUT; i++)
			smaller += keys[i] < turned;
		if (level + 1 < tree->level_count)
			node = node * (CW_TREE_FANOUT + 1) + smaller;
	}
	return words[tree->refs + node * CW_TREE_FANOUT + smaller];
}

/* Where a step other than a fork goes. */
static inline uint32_t take_step(const struct cw_decision *decision, const struct cw_step *step,
				 const uint8_t *data, uint32_t caplen, uint32_t wire_len)
{
	uint32_t value;

	if (!read_var(decision, &decision->vars[step->var], data, caplen, wire_len, &value))
		return step->trap;
	switch ((enum cw_step_op)step->op) {
	case CW_STEP_EQUAL:
		return value == step->k ? step->then : step->otherwise;
	case CW_STEP_RANGE:
		return value - step->k < step->n ? step->then : step->otherwise;
	case CW_STEP_HASH:
		return find_hash(decision, step, value);
	case CW_STEP_TREE:
		return find_tree(decision, step, value);
	default: /* CW_STEP_EXISTS */
		return step->then;
	}
}

uint32_t cw_walk(const struct cw_decision *decision, const uint8_t *data, uint32_t caplen,
		 uint32_t wire_len, uint32_t *events)
{
	struct waiting stack[CW_FORK_DEPTH_MAX];
	uint32_t depth = 0, count = 0, ref = decision->root;

	for (;;) {
		const struct cw_step *step;

		if (ref < CW_REF_EMPTY) {
			step = &decision->steps[ref];
			if (step->op == CW_STEP_FORK) {
				const uint32_t *kids = decision->words + step->k;

				stack[depth++] = (struct waiting){kids + 1, kids + step->n};
				ref = kids[0];
			} else {
				ref = take_step(decision, step, data, caplen, wire_len);
			}
			continue;
		}
		if (ref & CW_REF_EVENT)
			events[count++] = ref & ~CW_REF_EVENT;
		if (depth == 0)
			return count;
		ref = *stack[depth - 1].next++;
		if (stack[depth - 1].next == stack[depth - 1].end)
			depth--;
	}
}
