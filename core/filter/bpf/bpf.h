/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Classic BPF programs:
 *
 *   verify.c    checks that a program is safe to run
 *   exec.c      pre-decoding, and the interpreter: the reference for every engine
 *   require.c   fields that a program tests first
 *   kernel.c    the program that the kernel can run in its place
 *   reach.c     the bytes of a packet that a program can reach
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
	uint32_t backward_count; /* backward jumps (protochain); 0 until verified */
	bool reads_unset;        /* some path reads scratch memory that it never set */
};

/* Fill `program` with a copy. 0 or -ENOMEM. */
int cw_bpf_copy(struct cw_bpf *program, const struct bpf_insn *instructions, uint32_t count);
void cw_bpf_fini(struct cw_bpf *program);

/*
 * A pre-decoded instruction. Jump targets are distances. A load that the next instruction compares
 * with a constant does both: `value` is that constant, jt and jf are the comparison's targets. The
 * comparison stays in its place for jumps to it.
 */
struct cw_filter_op {
	uint16_t code; /* enum operation of exec.c */
	uint16_t jt;   /* bytes to the target, which saves a multiplication */
	uint16_t jf;
	uint16_t reserved;
	uint32_t k;
	uint32_t value;
};

/* Check a program and count its backward jumps. 0; -EINVAL (error: which instruction); -E2BIG. */
int cw_filter_verify(const struct bpf_insn *program, uint32_t count, uint32_t *backward_count,
		     struct cw_error *error);

/* Returns 1 if some path of a verified program reads a scratch word that it never set, 0 if none
 * does, or -ENOMEM. */
int cw_filter_reads_unset(const struct bpf_insn *program, uint32_t count);

/* Decode a verified program into `ops` (room for count). */
void cw_filter_decode(const struct bpf_insn *program, uint32_t count, struct cw_filter_op *ops);

/* Run decoded ops; at most `backward_max` backward jumps are taken (0 if the program has none). */
uint32_t cw_filter_run(const struct cw_filter_op *ops, const uint8_t *data, uint32_t caplen,
		       uint32_t wire_len, uint64_t backward_max);

#define CW_FILTER_REQUIREMENTS_MAX 4u

/* A field and the value that it must have; else the filter rejects. */
struct cw_filter_requirement {
	uint32_t offset;
	uint32_t bytes;
	uint32_t value;
};

/* List the fields that the program tests first (fills `required`); returns their number. */
uint32_t cw_filter_requirements(const struct cw_bpf *program,
				struct cw_filter_requirement required[CW_FILTER_REQUIREMENTS_MAX]);
bool cw_filter_meets(const struct cw_filter_requirement *required, uint32_t count,
		     const uint8_t *data, uint32_t caplen);

/*
 * Make a program (the caller frees it) for a packet socket in the kernel. It accepts every packet
 * that `program` accepts, with or without VLAN tags, truncated or not, and usually few others.
 * -EOPNOTSUPP if that cannot be guaranteed; -ENOMEM. The kernel may still refuse the program.
 */
int cw_bpf_for_kernel(const struct cw_bpf *program, struct bpf_insn **made, uint32_t *count);

/*
 * Returns how many bytes of a packet decide the result of a verified program: it is the same on a
 * packet truncated to them. UINT32_MAX: no bound is known.
 */
uint32_t cw_bpf_reach(const struct cw_bpf *program);

#endif
