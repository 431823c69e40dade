/* SPDX-License-Identifier: BSD-3-Clause */
/* Random capture files of every variant, with everything between and in their records that the
 * parser looks at twice. */
#ifndef CW_TESTS_CORE_FORMAT_SEGMENT_FILES_H
#define CW_TESTS_CORE_FORMAT_SEGMENT_FILES_H

#include "tests/core/format/image_rig.h"

/* How records are written. */
struct variant {
	uint32_t magic; /* 0: pcapng */
	uint16_t major, minor;
	int is_swapped;
};

static const struct variant variants[] = {
    {MAGIC_US, 2, 4, 0},
    {MAGIC_US, 2, 4, 1},
    {MAGIC_NS, 2, 4, 0},
    {MAGIC_NS, 2, 4, 1},
    {MAGIC_KUZNETZOV, 2, 4, 0},
    {MAGIC_US, 2, 3, 0},
    {MAGIC_US, 2, 2, 1},
    {MAGIC_KUZNETZOV, 2, 4, 1},
    {MAGIC_NS, 543, 0, 0},
    {0, 1, 0, 0},
    {0, 1, 0, 1},
};

/* Strange records and blocks. The first ODDITIES_READ ones leave the rest of the file readable. */
enum oddity {
	ODDITY_EMPTY,
	ODDITY_ZEROS,
	ODDITY_MAGIC_AS_TIME,
	ODDITY_LENGTHS, /* the capture length exceeds the length */
	ODDITY_JOINED,
	ODDITY_BLOCK, /* pcapng; the next ones in pcap are plain records */
	ODDITY_IFACE,
	ODDITIES_READ,
	ODDITY_TOO_LONG = ODDITIES_READ,
	ODDITY_BYTES,
	ODDITY_FRAME,
	ODDITIES,
};

static const struct variant *variant; /* of the records at the image's end */

static inline void put_file_header(const struct variant *next)
{
	variant = next;
	image.is_swapped = next->is_swapped;
	if (next->magic) {
		put_pcap_header(&image, next->magic, next->major, next->minor, 65535, 1);
	} else {
		put_shb(&image, 1, 0);
		put_idb(&image, 1, 0, NULL, 0);
	}
}

/* A pcap record that claims `caplen` of `len` bytes and has `bytes`. */
static inline void put_lengths(uint32_t seconds, uint32_t caplen, uint32_t len, size_t bytes)
{
	bool is_turned = variant->minor < 3;

	put_pcap_record(&image, seconds, 7, is_turned ? len : caplen, is_turned ? caplen : len, 0);
	put_bytes(&image, "cookedXX", variant->magic == MAGIC_KUZNETZOV ? 8 : 0);
	put_pattern(&image, (uint8_t)seconds, bytes);
}

static inline void put_plain(uint32_t seconds, uint32_t bytes)
{
	static const uint8_t simple[4] = {1, 1, 1, 1};

	if (variant->magic)
		put_lengths(seconds, bytes, bytes + seconds % 3, bytes);
	else if (seconds % 8 == 0)
		put_block(&image, 3, simple, sizeof(simple));
	else
		put_epb(&image, seconds % 16 == 1, seconds * UINT64_C(1000000), bytes, bytes + 1,
			bytes);
}

static inline void put_odd_record(enum oddity oddity, uint32_t number)
{
	static const uint8_t nothing[72];

	switch (oddity) {
	case ODDITY_EMPTY:
		put_lengths(1700000000, 0, 1 + number % 60, 0);
		break;
	case ODDITY_ZEROS:
		put_bytes(&image, nothing,
			  (1 + number % 3) * (variant->magic == MAGIC_KUZNETZOV ? 24 : 16));
		break;
	case ODDITY_MAGIC_AS_TIME:
		put_lengths(number % 2 ? 0xA1B2C3D4 : 0xD4C3B2A1, 9, 9, 9);
		break;
	case ODDITY_LENGTHS:
		put_lengths(1700000000, 20, 1 + number % 19, 20);
		break;
	case ODDITY_TOO_LONG:
		put_lengths(1700000000, number % 2 ? 262145 : UINT32_MAX - number % 40, UINT32_MAX,
			    9);
		break;
	default:
		put_plain(1700000000 + number % 60, 1);
	}
}

static inline void put_odd_block(enum oddity oddity, uint32_t number)
{
	static const uint32_t types[] = {4, 5, 10, 0xBAD, 0x40000BAD, 77, 11, 0};
	static const uint32_t packets[] = {6, 3, 2};
	static const uint8_t body[40];
	size_t at = image.bytes;

	switch (oddity) {
	case ODDITY_ZEROS:
		put_bytes(&image, body, 12 + number % 20);
		break;
	case ODDITY_EMPTY:
		put_block(&image, packets[number % 3], body, number % 40);
		break;
	case ODDITY_LENGTHS:
		put_epb(&image, number % 3, 1, 99, 9, 10);
		break;
	case ODDITY_IFACE:
		put_clock(9, number % 2);
		break;
	case ODDITY_TOO_LONG:
		put_epb(&image, 0, 1, 9, 9, 9);
		cw_store_u32(image.data + at + 4, number % 3 ? number % 99 : UINT32_MAX - 3);
		break;
	case ODDITY_FRAME:
		put_epb(&image, 0, 1, 9, 9, 9);
		image.data[image.bytes - 1 - number % 4] ^= 0x10;
		break;
	default:
		put_block(&image, types[number % CW_ARRAY_COUNT(types)], body, number % 33);
	}
}

static inline void put_oddity(enum oddity oddity, uint32_t number)
{
	if (oddity == ODDITY_JOINED)
		put_file_header(&variants[number % CW_ARRAY_COUNT(variants)]);
	else if (oddity == ODDITY_BYTES)
		put_pattern(&image, (uint8_t)(number * 5), 1 + number % 40);
	else if (variant->magic)
		put_odd_record(oddity, number);
	else
		put_odd_block(oddity, number);
}

/* Fills the image with up to 60 records, one in `rare` strange, and sometimes a truncated tail. */
static inline void put_random_file(uint64_t *random, uint32_t rare)
{
	uint32_t count = 1 + (uint32_t)next_random(random) % 60;
	uint32_t kinds = next_random(random) % 2 ? ODDITIES : ODDITIES_READ;
	size_t tail;

	start(0);
	put_file_header(&variants[next_random(random) % CW_ARRAY_COUNT(variants)]);
	while (count--) {
		uint64_t draw = next_random(random);

		if (draw % rare)
			put_plain(1700000000 + (uint32_t)(draw >> 32) % 60,
				  1 + (uint32_t)(draw >> 16) % 70);
		else
			put_oddity((draw >> 16) % kinds, (uint32_t)(draw >> 32));
	}
	tail = next_random(random) % 4 ? 0 : next_random(random) % 60;
	image.bytes -= cw_min_size(tail, image.bytes - 24);
}

#endif
