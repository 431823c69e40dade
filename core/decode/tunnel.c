/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of tunnels and of DNS, found by ports and GRE. */
#include "core/decode/walk.h"

#define PORT_DNS 53u
#define PORT_MDNS 5353u
#define PORT_LLMNR 5355u
#define PORT_GTPU 2152u
#define PORT_VXLAN 4789u
#define PORT_GENEVE 6081u

static enum cw_layer_type next_of_port(const struct cw_walk *walk, uint16_t port)
{
	switch (port) {
	case PORT_DNS:
	case PORT_MDNS:
	case PORT_LLMNR:
		return CW_LAYER_DNS;
	case PORT_VXLAN:
		return CW_LAYER_VXLAN;
	case PORT_GENEVE:
		return CW_LAYER_GENEVE;
	case PORT_GTPU: /* version 1 of GTP, not GTP' */
		if (walk->at < walk->end && (walk->data[walk->at] & 0xf0) == 0x30)
			return CW_LAYER_GTPU;
		break;
	}
	return CW_LAYER_PAYLOAD;
}

/* By either port, the destination's first, as in other decoders. */
enum cw_layer_type cw_walk_udp_ports(struct cw_walk *walk, uint16_t destination, uint16_t source)
{
	enum cw_layer_type next = next_of_port(walk, destination);

	return next == CW_LAYER_PAYLOAD ? next_of_port(walk, source) : next;
}

/* Accept a segment that is one complete message: its length, then exactly that many bytes. */
enum cw_layer_type cw_walk_tcp_dns(struct cw_walk *walk)
{
	uint32_t room = cw_walk_room(walk);

	if (room < 14 || cw_load_be16(walk->data + walk->at) != room - 2)
		return CW_LAYER_PAYLOAD;
	walk->at += 2;
	return CW_LAYER_DNS;
}

enum cw_layer_type cw_step_dns(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;

	if (cw_walk_room(walk) < 12)
		return cw_walk_fail(walk, layer, CW_LAYER_DNS, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_DNS);
	layer->dns =
	    (struct cw_dns){cw_load_be16(at),     cw_load_be16(at + 2), cw_load_be16(at + 4),
			    cw_load_be16(at + 6), cw_load_be16(at + 8), cw_load_be16(at + 10)};
	cw_walk_skip(walk, layer, 12);
	return cw_walk_finish(walk, layer, CW_LAYER_NONE);
}

#define GRE_CHECKSUM 0x8000u
#define GRE_ROUTING 0x4000u
#define GRE_KEY 0x2000u
#define GRE_SEQUENCE 0x1000u
#define GRE_ACKNOWLEDGMENT 0x0080u /* version 1 */

/* ERSPAN has three types; GRE without a sequence number means type I. */
static enum cw_layer_type next_of_gre(struct cw_walk *walk, const struct cw_gre *gre)
{
	switch (gre->type) {
	case 0x6558:
		return cw_walk_tunnel(walk, CW_LAYER_ETHERNET);
	case 0x880b:
		return cw_walk_tunnel(walk, CW_LAYER_PPP);
	case 0x88be:
		walk->type = gre->flags & GRE_SEQUENCE ? 2 : 0;
		return CW_LAYER_ERSPAN;
	case 0x22eb:
		walk->type = 3;
		return CW_LAYER_ERSPAN;
	default:
		return cw_walk_tunnel(walk, cw_walk_ethertype(walk, gre->type));
	}
}

/* The length of source routes (RFC 1701): entries up to one of length 0. 0: they do not fit. */
static uint32_t gre_route_bytes(const uint8_t *at, uint32_t room)
{
	uint32_t bytes = 0;

	while (room - bytes >= 4) {
		uint32_t entry_bytes = 4u + at[bytes + 3];

		if (entry_bytes > room - bytes)
			break;
		bytes += entry_bytes;
		if (entry_bytes == 4)
			return bytes;
	}
	return 0;
}

/* Read the 32 bits at *bytes and advance, if the field is present (`has`); else 0. */
static uint32_t gre_word(const uint8_t *at, uint32_t *bytes, bool has)
{
	uint32_t value = 0;

	if (has) {
		value = cw_load_be32(at + *bytes);
		*bytes += 4;
	}
	return value;
}

enum cw_layer_type cw_step_gre(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t room = cw_walk_room(walk), bytes = 4, needed = 4, flags, route;
	bool has_acknowledgment;

	if (room < 4)
		return cw_walk_fail(walk, layer, CW_LAYER_GRE, CW_LAYER_ERROR_SHORT);
	flags = cw_load_be16(at);
	if ((flags & 7) > 1)
		return cw_walk_fail(walk, layer, CW_LAYER_GRE, CW_LAYER_ERROR_VERSION);
	has_acknowledgment = (flags & 7) == 1 && (flags & GRE_ACKNOWLEDGMENT);
	needed += flags & (GRE_CHECKSUM | GRE_ROUTING) ? 4 : 0;
	needed += flags & GRE_KEY ? 4 : 0;
	needed += flags & GRE_SEQUENCE ? 4 : 0;
	needed += has_acknowledgment ? 4 : 0;
	if (room < needed)
		return cw_walk_fail(walk, layer, CW_LAYER_GRE, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_GRE);
	if (flags & (GRE_CHECKSUM | GRE_ROUTING))
		bytes += 4;
	layer->gre.flags = (uint16_t)flags;
	layer->gre.type = cw_load_be16(at + 2);
	layer->gre.key = gre_word(at, &bytes, flags & GRE_KEY);
	layer->gre.sequence = gre_word(at, &bytes, flags & GRE_SEQUENCE);
	layer->gre.acknowledgment = gre_word(at, &bytes, has_acknowledgment);
	if (flags & GRE_ROUTING) {
		route = gre_route_bytes(at + bytes, room - bytes);
		if (!route)
			return cw_walk_fail(walk, layer, CW_LAYER_GRE, CW_LAYER_ERROR_SHORT);
		bytes += route;
	}
	cw_walk_skip(walk, layer, bytes);
	return cw_walk_finish(walk, layer, next_of_gre(walk, &layer->gre));
}

enum cw_layer_type cw_step_etherip(struct cw_walk *walk, struct cw_layer *layer)
{
	if (cw_walk_room(walk) < 2)
		return cw_walk_fail(walk, layer, CW_LAYER_ETHERIP, CW_LAYER_ERROR_SHORT);
	if (walk->data[walk->at] >> 4 != 3)
		return cw_walk_fail(walk, layer, CW_LAYER_ETHERIP, CW_LAYER_ERROR_VERSION);
	cw_walk_begin(walk, layer, CW_LAYER_ETHERIP);
	cw_walk_skip(walk, layer, 2);
	return cw_walk_finish(walk, layer, cw_walk_tunnel(walk, CW_LAYER_ETHERNET));
}

enum cw_layer_type cw_step_vxlan(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;

	if (cw_walk_room(walk) < 8)
		return cw_walk_fail(walk, layer, CW_LAYER_VXLAN, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_VXLAN);
	layer->vxlan = (struct cw_vxlan){.vni = cw_load_be32(at + 4) >> 8, .flags = at[0]};
	cw_walk_skip(walk, layer, 8);
	return cw_walk_finish(walk, layer, cw_walk_tunnel(walk, CW_LAYER_ETHERNET));
}

enum cw_layer_type cw_step_geneve(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t room = cw_walk_room(walk);
	enum cw_layer_type next;

	if (room < 8 || room < 8 + 4u * (at[0] & 63u))
		return cw_walk_fail(walk, layer, CW_LAYER_GENEVE, CW_LAYER_ERROR_SHORT);
	if (at[0] >> 6)
		return cw_walk_fail(walk, layer, CW_LAYER_GENEVE, CW_LAYER_ERROR_VERSION);
	cw_walk_begin(walk, layer, CW_LAYER_GENEVE);
	layer->vxlan = (struct cw_vxlan){.vni = cw_load_be32(at + 4) >> 8,
					 .type = cw_load_be16(at + 2),
					 .flags = at[1],
					 .options_bytes = (uint8_t)(4 * (at[0] & 63))};
	cw_walk_skip(walk, layer, 8u + layer->vxlan.options_bytes);
	next = layer->vxlan.type == 0x6558 ? CW_LAYER_ETHERNET
					   : cw_walk_ethertype(walk, layer->vxlan.type);
	return cw_walk_finish(walk, layer, cw_walk_tunnel(walk, next));
}

#define GTPU_DATA 255u /* message type: a user's packet */

/* The length of the header with its extensions: length in 4-byte units, contents, type of the next.
 * 0: they do not fit. */
static uint32_t gtpu_header_bytes(const uint8_t *at, uint32_t room)
{
	uint32_t bytes = 8;
	uint8_t next;

	if (!(at[0] & 7))
		return 8;
	if (room < 12)
		return 0;
	bytes = 12;
	for (next = at[0] & 4 ? at[11] : 0; next;) {
		uint32_t extension_bytes = bytes < room ? 4u * at[bytes] : 0;

		if (extension_bytes == 0 || extension_bytes > room - bytes)
			return 0;
		bytes += extension_bytes;
		next = at[bytes - 1];
	}
	return bytes;
}

enum cw_layer_type cw_step_gtpu(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t room = cw_walk_room(walk);
	uint32_t header_bytes = room < 8 ? 0 : gtpu_header_bytes(at, room);
	enum cw_layer_type next = CW_LAYER_PAYLOAD;

	if (!header_bytes)
		return cw_walk_fail(walk, layer, CW_LAYER_GTPU, CW_LAYER_ERROR_SHORT);
	if (cw_load_be16(at + 2) < header_bytes - 8)
		return cw_walk_fail(walk, layer, CW_LAYER_GTPU, CW_LAYER_ERROR_LENGTH);
	cw_walk_begin(walk, layer, CW_LAYER_GTPU);
	layer->gtpu = (struct cw_gtpu){.tunnel = cw_load_be32(at + 4),
				       .payload_bytes = cw_load_be16(at + 2),
				       .sequence = at[0] & 2 ? cw_load_be16(at + 8) : 0,
				       .flags = at[0],
				       .type = at[1]};
	cw_walk_skip(walk, layer, header_bytes);
	cw_walk_limit(walk, layer, layer->gtpu.payload_bytes - (header_bytes - 8));
	if (at[1] == GTPU_DATA)
		next = cw_walk_tunnel(walk, cw_walk_version(walk));
	return cw_walk_finish(walk, layer, next);
}

/* walk->type is the type found by GRE. Type III may have eight platform-specific bytes more. */
enum cw_layer_type cw_step_erspan(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t room = cw_walk_room(walk);
	uint32_t header_bytes = walk->type == 0 ? 0 : walk->type == 2 ? 8 : 12;
	enum cw_layer_type next = CW_LAYER_ETHERNET;
	uint16_t first, second;
	uint8_t frame_type; /* type III: 0 is Ethernet, 2 is IP */

	if (walk->type == 3 && room >= 12 && (at[11] & 1))
		header_bytes = 20;
	if (room < header_bytes)
		return cw_walk_fail(walk, layer, CW_LAYER_ERSPAN, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_ERSPAN);
	layer->erspan = (struct cw_erspan){0};
	if (header_bytes) {
		first = cw_load_be16(at);
		second = cw_load_be16(at + 2);
		if (first >> 12 != (walk->type == 2 ? 1 : 2))
			return cw_walk_fail(walk, layer, CW_LAYER_ERSPAN, CW_LAYER_ERROR_VERSION);
		layer->erspan.version = (uint8_t)(first >> 12);
		layer->erspan.vlan = first & 0xfff;
		layer->erspan.session = second & 0x3ff;
		layer->erspan.is_truncated = second >> 10 & 1;
		if (header_bytes == 8)
			layer->erspan.index = cw_load_be32(at + 4) & 0xfffff;
		else
			layer->erspan.timestamp = cw_load_be32(at + 4);
	}
	frame_type = walk->type == 3 ? at[10] >> 2 & 31 : 0;
	cw_walk_skip(walk, layer, header_bytes);
	if (frame_type == 2)
		next = cw_walk_version(walk);
	else if (frame_type != 0)
		next = CW_LAYER_PAYLOAD;
	return cw_walk_finish(walk, layer, cw_walk_tunnel(walk, next));
}
