/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the handle share. Not for other files.
 *
 *	handle_open.c     its life
 *	handle.c          settings, what it is
 *	handle_read.c     packets: spans of a source, decoded into a burst, filtered
 *	handle_filter.c   which filter a packet's link type needs
 *	handle_live.c     devices: activation, direction, statistics, sending
 *	handle_names.c    link types and sources of times that there are
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

#define CW_HANDLE_BURST 256u /* packets decoded at once: their views stay in the first cache */

enum cw_handle_kind {
	CW_HANDLE_OFFLINE,
	CW_HANDLE_LIVE,
	CW_HANDLE_DEAD,
};

/* The filter of packets of one kind; an expression is compiled when the first one comes. */
struct cw_handle_filter {
	uint32_t linktype;
	bool is_swapped;
	struct cw_filter *filter; /* NULL: such packets do not match */
};

/* What is set before activation; direction also later. */
struct cw_handle_settings {
	uint32_t snaplen; /* dead: of its packets too */
	bool is_promiscuous;
	bool is_immediate;
	bool is_rfmon;
	bool is_ns;
	bool has_clock;
	int clock; /* PCAP_TSTAMP_ */
	int timeout_ms;
	uint64_t buffer_bytes; /* 0: as the source has it */
	enum cw_direction direction;
};

/* A device's losses since activation. */
struct cw_handle_counting {
	struct cw_netdev_probe *probe; /* NULL: the device has no such counters */
	struct cw_netdev_counters before, now;
	struct cw_netdev_losses losses;
	struct cw_stats stats; /* as reported last */
};

struct cw_handle_reading {
	bool has_span;
	struct cw_span span;
	struct cw_lease lease;
	struct cw_cursor cursor;
	struct cw_packet burst[CW_HANDLE_BURST];
	uint32_t burst_next, burst_end; /* decoded and not handed out */
	int end;                        /* what reading says from now on; 0: it goes on */
};

struct cw_handle_filters {
	bool is_set;
	char *expression; /* NULL: the filter is a program, for the handle's own link type */
	struct cw_handle_filter *at;
	uint32_t count;
};

struct cw_handle {
	/* constant after opening */
	enum cw_handle_kind kind;
	int wake_fd; /* eventfd, written by close; -1: a dead handle */
	char *device;

	/* any thread */
	_Atomic bool is_closed;

	/* the owner's */
	struct cw_handle_settings settings;
	bool is_activated;
	uint32_t linktype;
	uint32_t netmask; /* of the device, network byte order; 0: none known */
	struct cw_ifaces ifaces;
	struct cw_source *source;
	struct cw_live *live;
	struct cw_live_info live_info;
	struct cw_transmit *transmit; /* NULL: nothing was sent yet */
	struct cw_handle_counting counting;
	struct cw_handle_reading reading;
	struct cw_handle_filters filters;
	struct cw_error error; /* the last one, or a warning */
};

static inline uint32_t cw_handle_sane_snaplen(int64_t bytes)
{
	return bytes < 1 || bytes > CW_CAPLEN_MAX ? CW_CAPLEN_MAX : (uint32_t)bytes;
}

/* Whether close was called: [CLOSE-1] acquire, after the descriptor was readable. */
static inline bool cw_handle_is_closed(const struct cw_handle *handle)
{
	return atomic_load_explicit(&handle->is_closed, memory_order_acquire);
}

/* Remember what went wrong, and tell who asked (NULL: nobody). Returns the code. */
int cw_handle_fail(struct cw_handle *handle, struct cw_error *error, int code, const char *format,
		   ...) CW_PRINTF(4, 5);

#ifdef __clang_analyzer__ /* as in error.h */
#define cw_handle_fail(handle, error, code, ...) \
	((void)cw_handle_fail(handle, error, code, __VA_ARGS__), (code))
#endif

/* 0, or why not: CW_NOT_LIVE, CW_IS_DEAD, CW_NOT_ACTIVATED. (With an explanation in the handle.) */
int cw_handle_need_live(struct cw_handle *handle, struct cw_error *error);

/* 0, or why not: CW_NOT_LIVE, CW_ALREADY_ACTIVATED. (Likewise.) */
int cw_handle_may_set(struct cw_handle *handle);

/* Keep of `count` packets those that pass filter and direction, in order; how many. -errno when a
 * filter cannot be compiled for a packet's link type. */
int64_t cw_handle_filter_packets(struct cw_handle *handle, struct cw_packet *packets,
				 uint32_t count);

/* The same with what was decoded and not handed out: filter or direction changed. 0, or why not. */
int cw_handle_filter_burst(struct cw_handle *handle, struct cw_error *error);

void cw_handle_filters_fini(struct cw_handle_filters *filters);

/* The next span of a device: as cw_source_next; 0: none came within the time. */
int cw_handle_next_live(struct cw_handle *handle, int timeout_ms);

#endif
