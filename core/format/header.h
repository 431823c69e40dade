/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The headers of capture files as bytes: pcap's file header and pcapng's section header. Pure
 * functions. For pcapfile.c and boundary.c.
 */
#ifndef CW_CORE_FORMAT_HEADER_H
#define CW_CORE_FORMAT_HEADER_H

#include "core/format/encode.h"
#include "core/format/pcapfile.h"

/* Returns the byte order by the first bytes of a pcap header: 0 native, 1 swapped, -1: none. */
static inline int cw_pcap_order(const uint8_t *data)
{
	uint32_t magic = cw_load_u32(data, 0);

	switch (magic) {
	case CW_PCAP_MAGIC_US:
	case CW_PCAP_MAGIC_NS:
	case CW_PCAP_MAGIC_KUZNETZOV:
		return 0;
	case 0xD4C3B2A1u:
	case 0x4D3CB2A1u:
	case 0x34CDB2A1u:
		return 1;
	default:
		return -1;
	}
}

/* Returns whether a pcap header may begin with these bytes. Cheap, and false for most records. */
static inline bool cw_pcap_may_be_header(const uint8_t *data)
{
	uint32_t magic = cw_load_u32(data, 0);

	return magic >> 16 == 0xA1B2u || (magic & UINT16_MAX) == 0xB2A1u;
}

/* Returns the byte order by a section header's magic (12 bytes): 0 native, 1 swapped, -1: none. */
int cw_pcapng_order(const uint8_t *block);

/* Returns whether a section header is at `data` (12 bytes). */
static inline bool cw_pcapng_is_section(const uint8_t *data)
{
	return cw_load_u32(data, 0) == CW_PCAPNG_SHB && cw_pcapng_order(data) >= 0;
}

static inline bool cw_pcapng_is_version(uint16_t major, uint16_t minor)
{
	return major == 1 && (minor == 0 || minor == 2);
}

/*
 * Returns whether a pcap header is at `shown`, or its first bytes are and the rest is not there
 * yet. As a record it would be of the year 2055 or later, and of one certain microsecond. Old
 * programs wrote a time zone and an accuracy, so these fields are not looked at.
 */
bool cw_pcap_is_header(const struct cw_pcapfile_shown *shown);

/*
 * Reads a pcap header (24 bytes with a valid magic). Fills the fields of `layout` and `iface` that
 * follow from it. Returns false for an undefined version: nothing is filled.
 */
bool cw_pcap_read_header(const uint8_t *data, struct cw_layout *layout, struct cw_iface *iface);

/* Reports bytes that are neither pcap nor pcapng, with the format's name if it is known. */
int cw_pcapfile_refuse(const uint8_t *data, size_t bytes, struct cw_error *error);

#endif
