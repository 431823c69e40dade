/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AF_XDP source on pairs of virtual devices: options, devices, the driver's own count. Where
 * the system has no AF_XDP, each test is skipped and says so.
 */
#ifndef CW_TESTS_CORE_SOURCE_LIVE_LIVE_XDP_H
#define CW_TESTS_CORE_SOURCE_LIVE_LIVE_XDP_H

#include "core/net/netdev.h"
#include "tests/rig/live_source.h"

static char reason_text[CW_ERROR_TEXT_BYTES + 32];
static struct cw_netdev_probe *probe;

static inline struct cw_live_options options_of(const char *device)
{
	return (struct cw_live_options){.backend = CW_LIVE_XDP,
					.device = device,
					.block_bytes = 1 << 20,
					.block_count = 32,
					.wake_fd = -1};
}

/* A new pair, with so many queues each way. */
static inline void make_pair(uint32_t queues, uint32_t mtu)
{
	assert_true(rig_run("ip link del in 2>/dev/null; "
			    "ip link add out numtxqueues %u numrxqueues %u type veth "
			    "peer name in numtxqueues %u numrxqueues %u && "
			    "ip link set out mtu %u arp off up && ip link set in mtu %u arp off up",
			    queues, queues, queues, queues, mtu, mtu));
}

/* Neither the driver nor the loopback device can do without a copy: that is told. */
static inline struct cw_live *open_xdp(const struct cw_live_options *options)
{
	struct cw_error error = {0};
	struct cw_live *live = NULL;
	int result = cw_live_open(&live, &ifaces, options, &error);

	if (result != CW_LIVE_WARNED || error.code)
		print_error("%s\n", error.text);
	assert_int_equal(result, CW_LIVE_WARNED);
	assert_int_equal(error.code, 0);
	return live;
}

static inline struct cw_live *open_in(void)
{
	struct cw_live_options options = options_of("in");

	return open_xdp(&options);
}

static inline int make_xdp_rig(void **state)
{
	struct cw_live_options options = options_of("in");
	struct cw_error error = {0};
	struct cw_live *live = NULL;
	int result;

	make_rig(state);
	if (reason)
		return 0;
	if (cw_netdev_probe_open(&probe, &error) < 0)
		return -1;
	result = cw_live_open(&live, &ifaces, &options, &error);
	if (result == -EPERM || result == -EOPNOTSUPP || result == -EAFNOSUPPORT) {
		snprintf(reason_text, sizeof(reason_text), "no AF_XDP here: %s", error.text);
		reason = reason_text;
	} else if (result >= 0) {
		cw_live_close(live);
	}
	return 0;
}

static inline int end_xdp_rig(void **state)
{
	cw_netdev_probe_close(probe);
	return end_rig(state);
}

#endif
