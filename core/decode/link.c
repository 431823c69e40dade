/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of the link layers, and of layers between them and IP. */
#include "core/decode/walk.h"

enum cw_layer_type cw_walk_ethertype(struct cw_walk *walk, uint16_t type)
{
	walk->type = type;
	switch (type) {
	case 0x0800:
		return CW_LAYER_IPV4;
	case 0x86dd:
		return CW_LAYER_IPV6;
	case 0x8100:
	case 0x88a8:
	case 0x9100:
		return CW_LAYER_VLAN;
	case 0x0806:
	case 0x8035:
		return CW_LAYER_ARP;
	case 0x8847:
	case 0x8848:
		return CW_LAYER_MPLS;
	case 0x8863:
	case 0x8864:
		return CW_LAYER_PPPOE;
	default:
		return CW_LAYER_PAYLOAD;
	}
}

/* IEEE 802.3: the type is the length of an LLC frame. Two bytes ff mean Novell's raw IPX. */
enum cw_layer_type cw_walk_length(struct cw_walk *walk, struct cw_layer *layer, uint16_t length)
{
	const uint8_t *at = walk->data + walk->at;

	cw_walk_limit(walk, layer, length);
	if (!walk->network_end)
		walk->network_end = walk->end;
	if (cw_walk_room(walk) >= 2 && at[0] == 0xff && at[1] == 0xff)
		return CW_LAYER_PAYLOAD;
	return CW_LAYER_LLC;
}

enum cw_layer_type cw_step_llc(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t room = cw_walk_room(walk);
	bool is_long = room >= 3 && (at[2] & 3) != 3; /* information and supervisory frames */

	if (room < (is_long ? 4u : 3u))
		return cw_walk_fail(walk, layer, CW_LAYER_LLC, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_LLC);
	layer->llc = (struct cw_llc){at[0], at[1], is_long ? cw_load_be16(at + 2) : at[2]};
	cw_walk_skip(walk, layer, is_long ? 4 : 3);
	if (at[0] == 0xaa && at[1] == 0xaa && at[2] == 3)
		return cw_walk_finish(walk, layer, CW_LAYER_SNAP);
	return cw_walk_finish(walk, layer, CW_LAYER_PAYLOAD);
}

/* OUI 0, and 00-00-F8 of 802.1H, carry ethertypes. */
enum cw_layer_type cw_step_snap(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	enum cw_layer_type next = CW_LAYER_PAYLOAD;

	if (cw_walk_room(walk) < 5)
		return cw_walk_fail(walk, layer, CW_LAYER_SNAP, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_SNAP);
	layer->snap.oui = (uint32_t)at[0] << 16 | cw_load_be16(at + 1);
	layer->snap.type = cw_load_be16(at + 3);
	cw_walk_skip(walk, layer, 5);
	if (layer->snap.oui == 0 || layer->snap.oui == 0xf8)
		next = cw_walk_ethertype(walk, layer->snap.type);
	return cw_walk_finish(walk, layer, next);
}

enum cw_layer_type cw_step_mpls(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t entry;

	if (cw_walk_room(walk) < 4)
		return cw_walk_fail(walk, layer, CW_LAYER_MPLS, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_MPLS);
	entry = cw_load_be32(at);
	layer->mpls = (struct cw_mpls){entry >> 12, entry >> 9 & 7, entry >> 8 & 1, (uint8_t)entry};
	cw_walk_skip(walk, layer, 4);
	if (layer->mpls.is_bottom)
		return cw_walk_finish(walk, layer, cw_walk_version(walk));
	return cw_walk_finish(walk, layer, CW_LAYER_MPLS);
}

/* Code 0 is session data; other codes set up the session. */
enum cw_layer_type cw_step_pppoe(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;

	if (cw_walk_room(walk) < 6)
		return cw_walk_fail(walk, layer, CW_LAYER_PPPOE, CW_LAYER_ERROR_SHORT);
	if (at[0] != 0x11)
		return cw_walk_fail(walk, layer, CW_LAYER_PPPOE, CW_LAYER_ERROR_VERSION);
	cw_walk_begin(walk, layer, CW_LAYER_PPPOE);
	layer->pppoe = (struct cw_pppoe){at[0] >> 4, at[0] & 15, at[1], cw_load_be16(at + 2),
					 cw_load_be16(at + 4)};
	cw_walk_skip(walk, layer, 6);
	cw_walk_limit(walk, layer, layer->pppoe.payload_bytes);
	return cw_walk_finish(walk, layer, at[1] == 0 ? CW_LAYER_PPP : CW_LAYER_PAYLOAD);
}

/* The bytes ff 03 may be absent, and the protocol's high byte if it is 0. */
enum cw_layer_type cw_step_ppp(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t room = cw_walk_room(walk), bytes = 0;
	enum cw_layer_type next = CW_LAYER_PAYLOAD;
	bool is_short;

	if (room >= 2 && at[0] == 0xff && at[1] == 0x03)
		bytes = 2;
	is_short = room > bytes && (at[bytes] & 1);
	if (room < bytes + (is_short ? 1 : 2))
		return cw_walk_fail(walk, layer, CW_LAYER_PPP, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_PPP);
	layer->ppp.protocol = is_short ? at[bytes] : cw_load_be16(at + bytes);
	cw_walk_skip(walk, layer, bytes + (is_short ? 1 : 2));
	switch (layer->ppp.protocol) {
	case 0x0021:
		next = CW_LAYER_IPV4;
		break;
	case 0x0057:
		next = CW_LAYER_IPV6;
		break;
	case 0x0281:
	case 0x0283:
		next = CW_LAYER_MPLS;
		break;
	}
	return cw_walk_finish(walk, layer, next);
}

enum cw_layer_type cw_step_arp(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;
	uint32_t room = cw_walk_room(walk), header_bytes, h, p;
	struct cw_arp *arp = &layer->arp;

	header_bytes = room < 8 ? 8 : 8 + 2u * at[4] + 2u * at[5];
	if (room < header_bytes)
		return cw_walk_fail(walk, layer, CW_LAYER_ARP, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_ARP);
	h = at[4];
	p = at[5];
	*arp = (struct cw_arp){.hardware_type = cw_load_be16(at),
			       .protocol_type = cw_load_be16(at + 2),
			       .operation = cw_load_be16(at + 6),
			       .hardware_bytes = at[4],
			       .protocol_bytes = at[5]};
	if (h == 6) {
		memcpy(arp->sender_hardware, at + 8, 6);
		memcpy(arp->target_hardware, at + 8 + h + p, 6);
	}
	if (p == 4) {
		memcpy(arp->sender_protocol, at + 8 + h, 4);
		memcpy(arp->target_protocol, at + 8 + h + p + h, 4);
	}
	if (!walk->network_end)
		walk->network_end = walk->at + header_bytes;
	cw_walk_skip(walk, layer, header_bytes);
	walk->end = walk->at; /* the rest is padding */
	return cw_walk_finish(walk, layer, CW_LAYER_NONE);
}

/* Netlink's protocols are not ethertypes. */
#define ARPHRD_OF_NETLINK 824u

static enum cw_layer_type next_of_sll(struct cw_walk *walk, const struct cw_layer *layer)
{
	if (layer->sll.hardware_type == ARPHRD_OF_NETLINK)
		return CW_LAYER_PAYLOAD;
	if (layer->sll.protocol == 4)
		return CW_LAYER_LLC;
	return cw_walk_ethertype(walk, layer->sll.protocol);
}

enum cw_layer_type cw_step_sll(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;

	if (cw_walk_room(walk) < 16)
		return cw_walk_fail(walk, layer, CW_LAYER_SLL, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_SLL);
	layer->sll = (struct cw_sll){.packet_type = cw_load_be16(at),
				     .hardware_type = cw_load_be16(at + 2),
				     .address_bytes = cw_load_be16(at + 4),
				     .protocol = cw_load_be16(at + 14)};
	memcpy(layer->sll.address, at + 6, 8);
	cw_walk_skip(walk, layer, 16);
	return cw_walk_finish(walk, layer, next_of_sll(walk, layer));
}

enum cw_layer_type cw_step_sll2(struct cw_walk *walk, struct cw_layer *layer)
{
	const uint8_t *at = walk->data + walk->at;

	if (cw_walk_room(walk) < 20)
		return cw_walk_fail(walk, layer, CW_LAYER_SLL2, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_SLL2);
	layer->sll = (struct cw_sll){.packet_type = at[10],
				     .hardware_type = cw_load_be16(at + 8),
				     .address_bytes = at[11],
				     .protocol = cw_load_be16(at),
				     .interface = cw_load_be32(at + 4)};
	memcpy(layer->sll.address, at + 12, 8);
	cw_walk_skip(walk, layer, 20);
	return cw_walk_finish(walk, layer, next_of_sll(walk, layer));
}

/*
 * The family has the byte order of the capturing machine (NULL) or of the network (LOOP); families
 * are small numbers, so the order is visible. IPv6 has another number on every system.
 */
enum cw_layer_type cw_step_loopback(struct cw_walk *walk, struct cw_layer *layer)
{
	enum cw_layer_type next = CW_LAYER_PAYLOAD;
	uint32_t family;

	if (cw_walk_room(walk) < 4)
		return cw_walk_fail(walk, layer, CW_LAYER_LOOPBACK, CW_LAYER_ERROR_SHORT);
	cw_walk_begin(walk, layer, CW_LAYER_LOOPBACK);
	family = cw_load_be32(walk->data + walk->at);
	if (family > 0xffff)
		family = __builtin_bswap32(family);
	layer->loopback.family = family;
	cw_walk_skip(walk, layer, 4);
	if (family == 2)
		next = CW_LAYER_IPV4;
	else if (family == 10 || family == 24 || family == 28 || family == 30)
		next = CW_LAYER_IPV6;
	return cw_walk_finish(walk, layer, next);
}
