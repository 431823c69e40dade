/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as segments of eight bytes: flow and side, flags, sequence number, length. Memory is
 * scarce, so that every limit is reached. Each direction's pieces must follow each other from start
 * to end, and nothing may be left over.
 */
#include "tests/rig/stream_check.h"

#define FLOWS_MAX 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct {
	bool is_started[2];
	bool is_ended[2];
} known[FLOWS_MAX];
static uint64_t delivered, skipped;
static uint8_t payload[5000]; /* more than two blocks */

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void take(void *context, const struct cw_stream_piece *piece)
{
	(void)context;
	check(piece->flow < FLOWS_MAX && piece->direction < 2);
	check(piece->bytes || piece->is_end);
	check(piece->bytes <= sizeof(payload));
	check(!piece->bytes || memcmp(piece->data, payload, piece->bytes) == 0);
	if (piece->is_start) {
		check(!known[piece->flow].is_started[piece->direction] ||
		      known[piece->flow].is_ended[piece->direction]);
		known[piece->flow].is_started[piece->direction] = true;
		known[piece->flow].is_ended[piece->direction] = false;
	}
	check(known[piece->flow].is_started[piece->direction]);
	check(!known[piece->flow].is_ended[piece->direction]);
	known[piece->flow].is_ended[piece->direction] = piece->is_end;
	delivered += piece->bytes;
	skipped += piece->skipped;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct cw_streams_options options = {
	    .flows_max = FLOWS_MAX, .buffer_bytes = 16 * CW_STREAM_BLOCK_BYTES, .deliver = take};
	struct cw_streams_stats stats;
	struct cw_streams *streams;

	if (!payload[0])
		memset(payload, 'x', sizeof(payload));
	memset(known, 0, sizeof(known));
	delivered = skipped = 0;
	check(cw_streams_open(&streams, &options, NULL) == 0);
	for (; bytes >= 8; data += 8, bytes -= 8)
		add_segment(streams,
			    (struct segment){data[0] >> 1 & 7, data[0] & 1, data[1] & 0x17,
					     cw_load_u32(data + 2, 0)},
			    payload, cw_load_u16(data + 6, 0) % sizeof(payload));
	cw_streams_flush(streams);
	cw_streams_stats(streams, &stats);
	check(stats.flow_count == 0 && stats.block_count == 0);
	check(stats.started_flows == stats.ended_flows);
	check(stats.delivered_bytes == delivered && stats.skipped_bytes >= skipped);
	cw_streams_close(streams);
	return 0;
}
