/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends frames on a network device as they are, several a system call: a packet socket that
 * receives nothing. What is sent passes the queueing discipline and can be captured on the device
 * itself. Single owner: one thread at a time. Linux only.
 *
 * Measured on a veth pair (Linux 6.18, 60-byte frames, least of six): 1,320 ns of CPU a packet,
 * with what the receiving side's kernel does, against 1,600 with a system call for each.
 * PACKET_QDISC_BYPASS is not used: what is sent would not be seen by captures on the device, and
 * dropped where the device has no room.
 */
#ifndef CW_CORE_SOURCE_LIVE_TRANSMIT_H
#define CW_CORE_SOURCE_LIVE_TRANSMIT_H

#include "core/base/error.h"
#include "core/packet/packet.h"

#define CW_TRANSMIT_BURST 64u /* packets a system call */

struct cw_transmit;

struct cw_transmit_info {
	int device_index;  /* the kernel's */
	uint32_t linktype; /* what its frames must be */
	uint32_t mtu;      /* bytes behind the link-layer header */
	bool is_loopback;
};

/*
 * Open a socket to send on the device. 0, or *transmit is NULL and
 *   -ENODEV           no such device
 *   -ENETDOWN         it is down
 *   -EPERM            CAP_NET_RAW is missing
 *   -EPROTONOSUPPORT  its frames are of a kind that no file has as they stand
 *   others            the system's
 */
int cw_transmit_open(struct cw_transmit **transmit, const char *device, struct cw_error *error);

void cw_transmit_info(const struct cw_transmit *transmit, struct cw_transmit_info *info);

/*
 * Send the captured bytes of up to `count` packets, in order (borrows; only data and caplen are
 * looked at). Returns how many the kernel took, at least 1; or why it did not take the first one:
 *   -EINVAL    it is empty, or shorter than a link-layer header
 *   -EMSGSIZE  it is longer than the device's MTU
 *   -EAGAIN    there is no room now: try again
 *   others     the system's; -ENETDOWN, -ENXIO: the device went down, or away
 * Never waits.
 */
int cw_transmit_send(struct cw_transmit *transmit, const struct cw_packet *packets, size_t count);

void cw_transmit_close(struct cw_transmit *transmit); /* accepts NULL */

#endif
