/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests of the reader: capture files built by hand, byte for byte and in either byte order, and
 * lists of the packets that came out. For programs with cmocka; failures end the test.
 */
#ifndef CW_TESTS_RIG_CAPTURE_H
#define CW_TESTS_RIG_CAPTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/packet/packet.h"

#define IMAGE_BYTES_MAX ((size_t)1 << 20)

struct image {
	int is_swapped; /* written in the order that is not this machine's */
	size_t bytes;
	uint8_t data[IMAGE_BYTES_MAX];
};

static inline void put_bytes(struct image *image, const void *data, size_t bytes)
{
	assert_true(image->bytes + bytes <= IMAGE_BYTES_MAX);
	if (bytes)
		memcpy(image->data + image->bytes, data, bytes);
	image->bytes += bytes;
}

static inline void put_u16(struct image *image, uint32_t value)
{
	uint16_t half = cw_load_u16(&(uint16_t){(uint16_t)value}, image->is_swapped);

	put_bytes(image, &half, sizeof(half));
}

static inline void put_u32(struct image *image, uint32_t value)
{
	value = cw_load_u32(&value, image->is_swapped);
	put_bytes(image, &value, sizeof(value));
}

static inline void put_u64(struct image *image, uint64_t value)
{
	value = cw_load_u64(&value, image->is_swapped);
	put_bytes(image, &value, sizeof(value));
}

/* `bytes` bytes that count up from `first`. */
static inline void put_pattern(struct image *image, uint8_t first, size_t bytes)
{
	assert_true(image->bytes + bytes <= IMAGE_BYTES_MAX);
	while (bytes--)
		image->data[image->bytes++] = first++;
}

static inline void put_pcap_header(struct image *image, uint32_t magic, uint16_t major,
				   uint16_t minor, uint32_t snaplen, uint32_t linktype)
{
	put_u32(image, magic);
	put_u16(image, major);
	put_u16(image, minor);
	put_u32(image, 0);
	put_u32(image, 0);
	put_u32(image, snaplen);
	put_u32(image, linktype);
}

static inline void put_pcap_record(struct image *image, uint32_t seconds, uint32_t fraction,
				   uint32_t caplen, uint32_t len, size_t data_bytes)
{
	put_u32(image, seconds);
	put_u32(image, fraction);
	put_u32(image, caplen);
	put_u32(image, len);
	put_pattern(image, (uint8_t)seconds, data_bytes);
}

/* A block around what `body` holds. */
static inline void put_block(struct image *image, uint32_t type, const void *body, size_t bytes)
{
	uint32_t total = (uint32_t)(12 + cw_pad4(bytes));

	put_u32(image, type);
	put_u32(image, total);
	put_bytes(image, body, bytes);
	put_bytes(image, "\0\0\0", cw_pad4(bytes) - bytes);
	put_u32(image, total);
}

static inline void put_shb(struct image *image, uint16_t major, uint16_t minor)
{
	put_u32(image, 0x0A0D0D0A);
	put_u32(image, 28);
	put_u32(image, 0x1A2B3C4D);
	put_u16(image, major);
	put_u16(image, minor);
	put_u64(image, UINT64_MAX);
	put_u32(image, 28);
}

static inline void put_idb(struct image *image, uint16_t linktype, uint32_t snaplen,
			   const void *options, size_t options_bytes)
{
	uint32_t total = (uint32_t)(20 + options_bytes);

	put_u32(image, 1);
	put_u32(image, total);
	put_u16(image, linktype);
	put_u16(image, 0);
	put_u32(image, snaplen);
	put_bytes(image, options, options_bytes);
	put_u32(image, total);
}

/* An enhanced packet block with `data_bytes` of data, whatever `caplen` claims. */
static inline void put_epb(struct image *image, uint32_t iface, uint64_t units, uint32_t caplen,
			   uint32_t len, size_t data_bytes)
{
	uint32_t total = (uint32_t)(32 + cw_pad4(data_bytes));

	put_u32(image, 6);
	put_u32(image, total);
	put_u32(image, iface);
	put_u32(image, (uint32_t)(units >> 32));
	put_u32(image, (uint32_t)units);
	put_u32(image, caplen);
	put_u32(image, len);
	put_pattern(image, (uint8_t)units, cw_pad4(data_bytes));
	put_u32(image, total);
}

/* A packet that came out, with its data as a checksum. */
struct seen {
	uint64_t ts_ns;
	uint64_t data_hash;
	uint32_t caplen, wire_len, iface, flags, options_bytes;
};

struct seen_list {
	struct seen *items;
	size_t count, capacity;
	int result; /* how reading ended */
	char text[1024];
};

static inline uint64_t hash_bytes(const uint8_t *data, size_t bytes)
{
	uint64_t hash = UINT64_C(0xCBF29CE484222325);

	while (bytes--)
		hash = (hash ^ *data++) * UINT64_C(0x100000001B3);
	return hash;
}

static inline void see(struct seen_list *list, const struct seen *seen)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? 2 * list->capacity : 64;
		list->items = realloc(list->items, list->capacity * sizeof(*list->items));
		assert_non_null(list->items);
	}
	list->items[list->count++] = *seen;
}

/* See packets that were decoded from a span. */
static inline void see_packets(struct seen_list *list, const struct cw_span *span,
			       const struct cw_packet *packets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct cw_packet *packet = &packets[i];
		struct seen seen = {
		    .ts_ns = packet->ts_ns,
		    .data_hash = hash_bytes(packet->data, packet->caplen),
		    .caplen = packet->caplen,
		    .wire_len = packet->wire_len,
		    .iface = packet->iface,
		    .flags = packet->flags,
		    .options_bytes = packet->options_bytes,
		};

		assert_true(packet->data >= span->data);
		assert_true(packet->data + packet->caplen <= span->data + span->bytes);
		see(list, &seen);
	}
}

/* Decode a span in bursts of `burst` and see its packets; their number must be the span's. */
static inline void see_span(struct seen_list *list, const struct cw_span *span, size_t burst)
{
	struct cw_cursor cursor = {0};
	struct cw_packet packets[64];
	size_t total = 0, count;

	assert_true(burst && burst <= 64);
	while ((count = cw_span_decode(span, &cursor, packets, burst)) > 0) {
		total += count;
		see_packets(list, span, packets, count);
	}
	assert_int_equal(total, span->record_count);
	assert_int_equal(cursor.offset, span->bytes);
}

static inline void seen_free(struct seen_list *list)
{
	free(list->items);
	memset(list, 0, sizeof(*list));
}

static inline void assert_same_packets(const struct seen_list *a, const struct seen_list *b)
{
	size_t i;

	assert_int_equal(a->count, b->count);
	for (i = 0; i < a->count; i++) {
		assert_int_equal(a->items[i].ts_ns, b->items[i].ts_ns);
		assert_int_equal(a->items[i].caplen, b->items[i].caplen);
		assert_int_equal(a->items[i].wire_len, b->items[i].wire_len);
		assert_int_equal(a->items[i].iface, b->items[i].iface);
		assert_int_equal(a->items[i].flags, b->items[i].flags);
		assert_int_equal(a->items[i].options_bytes, b->items[i].options_bytes);
		assert_int_equal(a->items[i].data_hash, b->items[i].data_hash);
	}
}

/* A small generator with a printed seed (splitmix64). */
static inline uint64_t next_random(uint64_t *state)
{
	uint64_t value = *state += UINT64_C(0x9E3779B97F4A7C15);

	value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
	return value ^ value >> 31;
}

#endif
