/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network device as a stream of spans: AF_PACKET with TPACKET_V3 rings in memory shared with the
 * kernel, one ring a queue, the queues joined to a fanout group. A span is (part of) one retired
 * ring block; decoding it touches the packets where the kernel put them. The lease is the block:
 * the last lease on it that is given back, by any thread, hands it to the kernel again.
 *
 *	cw_live_open(&live, &ifaces, &options, &error);
 *	for (;;)                                             one thread for each queue
 *		switch (cw_live_next(live, queue, 4096, -1, &span, &lease)) {
 *		case 1:           hand span and lease to who decodes, copies and gives back
 *		case -EAGAIN:     sleep until a lease came back
 *		case -EINTR:      cw_live_stop(live, queue), then go on until
 *		case -ENODATA:    everything was handed out
 *		}
 *
 * A ring lasts for block_count blocks, of which slow traffic fills one each retire_ms: it can be
 * left unread for that long. Blocks come back into use strictly in order, so one that is held stops
 * its queue once the others are through: who gets a lease copies, gives it back, and only then does
 * what may block.
 *
 * Threads: open and close by one; then next, stop, stats and prefilter of a queue by one thread at
 * a time, and different queues by different threads at will. System calls after open: epoll_wait,
 * setsockopt, getsockopt, getsockname, clock_gettime, and close and munmap at the end.
 *
 * What the kernel does not tell: packets lost before the tap (in the device, its driver or the
 * backlog). Those are in the device's own counters.
 */
#ifndef CW_CORE_SOURCE_PACKET_H
#define CW_CORE_SOURCE_PACKET_H

#include "core/error.h"
#include "core/packet.h"

#define CW_LIVE_QUEUES_MAX 256u /* of one device: the kernel's limit for a group */
/*
 * Of a reader that decodes and touches each packet, 60 bytes at 0.4 Mpps: 14 ns of CPU a packet
 * with blocks of 1 MiB, 12 with 4 MiB, 22 with 512 KiB, 39 with 128 KiB (rings of 64 MiB,
 * Linux 6.18).
 */
#define CW_LIVE_BLOCK_BYTES ((size_t)1 << 20)
#define CW_LIVE_BLOCK_BYTES_MAX ((size_t)256 << 20)
#define CW_LIVE_BLOCKS 64u
#define CW_LIVE_BLOCKS_MIN 4u
#define CW_LIVE_BLOCKS_MAX 65536u
#define CW_LIVE_RETIRE_MS 20u
#define CW_LIVE_RETIRE_MS_MAX 10000u

struct bpf_insn;
struct cw_live;

enum cw_live_direction {
	CW_LIVE_BOTH, /* on a loopback device, where each packet passes twice: what comes in */
	CW_LIVE_IN,
	CW_LIVE_OUT,
};

/* Which queue gets a packet. Fragments are never put together (no PACKET_FANOUT_FLAG_DEFRAG). */
enum cw_live_fanout {
	CW_FANOUT_HASH,     /* flows stay together, in order; their IP fragments may not */
	CW_FANOUT_CPU,      /* by the CPU it arrives on: may use some queues only */
	CW_FANOUT_QM,       /* by the device's receive queue: likewise */
	CW_FANOUT_LB,       /* in turn: flows are spread */
	CW_FANOUT_ROLLOVER, /* the first with room: flows are spread when one is full */
};

enum cw_live_clock {
	CW_LIVE_CLOCK_HOST,
	CW_LIVE_CLOCK_ADAPTER, /* the device's; packets it did not stamp have the host's time */
};

struct cw_live_options {
	const char *device;
	uint32_t snaplen;     /* 0 = CW_CAPLEN_MAX, the most */
	uint32_t queue_count; /* 0 = 1 */
	size_t block_bytes;   /* 0 = CW_LIVE_BLOCK_BYTES; made to hold a packet of snaplen */
	uint32_t block_count; /* of each queue; 0 = CW_LIVE_BLOCKS */
	uint32_t retire_ms;   /* a block with a packet waits so long for more; 0 = the default */
	enum cw_live_direction direction;
	enum cw_live_fanout fanout;
	enum cw_live_clock clock;
	bool promiscuous;
	int wake_fd;    /* readable when waiting shall end (eventfd); -1 = none */
	uint16_t input; /* recorded in the interface */
	/*
	 * Prefilter for the kernel, or NULL: what it rejects is neither seen nor counted. Borrows.
	 * The kernel runs it on frames *without* their outer VLAN tag (and LEN 4 less), so only a
	 * program that takes a superset either way will do. Returns other than 0 mean snaplen.
	 */
	const struct bpf_insn *program;
	uint32_t instruction_count;
};

struct cw_live_info {
	uint32_t iface; /* index in the run's interfaces */
	uint32_t linktype;
	int device_index; /* the kernel's */
	uint32_t queue_count;
	size_t block_bytes;
	uint32_t block_count; /* as got, of each queue */
	uint32_t retire_ms;
	uint32_t snaplen;
	bool is_loopback;
};

/* Counts of one queue since it was opened. */
struct cw_live_stats {
	uint64_t kernel_seen;    /* packets that passed the prefilter, the dropped ones included */
	uint64_t kernel_dropped; /* no room in the ring */
	uint64_t freezes;        /* how often the ring was full: not packets */
	uint64_t received;       /* packets handed out in spans */
	uint64_t left;           /* kernel_seen - kernel_dropped - received: still in the ring */
	uint64_t blocks;         /* taken from the kernel */
	uint64_t wakeups;        /* returns of epoll_wait */
	uint64_t stalls;         /* times next said -EAGAIN */
	uint64_t downs;          /* times the device went down */
};

/* Opened, with fewer blocks than asked for: a warning. */
#define CW_LIVE_FEWER_BLOCKS 1

/*
 * Open `queue_count` rings on a device that is up; its one interface is added to `ifaces` (keeps;
 * must outlive the spans). No packet goes to two queues, also not while they are being opened.
 * Returns 0; CW_LIVE_FEWER_BLOCKS (error's text holds the warning, code 0);
 *   -ENODEV           no such device
 *   -ENETDOWN         it is down
 *   -EPERM            CAP_NET_RAW is missing, or CAP_NET_ADMIN for the adapter's clock
 *   -EPROTONOSUPPORT  a device that this source cannot read ("any", odd link types): libpcap may
 *   -EOPNOTSUPP       the device has no clock for all packets
 *   -EINVAL, -E2BIG   options out of range; a prefilter the kernel does not take
 *   -ENOMEM, others   the system's
 */
int cw_live_open(struct cw_live **live, struct cw_ifaces *ifaces,
		 const struct cw_live_options *options, struct cw_error *error);

void cw_live_info(const struct cw_live *live, struct cw_live_info *info);

/*
 * The queue's next span, of at most `records_max` packets (0: the whole block). Waits up to
 * `timeout_ms` (-1: for ever) when there is none. The lease (fills) belongs to the caller.
 *   1          a span
 *   0          nothing within the time
 *   -EAGAIN    every block is leased, or the one whose turn it is: the kernel has nowhere to go on
 *              before a lease comes back. Returned at once; wait for the lease, not for the device
 *   -EINTR     wake_fd is readable; said instead of waiting only, and no more after stop
 *   -ENETDOWN  the device went down: said once each time. What it got before may still follow, and
 *              capture goes on by itself when it comes up
 *   -ENODEV    the device was removed: nothing will ever come (a device created under its name is
 *              another one: close, open again). Said at most 0.3 s after it, or as long as the open
 *              block takes to retire where it has packets; from then on
 *   -ENODATA   after stop: everything was handed out; from then on
 *   other      the system's error
 */
int cw_live_next(struct cw_live *live, uint32_t queue, uint32_t records_max, int timeout_ms,
		 struct cw_span *span, struct cw_lease *lease);

/*
 * Take no more packets from the device. next hands out what is in the ring, the block that is still
 * open included, waiting for it regardless of its time limit (a retire time or two); then -ENODATA,
 * and the books balance: kernel_seen = kernel_dropped + received. 0 or a negative errno.
 */
int cw_live_stop(struct cw_live *live, uint32_t queue);

/*
 * Counts (fills), the kernel's read now; after next said -ENODATA they stay. The kernel counts in
 * 32 bits and next reads it now and then: a queue whose next is not called for minutes needs this.
 */
void cw_live_stats(struct cw_live *live, uint32_t queue, struct cw_live_stats *stats);

/* Another prefilter for a queue, at once for its next packet; as in options. NULL: none. */
int cw_live_prefilter(struct cw_live *live, uint32_t queue, const struct bpf_insn *program,
		      uint32_t instruction_count, struct cw_error *error);

/* Accepts NULL. Leases still out stay valid; the last one of a queue to come back frees its ring.
 */
void cw_live_close(struct cw_live *live);

#endif
