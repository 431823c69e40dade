/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet that reading fills and writing takes.
 */
#ifndef CW_CAPWEIR_PACKET_H
#define CW_CAPWEIR_PACKET_H

#include <capweir/base.h>

/* Largest snapshot length in bytes of ordinary link types. A few link types record more. */
#define CW_CAPLEN_MAX 262144u
/* Wildcard link type: the link type of the packets themselves, whichever it is. */
#define CW_LINKTYPE_ANY UINT32_MAX
/* Interface number of a packet whose interface does not exist. */
#define CW_IFACE_NONE UINT32_MAX

/* Flags of a packet. */
enum cw_packet_flag {
	CW_PACKET_SWAPPED = 1 << 0,         /* its options are in the other byte order */
	CW_PACKET_MALFORMED = 1 << 1,       /* no interface, or over its block: filters skip it */
	CW_PACKET_TS_OUT_OF_RANGE = 1 << 2, /* its timestamp does not fit ts_ns; ts_ns is 0 */
	CW_PACKET_OUTGOING = 1 << 3,        /* live capture: this host sent it */
	CW_PACKET_TRUNCATED = 1 << 4,       /* its file holds more bytes than its snapshot length */
};

/* A view of one packet. The bytes belong to the source of the packet; the function that fills the
 * view says how long they stay valid. */
struct cw_packet {
	const uint8_t *data;    /* bytes of the packet: caplen of them */
	uint64_t ts_ns;         /* timestamp, nanoseconds since 1970-01-01 00:00 UTC */
	uint32_t caplen;        /* bytes present at data */
	uint32_t wire_len;      /* bytes on the wire; files can have caplen > wire_len */
	uint32_t iface;         /* interface number, for cw_handle_interface */
	uint32_t flags;         /* flags, CW_PACKET_* */
	uint32_t options_bytes; /* raw pcapng options after the data, padded to 4; 0: none */
	uint32_t carried_s;     /* seconds of ts_ns from a pcap record's fraction field; mostly 0 */
};

#endif
