/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/format/header.h"

#include <errno.h>

#define RESERVED_BITS 0x0BFF0000u /* of the link field */
#define JOINED_BYTES 16           /* of a pcap header, up to the snapshot length */
#define COOKED_HEADER_BYTES 14    /* libpcap accepts these beyond snaplen in Kuznetzov's files */

/* Formats that users meet and capweir does not read, by their first bytes. */
static const struct {
	const char *magic;
	uint8_t bytes;
	const char *name;
} foreign[] = {
    {"\xA1\xE2\xCB\x12", 4, "AIX tcpdump's pcap"},
    {"\xA1\xB2\x34\xCD", 4, "pcap with F. Mesquita's patch"},
    {"\xCD\x34\xB2\xA1", 4, "pcap with F. Mesquita's patch"},
    {"\xA1\x2B\x3C\x4D", 4, "pcap in Navtel's variant"},
    {"\x4D\x3C\x2B\xA1", 4, "pcap in Navtel's variant"},
    {"\xA1\xB2\xC3\xCB", 4, "pcap with the CBPF patch"},
    {"\xCB\xC3\xB2\xA1", 4, "pcap with the CBPF patch"},
    {"\x1C\x00\x01\xAC", 4, "IXIA lcap"},
    {"\xAC\x01\x00\x1C", 4, "IXIA lcap"},
    {"\x1C\x00\x01\xAB", 4, "IXIA lcap"},
    {"\xAB\x01\x00\x1C", 4, "IXIA lcap"},
    {"snoop\0\0\0", 8, "snoop"},
    {"XCP\0", 4, "Network Associates Sniffer"},
    {"GMBU", 4, "Microsoft Network Monitor 2"},
    {"RTSS", 4, "Microsoft Network Monitor 1"},
    {"\xFD"
     "7zXZ",
     5, "xz (decompress it first: xz -dc FILE | capweir split -r - ...)"},
    {"BZh", 3, "bzip2 (decompress it first: bzip2 -dc FILE | capweir split -r - ...)"},
    {"\x04\x22\x4D\x18", 4, "lz4 (decompress it first: lz4 -dc FILE | capweir split -r - ...)"},
};

int cw_pcapfile_refuse(const uint8_t *data, size_t bytes, struct cw_error *error)
{
	if (!bytes)
		return cw_error_set(error, -EBADMSG, "empty file: it has no capture file header");
	for (size_t i = 0; i < CW_ARRAY_COUNT(foreign); i++)
		if (bytes >= foreign[i].bytes && !memcmp(data, foreign[i].magic, foreign[i].bytes))
			return cw_error_set(error, -EPROTONOSUPPORT,
					    "capweir does not read this format: %s",
					    foreign[i].name);
	if (bytes < 4)
		return cw_error_set(error, -EBADMSG,
				    "truncated: %zu bytes are too few for a capture file header",
				    bytes);
	return cw_error_set(error, -EBADMSG,
			    "not a capture file: the first bytes %02x %02x %02x %02x are neither "
			    "pcap nor pcapng",
			    data[0], data[1], data[2], data[3]);
}

int cw_pcapng_order(const uint8_t *block)
{
	if (cw_load_u32(block + 8, 0) == CW_PCAPNG_ORDER_MAGIC)
		return 0;
	return cw_load_u32(block + 8, 1) == CW_PCAPNG_ORDER_MAGIC ? 1 : -1;
}

/* Returns the order of a record's two lengths; -1 for an undefined version. */
static int lengths_of_version(uint16_t major, uint16_t minor)
{
	if (major == 543 && minor == 0) /* DG/UX tcpdump */
		return CW_LENGTHS_SWAPPED;
	if (major != 2 || minor > 4)
		return -1;
	if (minor == 4)
		return CW_LENGTHS_IN_ORDER;
	return minor == 3 ? CW_LENGTHS_MAYBE_SWAPPED : CW_LENGTHS_SWAPPED;
}

bool cw_pcap_is_header(const struct cw_pcapfile_shown *shown)
{
	const uint8_t *data = shown->data;
	int is_swapped = shown->bytes < 4 ? -1 : cw_pcap_order(data);

	if (is_swapped < 0)
		return false;
	if (shown->bytes < JOINED_BYTES)
		return !shown->is_at_end;
	if (lengths_of_version(cw_load_u16(data + 4, is_swapped),
			       cw_load_u16(data + 6, is_swapped)) < 0)
		return false;
	return shown->bytes < CW_PCAP_HEADER_BYTES ||
	       !(cw_load_u32(data + 20, is_swapped) & RESERVED_BITS);
}

uint32_t cw_pcapfile_caplen_cut(const struct cw_iface *iface)
{
	if (iface->snaplen == 0 || iface->snaplen > INT32_MAX)
		return cw_linktype_caplen_max(iface->linktype);
	return iface->snaplen;
}

bool cw_pcap_read_header(const uint8_t *data, struct cw_layout *layout, struct cw_iface *iface)
{
	int is_swapped = cw_pcap_order(data);
	uint32_t magic = cw_load_u32(data, is_swapped);
	uint32_t field = cw_load_u32(data + 20, is_swapped);
	int lengths = lengths_of_version(cw_load_u16(data + 4, is_swapped),
					 cw_load_u16(data + 6, is_swapped));

	if (lengths < 0)
		return false;
	iface->linktype = cw_linktype_canonical(field & UINT16_MAX);
	iface->fcs = field & CW_FCS_IS_KNOWN ? field & CW_FCS_MASK : 0;
	iface->snaplen = cw_load_u32(data + 16, is_swapped);
	iface->ts_units_per_s = magic == CW_PCAP_MAGIC_NS ? CW_NS_PER_S : CW_NS_PER_S / 1000;
	iface->has_ns = magic == CW_PCAP_MAGIC_NS;
	iface->is_swapped = (uint8_t)is_swapped;
	layout->caplen_max = cw_linktype_caplen_max(iface->linktype);
	layout->caplen_cut = cw_pcapfile_caplen_cut(iface);
	if (magic == CW_PCAP_MAGIC_KUZNETZOV && iface->linktype == CW_LINKTYPE_ETHERNET &&
	    layout->caplen_cut <= INT32_MAX - COOKED_HEADER_BYTES)
		layout->caplen_cut += COOKED_HEADER_BYTES;
	layout->is_swapped = (uint8_t)is_swapped;
	layout->has_swapped_lengths = (uint8_t)lengths;
	layout->record_header_bytes = magic == CW_PCAP_MAGIC_KUZNETZOV ? 24 : 16;
	layout->ts_unit_ns = magic == CW_PCAP_MAGIC_NS ? 1 : 1000;
	layout->is_pcapng = 0;
	return true;
}
