/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plain records: those that the parser takes without a closer look. The parser's walk (pcapfile.c)
 * takes them in its loop and judges all others one by one; the walk of a segment (segment.c) stops
 * at the others. Both walks use these functions, so that they cannot differ.
 *
 * Another program may change a mapped file: each length is loaded once, and the caller uses the
 * value that was checked.
 */
#ifndef CW_CORE_FORMAT_PLAIN_H
#define CW_CORE_FORMAT_PLAIN_H

#include "core/format/header.h"

/*
 * Load a length once. The compiler may load the source of a variable again for its second use: gcc
 * 12 compared one load of a capture length with the bytes left, and stored another one.
 */
static inline uint32_t cw_load_once_u32(const uint8_t *from, int is_swapped)
{
	uint32_t value = cw_load_u32(from, 0);

	__asm__("" : "+r"(value)); /* hides where the value comes from */
	return is_swapped ? __builtin_bswap32(value) : value;
}

static inline uint64_t cw_load_once_u64(const uint8_t *from, int is_swapped)
{
	uint64_t value = cw_load_u64(from, 0);

	__asm__("" : "+r"(value));
	return is_swapped ? __builtin_bswap64(value) : value;
}

/* The variant of a pcap file: loops are compiled twice, for the usual one with constants. */
struct cw_plain_kind {
	int is_swapped;
	uint32_t lengths; /* enum cw_swapped_lengths */
	size_t header_bytes;
};

#define CW_PLAIN_USUAL ((struct cw_plain_kind){0, CW_LENGTHS_IN_ORDER, 16})

static inline struct cw_plain_kind cw_plain_kind(const struct cw_layout *layout)
{
	return (struct cw_plain_kind){layout->is_swapped, layout->has_swapped_lengths,
				      layout->record_header_bytes};
}

static inline bool cw_plain_is_usual(const struct cw_layout *layout)
{
	return cw_likely(!layout->is_swapped && layout->record_header_bytes == 16 &&
			 layout->has_swapped_lengths == CW_LENGTHS_IN_ORDER);
}

/* Loads the two lengths of the pcap record at `at`. */
static inline void cw_plain_lengths(const uint8_t *at, const struct cw_plain_kind kind,
				    uint32_t *caplen, uint32_t *len)
{
	const bool is_first_low = kind.is_swapped == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
	const uint64_t both = cw_load_once_u64(at + 8, kind.is_swapped);
	const uint32_t first = (uint32_t)(is_first_low ? both : both >> 32);
	const uint32_t second = (uint32_t)(is_first_low ? both >> 32 : both);

	*caplen = first;
	*len = second;
	if (cw_likely(kind.lengths == CW_LENGTHS_IN_ORDER))
		return;
	if (kind.lengths == CW_LENGTHS_MAYBE_SWAPPED && first <= second)
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
 * above the length if `is_checked` (resync.is_on). An empty record is plain if it has a time and
 * is not checked: ordinary captures hold some.
 */
static inline bool cw_plain_is_record(const uint8_t *at, uint32_t caplen, uint32_t len,
				      uint32_t caplen_max, bool is_checked)
{
	if (cw_unlikely(cw_plain_is_caplen_odd(caplen, caplen_max)) &&
	    (caplen || is_checked || !cw_load_u64(at, 0)))
		return false;
	/* All packets of one second in 65,536 begin with half of a header's magic. */
	if (cw_unlikely(cw_pcap_may_be_header(at)) && cw_pcap_order(at) >= 0)
		return false;
	return !(cw_unlikely(is_checked) && caplen > len);
}

/* Returns the bytes of the pcapng block at `at`, and its type, if it is plain: a packet's block
 * whose frame passes cw_pcapng_check and ends within `left` bytes. Else 0. */
static inline size_t cw_plain_block(const uint8_t *at, size_t left, int is_swapped, uint32_t *type)
{
	size_t length;

	if (cw_unlikely(left < CW_PCAPNG_BLOCK_BYTES_MIN))
		return 0;
	*type = cw_load_u32(at, is_swapped);
	length = cw_load_once_u32(at + 4, is_swapped);
	if (cw_unlikely(!cw_pcapng_is_packet(*type) || !cw_pcapng_is_length(length) ||
			length > left))
		return 0;
	return cw_likely(cw_load_u32(at + length - 4, is_swapped) == length) ? length : 0;
}

#endif
