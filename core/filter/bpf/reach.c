/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of a packet that a program can reach. A live capture has the kernel copy no more than
 * that: the program's result is the same on the rest as on the whole packet. Each register and
 * scratch word has an upper bound per instruction, the largest of all ways there.
 */
#include <stdlib.h>

#include "core/filter/bpf/bpf.h"

#define INSTRUCTIONS_MAX 65536u /* followed; a longer program reaches everything */
#define ANYTHING UINT32_MAX     /* the bound of a value that has none */

struct bounds {
	bool is_reached;
	uint32_t a, x;
	uint32_t words[CW_FILTER_SCRATCH_WORDS];
};

static uint32_t max(uint32_t left, uint32_t right)
{
	return left > right ? left : right;
}

/* A value that can exceed 32 bits wraps around: then it can be anything. */
static uint32_t narrow(uint64_t bound)
{
	return bound < ANYTHING ? (uint32_t)bound : ANYTHING;
}

/* Returns the bound of A after an operation on it and on a value of at most `other`. */
static uint32_t calculate(uint16_t code, uint32_t a, uint32_t other)
{
	bool is_k = BPF_SRC(code) == BPF_K;
	uint32_t larger = max(a, other);

	switch (BPF_OP(code)) {
	case BPF_ADD:
		return narrow((uint64_t)a + other);
	case BPF_MUL:
		return narrow((uint64_t)a * other);
	case BPF_DIV:
		return is_k ? a / other : a;
	case BPF_MOD:
	case BPF_AND:
		return cw_min_u32(a, other);
	case BPF_OR:
	case BPF_XOR:
		return larger ? ANYTHING >> __builtin_clz(larger) : 0;
	case BPF_LSH:
		return is_k ? narrow((uint64_t)a << other) : ANYTHING;
	case BPF_RSH:
		return is_k ? a >> other : a;
	default: /* a difference can wrap around */
		return ANYTHING;
	}
}

/* Sets the bound of what a load puts into A or X. Returns the end of the bytes that it reads. */
static uint32_t load(struct bounds *bounds, const struct bpf_insn *at)
{
	uint32_t bytes = BPF_SIZE(at->code) == BPF_W ? 4 : BPF_SIZE(at->code) == BPF_H ? 2 : 1;
	uint64_t start = at->k;
	uint32_t value, end = 0;

	switch (BPF_MODE(at->code)) {
	case BPF_IND:
		start += bounds->x;
		/* fall through */
	case BPF_ABS:
		value = ANYTHING >> (32 - 8 * bytes);
		end = narrow(start + bytes);
		break;
	case BPF_MSH: /* four times the lower half of a byte */
		value = 4 * 15;
		end = narrow(start + 1);
		break;
	case BPF_IMM:
		value = at->k;
		break;
	case BPF_MEM:
		value = bounds->words[at->k];
		break;
	default: /* the length of the packet */
		value = ANYTHING;
		break;
	}
	*(BPF_CLASS(at->code) == BPF_LD ? &bounds->a : &bounds->x) = value;
	return end;
}

/* Carries out an instruction other than a jump. Returns the end of the bytes that it reads. */
static uint32_t carry_out(struct bounds *bounds, const struct bpf_insn *at)
{
	switch (BPF_CLASS(at->code)) {
	case BPF_LD:
	case BPF_LDX:
		return load(bounds, at);
	case BPF_ST:
		bounds->words[at->k] = bounds->a;
		return 0;
	case BPF_STX:
		bounds->words[at->k] = bounds->x;
		return 0;
	case BPF_ALU:
		bounds->a =
		    calculate(at->code, bounds->a, BPF_SRC(at->code) == BPF_X ? bounds->x : at->k);
		return 0;
	default:
		if (BPF_MISCOP(at->code) == BPF_TAX)
			bounds->x = bounds->a;
		else
			bounds->a = bounds->x;
		return 0;
	}
}

/* Adds a way to the instruction `to`. */
static void join(struct bounds *to, const struct bounds *from)
{
	to->is_reached = true;
	to->a = max(to->a, from->a);
	to->x = max(to->x, from->x);
	for (uint32_t i = 0; i < CW_FILTER_SCRATCH_WORDS; i++)
		to->words[i] = max(to->words[i], from->words[i]);
}

/* Follows the instruction at `index`. Returns the end of the bytes that it reads. */
static uint32_t follow(const struct cw_bpf *program, uint32_t index, struct bounds *all)
{
	const struct bpf_insn *at = &program->at[index];
	struct bounds after = all[index];
	uint32_t end;

	if (BPF_CLASS(at->code) == BPF_RET)
		return 0;
	if (at->code == (BPF_JMP | BPF_JA)) {
		join(&all[index + 1 + at->k], &after);
		return 0;
	}
	if (BPF_CLASS(at->code) == BPF_JMP) {
		join(&all[index + 1 + at->jt], &after);
		join(&all[index + 1 + at->jf], &after);
		return 0;
	}
	end = carry_out(&after, at);
	join(&all[index + 1], &after);
	return end;
}

uint32_t cw_bpf_reach(const struct cw_bpf *program)
{
	uint32_t reach = 0, index;
	struct bounds *all;

	/* Without backward jumps one pass in order meets each instruction after all ways to it. */
	if (program->backward_count || program->count > INSTRUCTIONS_MAX)
		return ANYTHING;
	all = calloc(program->count, sizeof(*all));
	if (!all)
		return ANYTHING;
	all[0].is_reached = true;
	for (index = 0; index < program->count; index++)
		if (all[index].is_reached)
			reach = max(reach, follow(program, index, all));
	free(all);
	return reach;
}
