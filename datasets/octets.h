/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes big-endian fields, and the internet checksum (RFC 1071). */
#ifndef CW_DATASETS_OCTETS_H
#define CW_DATASETS_OCTETS_H

#include "core/base/base.h"

/* Each writes a value at `at` and returns the place after it. */
static inline uint8_t *cw_put_u8(uint8_t *at, uint32_t value)
{
	*at = (uint8_t)value;
	return at + 1;
}

static inline uint8_t *cw_put_be16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static inline uint8_t *cw_put_be32(uint8_t *at, uint32_t value)
{
	return cw_put_be16(cw_put_be16(at, value >> 16), value);
}

static inline uint8_t *cw_put_bytes(uint8_t *at, const void *bytes, size_t count)
{
	memcpy(at, bytes, count);
	return at + count;
}

/* Returns the sum that cw_sum would give for `value` as a network field of two octets. */
static inline uint64_t cw_sum_u16(uint32_t value)
{
	uint8_t octets[2];

	cw_put_be16(octets, value);
	return cw_load_u16(octets, 0);
}

/*
 * Adds octets to a running sum. One's complement addition is independent of byte order (RFC 1071,
 * 2 (B)), so words are summed as this machine loads them, four octets at a time.
 */
static inline uint64_t cw_sum(uint64_t sum, const uint8_t *octets, size_t count)
{
	for (; count >= 4; octets += 4, count -= 4)
		sum += cw_load_u32(octets, 0);
	if (count >= 2) {
		sum += cw_load_u16(octets, 0);
		octets += 2;
		count -= 2;
	}
	if (count)
		sum += cw_sum_u16((uint32_t)*octets << 8);
	return sum;
}

/* Folds the sum to 16 bits and stores its complement at `at`. */
static inline void cw_sum_store(uint8_t *at, uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	cw_store_u16(at, (uint16_t)~sum);
}

#endif
