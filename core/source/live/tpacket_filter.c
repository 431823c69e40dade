/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The filter programs that the kernel runs on each packet before counting and copying: direction,
 * the prefilter if set, and as the program's result the bytes to truncate packets to. Every socket
 * gets a program before it is bound.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/source/live/tpacket_parts.h"

#define DIRECTION_INSTRUCTIONS 4u

static int attach(const struct cw_live_queue *queue, struct sock_filter *program, size_t count)
{
	struct sock_fprog request = {.len = (unsigned short)count, .filter = program};

	if (setsockopt(queue->fd, SOL_SOCKET, SO_ATTACH_FILTER, &request, sizeof(request)) < 0)
		return -errno;
	return 0;
}

int cw_live_filter_nothing(const struct cw_live_queue *queue)
{
	struct sock_filter program = BPF_STMT(BPF_RET | BPF_K, 0);

	return attach(queue, &program, 1);
}

/*
 * Packets that this host sends pass an interface's taps as PACKET_OUTGOING, and on loopback a
 * second time as incoming. PACKET_IGNORE_OUTGOING would be cheaper, but fanout groups need another
 * way to set it, and older kernels accept both silently. The program works everywhere.
 */
static size_t put_direction(struct sock_filter *to, enum cw_live_direction direction)
{
	bool is_out = direction == CW_LIVE_OUT;

	if (direction == CW_LIVE_BOTH)
		return 0;
	to[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					     (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE));
	to[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING,
					     is_out ? 1 : 0, is_out ? 0 : 1);
	to[2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	/* Programs may rely on A being 0 at their start. */
	to[3] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 0);
	return DIRECTION_INSTRUCTIONS;
}

/* Copies the program with its non-zero results, the bytes kept of a packet, set to `reach`. */
static int put_program(struct sock_filter *to, const struct bpf_insn *from, uint32_t count,
		       uint32_t reach, struct cw_error *error)
{
	memcpy(to, from, count * sizeof(*to)); /* the two structs are the same */
	for (uint32_t i = 0; i < count; i++) {
		if (BPF_CLASS(to[i].code) != BPF_RET)
			continue;
		if (BPF_RVAL(to[i].code) != BPF_K)
			return cw_error_set(error, -EINVAL,
					    "instruction %u of the kernel prefilter returns A: "
					    "only constant results are supported",
					    i);
		if (to[i].k)
			to[i].k = reach;
	}
	return 0;
}

int cw_live_filter(const struct cw_live_rings *live, const struct cw_live_queue *queue,
		   const struct bpf_insn *program, uint32_t instruction_count, uint32_t reach,
		   struct cw_error *error)
{
	struct sock_filter *whole;
	size_t count;
	int result;

	if (instruction_count > BPF_MAXINSNS - DIRECTION_INSTRUCTIONS)
		return cw_error_set(
		    error, -E2BIG,
		    "the kernel prefilter has %u instructions, too many for %s: the "
		    "kernel accepts %u",
		    instruction_count, live->base.device, BPF_MAXINSNS - DIRECTION_INSTRUCTIONS);
	whole = calloc(DIRECTION_INSTRUCTIONS + instruction_count + 1, sizeof(*whole));
	if (!whole)
		return cw_error_set_errno(error, -ENOMEM, "cannot build the kernel filter of %s",
					  live->base.device);
	count = put_direction(whole, live->direction);
	if (program) {
		result = put_program(whole + count, program, instruction_count, reach, error);
		if (result < 0)
			goto free_whole;
		count += instruction_count;
	} else {
		whole[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, reach);
	}
	result = attach(queue, whole, count);
	if (result < 0)
		cw_error_set_errno(error, result,
				   "cannot set a kernel filter of %zu instructions on %s", count,
				   live->base.device);

free_whole:
	free(whole);
	return result;
}
