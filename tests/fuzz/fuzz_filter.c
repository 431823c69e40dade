/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as up to eight classic BPF programs and a packet. Accepted programs match as libpcap
 * does with every engine, mode and budget: the packet alone, and in bursts of shorter ones, each
 * before a guard page. Layout of the input: one byte for the number of programs and the options
 * below; for each program one byte for its length and 6 bytes an instruction; then the packet.
 * tests/core/filter/test_filter_set.c compares programs that are valid more often.
 */
#include "tests/rig/filter_differ.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define PROGRAMS_MAX 8u
#define INSTRUCTIONS_MAX 24u
#define WITH_LOOP 0x08u   /* bit of the first byte: adds an expression with a loop */
#define WITH_BUDGET 0x70u /* bits of the first byte: seed of the budgets, with the size */

/* Returns an instruction made of 6 bytes; most of libpcap's can be reached. */
static struct bpf_insn read_instruction(const uint8_t *data)
{
	struct bpf_insn instruction = {.code = data[0], .jt = data[1] & 7, .jf = data[2] & 7};

	instruction.k =
	    data[3] | (uint32_t)data[4] << 8 | (uint32_t)(data[5] & 1 ? data[5] : 0) << 24;
	return instruction;
}

/* Starts by writing the scratch words, which libpcap does not clear. */
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

/* Programs with loops are not compared: libpcap might never return. */
static bool has_loop(const struct cw_filter *filter)
{
	return cw_filter_bpf(filter)->backward_count > 0;
}

/* Adds the programs at the start of the data; returns their bytes. */
static size_t add_programs(struct differ *differ, const uint8_t *data, size_t bytes, uint32_t count)
{
	struct bpf_insn program[BPF_MEMWORDS + INSTRUCTIONS_MAX + 8];
	size_t at = 0;

	for (; count && at < bytes; count--) {
		uint32_t length = data[at++] % (INSTRUCTIONS_MAX + 1);
		struct cw_filter *filter;

		length = cw_min_u32(length, (uint32_t)((bytes - at) / 6));
		if (cw_filter_from_program(&filter, program,
					   read_program(data + at, length, program), NULL) == 0) {
			if (has_loop(filter))
				cw_filter_free(filter);
			else
				differ_add(differ, filter);
		}
		at += (size_t)6 * length;
	}
	return at;
}

static void build_all(struct differ *differ, uint64_t seed)
{
	struct random random = {seed};
	struct cw_filter_budget tiny = differ_tiny(&random), tinier = differ_tiny(&random);

	for (int mode = CW_FILTER_ALL; mode <= CW_FILTER_FIRST; mode++) {
		enum cw_filter_mode other = mode ? CW_FILTER_ALL : CW_FILTER_FIRST;

		differ_build(differ, CW_ENGINE_SEQUENTIAL, (enum cw_filter_mode)mode, NULL,
			     "sequential");
		differ_build(differ, CW_ENGINE_WALKER, (enum cw_filter_mode)mode, NULL, "walker");
		differ_build(differ, CW_ENGINE_JIT, (enum cw_filter_mode)mode, NULL, "jit");
		differ_build(differ, CW_ENGINE_AUTO, (enum cw_filter_mode)mode, NULL, "auto");
		differ_build(differ, CW_ENGINE_WALKER, other, &tiny, "walker, tiny budget");
		differ_build(differ, CW_ENGINE_JIT, other, &tinier, "jit, tiny budget");
	}
}

/* Matches the packet, then shorter ones, so that one burst has loads that fail at many places. */
static bool check_bursts(struct differ *differ, const uint8_t *data, size_t bytes)
{
	static struct differ_burst burst;
	struct cw_packet packet = {.data = data, .wire_len = 100};
	uint32_t i;
	bool result = true;

	if (!burst.pages[0].page)
		differ_burst_init(&burst);
	for (i = 0; i < 2 * DIFFER_BURST / 3 && result; i++) {
		packet.caplen = (uint32_t)(i < 8 ? bytes - cw_min_size(bytes, i)
						 : bytes * (i - 8) / DIFFER_BURST);
		packet.wire_len = i % 5 ? 100 : packet.caplen;
		packet.flags = i == 11 ? CW_PACKET_MALFORMED : 0;
		result = differ_burst_add(differ, &burst, &packet);
	}
	return differ_burst_check(differ, &burst) && result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct differ differ = {0};
	bool result = true;
	size_t used;

	if (bytes < 2)
		return 0;
	used = 1 + add_programs(&differ, data + 1, bytes - 1, 1 + data[0] % PROGRAMS_MAX);
	/* libpcap's interpreter may loop for ever at an authentication header. */
	if (data[0] & WITH_LOOP && (used == bytes || !memchr(data + used, 51, bytes - used)))
		differ_add_expression(&differ,
				      data[0] & 1 ? "ip6 protochain 17" : "ip protochain 6", false);
	if (differ.count) {
		build_all(&differ, (data[0] & WITH_BUDGET) + 256 * (uint64_t)bytes);
		result = check_bursts(&differ, data + used, bytes - used);
	}
	differ_fini(&differ);
	if (!result)
		abort();
	return 0;
}
