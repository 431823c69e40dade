/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as up to eight classic BPF programs and a packet: what is accepted matches the same
 * with every engine as with libpcap. Layout of the input: a byte each for the number of programs
 * and instructions of each, 6 bytes an instruction, then the packet. tests/test_filter_set.c runs
 * the same comparison on programs that are valid more often.
 */
#include "tests/filter_differ.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define PROGRAMS_MAX 8u
#define INSTRUCTIONS_MAX 24u

/* One instruction from 6 bytes; most of what libpcap can do is within reach. */
static struct bpf_insn read_instruction(const uint8_t *data)
{
	struct bpf_insn instruction = {.code = data[0], .jt = data[1] & 7, .jf = data[2] & 7};

	instruction.k =
	    data[3] | (uint32_t)data[4] << 8 | (uint32_t)(data[5] & 1 ? data[5] : 0) << 24;
	return instruction;
}

/* Scratch words are written first: libpcap does not clear them. */
static uint32_t read_program(const uint8_t *data, uint32_t count, struct bpf_insn *program)
{
	uint32_t used = 0;
	uint32_t i;

	for (i = 0; i < BPF_MEMWORDS; i++)
		program[used++] = (struct bpf_insn)BPF_STMT(BPF_ST, i);
	for (i = 0; i < count; i++)
		program[used++] = read_instruction(data + (size_t)6 * i);
	for (i = 0; i < 8; i++)
		program[used++] = (struct bpf_insn)BPF_STMT(BPF_RET | BPF_K, i & 1);
	return used;
}

/* Whether it ends: loops are not compared, libpcap might never come back. */
static bool has_loop(const struct cw_filter *filter)
{
	return filter->backward_count > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct bpf_insn program[BPF_MEMWORDS + INSTRUCTIONS_MAX + 8];
	struct cw_packet packet = {.wire_len = 100};
	struct differ differ = {0};
	uint32_t programs, i;
	bool result = true;

	if (bytes < 2)
		return 0;
	programs = 1 + data[0] % PROGRAMS_MAX;
	data++, bytes--;
	for (i = 0; i < programs && bytes; i++) {
		uint32_t count = data[0] % (INSTRUCTIONS_MAX + 1);
		struct cw_filter *filter;

		data++, bytes--;
		count = cw_min_u32(count, (uint32_t)(bytes / 6));
		if (cw_filter_from_program(&filter, program, read_program(data, count, program),
					   NULL) == 0) {
			if (has_loop(filter))
				cw_filter_free(filter);
			else
				differ_add(&differ, filter);
		}
		data += (size_t)6 * count;
		bytes -= (size_t)6 * count;
	}
	packet.caplen = (uint32_t)bytes;
	packet.data = data;
	if (differ.count) {
		differ_build(&differ, CW_ENGINE_SEQUENTIAL, CW_FILTER_ALL, NULL, "sequential");
		differ_build(&differ, CW_ENGINE_WALKER, CW_FILTER_ALL, NULL, "walker");
		differ_build(&differ, CW_ENGINE_JIT, CW_FILTER_ALL, NULL, "jit");
		differ_build(&differ, CW_ENGINE_JIT, CW_FILTER_FIRST, NULL, "jit");
		result = differ_check(&differ, &packet);
	}
	differ_fini(&differ);
	if (!result)
		abort();
	return 0;
}
