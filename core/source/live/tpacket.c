/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Takes blocks from the kernel, returns parts of them as spans, gives them back, and counts.
 *
 * Two words hold a block's owner. The status, shared with the kernel, is TP_STATUS_KERNEL, or
 * TP_STATUS_USER from the block's retirement until it is given back [BLOCK-1]. is_leased [BLOCK-2]
 * is set when this file takes the block, and cleared after the status is the kernel's again: USER
 * alone does not distinguish a block just retired from one still leased a full round later.
 *
 * Waiting is edge-triggered. poll() on the socket reports "readable" as long as the block *before*
 * the kernel's is not given back, with or without packets, so a reader that passes blocks on would
 * spin. An edge occurs once per retired block, whatever is leased. So the status is checked first,
 * and an edge only means: check again.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/source/live/tpacket_parts.h"

#define STATS_BLOCKS 4096u /* read the counts this often: long before 32 bits wrap */

static struct cw_live_queue *queue_at(struct cw_live *live, uint32_t index)
{
	return &((struct cw_live_rings *)live)->queues[index];
}

/* ---- blocks ---- */

static void release_block(struct cw_window *window);

struct cw_live_ring *cw_live_ring_new(int fd, size_t block_bytes, uint32_t block_count)
{
	struct cw_live_ring *ring;

	ring = calloc(1, sizeof(*ring) + block_count * sizeof(ring->blocks[0]));
	if (!ring)
		return NULL;
	ring->memory =
	    mmap(NULL, block_bytes * block_count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring->memory == MAP_FAILED) {
		free(ring);
		return NULL;
	}
	/* Otherwise a forked child would keep the socket and its kernel ring for its lifetime. */
	(void)madvise(ring->memory, block_bytes * block_count, MADV_DONTFORK);
	atomic_init(&ring->references, 1);
	ring->block_bytes = block_bytes;
	ring->block_count = block_count;
	for (uint32_t i = 0; i < block_count; i++) {
		struct cw_live_block *block = &ring->blocks[i];

		block->ring = ring;
		block->head = (void *)(ring->memory + i * block_bytes);
		block->window.data = (const uint8_t *)block->head;
		block->window.bytes = block_bytes;
		block->window.fd = -1;
		block->window.intact_end = UINT64_MAX;
		block->window.release = release_block;
		block->window.owner = block;
	}
	return ring;
}

void cw_live_ring_drop(struct cw_live_ring *ring)
{
	/* acq_rel: [WINDOW-1] for the ring as a whole; all reads of it happen before. */
	if (!ring || atomic_fetch_sub_explicit(&ring->references, 1, memory_order_acq_rel) != 1)
		return;
	munmap(ring->memory, ring->block_bytes * ring->block_count);
	free(ring);
}

/* Runs in the thread, any one, that gives back the block's last lease. */
static void release_block(struct cw_window *window)
{
	struct cw_live_block *block = window->owner;
	struct cw_live_ring *ring = block->ring;

	/* [BLOCK-1] release: every reader's reads, gathered by [WINDOW-1], before the kernel writes
	 * there again. */
	__atomic_store_n(&block->head->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	/* [BLOCK-2] release: after the status. The block is not touched after this. */
	atomic_store_explicit(&block->is_leased, false, memory_order_release);
	cw_live_ring_drop(ring);
}

/* Takes the next block, for spans. Returns 1; 0: the kernel has it; -EAGAIN: it is leased. */
static int take_block(struct cw_live_queue *queue)
{
	struct cw_live_ring *ring = queue->ring;
	struct cw_live_block *block = &ring->blocks[queue->turn];
	const struct tpacket_hdr_v1 *head = &block->head->hdr.bh1;

	if (atomic_load_explicit(&block->is_leased, memory_order_acquire)) /* [BLOCK-2] */
		return -EAGAIN;
	/* [BLOCK-1] acquire: the kernel writes the status last, after a barrier. */
	if (!(__atomic_load_n(&head->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
		return 0;
	queue->turn = queue->turn + 1 == ring->block_count ? 0 : queue->turn + 1;
	/* Relaxed, all three: only this thread reads them before it passes a lease on. */
	atomic_store_explicit(&block->is_leased, true, memory_order_relaxed);
	atomic_store_explicit(&block->window.references, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&ring->references, 1, memory_order_relaxed);
	queue->cutting = block;
	queue->cut = (const void *)((const uint8_t *)block->head + head->offset_to_first_pkt);
	queue->cut_left = head->num_pkts;
	queue->stats.blocks++;
	if (++queue->blocks_since_stats == STATS_BLOCKS)
		cw_live_read_stats(queue);
	return 1;
}

static void let_go_of_block(struct cw_live_queue *queue)
{
	struct cw_lease lease = {.window = &queue->cutting->window};

	queue->cutting = NULL;
	cw_lease_give_back(&lease);
}

/* Returns the record `count` records after `record`, or `end`. */
static const uint8_t *skip(const struct tpacket3_hdr *record, uint32_t count, const uint8_t *end)
{
	const uint8_t *at = (const void *)record;
	const uint8_t *ahead = at;

	while (count--) {
		uint32_t next = ((const struct tpacket3_hdr *)(const void *)at)->tp_next_offset;

		if (next == 0 || next >= (size_t)(end - at))
			return end;
		ahead = cw_prefetch_ahead(ahead, at);
		at += next;
	}
	return at;
}

/* Fills the block's next span. The block's last span takes over this file's reference. */
static void cut(struct cw_live_queue *queue, uint32_t records_max, struct cw_span *span,
		struct cw_lease *lease)
{
	struct cw_live_block *block = queue->cutting;
	const uint8_t *start = (const void *)queue->cut;
	const uint8_t *end = (const uint8_t *)block->head + block->head->hdr.bh1.blk_len;
	uint32_t count = queue->cut_left;

	if (records_max && count > records_max) {
		count = records_max;
		end = skip(queue->cut, count, end);
	}
	*span = (struct cw_span){.data = start,
				 .bytes = (size_t)(end - start),
				 .record_count = count,
				 .offset = queue->offset,
				 .layout = queue->layout};
	*lease = (struct cw_lease){.window = &block->window};
	queue->offset += span->bytes;
	queue->stats.received += count;
	queue->cut_left -= count;
	queue->cut = (const void *)end;
	if (queue->cut_left) /* relaxed: our reference keeps the count above 0 */
		atomic_fetch_add_explicit(&block->window.references, 1, memory_order_relaxed);
	else
		queue->cutting = NULL;
}

/* ---- waiting ---- */

/* Returns whether the interface was removed: its sockets are then bound to index -1. */
static bool is_device_gone(const struct cw_live_queue *queue)
{
	struct sockaddr_ll address = {0};
	socklen_t bytes = sizeof(address);

	return getsockname(queue->fd, (struct sockaddr *)&address, &bytes) == 0 &&
	       address.sll_ifindex == -1;
}

/* Reads and clears the socket's error. Returns 0 or a negative errno. */
static int socket_error(struct cw_live_queue *queue)
{
	int code = 0;
	socklen_t bytes = sizeof(code);

	if (getsockopt(queue->fd, SOL_SOCKET, SO_ERROR, &code, &bytes) < 0)
		return -errno;
	if (code == ENETDOWN) {
		queue->was_down = true;
		queue->stats.downs++;
	}
	return -code;
}

/* Waits for an edge. Returns 1: try again; 0: time is over; -EINTR; or the socket's error. */
static int wait_for_edge(struct cw_live_queue *queue, int timeout_ms)
{
	struct epoll_event events[2];
	bool is_woken = false;
	int count, i, result;

	count = epoll_wait(queue->epoll_fd, events, (int)CW_ARRAY_COUNT(events), timeout_ms);
	queue->stats.wakeups++;
	if (count < 0)
		return errno == EINTR ? 1 : -errno;
	for (i = 0; i < count; i++) {
		if (events[i].data.fd != queue->fd) {
			is_woken = true;
		} else if (events[i].events & EPOLLERR) {
			result = socket_error(queue);
			if (result < 0)
				return result;
		}
	}
	if (is_woken && !queue->is_stopping)
		return -EINTR;
	return count > 0;
}

/*
 * Does the same as wait_for_edge. An interface goes down before it is removed, and the removal
 * gives no event: once it was down, the interface is checked periodically. (Also after new packets:
 * they may come from the open block.)
 */
static int wait_for_block(struct cw_live_queue *queue, int timeout_ms)
{
	int slice_ms = timeout_ms;
	int result;

	if (queue->was_down && (slice_ms < 0 || slice_ms > CW_LIVE_DOWN_LOOK_MS))
		slice_ms = CW_LIVE_DOWN_LOOK_MS;
	result = wait_for_edge(queue, slice_ms);
	if (queue->was_down && result >= 0) {
		if (!queue->is_removed && is_device_gone(queue)) {
			queue->is_removed = true;
			queue->removed_ns = cw_now_ns();
		}
		return slice_ms == timeout_ms ? result : 1;
	}
	return result;
}

/*
 * Waits for the last packets; the filter passes no more. Another CPU may still be past the filter
 * with a packet, and the open block has to retire: so wait at least one retire time, and until the
 * counts agree. Returns -ENODATA: all packets were returned; 1: try again.
 */
static int wait_for_rest(struct cw_live_queue *queue)
{
	uint64_t elapsed_ms = (cw_now_ns() - queue->stopped_ns) / CW_NS_PER_MS;
	int result;

	if (elapsed_ms > queue->retire_ms) {
		cw_live_read_stats(queue);
		queue->is_drained = (queue->stats.left == 0 && !queue->stats.is_uncounted) ||
				    elapsed_ms > CW_LIVE_DRAIN_MS_MAX(queue->retire_ms);
		if (queue->is_drained)
			return -ENODATA;
	}
	result = wait_for_edge(queue, (int)queue->retire_ms / 2 + 1);
	return result < 0 ? result : 1;
}

/* Returns whether a removed interface's kernel ring has packets: the open block still retires. */
static bool has_remains(struct cw_live_queue *queue)
{
	cw_live_read_stats(queue);
	return (queue->stats.left || queue->stats.is_uncounted) &&
	       (cw_now_ns() - queue->removed_ns) / CW_NS_PER_MS <=
		   CW_LIVE_DRAIN_MS_MAX(queue->retire_ms);
}

/* Waits for a change. Returns 1: try again; 0: time is over; or the error for next. */
static int wait_for_change(struct cw_live_queue *queue, struct cw_patience *patience)
{
	int result, wait_ms;

	if (queue->is_drained)
		return -ENODATA;
	if (queue->is_stopping)
		return wait_for_rest(queue);
	if (queue->is_removed && !has_remains(queue))
		return -ENODEV;
	if (patience->is_over)
		return 0;
	wait_ms = cw_patience_left(patience);
	result = wait_for_block(queue, wait_ms);
	patience->is_over = result == 0 || wait_ms == 0; /* next tries once more */
	return result < 0 ? result : 1;
}

/*
 * A stop that the kernel refused (see stop) is tried again. As long as the kernel passes packets,
 * the queue may never be empty, so its end comes by the clock; packets in the kernel ring are left.
 */
static bool must_end(struct cw_live_queue *queue)
{
	if (cw_live_filter_nothing(queue) == 0) {
		queue->is_unfiltered = false;
		queue->stopped_ns = cw_now_ns();
		return false;
	}
	if ((cw_now_ns() - queue->stopped_ns) / CW_NS_PER_MS <=
	    CW_LIVE_DRAIN_MS_MAX(queue->retire_ms))
		return false;
	if (!queue->is_drained)
		cw_live_read_stats(queue);
	queue->is_drained = true;
	return true;
}

static int next(struct cw_live *live, uint32_t index, uint32_t records_max, int timeout_ms,
		struct cw_span *span, struct cw_lease *lease)
{
	struct cw_live_queue *queue = queue_at(live, index);
	struct cw_patience patience = {.timeout_ms = timeout_ms};
	int result;

	while (!queue->cutting) {
		if (queue->is_unfiltered && must_end(queue))
			return -ENODATA;
		result = take_block(queue);
		if (result < 0) {
			queue->stats.stalls++;
			return result;
		}
		if (result == 0) {
			result = wait_for_change(queue, &patience);
			if (result <= 0)
				return result;
		} else if (!queue->cut_left) { /* the kernel does not retire empty blocks */
			let_go_of_block(queue);
		}
	}
	cut(queue, records_max, span, lease);
	return 1;
}

/* ---- stop, counts, close ---- */

static int stop(struct cw_live *live, uint32_t index)
{
	struct cw_live_queue *queue = queue_at(live, index);
	int result = cw_live_filter_nothing(queue);

	if (!queue->is_stopping)
		queue->stopped_ns = cw_now_ns();
	queue->is_stopping = true;
	queue->is_unfiltered = result < 0;
	return result;
}

void cw_live_read_stats(struct cw_live_queue *queue)
{
	struct tpacket_stats_v3 kernel = {0}; /* full size: a shorter struct gets no freezes */
	socklen_t bytes = sizeof(kernel);
	bool is_read;

	queue->blocks_since_stats = 0;
	is_read = getsockopt(queue->fd, SOL_PACKET, PACKET_STATISTICS, &kernel, &bytes) == 0;
	queue->stats.freezes += kernel.tp_freeze_q_cnt;
	/* tp_packets includes tp_drops */
	cw_live_count(&queue->stats, is_read, kernel.tp_packets, kernel.tp_drops);
}

/* Returns the blocks that the kernel cannot fill now: a snapshot that may be outdated. */
static uint32_t count_used(const struct cw_live_ring *ring)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < ring->block_count; i++) {
		const struct cw_live_block *block = &ring->blocks[i];

		/* Relaxed: only a number. */
		count += (__atomic_load_n(&block->head->hdr.bh1.block_status, __ATOMIC_RELAXED) &
			  TP_STATUS_USER) != 0;
	}
	return count;
}

static void read_stats(struct cw_live *live, uint32_t index, struct cw_live_stats *stats)
{
	struct cw_live_queue *queue = queue_at(live, index);

	if (!queue->is_drained)
		cw_live_read_stats(queue);
	*stats = queue->stats;
	stats->ring_blocks = queue->ring->block_count;
	stats->ring_used = count_used(queue->ring);
}

static int set_prefilter(struct cw_live *live, uint32_t index, const struct bpf_insn *program,
			 uint32_t instruction_count, uint32_t reach, struct cw_error *error)
{
	struct cw_live_queue *queue = queue_at(live, index);

	if (queue->is_stopping)
		return cw_error_set(error, -EINVAL,
				    "cannot set a prefilter on queue %u of %s: it is stopped",
				    index, live->device);
	return cw_live_filter((const struct cw_live_rings *)live, queue, program, instruction_count,
			      reach, error);
}

static void close_rings(struct cw_live *live)
{
	for (uint32_t i = 0; i < live->info.queue_count; i++) {
		struct cw_live_queue *queue = queue_at(live, i);

		if (queue->cutting)
			let_go_of_block(queue);
		/* A leased ring's mapping keeps the socket open: stop filling it. */
		if (queue->fd >= 0)
			(void)cw_live_filter_nothing(queue);
		cw_live_ring_drop(queue->ring);
		if (queue->epoll_fd >= 0)
			close(queue->epoll_fd);
		if (queue->fd >= 0)
			close(queue->fd);
	}
	free(live);
}

const struct cw_live_ops cw_live_packet_ops = {
    .next = next,
    .stop = stop,
    .stats = read_stats,
    .prefilter = set_prefilter,
    .close = close_rings,
};
