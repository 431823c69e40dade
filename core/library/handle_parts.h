/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handle, shared by the files that implement it (README.md lists them), and by no other file.
 */
#ifndef CW_CORE_LIBRARY_HANDLE_PARTS_H
#define CW_CORE_LIBRARY_HANDLE_PARTS_H

#include <capweir/handle.h>
#include <stdatomic.h>

#include "core/base/base.h"
#include "core/net/netdev.h"
#include "core/source/source.h"
#include "core/source/live/live.h"
#include "core/source/live/transmit.h"

#define CW_HANDLE_BURST 256u /* packets decoded at once: their views stay in the L1 cache */

enum cw_handle_kind {
	CW_HANDLE_OFFLINE,
	CW_HANDLE_LIVE,
	CW_HANDLE_DEAD,
};

/* The filter of one link type and byte order, compiled at the first such packet. */
struct cw_handle_filter {
	uint32_t linktype;
	bool is_swapped;
	struct cw_filter *filter; /* NULL: no such packet matches */
};

/* Settings made before activation; direction also later. */
struct cw_handle_settings {
	uint32_t snaplen; /* bytes; of a dead handle too */
	bool is_promiscuous;
	bool is_immediate;
	bool is_rfmon;
	bool is_ns;
	bool has_clock;
	int clock;             /* PCAP_TSTAMP_ value */
	int timeout_ms;        /* negative: no limit */
	uint64_t buffer_bytes; /* 0: the source's default */
	enum cw_direction direction;
};

/* An interface's losses since activation. */
struct cw_handle_counting {
	struct cw_netdev_probe *probe; /* NULL: the interface has no such counters */
	struct cw_netdev_counters before, now;
	struct cw_netdev_losses losses;
	struct cw_stats stats; /* last reported */
};

struct cw_handle_reading {
	bool has_span;
	struct cw_span span;
	struct cw_lease lease;
	struct cw_cursor cursor;
	struct cw_packet burst[CW_HANDLE_BURST];
	uint32_t burst_next, burst_end; /* range of decoded packets not handed out yet */
	uint32_t caplen_max;            /* bytes of a packet handed out, after its filter */
	bool has_kernel_reach;          /* the kernel was told how many bytes a packet needs */
	int end;                        /* enum cw_next of every later read; 0: not ended */
};

struct cw_handle_filters {
	bool is_set;
	char *expression; /* NULL: the filter is a program, for the handle's link type */
	struct cw_handle_filter *at;
	uint32_t count;
};

struct cw_handle {
	/* constant after opening */
	enum cw_handle_kind kind;
	int wake_fd; /* eventfd, written by close; -1: a dead handle */
	char *device;

	/* written by any thread */
	_Atomic bool is_closed;

	/* written by the owner */
	struct cw_handle_settings settings;
	bool is_activated;
	uint32_t linktype;
	uint32_t netmask; /* of the interface, network byte order; 0: unknown */
	struct cw_ifaces ifaces;
	struct cw_source *source;
	struct cw_live *live;
	struct cw_live_info live_info;
	struct cw_transmit *transmit; /* NULL: nothing sent yet */
	struct cw_handle_counting counting;
	struct cw_handle_reading reading;
	struct cw_handle_filters filters;
	struct cw_error error; /* last error or warning */
};

static inline uint32_t cw_handle_sane_snaplen(int64_t bytes)
{
	return bytes < 1 || bytes > CW_CAPLEN_MAX ? CW_CAPLEN_MAX : (uint32_t)bytes;
}

/* Returns whether close was called: [CLOSE-1] acquire, after the descriptor was readable. */
static inline bool cw_handle_is_closed(const struct cw_handle *handle)
{
	return atomic_load_explicit(&handle->is_closed, memory_order_acquire);
}

/* Set the handle's error, and the caller's `error` (may be NULL). Returns the code. */
int cw_handle_fail(struct cw_handle *handle, struct cw_error *error, int code, const char *format,
		   ...) CW_PRINTF(4, 5);

#ifdef __clang_analyzer__ /* as in error.h */
#define cw_handle_fail(handle, error, code, ...) \
	((void)cw_handle_fail(handle, error, code, __VA_ARGS__), (code))
#endif

/* Returns 0, or CW_CLOSED after cw_handle_close, and sets the handle's error. */
int cw_handle_need_open(struct cw_handle *handle, struct cw_error *error);

/* Returns 0, CW_NOT_LIVE, CW_IS_DEAD or CW_NOT_ACTIVATED, and sets the handle's error. */
int cw_handle_need_live(struct cw_handle *handle, struct cw_error *error);

/* Returns 0, CW_NOT_LIVE or CW_ALREADY_ACTIVATED, and sets the handle's error. */
int cw_handle_may_set(struct cw_handle *handle);

/* Keep the packets that pass filter and direction, in order. Returns their number, or a negative
 * errno if the filter cannot be compiled for a packet's link type. */
int64_t cw_handle_filter_packets(struct cw_handle *handle, struct cw_packet *packets,
				 uint32_t count);

/* Do so with the decoded packets, after a change of filter or direction. Returns 0 or a negative
 * code. */
int cw_handle_filter_burst(struct cw_handle *handle, struct cw_error *error);

/* Let the kernel reject packets that cannot match, and truncate the others to what the filter and
 * the snapshot length need. If it cannot, all packets arrive complete. */
void cw_handle_set_kernel_filter(struct cw_handle *handle, const struct cw_filter *filter);

void cw_handle_filters_fini(struct cw_handle_filters *filters);

/* Fetch the next span of an interface. Returns as cw_source_next; 0: none within the timeout. */
int cw_handle_next_live(struct cw_handle *handle, int timeout_ms);

#endif
