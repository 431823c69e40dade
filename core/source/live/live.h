/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A live device as a stream of spans, from one of three sources behind one interface:
 *
 *	packet   AF_PACKET rings (tpacket.h): any network device, several queues
 *	pcap     libpcap (pcap.h): "any", odd link types, what is no network device
 *	xdp      AF_XDP (xdp.h): the fastest; takes the packets away from the host
 *
 * A span is a run of packets that lie where the source put them; its lease is the duty to give that
 * memory back, by any thread.
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
 * Memory is finite, and the kernel drops (and counts) what finds no room: who gets a lease copies,
 * gives it back, and only then does what may block.
 *
 * Threads: open and close by one; then next, stop, stats and prefilter of a queue by one thread at
 * a time, and different queues by different threads at will.
 *
 * What the kernel does not tell: packets lost before the tap (in the device, its driver or the
 * backlog). Those are in the device's own counters.
 */
#ifndef CW_CORE_SOURCE_LIVE_LIVE_H
#define CW_CORE_SOURCE_LIVE_LIVE_H

#include "core/base/error.h"
#include "core/packet/packet.h"

#define CW_LIVE_DEVICE_BYTES 256u /* of a name, with the NUL; libpcap has long ones */
#define CW_LIVE_QUEUES_MAX 256u   /* of one device: the kernel's limit for a group */
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

enum cw_live_backend {
	CW_LIVE_AUTO, /* packet; pcap where packet rings do not have the device */
	CW_LIVE_PACKET,
	CW_LIVE_PCAP,
	CW_LIVE_XDP,
};

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

/*
 * What the sources cannot do they refuse, but for what is said here: pcap has one queue whatever
 * queue_count is, and xdp one for each receive queue of the device; neither uses fanout; neither
 * uses `program`, which is a prefilter only (info.has_prefilter).
 */
struct cw_live_options {
	enum cw_live_backend backend;
	const char *device;
	uint32_t snaplen;     /* 0 = CW_CAPLEN_MAX, the most */
	uint32_t queue_count; /* 0 = 1; xdp: 0 = as many as the device has, the only number */
	size_t block_bytes;   /* 0 = CW_LIVE_BLOCK_BYTES; made to hold a packet of snaplen */
	uint32_t block_count; /* of each queue; 0 = CW_LIVE_BLOCKS; pcap, xdp: memory as of these */
	uint32_t retire_ms;   /* a block with a packet waits so long for more; 0 = the default */
	enum cw_live_direction direction;
	enum cw_live_fanout fanout;
	enum cw_live_clock clock;
	bool promiscuous;
	/* pcap only, and so not with packet or xdp: */
	bool is_rfmon;         /* monitor mode; -EOPNOTSUPP where there is none */
	bool has_clock_value;  /* a clock of libpcap's instead of `clock`: */
	int clock_value;       /* PCAP_TSTAMP_ */
	uint64_t memory_taken; /* bytes that rings of other devices have: all get half of the RAM */
	int wake_fd;           /* readable when waiting shall end (eventfd); -1 = none */
	uint16_t input;        /* recorded in the interface */
	/*
	 * Prefilter for the kernel, or NULL: what it rejects is neither seen nor counted. Borrows.
	 * The kernel runs it on frames *without* their outer VLAN tag (and LEN 4 less), so only a
	 * program that takes a superset either way will do. Returns other than 0 mean snaplen.
	 */
	const struct bpf_insn *program;
	uint32_t instruction_count;
};

struct cw_live_info {
	enum cw_live_backend backend; /* never AUTO */
	uint32_t iface;               /* index in the run's interfaces */
	uint32_t linktype;
	int device_index;     /* the kernel's */
	uint32_t queue_count; /* how many next, stop and stats are to be called for */
	size_t block_bytes;   /* xdp: of a frame */
	uint32_t block_count; /* as got, of each queue */
	uint32_t retire_ms;
	uint32_t snaplen;
	bool is_loopback;
	bool has_prefilter; /* the kernel runs options.program */
	bool is_generic;    /* xdp: the program runs in the host's stack, not in the driver */
	bool is_zero_copy;  /* xdp: the device writes to our frames */
};

/* Counts of one queue since it was opened. */
struct cw_live_stats {
	uint64_t kernel_seen;    /* packets that passed the prefilter, the dropped ones included */
	uint64_t kernel_dropped; /* no room in the ring */
	uint64_t freezes;        /* how often the ring was full: not packets; pcap: 0 */
	uint64_t received;       /* packets handed out in spans */
	uint64_t left;           /* kernel_seen - kernel_dropped - received: still in the ring */
	uint64_t blocks;         /* taken from the kernel; pcap: filled; xdp: batches */
	uint64_t wakeups;        /* ends of waiting */
	uint64_t stalls;         /* times next said -EAGAIN */
	uint64_t downs;          /* times the device went down */
	uint32_t ring_blocks;    /* 0: not known; else, of so many, */
	uint32_t ring_used;      /* hold packets now, or are handed out */
};

/* Opened, otherwise than asked for: a warning. */
#define CW_LIVE_WARNED 1
#define CW_LIVE_FEWER_BLOCKS CW_LIVE_WARNED /* the usual reason */

/*
 * Open the queues of a device that is up; its one interface is added to `ifaces` (keeps; must
 * outlive the spans). No packet goes to two queues, also not while they are being opened.
 * Returns 0; CW_LIVE_WARNED (error's text holds the warning, code 0);
 *   -ENODEV           no such device
 *   -ENETDOWN         it is down
 *   -EPERM, -EACCES   CAP_NET_RAW is missing, or CAP_NET_ADMIN for the adapter's clock; for xdp
 *                     CAP_BPF and CAP_NET_ADMIN
 *   -EPROTONOSUPPORT  a device that this source cannot read (packet: "any", odd link types)
 *   -EOPNOTSUPP       no clock for all packets in the device; no AF_XDP in the kernel or
 *                     this build; a direction that the source does not have
 *   -EBUSY            xdp: another program has the device
 *   -EINVAL, -E2BIG   options out of range; a prefilter the kernel does not take
 *   -ENOMEM           no memory for the rings, or more than half of the machine's
 *   others            the system's
 */
int cw_live_open(struct cw_live **live, struct cw_ifaces *ifaces,
		 const struct cw_live_options *options, struct cw_error *error);

const char *cw_live_backend_name(enum cw_live_backend backend); /* NULL: no backend */

void cw_live_info(const struct cw_live *live, struct cw_live_info *info);

/*
 * The queue's next span, of at most `records_max` packets (0: the whole block). Waits up to
 * `timeout_ms` (-1: for ever) when there is none. The lease (fills) belongs to the caller.
 *   1          a span
 *   0          nothing within the time
 *   -EAGAIN    all memory is leased, or the block whose turn it is: there is nowhere to go on
 *              before a lease comes back. Returned at once; wait for the lease, not the device
 *   -EINTR     wake_fd is readable; said instead of waiting only, and no more after stop
 *   -ENETDOWN  the device went down: said once each time. What it got before may still follow, and
 *              capture goes on by itself when it comes up
 *   -ENODEV    the device was removed: nothing will ever come (a device created under its name is
 *              another one: close, open again). Said at most 0.3 s after it, or as long as the
 *              open block takes to retire where it has packets; from then on
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

/*
 * Another prefilter for a queue, at once for its next packet; as in options. NULL: none.
 * -EOPNOTSUPP where the source has none.
 */
int cw_live_prefilter(struct cw_live *live, uint32_t queue, const struct bpf_insn *program,
		      uint32_t instruction_count, struct cw_error *error);

/*
 * Accepts NULL. Leases still out stay valid; the last one of a queue to come back frees its memory.
 */
void cw_live_close(struct cw_live *live);

#endif
