/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AF_XDP source of live.h: frames leave the device's driver, by a program that it runs on
 * each, for memory of ours, before the host's stack sees them. Each receive queue of the device has
 * a socket with its memory and rings. A span is a batch of frames in place; given back, by any
 * thread, a batch goes to a stack that the queue's thread empties in next, and its frames go to the
 * kernel again. Leases come back in any order, and a held one keeps its frames only.
 *
 * What to know before it is used:
 *	- it TAKES THE PACKETS AWAY from the host: the device then is for capture only. Another
 *	  device's other end (veth) talks to nobody. A queue that was stopped gives them back
 *	- incoming packets only. CW_LIVE_BOTH means those; CW_LIVE_OUT is refused
 *	- no prefilter, no fanout: the device spreads flows over its queues (RSS)
 *	- the outer VLAN tag is in the frame, unless the device takes it off ("ethtool -K DEVICE
 *	  rxvlan off"): then nobody gives it to us
 *	- packets longer than a frame (2 or 4 KiB, less 288 octets) come in pieces, and are put
 *	  together by copying them; kernels before 6.6 drop them, and count that
 *	- one program a device: with another one there, opening is refused. The program is gone when
 *	  the process is, however it ended
 *	- a queue holds as many packets as it has frames, however short they are: memory as of
 *	  block_bytes * block_count, in frames, rounded down to a power of two
 *	- CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF to open, all of the machine's own user namespace
 *
 * Three modes, each the fallback of the one before, with a warning: zero-copy (the device writes to
 * our frames), driver (the kernel copies once), generic (the stack has made its own buffer before;
 * no faster than packet rings). info tells which.
 *
 * Time is the host's, read for each packet by the program and put in front of the frame; where a
 * driver has no room there, when next took the batch.
 *
 * Books: kernel_dropped is rx_dropped and rx_ring_full of XDP_STATISTICS, kernel_seen that and what
 * came. With copying, want of frames is in rx_dropped once for each packet, and
 * rx_fill_ring_empty_descs, which counts the same attempts, is `freezes`. In zero-copy mode the
 * device itself runs dry, and counts those losses as its own (rx_missed, rx_dropped).
 *
 * While packets come, next looks at the ring each 1.6 ms at most (retire_ms has no part in that),
 * sooner where there are fewer frames: they would do for 10 Mpps twice over.
 *
 * A device is looked at while nothing comes: down is reported at most 0.3 s after, and not if it
 *was up again by then.
 *
 * System calls after open: poll, ppoll, recvfrom, getsockopt, ioctl, bpf (stop), clock_gettime;
 * close and munmap at the end.
 */
#ifndef CW_CORE_SOURCE_LIVE_XDP_H
#define CW_CORE_SOURCE_LIVE_XDP_H

#include "core/source/live/live.h"

#define CW_XDP_BATCHES 128u       /* of a queue, leased at once; next says -EAGAIN beyond */
#define CW_XDP_BATCH_FRAMES 1024u /* packets of a span */
#define CW_XDP_FRAMES_MIN 256u    /* of a queue */
#define CW_XDP_FRAMES_MAX (1u << 20)
#define CW_XDP_JOINED_BYTES ((size_t)128 << 10) /* of a batch: packets put together */

/* Builds without libxdp and libbpf have one that refuses to open (-EOPNOTSUPP). */
int cw_live_xdp_open(struct cw_live **live, struct cw_ifaces *ifaces,
		     const struct cw_live_options *options, struct cw_error *error);

#endif
