/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a classic BPF program.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/filter/bpf/bpf.h"

int cw_bpf_copy(struct cw_bpf *program, const struct bpf_insn *instructions, uint32_t count)
{
	*program = (struct cw_bpf){.count = count};
	if (count == 0)
		return 0;
	program->at = malloc(count * sizeof(*program->at));
	if (!program->at) {
		program->count = 0;
		return -ENOMEM;
	}
	memcpy(program->at, instructions, count * sizeof(*program->at));
	return 0;
}

void cw_bpf_fini(struct cw_bpf *program)
{
	free(program->at);
	*program = (struct cw_bpf){0};
}
