/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast way through a burst of packets: offsets of the headers, the five-tuple, and a hash that
 * is the same for both directions. Packets are prefetched, because decoding waits for memory. Only
 * the outermost IP layer counts; the insides of tunnels are ignored.
 */
#ifndef CW_CORE_DECODE_FLOW_H
#define CW_CORE_DECODE_FLOW_H

#include "core/decode/layer.h"
#include "core/packet/packet.h"

#define CW_FLOW_NO_VLAN UINT16_MAX

enum cw_flow_flag {
	CW_FLOW_PIECE = 1 << 0,     /* piece of a fragmented datagram; only the first has ports */
	CW_FLOW_TRUNCATED = 1 << 1, /* fewer bytes present than IP or the transport state */
	CW_FLOW_FAILED = 1 << 2,    /* a header up to the transport's cannot be decoded */
};

struct cw_flow {
	uint8_t source[16], destination[16];    /* IPv4: the first four bytes, then zeros */
	uint16_t source_port, destination_port; /* TCP, UDP, UDP-Lite, SCTP; else 0 */
	uint32_t hash;                          /* of addresses, ports and protocol; 0 without IP */
	uint32_t network_offset;                /* IP header; 0: none */
	uint32_t transport_offset; /* header after IP and its extension headers, decoded or not;
				      0: none */
	uint32_t payload_offset;   /* after the transport header, or after IP without one */
	uint32_t payload_bytes;    /* bytes present, without padding */
	uint16_t vlan;             /* id of the outermost tag, or CW_FLOW_NO_VLAN */
	uint8_t version;           /* 4, 6; 0: no IP, all other fields but vlan and flags are 0 */
	uint8_t protocol;          /* protocol after the extension headers, AH included */
	uint8_t tcp_flags;
	uint8_t flags; /* CW_FLOW_* */
	uint8_t reserved[2];
};

static_assert(sizeof(struct cw_flow) == CW_CACHE_LINE, "a flow is one cache line");

/*
 * Decode `count` packets of one link type (borrows) into as many flows (fills). A random `seed`
 * makes the hashes unpredictable, but not cryptographic.
 */
void cw_decode_flows(const struct cw_packet *packets, size_t count, uint32_t linktype,
		     uint64_t seed, struct cw_flow *flows);

/* The same for one packet by decoding all its layers: for rare packets, and as tests' reference. */
void cw_decode_flow_slowly(const struct cw_packet *packet, uint32_t linktype, uint64_t seed,
			   struct cw_flow *flow);

/* Fill a flow from decoded layers: IP, and the layer after it or NULL (borrows). */
void cw_flow_from_layers(const struct cw_layer *network, const struct cw_layer *transport,
			 uint64_t seed, struct cw_flow *flow);

#endif
