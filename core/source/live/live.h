/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network interface as a stream of spans, from one of three sources:
 *
 *	packet   AF_PACKET kernel rings (tpacket.h): any network interface, several queues
 *	pcap     libpcap (pcap.h): "any", rare link types, what is not a network interface (usbmon)
 *	xdp      AF_XDP (xdp.h): the fastest; takes the packets away from the host
 *
 * A span is a run of packets in the memory where the source put them. Its lease must be given back,
 * by any thread, to free that memory.
 *
 *	cw_live_open(&live, &ifaces, &options, &error);
 *	for (;;)                                             one thread for each queue
 *		switch (cw_live_next(live, queue, 4096, -1, &span, &lease)) {
 *		case 1:           pass span and lease on, to decode, copy and give back
 *		case -EAGAIN:     sleep until a lease is given back
 *		case -EINTR:      cw_live_stop(live, queue), then continue until
 *		case -ENODATA:    all packets were returned
 *		}
 *
 * Memory is finite, and the kernel drops (and counts) packets without room: the holder of a lease
 * copies the packets and gives the lease back before anything that may block.
 *
 * Threads: one thread opens and closes. next, stop, stats and prefilter of a queue are called by
 * one thread at a time; different queues may have different threads.
 *
 * Not counted here: packets lost before the tap (in the hardware, its driver or the backlog). The
 * interface's counters have them (core/net/netdev.h).
 */
#ifndef CW_CORE_SOURCE_LIVE_LIVE_H
#define CW_CORE_SOURCE_LIVE_LIVE_H

#include "core/base/error.h"
#include "core/packet/packet.h"

#define CW_LIVE_DEVICE_BYTES 256u /* room for a name, with the NUL; libpcap has long names */
#define CW_LIVE_QUEUES_MAX 256u   /* queues of one interface: the kernel's limit for a group */
/*
 * A reader that decodes and touches each packet (60 bytes, 0.4 Mpps) needs 14 ns of CPU a packet
 * with blocks of 1 MiB, 12 with 4 MiB, 22 with 512 KiB, 39 with 128 KiB (kernel rings of 64 MiB,
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
	CW_LIVE_AUTO, /* packet; pcap if packet does not support the interface */
	CW_LIVE_PACKET,
	CW_LIVE_PCAP,
	CW_LIVE_XDP,
};

enum cw_live_direction {
	CW_LIVE_BOTH, /* both; on loopback, where each packet passes twice, only incoming */
	CW_LIVE_IN,
	CW_LIVE_OUT,
};

/* How a queue is chosen for a packet. IP fragments are not reassembled first (no
 * PACKET_FANOUT_FLAG_DEFRAG). */
enum cw_live_fanout {
	CW_FANOUT_HASH,     /* flows stay together, in order; their IP fragments may not */
	CW_FANOUT_CPU,      /* by the receiving CPU; may leave queues unused */
	CW_FANOUT_QM,       /* by the interface's receive queue; may leave queues unused */
	CW_FANOUT_LB,       /* round robin: flows are spread */
	CW_FANOUT_ROLLOVER, /* first queue with room: flows are spread when a queue is full */
};

enum cw_live_clock {
	CW_LIVE_CLOCK_HOST,
	CW_LIVE_CLOCK_ADAPTER, /* the adapter's clock; the host's for packets without its stamp */
};

/*
 * A source refuses options that it does not support, with these exceptions: pcap always has one
 * queue, and xdp one for each receive queue of the interface; both ignore fanout; both ignore
 * `program`, which is only a prefilter (info.has_prefilter).
 */
struct cw_live_options {
	enum cw_live_backend backend;
	const char *device;
	uint32_t snaplen;     /* most bytes that filters see; 0 = CW_CAPLEN_MAX; see prefilter */
	uint32_t queue_count; /* 0 = 1; xdp: 0 or the number of receive queues */
	size_t block_bytes;   /* raised to hold a packet of snaplen; 0 = CW_LIVE_BLOCK_BYTES */
	uint32_t block_count; /* blocks per queue; 0 = CW_LIVE_BLOCKS; pcap, xdp: as much memory */
	uint32_t retire_ms;   /* longest wait of a non-empty block, in ms; 0 = the default */
	enum cw_live_direction direction;
	enum cw_live_fanout fanout;
	enum cw_live_clock clock;
	bool promiscuous;
	/* pcap only, up to clock_value: */
	bool is_rfmon;         /* monitor mode; -EOPNOTSUPP if the interface has none */
	bool has_clock_value;  /* use clock_value instead of `clock` */
	int clock_value;       /* libpcap's PCAP_TSTAMP_ */
	uint64_t memory_taken; /* bytes of other interfaces' kernel rings; all share half the RAM */
	int wake_fd;           /* readable when waiting must end (eventfd); -1 = none */
	uint16_t input;        /* number of the input, recorded in the interface */
	/*
	 * Prefilter for the kernel (borrows), or NULL. Rejected packets are neither seen nor
	 * counted. The kernel runs it on frames *without* their outer VLAN tag (and LEN 4 less), so
	 * the program must accept a superset either way. Any result other than 0 means snaplen.
	 */
	const struct bpf_insn *program;
	uint32_t instruction_count;
};

struct cw_live_info {
	enum cw_live_backend backend; /* never AUTO */
	uint32_t iface;               /* index in the run's interfaces */
	uint32_t linktype;
	int device_index;     /* ifindex */
	uint32_t queue_count; /* number of queues for next, stop and stats */
	size_t block_bytes;   /* bytes of a block; xdp: of a frame */
	uint32_t block_count; /* blocks allocated per queue; xdp: frames */
	uint32_t retire_ms;
	uint32_t snaplen;
	bool is_loopback;
	bool has_prefilter; /* the kernel runs options.program */
	bool is_generic;    /* xdp: the program runs in the host's stack, not in the driver */
	bool is_zero_copy;  /* xdp: the hardware writes to our frames */
};

/* Counts of one queue since it was opened. */
struct cw_live_stats {
	uint64_t kernel_seen;    /* packets that passed the prefilter, dropped ones included */
	uint64_t kernel_dropped; /* packets without room in the kernel ring */
	uint64_t freezes;        /* times the kernel ring was full (not packets); pcap: 0 */
	uint64_t received;       /* packets returned in spans */
	uint64_t left;           /* kernel_seen - kernel_dropped - received: in the kernel ring */
	uint64_t blocks;         /* blocks taken from the kernel; pcap: filled; xdp: batches */
	uint64_t wakeups;        /* ends of waiting */
	uint64_t assumed;        /* part of kernel_seen that the kernel did not confirm */
	bool is_uncounted;       /* the kernel's counters could not be read the last time */
	uint64_t stalls;         /* times next returned -EAGAIN */
	uint64_t downs;          /* times the interface went down */
	uint32_t ring_blocks;    /* blocks in the kernel ring; 0: not known */
	uint32_t ring_used;      /* blocks with packets, or leased */
};

/* A warning: opened, with a setting other than the requested one. */
#define CW_LIVE_WARNED 1
#define CW_LIVE_FEWER_BLOCKS CW_LIVE_WARNED /* the usual reason */

/*
 * Opens the queues of an interface that is up, and adds the interface to `ifaces` (keeps; must
 * outlive the spans). No packet goes to two queues, not even during opening.
 * Returns 0; CW_LIVE_WARNED (error's text has the warning, code 0);
 *   -ENODEV           no such interface
 *   -ENETDOWN         the interface is down
 *   -EPERM, -EACCES   CAP_NET_RAW is missing, or CAP_NET_ADMIN for the adapter's clock; for xdp
 *                     CAP_BPF and CAP_NET_ADMIN
 *   -EPROTONOSUPPORT  an interface that this source cannot read (packet: "any", rare link types)
 *   -EOPNOTSUPP       no adapter clock for all packets; no AF_XDP in the kernel or
 *                     this build; a direction that the source does not support
 *   -EBUSY            xdp: another program uses the interface
 *   -EINVAL, -E2BIG   options out of range; a prefilter that the kernel refuses
 *   -ENOMEM           no memory for the kernel rings, or more than half the machine's
 *   others            the system's error
 */
int cw_live_open(struct cw_live **live, struct cw_ifaces *ifaces,
		 const struct cw_live_options *options, struct cw_error *error);

const char *cw_live_backend_name(enum cw_live_backend backend); /* NULL: not a backend */

void cw_live_info(const struct cw_live *live, struct cw_live_info *info);

/*
 * Returns the queue's next span, of at most `records_max` packets (0: the rest of the block). Waits
 * up to `timeout_ms` for one (-1: without limit). The lease (fills) belongs to the caller.
 *   1          a span
 *   0          no packets within the time
 *   -EAGAIN    all memory, or the next block, is leased. Returned at once: wait until a lease is
 *              given back, not for the interface
 *   -EINTR     wake_fd is readable; only returned instead of waiting, and never after stop
 *   -ENETDOWN  the interface went down; returned once each time. Earlier packets may still follow,
 *              and the capture continues by itself when the interface is up again
 *   -ENODEV    the interface was removed: no packets will follow. An interface created with the
 *              same name is a new one: close and open again. Returned at most 0.3 s after the
 *              removal, or when the open block, if it has packets, retires; from then on always
 *   -ENODATA   after stop: all packets were returned; from then on always
 *   other      the system's error
 */
int cw_live_next(struct cw_live *live, uint32_t queue, uint32_t records_max, int timeout_ms,
		 struct cw_span *span, struct cw_lease *lease);

/*
 * Takes no more packets from the interface. next then returns the packets in the kernel ring,
 * including the open block, for which it waits regardless of its time limit (one or two retire
 * times); then -ENODATA. The counts then balance: kernel_seen = kernel_dropped + received. Returns
 * 0 or a negative errno: packets still come, and those in the kernel ring after a second are left.
 */
int cw_live_stop(struct cw_live *live, uint32_t queue);

/*
 * Fills the counts, after reading the kernel's. They are final when next has returned -ENODATA. The
 * kernel counts in 32 bits, and next reads its counts from time to time: call this if next is not
 * called for minutes.
 */
void cw_live_stats(struct cw_live *live, uint32_t queue, struct cw_live_stats *stats);

#define CW_LIVE_REACH_MIN \
	64u /* a shorter truncation saves nothing, and leaves VLAN tags no place */

/*
 * Replaces the prefilter of a queue (see options) from its next packet on; NULL: none. The kernel
 * truncates packets to `reach` bytes: what the caller's filters and records need, instead of
 * snaplen; UINT32_MAX: snaplen. A smaller reach than CW_LIVE_REACH_MIN means that. Returns 0 or a
 * negative errno; -EOPNOTSUPP: the source has no prefilter, or no such truncation.
 */
int cw_live_prefilter(struct cw_live *live, uint32_t queue, const struct bpf_insn *program,
		      uint32_t instruction_count, uint32_t reach, struct cw_error *error);

/*
 * Accepts NULL. Outstanding leases stay valid; giving back a queue's last lease frees its memory.
 */
void cw_live_close(struct cw_live *live);

#endif
