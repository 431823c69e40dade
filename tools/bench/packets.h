/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets of a capture file, copied one after the other into memory, for benchmarks. */
#ifndef CW_TOOLS_BENCH_PACKETS_H
#define CW_TOOLS_BENCH_PACKETS_H

#include "core/packet/packet.h"

#define CW_BENCH_BYTES_MAX ((size_t)1 << 30) /* bytes of packets in memory */
#define CW_BENCH_PACKETS_MAX 100000000u

struct cw_bench_packets {
	/* set by the caller */
	uint64_t count_max;
	uint32_t linktype;    /* -y, or CW_LINKTYPE_ANY */
	bool is_one_linktype; /* leave out packets of other link types than the first packet's */
	/* set by reading */
	struct cw_packet *at; /* field iface holds the link type, not an index */
	uint64_t *numbers;    /* position of each packet in the file, from 1 */
	size_t count;
	uint8_t *bytes;
	size_t byte_count;
	struct cw_iface first;   /* interface of the first packet, without names */
	uint64_t left_out_count; /* packets of other link types or of an unknown interface */
	bool is_cut;             /* the file has more packets */
	/* internal */
	uint64_t read_count; /* packets */
	size_t capacity, byte_capacity;
};

/*
 * Reads the packets of a file; call cw_bench_packets_fini in every case. Returns 0, or
 * CW_EXIT_PROBLEM after an error message. A file without packets is an error.
 */
int cw_bench_packets_read(struct cw_bench_packets *packets, const char *path);
void cw_bench_packets_fini(struct cw_bench_packets *packets);

/*
 * Returns the least possible time, in ns/packet: the median over passes that load the first byte of
 * each packet, without the first pass. No decoder or filter can be faster.
 */
#define CW_BENCH_TOUCH_TEXT "loading the first byte of each packet"
double cw_bench_touch_ns(const struct cw_packet *packets, size_t count);

#endif
