/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The requirements of a program: a sequence of "load a field, reject unless it equals k" at its
 * beginning, which libpcap emits for the first tests of an expression (ethertype, protocol). A
 * filter that runs separately sees only packets that meet its requirements.
 */
#include "core/filter/bpf/bpf.h"

/* Whether the instruction at pc, or the one it jumps to, rejects. */
static bool rejects(const struct cw_bpf *program, uint64_t pc)
{
	while (program->at[pc].code == (BPF_JMP | BPF_JA) && (int32_t)program->at[pc].k >= 0)
		pc += 1 + (uint64_t)program->at[pc].k;
	return program->at[pc].code == (BPF_RET | BPF_K) && program->at[pc].k == 0;
}

uint32_t cw_filter_requirements(const struct cw_bpf *program,
				struct cw_filter_requirement required[CW_FILTER_REQUIREMENTS_MAX])
{
	uint32_t count = 0;
	uint32_t pc = 0;

	while (count < CW_FILTER_REQUIREMENTS_MAX && pc + 1 < program->count) {
		const struct bpf_insn *load = &program->at[pc];
		const struct bpf_insn *test = load + 1;
		uint32_t bytes = load->code == (BPF_LD | BPF_W | BPF_ABS)   ? 4
				 : load->code == (BPF_LD | BPF_H | BPF_ABS) ? 2
				 : load->code == (BPF_LD | BPF_B | BPF_ABS) ? 1
									    : 0;

		if (bytes == 0 || test->code != (BPF_JMP | BPF_JEQ | BPF_K) ||
		    !rejects(program, (uint64_t)pc + 2 + test->jf))
			break;
		required[count++] = (struct cw_filter_requirement){load->k, bytes, test->k};
		pc += 2u + test->jt;
	}
	return count;
}

bool cw_filter_meets(const struct cw_filter_requirement *required, uint32_t count,
		     const uint8_t *data, uint32_t caplen)
{
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *at = data + required[i].offset;
		uint32_t value;

		if ((uint64_t)required[i].offset + required[i].bytes > caplen)
			return false;
		value = required[i].bytes == 4   ? cw_load_be32(at)
			: required[i].bytes == 2 ? cw_load_be16(at)
						 : *at;
		if (value != required[i].value)
			return false;
	}
	return true;
}
