/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies libpcap's packets into arenas, returns parts of the arenas as spans, waits, and counts.
 *
 * libpcap's descriptor is non-blocking. This file waits for it and for the wake descriptor, and
 * only after pcap_dispatch returned no packets: libpcap then holds no block of its kernel ring, and
 * "readable" means packets. A socket error is read here or by pcap_dispatch, whichever is first.
 * libpcap does not report it, but asks to be called again soon, which reveals it.
 */

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/source/live/pcap_parts.h"

#define STATS_ARENAS 1024u /* read the counts this often: long before 32 bits wrap */
#define BLIND_WAIT_MS 10   /* wait without a descriptor to wait on */
#define HARDWARE_CAN 280   /* ARPHRD_CAN: linux/if_arp.h conflicts with net/if.h */

static struct cw_live_pcap *pcap_of(struct cw_live *live)
{
	return (struct cw_live_pcap *)live;
}

/* ---- filters ---- */

static int attach(const struct cw_live_pcap *live, struct sock_filter *program, size_t count)
{
	struct sock_fprog request = {.len = (unsigned short)count, .filter = program};

	if (setsockopt(pcap_fileno(live->handle), SOL_SOCKET, SO_ATTACH_FILTER, &request,
		       sizeof(request)) < 0)
		return -errno;
	return 0;
}

int cw_live_pcap_filter_nothing(const struct cw_live_pcap *live)
{
	struct sock_filter program = BPF_STMT(BPF_RET | BPF_K, 0);

	return attach(live, &program, 1);
}

#define LOAD(what) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + (what)))
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), yes, no)

/*
 * Rejects in the kernel, before counting, the packets that libpcap would reject after counting:
 * outgoing packets of loopback and, unless only outgoing ones are wanted, of CAN interfaces (both
 * also come in). Reads no packet bytes, so the program also fits cooked sockets, whose packets
 * start elsewhere.
 */
int cw_live_pcap_filter_direction(const struct cw_live_pcap *live, uint32_t reach)
{
	const uint8_t outgoing = live->direction == CW_LIVE_IN ? 4 : 0; /* jump offset from 1 */
	const uint8_t incoming = live->direction == CW_LIVE_OUT ? 4 : 5;
	const uint8_t can = live->direction == CW_LIVE_OUT ? 1 : 0; /* jump offset from 5 */
	struct sock_filter program[] = {
	    /* 0 */ LOAD(SKF_AD_PKTTYPE),
	    /* 1 */ IF_EQUAL(PACKET_OUTGOING, outgoing, incoming),
	    /* 2 */ LOAD(SKF_AD_IFINDEX),
	    /* 3 */ IF_EQUAL(if_nametoindex("lo"), 2, 0),
	    /* 4 */ LOAD(SKF_AD_HATYPE),
	    /* 5 */ IF_EQUAL(HARDWARE_CAN, can, 1),
	    /* 6 */ BPF_STMT(BPF_RET | BPF_K, 0),
	    /* 7 */ BPF_STMT(BPF_RET | BPF_K, reach),
	};

	return attach(live, program, CW_ARRAY_COUNT(program));
}

/* ---- filling arenas ---- */

static void store_record(const struct cw_live_pcap *live, uint8_t *to,
			 const struct pcap_pkthdr *header, const uint8_t *data, uint32_t caplen)
{
	cw_store_u32(to, (uint32_t)header->ts.tv_sec);
	cw_store_u32(to + 4, (uint32_t)header->ts.tv_usec * live->unit_ns);
	cw_store_u32(to + 8, caplen);
	cw_store_u32(to + 12, header->len);
	memcpy(to + CW_PCAP_RECORD_BYTES, data, caplen);
}

/* libpcap calls this for each packet. */
static void take_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	struct cw_live_pcap *live = (void *)user;
	uint32_t caplen = cw_min_u32(header->caplen, live->base.info.snaplen);
	uint32_t bytes = CW_PCAP_RECORD_BYTES + caplen;

	if (cw_likely(bytes <= live->room_bytes - live->end &&
		      live->record_count < live->records_max)) {
		uint8_t *arena = (uint8_t *)(uintptr_t)live->arena->data;

		store_record(live, arena + live->end, header, data, caplen);
		live->end += bytes;
		live->record_count++;
	} else if (!live->spill_bytes) {
		store_record(live, live->spill, header, data, caplen);
		live->spill_bytes = bytes;
		pcap_breakloop(live->handle);
	} else { /* a libpcap module that ignores pcap_breakloop: count a drop */
		live->stats.kernel_dropped++;
	}
}

/* Provides an arena, and moves the spilled record into it. Returns 0; -EAGAIN: all arenas are
 * leased; or another -errno. */
static int prepare_arena(struct cw_live_pcap *live)
{
	int result;

	if (live->arena && live->room_bytes - live->end < live->spill_bytes) {
		cw_window_drop(live->arena);
		live->arena = NULL;
	}
	if (!live->arena) {
		result = cw_window_buffer(live->pool, 0, CW_PCAP_ARENA_BYTES, &live->arena);
		if (result < 0)
			return result;
		(void)cw_window_room(live->arena, &live->room_bytes);
		live->start = 0;
		live->end = 0;
		live->stats.blocks++;
		if (++live->arenas_since_stats == STATS_ARENAS)
			cw_live_pcap_read_stats(live);
	}
	if (live->spill_bytes) {
		memcpy((uint8_t *)(uintptr_t)live->arena->data + live->end, live->spill,
		       live->spill_bytes);
		live->end += live->spill_bytes;
		live->record_count = 1;
		live->spill_bytes = 0;
	}
	return 0;
}

/* Fills a span with the records since the last span. */
static void cut(struct cw_live_pcap *live, struct cw_span *span, struct cw_lease *lease)
{
	*span = (struct cw_span){.data = live->arena->data + live->start,
				 .bytes = live->end - live->start,
				 .record_count = live->record_count,
				 .offset = live->offset,
				 .layout = live->layout};
	cw_window_take(live->arena);
	*lease = (struct cw_lease){.window = live->arena};
	live->offset += span->bytes;
	live->stats.received += span->record_count;
	live->start = live->end;
	live->record_count = 0;
}

/* ---- interface changes ---- */

/* Returns whether the interface was removed: its sockets are then bound to index -1. */
static bool is_device_gone(const struct cw_live_pcap *live)
{
	struct sockaddr_ll address = {0};
	socklen_t bytes = sizeof(address);

	return live->is_packet_socket &&
	       getsockname(live->fd, (struct sockaddr *)&address, &bytes) == 0 &&
	       address.sll_ifindex == -1;
}

static int note_down(struct cw_live_pcap *live)
{
	live->was_down = true;
	live->stats.downs++;
	return -ENETDOWN;
}

/* Reads and clears the socket's error. Returns 0 or a negative errno. */
static int socket_error(struct cw_live_pcap *live)
{
	int code = 0;
	socklen_t bytes = sizeof(code);

	if (getsockopt(live->fd, SOL_SOCKET, SO_ERROR, &code, &bytes) < 0)
		return -errno;
	return code == ENETDOWN ? note_down(live) : -code;
}

/* Returns the error after pcap_dispatch failed. */
static int dispatch_error(struct cw_live_pcap *live)
{
	int code = errno;

	if (is_device_gone(live)) {
		live->is_removed = true;
		return -ENODEV;
	}
	/* Some libpcap modules fail when there is nothing to read. */
	if (code == EAGAIN)
		return 0;
	if (!live->is_packet_socket && (code == ENODEV || code == ENXIO)) {
		live->is_removed = true;
		return -ENODEV;
	}
	return code > 0 ? -code : -EIO;
}

/* Returns whether libpcap has read from the socket that the interface went down, before us. */
static bool is_news_of_down(struct cw_live_pcap *live)
{
	bool is_known = live->is_down_reported;

	live->is_down_reported =
	    live->is_packet_socket && pcap_get_required_select_timeout(live->handle) != NULL;
	return live->is_down_reported && !is_known;
}

/* Lets libpcap fill the arena. Returns 0, or the error that next returns after the records. */
static int dispatch(struct cw_live_pcap *live)
{
	int room = live->records_max > INT32_MAX ? -1 : (int)live->records_max;
	int result;

	if (room > 0 && live->record_count)
		room -= (int)live->record_count;
	errno = 0;
	result =
	    room == 0 ? 0 : pcap_dispatch(live->handle, room, take_packet, (u_char *)(void *)live);
	if (result < 0 && result != PCAP_ERROR_BREAK)
		return dispatch_error(live);
	return is_news_of_down(live) ? note_down(live) : 0;
}

/* ---- waiting ---- */

/* Waits. Returns 1: try again; 0: time is over; -EINTR; or the socket's error. */
static int wait_for_fd(struct cw_live_pcap *live, int timeout_ms)
{
	struct pollfd fds[2] = {{.fd = live->fd, .events = POLLIN},
				{.fd = live->is_stopping ? -1 : live->wake_fd, .events = POLLIN}};
	int count = poll(fds, 2, timeout_ms);
	int result;

	live->stats.wakeups++;
	if (count < 0)
		return errno == EINTR ? 1 : -errno;
	if (fds[0].revents & POLLERR && live->is_packet_socket) {
		result = socket_error(live);
		if (result < 0)
			return result;
	}
	return fds[1].revents ? -EINTR : count > 0;
}

/* Returns the longest wait that libpcap or the checks for removal allow, in ms; -1: no limit. */
static int longest_wait_ms(const struct cw_live_pcap *live)
{
	const struct timeval *required = pcap_get_required_select_timeout(live->handle);
	int64_t ms = live->fd < 0 ? BLIND_WAIT_MS : -1;

	if (live->was_down)
		return CW_LIVE_DOWN_LOOK_MS;
	if (required) {
		ms = required->tv_sec * 1000 + required->tv_usec / 1000;
		ms = ms < 1 ? 1 : ms > CW_LIVE_DOWN_LOOK_MS ? CW_LIVE_DOWN_LOOK_MS : ms;
	}
	return (int)ms;
}

/* Waits for the last packets; the filter passes no more. Returns -ENODATA: none is left; 1: try
 * again. */
static int wait_for_rest(struct cw_live_pcap *live)
{
	uint32_t retire_ms = live->base.info.retire_ms;
	uint64_t elapsed_ms = (cw_now_ns() - live->stopped_ns) / CW_NS_PER_MS;
	int result;

	if (elapsed_ms > retire_ms) {
		cw_live_pcap_read_stats(live);
		live->is_drained = (live->stats.left == 0 && !live->stats.is_uncounted) ||
				   !live->is_packet_socket ||
				   elapsed_ms > CW_LIVE_DRAIN_MS_MAX(retire_ms);
	}
	if (live->is_drained) {
		/* Packets that libpcap did not return are not counted. */
		live->stats.kernel_seen = live->stats.kernel_dropped + live->stats.received;
		live->stats.left = 0;
		return -ENODATA;
	}
	result = wait_for_fd(live, (int)retire_ms / 2 + 1);
	return result < 0 ? result : 1;
}

/* Waits for a change. Returns 1: try again; 0: time is over; or the error for next. */
static int wait_for_change(struct cw_live_pcap *live, struct cw_patience *patience)
{
	int result, wait_ms, longest_ms;

	if (live->is_drained)
		return -ENODATA;
	if (live->is_stopping)
		return wait_for_rest(live);
	if (live->is_removed)
		return -ENODEV;
	if (patience->is_over)
		return 0;
	wait_ms = cw_patience_left(patience);
	longest_ms = longest_wait_ms(live);
	if (longest_ms < 0 || (wait_ms >= 0 && wait_ms < longest_ms))
		longest_ms = wait_ms;
	result = wait_for_fd(live, longest_ms);
	if (live->was_down && result >= 0)
		live->is_removed = is_device_gone(live);
	/* next tries once more before it returns 0. */
	patience->is_over = wait_ms == 0 || (result == 0 && longest_ms == wait_ms);
	return result < 0 ? result : 1;
}

/* ---- the source ---- */

static int next(struct cw_live *base, uint32_t queue, uint32_t records_max, int timeout_ms,
		struct cw_span *span, struct cw_lease *lease)
{
	struct cw_live_pcap *live = pcap_of(base);
	struct cw_patience patience = {.timeout_ms = timeout_ms};
	int result;

	(void)queue;
	live->records_max = records_max ? records_max : UINT32_MAX;
	for (;;) {
		result = live->failure;
		live->failure = 0;
		if (result < 0)
			return result;
		result = prepare_arena(live);
		if (result < 0) {
			live->stats.stalls += result == -EAGAIN;
			return result;
		}
		/* The kernel passes packets, perhaps for ever. */
		if (live->is_unfiltered && (cw_now_ns() - live->stopped_ns) / CW_NS_PER_MS >
					       CW_LIVE_DRAIN_MS_MAX(live->base.info.retire_ms))
			live->is_drained = true;
		/* After a removal, libpcap may still hold packets. */
		result = live->is_drained ? 0 : dispatch(live);
		if (live->record_count) {
			live->failure = result;
			cut(live, span, lease);
			return 1;
		}
		if (result < 0 && !live->is_stopping)
			return result;
		if (live->spill_bytes)
			continue;
		result = wait_for_change(live, &patience);
		if (result <= 0)
			return result;
	}
}

static int stop(struct cw_live *base, uint32_t queue)
{
	struct cw_live_pcap *live = pcap_of(base);
	int result = live->is_packet_socket ? cw_live_pcap_filter_nothing(live) : 0;

	(void)queue;
	if (!live->is_stopping)
		live->stopped_ns = cw_now_ns();
	live->is_stopping = true;
	live->is_unfiltered = result < 0;
	live->failure = 0;
	return result;
}

/* The differences are right although libpcap's counts wrap at 32 bits. */
void cw_live_pcap_read_stats(struct cw_live_pcap *live)
{
	struct cw_live_stats *stats = &live->stats;
	struct pcap_stat now = live->known;
	bool is_read = pcap_stats(live->handle, &now) == 0 || !live->is_packet_socket;

	live->arenas_since_stats = 0;
	cw_live_count(stats, is_read, now.ps_recv - live->known.ps_recv,
		      now.ps_drop - live->known.ps_drop);
	if (is_read)
		live->known = now;
	if (live->is_packet_socket)
		return;
	stats->kernel_seen = stats->kernel_dropped + stats->received;
	stats->left = 0;
}

static void read_stats(struct cw_live *base, uint32_t queue, struct cw_live_stats *stats)
{
	struct cw_live_pcap *live = pcap_of(base);

	(void)queue;
	if (!live->is_drained)
		cw_live_pcap_read_stats(live);
	*stats = live->stats;
}

static void close_handle(struct cw_live *base)
{
	struct cw_live_pcap *live = pcap_of(base);

	cw_window_drop(live->arena);
	cw_window_pool_drop(live->pool);
	if (live->handle)
		pcap_close(live->handle);
	free(live->spill);
	free(live);
}

static int set_reach(struct cw_live *base, uint32_t queue, const struct bpf_insn *program,
		     uint32_t instruction_count, uint32_t reach, struct cw_error *error)
{
	const struct cw_live_pcap *live = pcap_of(base);
	int result = -EOPNOTSUPP;

	(void)queue;
	(void)instruction_count;
	if (!program && live->is_packet_socket)
		result = live->is_stopping ? -EINVAL : cw_live_pcap_filter_direction(live, reach);
	if (result < 0)
		return cw_error_set_errno(error, result, "cannot set a kernel prefilter on %s",
					  base->device);
	return 0;
}

const struct cw_live_ops cw_live_pcap_ops = {
    .next = next,
    .stop = stop,
    .stats = read_stats,
    .prefilter = set_reach,
    .close = close_handle,
};
