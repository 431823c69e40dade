/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program that the driver runs on each packet, written as instructions: nothing to compile or
 * to find on the machine. The program timestamps the packet and redirects it to the socket that the
 * map has for its queue; without a socket, the packet passes to the host. So the program can be
 * attached before the sockets exist, and an entry of the map adds or removes a socket.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <unistd.h>

#include "core/source/live/xdp_parts.h"

#define HAS_FRAGMENTS (1u << 5) /* BPF_F_XDP_HAS_FRAGS, Linux 5.18 */

#define OPERATION(operation, to, from, at, value)                                     \
	{                                                                             \
		.code = (operation), .dst_reg = (to), .src_reg = (from), .off = (at), \
		.imm = (value)                                                        \
	}
#define CALL(helper) OPERATION(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define LOAD_CONTEXT(to, field) \
	OPERATION(BPF_LDX | BPF_W | BPF_MEM, to, 6, offsetof(struct xdp_md, field), 0)
#define STORE_STAMP(field, from) \
	OPERATION(BPF_STX | BPF_DW | BPF_MEM, 7, from, offsetof(struct cw_xdp_stamp, field), 0)
#define STAMP_BYTES ((int)sizeof(struct cw_xdp_stamp))

/* Loads the program. Returns a descriptor or a negative errno. */
static int load_program(int map_fd, uint32_t flags)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = flags);
	const struct bpf_insn program[] = {
	    /* 0 */ OPERATION(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0),
	    /* make room before the packet; if that fails, continue at the map */
	    /* 1 */ OPERATION(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, -STAMP_BYTES),
	    /* 2 */ CALL(BPF_FUNC_xdp_adjust_meta),
	    /* 3 */ OPERATION(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 10, 0),
	    /* 4 */ LOAD_CONTEXT(7, data_meta),
	    /* 5 */ LOAD_CONTEXT(1, data),
	    /* bounds check required by the verifier */
	    /* 6 */ OPERATION(BPF_ALU64 | BPF_MOV | BPF_X, 2, 7, 0, 0),
	    /* 7 */ OPERATION(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, STAMP_BYTES),
	    /* 8 */ OPERATION(BPF_JMP | BPF_JGT | BPF_X, 2, 1, 5, 0),
	    /* 9 */ CALL(BPF_FUNC_ktime_get_ns),
	    /* 10 */ STORE_STAMP(ts_ns, 0),
	    /* 11 */ OPERATION(BPF_LD | BPF_IMM | BPF_DW, 1, 0, 0, (int32_t)(uint32_t)CW_XDP_MARK),
	    /* 12 */ OPERATION(0, 0, 0, 0, (int32_t)(CW_XDP_MARK >> 32)),
	    /* 13 */ STORE_STAMP(mark, 1),
	    /* 14 */ LOAD_CONTEXT(2, rx_queue_index),
	    /* 15 */ OPERATION(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, map_fd),
	    /* 16 */ OPERATION(0, 0, 0, 0, 0),
	    /* 17 */ OPERATION(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, XDP_PASS),
	    /* 18 */ CALL(BPF_FUNC_redirect_map),
	    /* 19 */ OPERATION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "capweir", "Dual BSD/GPL", program,
			     CW_ARRAY_COUNT(program), &options);
}

static int attach_as(struct cw_live_xdp *live, uint32_t mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = mode);

	live->link_fd =
	    bpf_link_create(live->program_fd, live->base.info.device_index, BPF_XDP, &options);
	return live->link_fd < 0 ? live->link_fd : 0;
}

static int refuse(const struct cw_live_xdp *live, int code, const char *what,
		  struct cw_error *error)
{
	const char *device = live->base.device;

	if (code == -EPERM || code == -EACCES)
		return cw_error_set(error, -EPERM,
				    "cannot capture on %s with AF_XDP without the capabilities "
				    "CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF. Run as root",
				    device);
	if (code == -EBUSY || code == -EEXIST)
		return cw_error_set(
		    error, -EBUSY,
		    "interface %s runs another XDP program: remove that ('ip link set "
		    "%s xdp off'), or use the packet backend",
		    device, device);
	return cw_error_set_errno(error, code, "%s %s", what, device);
}

int cw_live_xdp_attach(struct cw_live_xdp *live, struct cw_error *error)
{
	int result;

	live->map_fd = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "capweir", sizeof(uint32_t),
				      sizeof(uint32_t), live->base.info.queue_count, NULL);
	if (live->map_fd < 0)
		return refuse(live, live->map_fd, "cannot create a map of XDP sockets for", error);
	/* Kernels without packets in pieces refuse the flag. */
	live->program_fd = load_program(live->map_fd, HAS_FRAGMENTS);
	if (live->program_fd == -EINVAL)
		live->program_fd = load_program(live->map_fd, 0);
	if (live->program_fd < 0)
		return refuse(live, live->program_fd, "cannot load an XDP program for", error);
	result = attach_as(live, XDP_FLAGS_DRV_MODE);
	if (result == 0 || result == -EBUSY || result == -EEXIST || result == -EPERM)
		return result ? refuse(live, result, "cannot attach an XDP program to", error) : 0;
	live->base.info.is_generic = true;
	result = attach_as(live, XDP_FLAGS_SKB_MODE);
	return result ? refuse(live, result, "cannot attach an XDP program to", error) : 0;
}

void cw_live_xdp_detach(struct cw_live_xdp *live)
{
	if (live->link_fd >= 0)
		close(live->link_fd);
	if (live->program_fd >= 0)
		close(live->program_fd);
	if (live->map_fd >= 0)
		close(live->map_fd);
}

int cw_live_xdp_let_in(struct cw_live_xdp *live, uint32_t queue)
{
	return bpf_map_update_elem(live->map_fd, &queue, &live->queues[queue].fd, BPF_ANY);
}

int cw_live_xdp_shut_out(struct cw_live_xdp *live, uint32_t queue)
{
	int result = bpf_map_delete_elem(live->map_fd, &queue);

	/* No entry: stopped before, or the interface was removed together with its sockets. */
	return result == -ENOENT || result == -EINVAL ? 0 : result;
}
