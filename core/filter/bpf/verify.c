/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks a classic BPF program before anything runs it: opcodes that bpf_filter knows, jumps inside
 * the program, scratch indexes, constant divisors and shifts, a return at the end. Every engine can
 * run a verified program without further checks of the program; packet bounds are checked at run
 * time.
 *
 * Conditional jumps always go forward. An unconditional jump may go backward (libpcap's protochain
 * is a loop): such jumps are counted here, and only the interpreter, which limits their number,
 * runs the program.
 *
 * libpcap generates programs that read scratch memory they never set (`geneve and tcp or not
 * geneve`). Following the program finds them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/filter/bpf/bpf.h"

#define PASSES_MAX 64u /* over a program with loops; libpcap's need three */
#define UNREACHED UINT32_MAX

/* Whether bpf_filter knows the opcode; it aborts on others. */
static bool is_opcode(uint16_t code)
{
	switch (code) {
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_B | BPF_ABS:
	case BPF_LD | BPF_W | BPF_IND:
	case BPF_LD | BPF_H | BPF_IND:
	case BPF_LD | BPF_B | BPF_IND:
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_MSH | BPF_B:
	case BPF_LDX | BPF_IMM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
	case BPF_JMP | BPF_JA:
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_JMP | BPF_JEQ | BPF_X:
	case BPF_JMP | BPF_JGT | BPF_X:
	case BPF_JMP | BPF_JGE | BPF_X:
	case BPF_JMP | BPF_JSET | BPF_X:
	case BPF_ALU | BPF_ADD | BPF_X:
	case BPF_ALU | BPF_SUB | BPF_X:
	case BPF_ALU | BPF_MUL | BPF_X:
	case BPF_ALU | BPF_DIV | BPF_X:
	case BPF_ALU | BPF_MOD | BPF_X:
	case BPF_ALU | BPF_AND | BPF_X:
	case BPF_ALU | BPF_OR | BPF_X:
	case BPF_ALU | BPF_XOR | BPF_X:
	case BPF_ALU | BPF_LSH | BPF_X:
	case BPF_ALU | BPF_RSH | BPF_X:
	case BPF_ALU | BPF_ADD | BPF_K:
	case BPF_ALU | BPF_SUB | BPF_K:
	case BPF_ALU | BPF_MUL | BPF_K:
	case BPF_ALU | BPF_DIV | BPF_K:
	case BPF_ALU | BPF_MOD | BPF_K:
	case BPF_ALU | BPF_AND | BPF_K:
	case BPF_ALU | BPF_OR | BPF_K:
	case BPF_ALU | BPF_XOR | BPF_K:
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
	case BPF_ALU | BPF_NEG:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
		return true;
	default:
		return false;
	}
}

static bool uses_scratch(uint16_t code)
{
	return code == (BPF_LD | BPF_MEM) || code == (BPF_LDX | BPF_MEM) || code == BPF_ST ||
	       code == BPF_STX;
}

/* The fault of the jump at `index`, in words, or NULL. */
static const char *check_jump(const struct bpf_insn *jump, uint32_t index, uint32_t count)
{
	int64_t next = (int64_t)index + 1;
	int64_t target;

	if (BPF_OP(jump->code) == BPF_JA) {
		target = next + (int32_t)jump->k;
		return target >= 0 && target < count ? NULL : "jumps out of the program";
	}
	if (next + jump->jt >= count || next + jump->jf >= count)
		return "jumps out of the program";
	return NULL;
}

/* The fault of the instruction at `index`, in words, or NULL. */
static const char *check_instruction(const struct bpf_insn *program, uint32_t index, uint32_t count)
{
	const struct bpf_insn *instruction = &program[index];
	uint16_t code = instruction->code;

	if (!is_opcode(code))
		return "has an unknown code";
	if (BPF_CLASS(code) == BPF_JMP)
		return check_jump(instruction, index, count);
	if (uses_scratch(code) && instruction->k >= CW_FILTER_SCRATCH_WORDS)
		return "uses a scratch word that does not exist";
	if (BPF_CLASS(code) == BPF_ALU && BPF_SRC(code) == BPF_K) {
		if ((BPF_OP(code) == BPF_DIV || BPF_OP(code) == BPF_MOD) && instruction->k == 0)
			return "divides by zero";
		/* Undefined in libpcap's interpreter: no result to be equal to. */
		if ((BPF_OP(code) == BPF_LSH || BPF_OP(code) == BPF_RSH) && instruction->k > 31)
			return "shifts by more than 31 bits";
	}
	return NULL;
}

int cw_filter_verify(const struct bpf_insn *program, uint32_t count, uint32_t *backward_count,
		     struct cw_error *error)
{
	*backward_count = 0;
	if (count == 0)
		return cw_error_set(error, -EINVAL, "filter program has no instructions");
	if (count > CW_FILTER_INSTRUCTIONS_MAX)
		return cw_error_set(error, -E2BIG,
				    "filter program has %u instructions; the limit is %u", count,
				    CW_FILTER_INSTRUCTIONS_MAX);
	for (uint32_t index = 0; index < count; index++) {
		const struct bpf_insn *instruction = &program[index];
		const char *wrong = check_instruction(program, index, count);

		if (wrong)
			return cw_error_set(error, -EINVAL,
					    "filter program: instruction %u (code 0x%x, k %u) %s",
					    index, instruction->code, instruction->k, wrong);
		if (instruction->code == (BPF_JMP | BPF_JA) && (int32_t)instruction->k < 0)
			++*backward_count;
	}
	if (BPF_CLASS(program[count - 1].code) != BPF_RET)
		return cw_error_set(
		    error, -EINVAL,
		    "filter program: instruction %u is the last, but does not return", count - 1);
	return 0;
}

/* Removes from the words set at `target` those not in `set`; returns whether any was removed. */
static bool flow(uint32_t *target, uint32_t set)
{
	uint32_t before = *target;

	*target &= set;
	return *target != before;
}

/* Follows the instruction at `index` to those after it; `words` has a bit per scratch word that is
 * set on every path so far. Returns whether an earlier instruction changed. */
static bool follow(const struct bpf_insn *program, uint32_t index, uint32_t *words)
{
	const struct bpf_insn *at = &program[index];
	uint32_t set = words[index], next = index + 1;
	uint32_t target;
	bool is_backward;

	if (at->code == BPF_ST || at->code == BPF_STX)
		set |= UINT32_C(1) << at->k;
	if (BPF_CLASS(at->code) == BPF_RET)
		return false;
	if (BPF_CLASS(at->code) != BPF_JMP) {
		flow(&words[next], set);
		return false;
	}
	if (BPF_OP(at->code) != BPF_JA) {
		flow(&words[next + at->jt], set);
		flow(&words[next + at->jf], set);
		return false;
	}
	target = next + at->k; /* wraps around for a backward jump */
	is_backward = target <= index;
	return flow(&words[target], set) && is_backward;
}

int cw_filter_reads_unset(const struct bpf_insn *program, uint32_t count)
{
	uint32_t *words = malloc(count * sizeof(*words));
	bool is_changed = true, is_unset = false;
	uint32_t index, pass;

	if (!words)
		return -ENOMEM;
	memset(words, 0xff, count * sizeof(*words)); /* UNREACHED */
	words[0] = 0;
	for (pass = 0; is_changed && pass < PASSES_MAX; pass++) {
		is_changed = false;
		for (index = 0; index < count; index++)
			if (words[index] != UNREACHED)
				is_changed |= follow(program, index, words);
	}
	for (index = 0; index < count && !is_unset; index++) {
		uint16_t code = program[index].code;

		if (code == (BPF_LD | BPF_MEM) || code == (BPF_LDX | BPF_MEM))
			is_unset = !(words[index] >> program[index].k & 1);
	}
	free(words);
	return is_unset;
}
