/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Encodes capture files: headers, interface blocks and records as bytes in a caller's buffer.
 * Files are in native byte order. pcap: version 2.4, magic for us or ns. pcapng: one section,
 * if_tsresol 9; options are kept (options.h). Nothing depends on host, clock or
 * threads, so equal input gives equal bytes. The functions per packet are inline below.
 * Sources: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
 */
#ifndef CW_CORE_FORMAT_ENCODE_H
#define CW_CORE_FORMAT_ENCODE_H

#include "core/packet/packet.h"

enum cw_format {
	CW_FORMAT_PCAP_US,
	CW_FORMAT_PCAP_NS,
	CW_FORMAT_PCAPNG,
};

#define CW_PCAP_MAGIC_US 0xa1b2c3d4u
#define CW_PCAP_MAGIC_NS 0xa1b23c4du
#define CW_PCAP_MAGIC_KUZNETZOV 0xa1b2cd34u /* read only */
#define CW_PCAP_HEADER_BYTES 24u
#define CW_PCAP_RECORD_BYTES 16u
#define CW_PCAPNG_EPB_BYTES 32u /* without data and options, trailer included */
#define CW_FORMAT_HEADER_BYTES_MAX 64u
#define CW_COPY_BLOCK 64u       /* bytes that a verbatim copy moves at once */
#define CW_COPY_BLOCKS_MAX 512u /* bytes; memcpy is faster for longer records */

/* Writes the file header (pcap) or a section header block without options (pcapng). `link_field`:
 * the link type, with an interface's `fcs`. Returns the bytes written. */
size_t cw_format_header(enum cw_format format, uint32_t link_field, uint32_t snaplen,
			uint8_t buffer[CW_FORMAT_HEADER_BYTES_MAX]);

/* Writes a pcapng section header block with these options (may be NULL) to a buffer of
 * cw_format_section_bytes. Returns the bytes written. */
size_t cw_format_section(const struct cw_described *options, uint8_t *buffer);
size_t cw_format_section_bytes(const struct cw_described *options);

/* Writes a pcapng interface description block to a buffer of cw_format_iface_bytes; with `snaplen`
 * 0, the interface's snapshot length. Returns the bytes written. */
size_t cw_format_iface(const struct cw_iface *iface, uint32_t snaplen, uint8_t *buffer);
size_t cw_format_iface_bytes(const struct cw_iface *iface);

/* pcapng: returns the bytes of the packet's kept options, end-of-options included; 0 if no option
 * is kept. The second function also writes the options to `buffer`, in native byte order. */
size_t cw_format_options_bytes(const struct cw_packet *packet);
size_t cw_format_options(const struct cw_packet *packet, uint8_t *buffer);

/* Returns the bytes of the options that the record keeps, and raises *left_out by the number of the
 * others. */
size_t cw_format_note_options(enum cw_format format, const struct cw_packet *packet,
			      uint64_t *left_out);

/* A timestamp whose fraction exceeded a second in its pcap file keeps its two fields in pcap
 * files, as far as the fraction fits the unit of the file. The first function returns whether the
 * seconds fit then, the second one writes both fields. */
bool cw_format_can_hold_carried(enum cw_format format, const struct cw_packet *packet);
void cw_format_carried_time(enum cw_format format, const struct cw_packet *packet, uint8_t *buffer);

/* Returns whether this format can hold the packet's timestamp. */
static inline bool cw_format_can_hold(enum cw_format format, const struct cw_packet *packet)
{
	if (cw_unlikely(packet->flags & CW_PACKET_TS_OUT_OF_RANGE))
		return false;
	return format == CW_FORMAT_PCAPNG || packet->ts_ns / CW_NS_PER_S <= UINT32_MAX ||
	       cw_format_can_hold_carried(format, packet);
}

/* Returns the bytes of a record without options. */
static inline size_t cw_format_plain_bytes(enum cw_format format, uint32_t caplen)
{
	return format == CW_FORMAT_PCAPNG ? CW_PCAPNG_EPB_BYTES + cw_pad4(caplen)
					  : CW_PCAP_RECORD_BYTES + (size_t)caplen;
}

/* Returns the bytes of the packet's record, with the data truncated to `snaplen`. */
static inline size_t cw_format_record_bytes(enum cw_format format, const struct cw_packet *packet,
					    uint32_t snaplen)
{
	size_t bytes = cw_format_plain_bytes(format, cw_min_u32(packet->caplen, snaplen));

	if (format == CW_FORMAT_PCAPNG && cw_unlikely(packet->options_bytes))
		bytes += cw_format_options_bytes(packet);
	return bytes;
}

/* As cw_format_record_bytes; also raises *left_out by the options that the record does not keep. */
static inline size_t cw_format_note_record(enum cw_format format, const struct cw_packet *packet,
					   uint32_t snaplen, uint64_t *left_out)
{
	size_t bytes = cw_format_plain_bytes(format, cw_min_u32(packet->caplen, snaplen));

	if (cw_unlikely(packet->options_bytes))
		bytes += cw_format_note_options(format, packet, left_out);
	return bytes;
}

/* Writes the pcapng record. `record_bytes` comes from cw_format_record_bytes. */
void cw_format_record_pcapng(const struct cw_packet *packet, uint32_t snaplen, uint32_t iface,
			     size_t record_bytes, uint8_t *buffer);

/*
 * Writes the record to `buffer` (record_bytes of room). `iface` is the interface's number in the
 * output file (pcapng only).
 */
static inline void cw_format_record(enum cw_format format, const struct cw_packet *packet,
				    uint32_t snaplen, uint32_t iface, size_t record_bytes,
				    uint8_t *buffer)
{
	uint32_t caplen = cw_min_u32(packet->caplen, snaplen);
	uint32_t fraction;

	if (format == CW_FORMAT_PCAPNG) {
		cw_format_record_pcapng(packet, snaplen, iface, record_bytes, buffer);
		return;
	}
	fraction = (uint32_t)(packet->ts_ns % CW_NS_PER_S);
	cw_store_u32(buffer, (uint32_t)(packet->ts_ns / CW_NS_PER_S));
	cw_store_u32(buffer + 4, format == CW_FORMAT_PCAP_US ? fraction / 1000 : fraction);
	if (cw_unlikely(packet->carried_s))
		cw_format_carried_time(format, packet, buffer);
	cw_store_u32(buffer + 8, caplen);
	cw_store_u32(buffer + 12, packet->wire_len);
	memcpy(buffer + 16, packet->data, caplen);
}

/* Returns whether the records of this layout have the bytes that a file of this format holds. */
static inline bool cw_format_is_verbatim(enum cw_format format, const struct cw_layout *layout)
{
	uint32_t unit_ns = format == CW_FORMAT_PCAP_US ? 1000 : 1;

	if (format == CW_FORMAT_PCAPNG || layout->is_pcapng || layout->is_ring || layout->is_frames)
		return false;
	return !layout->is_swapped && layout->has_swapped_lengths == CW_LENGTHS_IN_ORDER &&
	       layout->record_header_bytes == CW_PCAP_RECORD_BYTES && layout->ts_unit_ns == unit_ns;
}

/*
 * As cw_format_record, for a packet of a span that cw_format_is_verbatim accepts: copies the record
 * as the span holds it, without divisions. Writes nothing and returns false if the record differs.
 * `from_end`: end of the span's bytes; `to_end`: end of the room, which nobody else may write to,
 * because up to 63 bytes after the record change. Blocks of 64 bytes: a memcpy of a length that the
 * processor cannot predict costs 2 to 4 ns more a packet of 60 bytes.
 */
static inline bool cw_format_verbatim(const struct cw_packet *packet, uint32_t snaplen,
				      const uint8_t *from_end, uint8_t *to, const uint8_t *to_end)
{
	const uint8_t *from = packet->data - CW_PCAP_RECORD_BYTES;
	size_t bytes = CW_PCAP_RECORD_BYTES + (size_t)packet->caplen;
	size_t blocks = (bytes + CW_COPY_BLOCK - 1) & ~(size_t)(CW_COPY_BLOCK - 1);

	if (cw_unlikely(packet->flags || packet->caplen > snaplen))
		return false;
	if (cw_likely(blocks <= CW_COPY_BLOCKS_MAX && blocks <= (size_t)(from_end - from) &&
		      blocks <= (size_t)(to_end - to))) {
		for (size_t at = 0; at < blocks; at += CW_COPY_BLOCK)
			memcpy(to + at, from + at, CW_COPY_BLOCK);
	} else {
		memcpy(to, from, bytes);
	}
	/* If another program changes a mapped file, its record still has the length of the copy. */
	cw_store_u32(to + 8, packet->caplen);
	return true;
}

/*
 * Walks `bytes` of records (or blocks) that this module wrote, from a record boundary. Returns the
 * bytes of the complete records, and fills the number of packet records and their captured bytes.
 * Used to truncate a file after a failed write.
 */
size_t cw_format_whole_records(enum cw_format format, const uint8_t *data, size_t bytes,
			       uint64_t *record_count, uint64_t *data_bytes);

#endif
