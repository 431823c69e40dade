/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbered frames: what sender.c sends and a receiver builds again to compare with. A frame follows
 * from its number and the shape alone, so that a receiver that knows both knows every byte:
 *
 *	Ethernet | tags | IPv4 (source 10.0.0.0 + flow) | UDP, or TCP if large | stamp | fill
 *
 * The stamp is 16 octets, big-endian: magic, number (64 bits), check of number and length. Frame n
 * belongs to flow n % flows. Header-only, shared by programs in C.
 */
#ifndef CW_TESTS_RIG_STAMP_H
#define CW_TESTS_RIG_STAMP_H

#include <stdbool.h>

#include "datasets/octets.h"

#define STAMP_MAGIC 0x63775354u
#define STAMP_BYTES 16u
#define STAMP_FRAME_MIN 60u
#define STAMP_FRAME_MAX 65550u
#define STAMP_FLOWS_MAX (1u << 24)
#define STAMP_FILL_PERIOD 4096u
#define STAMP_TAG_NONE UINT32_MAX

struct stamp_shape {
	uint32_t bytes;     /* of a frame, tags included */
	uint32_t bytes_max; /* 0: all the same; else from bytes to this, by number */
	uint32_t flows;
	uint32_t vlan;  /* TCI of the 802.1Q tag; STAMP_TAG_NONE */
	uint32_t outer; /* TCI of an 802.1ad tag before it; STAMP_TAG_NONE */
	bool is_tcp;
};

static inline uint64_t stamp_mix(uint64_t value)
{
	value = (value ^ value >> 31) * UINT64_C(0x9e3779b97f4a7c15);
	return value ^ value >> 29;
}

static inline uint32_t stamp_check(uint64_t number, uint32_t bytes)
{
	return (uint32_t)(stamp_mix(number + UINT64_C(0x5851f42d4c957f2d) * bytes) >> 32);
}

/* Octets that repeat only after STAMP_FILL_PERIOD, with room for a frame behind each. */
static inline const uint8_t *stamp_fill(void)
{
	static uint8_t fill[STAMP_FILL_PERIOD + STAMP_FRAME_MAX];
	uint32_t i;

	if (fill[0] == 0)
		for (i = 0; i < sizeof(fill); i++)
			fill[i] = (uint8_t)(1 + stamp_mix(i % STAMP_FILL_PERIOD + 77) % 255);
	return fill;
}

static inline uint32_t stamp_frame_bytes(const struct stamp_shape *shape, uint64_t number)
{
	if (shape->bytes_max <= shape->bytes)
		return shape->bytes;
	return shape->bytes + (uint32_t)(stamp_mix(number) % (shape->bytes_max - shape->bytes + 1));
}

/* Where the IPv4 header starts. */
static inline uint32_t stamp_network_offset(const struct stamp_shape *shape)
{
	return 14 + (shape->vlan == STAMP_TAG_NONE ? 0u : 4u) +
	       (shape->outer == STAMP_TAG_NONE ? 0u : 4u);
}

static inline uint8_t *stamp_put_tag(uint8_t *at, uint32_t type, uint32_t control)
{
	return control == STAMP_TAG_NONE ? at : cw_put_be16(cw_put_be16(at, type), control);
}

/* Build frame `number` (STAMP_FRAME_MAX octets of room). Returns its length. */
static inline uint32_t stamp_build(uint8_t *frame, const struct stamp_shape *shape, uint64_t number)
{
	static const uint8_t addresses[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	uint32_t bytes = stamp_frame_bytes(shape, number);
	uint32_t flow = (uint32_t)(number % shape->flows);
	uint8_t *at = cw_put_bytes(frame, addresses, sizeof(addresses));
	uint8_t *network, *transport;
	uint32_t length;

	at = stamp_put_tag(at, 0x88a8, shape->outer);
	at = stamp_put_tag(at, 0x8100, shape->vlan);
	network = cw_put_be16(at, 0x0800);
	length = bytes - (uint32_t)(network - frame);
	at = cw_put_be16(cw_put_be16(network, 0x4500), length);
	at = cw_put_be16(cw_put_be16(at, (uint32_t)(number & 0xffff)), 0x4000);
	at = cw_put_be16(cw_put_be16(at, 0x4000u | (shape->is_tcp ? 6 : 17)), 0);
	at = cw_put_be32(at, 10u << 24 | flow);
	transport = cw_put_be32(at, UINT32_C(0x0afffffe));
	cw_sum_store(network + 10, cw_sum(0, network, 20));
	at = cw_put_be16(cw_put_be16(transport, 10000 + flow % 4096), 20000);
	if (shape->is_tcp) {
		at = cw_put_be32(cw_put_be32(at, (uint32_t)number), 0);
		at = cw_put_be16(cw_put_be16(at, 0x5010), 0xffff);
		at = cw_put_be32(at, 0);
	} else {
		at = cw_put_be16(cw_put_be16(at, length - 20), 0);
	}
	at = cw_put_be32(at, STAMP_MAGIC);
	at = cw_put_be32(cw_put_be32(at, (uint32_t)(number >> 32)), (uint32_t)number);
	at = cw_put_be32(at, stamp_check(number, bytes));
	memcpy(at, stamp_fill() + number % STAMP_FILL_PERIOD, bytes - (size_t)(at - frame));
	return bytes;
}

/* The least length of the shape's frames: whatever else, the stamp is in it. */
static inline uint32_t stamp_bytes_min(const struct stamp_shape *shape)
{
	uint32_t least = stamp_network_offset(shape) + (shape->is_tcp ? 40u : 28u) + STAMP_BYTES;

	return least < STAMP_FRAME_MIN ? STAMP_FRAME_MIN : least;
}

/*
 * Whether `caplen` octets of `wire_len` are a frame of this shape as it was sent. Gives its number
 * where the stamp is there.
 */
static inline bool stamp_is_intact(const struct stamp_shape *shape, const uint8_t *data,
				   uint32_t caplen, uint32_t wire_len, uint64_t *number)
{
	static _Thread_local uint8_t expected[STAMP_FRAME_MAX];
	uint32_t at = stamp_network_offset(shape) + (shape->is_tcp ? 40u : 28u);

	if (caplen < at + STAMP_BYTES || cw_load_be32(data + at) != STAMP_MAGIC)
		return false;
	*number = (uint64_t)cw_load_be32(data + at + 4) << 32 | cw_load_be32(data + at + 8);
	return caplen <= wire_len && stamp_build(expected, shape, *number) == wire_len &&
	       memcmp(expected, data, caplen) == 0;
}

#endif
