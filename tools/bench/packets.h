/* SPDX-License-Identifier: BSD-3-Clause */
/* The packets of a capture file copied to memory, one behind the other, for benchmarks. */
#ifndef CW_TOOLS_BENCH_PACKETS_H
#define CW_TOOLS_BENCH_PACKETS_H

#include "core/packet/packet.h"

#define CW_BENCH_BYTES_MAX ((size_t)1 << 30) /* of packets in memory */
#define CW_BENCH_PACKETS_MAX 100000000u

struct cw_bench_packets {
	/* set by the caller */
	uint64_t count_max;
	uint32_t linktype;    /* -y, or CW_LINKTYPE_ANY */
	bool is_one_linktype; /* packets of another link type than the first one are left out */
	/* set by reading */
	struct cw_packet *at; /* iface: the packet's link type, not an index */
	uint64_t *numbers;    /* of each packet in the file, from 1 */
	size_t count;
	uint8_t *bytes;
	size_t byte_count;
	struct cw_iface first;   /* interface of the first packet; without names */
	uint64_t left_out_count; /* packets; also those of an interface that does not exist */
	bool is_cut;             /* the file has more packets */
	/* internal */
	uint64_t read_count; /* packets */
	size_t capacity, byte_capacity;
};

/*
 * Read the packets of a file. cw_bench_packets_fini in every case. 0, or CW_EXIT_PROBLEM after a
 * complaint; also without any packets.
 */
int cw_bench_packets_read(struct cw_bench_packets *packets, const char *path);
void cw_bench_packets_fini(struct cw_bench_packets *packets);

/*
 * What looking at packets costs at all: ns a packet of a pass that loads the first byte of each, as
 * the median of several passes, the first one left out. No decoder or filter can take less.
 */
#define CW_BENCH_TOUCH_TEXT "loading the first byte of each packet"
double cw_bench_touch_ns(const struct cw_packet *packets, size_t count);

#endif
