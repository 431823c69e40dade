/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of the AF_PACKET source: queues and kernel rings. Not for other files. */
#ifndef CW_CORE_SOURCE_LIVE_TPACKET_PARTS_H
#define CW_CORE_SOURCE_LIVE_TPACKET_PARTS_H

#include <linux/if.h>
#include <stdatomic.h>

#include "core/source/live/live_parts.h"
#include "core/source/live/tpacket.h"

struct tpacket_block_desc;
struct tpacket3_hdr;

/* Bytes reserved before a frame to restore its VLAN tag, in addition to the kernel's gap. */
#define CW_LIVE_TAG_BYTES 4u
/* Bytes of a block besides one packet of snaplen: block header, record header, address, gaps. */
#define CW_LIVE_BLOCK_EXTRA_BYTES 512u

/* One block of a kernel ring; `window` counts its outstanding spans. */
struct cw_live_block {
	struct cw_window window; /* first: release gets its address */
	struct cw_live_ring *ring;
	struct tpacket_block_desc *head; /* in the kernel ring: shared with the kernel */
	_Atomic bool is_leased;
};

/* The memory of a kernel ring. It outlives the queue while leases are outstanding. */
struct cw_live_ring {
	_Atomic uint32_t references; /* the queue and each leased block */
	uint32_t block_count;
	size_t block_bytes;
	uint8_t *memory;
	struct cw_live_block blocks[];
};

struct cw_live_queue {
	/* fixed after open */
	int fd;
	int epoll_fd;
	int wake_fd;
	uint32_t retire_ms;
	struct cw_live_ring *ring;
	struct cw_layout layout;
	/* used by the queue's thread */
	uint32_t turn;                  /* index of the next block in the kernel's order */
	struct cw_live_block *cutting;  /* block partly returned in spans (one reference) */
	const struct tpacket3_hdr *cut; /* its first packet not returned yet */
	uint32_t cut_left;              /* its packets not returned yet */
	uint32_t blocks_since_stats;
	bool was_down;
	bool is_removed;
	bool is_stopping;
	bool is_unfiltered; /* stopping, but the kernel passes packets */
	bool is_drained;
	uint64_t stopped_ns; /* CLOCK_MONOTONIC at stop */
	uint64_t removed_ns; /* CLOCK_MONOTONIC when the removal was noticed */
	uint64_t offset;     /* bytes returned in spans */
	struct cw_live_stats stats;
} __attribute__((aligned(CW_CACHE_LINE)));

/* The kernel rings of an interface. */
struct cw_live_rings {
	struct cw_live base;    /* first: live.h uses its address */
	uint16_t hardware_type; /* ARPHRD_ */
	enum cw_live_direction direction;
	struct cw_live_queue queues[];
};

/* Adds the kernel's counts to the queue's; reading resets the kernel's. */
void cw_live_read_stats(struct cw_live_queue *queue);

/* Maps the socket's kernel ring, with one reference. NULL: errno has the reason. */
struct cw_live_ring *cw_live_ring_new(int fd, size_t block_bytes, uint32_t block_count);
void cw_live_ring_drop(struct cw_live_ring *ring); /* accepts NULL */

/* Set the filter of a queue's socket: one that passes nothing; or direction, prefilter, and the
 * bytes to truncate packets to. */
int cw_live_filter_nothing(const struct cw_live_queue *queue);
int cw_live_filter(const struct cw_live_rings *live, const struct cw_live_queue *queue,
		   const struct bpf_insn *program, uint32_t instruction_count, uint32_t reach,
		   struct cw_error *error);

extern const struct cw_live_ops cw_live_packet_ops;

/* cw_span_decode for spans of kernel ring blocks. */
size_t cw_live_decode(const struct cw_span *span, struct cw_cursor *cursor,
		      struct cw_packet *packets, size_t capacity);

#endif
