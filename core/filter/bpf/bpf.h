/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Classic BPF programs:
 *
 *   verify.c    a program is safe to run
 *   exec.c      a program pre-decoded, and the interpreter: the reference of every engine
 *   require.c   what a program asks for first
 *   kernel.c    the program that the kernel may run in its place
 */
#ifndef CW_CORE_FILTER_BPF_BPF_H
#define CW_CORE_FILTER_BPF_BPF_H

#include <capweir/filter.h>
#include <pcap/pcap.h>

#include "core/base/base.h"
#include "core/base/error.h"

#define CW_FILTER_SCRATCH_WORDS BPF_MEMWORDS

/* A program that owns its instructions. */
struct cw_bpf {
	struct bpf_insn *at;
	uint32_t count;
	uint32_t backward_count; /* jumps backwards (protochain); 0 until verified */
};

/* Fill `program` with a copy. 0 or -ENOMEM. */
int cw_bpf_copy(struct cw_bpf *program, const struct bpf_insn *instructions, uint32_t count);
void cw_bpf_fini(struct cw_bpf *program);

/*
 * A pre-decoded instruction. Jump targets are distances; a load that the next instruction compares
 * with a constant does both (`value` is that constant, jt and jf the comparison's targets), while
 * the comparison itself stays in its own place for those who jump to it.
 */
struct cw_filter_op {
	uint16_t code; /* enum in exec.c */
	uint16_t jt;   /* bytes from this operation to the next one: no multiplication */
	uint16_t jf;
	uint16_t reserved;
	uint32_t k;
	uint32_t value;
};

/* Check a program; -EINVAL (error names the instruction) or -E2BIG. Counts its jumps backwards. */
int cw_filter_verify(const struct bpf_insn *program, uint32_t count, uint32_t *backward_count,
		     struct cw_error *error);

/* Decode a verified program into `ops` (room for count). */
void cw_filter_decode(const struct bpf_insn *program, uint32_t count, struct cw_filter_op *ops);

/* Run decoded ops; `backward_max` bounds the jumps backwards (0 for programs without). */
uint32_t cw_filter_run(const struct cw_filter_op *ops, const uint8_t *data, uint32_t caplen,
		       uint32_t wire_len, uint64_t backward_max);

#define CW_FILTER_REQUIREMENTS_MAX 4u

/* A field that must have a value, else the filter rejects. */
struct cw_filter_requirement {
	uint32_t offset;
	uint32_t bytes;
	uint32_t value;
};

/* What the program asks for first (fills); how many there are. */
uint32_t cw_filter_requirements(const struct cw_bpf *program,
				struct cw_filter_requirement required[CW_FILTER_REQUIREMENTS_MAX]);
bool cw_filter_meets(const struct cw_filter_requirement *required, uint32_t count,
		     const uint8_t *data, uint32_t caplen);

/*
 * A program (allocated; the caller frees it) that takes, when a packet socket runs it in the
 * kernel, every packet that `program` takes, VLAN tags or not, cut or not, and as a rule few
 * others. -EOPNOTSUPP where that cannot be promised; -ENOMEM. The kernel may still refuse it.
 */
int cw_bpf_for_kernel(const struct cw_bpf *program, struct bpf_insn **made, uint32_t *count);

#endif
