/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The steps of most packets, inline, so that a walk over such a packet is one piece of code. Only
 * for layers.c. The walk must stay in registers: its address is never passed on; functions in other
 * files get a copy.
 */
#ifndef CW_CORE_DECODE_WALK_FAST_H
#define CW_CORE_DECODE_WALK_FAST_H

#include "core/decode/walk.h"

#define FAST static inline __attribute__((always_inline))

#define CW_ETHERTYPE_LEAST 0x600u /* smaller values are lengths */

FAST enum cw_layer_type next_of_type(struct cw_walk *walk, struct cw_layer *layer, uint16_t type)
{
	enum cw_layer_type next;
	struct cw_walk away;

	if (cw_likely(type == 0x0800))
		return CW_LAYER_IPV4;
	if (type == 0x86dd)
		return CW_LAYER_IPV6;
	away = *walk;
	if (type < CW_ETHERTYPE_LEAST)
		next = cw_walk_length(&away, layer, type);
	else
		next = cw_walk_ethertype(&away, type);
	*walk = away;
	return next;
}

FAST enum cw_layer_type step_ethernet(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;

	if (cw_unlikely(cw_walk_room(walk) < 14))
		return cw_walk_fail(walk, layer, CW_LAYER_ETHERNET, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_ETHERNET);
	memcpy(layer->ethernet.destination, at, 6);
	memcpy(layer->ethernet.source, at + 6, 6);
	layer->ethernet.type = cw_load_be16(at + 12);
	cw_walk_skip(walk, layer, 14);
	return cw_walk_finish(walk, layer, next_of_type(walk, layer, layer->ethernet.type));
}

FAST enum cw_layer_type step_vlan(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint16_t tag;

	if (cw_unlikely(cw_walk_room(walk) < 4))
		return cw_walk_fail(walk, layer, CW_LAYER_VLAN, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_VLAN);
	tag = cw_load_be16(at);
	layer->vlan.tpid = walk->type;
	layer->vlan.id = tag & 0xfff;
	layer->vlan.priority = (uint8_t)(tag >> 13);
	layer->vlan.is_drop_eligible = tag >> 12 & 1;
	layer->vlan.type = cw_load_be16(at + 2);
	cw_walk_skip(walk, layer, 4);
	return cw_walk_finish(walk, layer, next_of_type(walk, layer, layer->vlan.type));
}

FAST enum cw_layer_type next_of_protocol(struct cw_walk *walk, uint8_t protocol)
{
	enum cw_layer_type next;
	struct cw_walk away;

	if (cw_likely(protocol == 6))
		return CW_LAYER_TCP;
	if (protocol == 17)
		return CW_LAYER_UDP;
	away = *walk;
	next = cw_walk_protocol(&away, protocol);
	*walk = away;
	return next;
}

FAST void set_network_end(struct cw_walk *walk)
{
	if (!walk->network_end)
		walk->network_end = walk->end;
}

FAST enum cw_layer_type step_ipv4(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t room = cw_walk_room(walk), header_bytes, total_bytes;
	enum cw_layer_type next;
	uint16_t fragment;

	if (cw_unlikely(room < 20))
		return cw_walk_fail(walk, layer, CW_LAYER_IPV4, CW_LAYER_ERROR_SHORT);
	if (cw_unlikely(at[0] >> 4 != 4))
		return cw_walk_fail(walk, layer, CW_LAYER_IPV4, CW_LAYER_ERROR_VERSION);
	header_bytes = 4 * (at[0] & 15u);
	total_bytes = cw_load_be16(at + 2);
	if (cw_unlikely(header_bytes < 20))
		return cw_walk_fail(walk, layer, CW_LAYER_IPV4, CW_LAYER_ERROR_HEADER);
	if (cw_unlikely(total_bytes < header_bytes && total_bytes))
		return cw_walk_fail(walk, layer, CW_LAYER_IPV4, CW_LAYER_ERROR_LENGTH);
	cw_walk_begin(walk, layer, CW_LAYER_IPV4);
	memcpy(layer->ipv4.source, at + 12, 4);
	memcpy(layer->ipv4.destination, at + 16, 4);
	layer->ipv4.total_bytes = (uint16_t)total_bytes;
	layer->ipv4.id = cw_load_be16(at + 4);
	fragment = cw_load_be16(at + 6);
	layer->ipv4.fragment_offset = (uint16_t)(8 * (fragment & 0x1fff));
	layer->ipv4.is_dont_fragment = fragment >> 14 & 1;
	layer->ipv4.is_more_fragments = fragment >> 13 & 1;
	layer->ipv4.traffic_class = at[1];
	layer->ipv4.ttl = at[8];
	layer->ipv4.protocol = at[9];
	layer->ipv4.checksum = cw_load_be16(at + 10);
	layer->ipv4.options_bytes = (uint8_t)(header_bytes - 20);
	if (cw_likely(total_bytes))
		cw_walk_limit(walk, layer, total_bytes);
	if (cw_unlikely(header_bytes > room)) { /* truncated inside the options */
		layer->flags |= CW_LAYER_TRUNCATED;
		header_bytes = room;
	}
	set_network_end(walk);
	if (cw_unlikely(header_bytes > 20))
		cw_walk_ipv4_options(at + 20, header_bytes - 20, layer);
	cw_walk_skip(walk, layer, header_bytes);
	if (cw_unlikely(fragment & 0x3fff)) {
		layer->flags |= CW_LAYER_PIECE;
		if (fragment & 0x1fff)
			return cw_walk_finish(walk, layer, CW_LAYER_FRAGMENT);
	}
	next = next_of_protocol(walk, at[9]);
	return cw_walk_finish(walk, layer, next);
}

FAST enum cw_layer_type step_ipv6(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t first;

	if (cw_unlikely(cw_walk_room(walk) < 40))
		return cw_walk_fail(walk, layer, CW_LAYER_IPV6, CW_LAYER_ERROR_SHORT);
	if (cw_unlikely(at[0] >> 4 != 6))
		return cw_walk_fail(walk, layer, CW_LAYER_IPV6, CW_LAYER_ERROR_VERSION);
	cw_walk_begin(walk, layer, CW_LAYER_IPV6);
	first = cw_load_be32(at);
	memcpy(layer->ipv6.source, at + 8, 16);
	memcpy(layer->ipv6.destination, at + 24, 16);
	layer->ipv6.flow_label = first & 0xfffff;
	layer->ipv6.traffic_class = (uint8_t)(first >> 20);
	layer->ipv6.payload_bytes = cw_load_be16(at + 4);
	layer->ipv6.next_header = at[6];
	layer->ipv6.hop_limit = at[7];
	cw_walk_skip(walk, layer, 40);
	if (cw_likely(layer->ipv6.payload_bytes) || at[6] == 59) /* 59: nothing follows */
		cw_walk_limit(walk, layer, layer->ipv6.payload_bytes);
	set_network_end(walk);
	return cw_walk_finish(walk, layer, next_of_protocol(walk, at[6]));
}

/* Two paddings and timestamps: the options of nearly every segment of a connection. */
#define PADDED_TS 0x0101080au

FAST enum cw_layer_type step_tcp(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t room = cw_walk_room(walk), header_bytes;
	struct cw_tcp *tcp = &layer->tcp;
	enum cw_layer_type next = CW_LAYER_PAYLOAD;
	struct cw_walk away;
	uint16_t bits;

	if (cw_unlikely(room < 20))
		return cw_walk_fail(walk, layer, CW_LAYER_TCP, CW_LAYER_ERROR_SHORT);
	bits = cw_load_be16(at + 12);
	header_bytes = 4 * ((uint32_t)bits >> 12);
	if (cw_unlikely(header_bytes < 20))
		return cw_walk_fail(walk, layer, CW_LAYER_TCP, CW_LAYER_ERROR_HEADER);
	cw_walk_begin(walk, layer, CW_LAYER_TCP);
	*tcp = (struct cw_tcp){
	    .source_port = cw_load_be16(at),
	    .destination_port = cw_load_be16(at + 2),
	    .sequence = cw_load_be32(at + 4),
	    .acknowledgment = cw_load_be32(at + 8),
	    .flags = bits & 0xfff,
	    .window = cw_load_be16(at + 14),
	    .checksum = cw_load_be16(at + 16),
	    .urgent = cw_load_be16(at + 18),
	    .options_bytes = (uint8_t)(header_bytes - 20),
	};
	if (cw_unlikely(header_bytes > room)) { /* truncated inside the options */
		layer->flags |= CW_LAYER_TRUNCATED;
		header_bytes = room;
	}
	if (cw_likely(header_bytes == 32 && cw_load_be32(at + 20) == PADDED_TS)) {
		tcp->ts_value = cw_load_be32(at + 24);
		tcp->ts_echo = cw_load_be32(at + 28);
		tcp->options = CW_TCP_HAS_TS;
	} else if (header_bytes > 20) {
		cw_walk_tcp_options(at + 20, header_bytes - 20, layer);
	}
	cw_walk_skip(walk, layer, header_bytes);
	layer->payload_bytes = cw_walk_room(walk);
	if (cw_unlikely(tcp->source_port == 53 || tcp->destination_port == 53)) {
		away = *walk;
		next = cw_walk_tcp_dns(&away);
		*walk = away;
	}
	return next;
}

/* Whether the port may tell the next layer: few ports share the low six bits of the known ones. */
static inline bool is_port_known(uint16_t port)
{
	const uint64_t known = UINT64_C(1) << (53 % 64) | UINT64_C(1) << (5353 % 64) |
			       UINT64_C(1) << (5355 % 64) | UINT64_C(1) << (2152 % 64) |
			       UINT64_C(1) << (4789 % 64) | UINT64_C(1) << (6081 % 64);

	return known >> (port & 63) & 1;
}

FAST enum cw_layer_type step_udp(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	enum cw_layer_type next = CW_LAYER_PAYLOAD;
	struct cw_udp *udp = &layer->udp;
	struct cw_walk away;
	uint32_t total_bytes;

	if (cw_unlikely(cw_walk_room(walk) < 8))
		return cw_walk_fail(walk, layer, CW_LAYER_UDP, CW_LAYER_ERROR_SHORT);
	total_bytes = cw_load_be16(at + 4);
	if (cw_unlikely(total_bytes < 8 && total_bytes))
		return cw_walk_fail(walk, layer, CW_LAYER_UDP, CW_LAYER_ERROR_LENGTH);
	cw_walk_begin(walk, layer, CW_LAYER_UDP);
	*udp = (struct cw_udp){cw_load_be16(at), cw_load_be16(at + 2), (uint16_t)total_bytes,
			       cw_load_be16(at + 6)};
	if (cw_likely(total_bytes))
		cw_walk_limit(walk, layer, total_bytes);
	cw_walk_skip(walk, layer, 8);
	layer->payload_bytes = cw_walk_room(walk);
	if (is_port_known(udp->source_port) || is_port_known(udp->destination_port)) {
		away = *walk;
		next = cw_walk_udp_ports(&away, udp->destination_port, udp->source_port);
		*walk = away;
	}
	return next;
}

/* Take the rest of the bytes: payload, a later fragment, or a failure found by an earlier step. */
FAST enum cw_layer_type step_rest(struct cw_walk *walk, struct cw_layer *layer,
				  enum cw_layer_type type)
{
	cw_walk_begin(walk, layer, type);
	layer->header_bytes = 0;
	layer->payload_bytes = cw_walk_room(walk);
	if (type == CW_LAYER_FAILURE)
		layer->failure = walk->failure;
	walk->at = walk->end;
	return CW_LAYER_NONE;
}

#endif
