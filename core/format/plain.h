/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plain records: those that the parser takes without a closer look. The parser's walk (pcapfile.c)
 * takes them in its loop and judges all others one by one; the walk of a segment (segment.c) stops
 * at the others. Both walks use these functions, so that they cannot differ.
 *
 * Another program may change a mapped file: each length is loaded once, and the caller uses the
 * value that was judged.
 */
#ifndef CW_CORE_FORMAT_PLAIN_H
#define CW_CORE_FORMAT_PLAIN_H

#include "core/format/header.h"

/* Loads the two lengths of the pcap record at `at`. `mode`: enum cw_swapped_lengths. */
static inline void cw_plain_lengths(const uint8_t *at, int is_swapped, uint32_t mode,
				    uint32_t *caplen, uint32_t *len)
{
	const uint32_t first = cw_load_u32(at + 8, is_swapped);
	const uint32_t second = cw_load_u32(at + 12, is_swapped);

	*caplen = first;
	*len = second;
	if (cw_likely(mode == CW_LENGTHS_IN_ORDER))
		return;
	if (mode == CW_LENGTHS_MAYBE_SWAPPED && first <= second)
		return;
	*caplen = second;
	*len = first;
}

/* Returns whether a capture length is 0 or above the maximum: both are rare. */
static inline bool cw_plain_is_caplen_odd(uint32_t caplen, uint32_t caplen_max)
{
	return caplen - 1 >= caplen_max;
}

/*
 * Returns whether the pcap record at `at` with these lengths is plain, if it is complete. An odd
 * capture length, or first bytes that begin a file header, are not plain; nor is a capture length
 * above the length if `is_checked` (resync.is_on).
 */
static inline bool cw_plain_is_record(const uint8_t *at, uint32_t caplen, uint32_t len,
				      uint32_t caplen_max, bool is_checked)
{
	return cw_likely(!cw_plain_is_caplen_odd(caplen, caplen_max)) &&
	       cw_likely(!cw_pcap_may_be_header(at)) && !(cw_unlikely(is_checked) && caplen > len);
}

/* Returns the bytes of the pcapng block at `at`, and its type, if it is plain: a packet's block
 * whose frame passes cw_pcapng_check and ends within `left` bytes. Else 0. */
static inline size_t cw_plain_block(const uint8_t *at, size_t left, int is_swapped, uint32_t *type)
{
	size_t length;

	if (cw_unlikely(left < CW_PCAPNG_BLOCK_BYTES_MIN))
		return 0;
	*type = cw_load_u32(at, is_swapped);
	length = cw_load_u32(at + 4, is_swapped);
	if (cw_unlikely(!cw_pcapng_is_packet(*type) || !cw_pcapng_is_length(length) ||
			length > left))
		return 0;
	return cw_likely(cw_load_u32(at + length - 4, is_swapped) == length) ? length : 0;
}

#endif
