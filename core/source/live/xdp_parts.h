/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of the AF_XDP source. Not for other files. */
#ifndef CW_CORE_SOURCE_LIVE_XDP_PARTS_H
#define CW_CORE_SOURCE_LIVE_XDP_PARTS_H

#include <stdatomic.h>
#include <xdp/xsk.h>

#include "core/source/live/live_parts.h"
#include "core/source/live/xdp.h"

/* The bytes that the program writes before a frame. */
struct cw_xdp_stamp {
	uint64_t ts_ns; /* CLOCK_MONOTONIC */
	uint64_t mark;  /* CW_XDP_MARK if the program wrote the stamp */
};

#define CW_XDP_MARK UINT64_C(0x6377786470737470)
#define CW_XDP_HEADROOM_BYTES 256u /* the kernel's headroom in each frame */
/* Bytes of a frame not for the packet: headroom, stamp, and the tail that newer kernels reserve. */
#define CW_XDP_FRAME_EXTRA_BYTES \
	(CW_XDP_HEADROOM_BYTES + (uint32_t)sizeof(struct cw_xdp_stamp) + 16u)

/* The frames of a span; `window` counts the leases on it. */
struct cw_xdp_batch {
	struct cw_window window; /* first: release gets its address */
	struct cw_xdp_memory *memory;
	struct cw_xdp_batch *next; /* next batch in the same stack */
	struct cw_frame *frames;
	uint32_t frame_count;
	uint32_t held_count;  /* packets in frames of the queue; the others are joined */
	uint32_t joined_used; /* octets used in `joined` */
	uint8_t *joined;      /* room for joined packets */
};

/* The memory of a queue. It outlives the queue while leases are outstanding. */
struct cw_xdp_memory {
	/* fixed: one mapping of [frames][room for joined packets][descriptors], in this order */
	uint8_t *base;
	size_t bytes;
	size_t frames_bytes;
	uint32_t frame_bytes;
	uint32_t frame_count;
	/* used by any thread */
	_Alignas(CW_CACHE_LINE) _Atomic uint32_t references; /* the queue and each leased batch */
	_Atomic(struct cw_xdp_batch *) returned;
	struct cw_xdp_batch batches[CW_XDP_BATCHES];
};

struct cw_xdp_queue {
	/* fixed after open */
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	int fd; /* the socket's descriptor */
	int wake_fd;
	struct cw_xdp_memory *memory;
	struct cw_layout layout;
	/* used by the queue's thread */
	struct xsk_ring_cons rx;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion; /* required by the kernel; nothing is sent */
	struct cw_xdp_batch *free;       /* stack of free batches */
	uint32_t held_count;             /* frames in leased batches */
	bool is_busy;                    /* packets arrived since the last wait */
	bool is_down;                    /* the interface was down at the last check */
	bool is_removed;
	bool is_stopping;
	bool is_drained;
	uint64_t stopped_ns; /* CLOCK_MONOTONIC at stop */
	uint64_t looked_ns;  /* CLOCK_MONOTONIC at the last check of the interface */
	uint64_t offset;     /* octets of descriptors returned in spans */
	struct cw_live_stats stats;
} __attribute__((aligned(CW_CACHE_LINE)));

struct cw_live_xdp {
	struct cw_live base; /* first: live.h uses its address */
	int device_fd;       /* socket for the interface's state; keeps it promiscuous */
	int map_fd;          /* map from queue to socket */
	int program_fd;
	int link_fd; /* the program's attachment to the interface */
	uint32_t mtu;
	size_t way; /* way to bind that worked last; the next queue tries it first */
	struct cw_xdp_queue queues[];
};

/* Creates the map and the program, and attaches the program to the interface: in the driver, or
 * else generic (info). */
int cw_live_xdp_attach(struct cw_live_xdp *live, struct cw_error *error);
void cw_live_xdp_detach(struct cw_live_xdp *live);
int cw_live_xdp_let_in(struct cw_live_xdp *live, uint32_t queue);   /* starts packets */
int cw_live_xdp_shut_out(struct cw_live_xdp *live, uint32_t queue); /* stops packets */

/* Allocates memory with all batches unused. NULL: errno has the reason. */
struct cw_xdp_memory *cw_xdp_memory_new(uint32_t frame_bytes, uint32_t frame_count);
void cw_xdp_memory_drop(struct cw_xdp_memory *memory); /* accepts NULL */

/* Gives the queue's frames to the kernel, and all batches to the queue. */
void cw_xdp_queue_start(struct cw_xdp_queue *queue);
void cw_xdp_queue_close(struct cw_xdp_queue *queue); /* accepts a half-opened queue */

extern const struct cw_live_ops cw_live_xdp_ops;

#endif
