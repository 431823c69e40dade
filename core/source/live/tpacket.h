/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AF_PACKET source of live.h: one TPACKET_V3 kernel ring per queue, in memory shared with the
 * kernel; the queues form a fanout group. A span is (part of) one retired block; packets are
 * decoded where the kernel put them. A lease is for a block: giving back the block's last lease
 * returns the block to the kernel.
 *
 * Slow traffic uses one of the block_count blocks per retire_ms, which limits how long a kernel
 * ring may be left unread. The kernel reuses blocks strictly in order, so its queue stops at a
 * leased block.
 *
 * System calls after open: epoll_wait, setsockopt, getsockopt, getsockname, clock_gettime, and
 * close and munmap at the end.
 */
#ifndef CW_CORE_SOURCE_LIVE_TPACKET_H
#define CW_CORE_SOURCE_LIVE_TPACKET_H

#include "core/source/live/live.h"

int cw_live_packet_open(struct cw_live **live, struct cw_ifaces *ifaces,
			const struct cw_live_options *options, struct cw_error *error);

#endif
