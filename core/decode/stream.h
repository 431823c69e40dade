/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP streams: the bytes of each direction in order, out of segments in any order. All memory is
 * taken at open; nothing that arrives can make it more. One thread at a time.
 *
 * Rules:
 * - A direction begins with its SYN, or with the first segment seen of it.
 * - Bytes of a sequence number that were delivered or wait already stand; later ones of the same
 *   number are dropped (what comes first wins), whatever they are.
 * - A segment ahead of a gap waits. Where CW_STREAM_BLOCKS_MAX blocks of the direction wait, or no
 *   block is free, the gap is given up: delivery goes on behind it and says how much was skipped.
 * - What is further ahead than CW_STREAM_AHEAD_MAX is dropped.
 * - FIN ends a direction once all before it was delivered, both ends end the stream. RST ends it at
 *   once; what waited is dropped. A SYN of another sequence number begins the stream anew.
 * - Where a new flow has no room, the one that was silent for longest is ended: what waits of it
 *   is delivered with its gaps skipped. So are all by cw_streams_flush.
 * - Hashes of flows should have a random seed where the traffic is anybody's: who knows the seed
 *   can make flows that are searched for one after the other.
 * - Sequence numbers are all that is looked at: no checksums, no windows, no acknowledgments.
 */
#ifndef CW_CORE_DECODE_STREAM_H
#define CW_CORE_DECODE_STREAM_H

#include "core/decode/flow.h"
#include "core/base/error.h"

#define CW_STREAM_FLOWS_MAX (1u << 24)
#define CW_STREAM_BLOCK_BYTES 2048u /* of memory; a little less of data */
#define CW_STREAM_BLOCKS_MAX 64u
#define CW_STREAM_AHEAD_MAX (1u << 30)

/* Bytes of one direction, the next ones. Valid during the call. */
struct cw_stream_piece {
	const uint8_t *data;
	uint32_t bytes;    /* 0: only to say that it ended */
	uint32_t skipped;  /* bytes that are missing before these */
	uint32_t flow;     /* a number below flows_max; given to another flow after both ended */
	uint8_t direction; /* 0: as the flow's first segment, 1: against it */
	bool is_start;     /* the direction's first piece */
	bool is_end;       /* no more of this direction comes */
};

struct cw_streams_options {
	uint32_t flows_max;  /* 0: 65536 */
	size_t buffer_bytes; /* for what waits; 0: 64 MiB */
	/* Called from within add and flush; must not call back. NULL: only counted. */
	void (*deliver)(void *context, const struct cw_stream_piece *piece);
	void *context;
};

struct cw_streams_stats {
	uint64_t segments; /* given to add, TCP ones */
	uint64_t delivered_bytes;
	uint64_t skipped_bytes;   /* of gaps given up */
	uint64_t duplicate_bytes; /* dropped, because others of their number came first */
	uint64_t waited_segments; /* were ahead of a gap */
	uint64_t ahead_segments;  /* dropped: too far ahead */
	uint64_t dropped_bytes;   /* waited when their stream was reset, or behind its end */
	uint64_t started_flows, ended_flows, evicted_flows;
	uint32_t flow_count;  /* now */
	uint32_t block_count; /* waiting, now */
};

struct cw_streams;

/* -ENOMEM, or -EINVAL for flows_max above CW_STREAM_FLOWS_MAX; `error` says it. */
int cw_streams_open(struct cw_streams **streams, const struct cw_streams_options *options,
		    struct cw_error *error);

/* A packet and its flow, as cw_decode_flows or cw_flow_from_layers gave it (borrows both). What is
 * no whole TCP segment is ignored, pieces of datagrams are too. */
void cw_streams_add(struct cw_streams *streams, const struct cw_packet *packet,
		    const struct cw_flow *flow);

/* End all streams. They can be added to afterwards. */
void cw_streams_flush(struct cw_streams *streams);

void cw_streams_stats(const struct cw_streams *streams, struct cw_streams_stats *stats);

/* Memory held, in bytes: the same from open to close. */
size_t cw_streams_bytes(const struct cw_streams *streams);

/* Delivers nothing more. Accepts NULL. */
void cw_streams_close(struct cw_streams *streams);

#endif
