/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/format/boundary.h"

#include "core/format/plain.h"

#define YEAR_S (INT64_C(366) * 86400)
#define DAY_S INT64_C(86400)
#define LENGTH_MAX (UINT32_C(1) << 20) /* of a packet on the wire */
#define ENDS_EARLY 2u /* records that make a chain which leaves the bytes looked at */
#define CUSTOM_NO_COPY 0x40000BADu

/* A chain that is being followed. */
struct chain {
	const struct cw_boundary *boundary;
	const struct cw_layout *layout; /* of the records at `at` */
	struct cw_layout joined;        /* of another pcap file */
	const struct cw_pcapfile_shown *shown;
	size_t at;           /* where the next record begins */
	uint32_t count;      /* records so far; a file header counts as one */
	bool is_own;         /* the records are those of the boundary, not of another file */
	int is_swapped;      /* pcapng: byte order of the section */
	bool has_before;     /* pcap: there is a record before */
	uint32_t previous_s; /* pcap: its seconds */
	size_t *needed;      /* filled with MORE */
};

static bool are_near(uint32_t a, uint32_t b, int64_t distance)
{
	int64_t between = (int64_t)a - (int64_t)b;

	return between <= distance && between >= -distance;
}

static bool is_time_plausible(const struct chain *chain, uint32_t seconds)
{
	const struct cw_boundary *boundary = chain->boundary;

	if (chain->has_before && !are_near(seconds, chain->previous_s, DAY_S))
		return false;
	return !chain->is_own || !boundary->has_times ||
	       are_near(seconds, boundary->first_s, YEAR_S) ||
	       are_near(seconds, boundary->last_s, YEAR_S);
}

/* Returns the bytes of the pcap record at `at`, whose header is present; 0: not plausible. */
static size_t pcap_bytes(struct chain *chain)
{
	const struct cw_layout *layout = chain->layout;
	const uint8_t *record = chain->shown->data + chain->at;
	uint32_t seconds = cw_load_u32(record, layout->is_swapped);
	uint32_t fraction = cw_load_u32(record + 4, layout->is_swapped);
	bool is_lenient = chain->is_own && chain->boundary->is_lenient;
	uint32_t caplen, len, len_max = layout->caplen_max;

	cw_plain_lengths(record, cw_plain_kind(layout), &caplen, &len);
	if (caplen > layout->caplen_max)
		return 0;
	if (!caplen && (!chain->count || !seconds || !len))
		return 0;
	if (!is_lenient || !caplen) {
		if (len_max < LENGTH_MAX)
			len_max = LENGTH_MAX;
		if (fraction >= CW_NS_PER_S / layout->ts_unit_ns || caplen > len || len > len_max)
			return 0;
	}
	if (!is_lenient && !is_time_plausible(chain, seconds))
		return 0;
	chain->previous_s = seconds;
	chain->has_before = true;
	return layout->record_header_bytes + (size_t)caplen;
}

static bool is_known(uint32_t type)
{
	return (type >= CW_PCAPNG_IDB && type <= CW_PCAPNG_EPB) || type == CW_PCAPNG_DSB ||
	       type == CW_PCAPNG_CUSTOM || type == CUSTOM_NO_COPY;
}

/* Returns the length that the block at `at` claims; its first 12 bytes are present. 0: not
 * plausible. */
static size_t claimed_bytes(struct chain *chain)
{
	const uint8_t *block = chain->shown->data + chain->at;
	uint32_t type = cw_load_u32(block, chain->is_swapped);
	size_t length, least = CW_PCAPNG_BLOCK_BYTES_MIN;

	if (type == CW_PCAPNG_SHB) {
		if (cw_pcapng_order(block) < 0)
			return 0;
		chain->is_swapped = cw_pcapng_order(block);
		least = CW_PCAPNG_SHB_BYTES;
	} else if (!chain->count && !is_known(type)) {
		return 0;
	} else if (type == CW_PCAPNG_EPB || type == CW_PCAPNG_PB) {
		least = CW_PCAPNG_EPB_BLOCK_BYTES;
	} else if (type == CW_PCAPNG_SPB) {
		least = CW_PCAPNG_SPB_BLOCK_BYTES;
	} else if (type == CW_PCAPNG_IDB) {
		least = CW_PCAPNG_IDB_BYTES;
	}
	length = cw_load_once_u32(block + 4, chain->is_swapped);
	return length < least || length % 4 || length > CW_PCAPNG_BLOCK_BYTES_MAX ? 0 : length;
}

/* Returns whether a complete block of `length` bytes is plausible. */
static bool is_block(const struct chain *chain, size_t length)
{
	const uint8_t *block = chain->shown->data + chain->at;
	uint32_t type = cw_load_u32(block, chain->is_swapped);

	if (cw_load_u32(block + length - 4, chain->is_swapped) != length)
		return false;
	if (type == CW_PCAPNG_SHB)
		return cw_pcapng_is_version(cw_load_u16(block + 12, chain->is_swapped),
					    cw_load_u16(block + 14, chain->is_swapped));
	return (type != CW_PCAPNG_EPB && type != CW_PCAPNG_PB) ||
	       cw_load_u32(block + 20, chain->is_swapped) <= length - CW_PCAPNG_EPB_BLOCK_BYTES;
}

/* Asks for `bytes` bytes of `shown`. At the end of the input a chain of `least` records holds. */
static enum cw_boundary_result need(const struct chain *chain, size_t bytes, uint32_t least)
{
	if (chain->shown->is_at_end)
		return chain->count >= least ? CW_BOUNDARY_HERE : CW_BOUNDARY_NONE;
	*chain->needed = bytes;
	return CW_BOUNDARY_MORE;
}

/* Returns whether another file's header begins at `at`, or may begin there: with the result. */
static bool leads_to_header(const struct chain *chain, enum cw_boundary_result *result)
{
	const struct cw_pcapfile_shown rest = {chain->shown->data + chain->at,
					       chain->shown->bytes - chain->at,
					       chain->shown->is_at_end};

	*result = CW_BOUNDARY_HERE;
	if (cw_pcap_order(rest.data) < 0)
		return !chain->layout->is_pcapng && cw_pcapng_is_section(rest.data);
	if (rest.bytes >= CW_PCAP_HEADER_BYTES || rest.is_at_end)
		return cw_pcap_is_header(&rest);
	*result = need(chain, chain->at + CW_PCAP_HEADER_BYTES, 0);
	return true;
}

static enum cw_boundary_result leave(const struct chain *chain)
{
	return chain->count >= ENDS_EARLY ? CW_BOUNDARY_HERE : CW_BOUNDARY_NONE;
}

/* Returns the bytes of the plausible block at `at`, or 0 with the result. */
static size_t block_bytes(struct chain *chain, enum cw_boundary_result *result)
{
	size_t length = claimed_bytes(chain);

	*result = CW_BOUNDARY_NONE;
	if (!length)
		return 0;
	if (chain->at + length > CW_BOUNDARY_BYTES)
		*result = leave(chain);
	else if (chain->at + length > chain->shown->bytes)
		*result = need(chain, chain->at + length, 1);
	else if (is_block(chain, length))
		return length;
	return 0;
}

/* Takes the next record. Returns false with the result if the chain ends there. */
static bool take(struct chain *chain, enum cw_boundary_result *result)
{
	const bool is_pcapng = chain->layout->is_pcapng;
	const size_t header_bytes =
	    is_pcapng ? CW_PCAPNG_BLOCK_BYTES_MIN : chain->layout->record_header_bytes;
	bool is_torn = chain->at > chain->shown->bytes; /* the record before */
	size_t bytes;

	if (chain->at + CW_PCAP_HEADER_BYTES > CW_BOUNDARY_BYTES) {
		*result = leave(chain);
		return false;
	}
	if (chain->at + header_bytes > chain->shown->bytes) {
		*result = need(chain, chain->at + header_bytes,
			       !is_torn                      ? 1
			       : chain->boundary->is_lenient ? 3
							     : 2);
		return false;
	}
	if (chain->count && leads_to_header(chain, result))
		return false;
	*result = CW_BOUNDARY_NONE;
	bytes = is_pcapng ? block_bytes(chain, result) : pcap_bytes(chain);
	chain->at += bytes;
	chain->count++;
	return bytes;
}

static enum cw_boundary_result follow(struct chain *chain)
{
	const uint32_t enough = chain->count + chain->boundary->records;
	enum cw_boundary_result result;

	while (chain->count < enough) {
		if (!take(chain, &result))
			return result;
	}
	return CW_BOUNDARY_HERE;
}

/* Follows the records of the pcap file whose header is at `shown`. */
static enum cw_boundary_result follow_header(struct chain *chain)
{
	struct cw_iface iface = {0};

	if (chain->shown->bytes < CW_PCAP_HEADER_BYTES)
		return need(chain, CW_PCAP_HEADER_BYTES, 1);
	if (!cw_pcap_is_header(chain->shown) ||
	    !cw_pcap_read_header(chain->shown->data, &chain->joined, &iface))
		return CW_BOUNDARY_NONE;
	chain->layout = &chain->joined;
	chain->is_own = false;
	chain->count = 1;
	chain->at = CW_PCAP_HEADER_BYTES;
	return follow(chain);
}

enum cw_boundary_result cw_boundary_at(const struct cw_boundary *boundary,
				       const struct cw_pcapfile_shown *shown, size_t *needed)
{
	static const struct cw_layout blocks = {.is_pcapng = 1};
	struct chain chain = {.boundary = boundary,
			      .layout = boundary->layout,
			      .shown = shown,
			      .is_own = true,
			      .needed = needed,
			      .is_swapped = boundary->layout->is_swapped};

	if (shown->bytes < CW_PCAPNG_BLOCK_BYTES_MIN)
		return need(&chain, CW_PCAPNG_BLOCK_BYTES_MIN, 1);
	if (cw_pcap_order(shown->data) >= 0)
		return follow_header(&chain);
	if (cw_pcapng_is_section(shown->data))
		chain.layout = &blocks;
	return follow(&chain);
}

enum cw_boundary_result cw_boundary_after(const struct cw_boundary *boundary,
					  const struct cw_pcapfile_shown *shown, size_t bytes,
					  size_t *needed)
{
	struct chain chain = {.boundary = boundary,
			      .layout = boundary->layout,
			      .shown = shown,
			      .at = bytes,
			      .count = 1,
			      .is_own = true,
			      .needed = needed,
			      .is_swapped = boundary->layout->is_swapped};

	return follow(&chain);
}

/*
 * Returns whether a chain may begin at `data`, of which 16 bytes are present. Most places are
 * passed by this alone: 3 ns each in random bytes.
 */
static inline bool is_hopeful(const struct cw_layout *layout, const uint8_t *data)
{
	static const bool begins_header[256] = {
	    [0xA1] = true, [0xD4] = true, [0x4D] = true, [0x34] = true, [0x0A] = true};
	uint32_t caplen;

	if (begins_header[*data] &&
	    (cw_pcap_order(data) >= 0 || cw_load_u32(data, 0) == CW_PCAPNG_SHB))
		return true;
	if (layout->is_pcapng)
		return is_known(cw_load_u32(data, layout->is_swapped));
	caplen = cw_load_u32(data + 8, layout->is_swapped);
	if (layout->has_swapped_lengths != CW_LENGTHS_IN_ORDER)
		caplen = cw_min_u32(caplen, cw_load_u32(data + 12, layout->is_swapped));
	return caplen <= layout->caplen_max;
}

/* Returns the first place of `shown` at or after `at` that is worth a look. */
static size_t skip_hopeless(const struct cw_layout *layout, const struct cw_pcapfile_shown *shown,
			    size_t at)
{
	const size_t bytes = shown->bytes;
	const uint8_t *data = shown->data;

	for (; bytes - at >= 16 && !is_hopeful(layout, data + at); at++)
		;
	/* A header of zeros begins no chain: pass the inside of a hole. */
	while (bytes - at >= 24 && !(cw_load_u64(data + at, 0) | cw_load_u64(data + at + 8, 0) |
				     cw_load_u64(data + at + 16, 0)))
		at += 8;
	return at;
}

enum cw_boundary_result cw_boundary_find(const struct cw_boundary *boundary,
					 const struct cw_pcapfile_shown *shown, size_t *at,
					 size_t *needed)
{
	enum cw_boundary_result result = CW_BOUNDARY_NONE;

	for (*at = 0; *at < shown->bytes; ++*at) {
		struct cw_pcapfile_shown rest;

		*at = skip_hopeless(boundary->layout, shown, *at);
		rest = (struct cw_pcapfile_shown){shown->data + *at, shown->bytes - *at,
						  shown->is_at_end};
		result = cw_boundary_at(boundary, &rest, needed);
		if (result != CW_BOUNDARY_NONE)
			return result;
	}
	*needed = 1;
	return shown->is_at_end ? CW_BOUNDARY_NONE : CW_BOUNDARY_MORE;
}
