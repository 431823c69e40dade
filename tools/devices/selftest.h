/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether capture works on a device: sends a few frames of its own on it and looks at what capture
 * makes of them. The frames are for nobody: EtherType 0x88b5 (local experiments) to the device's
 * own address, or, where there is no link layer, IP protocol 253 (experiments) between
 * documentation addresses. Each holds a number and what tells this run from others.
 */
#ifndef CW_TOOLS_DEVICES_SELFTEST_H
#define CW_TOOLS_DEVICES_SELFTEST_H

#include "core/base/error.h"
#include "core/net/netdev.h"

#define CW_SELFTEST_FRAMES 16u
#define CW_SELFTEST_GAP_MS 1      /* between frames */
#define CW_SELFTEST_WAIT_MS 2000u /* for the last one */

enum cw_selftest_mode {
	CW_SELFTEST_BASIC,     /* all frames are seen, whole and in order */
	CW_SELFTEST_FILTERED,  /* a filter that takes every other one passes these and nothing else
				*/
	CW_SELFTEST_TIMESTAMP, /* times lie between sending and seeing, and rise */
};

struct cw_selftest_result {
	uint32_t sent;
	uint32_t expected;       /* of those sent */
	uint32_t seen;           /* of the expected */
	uint32_t seen_wrongly;   /* passed by the filter, not to be passed; damaged; out of order */
	uint64_t others;         /* somebody else's packets */
	uint64_t kernel_dropped; /* for want of room */
	const char *backend;     /* "packet" or "pcap"; NULL: it was not opened */
	bool has_ns;             /* times have more than microseconds */
	bool is_clock_off;       /* times are not this machine's */
	int64_t clock_off_ns;    /* the furthest from when it can have been; < 0: before */
	struct cw_error failure; /* code 0: it works. Else what fails and what to do */
};

/*
 * Test it: frames go out on `from` and are captured on `device` (the same, but at a cable's ends).
 * 0, or the failure's code (result->failure).
 */
int cw_selftest(const struct cw_netdev *device, const struct cw_netdev *from,
		enum cw_selftest_mode mode, struct cw_selftest_result *result);

#endif
