/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Encodes file headers, interface blocks, pcapng records and options, and walks encoded records.
 * The pcap record is inline in the header. Files of other programs are read by the parser
 * (pcapfile.c), not here.
 */

#include "core/format/encode.h"

#include "core/format/options.h"

#define BLOCK_SHB 0x0a0d0d0au
#define BLOCK_IDB 1u
#define BLOCK_EPB 6u
#define BLOCK_BYTES_MIN 12u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define SHB_BYTES 28u
#define IDB_FIXED_BYTES 16u /* up to the options */
#define IDB_TAIL_BYTES 16u  /* if_tsresol, the end of the options and the trailer */

/* Returns the bytes that a list of options takes in a block, with its end. */
static size_t list_bytes(size_t options_bytes)
{
	return options_bytes ? options_bytes + CW_OPTION_HEADER_BYTES : 0;
}

size_t cw_format_section_bytes(const struct cw_described *options)
{
	return SHB_BYTES + list_bytes(options ? options->bytes : 0);
}

size_t cw_format_section(const struct cw_described *options, uint8_t *buffer)
{
	uint32_t bytes = (uint32_t)cw_format_section_bytes(options);

	cw_store_u32(buffer, BLOCK_SHB);
	cw_store_u32(buffer + 4, bytes);
	cw_store_u32(buffer + 8, BYTE_ORDER_MAGIC);
	cw_store_u16(buffer + 12, 1);
	cw_store_u16(buffer + 14, 0);
	cw_store_u64(buffer + 16, UINT64_MAX); /* section length: not specified */
	if (options) {
		memcpy(buffer + 24, options->options, options->bytes);
		cw_store_u32(buffer + bytes - 8, CW_OPTION_END);
	}
	cw_store_u32(buffer + bytes - 4, bytes);
	return bytes;
}

size_t cw_format_header(enum cw_format format, uint32_t link_field, uint32_t snaplen,
			uint8_t buffer[CW_FORMAT_HEADER_BYTES_MAX])
{
	if (format == CW_FORMAT_PCAPNG)
		return cw_format_section(NULL, buffer);
	cw_store_u32(buffer, format == CW_FORMAT_PCAP_NS ? CW_PCAP_MAGIC_NS : CW_PCAP_MAGIC_US);
	cw_store_u16(buffer + 4, 2);
	cw_store_u16(buffer + 6, 4);
	cw_store_u64(buffer + 8, 0);
	cw_store_u32(buffer + 16, snaplen);
	cw_store_u32(buffer + 20, link_field);
	return CW_PCAP_HEADER_BYTES;
}

static size_t text_bytes(const char *text)
{
	return text ? strnlen(text, UINT16_MAX) : 0;
}

static size_t text_option_bytes(const char *text)
{
	size_t bytes = text_bytes(text);

	return bytes ? CW_OPTION_HEADER_BYTES + cw_pad4(bytes) : 0;
}

size_t cw_format_iface_bytes(const struct cw_iface *iface)
{
	size_t bytes = IDB_FIXED_BYTES + text_option_bytes(iface->name) +
		       text_option_bytes(iface->description) + IDB_TAIL_BYTES;

	if (iface->options)
		return bytes + iface->options->bytes;
	return bytes + (iface->fcs ? CW_OPTION_HEADER_BYTES + 4 : 0);
}

static size_t put_text(uint8_t *buffer, uint16_t code, const char *text)
{
	size_t bytes = text_bytes(text);

	return bytes ? cw_option_put(buffer, code, text, (uint16_t)bytes) : 0;
}

size_t cw_format_iface(const struct cw_iface *iface, uint32_t snaplen, uint8_t *buffer)
{
	const uint8_t nanoseconds = 9;
	const uint8_t fcs_bits = cw_fcs_bits(iface->fcs);
	size_t used = IDB_FIXED_BYTES;

	cw_store_u16(buffer + 8, (uint16_t)iface->linktype);
	cw_store_u16(buffer + 10, 0);
	cw_store_u32(buffer + 12, snaplen ? snaplen : iface->snaplen);
	used += put_text(buffer + used, CW_OPTION_IF_NAME, iface->name);
	used += put_text(buffer + used, CW_OPTION_IF_DESCRIPTION, iface->description);
	used += cw_option_put(buffer + used, CW_OPTION_IF_TSRESOL, &nanoseconds, 1);
	if (iface->options) {
		memcpy(buffer + used, iface->options->options, iface->options->bytes);
		used += iface->options->bytes;
	} else if (iface->fcs) { /* of a pcap file */
		used += cw_option_put(buffer + used, CW_OPTION_IF_FCSLEN, &fcs_bits, 1);
	}
	cw_store_u32(buffer + used, CW_OPTION_END);
	used += CW_OPTION_HEADER_BYTES + 4;
	cw_store_u32(buffer, BLOCK_IDB);
	cw_store_u32(buffer + 4, (uint32_t)used);
	cw_store_u32(buffer + used - 4, (uint32_t)used);
	return used;
}

static struct cw_options options_of(const struct cw_packet *packet)
{
	/* The options follow the original data; an output snaplen does not move them. */
	return (struct cw_options){packet->data + cw_pad4(packet->caplen), packet->options_bytes,
				   CW_OPTIONS_PACKET, (packet->flags & CW_PACKET_SWAPPED) != 0};
}

/* Copies the packet's options, with their end; with `buffer` NULL, only counts. Never writes more
 * than `room` bytes. */
static size_t encode_options(const struct cw_packet *packet, uint8_t *buffer, size_t room)
{
	const struct cw_options options = options_of(packet);
	size_t used = cw_options_copy(&options, buffer, room - CW_OPTION_HEADER_BYTES, NULL);

	if (used && buffer)
		cw_store_u32(buffer + used, CW_OPTION_END);
	return list_bytes(used);
}

size_t cw_format_options_bytes(const struct cw_packet *packet)
{
	return encode_options(packet, NULL, SIZE_MAX);
}

size_t cw_format_note_options(enum cw_format format, const struct cw_packet *packet,
			      uint64_t *left_out)
{
	const struct cw_options options = options_of(packet);
	bool is_pcapng = format == CW_FORMAT_PCAPNG;

	return list_bytes(cw_options_copy(&options, NULL, is_pcapng ? SIZE_MAX : 0, left_out));
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

/* Returns how many of the packet's seconds stay in the fraction field, which has 32 bits. */
static uint64_t seconds_in_fraction(enum cw_format format, const struct cw_packet *packet)
{
	uint64_t unit_ns = format == CW_FORMAT_PCAP_US ? 1000 : 1;
	uint64_t fraction = packet->ts_ns % CW_NS_PER_S / unit_ns;
	uint64_t room = (UINT32_MAX - fraction) / (CW_NS_PER_S / unit_ns);

	return cw_min_size(cw_min_size(packet->carried_s, room), packet->ts_ns / CW_NS_PER_S);
}

bool cw_format_can_hold_carried(enum cw_format format, const struct cw_packet *packet)
{
	return packet->ts_ns / CW_NS_PER_S - seconds_in_fraction(format, packet) <= UINT32_MAX;
}

void cw_format_carried_time(enum cw_format format, const struct cw_packet *packet, uint8_t *buffer)
{
	uint64_t carried = seconds_in_fraction(format, packet);
	uint64_t seconds = packet->ts_ns / CW_NS_PER_S - carried;
	uint64_t fraction_ns = packet->ts_ns % CW_NS_PER_S + carried * CW_NS_PER_S;

	/* cw_format_can_hold may have judged microseconds, which leave more in the fraction. */
	cw_store_u32(buffer, (uint32_t)cw_min_size(seconds, UINT32_MAX));
	cw_store_u32(buffer + 4,
		     (uint32_t)(format == CW_FORMAT_PCAP_US ? fraction_ns / 1000 : fraction_ns));
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
