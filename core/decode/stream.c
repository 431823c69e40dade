/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams live in one array, indexed by a chained hash table and listed by the time of their last
 * segment. Segments in order, nearly all, are delivered from the packet's memory. Only segments
 * ahead of a gap are copied, into blocks of one pool, which their direction lists in order and
 * without overlap.
 */
#include "core/decode/stream.h"

#include <errno.h>
#include <stdlib.h>

#include "core/decode/layer.h"

#define NONE UINT32_MAX
#define PROTOCOL_TCP 6u
#define BLOCK_DATA_BYTES (CW_STREAM_BLOCK_BYTES - (uint32_t)sizeof(struct block))
#define FLOWS_DEFAULT 65536u
#define BUFFER_BYTES_DEFAULT ((size_t)64 << 20)

/* A block without its data, which lies elsewhere so that a search touches few cache lines. */
struct block {
	uint32_t next; /* next block of the direction or of the free list */
	uint32_t sequence;
	uint32_t bytes;
};

struct half {
	uint32_t next_sequence;
	uint32_t start_sequence; /* of its first segment, its SYN if that was seen */
	uint32_t end_sequence;   /* valid if has_end */
	uint32_t first, last;    /* waiting blocks; first is NONE if nothing waits */
	uint32_t skipped;        /* bytes to report with the next piece */
	uint8_t block_count;
	bool is_open;    /* next_sequence is known */
	bool is_started; /* a piece was delivered */
	bool has_end;
	bool is_ended;
};

struct stream {
	uint8_t source[16], destination[16]; /* addresses of the first segment */
	uint16_t source_port, destination_port;
	uint8_t version;
	uint32_t hash;
	uint32_t chain;        /* next stream of the bucket or of the free list */
	uint32_t older, newer; /* neighbours by time of the last segment */
	struct half halves[2];
};

struct cw_streams {
	struct cw_streams_options options;
	struct cw_streams_stats stats;
	struct stream *streams;
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint32_t free_stream;
	uint32_t oldest, newest;
	struct block *blocks;
	uint8_t *block_data; /* BLOCK_DATA_BYTES each */
	uint32_t block_capacity;
	uint32_t free_block;
};

static uint8_t *data_of(const struct cw_streams *streams, uint32_t index)
{
	return streams->block_data + (size_t)index * BLOCK_DATA_BYTES;
}

static int32_t distance(uint32_t to, uint32_t from)
{
	return (int32_t)(to - from);
}

/* ---- streams ---- */

static void unlink_age(struct cw_streams *streams, struct stream *stream)
{
	if (stream->newer != NONE)
		streams->streams[stream->newer].older = stream->older;
	else
		streams->newest = stream->older;
	if (stream->older != NONE)
		streams->streams[stream->older].newer = stream->newer;
	else
		streams->oldest = stream->newer;
}

static void link_newest(struct cw_streams *streams, uint32_t number)
{
	struct stream *stream = &streams->streams[number];

	stream->newer = NONE;
	stream->older = streams->newest;
	if (streams->newest != NONE)
		streams->streams[streams->newest].newer = number;
	else
		streams->oldest = number;
	streams->newest = number;
}

/* The direction of a segment in this stream, 0 or 1; -1: another stream's segment. */
static int direction_of(const struct stream *stream, const struct cw_flow *flow)
{
	if (stream->hash != flow->hash || stream->version != flow->version)
		return -1;
	if (stream->source_port == flow->source_port &&
	    stream->destination_port == flow->destination_port &&
	    memcmp(stream->source, flow->source, 16) == 0 &&
	    memcmp(stream->destination, flow->destination, 16) == 0)
		return 0;
	if (stream->source_port == flow->destination_port &&
	    stream->destination_port == flow->source_port &&
	    memcmp(stream->source, flow->destination, 16) == 0 &&
	    memcmp(stream->destination, flow->source, 16) == 0)
		return 1;
	return -1;
}

static uint32_t find_stream(const struct cw_streams *streams, const struct cw_flow *flow,
			    unsigned *direction)
{
	uint32_t number = streams->buckets[flow->hash & streams->bucket_mask];

	for (; number != NONE; number = streams->streams[number].chain) {
		int found = direction_of(&streams->streams[number], flow);

		if (found >= 0) {
			*direction = (unsigned)found;
			return number;
		}
	}
	return NONE;
}

static void free_blocks(struct cw_streams *streams, struct half *half)
{
	while (half->first != NONE) {
		struct block *block = &streams->blocks[half->first];
		uint32_t next = block->next;

		streams->stats.dropped_bytes += block->bytes;
		block->next = streams->free_block;
		streams->free_block = half->first;
		streams->stats.block_count--;
		half->first = next;
	}
	half->block_count = 0;
}

/* ---- delivering ---- */

static void deliver(struct cw_streams *streams, uint32_t number, unsigned direction,
		    const uint8_t *data, uint32_t bytes, bool is_end)
{
	struct half *half = &streams->streams[number].halves[direction];
	struct cw_stream_piece piece = {.data = data,
					.bytes = bytes,
					.skipped = half->skipped,
					.flow = number,
					.direction = (uint8_t)direction,
					.is_start = !half->is_started,
					.is_end = is_end};

	half->is_started = true;
	half->skipped = 0;
	half->next_sequence += bytes;
	streams->stats.delivered_bytes += bytes;
	if (streams->options.deliver)
		streams->options.deliver(streams->options.context, &piece);
}

static void end_half(struct cw_streams *streams, uint32_t number, unsigned direction)
{
	struct half *half = &streams->streams[number].halves[direction];

	if (half->is_open && !half->is_ended) {
		half->is_ended = true;
		deliver(streams, number, direction, NULL, 0, true);
	}
}

/* Deliver waiting blocks that are next in order. */
static void drain(struct cw_streams *streams, uint32_t number, unsigned direction)
{
	struct half *half = &streams->streams[number].halves[direction];

	while (half->first != NONE) {
		uint32_t index = half->first;
		struct block *block = &streams->blocks[index];

		if (block->sequence != half->next_sequence)
			break;
		half->first = block->next;
		half->block_count--;
		deliver(streams, number, direction, data_of(streams, index), block->bytes, false);
		block->next = streams->free_block;
		streams->free_block = index;
		streams->stats.block_count--;
	}
}

static void skip_to(struct cw_streams *streams, struct half *half, uint32_t sequence)
{
	uint32_t skipped = sequence - half->next_sequence;

	half->skipped += skipped;
	half->next_sequence = sequence;
	streams->stats.skipped_bytes += skipped;
}

/* Deliver all waiting bytes, skipping gaps. */
static void give_up_gaps(struct cw_streams *streams, uint32_t number, unsigned direction)
{
	struct half *half = &streams->streams[number].halves[direction];

	while (half->first != NONE) {
		skip_to(streams, half, streams->blocks[half->first].sequence);
		drain(streams, number, direction);
	}
}

/* End a stream and free its number; `is_flushed`: deliver its waiting bytes. */
static void end_stream(struct cw_streams *streams, uint32_t number, bool is_flushed)
{
	struct stream *stream = &streams->streams[number];
	uint32_t *link = &streams->buckets[stream->hash & streams->bucket_mask];
	unsigned direction;

	for (direction = 0; direction < 2; direction++) {
		if (is_flushed)
			give_up_gaps(streams, number, direction);
		end_half(streams, number, direction);
		free_blocks(streams, &stream->halves[direction]);
	}
	while (*link != number)
		link = &streams->streams[*link].chain;
	*link = stream->chain;
	unlink_age(streams, stream);
	stream->chain = streams->free_stream;
	streams->free_stream = number;
	streams->stats.flow_count--;
	streams->stats.ended_flows++;
}

static uint32_t start_stream(struct cw_streams *streams, const struct cw_flow *flow)
{
	uint32_t *bucket = &streams->buckets[flow->hash & streams->bucket_mask];
	struct stream *stream;
	uint32_t number;

	if (streams->free_stream == NONE) {
		streams->stats.evicted_flows++;
		end_stream(streams, streams->oldest, true);
	}
	number = streams->free_stream;
	stream = &streams->streams[number];
	streams->free_stream = stream->chain;
	memset(stream, 0, sizeof(*stream));
	memcpy(stream->source, flow->source, 16);
	memcpy(stream->destination, flow->destination, 16);
	stream->source_port = flow->source_port;
	stream->destination_port = flow->destination_port;
	stream->version = flow->version;
	stream->hash = flow->hash;
	stream->halves[0].first = stream->halves[1].first = NONE;
	stream->chain = *bucket;
	*bucket = number;
	link_newest(streams, number);
	streams->stats.flow_count++;
	streams->stats.started_flows++;
	return number;
}

/* ---- segments ---- */

struct run {
	const uint8_t *data;
	uint32_t bytes;
	uint32_t sequence;
};

static void advance(struct run *run, uint32_t bytes)
{
	run->data += bytes;
	run->bytes -= bytes;
	run->sequence += bytes;
}

/* Put the run's first bytes into a block at `link`; false: no block left for this direction. */
static bool put_block(struct cw_streams *streams, struct half *half, uint32_t *link,
		      struct run *run, uint32_t bytes)
{
	uint32_t index = streams->free_block;
	struct block *block;

	if (index == NONE || half->block_count == CW_STREAM_BLOCKS_MAX)
		return false;
	block = &streams->blocks[index];
	streams->free_block = block->next;
	streams->stats.block_count++;
	half->block_count++;
	block->sequence = run->sequence;
	block->bytes = cw_min_u32(bytes, BLOCK_DATA_BYTES);
	memcpy(data_of(streams, index), run->data, block->bytes);
	block->next = *link;
	if (block->next == NONE)
		half->last = index;
	*link = index;
	advance(run, block->bytes);
	return true;
}

/* Whether the run lies after all waiting bytes, as nearly all runs that must wait. */
static bool is_behind_all(const struct cw_streams *streams, const struct half *half,
			  const struct run *run)
{
	const struct block *last = &streams->blocks[half->last];

	return half->first != NONE && distance(run->sequence, last->sequence + last->bytes) >= 0;
}

/* Let the bytes of the run wait whose numbers do not wait yet. Afterwards the run is empty, or no
 * block was left. */
static void store(struct cw_streams *streams, struct half *half, struct run *run)
{
	uint32_t *link =
	    is_behind_all(streams, half, run) ? &streams->blocks[half->last].next : &half->first;

	while (run->bytes) {
		uint32_t room = run->bytes, covered;

		if (*link != NONE) {
			struct block *block = &streams->blocks[*link];
			int32_t behind = distance(block->sequence + block->bytes, run->sequence);

			if (behind <= 0) {
				link = &block->next;
				continue;
			}
			if (distance(block->sequence, run->sequence) <= 0) {
				covered = cw_min_u32((uint32_t)behind, run->bytes);
				streams->stats.duplicate_bytes += covered;
				advance(run, covered);
				continue;
			}
			room = cw_min_u32(room, block->sequence - run->sequence);
		}
		if (!put_block(streams, half, link, run, room))
			return;
		link = &streams->blocks[*link].next;
	}
}

/* The bytes of the run before the first waiting byte, which came first. */
static uint32_t bytes_in_order(const struct cw_streams *streams, const struct half *half,
			       const struct run *run)
{
	if (half->first == NONE)
		return run->bytes;
	return cw_min_u32(run->bytes, streams->blocks[half->first].sequence - half->next_sequence);
}

static void add_bytes(struct cw_streams *streams, uint32_t number, unsigned direction,
		      struct run *run)
{
	struct half *half = &streams->streams[number].halves[direction];
	int32_t ahead = distance(run->sequence, half->next_sequence);
	uint32_t bytes;

	if (ahead > (int32_t)CW_STREAM_AHEAD_MAX) {
		streams->stats.ahead_segments++;
		return;
	}
	if (ahead > 0)
		streams->stats.waited_segments++;
	/* Each iteration takes bytes off the run or frees a block. */
	while (run->bytes) {
		ahead = distance(run->sequence, half->next_sequence);
		if (ahead < 0) {
			bytes = cw_min_u32(half->next_sequence - run->sequence, run->bytes);
			streams->stats.duplicate_bytes += bytes;
			advance(run, bytes);
		} else if (ahead == 0) {
			bytes = bytes_in_order(streams, half, run);
			deliver(streams, number, direction, run->data, bytes, false);
			advance(run, bytes);
			drain(streams, number, direction);
		} else {
			store(streams, half, run);
			if (run->bytes && half->first != NONE) {
				skip_to(streams, half, streams->blocks[half->first].sequence);
				drain(streams, number, direction);
			} else if (run->bytes) {
				skip_to(streams, half, run->sequence);
			}
		}
	}
}

static void add_segment(struct cw_streams *streams, uint32_t number, unsigned direction,
			uint8_t flags, struct run *run)
{
	struct half *half = &streams->streams[number].halves[direction];

	if (half->is_ended)
		return;
	if (!half->is_open) {
		half->is_open = true;
		half->next_sequence = half->start_sequence = run->sequence;
	}
	if ((flags & CW_TCP_FIN) && !half->has_end) {
		half->has_end = true;
		half->end_sequence = run->sequence + run->bytes;
	}
	add_bytes(streams, number, direction, run);
	if (half->has_end && distance(half->next_sequence, half->end_sequence) >= 0) {
		end_half(streams, number, direction);
		free_blocks(streams, half); /* blocks after the end */
	}
}

void cw_streams_add(struct cw_streams *streams, const struct cw_packet *packet,
		    const struct cw_flow *flow)
{
	struct run run;
	struct stream *stream;
	unsigned direction = 0;
	uint32_t number;

	if (flow->protocol != PROTOCOL_TCP || !flow->version ||
	    (flow->flags & (CW_FLOW_FAILED | CW_FLOW_PIECE)))
		return;
	streams->stats.segments++;
	run.data = packet->data + flow->payload_offset;
	run.bytes = flow->payload_bytes;
	/* The sequence number of the first byte: SYN takes a number too. */
	run.sequence = cw_load_be32(packet->data + flow->transport_offset + 4) +
		       (flow->tcp_flags & CW_TCP_SYN ? 1 : 0);
	number = find_stream(streams, flow, &direction);
	if (number != NONE && (flow->tcp_flags & CW_TCP_SYN)) {
		const struct half *half = &streams->streams[number].halves[direction];

		if (half->is_open && half->start_sequence != run.sequence) {
			end_stream(streams, number, true);
			number = NONE;
			direction = 0;
		}
	}
	if (flow->tcp_flags & CW_TCP_RST) {
		if (number != NONE)
			end_stream(streams, number, false);
		return;
	}
	if (number == NONE) {
		number = start_stream(streams, flow);
	} else if (streams->newest != number) {
		unlink_age(streams, &streams->streams[number]);
		link_newest(streams, number);
	}
	add_segment(streams, number, direction, flow->tcp_flags, &run);
	stream = &streams->streams[number];
	if (stream->halves[0].is_ended && stream->halves[1].is_ended)
		end_stream(streams, number, true);
}

void cw_streams_flush(struct cw_streams *streams)
{
	while (streams->oldest != NONE)
		end_stream(streams, streams->oldest, true);
}

void cw_streams_stats(const struct cw_streams *streams, struct cw_streams_stats *stats)
{
	*stats = streams->stats;
}

/* ---- memory ---- */

size_t cw_streams_bytes(const struct cw_streams *streams)
{
	return sizeof(*streams) + streams->options.flows_max * sizeof(*streams->streams) +
	       ((size_t)streams->bucket_mask + 1) * sizeof(*streams->buckets) +
	       (size_t)streams->block_capacity * CW_STREAM_BLOCK_BYTES;
}

static void make_lists(struct cw_streams *streams)
{
	for (uint32_t index = 0; index < streams->options.flows_max; index++)
		streams->streams[index].chain =
		    index + 1 < streams->options.flows_max ? index + 1 : NONE;
	for (uint32_t index = 0; index < streams->block_capacity; index++)
		streams->blocks[index].next =
		    index + 1 < streams->block_capacity ? index + 1 : NONE;
	memset(streams->buckets, 0xff,
	       ((size_t)streams->bucket_mask + 1) * sizeof(*streams->buckets));
	streams->free_block = streams->block_capacity ? 0 : NONE;
	streams->oldest = streams->newest = NONE;
}

int cw_streams_open(struct cw_streams **opened, const struct cw_streams_options *options,
		    struct cw_error *error)
{
	struct cw_streams *streams;
	uint32_t bucket_count = 1;

	if (options->flows_max > CW_STREAM_FLOWS_MAX)
		return cw_error_set(error, -EINVAL,
				    "cannot open TCP streams: flows_max is %u; the limit is %u",
				    options->flows_max, CW_STREAM_FLOWS_MAX);
	streams = calloc(1, sizeof(*streams));
	if (!streams)
		return cw_error_set(error, -ENOMEM, "cannot open TCP streams: out of memory");
	streams->options = *options;
	if (!streams->options.flows_max)
		streams->options.flows_max = FLOWS_DEFAULT;
	if (!streams->options.buffer_bytes)
		streams->options.buffer_bytes = BUFFER_BYTES_DEFAULT;
	while (bucket_count < streams->options.flows_max)
		bucket_count *= 2;
	streams->bucket_mask = bucket_count - 1;
	streams->block_capacity =
	    (uint32_t)cw_min_size(streams->options.buffer_bytes / CW_STREAM_BLOCK_BYTES, NONE - 1);
	streams->streams = calloc(streams->options.flows_max, sizeof(*streams->streams));
	streams->buckets = calloc(bucket_count, sizeof(*streams->buckets));
	streams->blocks = calloc((size_t)streams->block_capacity + 1, sizeof(*streams->blocks));
	streams->block_data = malloc((size_t)streams->block_capacity * BLOCK_DATA_BYTES + 1);
	if (!streams->streams || !streams->buckets || !streams->blocks || !streams->block_data) {
		cw_streams_close(streams);
		return cw_error_set(error, -ENOMEM, "cannot open TCP streams: out of memory");
	}
	make_lists(streams);
	*opened = streams;
	return 0;
}

void cw_streams_close(struct cw_streams *streams)
{
	if (!streams)
		return;
	free(streams->streams);
	free(streams->buckets);
	free(streams->blocks);
	free(streams->block_data);
	free(streams);
}
