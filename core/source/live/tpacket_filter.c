/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What runs in the kernel on each packet before it is counted and copied: direction, the prefilter
 * if there is one, and the snapshot length as the program's result. Every socket has one of these
 * programs from before it is bound.
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
 * What this host sends passes a device's taps as PACKET_OUTGOING, and on a loopback device once
 * more as it comes in. PACKET_IGNORE_OUTGOING would be cheaper, but a fanout group asks for it in
 * another way, and older kernels take both without a word; the program works everywhere.
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
	/* Programs may count on A being 0 at their start. */
	to[3] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 0);
	return DIRECTION_INSTRUCTIONS;
}

/* What a program returns is how much of the packet is kept; ours says how much that shall be. */
static int put_program(struct sock_filter *to, const struct bpf_insn *from, uint32_t count,
		       uint32_t snaplen, struct cw_error *error)
{
	memcpy(to, from, count * sizeof(*to)); /* the two structs are one */
	for (uint32_t i = 0; i < count; i++) {
		if (BPF_CLASS(to[i].code) != BPF_RET)
			continue;
		if (BPF_RVAL(to[i].code) != BPF_K)
			return cw_error_set(error, -EINVAL,
					    "instruction %u of the kernel prefilter returns A: "
					    "only constants can be given the snapshot length",
					    i);
		if (to[i].k)
			to[i].k = snaplen;
	}
	return 0;
}

int cw_live_filter(const struct cw_live_rings *live, const struct cw_live_queue *queue,
		   const struct bpf_insn *program, uint32_t instruction_count,
		   struct cw_error *error)
{
	struct sock_filter *whole;
	size_t count;
	int result;

	if (instruction_count > BPF_MAXINSNS - DIRECTION_INSTRUCTIONS)
		return cw_error_set(error, -E2BIG,
				    "a kernel prefilter of %u instructions for %s is longer than "
				    "the %u that the kernel takes",
				    instruction_count, live->base.device,
				    BPF_MAXINSNS - DIRECTION_INSTRUCTIONS);
	whole = calloc(DIRECTION_INSTRUCTIONS + instruction_count + 1, sizeof(*whole));
	if (!whole)
		return cw_error_set_errno(error, -ENOMEM, "building the kernel filter of %s",
					  live->base.device);
	count = put_direction(whole, live->direction);
	if (program) {
		result = put_program(whole + count, program, instruction_count,
				     live->base.info.snaplen, error);
		if (result < 0)
			goto free_whole;
		count += instruction_count;
	} else {
		whole[count++] =
		    (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, live->base.info.snaplen);
	}
	result = attach(queue, whole, count);
	if (result < 0)
		cw_error_set_errno(error, result,
				   "giving the kernel a filter of %zu instructions for %s", count,
				   live->base.device);

free_whole:
	free(whole);
	return result;
}
