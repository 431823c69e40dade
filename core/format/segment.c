/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decodes pcap records and pcapng blocks into packets, a burst at a time: all of a span that the
 * parser walked, or the plain ones of a segment. The parser's findings are not trusted either:
 * another program may change a mapped file. Each length is loaded once and checked against the
 * span.
 */
#include "core/format/segment.h"

#include "core/format/plain.h"

/* A walk over bytes. */
struct walk {
	const struct cw_layout *layout;
	const uint8_t *at;
	const uint8_t *ahead; /* prefetched up to here */
	size_t left;          /* bytes present from `at` on */
	size_t edge;          /* a segment ends when no more than this is left */
	bool is_checked;      /* of the segment */
};

/*
 * Returns the packets. `is_plain`: stops at a record that is not plain; else only at one that
 * leaves the bytes. Inlined for each kind of file and of walk, so that the usual ones run on
 * constants.
 */
static inline __attribute__((always_inline)) size_t
decode_pcap(struct walk *walk, struct cw_packet *packets, size_t capacity,
	    const struct cw_plain_kind kind, const bool is_plain)
{
	const struct cw_layout *layout = walk->layout;
	const size_t header_bytes = kind.header_bytes;
	const size_t edge = is_plain ? walk->edge : header_bytes - 1;
	const uint32_t unit_ns = layout->ts_unit_ns;
	const uint32_t units_per_s = unit_ns == 1 ? 1000000000 : 1000000;
	const uint32_t caplen_cut = layout->caplen_cut, caplen_max = layout->caplen_max;
	const uint32_t iface = layout->iface_base;
	const bool is_checked = walk->is_checked;
	const uint8_t *at = walk->at;
	const uint8_t *ahead = walk->ahead;
	size_t left = walk->left;
	size_t count = 0;

	while (count < capacity && left > edge) {
		uint32_t units = cw_load_u32(at + 4, kind.is_swapped);
		struct cw_packet *packet = &packets[count];
		uint32_t caplen, len;

		cw_plain_lengths(at, kind, &caplen, &len);
		if (cw_unlikely(caplen > left - header_bytes))
			break;
		if (is_plain &&
		    cw_unlikely(!cw_plain_is_record(at, caplen, len, caplen_max, is_checked)))
			break;
		ahead = cw_prefetch_ahead(ahead, at);
		packet->data = at + header_bytes;
		packet->ts_ns =
		    cw_load_u32(at, kind.is_swapped) * CW_NS_PER_S + (uint64_t)units * unit_ns;
		packet->caplen = caplen;
		packet->wire_len = len;
		packet->iface = iface;
		packet->flags = 0;
		packet->options_bytes = 0;
		packet->carried_s = 0;
		if (cw_unlikely(units >= units_per_s))
			packet->carried_s = units / units_per_s;
		if (cw_unlikely(caplen > caplen_cut)) {
			packet->caplen = caplen_cut;
			packet->flags = CW_PACKET_TRUNCATED;
		}
		at += header_bytes + caplen;
		left -= header_bytes + caplen;
		count++;
	}
	walk->at = at;
	walk->ahead = ahead;
	walk->left = left;
	return count;
}

static inline uint64_t packet_time(const struct cw_iface *iface, uint64_t units, uint32_t *flags)
{
	if (cw_likely(iface->ts_offset_s == 0)) {
		if (iface->ts_units_per_s == CW_NS_PER_S)
			return units;
		if (iface->ts_units_per_s == 1000000 && units <= UINT64_MAX / 1000)
			return units * 1000;
	}
	return cw_iface_time(iface, units, flags);
}

/* Decodes an enhanced packet block or an obsolete packet block, which differ in the interface. */
static void decode_epb(const struct cw_layout *layout, const uint8_t *block, size_t block_bytes,
		       uint32_t type, struct cw_packet *packet)
{
	const int swap = layout->is_swapped;
	uint64_t units;
	size_t room, data_bytes;
	uint32_t iface;

	if (cw_unlikely(block_bytes < CW_PCAPNG_EPB_BLOCK_BYTES)) {
		packet->data = block + 8;
		packet->flags = CW_PACKET_MALFORMED;
		return;
	}
	if (cw_likely(type == CW_PCAPNG_EPB))
		iface = cw_load_once_u32(block + 8, swap);
	else
		iface = cw_load_u16(block + 8, swap);
	units = (uint64_t)cw_load_u32(block + 12, swap) << 32 | cw_load_u32(block + 16, swap);
	room = block_bytes - CW_PCAPNG_EPB_BLOCK_BYTES;
	packet->caplen = cw_load_once_u32(block + 20, swap);
	packet->wire_len = cw_load_u32(block + 24, swap);
	packet->data = block + 28;
	packet->flags = swap ? CW_PACKET_SWAPPED : 0;
	if (cw_unlikely(packet->caplen > room)) {
		packet->caplen = (uint32_t)room;
		packet->flags |= CW_PACKET_MALFORMED;
	}
	data_bytes = cw_pad4(packet->caplen);
	packet->options_bytes = data_bytes < room ? (uint32_t)(room - data_bytes) : 0;
	if (cw_unlikely(iface >= layout->iface_count)) {
		packet->flags |= CW_PACKET_MALFORMED;
		return;
	}
	packet->iface = layout->iface_base + iface;
	packet->ts_ns =
	    packet_time(cw_ifaces_at(layout->ifaces, packet->iface), units, &packet->flags);
}

/* Decodes a simple packet block: no timestamp or capture length; the section's first interface. */
static void decode_spb(const struct cw_layout *layout, const uint8_t *block, size_t block_bytes,
		       struct cw_packet *packet)
{
	const struct cw_iface *iface;
	size_t room;

	packet->data = block + 12;
	if (block_bytes < CW_PCAPNG_SPB_BLOCK_BYTES) {
		packet->data = block + 8;
		packet->flags = CW_PACKET_MALFORMED;
		return;
	}
	room = block_bytes - CW_PCAPNG_SPB_BLOCK_BYTES;
	packet->wire_len = cw_load_once_u32(block + 8, layout->is_swapped);
	packet->caplen = packet->wire_len;
	if (layout->iface_count) {
		iface = cw_ifaces_at(layout->ifaces, layout->iface_base);
		packet->iface = layout->iface_base;
		packet->caplen = cw_min_u32(packet->caplen, cw_pcapfile_caplen_cut(iface));
		packet->ts_ns = packet_time(iface, 0, &packet->flags);
	} else {
		packet->flags = CW_PACKET_MALFORMED;
	}
	if (packet->caplen > room) {
		packet->caplen = (uint32_t)room;
		packet->flags |= CW_PACKET_MALFORMED;
	}
}

/* Inlined twice, for spans and for segments. Returns the packets. */
static inline __attribute__((always_inline)) size_t
decode_pcapng(struct walk *walk, struct cw_packet *packets, size_t capacity, const bool is_plain)
{
	const struct cw_layout *layout = walk->layout;
	const size_t edge = is_plain ? walk->edge : CW_PCAPNG_BLOCK_BYTES_MIN - 1;
	const uint8_t *at = walk->at;
	const uint8_t *ahead = walk->ahead;
	size_t left = walk->left;
	size_t count = 0;

	while (count < capacity && left > edge) {
		struct cw_packet *packet = &packets[count];
		size_t block_bytes;
		uint32_t type;

		if (is_plain) {
			block_bytes = cw_plain_block(at, left, layout->is_swapped, &type);
			if (cw_unlikely(!block_bytes))
				break;
		} else {
			type = cw_load_u32(at, layout->is_swapped);
			block_bytes = cw_load_once_u32(at + 4, layout->is_swapped);
			if (cw_unlikely(block_bytes > left ||
					block_bytes < CW_PCAPNG_BLOCK_BYTES_MIN))
				break;
		}
		ahead = cw_prefetch_ahead(ahead, at);
		*packet = (struct cw_packet){.iface = CW_IFACE_NONE};
		if (cw_likely(type == CW_PCAPNG_EPB) || type == CW_PCAPNG_PB) {
			decode_epb(layout, at, block_bytes, type, packet);
			count++;
		} else if (type == CW_PCAPNG_SPB) {
			decode_spb(layout, at, block_bytes, packet);
			count++;
		}
		at += block_bytes;
		left -= block_bytes;
	}
	walk->at = at;
	walk->ahead = ahead;
	walk->left = left;
	return count;
}

/* Decodes the next packets of the walk. `is_plain` is a constant. */
static inline __attribute__((always_inline)) size_t
decode(struct walk *walk, struct cw_packet *packets, size_t capacity, const bool is_plain)
{
	const struct cw_layout *layout = walk->layout;

	if (layout->is_pcapng)
		return decode_pcapng(walk, packets, capacity, is_plain);
	if (cw_plain_is_usual(layout))
		return decode_pcap(walk, packets, capacity, CW_PLAIN_USUAL, is_plain);
	return decode_pcap(walk, packets, capacity, cw_plain_kind(layout), is_plain);
}

/* Returns the least bytes of a record. */
static size_t header_bytes_of(const struct cw_layout *layout)
{
	return layout->is_pcapng ? CW_PCAPNG_BLOCK_BYTES_MIN : layout->record_header_bytes;
}

size_t cw_segment_decode_span(const struct cw_span *span, struct cw_cursor *cursor,
			      struct cw_packet *packets, size_t capacity)
{
	struct walk walk = {.layout = &span->layout,
			    .at = span->data + cursor->offset,
			    .ahead = span->data + cursor->offset,
			    .left = span->bytes - cursor->offset};
	size_t count = decode(&walk, packets, capacity, false);

	/* Fewer than asked for: the span's end, or a record that no longer fits. */
	cursor->offset = count < capacity || walk.left < header_bytes_of(walk.layout)
			     ? span->bytes
			     : span->bytes - walk.left;
	return count;
}

bool cw_segment_guess(struct cw_segment *segment, const struct cw_boundary *boundary)
{
	const struct cw_span *span = &segment->span;
	const size_t bytes = cw_min_size(span->bytes, CW_SEGMENT_GUESS_BYTES);
	const struct cw_pcapfile_shown shown = {span->data, bytes,
						segment->is_at_end && bytes == span->bytes};
	size_t at, needed;

	segment->start = UINT64_MAX;
	if (cw_boundary_find(boundary, &shown, &at, &needed) == CW_BOUNDARY_NONE)
		return false;
	/* MORE: plausible as far as it can be seen. At the very end nothing was seen. */
	if (bytes - at < header_bytes_of(&span->layout))
		return false;
	cw_segment_begin(segment, segment->from + at);
	return true;
}

void cw_segment_begin(struct cw_segment *segment, uint64_t start)
{
	segment->start = segment->end = start;
	segment->last_s = 0;
	segment->ahead = NULL;
}

size_t cw_segment_next(struct cw_segment *segment, struct cw_packet *packets, size_t capacity)
{
	const struct cw_span *span = &segment->span;
	const uint64_t span_end = span->offset + span->bytes;
	struct walk walk = {.layout = &span->layout,
			    .edge = header_bytes_of(&span->layout) - 1,
			    .is_checked = segment->is_checked};
	size_t count;

	assert(segment->end >= segment->from && capacity);
	if (segment->end >= segment->to || segment->end >= span_end)
		return 0;
	walk.left = (size_t)(span_end - segment->end);
	walk.at = span->data + (span->bytes - walk.left);
	walk.ahead = segment->ahead ? segment->ahead : walk.at;
	if (span_end > segment->to && span_end - segment->to > walk.edge)
		walk.edge = (size_t)(span_end - segment->to);
	count = decode(&walk, packets, capacity, true);
	segment->end = span_end - walk.left;
	segment->ahead = walk.ahead;
	if (count && !walk.layout->is_pcapng)
		segment->last_s =
		    cw_load_u32(packets[count - 1].data - walk.layout->record_header_bytes,
				walk.layout->is_swapped);
	return count;
}
