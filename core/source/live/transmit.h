/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends frames unchanged on a network interface, several per system call, with a packet socket that
 * receives nothing. The frames pass the queueing discipline and can be captured on the interface.
 * Single owner: one thread at a time. Linux only.
 *
 * Measured on a veth pair (Linux 6.18, 60-byte frames, least of six): 1,320 ns of CPU a packet,
 * including the receiving side's kernel; 1,600 with one system call per packet.
 * PACKET_QDISC_BYPASS is not used: captures on the interface would not see the frames, and frames
 * would be dropped if the interface has no room.
 */
#ifndef CW_CORE_SOURCE_LIVE_TRANSMIT_H
#define CW_CORE_SOURCE_LIVE_TRANSMIT_H

#include "core/base/error.h"
#include "core/packet/packet.h"

#define CW_TRANSMIT_BURST 64u /* most packets per system call */

struct cw_transmit;

struct cw_transmit_info {
	int device_index;  /* ifindex */
	uint32_t linktype; /* link type that frames must have */
	uint32_t mtu;      /* most bytes after the link-layer header */
	bool is_loopback;
};

/*
 * Opens a socket to send on the interface. Returns 0; otherwise *transmit is NULL:
 *   -ENODEV           no such interface
 *   -ENETDOWN         the interface is down
 *   -EPERM            CAP_NET_RAW is missing
 *   -EPROTONOSUPPORT  capture files have no link type for its frames
 *   others            the system's error
 */
int cw_transmit_open(struct cw_transmit **transmit, const char *device, struct cw_error *error);

void cw_transmit_info(const struct cw_transmit *transmit, struct cw_transmit_info *info);

/*
 * Sends the captured bytes of up to `count` packets, in order (borrows; reads only data and
 * caplen). Returns how many the kernel took, at least 1; or why it did not take the first one:
 *   -EINVAL    the packet is empty, or shorter than a link-layer header
 *   -EMSGSIZE  the packet is longer than the MTU
 *   -EAGAIN    no room now: try again
 *   others     the system's error; -ENETDOWN, -ENXIO: the interface is down, or removed
 * Never waits.
 */
int cw_transmit_send(struct cw_transmit *transmit, const struct cw_packet *packets, size_t count);

void cw_transmit_close(struct cw_transmit *transmit); /* accepts NULL */

#endif
