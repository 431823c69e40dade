/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a packet's bytes to its layers, in three ways:
 *   cw_decode_layers   all layers, with all fields
 *   cw_decode_chosen   the layers that the caller has room for, up to the first other layer
 *   cw_decode_flows    a burst: headers, addresses and ports, and their hash (flow.h)
 *
 * They never allocate, block, fail or keep state between packets; any thread may call. Time is
 * bounded by CW_LAYERS_MAX and CW_TUNNELS_MAX, and by the bytes of options.
 *
 * Rules: an IPv4 total length of 0 means the rest; bytes after the IP length are padding; UDP
 * length 0 means the rest, 1 to 7 is an error; a length beyond the present bytes marks its layer
 * CW_LAYER_TRUNCATED, and decoding continues with the present bytes. The first piece of a
 * fragmented datagram is decoded further, later pieces are CW_LAYER_FRAGMENT. The packet in an ICMP
 * error is payload. After MPLS only IP is recognised. TCP is not reassembled here (stream.h), so
 * DNS over TCP is recognised only if a segment is one complete message.
 */
#ifndef CW_CORE_DECODE_DECODE_H
#define CW_CORE_DECODE_DECODE_H

#include "core/decode/layer.h"
#include "core/packet/packet.h"

/* The first layer of packets of this link type (LINKTYPE_); CW_LAYER_FAILURE: no decoder;
 * CW_LAYER_NONE: raw IP, the packet's first byte decides. */
enum cw_layer_type cw_decode_first(uint32_t linktype);

struct cw_layers {
	uint32_t count;
	uint32_t flags;         /* flags of all layers */
	uint32_t padding_bytes; /* bytes present after the outermost network layer */
	struct cw_layer at[CW_LAYERS_MAX] __attribute__((aligned(CW_CACHE_LINE)));
};

/*
 * Decode all layers of a packet of `caplen` bytes (borrows; data may be NULL if caplen is 0). Fills
 * `layers`; count is 0 only for an empty packet, and only the first `count` layers are written.
 */
void cw_decode_layers(const uint8_t *data, uint32_t caplen, uint32_t linktype,
		      struct cw_layers *layers);

/* The first layer of that type, or NULL. */
const struct cw_layer *cw_layers_find(const struct cw_layers *layers, enum cw_layer_type type);

/* Whether the packet ends in a failure. */
static inline bool cw_layers_failed(const struct cw_layers *layers)
{
	return layers->count && layers->at[layers->count - 1].type == CW_LAYER_FAILURE;
}

/* Room for chosen layers. Zero-initialise, then point `at` to room for wanted ones (borrows). */
struct cw_chosen {
	struct cw_layer *at[CW_LAYER_COUNT]; /* by type; NULL: not chosen */
	/* results */
	uint8_t order[CW_LAYERS_MAX]; /* decoded types, in order; a repeat overwrites its room */
	uint32_t count;
	uint8_t next; /* enum cw_layer_type that ended decoding; NONE: the packet's end */
	struct cw_failure failure; /* if next is CW_LAYER_FAILURE */
};

/* Decode up to the packet's end, the first layer without room, or a failure. Returns count. Room
 * holds a valid layer only if its type is in `order`: a failed layer overwrites its room. */
uint32_t cw_decode_chosen(const uint8_t *data, uint32_t caplen, uint32_t linktype,
			  struct cw_chosen *chosen);

/*
 * In a loop over packets in memory: prefetch the packet CW_DECODE_PREFETCH_PACKETS after `index`.
 * Decoding waits for memory more than for anything else. Always inline: gcc drops calls of a
 * separate function, which has no effect that gcc knows of.
 */
#define CW_DECODE_PREFETCH_PACKETS 16u

static inline __attribute__((always_inline)) void cw_decode_ask(const struct cw_packet *packet)
{
	/* A number, because the prefetched address may lie beyond the packet's end. */
	uintptr_t data = (uintptr_t)packet->data;

	__builtin_prefetch((const void *)data);
	__builtin_prefetch((const void *)(data + CW_CACHE_LINE));
	__builtin_prefetch((const void *)(data + 2 * CW_CACHE_LINE - 1));
}

static inline __attribute__((always_inline)) void
cw_decode_prefetch(const struct cw_packet *packets, size_t index, size_t count)
{
	if (index + CW_DECODE_PREFETCH_PACKETS < count)
		cw_decode_ask(&packets[index + CW_DECODE_PREFETCH_PACKETS]);
}

#endif
