/* SPDX-License-Identifier: BSD-3-Clause */
/* Link and network headers, around the transport headers and payloads of transport.c. */
#include "datasets/frame.h"
#include "datasets/octets.h"
#include "datasets/transport.h"

#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_ARP 0x0806u
#define ETHERTYPE_VLAN 0x8100u
#define ETHERTYPE_IPV6 0x86ddu
#define ETHERTYPE_QINQ 0x88a8u
#define ETHERTYPE_LLDP 0x88ccu
#define PROVIDER_VLAN 200u

#define IPV4_DONT_FRAGMENT 0x4000u
#define IPV4_MORE_FRAGMENTS 0x2000u

#define IPV6_HOP_BY_HOP 0u
#define IPV6_ROUTING 43u
#define IPV6_FRAGMENT 44u
#define IPV6_DESTINATION 60u

void cw_pool_fill(struct cw_pool *pool, struct cw_random *random)
{
	static const char *const words[] = {
	    "GET ", "HTTP/1.1\r\n", "Host: ",  "content ", "value",  "=",
	    "the ", "packet ",      "of ",     "<div>",    "</div>", "capture ",
	    "\r\n", "0123456789",   "length ", "and "};
	size_t filled = 0;

	for (size_t i = 0; i < sizeof(pool->cipher); i += sizeof(uint64_t)) {
		uint64_t bits = cw_random_next(random);

		/* byte by byte: the same result for either byte order */
		for (size_t k = 0; k < sizeof(bits); k++)
			pool->cipher[i + k] = (uint8_t)(bits >> (8 * k));
	}
	while (filled < sizeof(pool->text)) {
		const char *word = words[cw_random_below(random, CW_ARRAY_COUNT(words))];
		size_t bytes = cw_min_size(strlen(word), sizeof(pool->text) - filled);

		memcpy(pool->text + filled, word, bytes);
		filled += bytes;
	}
}

static uint8_t *put_link(const struct cw_flow *flow, const uint8_t *to, const uint8_t *from,
			 uint32_t ethertype, uint8_t *at)
{
	at = cw_put_bytes(at, to, 6);
	at = cw_put_bytes(at, from, 6);
	if (flow->tag_count == 2)
		at = cw_put_be32(at, ETHERTYPE_QINQ << 16 | PROVIDER_VLAN);
	if (flow->tag_count >= 1)
		at = cw_put_be32(at, ETHERTYPE_VLAN << 16 | flow->vlan_id);
	return cw_put_be16(at, ethertype);
}

/* An ARP request by the client, or the server's reply. */
static uint8_t *put_arp(const struct cw_flow *flow, enum cw_flow_end from, uint8_t *at)
{
	bool is_request = from == CW_FLOW_CLIENT;
	const uint8_t *to =
	    is_request ? (const uint8_t *)"\xff\xff\xff\xff\xff\xff" : flow->mac[!from];

	at = put_link(flow, to, flow->mac[from], ETHERTYPE_ARP, at);
	at = cw_put_be32(at, 0x00010800);
	at = cw_put_be32(at, is_request ? 0x06040001 : 0x06040002);
	at = cw_put_bytes(at, flow->mac[from], 6);
	at = cw_put_bytes(at, flow->address[from], 4);
	at = cw_put_bytes(at, is_request ? (const uint8_t *)"\0\0\0\0\0\0" : flow->mac[!from], 6);
	return cw_put_bytes(at, flow->address[!from], 4);
}

/* A bridge's announcement (IEEE 802.1AB LLDP): chassis, port, time to live, name, end. */
static uint8_t *put_lldp(const struct cw_flow *flow, uint8_t *at)
{
	const uint8_t *mac = flow->mac[CW_FLOW_SERVER];

	at = put_link(flow, (const uint8_t *)"\x01\x80\xc2\0\0\x0e", mac, ETHERTYPE_LLDP, at);
	at = cw_put_bytes(cw_put_bytes(at, "\x02\x07\x04", 3), mac, 6);
	at = cw_put_bytes(cw_put_bytes(at, "\x04\x07\x03", 3), mac, 6);
	at = cw_put_bytes(at, "\x06\x02\0\x78", 4);
	at = cw_put_bytes(at, "\x0a\x06switch", 8);
	return cw_put_be16(at, 0);
}

/* A spanning tree configuration over LLC: a length follows the addresses. */
static uint8_t *put_spanning_tree(const struct cw_flow *flow, uint8_t *at)
{
	const uint8_t *mac = flow->mac[CW_FLOW_SERVER];

	at = put_link(flow, (const uint8_t *)"\x01\x80\xc2\0\0\0", mac, 38, at);
	at = cw_put_bytes(at, "\x42\x42\x03", 3);
	at = cw_put_bytes(at, "\0\0\0\0\0", 5);
	at = cw_put_bytes(cw_put_be16(at, 0x8000), mac, 6);
	at = cw_put_be32(at, 4);
	at = cw_put_bytes(cw_put_be16(at, 0x8000), mac, 6);
	at = cw_put_be16(at, 0x8001);
	/* age 0, age at most 20 s, hello 2 s, delay 15 s, in 1/256 s */
	return cw_put_bytes(at, "\0\0\x14\0\x02\0\x0f\0", 8);
}

static uint8_t *put_ipv4_options(const struct cw_flow *flow, enum cw_flow_end from, uint8_t *at)
{
	if (flow->ip_option_words == 1)
		return cw_put_be32(at, 0x94040000); /* router alert */
	at = cw_put_bytes(at, "\x07\x07\x08", 3);   /* record route, its one slot used */
	at = cw_put_bytes(at, flow->address[from], 4);
	return cw_put_u8(at, 0);
}

/* Returns offset and more-fragments flag of the flow's next piece, in IPv4's layout. */
static uint32_t piece_offset_words(const struct cw_flow *flow, bool *has_more)
{
	uint32_t piece = flow->step % CW_PIECES_PER_DATAGRAM;

	*has_more = piece < CW_PIECES_PER_DATAGRAM - 1;
	return piece * flow->piece_bytes / 8;
}

static uint8_t *put_ipv4(struct cw_frame *frame, struct cw_flow *flow, enum cw_flow_end from,
			 uint8_t *at)
{
	uint8_t *start = at;
	uint32_t fragment = IPV4_DONT_FRAGMENT;
	uint64_t address_sum = cw_sum(cw_sum(0, flow->address[from], 4), flow->address[!from], 4);

	at += 20;
	if (flow->ip_option_words && flow->step % 8 == 0)
		at = put_ipv4_options(flow, from, at);
	frame->network = start;
	frame->transport = at;
	at = cw_transport_put(frame, flow, from, at, address_sum);
	if (flow->kind == CW_TRAFFIC_FRAGMENT) {
		bool has_more;

		fragment = piece_offset_words(flow, &has_more);
		fragment |= has_more ? IPV4_MORE_FRAGMENTS : 0;
	}
	/* All pieces of a datagram share its id. */
	if (flow->kind != CW_TRAFFIC_FRAGMENT || flow->step % CW_PIECES_PER_DATAGRAM == 0)
		flow->ip_id++;
	cw_put_u8(start, 0x40 | (uint32_t)(frame->transport - start) / 4);
	cw_put_u8(start + 1, 0);
	cw_put_be16(start + 2, (uint32_t)(at - start));
	cw_put_be16(start + 4, flow->ip_id);
	cw_put_be16(start + 6, fragment);
	cw_put_u8(start + 8, flow->hop_limit[from]);
	cw_put_u8(start + 9, cw_transport_protocol(flow));
	cw_put_be16(start + 10, 0);
	cw_put_bytes(start + 12, flow->address[from], 4);
	cw_put_bytes(start + 16, flow->address[!from], 4);
	cw_sum_store(start + 10, cw_sum(0, start, (size_t)(frame->transport - start)));
	return at;
}

/* Returns the extension headers of the flow's packets. */
static uint32_t extensions_of(const struct cw_flow *flow)
{
	if (flow->kind == CW_TRAFFIC_FRAGMENT)
		return CW_EXTENSION_FRAGMENT;
	return flow->kind == CW_TRAFFIC_IPV6_EXTENSION ? flow->extensions : 0;
}

/*
 * Puts extension headers in the order of RFC 8200, 4.1. `next` is the next-header field before
 * them; each header's number goes into the field of the header before. put_ipv6 fills offset and
 * flag of a fragment header, once the piece is known. Returns the end.
 */
static uint8_t *put_extensions(const struct cw_flow *flow, uint8_t *next, uint8_t *at)
{
	uint32_t extensions = extensions_of(flow);

	if (extensions & CW_EXTENSION_HOP_BY_HOP) {
		*next = IPV6_HOP_BY_HOP;
		next = at;
		at = cw_put_bytes(at, "\0\0\x05\x02\0\0\x01\0", 8); /* router alert, padding */
	}
	if (extensions & CW_EXTENSION_DESTINATION) {
		*next = IPV6_DESTINATION;
		next = at;
		at = cw_put_bytes(at, "\0\0\x01\x04\0\0\0\0", 8); /* padding only */
	}
	if (extensions & CW_EXTENSION_ROUTING) {
		*next = IPV6_ROUTING;
		next = at;
		at = cw_put_bytes(at, "\0\0\xfd\0\0\0\0\0", 8); /* experiment, no segments left */
	}
	if (extensions & CW_EXTENSION_FRAGMENT) {
		*next = IPV6_FRAGMENT;
		next = at;
		at = cw_put_be32(cw_put_be32(at, 0), flow->ip_id);
	}
	*next = cw_transport_protocol(flow);
	return at;
}

static uint8_t *put_ipv6(struct cw_frame *frame, struct cw_flow *flow, enum cw_flow_end from,
			 uint8_t *at)
{
	uint8_t *start = at;
	uint64_t address_sum = cw_sum(cw_sum(0, flow->address[from], 16), flow->address[!from], 16);

	if (flow->kind != CW_TRAFFIC_FRAGMENT || flow->step % CW_PIECES_PER_DATAGRAM == 0)
		flow->ip_id++;
	at = put_extensions(flow, start + 6, start + 40);
	frame->network = start;
	frame->transport = at;
	at = cw_transport_put(frame, flow, from, at, address_sum);
	if (flow->kind == CW_TRAFFIC_FRAGMENT) {
		bool has_more;
		uint32_t words = piece_offset_words(flow, &has_more);

		cw_put_be16(frame->transport - 6, words << 3 | has_more);
	}
	cw_put_be32(start, 0x60000000);
	cw_put_be16(start + 4, (uint32_t)(at - start - 40));
	cw_put_u8(start + 7, flow->hop_limit[from]);
	cw_put_bytes(start + 8, flow->address[from], 16);
	cw_put_bytes(start + 24, flow->address[!from], 16);
	return at;
}

void cw_frame_build(struct cw_frame *frame, struct cw_flow *flow)
{
	enum cw_flow_end from = cw_transport_sender(flow, frame->random);
	uint32_t ethertype = flow->is_ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
	uint8_t *at = frame->data;

	frame->network = NULL;
	frame->transport = NULL;
	if (flow->kind == CW_TRAFFIC_ARP) {
		at = put_arp(flow, from, at);
	} else if (flow->kind == CW_TRAFFIC_LINK) {
		at = flow->step % 2 ? put_spanning_tree(flow, at) : put_lldp(flow, at);
	} else {
		at = put_link(flow, flow->mac[!from], flow->mac[from], ethertype, at);
		at = flow->is_ipv6 ? put_ipv6(frame, flow, from, at)
				   : put_ipv4(frame, flow, from, at);
	}
	frame->bytes = (size_t)(at - frame->data);
	if (frame->bytes < CW_FRAME_BYTES_MIN) {
		memset(at, 0, CW_FRAME_BYTES_MIN - frame->bytes);
		frame->bytes = CW_FRAME_BYTES_MIN;
	}
	flow->step++;
	if (flow->kind == CW_TRAFFIC_TCP && flow->step >= flow->length)
		flow->step = 0;
}
