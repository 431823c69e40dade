/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the AF_XDP source share. Not for other files. */
#ifndef CW_CORE_SOURCE_LIVE_XDP_PARTS_H
#define CW_CORE_SOURCE_LIVE_XDP_PARTS_H

#include <stdatomic.h>
#include <xdp/xsk.h>

#include "core/source/live/live_parts.h"
#include "core/source/live/xdp.h"

/* What the program puts in front of a frame. */
struct cw_xdp_stamp {
	uint64_t ts_ns; /* CLOCK_MONOTONIC */
	uint64_t mark;  /* CW_XDP_MARK: it did */
};

#define CW_XDP_MARK UINT64_C(0x6377786470737470)
#define CW_XDP_HEADROOM_BYTES 256u /* of the kernel's own, in each frame */
/* Of a frame: the two rooms in front, and what newer kernels keep behind a frame's first piece. */
#define CW_XDP_FRAME_EXTRA_BYTES \
	(CW_XDP_HEADROOM_BYTES + (uint32_t)sizeof(struct cw_xdp_stamp) + 16u)

/* The frames of a span; `window` counts the leases on it. */
struct cw_xdp_batch {
	struct cw_window window; /* first: release gets its address */
	struct cw_xdp_memory *memory;
	struct cw_xdp_batch *next; /* in the stack it is in */
	struct cw_frame *frames;
	uint32_t frame_count;
	uint32_t held_count;  /* of them in frames of the queue; the others are joined */
	uint32_t joined_used; /* octets */
	uint8_t *joined;
};

/* The memory of a queue, which outlives it while leases are out. */
struct cw_xdp_memory {
	/* fixed: [frames][room for joined packets][descriptors] in one piece, in this order */
	uint8_t *base;
	size_t bytes;
	size_t frames_bytes;
	uint32_t frame_bytes;
	uint32_t frame_count;
	/* anybody's */
	_Alignas(CW_CACHE_LINE) _Atomic uint32_t references; /* the queue and each leased batch */
	_Atomic(struct cw_xdp_batch *) returned;
	struct cw_xdp_batch batches[CW_XDP_BATCHES];
};

struct cw_xdp_queue {
	/* fixed after open */
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	int fd; /* the socket's */
	int wake_fd;
	struct cw_xdp_memory *memory;
	struct cw_layout layout;
	/* its thread's */
	struct xsk_ring_cons rx;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion; /* the kernel wants one; nothing is sent */
	struct cw_xdp_batch *free;
	uint32_t held_count; /* frames that are out */
	bool is_busy;        /* packets came since the last wait */
	bool is_down;        /* when last looked */
	bool is_removed;
	bool is_stopping;
	bool is_drained;
	uint64_t stopped_ns; /* CLOCK_MONOTONIC */
	uint64_t looked_ns;  /* at the device, likewise */
	uint64_t offset;     /* descriptor octets handed out */
	struct cw_live_stats stats;
} __attribute__((aligned(CW_CACHE_LINE)));

struct cw_live_xdp {
	struct cw_live base; /* first: the interface has its address */
	int device_fd;       /* to ask for the device; keeps it promiscuous */
	int map_fd;          /* from queue to socket */
	int program_fd;
	int link_fd; /* the program's on the device */
	uint32_t mtu;
	size_t way; /* to bind that worked: the next queue's first */
	struct cw_xdp_queue queues[];
};

/* The map and the program, and both on the device: in the driver, or else generic (info). */
int cw_live_xdp_attach(struct cw_live_xdp *live, struct cw_error *error);
void cw_live_xdp_detach(struct cw_live_xdp *live);
int cw_live_xdp_let_in(struct cw_live_xdp *live, uint32_t queue); /* packets, from now on */
int cw_live_xdp_shut_out(struct cw_live_xdp *live, uint32_t queue);

/* Memory with all batches free. NULL: errno says why. */
struct cw_xdp_memory *cw_xdp_memory_new(uint32_t frame_bytes, uint32_t frame_count);
void cw_xdp_memory_drop(struct cw_xdp_memory *memory); /* accepts NULL */

/* Hand the queue's frames to the kernel, and all batches to the queue. */
void cw_xdp_queue_start(struct cw_xdp_queue *queue);
void cw_xdp_queue_close(struct cw_xdp_queue *queue); /* accepts one half opened */

extern const struct cw_live_ops cw_live_xdp_ops;

#endif
