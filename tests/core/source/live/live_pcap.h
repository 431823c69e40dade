/* SPDX-License-Identifier: BSD-3-Clause */
/* The libpcap source: its options, opened, drained. */
#ifndef CW_TESTS_CORE_SOURCE_LIVE_LIVE_PCAP_H
#define CW_TESTS_CORE_SOURCE_LIVE_LIVE_PCAP_H

#include "tests/rig/live_source.h"

static inline struct cw_live_options options_of(enum cw_live_backend backend, const char *device)
{
	return (struct cw_live_options){.backend = backend,
					.device = device,
					.block_bytes = 1 << 19,
					.block_count = 32,
					.wake_fd = -1};
}

static inline struct cw_live *open_pcap(const char *device)
{
	struct cw_live_options options = options_of(CW_LIVE_PCAP, device);

	return open_live(&options);
}

#endif
