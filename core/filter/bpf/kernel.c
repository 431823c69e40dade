/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A filter for the kernel to run on a socket: the kernel must accept every packet that the filter
 * accepts here, and may accept more. Why one program guarantees that, if it can be made:
 *
 *  - The kernel sees a frame without its outer VLAN tag, and LEN without the tag. All such frames
 *    are accepted: an ancillary load of the kernel shows the tag.
 *  - Any other frame has the same bytes in the kernel, but here it may be truncated to the snapshot
 *    length. A load of truncated bytes rejects the packet here at once; the kernel continues. So
 *    both take the same path through the program until the filter here rejects.
 *  - A load at a negative offset, which has another meaning in the kernel, rejects here too.
 *  - Programs with shifts by X are refused: by 32 and more such shifts give 0 here, but depend on
 *    the machine in the kernel.
 *
 * An "or" of filters has no such guarantee: a load out of bounds in the first filter rejects
 * packets that the second would accept. So this is for a single filter, or one that all packets
 * must pass.
 */
#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>

#include "core/filter/bpf/bpf.h"

#define TAGGED_INSTRUCTIONS 4u
#define KERNEL_INSTRUCTIONS_MAX 4000u /* 4096, less the instructions that a source prepends */

static bool is_same_in_kernel(const struct bpf_insn *instruction)
{
	switch (instruction->code) {
	case BPF_ALU | BPF_LSH | BPF_X:
	case BPF_ALU | BPF_RSH | BPF_X:
	case BPF_RET | BPF_A:
		return false;
	case BPF_JMP | BPF_JA:
		return (int32_t)instruction->k >= 0; /* the kernel refuses loops */
	default:
		return true;
	}
}

int cw_bpf_for_kernel(const struct cw_bpf *program, struct bpf_insn **made, uint32_t *count)
{
	static const struct bpf_insn tagged[TAGGED_INSTRUCTIONS] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	    BPF_STMT(BPF_LD | BPF_IMM, 0), /* the filter may rely on A being 0 */
	};

	if (program->count > KERNEL_INSTRUCTIONS_MAX)
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < program->count; i++) {
		if (!is_same_in_kernel(&program->at[i]))
			return -EOPNOTSUPP;
	}
	*count = program->count + TAGGED_INSTRUCTIONS;
	*made = malloc(*count * sizeof(**made));
	if (!*made)
		return -ENOMEM;
	memcpy(*made, tagged, sizeof(tagged));
	memcpy(*made + TAGGED_INSTRUCTIONS, program->at, program->count * sizeof(**made));
	return 0;
}
