/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How gopacket's layers differ from capweir's: gopacket has no payload after ESP and Geneve, but
 * one after ARP with padding. It treats all pieces of a datagram as fragments. It decodes LLDP. It
 * fails at routing headers other than type 0 and at bad or truncated IPv4 options. A failed IP,
 * TCP, UDP or destination options header counts in addition to its failure. It knows more protocols
 * by port, which stop its parser. Found by comparing with the program, packet by packet. Not
 * imitated: gopacket decodes IP headers of any version, and reports more errors in LLDP, RADIUS,
 * NTP and others.
 */
#include "tools/bench/gopacket.h"

/* Ports whose payload gopacket decodes as another layer. */
static const uint16_t tcp_ports[] = {53, 443, 502, 636, 989, 990, 992, 993, 994, 995, 5061};
static const uint16_t udp_ports[] = {53,   123,  4789, 67,   68,   546, 547,
				     5060, 6343, 6081, 3784, 2152, 623, 1812};

#define ETHERTYPE_LLDP 0x88ccu

static bool has_port(const uint16_t *ports, size_t count, uint16_t source, uint16_t destination)
{
	for (size_t index = 0; index < count; index++)
		if (ports[index] == source || ports[index] == destination)
			return true;
	return false;
}

static bool is_lldp(const struct cw_layer *layer)
{
	return (layer->type == CW_LAYER_ETHERNET && layer->ethernet.type == ETHERTYPE_LLDP) ||
	       (layer->type == CW_LAYER_VLAN && layer->vlan.type == ETHERTYPE_LLDP);
}

static bool are_options_bad(const struct cw_layer *ipv4)
{
	return (ipv4->flags & CW_LAYER_BAD_OPTIONS) ||
	       20u + ipv4->ipv4.options_bytes > ipv4->header_bytes; /* cut off */
}

/* Returns whether a header that fails counts as a layer in addition to its failure. */
static bool counts_failed(uint8_t type)
{
	return type == CW_LAYER_IPV4 || type == CW_LAYER_IPV6 || type == CW_LAYER_TCP ||
	       type == CW_LAYER_UDP || type == CW_LAYER_DESTINATION;
}

uint32_t cw_gopacket_count(const struct cw_layers *layers, const uint8_t *data, bool *is_failed)
{
	*is_failed = cw_layers_failed(layers) || !layers->count;
	if (!layers->count)
		return 1;
	for (uint32_t index = 0; index < layers->count; index++) {
		const struct cw_layer *layer = &layers->at[index];
		bool has_more = index + 1 < layers->count;
		uint8_t inner = has_more ? layers->at[index + 1].type : CW_LAYER_NONE;

		if (layer->type == CW_LAYER_IPV4 && are_options_bad(layer)) {
			*is_failed = true;
			return index + 2;
		}
		if ((layer->type == CW_LAYER_IPV4 && (layer->flags & CW_LAYER_PIECE)) ||
		    layer->type == CW_LAYER_IPV6_FRAGMENT) {
			*is_failed = false;
			return index + 1 + has_more;
		}
		if (layer->type == CW_LAYER_ROUTING && data[layer->offset + 2] != 0) {
			*is_failed = true;
			return index + 1;
		}
		if (layer->type == CW_LAYER_ESP || layer->type == CW_LAYER_GENEVE ||
		    (layer->type == CW_LAYER_VLAN && layer->vlan.type < 0x600))
			return index + 1;
		if (layer->type == CW_LAYER_ICMPV6 && layer->header_bytes == 8) /* echo */
			return index + 2;
		if (layer->type == CW_LAYER_ARP)
			return index + 1 + (layers->padding_bytes != 0);
		if (is_lldp(layer) && inner == CW_LAYER_PAYLOAD)
			return index + 3;
		if ((layer->flags & (CW_LAYER_TRUNCATED | CW_LAYER_BAD_OPTIONS)) &&
		    layer->type == CW_LAYER_TCP && !has_more) {
			*is_failed = true;
			return index + 2;
		}
		/* A missing hop-by-hop header is a failure to gopacket. */
		if (layer->type == CW_LAYER_IPV6 && layer->ipv6.next_header == 0 && !has_more) {
			*is_failed = true;
			return index + 2;
		}
		if (layer->type == CW_LAYER_FAILURE)
			return index + 1 + counts_failed(layer->failure.type);
	}
	return layers->count;
}

static bool is_transport(const struct cw_layer *layer)
{
	return layer->type == CW_LAYER_TCP || layer->type == CW_LAYER_UDP ||
	       layer->type == CW_LAYER_ICMPV4;
}

/* Returns whether gopacket decodes the payload after this layer. */
static bool is_known(const struct cw_layer *layer)
{
	if (layer->type == CW_LAYER_IPV4)
		return layer->ipv4.protocol == 89 || layer->ipv4.protocol == 112;
	return layer->type == CW_LAYER_ETHERNET &&
	       (layer->ethernet.type == ETHERTYPE_LLDP || layer->ethernet.type == 0x888e ||
		layer->ethernet.type == 0x2000 || layer->ethernet.type < 0x600);
}

bool cw_gopacket_parse(const struct cw_layers *layers, uint32_t *count)
{
	for (uint32_t index = 0; index < layers->count; index++) {
		const struct cw_layer *layer = &layers->at[index];
		bool has_more = layer->payload_bytes != 0;

		switch (layer->type) {
		case CW_LAYER_ETHERNET:
			if (index)
				return false;
			break;
		case CW_LAYER_IPV4:
			if ((has_more && (layer->flags & CW_LAYER_PIECE)) || are_options_bad(layer))
				return false;
			break;
		case CW_LAYER_ICMPV4:
		case CW_LAYER_PAYLOAD:
		case CW_LAYER_DNS: /* on a port that gopacket does not know */
			break;
		case CW_LAYER_TCP:
			if (layer->flags & CW_LAYER_TRUNCATED)
				return false;
			if (has_more &&
			    has_port(tcp_ports, CW_ARRAY_COUNT(tcp_ports), layer->tcp.source_port,
				     layer->tcp.destination_port))
				return false;
			break;
		case CW_LAYER_UDP:
			if (has_more &&
			    has_port(udp_ports, CW_ARRAY_COUNT(udp_ports), layer->udp.source_port,
				     layer->udp.destination_port))
				return false;
			break;
		default:
			return false;
		}
		/* A protocol unknown to gopacket ends the packet without an error. */
		if (layer->type == CW_LAYER_PAYLOAD && index && !is_transport(layer - 1)) {
			*count = index;
			return !is_known(layer - 1);
		}
	}
	*count = layers->count;
	return true;
}
