/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Encodes file headers, interface blocks, pcapng records and options, and walks encoded records.
 * The pcap record is inline in the header. Files of other programs are read by the parser
 * (pcapfile.c), not here.
 */

#include "core/format/encode.h"

#define PCAP_MAGIC_US 0xa1b2c3d4u
#define PCAP_MAGIC_NS 0xa1b23c4du

#define BLOCK_SHB 0x0a0d0d0au
#define BLOCK_IDB 1u
#define BLOCK_EPB 6u
#define BLOCK_BYTES_MIN 12u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define SHB_BYTES 28u
#define IDB_FIXED_BYTES 16u /* up to the options */

#define OPTION_END 0u
#define OPTION_COMMENT 1u
#define OPTION_EPB_FLAGS 2u
#define OPTION_IF_NAME 2u
#define OPTION_IF_DESCRIPTION 3u
#define OPTION_IF_TSRESOL 9u
#define OPTION_HEADER_BYTES 4u
#define EPB_FLAGS_BYTES 4u

/* The two strings, their option headers and the rest of the block fit CW_FORMAT_IFACE_BYTES_MAX. */
#define NAME_BYTES_MAX 256u
#define DESCRIPTION_BYTES_MAX 720u
static_assert(IDB_FIXED_BYTES + OPTION_HEADER_BYTES + NAME_BYTES_MAX + OPTION_HEADER_BYTES +
		      DESCRIPTION_BYTES_MAX + OPTION_HEADER_BYTES + 4 + OPTION_HEADER_BYTES + 4 <=
		  CW_FORMAT_IFACE_BYTES_MAX,
	      "an interface block always fits");

static size_t section_header(uint8_t *buffer)
{
	cw_store_u32(buffer, BLOCK_SHB);
	cw_store_u32(buffer + 4, SHB_BYTES);
	cw_store_u32(buffer + 8, BYTE_ORDER_MAGIC);
	cw_store_u16(buffer + 12, 1);
	cw_store_u16(buffer + 14, 0);
	cw_store_u64(buffer + 16, UINT64_MAX); /* section length: not specified */
	cw_store_u32(buffer + 24, SHB_BYTES);
	return SHB_BYTES;
}

size_t cw_format_header(enum cw_format format, uint32_t link_field, uint32_t snaplen,
			uint8_t buffer[CW_FORMAT_HEADER_BYTES_MAX])
{
	if (format == CW_FORMAT_PCAPNG)
		return section_header(buffer);
	cw_store_u32(buffer, format == CW_FORMAT_PCAP_NS ? PCAP_MAGIC_NS : PCAP_MAGIC_US);
	cw_store_u16(buffer + 4, 2);
	cw_store_u16(buffer + 6, 4);
	cw_store_u64(buffer + 8, 0);
	cw_store_u32(buffer + 16, snaplen);
	cw_store_u32(buffer + 20, link_field);
	return CW_PCAP_HEADER_BYTES;
}

size_t cw_format_header_bytes(enum cw_format format)
{
	return format == CW_FORMAT_PCAPNG ? SHB_BYTES : CW_PCAP_HEADER_BYTES;
}

/* Writes one option with its padding. Returns the bytes written. */
static size_t put_option(uint8_t *buffer, uint16_t code, const void *value, uint16_t bytes)
{
	size_t padded = cw_pad4(bytes);

	cw_store_u16(buffer, code);
	cw_store_u16(buffer + 2, bytes);
	if (padded > bytes)
		cw_store_u32(buffer + padded, 0); /* pads the last word; the value follows */
	memcpy(buffer + OPTION_HEADER_BYTES, value, bytes);
	return OPTION_HEADER_BYTES + padded;
}

/* Returns the length of `text`, truncated to `bytes_max` between characters: it stays UTF-8. */
static uint16_t text_bytes(const char *text, size_t bytes_max)
{
	size_t bytes = strnlen(text, bytes_max + 1);

	if (bytes <= bytes_max)
		return (uint16_t)bytes;
	bytes = bytes_max;
	while (bytes > 0 && ((uint8_t)text[bytes] & 0xc0) == 0x80)
		bytes--;
	return (uint16_t)bytes;
}

size_t cw_format_iface(const struct cw_iface *iface, uint32_t snaplen,
		       uint8_t buffer[CW_FORMAT_IFACE_BYTES_MAX])
{
	const uint8_t nanoseconds = 9;
	size_t used = IDB_FIXED_BYTES;

	cw_store_u16(buffer + 8, (uint16_t)iface->linktype);
	cw_store_u16(buffer + 10, 0);
	cw_store_u32(buffer + 12, snaplen ? snaplen : iface->snaplen);
	if (iface->name && iface->name[0])
		used += put_option(buffer + used, OPTION_IF_NAME, iface->name,
				   text_bytes(iface->name, NAME_BYTES_MAX));
	if (iface->description && iface->description[0])
		used += put_option(buffer + used, OPTION_IF_DESCRIPTION, iface->description,
				   text_bytes(iface->description, DESCRIPTION_BYTES_MAX));
	used += put_option(buffer + used, OPTION_IF_TSRESOL, &nanoseconds, 1);
	cw_store_u32(buffer + used, OPTION_END);
	used += OPTION_HEADER_BYTES + 4;
	cw_store_u32(buffer, BLOCK_IDB);
	cw_store_u32(buffer + 4, (uint32_t)used);
	cw_store_u32(buffer + used - 4, (uint32_t)used);
	return used;
}

/*
 * Walks the packet's raw options and re-encodes the kept ones; with `buffer` NULL, only counts.
 * Never writes more than `room` bytes, end-of-options included: the memory may be a mapped file
 * whose bytes changed after they were counted.
 */
static size_t encode_options(const struct cw_packet *packet, uint8_t *buffer, size_t room)
{
	/* The options follow the original data; an output snaplen does not move them. */
	const uint8_t *raw = packet->data + cw_pad4(packet->caplen);
	int is_swapped = (packet->flags & CW_PACKET_SWAPPED) != 0;
	size_t left = packet->options_bytes;
	size_t used = 0;

	while (left >= OPTION_HEADER_BYTES) {
		uint16_t code = cw_load_u16(raw, is_swapped);
		uint16_t bytes = cw_load_u16(raw + 2, is_swapped);
		size_t whole = OPTION_HEADER_BYTES + cw_pad4(bytes);
		bool is_flags = code == OPTION_EPB_FLAGS && bytes == EPB_FLAGS_BYTES;

		if (code == OPTION_END || whole > left)
			break;
		if (code == OPTION_COMMENT || is_flags) {
			if (used + whole + OPTION_HEADER_BYTES > room)
				break;
			if (buffer)
				put_option(buffer + used, code, raw + OPTION_HEADER_BYTES, bytes);
			if (buffer && is_flags)
				cw_store_u32(buffer + used + OPTION_HEADER_BYTES,
					     cw_load_u32(raw + OPTION_HEADER_BYTES, is_swapped));
			used += whole;
		}
		raw += whole;
		left -= whole;
	}
	if (!used)
		return 0;
	if (buffer)
		cw_store_u32(buffer + used, OPTION_END);
	return used + OPTION_HEADER_BYTES;
}

size_t cw_format_options_bytes(const struct cw_packet *packet)
{
	return encode_options(packet, NULL, SIZE_MAX);
}

size_t cw_format_options(const struct cw_packet *packet, uint8_t *buffer)
{
	return encode_options(packet, buffer, SIZE_MAX);
}

/* Fills exactly `room` bytes with options; the remainder is zeros, which read as end-of-options. */
static void fill_options(const struct cw_packet *packet, uint8_t *buffer, size_t room)
{
	size_t used = encode_options(packet, buffer, room);

	memset(buffer + used, 0, room - used);
}

void cw_format_record_pcapng(const struct cw_packet *packet, uint32_t snaplen, uint32_t iface,
			     size_t record_bytes, uint8_t *buffer)
{
	uint32_t caplen = cw_min_u32(packet->caplen, snaplen);
	size_t data_end = CW_PCAPNG_EPB_BYTES - 4 + cw_pad4(caplen);

	/* Padding first, without a branch: data or, at caplen 0, wire_len overwrites its word. */
	cw_store_u32(buffer + data_end - 4, 0);
	cw_store_u32(buffer, BLOCK_EPB);
	cw_store_u32(buffer + 4, (uint32_t)record_bytes);
	cw_store_u32(buffer + 8, iface);
	cw_store_u32(buffer + 12, (uint32_t)(packet->ts_ns >> 32));
	cw_store_u32(buffer + 16, (uint32_t)packet->ts_ns);
	cw_store_u32(buffer + 20, caplen);
	cw_store_u32(buffer + 24, packet->wire_len);
	memcpy(buffer + 28, packet->data, caplen);
	if (cw_unlikely(record_bytes > data_end + 4))
		fill_options(packet, buffer + data_end, record_bytes - 4 - data_end);
	cw_store_u32(buffer + record_bytes - 4, (uint32_t)record_bytes);
}

static size_t whole_pcap(const uint8_t *data, size_t bytes, uint64_t *record_count,
			 uint64_t *data_bytes)
{
	size_t offset = 0;

	while (bytes - offset >= CW_PCAP_RECORD_BYTES) {
		uint32_t caplen = cw_load_u32(data + offset + 8, 0);

		if (caplen > bytes - offset - CW_PCAP_RECORD_BYTES)
			break;
		offset += CW_PCAP_RECORD_BYTES + (size_t)caplen;
		++*record_count;
		*data_bytes += caplen;
	}
	return offset;
}

static size_t whole_pcapng(const uint8_t *data, size_t bytes, uint64_t *record_count,
			   uint64_t *data_bytes)
{
	size_t offset = 0;

	while (bytes - offset >= BLOCK_BYTES_MIN) {
		uint32_t type = cw_load_u32(data + offset, 0);
		uint32_t whole = cw_load_u32(data + offset + 4, 0);

		if (whole < BLOCK_BYTES_MIN || whole % 4 || whole > bytes - offset)
			break;
		if (type == BLOCK_EPB && whole < CW_PCAPNG_EPB_BYTES)
			break;
		if (cw_load_u32(data + offset + whole - 4, 0) != whole)
			break;
		if (type == BLOCK_EPB) {
			++*record_count;
			*data_bytes += cw_load_u32(data + offset + 20, 0);
		}
		offset += whole;
	}
	return offset;
}

size_t cw_format_whole_records(enum cw_format format, const uint8_t *data, size_t bytes,
			       uint64_t *record_count, uint64_t *data_bytes)
{
	*record_count = 0;
	*data_bytes = 0;
	return format == CW_FORMAT_PCAPNG ? whole_pcapng(data, bytes, record_count, data_bytes)
					  : whole_pcap(data, bytes, record_count, data_bytes);
}
