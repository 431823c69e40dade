/* SPDX-License-Identifier: BSD-3-Clause */
/* The public handle on a pair of virtual devices: opened, and numbered frames sent. */
#ifndef CW_TESTS_CORE_LIBRARY_HANDLE_LIVE_H
#define CW_TESTS_CORE_LIBRARY_HANDLE_LIVE_H

#include <capweir/capweir.h>

#include "tests/rig/live_tests.h"
#include "tests/rig/open_on_one_core.h"

#define MS UINT64_C(1000000)
#define QUIET (50 * MS) /* a timeout, where it is the end of the packets */
#define CLOSES 300
#define CLOSERS 8

/* An IPv4 UDP frame with a number in it. */
static inline const uint8_t *make_frame(uint32_t number, uint32_t bytes)
{
	static uint8_t frame[9100];

	memset(frame, 0, sizeof(frame));
	memcpy(frame, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0\x45", 15);
	cw_put_be16(frame + 16, bytes - 14);
	frame[22] = 64;
	frame[23] = 17;
	memcpy(frame + 26, "\x0a\0\0\x01\x0a\0\0\x02", 8);
	cw_put_be16(frame + 36, 1000 + number % 2);
	cw_put_be16(frame + 38, bytes - 34);
	cw_put_be16(frame + 42, number >> 16);
	cw_put_be16(frame + 44, number & 0xffff);
	return frame;
}

static inline struct cw_handle *open_device(const char *device, int64_t timeout_ns)
{
	struct cw_handle *handle;
	struct cw_error error = {0};

	if (cw_handle_open_live(&handle, device, 0, false, timeout_ns, &error) < 0)
		fail_msg("%s: %s", device, error.text);
	return handle;
}

static inline void send_numbers(uint32_t first, uint32_t count, uint32_t bytes)
{
	struct cw_handle *handle = open_device("out", 0);
	cpu_set_t before;

	rig_wait_link("out");
	one_core_enter(&before, -1);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(cw_handle_inject(handle, make_frame(first + i, bytes), bytes), 0);
	one_core_leave(&before);
	cw_handle_free(handle);
}

/* Read the next packet, however late it comes. */
static inline int read_packet(struct cw_handle *handle, struct cw_packet *packet)
{
	int result;

	do
		result = cw_handle_next(handle, packet);
	while (result == CW_NEXT_TIMEOUT);
	return result;
}

#endif
