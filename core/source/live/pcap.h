/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The libpcap source of live.h: for "any", for link types with synthetic headers, and for sources
 * that are not network interfaces (usbmon, bluetooth, nflog, D-Bus, ...). One queue. Packets are
 * copied into 16 arenas of 512 KiB, as records of a nanosecond pcap file, and decoded like those. A
 * lease is for (part of) an arena. block_bytes times block_count is the size of libpcap's buffer.
 *
 * If libpcap reads a packet socket, this source sets its own filters on that socket, for direction,
 * snapshot length and the end of capture. pcap_stats' ps_recv then counts the packets that passed
 * them, dropped ones included: the counts are as exact as those of the packet source. Otherwise
 * libpcap reports only drops, and kernel_seen is drops plus received packets.
 *
 * Differences from the packet source:
 *	- no prefilter, only truncation to its reach: packets that libpcap counts and then rejects
 *	  would be missing in the counts
 *	- CW_PACKET_OUTGOING is never set: libpcap does not report it, only "any"'s cooked header
 *	- packets sent on loopback are captured as incoming, never for CW_LIVE_OUT; so are frames
 *	  sent to a CAN bus, except for CW_LIVE_OUT
 *	- "any" is LINKTYPE_LINUX_SLL: libpcap restores VLAN tags after that header
 *	- of a packet with two VLAN tags, Linux 6.18 reports one to cooked sockets, and not the same
 *	  one for incoming and outgoing packets
 *	- "any" is never reported as down or removed, whatever happens to an interface
 *
 * System calls after open: poll, setsockopt, getsockopt, getsockname, ioctl, clock_gettime; in
 * promiscuous mode, open and read of the interface's counters in sysfs; those of libpcap's module
 * for the interface; close and munmap at the end. Allocates memory only for the first arenas.
 */
#ifndef CW_CORE_SOURCE_LIVE_PCAP_H
#define CW_CORE_SOURCE_LIVE_PCAP_H

#include "core/source/live/live.h"

#define CW_PCAP_ARENAS 16u
#define CW_PCAP_ARENA_BYTES ((size_t)512 << 10)

int cw_live_pcap_open(struct cw_live **live, struct cw_ifaces *ifaces,
		      const struct cw_live_options *options, struct cw_error *error);

#endif
