/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A filter as the kernel may run it on a socket: it must take every packet that the filter takes
 * here, and may take more. Why one program does that, where it can be made at all:
 *
 *  - The kernel sees a frame without its outer VLAN tag, and LEN without it. Such frames are all
 *    taken: the tag is known to the program by the kernel's own means.
 *  - Any other frame is the same bytes there and here, but that here it may be cut to the snapshot
 *    length. A load of what was cut refuses the packet here, on the spot; there it goes on. So the
 *    two take the same way through the program until the one here refuses.
 *  - A load at a negative offset, which means something else to the kernel, refuses here likewise.
 *  - Shifts by X are left out: by 32 and more they give 0 here, and there depend on the machine.
 *
 * Filters joined by "or" are not one of theirs: a load out of bounds in the first refuses what the
 * second would take. So this is for one filter, or for one that all packets must pass.
 */
#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>

#include "core/filter/bpf/bpf.h"

#define TAGGED_INSTRUCTIONS 4u
#define KERNEL_INSTRUCTIONS_MAX 4000u /* of 4096, less what a source puts in front */

static bool is_same_in_kernel(const struct bpf_insn *instruction)
{
	switch (instruction->code) {
	case BPF_ALU | BPF_LSH | BPF_X:
	case BPF_ALU | BPF_RSH | BPF_X:
	case BPF_RET | BPF_A:
		return false;
	case BPF_JMP | BPF_JA:
		return (int32_t)instruction->k >= 0; /* the kernel takes no loops */
	default:
		return true;
	}
}

int cw_bpf_for_kernel(const struct cw_bpf *program, struct bpf_insn **made, uint32_t *count)
{
	static const struct bpf_insn tagged[TAGGED_INSTRUCTIONS] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	    BPF_STMT(BPF_LD | BPF_IMM, 0), /* the filter may count on A being 0 */
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
