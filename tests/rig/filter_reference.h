/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The result of libpcap's bpf_filter, or the result that it would give if it ended: in its code for
 * IPv6 authentication headers, X becomes a length instead of a place, and some packets make it loop
 * for ever. Programs that jump backward (protochain) first run here, until a state repeats: those
 * never end. Only the others go to libpcap.
 */
#ifndef CW_TESTS_RIG_FILTER_REFERENCE_H
#define CW_TESTS_RIG_FILTER_REFERENCE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#include "core/base/base.h"

/* All that a program's next steps depend on, at a jump backward. */
struct reference_state {
	const struct bpf_insn *at;
	uint32_t a, x;
	uint32_t scratch[BPF_MEMWORDS];
};

static inline bool reference_jumps_backward(const struct bpf_insn *program, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (program[i].code == (BPF_JMP | BPF_JA) && (int32_t)program[i].k < 0)
			return true;
	}
	return false;
}

/* Bytes of the packet as a number, big-endian; false when they are not all there. */
static inline bool reference_load(const uint8_t *data, uint32_t caplen, uint64_t offset,
				  uint16_t code, uint32_t *value)
{
	uint32_t bytes = BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
	uint32_t i;

	if (offset + bytes > caplen)
		return false;
	*value = 0;
	for (i = 0; i < bytes; i++)
		*value = *value << 8 | data[offset + i];
	return true;
}

/* false when it divides by zero, which ends a program. */
static inline bool reference_compute(uint16_t code, uint32_t *a, uint32_t operand)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
		*a += operand;
		break;
	case BPF_SUB:
		*a -= operand;
		break;
	case BPF_MUL:
		*a *= operand;
		break;
	case BPF_DIV:
	case BPF_MOD:
		if (operand == 0)
			return false;
		*a = BPF_OP(code) == BPF_DIV ? *a / operand : *a % operand;
		break;
	case BPF_AND:
		*a &= operand;
		break;
	case BPF_OR:
		*a |= operand;
		break;
	case BPF_XOR:
		*a ^= operand;
		break;
	case BPF_LSH:
		*a = operand < 32 ? *a << operand : 0;
		break;
	case BPF_RSH:
		*a = operand < 32 ? *a >> operand : 0;
		break;
	case BPF_NEG:
		*a = -*a;
		break;
	}
	return true;
}

static inline bool reference_compare(uint16_t code, uint32_t a, uint32_t operand)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == operand;
	case BPF_JGT:
		return a > operand;
	case BPF_JGE:
		return a >= operand;
	default:
		return a & operand;
	}
}

/* What a load gives that needs no packet; false: it needs one. */
static inline bool reference_is_known(const struct bpf_insn *load, const uint32_t *scratch,
				      uint32_t wire_len, uint32_t *value)
{
	switch (BPF_MODE(load->code)) {
	case BPF_IMM:
		*value = load->k;
		return true;
	case BPF_MEM:
		*value = scratch[load->k];
		return true;
	case BPF_LEN:
		*value = wire_len;
		return true;
	default:
		return false;
	}
}

/*
 * Whether the state was there before. It is compared with one kept state, which the 1st, 2nd, 4th,
 * 8th, ... jump replaces: sooner or later that one lies on the circle (Brent).
 */
static inline bool reference_repeats(struct reference_state *kept, uint32_t jumps,
				     const struct reference_state *now)
{
	if (memcmp(kept, now, sizeof(*now)) == 0)
		return true;
	if ((jumps & (jumps - 1)) == 0)
		*kept = *now;
	return false;
}

/* Whether the program ends on this packet; it is a valid one. */
static inline bool reference_ends(const struct bpf_insn *program, const uint8_t *data,
				  uint32_t caplen, uint32_t wire_len)
{
	struct reference_state now = {0}, kept = {0};
	uint32_t jumps = 0;
	const struct bpf_insn *at;

	for (at = program;; at++) {
		uint32_t operand = BPF_SRC(at->code) == BPF_X ? now.x : at->k;
		uint64_t place = BPF_MODE(at->code) == BPF_IND ? (uint64_t)now.x + at->k : at->k;

		switch (BPF_CLASS(at->code)) {
		case BPF_RET:
			return true;
		case BPF_LD:
			if (!reference_is_known(at, now.scratch, wire_len, &now.a) &&
			    !reference_load(data, caplen, place, at->code, &now.a))
				return true;
			break;
		case BPF_LDX:
			if (reference_is_known(at, now.scratch, wire_len, &now.x))
				break;
			if (!reference_load(data, caplen, at->k, BPF_B, &now.x))
				return true;
			now.x = (now.x & 15) * 4;
			break;
		case BPF_ST:
			now.scratch[at->k] = now.a;
			break;
		case BPF_STX:
			now.scratch[at->k] = now.x;
			break;
		case BPF_ALU:
			if (!reference_compute(at->code, &now.a, operand))
				return true;
			break;
		case BPF_MISC:
			if (BPF_MISCOP(at->code) == BPF_TAX)
				now.x = now.a;
			else
				now.a = now.x;
			break;
		case BPF_JMP:
			if (BPF_OP(at->code) != BPF_JA) {
				at += reference_compare(at->code, now.a, operand) ? at->jt : at->jf;
				break;
			}
			now.at = at;
			if ((int32_t)at->k < 0 && reference_repeats(&kept, ++jumps, &now))
				return false;
			at += (int32_t)at->k;
			break;
		}
	}
}

/* 0 or not, as libpcap says; 0 where it would never say. */
static inline uint32_t reference_filter(const struct bpf_insn *program, uint32_t count,
					const uint8_t *data, uint32_t caplen, uint32_t wire_len)
{
	if (reference_jumps_backward(program, count) &&
	    !reference_ends(program, data, caplen, wire_len))
		return 0;
	return bpf_filter(program, data, wire_len, caplen);
}

#endif
