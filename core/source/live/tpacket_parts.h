/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the AF_PACKET source share: its queues and rings. Not for other files. */
#ifndef CW_CORE_SOURCE_LIVE_TPACKET_PARTS_H
#define CW_CORE_SOURCE_LIVE_TPACKET_PARTS_H

#include <linux/if.h>
#include <stdatomic.h>

#include "core/source/live/live_parts.h"
#include "core/source/live/tpacket.h"

struct tpacket_block_desc;
struct tpacket3_hdr;

/* Room in front of a frame for a tag to be put back, whatever the kernel's own gap. */
#define CW_LIVE_TAG_BYTES 4u
/* What a block holds beside one packet of snaplen: its header, the packet's, the address, gaps. */
#define CW_LIVE_BLOCK_EXTRA_BYTES 512u

/* One block of a ring; `window` counts the spans cut from it that are out. */
struct cw_live_block {
	struct cw_window window; /* first: release gets its address */
	struct cw_live_ring *ring;
	struct tpacket_block_desc *head; /* in the ring: what kernel and we both read and write */
	_Atomic bool is_leased;
};

/* The memory, which outlives the queue while leases are out. */
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
	/* its thread's */
	uint32_t turn;                  /* the block that the kernel retires next, or has */
	struct cw_live_block *cutting;  /* taken, not wholly handed out; we hold a reference */
	const struct tpacket3_hdr *cut; /* its first packet not handed out */
	uint32_t cut_left;              /* packets from there */
	uint32_t blocks_since_stats;
	bool was_down;
	bool is_removed;
	bool is_stopping;
	bool is_drained;
	uint64_t stopped_ns; /* CLOCK_MONOTONIC */
	uint64_t removed_ns; /* likewise: when that was noticed */
	uint64_t offset;     /* ring bytes handed out */
	struct cw_live_stats stats;
} __attribute__((aligned(CW_CACHE_LINE)));

/* The rings of a device. */
struct cw_live_rings {
	struct cw_live base;    /* first: the interface has its address */
	uint16_t hardware_type; /* ARPHRD_ */
	enum cw_live_direction direction;
	struct cw_live_queue queues[];
};

/* Read the kernel's counts, which it starts anew, into the queue's. */
void cw_live_read_stats(struct cw_live_queue *queue);

/* Maps the socket's ring, one reference. NULL: errno says why. */
struct cw_live_ring *cw_live_ring_new(int fd, size_t block_bytes, uint32_t block_count);
void cw_live_ring_drop(struct cw_live_ring *ring); /* accepts NULL */

/* The filters of a queue's socket: nothing passes; or direction, prefilter and snaplen. */
int cw_live_filter_nothing(const struct cw_live_queue *queue);
int cw_live_filter(const struct cw_live_rings *live, const struct cw_live_queue *queue,
		   const struct bpf_insn *program, uint32_t instruction_count,
		   struct cw_error *error);

extern const struct cw_live_ops cw_live_packet_ops;

/* cw_span_decode for spans of ring blocks. */
size_t cw_live_decode(const struct cw_span *span, struct cw_cursor *cursor,
		      struct cw_packet *packets, size_t capacity);

#endif
