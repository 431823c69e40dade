/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast way through a burst of packets: where the headers are, the five-tuple, and a hash that
 * is the same for both directions. It asks for packets ahead of time, because what decoding waits
 * for is memory. It is about the outermost IP layer; nothing inside of tunnels is looked at.
 */
#ifndef CW_CORE_DECODE_FLOW_H
#define CW_CORE_DECODE_FLOW_H

#include "core/decode/layer.h"
#include "core/packet/packet.h"

#define CW_FLOW_NO_VLAN UINT16_MAX

enum cw_flow_flag {
	CW_FLOW_PIECE = 1 << 0,     /* of a fragmented datagram; only the first has ports */
	CW_FLOW_TRUNCATED = 1 << 1, /* fewer bytes are present than IP or the transport state */
	CW_FLOW_FAILED = 1 << 2,    /* a header up to the transport's cannot be decoded */
};

struct cw_flow {
	uint8_t source[16], destination[16];    /* IPv4: the first four bytes, zeros behind */
	uint16_t source_port, destination_port; /* TCP, UDP, UDP-Lite, SCTP; else 0 */
	uint32_t hash;                          /* of addresses, ports and protocol; 0 without IP */
	uint32_t network_offset;                /* this and the next: 0 where there is none */
	uint32_t transport_offset; /* of what follows IP and its extension headers, also if no
				      transport layer of ours */
	uint32_t payload_offset;   /* behind the transport header, or behind IP without one */
	uint32_t payload_bytes;    /* present, without padding */
	uint16_t vlan;             /* id of the outermost tag, CW_FLOW_NO_VLAN */
	uint8_t version;           /* 4, 6; 0: no IP, and everything else but vlan and flags is 0 */
	uint8_t protocol;          /* behind the extension headers, AH included */
	uint8_t tcp_flags;
	uint8_t flags; /* CW_FLOW_* */
	uint8_t reserved[2];
};

static_assert(sizeof(struct cw_flow) == CW_CACHE_LINE, "a flow is one cache line");

/*
 * `count` packets of one link type (borrows) to as many flows (fills). `seed` makes hashes of
 * another run unpredictable where it is random; it does not make them cryptographic.
 */
void cw_decode_flows(const struct cw_packet *packets, size_t count, uint32_t linktype,
		     uint64_t seed, struct cw_flow *flows);

/* The same for one packet by way of all its layers: for what is rare, and for tests to compare
 * with. */
void cw_decode_flow_slowly(const struct cw_packet *packet, uint32_t linktype, uint64_t seed,
			   struct cw_flow *flow);

/* A flow out of layers that are there already: IP, and what came behind it or NULL (borrows). */
void cw_flow_from_layers(const struct cw_layer *network, const struct cw_layer *transport,
			 uint64_t seed, struct cw_flow *flow);

#endif
