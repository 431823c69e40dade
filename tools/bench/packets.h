/* SPDX-License-Identifier: BSD-3-Clause */
/* The packets of a capture file copied to memory, one behind the other, for benchmarks. */
#ifndef CW_TOOLS_BENCH_PACKETS_H
#define CW_TOOLS_BENCH_PACKETS_H

#include "core/packet/packet.h"

#define CW_BENCH_BYTES_MAX ((size_t)1 << 30) /* of packets in memory */
#define CW_BENCH_PACKETS_MAX 100000000u

struct cw_bench_packets {
	struct cw_packet *at; /* iface: the packet's link type, not an index */
	size_t count;
	uint8_t *bytes;
	size_t byte_count;
	uint64_t malformed_count; /* left out: of an interface that does not exist */
	bool is_cut;              /* the file has more */
	/* internal */
	size_t capacity, byte_capacity;
};

/*
 * Read up to `count_max` packets of a file (`linktype`: -y, or CW_LINKTYPE_ANY). Zero-initialise;
 * cw_bench_packets_fini in every case. 0, or CW_EXIT_PROBLEM after a complaint; also without any
 * packets.
 */
int cw_bench_packets_read(struct cw_bench_packets *packets, const char *path, uint32_t linktype,
			  uint64_t count_max);
void cw_bench_packets_fini(struct cw_bench_packets *packets);

/*
 * What looking at packets costs at all: ns a packet of a pass that loads the first byte of each, as
 * the median of several passes, the first one left out. No decoder or filter can take less.
 */
#define CW_BENCH_TOUCH_TEXT "loading the first byte of each packet"
double cw_bench_touch_ns(const struct cw_packet *packets, size_t count);

#endif
