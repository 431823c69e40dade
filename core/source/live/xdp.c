/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fills batches from the receive ring, returns their frames to the kernel, waits, and counts.
 *
 * A frame's cycle: fill ring (the kernel may use it), receive ring (it has a packet), batch
 * (leased), stack of returned batches, fill ring. The queue's thread does everything except giving
 * back. The rings have room for all frames, so they are never full.
 */

#include <errno.h>
#include <linux/if.h>
#include <linux/if_xdp.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/source/live/xdp_parts.h"

#define MORE_PIECES 1u /* XDP_PKT_CONTD in a descriptor's options, Linux 6.6 */
#define PIECES_MAX 64u /* pieces read beyond the requested packets, to complete the last one */
#define PAUSE_FRAMES_PER_US 20u /* a pause fills half the frames at 10 Mpps */
#define PAUSE_NS_MAX 1600000u
#define HELD_LOOK_MS 10 /* interval of checks for returned batches while many are leased */

/* ---- memory ---- */

static void release_batch(struct cw_window *window);

struct cw_xdp_memory *cw_xdp_memory_new(uint32_t frame_bytes, uint32_t frame_count)
{
	const size_t frames_bytes = (size_t)frame_bytes * frame_count;
	const size_t batch_bytes = CW_XDP_BATCH_FRAMES * sizeof(struct cw_frame);
	struct cw_xdp_memory *memory;
	uint8_t *joined, *descriptors;

	memory = aligned_alloc(CW_CACHE_LINE, sizeof(*memory));
	if (!memory)
		return NULL;
	memset(memory, 0, sizeof(*memory));
	memory->bytes = frames_bytes + CW_XDP_BATCHES * (CW_XDP_JOINED_BYTES + batch_bytes);
	memory->base = mmap(NULL, memory->bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory->base == MAP_FAILED) {
		free(memory);
		return NULL;
	}
	/* A page shared with a child would be copied on write, and the kernel keep the old one. */
	(void)madvise(memory->base, memory->bytes, MADV_DONTFORK);
	(void)madvise(memory->base, frames_bytes, MADV_HUGEPAGE); /* if available */
	atomic_init(&memory->references, 1);
	atomic_init(&memory->returned, NULL);
	memory->frames_bytes = frames_bytes;
	memory->frame_bytes = frame_bytes;
	memory->frame_count = frame_count;
	joined = memory->base + frames_bytes;
	descriptors = joined + CW_XDP_BATCHES * CW_XDP_JOINED_BYTES;
	for (uint32_t i = 0; i < CW_XDP_BATCHES; i++) {
		struct cw_xdp_batch *batch = &memory->batches[i];

		batch->memory = memory;
		batch->joined = joined + i * CW_XDP_JOINED_BYTES;
		batch->frames = (void *)(descriptors + i * batch_bytes);
		batch->window.data = (const uint8_t *)batch->frames;
		batch->window.bytes = batch_bytes;
		batch->window.fd = -1;
		batch->window.intact_end = UINT64_MAX;
		batch->window.release = release_batch;
		batch->window.owner = batch;
	}
	return memory;
}

void cw_xdp_memory_drop(struct cw_xdp_memory *memory)
{
	/* acq_rel: [WINDOW-1] for the memory as a whole; all reads of it happen before. */
	if (!memory || atomic_fetch_sub_explicit(&memory->references, 1, memory_order_acq_rel) != 1)
		return;
	munmap(memory->base, memory->bytes);
	free(memory);
}

/* Runs in the thread, any one, that gives back the batch's last lease. */
static void release_batch(struct cw_window *window)
{
	struct cw_xdp_batch *batch = window->owner;
	struct cw_xdp_memory *memory = batch->memory;
	/* Relaxed: the top is only linked below; the queue's thread reads it after an acquire. */
	struct cw_xdp_batch *top = atomic_load_explicit(&memory->returned, memory_order_relaxed);

	/* [FRAME-1] release: every reader's reads, gathered by [WINDOW-1], before the kernel writes
	 * there again. The stack is only emptied as a whole, so ABA cannot do harm. */
	do
		batch->next = top;
	while (!atomic_compare_exchange_weak_explicit(&memory->returned, &top, batch,
						      memory_order_release, memory_order_relaxed));
	cw_xdp_memory_drop(memory);
}

/* ---- frames to the kernel ---- */

static void put_address(struct cw_xdp_queue *queue, uint64_t address)
{
	uint32_t index;

	if (xsk_ring_prod__reserve(&queue->fill, 1, &index) == 1) /* room for all frames */
		*xsk_ring_prod__fill_addr(&queue->fill, index) =
		    address & ~(uint64_t)(queue->memory->frame_bytes - 1);
}

/* Submits the `count` new addresses. This continues the release of [FRAME-1] to the kernel. */
static void submit(struct cw_xdp_queue *queue, uint32_t count)
{
	if (!count)
		return;
	xsk_ring_prod__submit(&queue->fill, count);
	if (xsk_ring_prod__needs_wakeup(&queue->fill))
		/* cppcheck-suppress nullPointer ; reads nothing: wakes the kernel */
		(void)recvfrom(queue->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void take_back(struct cw_xdp_queue *queue)
{
	struct cw_xdp_memory *memory = queue->memory;
	struct cw_xdp_batch *batch, *next;
	uint32_t i, count = 0;

	/* Relaxed: only decides whether to look. */
	if (!atomic_load_explicit(&memory->returned, memory_order_relaxed))
		return;
	/* [FRAME-1] acquire */
	batch = atomic_exchange_explicit(&memory->returned, NULL, memory_order_acquire);
	for (; batch; batch = next) {
		next = batch->next;
		for (i = 0; i < batch->frame_count; i++) {
			size_t at = (size_t)(batch->frames[i].data - memory->base);

			if (at < memory->frames_bytes)
				put_address(queue, at);
		}
		count += batch->held_count;
		batch->next = queue->free;
		queue->free = batch;
	}
	queue->held_count -= count;
	submit(queue, count);
}

void cw_xdp_queue_start(struct cw_xdp_queue *queue)
{
	struct cw_xdp_memory *memory = queue->memory;

	for (uint32_t i = 0; i < memory->frame_count; i++)
		put_address(queue, (uint64_t)i * memory->frame_bytes);
	submit(queue, memory->frame_count);
	queue->free = NULL;
	for (uint32_t i = CW_XDP_BATCHES; i-- > 0;) {
		memory->batches[i].next = queue->free;
		queue->free = &memory->batches[i];
	}
}

/* ---- packets ---- */

struct clocks {
	uint64_t now_ns;    /* wall clock when the batch is taken */
	uint64_t offset_ns; /* wall clock minus the program's clock */
};

static struct clocks read_clocks(void)
{
	uint64_t now_ns = cw_wall_ns();

	return (struct clocks){.now_ns = now_ns, .offset_ns = now_ns - cw_now_ns()};
}

/* Returns the packet's timestamp, and clears the stamp, so that the frame's next packet does not
 * get it. */
static uint64_t take_stamp(uint8_t *data, const struct clocks *clocks)
{
	struct cw_xdp_stamp stamp;

	memcpy(&stamp, data - sizeof(stamp), sizeof(stamp));
	if (cw_unlikely(stamp.mark != CW_XDP_MARK))
		return clocks->now_ns;
	cw_store_u64(data - sizeof(stamp) + offsetof(struct cw_xdp_stamp, mark), 0);
	return stamp.ts_ns + clocks->offset_ns;
}

static const struct xdp_desc *piece_at(const struct cw_xdp_queue *queue, uint32_t index)
{
	return xsk_ring_cons__rx_desc(&queue->rx, index);
}

/* Returns the number of the packet's pieces; 0: its last piece is not in the `available` ones. */
static uint32_t count_pieces(const struct cw_xdp_queue *queue, uint32_t index, uint32_t available)
{
	uint32_t count = 0;

	while (count < available)
		if (!(piece_at(queue, index + count++)->options & MORE_PIECES))
			return count;
	return 0;
}

/* Joins the pieces of a packet, up to the snapshot length. Returns false if there is no room. */
static bool join(struct cw_xdp_queue *queue, struct cw_xdp_batch *batch, uint32_t index,
		 uint32_t count, const struct clocks *clocks)
{
	struct cw_frame *frame = &batch->frames[batch->frame_count];
	uint8_t *memory = queue->memory->base;
	uint8_t *to = batch->joined + batch->joined_used;
	uint32_t room = (uint32_t)CW_XDP_JOINED_BYTES - batch->joined_used;
	uint32_t i, wanted, wire_len = 0, at = 0;

	for (i = 0; i < count; i++)
		wire_len += piece_at(queue, index + i)->len;
	wanted = cw_min_u32(wire_len, queue->layout.caplen_cut);
	if (wanted > room && batch->joined_used)
		return false;
	wanted = cw_min_u32(wanted, room); /* Linux has no longer packets */
	*frame = (struct cw_frame){
	    .data = to,
	    .ts_ns = take_stamp(memory + piece_at(queue, index)->addr, clocks),
	    .caplen = wanted,
	    .wire_len = wire_len,
	};
	for (i = 0; i < count; i++) {
		const struct xdp_desc *piece = piece_at(queue, index + i);
		uint32_t bytes = cw_min_u32(piece->len, wanted - at);

		memcpy(to + at, memory + piece->addr, bytes);
		at += bytes;
		put_address(queue, piece->addr);
	}
	batch->joined_used += wanted;
	batch->frame_count++;
	return true;
}

static void take_frame(struct cw_xdp_queue *queue, struct cw_xdp_batch *batch, uint32_t index,
		       const struct clocks *clocks)
{
	const struct xdp_desc *piece = piece_at(queue, index);
	uint8_t *data = queue->memory->base + piece->addr;

	batch->frames[batch->frame_count++] = (struct cw_frame){.data = data,
								.ts_ns = take_stamp(data, clocks),
								.caplen = piece->len,
								.wire_len = piece->len};
	batch->held_count++;
}

/* Fills the batch from `available` pieces. Returns the number of pieces taken. */
static uint32_t fill_batch(struct cw_xdp_queue *queue, struct cw_xdp_batch *batch, uint32_t index,
			   uint32_t available, uint32_t records_max)
{
	const struct clocks clocks = read_clocks();
	uint32_t count, used = 0, joined = 0;

	batch->frame_count = 0;
	batch->held_count = 0;
	batch->joined_used = 0;
	while (used < available && batch->frame_count < records_max) {
		if (used + 4 < available)
			__builtin_prefetch(queue->memory->base +
					   piece_at(queue, index + used + 4)->addr);
		count = count_pieces(queue, index + used, available - used);
		if (cw_likely(count == 1)) {
			take_frame(queue, batch, index + used, &clocks);
		} else {
			if (count == 0 || !join(queue, batch, index + used, count, &clocks))
				break;
			joined += count;
		}
		used += count;
	}
	queue->held_count += batch->held_count;
	submit(queue, joined);
	return used;
}

/* Fills the next span. Returns 1; 0: no packets; -EAGAIN: no batch or no frame is free. */
static int take_batch(struct cw_xdp_queue *queue, uint32_t records_max, struct cw_span *span,
		      struct cw_lease *lease)
{
	struct cw_xdp_batch *batch = queue->free;
	uint32_t index, available, used;

	if (records_max == 0 || records_max > CW_XDP_BATCH_FRAMES)
		records_max = CW_XDP_BATCH_FRAMES;
	available = xsk_ring_cons__peek(&queue->rx, records_max + PIECES_MAX, &index);
	if (!available)
		return queue->held_count < queue->memory->frame_count || queue->is_stopping
			   ? 0
			   : -EAGAIN;
	if (!batch) {
		xsk_ring_cons__cancel(&queue->rx, available);
		return -EAGAIN;
	}
	used = fill_batch(queue, batch, index, available, records_max);
	xsk_ring_cons__cancel(&queue->rx, available - used);
	xsk_ring_cons__release(&queue->rx, used);
	if (!batch->frame_count)
		return 0;
	queue->free = batch->next;
	/* Relaxed, both: only this thread reads them before it passes the lease on. */
	atomic_store_explicit(&batch->window.references, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&queue->memory->references, 1, memory_order_relaxed);
	*span = (struct cw_span){.data = batch->window.data,
				 .bytes = batch->frame_count * sizeof(struct cw_frame),
				 .record_count = batch->frame_count,
				 .offset = queue->offset,
				 .layout = queue->layout};
	*lease = (struct cw_lease){.window = &batch->window};
	queue->offset += span->bytes;
	queue->stats.received += span->record_count;
	queue->stats.blocks++;
	queue->is_busy = true;
	return 1;
}

/* ---- waiting ---- */

/* Checks the interface, whose name may have changed. Returns 0; -ENETDOWN if it went down since the
 * last check; or -ENODEV. */
static int look_at_device(const struct cw_live_xdp *live, struct cw_xdp_queue *queue)
{
	struct ifreq request = {.ifr_ifindex = live->base.info.device_index};
	bool was_down = queue->is_down;

	queue->looked_ns = cw_now_ns();
	if (ioctl(live->device_fd, SIOCGIFNAME, &request) < 0 ||
	    ioctl(live->device_fd, SIOCGIFFLAGS, &request) < 0) {
		if (errno != ENODEV && errno != ENXIO)
			return 0;
		queue->is_removed = true;
		return -ENODEV;
	}
	queue->is_down = !(request.ifr_flags & IFF_UP);
	if (!queue->is_down || was_down)
		return 0;
	queue->stats.downs++;
	return -ENETDOWN;
}

/* Waits. Returns 1: try again; 0: time is over; -EINTR or another error. */
static int wait_for_fd(struct cw_xdp_queue *queue, int timeout_ms)
{
	struct pollfd fds[2] = {{.fd = queue->fd, .events = POLLIN},
				{.fd = queue->is_stopping ? -1 : queue->wake_fd, .events = POLLIN}};
	int count = poll(fds, 2, timeout_ms);

	queue->stats.wakeups++;
	if (count < 0)
		return errno == EINTR ? 1 : -errno;
	return fds[1].revents ? -EINTR : count > 0;
}

/*
 * Pauses while packets arrive, to take several at once. Woken for each packet, a reader of 60-octet
 * frames took 1,350 ns of CPU a packet and slowed the sender down to 0.24 Mpps; with pauses it
 * takes 30 ns at 0.49 Mpps, the sender's maximum (Linux 6.18, veth). Returns -EINTR or 0.
 */
static int pause_for_more(struct cw_xdp_queue *queue)
{
	uint64_t pause_ns = (uint64_t)queue->memory->frame_count * 1000 / PAUSE_FRAMES_PER_US;
	struct timespec time = {.tv_nsec =
				    (long)(pause_ns < PAUSE_NS_MAX ? pause_ns : PAUSE_NS_MAX)};
	struct pollfd wake = {.fd = queue->wake_fd, .events = POLLIN};

	queue->stats.wakeups++;
	return ppoll(&wake, 1, &time, NULL) > 0 ? -EINTR : 0;
}

static uint32_t count_left(const struct cw_xdp_queue *queue)
{
	/* Acquire: the kernel writes descriptors before its producer index. */
	uint32_t end = __atomic_load_n(queue->rx.producer, __ATOMIC_ACQUIRE);
	uint32_t index, count = 0;

	for (index = queue->rx.cached_cons; index != end; index++)
		count += !(piece_at(queue, index)->options & MORE_PIECES);
	return count;
}

/*
 * Waits for the last packets; the map redirects no more. Packets that the driver is processing
 * reach the kernel ring when its poll ends, long within a retire time. Returns 1, try again, or an
 * error.
 */
static int wait_for_rest(const struct cw_live_xdp *live, struct cw_xdp_queue *queue)
{
	uint64_t elapsed_ms = (cw_now_ns() - queue->stopped_ns) / CW_NS_PER_MS;
	int retire_ms = (int)live->base.info.retire_ms;
	int result;

	if (elapsed_ms > live->base.info.retire_ms && count_left(queue) == 0) {
		queue->is_drained = true;
		return 1; /* next reads the counts, then returns -ENODATA */
	}
	result = wait_for_fd(queue, retire_ms / 2 + 1);
	return result < 0 ? result : 1;
}

/* Waits for a change. Returns 1: try again; 0: time is over; or the error for next. */
static int wait_for_change(const struct cw_live_xdp *live, struct cw_xdp_queue *queue,
			   struct cw_patience *patience)
{
	int result, wait_ms, longest_ms;

	if (queue->is_stopping)
		return wait_for_rest(live, queue);
	if (queue->is_removed)
		return -ENODEV;
	if (patience->is_over)
		return 0;
	wait_ms = cw_patience_left(patience);
	if (queue->is_busy && wait_ms != 0) {
		queue->is_busy = false;
		result = pause_for_more(queue);
		return result < 0 ? result : 1;
	}
	longest_ms = queue->held_count > queue->memory->frame_count / 2 ? HELD_LOOK_MS
									: CW_LIVE_DOWN_LOOK_MS;
	if (wait_ms >= 0 && wait_ms < longest_ms)
		longest_ms = wait_ms;
	result = wait_for_fd(queue, longest_ms);
	patience->is_over = wait_ms == 0 || (result == 0 && longest_ms == wait_ms);
	if (result != 0)
		return result;
	if (cw_now_ns() - queue->looked_ns >= CW_LIVE_DOWN_LOOK_MS * CW_NS_PER_MS)
		result = look_at_device(live, queue);
	return result < 0 ? result : 1;
}

/* ---- the source ---- */

static struct cw_xdp_queue *queue_at(struct cw_live *live, uint32_t index)
{
	return &((struct cw_live_xdp *)live)->queues[index];
}

static void read_kernel(struct cw_xdp_queue *queue)
{
	struct cw_live_stats *stats = &queue->stats;
	struct xdp_statistics kernel = {0}; /* older kernels fill fewer fields */
	socklen_t bytes = sizeof(kernel);

	stats->is_uncounted = getsockopt(queue->fd, SOL_XDP, XDP_STATISTICS, &kernel, &bytes) != 0;
	if (!stats->is_uncounted) {
		stats->kernel_dropped = kernel.rx_dropped + kernel.rx_ring_full;
		stats->freezes = kernel.rx_fill_ring_empty_descs;
	}
	stats->left = count_left(queue);
	stats->kernel_seen = stats->kernel_dropped + stats->received + stats->left;
}

static int next(struct cw_live *live, uint32_t index, uint32_t records_max, int timeout_ms,
		struct cw_span *span, struct cw_lease *lease)
{
	struct cw_xdp_queue *queue = queue_at(live, index);
	struct cw_patience patience = {.timeout_ms = timeout_ms};
	int result;

	for (;;) {
		if (queue->is_drained)
			return -ENODATA;
		take_back(queue);
		result = take_batch(queue, records_max, span, lease);
		queue->stats.stalls += result == -EAGAIN;
		if (result != 0)
			return result;
		result = wait_for_change((const struct cw_live_xdp *)live, queue, &patience);
		if (result <= 0)
			return result;
		if (queue->is_drained)
			read_kernel(queue);
	}
}

static int stop(struct cw_live *live, uint32_t index)
{
	struct cw_xdp_queue *queue = queue_at(live, index);
	int result = cw_live_xdp_shut_out((struct cw_live_xdp *)live, index);

	if (result < 0)
		return result;
	if (!queue->is_stopping)
		queue->stopped_ns = cw_now_ns();
	queue->is_stopping = true;
	return 0;
}

static void read_stats(struct cw_live *live, uint32_t index, struct cw_live_stats *stats)
{
	struct cw_xdp_queue *queue = queue_at(live, index);

	if (!queue->is_drained)
		read_kernel(queue);
	*stats = queue->stats;
}

void cw_xdp_queue_close(struct cw_xdp_queue *queue)
{
	xsk_socket__delete(queue->socket); /* both accept NULL */
	(void)xsk_umem__delete(queue->umem);
	cw_xdp_memory_drop(queue->memory);
	queue->socket = NULL;
	queue->umem = NULL;
	queue->memory = NULL;
	queue->fd = -1;
}

static void close_device(struct cw_live *base)
{
	struct cw_live_xdp *live = (struct cw_live_xdp *)base;

	cw_live_xdp_detach(live);
	for (uint32_t i = 0; i < base->info.queue_count; i++)
		cw_xdp_queue_close(&live->queues[i]);
	if (live->device_fd >= 0)
		close(live->device_fd);
	free(live);
}

const struct cw_live_ops cw_live_xdp_ops = {
    .next = next,
    .stop = stop,
    .stats = read_stats,
    .close = close_device,
};
