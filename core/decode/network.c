/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of IP's options and extension headers, and of the rare protocols on top of it. */
#include "core/decode/walk.h"

enum cw_layer_type cw_walk_protocol(struct cw_walk *walk, uint8_t protocol)
{
	switch (protocol) {
	case 6:
		return CW_LAYER_TCP;
	case 17:
		return CW_LAYER_UDP;
	case 1:
		return CW_LAYER_ICMPV4;
	case 2:
		return CW_LAYER_IGMP;
	case 4:
		return cw_walk_tunnel(walk, CW_LAYER_IPV4);
	case 41:
		return cw_walk_tunnel(walk, CW_LAYER_IPV6);
	case 0:
		return CW_LAYER_HOP_BY_HOP;
	case 43:
		return CW_LAYER_ROUTING;
	case 44:
		return CW_LAYER_IPV6_FRAGMENT;
	case 60:
		return CW_LAYER_DESTINATION;
	case 47:
		return CW_LAYER_GRE;
	case 50:
		return CW_LAYER_ESP;
	case 51:
		return CW_LAYER_AH;
	case 58:
		return CW_LAYER_ICMPV6;
	case 97:
		return CW_LAYER_ETHERIP;
	case 132:
		return CW_LAYER_SCTP;
	case 136:
		return CW_LAYER_UDPLITE;
	case 137:
		return cw_walk_tunnel(walk, CW_LAYER_MPLS);
	case 143: /* segment routing */
		return cw_walk_tunnel(walk, CW_LAYER_ETHERNET);
	default:
		return CW_LAYER_PAYLOAD;
	}
}

/* Move *i over padding to the next option. Returns its bytes; 0: no option, or a bad length. */
static inline uint32_t next_option(const uint8_t *at, uint32_t bytes, uint32_t *i,
				   struct cw_layer *layer)
{
	uint32_t option_bytes;

	while (*i < bytes && at[*i] == 1)
		++*i;
	if (*i == bytes || at[*i] == 0)
		return 0;
	option_bytes = bytes - *i >= 2 ? at[*i + 1] : 0;
	if (option_bytes >= 2 && option_bytes <= bytes - *i)
		return option_bytes;
	layer->flags |= CW_LAYER_BAD_OPTIONS;
	return 0;
}

void cw_walk_ipv4_options(const uint8_t *at, uint32_t bytes, struct cw_layer *layer)
{
	uint32_t i = 0, option_bytes;

	while ((option_bytes = next_option(at, bytes, &i, layer)) != 0)
		i += option_bytes;
}

/* Read one option that fits its space; a wrong length only sets CW_LAYER_BAD_OPTIONS. */
static void tcp_option(const uint8_t *at, uint32_t bytes, struct cw_layer *layer)
{
	struct cw_tcp *tcp = &layer->tcp;

	if (at[0] == 2 && bytes == 4) {
		tcp->mss = cw_load_be16(at + 2);
		tcp->options |= CW_TCP_HAS_MSS;
	} else if (at[0] == 3 && bytes == 3) {
		tcp->window_shift = at[2];
		tcp->options |= CW_TCP_HAS_WINDOW_SHIFT;
	} else if (at[0] == 4 && bytes == 2) {
		tcp->options |= CW_TCP_HAS_SACK_PERMITTED;
	} else if (at[0] == 5 && bytes >= 10 && bytes % 8 == 2) {
		tcp->sack_block_count = (uint8_t)(bytes / 8);
		tcp->options |= CW_TCP_HAS_SACK;
	} else if (at[0] == 8 && bytes == 10) {
		tcp->ts_value = cw_load_be32(at + 2);
		tcp->ts_echo = cw_load_be32(at + 6);
		tcp->options |= CW_TCP_HAS_TS;
	} else if (at[0] == 2 || at[0] == 3 || at[0] == 4 || at[0] == 5 || at[0] == 8) {
		layer->flags |= CW_LAYER_BAD_OPTIONS;
	}
}

void cw_walk_tcp_options(const uint8_t *at, uint32_t bytes, struct cw_layer *layer)
{
	uint32_t i = 0, option_bytes;

	while ((option_bytes = next_option(at, bytes, &i, layer)) != 0) {
		tcp_option(at + i, option_bytes, layer);
		i += option_bytes;
	}
}

/* Hop-by-hop and destination options; step_rare sets the type. */
enum cw_layer_type cw_step_extension(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t room = cw_walk_room(walk);
	uint32_t header_bytes = room < 2 ? 8 : 8 * (at[1] + 1u);

	if (room < header_bytes)
		return cw_walk_fail(walk, layer, CW_LAYER_DESTINATION, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_DESTINATION);
	layer->extension = (struct cw_ipv6_extension){.next_header = at[0]};
	cw_walk_skip(walk, layer, header_bytes);
	return cw_walk_finish(walk, layer, cw_walk_protocol(walk, at[0]));
}

enum cw_layer_type cw_step_routing(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t room = cw_walk_room(walk);
	uint32_t header_bytes = room < 2 ? 8 : 8 * (at[1] + 1u);

	if (room < header_bytes)
		return cw_walk_fail(walk, layer, CW_LAYER_ROUTING, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_ROUTING);
	layer->extension = (struct cw_ipv6_extension){
	    .next_header = at[0], .routing_type = at[2], .segments_left = at[3]};
	cw_walk_skip(walk, layer, header_bytes);
	return cw_walk_finish(walk, layer, cw_walk_protocol(walk, at[0]));
}

enum cw_layer_type cw_step_ipv6_fragment(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint16_t fragment;

	if (cw_walk_room(walk) < 8)
		return cw_walk_fail(walk, layer, CW_LAYER_IPV6_FRAGMENT, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_IPV6_FRAGMENT);
	fragment = cw_load_be16(at + 2);
	layer->extension = (struct cw_ipv6_extension){.id = cw_load_be32(at + 4),
						      .fragment_offset = fragment & 0xfff8,
						      .is_more_fragments = fragment & 1,
						      .next_header = at[0]};
	if (fragment & 0xfff9)
		layer->flags |= CW_LAYER_PIECE;
	cw_walk_skip(walk, layer, 8);
	if (fragment & 0xfff8)
		return cw_walk_finish(walk, layer, CW_LAYER_FRAGMENT);
	return cw_walk_finish(walk, layer, cw_walk_protocol(walk, at[0]));
}

/* `has_echo`: an identifier and a sequence number follow the first four bytes. */
static enum cw_layer_type step_icmp(struct cw_walk *walk, struct cw_layer *layer,
				    enum cw_layer_type type, uint32_t header_bytes, bool has_echo)
{
	const uint8_t *at = walk->data + walk->at;

	cw_walk_begin(walk, layer, type);
	layer->icmp = (struct cw_icmp){at[0], at[1], cw_load_be16(at + 2), 0, 0};
	if (has_echo) {
		layer->icmp.id = cw_load_be16(at + 4);
		layer->icmp.sequence = cw_load_be16(at + 6);
	}
	cw_walk_skip(walk, layer, header_bytes);
	return cw_walk_finish(walk, layer, CW_LAYER_PAYLOAD);
}

/* The header is eight bytes for all types. */
enum cw_layer_type cw_step_icmpv4(struct cw_walk *walk, struct cw_layer *layer)
{
	uint8_t type;

	if (cw_walk_room(walk) < 8)
		return cw_walk_fail(walk, layer, CW_LAYER_ICMPV4, CW_LAYER_ERROR_SHORT);
	type = walk->data[walk->at];
	return step_icmp(walk, layer, CW_LAYER_ICMPV4, 8,
			 type == 0 || type == 8 || (type >= 13 && type <= 18));
}

/* Four bytes are common to all types; of echo the next four count as header too. */
enum cw_layer_type cw_step_icmpv6(struct cw_walk *walk, struct cw_layer *layer)
{
	uint32_t room = cw_walk_room(walk);
	bool has_echo;

	if (room < 4)
		return cw_walk_fail(walk, layer, CW_LAYER_ICMPV6, CW_LAYER_ERROR_SHORT);
	has_echo = room >= 8 && (walk->data[walk->at] & 0xfe) == 128;
	return step_icmp(walk, layer, CW_LAYER_ICMPV6, has_echo ? 8 : 4, has_echo);
}

enum cw_layer_type cw_step_igmp(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;

	if (cw_walk_room(walk) < 8)
		return cw_walk_fail(walk, layer, CW_LAYER_IGMP, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_IGMP);
	layer->igmp = (struct cw_igmp){
	    .type = at[0], .max_response = at[1], .checksum = cw_load_be16(at + 2)};
	if (at[0] != 0x22) /* a version 3 report has its groups after the header */
		memcpy(layer->igmp.group, at + 4, 4);
	cw_walk_skip(walk, layer, 8);
	return cw_walk_finish(walk, layer, CW_LAYER_PAYLOAD);
}

enum cw_layer_type cw_step_ah(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t room = cw_walk_room(walk);
	uint32_t header_bytes = room < 12 ? 12 : 4 * (at[1] + 2u);

	if (room < header_bytes)
		return cw_walk_fail(walk, layer, CW_LAYER_AH, CW_LAYER_ERROR_SHORT);
	if (header_bytes < 12)
		return cw_walk_fail(walk, layer, CW_LAYER_AH, CW_LAYER_ERROR_HEADER);
	cw_walk_begin(walk, layer, CW_LAYER_AH);
	layer->security = (struct cw_security){cw_load_be32(at + 4), cw_load_be32(at + 8), at[0]};
	cw_walk_skip(walk, layer, header_bytes);
	return cw_walk_finish(walk, layer, cw_walk_protocol(walk, at[0]));
}

/* The payload is assumed to be encrypted. */
enum cw_layer_type cw_step_esp(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;

	if (cw_walk_room(walk) < 8)
		return cw_walk_fail(walk, layer, CW_LAYER_ESP, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_ESP);
	layer->security = (struct cw_security){cw_load_be32(at), cw_load_be32(at + 4), 0};
	cw_walk_skip(walk, layer, 8);
	return cw_walk_finish(walk, layer, CW_LAYER_PAYLOAD);
}

enum cw_layer_type cw_step_sctp(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;

	if (cw_walk_room(walk) < 12)
		return cw_walk_fail(walk, layer, CW_LAYER_SCTP, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_SCTP);
	layer->sctp = (struct cw_sctp){cw_load_be16(at), cw_load_be16(at + 2), cw_load_be32(at + 4),
				       cw_load_be32(at + 8)};
	cw_walk_skip(walk, layer, 12);
	return cw_walk_finish(walk, layer, CW_LAYER_PAYLOAD);
}

/* The third field is the coverage of the checksum, 0 for all; there is no length field. */
enum cw_layer_type cw_step_udplite(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;

	if (cw_walk_room(walk) < 8)
		return cw_walk_fail(walk, layer, CW_LAYER_UDPLITE, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_UDPLITE);
	layer->udp = (struct cw_udp){cw_load_be16(at), cw_load_be16(at + 2), cw_load_be16(at + 4),
				     cw_load_be16(at + 6)};
	cw_walk_skip(walk, layer, 8);
	return cw_walk_finish(walk, layer, CW_LAYER_PAYLOAD);
}
