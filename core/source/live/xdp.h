/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AF_XDP source of live.h. The interface's driver runs a program on each frame, which moves the
 * frame to our memory before the host's stack sees it. Each receive queue of the interface has a
 * socket with its own memory and kernel rings. A span is a batch of frames in place. A batch that
 * is given back, by any thread, goes to a stack; next, in the queue's thread, empties the stack and
 * returns the frames to the kernel. Leases return in any order; a lease holds only its own frames.
 *
 * Properties:
 *	- it TAKES THE PACKETS AWAY from the host: the interface is then for capture only. The peer
 *	  of a veth gets no answers. A stopped queue lets the packets pass to the host again
 *	- incoming packets only. CW_LIVE_BOTH means incoming; CW_LIVE_OUT is refused
 *	- no prefilter, no fanout: the hardware spreads flows over its queues (RSS)
 *	- the outer VLAN tag is in the frame, unless the hardware removes it: then it is lost
 *	  (prevent it with "ethtool -K INTERFACE rxvlan off")
 *	- packets longer than a frame (2 or 4 KiB, less 288 octets) arrive in pieces, which are
 *	  joined by copying; kernels before 6.6 drop such packets and count them
 *	- one program per interface: if another one is attached, opening is refused. The program is
 *	  removed when the process ends, for whatever reason
 *	- a queue holds as many packets as it has frames, however short the packets are: frames for
 *	  block_bytes * block_count bytes, rounded down to a power of two
 *	- opening needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF in the initial user namespace
 *
 * Three modes, each the fallback of the one before, with a warning: zero-copy (the hardware writes
 * to our frames), driver (the kernel copies once), generic (the stack has already allocated a
 * buffer; no faster than the packet source). info has the mode.
 *
 * Timestamps are the host's. The program reads the clock for each packet and writes it before the
 * frame; if the driver has no room there, the timestamp is the time when next took the batch.
 *
 * Counts: kernel_dropped is rx_dropped plus rx_ring_full of XDP_STATISTICS; kernel_seen is
 * kernel_dropped plus the packets that arrived. In the copying modes a lack of frames counts once
 * per packet in rx_dropped, and rx_fill_ring_empty_descs, which counts the same attempts, is
 * `freezes`. In zero-copy mode the hardware runs out of frames and counts these losses itself
 * (rx_missed, rx_dropped).
 *
 * While packets arrive, next checks the kernel ring at least each 1.6 ms (independent of
 * retire_ms), or sooner with fewer frames: the frames would last twice as long at 10 Mpps.
 *
 * While no packets arrive, the interface is checked: "down" is reported at most 0.3 s late, and not
 * if the interface is up again by then.
 *
 * System calls after open: poll, ppoll, recvfrom, getsockopt, ioctl, bpf (stop), clock_gettime;
 * close and munmap at the end.
 */
#ifndef CW_CORE_SOURCE_LIVE_XDP_H
#define CW_CORE_SOURCE_LIVE_XDP_H

#include "core/source/live/live.h"

#define CW_XDP_BATCHES 128u       /* most leased batches of a queue; next returns -EAGAIN beyond */
#define CW_XDP_BATCH_FRAMES 1024u /* most packets of a span */
#define CW_XDP_FRAMES_MIN 256u    /* fewest frames of a queue */
#define CW_XDP_FRAMES_MAX (1u << 20)
#define CW_XDP_JOINED_BYTES ((size_t)128 << 10) /* bytes of a batch for joined packets */

/* In builds without libxdp and libbpf, always returns -EOPNOTSUPP. */
int cw_live_xdp_open(struct cw_live **live, struct cw_ifaces *ifaces,
		     const struct cw_live_options *options, struct cw_error *error);

#endif
