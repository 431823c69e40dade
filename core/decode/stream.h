/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP streams: the bytes of each direction in order, from segments in any order. All memory is
 * taken at open; no traffic can increase it. One thread at a time.
 *
 * Rules:
 * - A direction begins with its SYN, or with its first segment seen.
 * - The first bytes of a sequence number win, delivered or waiting; later bytes of the same number
 *   are dropped, even if they differ.
 * - A segment ahead of a gap waits. If CW_STREAM_BLOCKS_MAX blocks of the direction wait, or no
 *   block is free, the gap is given up: delivery continues after it and reports the skipped bytes.
 * - Segments further ahead than CW_STREAM_AHEAD_MAX are dropped.
 * - FIN ends a direction once all bytes before it are delivered; two ended directions end the
 *   stream. RST ends the stream at once and drops waiting bytes. A SYN with another sequence number
 *   begins the stream anew.
 * - If a new flow has no room, the flow that was silent for longest is ended: its waiting bytes are
 *   delivered, its gaps skipped. cw_streams_flush does the same to all flows.
 * - Hashes of flows need a random seed if the traffic is not trusted: with a known seed, flows can
 * be
 *   made that share one chain of the hash table.
 * - Only sequence numbers count: no checksums, no windows, no acknowledgments.
 */
#ifndef CW_CORE_DECODE_STREAM_H
#define CW_CORE_DECODE_STREAM_H

#include "core/decode/flow.h"
#include "core/base/error.h"

#define CW_STREAM_FLOWS_MAX (1u << 24)
#define CW_STREAM_BLOCK_BYTES 2048u /* memory of a block; it holds a little less data */
#define CW_STREAM_BLOCKS_MAX 64u
#define CW_STREAM_AHEAD_MAX (1u << 30)

/* The next bytes of one direction. Valid during the call. */
struct cw_stream_piece {
	const uint8_t *data;
	uint32_t bytes;    /* 0: only the end */
	uint32_t skipped;  /* bytes missing before these */
	uint32_t flow;     /* number below flows_max; reused after both directions ended */
	uint8_t direction; /* 0: that of the flow's first segment, 1: the other */
	bool is_start;     /* first piece of the direction */
	bool is_end;       /* last piece of the direction */
};

struct cw_streams_options {
	uint32_t flows_max;  /* 0: 65536 */
	size_t buffer_bytes; /* memory for waiting bytes; 0: 64 MiB */
	/* Called by add and flush; must not call back. NULL: bytes are only counted. */
	void (*deliver)(void *context, const struct cw_stream_piece *piece);
	void *context;
};

struct cw_streams_stats {
	uint64_t segments; /* TCP segments given to add */
	uint64_t delivered_bytes;
	uint64_t skipped_bytes;   /* bytes of gaps given up */
	uint64_t duplicate_bytes; /* dropped: bytes of the same number came first */
	uint64_t waited_segments; /* segments ahead of a gap */
	uint64_t ahead_segments;  /* dropped: too far ahead */
	uint64_t dropped_bytes;   /* bytes waiting at a reset, or after the end */
	uint64_t started_flows, ended_flows, evicted_flows;
	uint32_t flow_count;  /* flows now */
	uint32_t block_count; /* blocks waiting now */
};

struct cw_streams;

/* 0, -ENOMEM, or -EINVAL for flows_max above CW_STREAM_FLOWS_MAX (fills `error`). */
int cw_streams_open(struct cw_streams **streams, const struct cw_streams_options *options,
		    struct cw_error *error);

/* Add a packet and its flow from cw_decode_flows or cw_flow_from_layers (borrows both). Packets
 * that are not complete TCP segments, and pieces of datagrams, are ignored. */
void cw_streams_add(struct cw_streams *streams, const struct cw_packet *packet,
		    const struct cw_flow *flow);

/* End all streams; new ones can be added afterwards. */
void cw_streams_flush(struct cw_streams *streams);

void cw_streams_stats(const struct cw_streams *streams, struct cw_streams_stats *stats);

/* Bytes of memory held, constant from open to close. */
size_t cw_streams_bytes(const struct cw_streams *streams);

/* Delivers nothing more. Accepts NULL. */
void cw_streams_close(struct cw_streams *streams);

#endif
