/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decodes a span's bytes into packets, a burst at a time. The parser (pcapfile.c) has walked the
 * same bytes, but another program may change a mapped file: the parser's findings are not trusted.
 * Each length is loaded once and checked against the span.
 */
#include "core/packet/packet.h"

#include "core/format/pcapfile.h"
#include "core/source/live/tpacket_parts.h"

/* Orders the two lengths of a pcap record, each loaded once. */
static inline void order_lengths(uint32_t mode, uint32_t *caplen, uint32_t *len)
{
	uint32_t first = *caplen;

	if (cw_likely(mode == CW_LENGTHS_IN_ORDER))
		return;
	if (mode == CW_LENGTHS_MAYBE_SWAPPED && *caplen <= *len)
		return;
	*caplen = *len;
	*len = first;
}

/* The variants of pcap files. */
struct pcap_kind {
	int is_swapped;
	uint32_t lengths; /* enum cw_swapped_lengths */
	size_t header_bytes;
};

/* Inlined twice, so that the usual variant runs on constants. */
static inline __attribute__((always_inline)) size_t
decode_pcap(const struct cw_span *span, struct cw_cursor *cursor, struct cw_packet *packets,
	    size_t capacity, const struct pcap_kind kind)
{
	const int is_swapped = kind.is_swapped;
	const size_t header_bytes = kind.header_bytes;
	const uint32_t unit_ns = span->layout.ts_unit_ns;
	const uint32_t units_per_s = unit_ns == 1 ? 1000000000 : 1000000;
	const uint32_t caplen_cut = span->layout.caplen_cut;
	const uint32_t iface = span->layout.iface_base;
	const uint8_t *at = span->data + cursor->offset;
	const uint8_t *ahead = at;
	size_t left = span->bytes - cursor->offset;
	size_t count = 0;

	while (count < capacity && left >= header_bytes) {
		uint32_t caplen = cw_load_u32(at + 8, is_swapped);
		uint32_t len = cw_load_u32(at + 12, is_swapped);
		uint32_t units = cw_load_u32(at + 4, is_swapped);
		struct cw_packet *packet = &packets[count];

		order_lengths(kind.lengths, &caplen, &len);
		if (cw_unlikely(caplen > left - header_bytes)) {
			left = 0;
			break;
		}
		ahead = cw_prefetch_ahead(ahead, at);
		packet->data = at + header_bytes;
		packet->ts_ns =
		    cw_load_u32(at, is_swapped) * CW_NS_PER_S + (uint64_t)units * unit_ns;
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
	if (left < header_bytes)
		left = 0;
	cursor->offset = span->bytes - left;
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
		iface = cw_load_u32(block + 8, swap);
	else
		iface = cw_load_u16(block + 8, swap);
	units = (uint64_t)cw_load_u32(block + 12, swap) << 32 | cw_load_u32(block + 16, swap);
	room = block_bytes - CW_PCAPNG_EPB_BLOCK_BYTES;
	packet->caplen = cw_load_u32(block + 20, swap);
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
	packet->wire_len = cw_load_u32(block + 8, layout->is_swapped);
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

static size_t decode_pcapng(const struct cw_span *span, struct cw_cursor *cursor,
			    struct cw_packet *packets, size_t capacity)
{
	const struct cw_layout *layout = &span->layout;
	const uint8_t *at = span->data + cursor->offset;
	const uint8_t *ahead = at;
	size_t left = span->bytes - cursor->offset;
	size_t count = 0;

	while (count < capacity && left >= CW_PCAPNG_BLOCK_BYTES_MIN) {
		uint32_t type = cw_load_u32(at, layout->is_swapped);
		size_t block_bytes = cw_load_u32(at + 4, layout->is_swapped);
		struct cw_packet *packet = &packets[count];

		if (cw_unlikely(block_bytes > left || block_bytes < CW_PCAPNG_BLOCK_BYTES_MIN)) {
			left = 0;
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
	if (left < CW_PCAPNG_BLOCK_BYTES_MIN)
		left = 0;
	cursor->offset = span->bytes - left;
	return count;
}

size_t cw_span_decode(const struct cw_span *span, struct cw_cursor *cursor,
		      struct cw_packet *packets, size_t capacity)
{
	const struct cw_layout *layout = &span->layout;

	if (layout->is_ring)
		return cw_live_decode(span, cursor, packets, capacity);
	if (layout->is_frames)
		return cw_frames_decode(span, cursor, packets, capacity);
	if (layout->is_pcapng)
		return decode_pcapng(span, cursor, packets, capacity);
	if (cw_likely(!layout->is_swapped && layout->record_header_bytes == 16 &&
		      layout->has_swapped_lengths == CW_LENGTHS_IN_ORDER))
		return decode_pcap(span, cursor, packets, capacity,
				   (struct pcap_kind){0, CW_LENGTHS_IN_ORDER, 16});
	return decode_pcap(span, cursor, packets, capacity,
			   (struct pcap_kind){layout->is_swapped, layout->has_swapped_lengths,
					      layout->record_header_bytes});
}
