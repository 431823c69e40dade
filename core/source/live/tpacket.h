/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AF_PACKET source of live.h: TPACKET_V3 rings in memory shared with the kernel, one
 * ring a queue, the queues joined to a fanout group. A span is (part of) one retired ring block;
 * decoding it touches the packets where the kernel put them. The lease is the block: the last lease
 * on it that is given back hands it to the kernel again.
 *
 * A ring lasts for block_count blocks, of which slow traffic fills one each retire_ms: it can be
 * left unread for that long. Blocks come back into use strictly in order, so one that is held stops
 * its queue once the others are through.
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
