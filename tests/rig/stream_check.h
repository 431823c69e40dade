/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segments for the tests of TCP streams, and the slow, obvious way to put them together: a byte at
 * a time, first come first kept, without limits.
 */
#ifndef CW_TESTS_RIG_STREAM_CHECK_H
#define CW_TESTS_RIG_STREAM_CHECK_H

#include <stdlib.h>

#include "core/decode/layer.h"
#include "core/decode/stream.h"

#define SLOW_BYTES 65536u

struct slow_half {
	bool is_open;
	uint32_t first; /* sequence number of at[0] */
	uint32_t next;  /* index */
	uint8_t at[SLOW_BYTES];
	bool has[SLOW_BYTES];
};

/* What lies outside of the array is left out by both sides: callers keep within it. */
static inline void slow_add(struct slow_half *half, uint32_t sequence, const uint8_t *data,
			    uint32_t bytes)
{
	uint32_t i;

	if (!half->is_open) {
		half->is_open = true;
		half->first = sequence;
	}
	for (i = 0; i < bytes; i++) {
		uint32_t index = sequence + i - half->first;

		if (index >= SLOW_BYTES || index < half->next || half->has[index])
			continue;
		half->has[index] = true;
		half->at[index] = data[i];
	}
	while (half->next < SLOW_BYTES && half->has[half->next])
		half->next++;
}

struct segment {
	uint32_t flow;
	unsigned side; /* of the flow, that sends it */
	uint8_t flags;
	uint32_t sequence;
};

/* Add a segment with this data, from memory of exactly its size. */
static inline void add_segment(struct cw_streams *streams, struct segment segment, const void *data,
			       uint32_t bytes)
{
	uint8_t *copy = malloc(20 + (size_t)bytes);
	struct cw_packet packet = {.data = copy, .caplen = 20 + bytes};
	struct cw_flow flow = {.version = 4,
			       .protocol = 6,
			       .tcp_flags = segment.flags,
			       .hash = segment.flow * 2654435761u,
			       .payload_offset = 20,
			       .payload_bytes = bytes};

	if (!copy)
		abort();
	memset(copy, 0, 20);
	cw_store_u32(copy + 4, __builtin_bswap32(segment.sequence));
	if (bytes)
		memcpy(copy + 20, data, bytes);
	memcpy(segment.side ? flow.destination : flow.source, &segment.flow, sizeof(segment.flow));
	flow.source_port = segment.side ? 80 : 1000;
	flow.destination_port = segment.side ? 1000 : 80;
	cw_streams_add(streams, &packet, &flow);
	free(copy);
}

#endif
