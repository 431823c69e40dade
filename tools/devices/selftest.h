/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests whether capture works on an interface: sends a few frames on it and checks that they are
 * captured. No host processes the frames: they have EtherType 0x88b5 (local experiments) and the
 * interface's own address, or, without a link layer, IP protocol 253 (experiments) and
 * documentation addresses. Each frame holds its number and a random ID of the run.
 */
#ifndef CW_TOOLS_DEVICES_SELFTEST_H
#define CW_TOOLS_DEVICES_SELFTEST_H

#include "core/base/error.h"
#include "core/net/netdev.h"

#define CW_SELFTEST_FRAMES 16u
#define CW_SELFTEST_GAP_MS 1      /* pause between frames */
#define CW_SELFTEST_WAIT_MS 2000u /* time limit after the last frame */

enum cw_selftest_mode {
	CW_SELFTEST_BASIC,     /* all frames are captured, intact and in order */
	CW_SELFTEST_FILTERED,  /* a filter passes exactly every second frame */
	CW_SELFTEST_TIMESTAMP, /* timestamps are ascending, between sending and capture */
};

struct cw_selftest_result {
	uint32_t sent;           /* frames */
	uint32_t expected;       /* sent frames that the filter should pass */
	uint32_t seen;           /* expected frames that were captured */
	uint32_t seen_wrongly;   /* frames not expected, damaged or out of order */
	uint64_t others;         /* packets of other senders */
	uint64_t kernel_dropped; /* packets */
	const char *backend;     /* "packet" or "pcap"; NULL: not opened */
	bool has_ns;             /* timestamps are finer than microseconds */
	bool is_clock_off;       /* timestamps are of another clock */
	int64_t clock_off_ns;    /* largest distance from the possible time; < 0: too early */
	struct cw_error failure; /* code 0: capture works; else cause and cure */
};

/*
 * Sends frames on `from` and captures them on `device`: the same interface, or the other end of a
 * cable. Returns 0 or the code of result->failure.
 */
int cw_selftest(const struct cw_netdev *device, const struct cw_netdev *from,
		enum cw_selftest_mode mode, struct cw_selftest_result *result);

#endif
