/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes a pcapng file with every kind of block and option, in sections of both byte orders, around
 * generated packets. The content follows draft-ietf-opsawg-pcapng and shares no code with capweir.
 */
#ifndef CW_TESTS_RIG_EVERY_BLOCK_H
#define CW_TESTS_RIG_EVERY_BLOCK_H

#include <stdio.h>
#include <string.h>

#include "datasets/traffic.h"

#define SECTION_PACKETS 300u

/* The body of the block being made. */
static struct {
	uint8_t at[8192];
	size_t used;
	bool is_big;
} made;

static inline void put(uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		made.at[made.used++] = (uint8_t)(value >> 8 * (made.is_big ? bytes - 1 - i : i));
}

/* Pads with bytes that are not zero. */
static inline void put_octets(const void *octets, size_t bytes)
{
	memcpy(made.at + made.used, octets, bytes);
	made.used += bytes;
	while (made.used % 4)
		made.at[made.used++] = 0xaa;
}

/* An option: o octet, t text, w 32 bits, q 64 bits, d two words, v verdict, c custom. */
static inline void put_option(unsigned code, char kind, uint32_t number)
{
	const char text[] = {'t', 'e', 'x', 't', (char)('a' + number % 26)};

	put(code, 2);
	put(kind == 'o'   ? 1
	    : kind == 't' ? sizeof(text)
	    : kind == 'w' ? 4
	    : kind == 'v' ? 9
			  : 8,
	    2);
	if (kind == 'v')
		made.at[made.used++] = 2;
	if (kind == 'o')
		made.at[made.used++] = (uint8_t)number;
	else if (kind == 't')
		put_octets(text, sizeof(text));
	else if (kind == 'w')
		put(number, 4);
	else if (kind == 'd' || kind == 'c')
		put(kind == 'c' ? 32473 : 0, 4), put(number, 4);
	else
		put(number, 8);
	put_octets("", 0);
}

/* Options like "1t 8q", and their end. */
static inline void put_options(const char *list, uint32_t number)
{
	unsigned code;
	char kind;
	int taken;

	for (; sscanf(list, "%u%c%n", &code, &kind, &taken) == 2; list += taken)
		put_option(code, kind, number);
	put(0, 4);
}

static inline void end_block(FILE *file, uint32_t type)
{
	size_t bytes = made.used;

	put(type, 4);
	put(bytes + 12, 4);
	fwrite(made.at + bytes, 8, 1, file);
	fwrite(made.at, bytes, 1, file);
	fwrite(made.at + bytes + 4, 4, 1, file);
	made.used = 0;
}

/* A block that is no packet, by turns: statistics, names, secrets, custom (both), unknown. */
static inline void put_other(FILE *file, uint32_t number)
{
	static const uint32_t types[] = {5, 4, 10, 0xBAD, 0x40000BAD, 0x80000001};
	uint32_t type = types[number % 6];

	if (type == 5) {
		put(number / 6 % 2, 4), put(0, 4), put(number, 4);
		put_options("1t 2d 3d 4q 5q 6q 7q 8q 2988c", number);
	} else if (type == 4) {
		put(1, 2), put(9, 2);
		put_octets("\12\0\0\1name", 9);
		put(0, 4);
		put_options("1t 2t 3t 4t 2989c", number);
	} else if (type == 10) {
		put(0x544C534B, 4), put(7, 4);
		put_octets("secret\n", 7);
		put_options("1t 2988c", number);
	} else {
		put(32473, 4), put(number, 4);
	}
	end_block(file, type);
}

static inline void put_section(FILE *file, uint32_t number)
{
	made.is_big = number % 2;
	put(0x1A2B3C4D, 4), put(1, 2), put(0, 2), put(UINT64_MAX, 8);
	put_options("1t 2t 3t 4t 2988c 2989c 19372c 77t", number);
	end_block(file, 0x0A0D0D0A);
	for (uint32_t iface = 0; iface < 2; iface++) {
		put(1, 2), put(0, 2), put(0, 4);
		put_option(9, 'o', iface ? 9 : 6);
		put_option(13, 'o', 0);
		put_options("1t 1t 2t 3t 4q 6t 7q 8q 10w 11t 12t 14q 15t 16q 17q 18t 19373c",
			    iface);
		end_block(file, 1);
	}
	for (uint32_t kind = 0; kind < 6; kind++)
		put_other(file, kind);
}

/* An enhanced, an obsolete or a simple packet block. */
static inline void put_packet(FILE *file, const struct cw_packet *packet, uint32_t number)
{
	uint32_t type = number % 11 == 3 ? 3 : number % 11 == 5 ? 2 : 6, iface = number % 7 == 1;
	uint64_t time = iface ? packet->ts_ns : packet->ts_ns / 1000;

	if (type == 6)
		put(iface, 4);
	if (type == 2)
		put(iface, 2), put(number, 2);
	if (type != 3)
		put(time >> 32, 4), put((uint32_t)time, 4), put(packet->caplen, 4);
	put(packet->caplen, 4);
	put_octets(packet->data, packet->caplen);
	if (type != 3 && number % 3 == 0)
		put_options("1t 2w 3t 2988c 19373c", number);
	else if (type == 6 && number % 3 == 1)
		put_options("1t 4q 5q 6w 7v 8d 2989c 77t", number);
	end_block(file, type);
}

/* Writes `packets` packets with blocks of all kinds between them. */
static inline void put_every_block(FILE *file, struct cw_traffic *traffic, uint32_t packets)
{
	struct cw_packet packet;

	for (uint32_t number = 0; number < packets; number++) {
		if (number % SECTION_PACKETS == 0)
			put_section(file, number / SECTION_PACKETS);
		if (number % 23 == 22)
			put_other(file, number / 23);
		cw_traffic_next(traffic, &packet);
		put_packet(file, &packet, number);
	}
	for (uint32_t kind = 0; kind < 6; kind++)
		put_other(file, kind);
}

#endif
