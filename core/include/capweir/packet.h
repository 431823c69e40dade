/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A packet, as reading gives it and writing takes it.
 */
#ifndef CW_CAPWEIR_PACKET_H
#define CW_CAPWEIR_PACKET_H

#include <capweir/base.h>

/* The largest capture length of ordinary link types; a few record more. */
#define CW_CAPLEN_MAX 262144u
/* No link type: where one is asked for, whatever the packets have. */
#define CW_LINKTYPE_ANY UINT32_MAX
/* The interface of a packet whose interface does not exist. */
#define CW_IFACE_NONE UINT32_MAX

/* What can be said of a packet. */
enum cw_packet_flag {
	CW_PACKET_SWAPPED = 1 << 0,   /* its options are in the other byte order */
	CW_PACKET_MALFORMED = 1 << 1, /* no filter can be given it: its interface does not exist */
	CW_PACKET_TS_OUT_OF_RANGE = 1 << 2, /* its time does not fit ts_ns; ts_ns is 0 */
	CW_PACKET_OUTGOING = 1 << 3,        /* live: this host sent it */
};

/* A view of one packet: the bytes belong to where it comes from. */
struct cw_packet {
	const uint8_t *data;    /* caplen bytes */
	uint64_t ts_ns;         /* nanoseconds since the epoch, UTC */
	uint32_t caplen;        /* bytes present */
	uint32_t wire_len;      /* bytes on the wire; files can hold caplen > wire_len */
	uint32_t iface;         /* number of its interface, see cw_handle_interface */
	uint32_t flags;         /* CW_PACKET_* */
	uint32_t options_bytes; /* raw pcapng options behind the data, padded to 4; 0: none */
	uint32_t reserved;      /* 0 */
};

#endif
