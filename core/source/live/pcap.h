/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The libpcap source of live.h: for "any", link types that need headers made up, and what is no
 * network device (usbmon, bluetooth, nflog, D-Bus, ...). One queue. Packets are copied into
 * arenas, 16 of 512 KiB, as records of a nanosecond pcap file, and decoded as those are; a lease is
 * (part of) an arena. block_bytes times block_count is the size of libpcap's own buffer.
 *
 * Where libpcap reads a packet socket, direction, snapshot length and the end of capture are
 * filters that we put on that socket ourselves, and pcap_stats' ps_recv is what passed them, the
 * dropped ones included: the books are exact as those of packet rings. Of other devices libpcap
 * tells only what was dropped, and kernel_seen is that plus what came.
 *
 * Other than packet rings:
 *	- no prefilter: what libpcap counts and then rejects by itself would be in no book
 *	- CW_PACKET_OUTGOING is never set: libpcap does not tell; the cooked header of "any" does
 *	- what the loopback device sends is seen as it comes in, and never as CW_LIVE_OUT; so are
 *	  frames sent to a CAN bus, but for CW_LIVE_OUT
 *	- "any" is LINKTYPE_LINUX_SLL: the header that libpcap puts VLAN tags back to
 *	- of a packet with two VLAN tags, Linux 6.18 tells cooked sockets one, and not the same one
 *	  coming in as going out
 *	- "any" is never down or removed, whatever becomes of a device
 *
 * System calls after open: poll, setsockopt, getsockopt, getsockname, ioctl, clock_gettime, with
 * promiscuous mode open and read of the device's counters in sysfs, and what libpcap's module for
 * the device does; close, munmap at the end. Memory is allocated for the first arenas only.
 */
#ifndef CW_CORE_SOURCE_LIVE_PCAP_H
#define CW_CORE_SOURCE_LIVE_PCAP_H

#include "core/source/live/live.h"

#define CW_PCAP_ARENAS 16u
#define CW_PCAP_ARENA_BYTES ((size_t)512 << 10)

int cw_live_pcap_open(struct cw_live **live, struct cw_ifaces *ifaces,
		      const struct cw_live_options *options, struct cw_error *error);

#endif
