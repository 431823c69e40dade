/* SPDX-License-Identifier: BSD-3-Clause */
/* Walks a packet step by step: all layers, or chosen ones; and the names of layers. */
#include "core/decode/decode.h"

#include "core/decode/walk_fast.h"
#include "core/packet/linktype.h"

#define LINKTYPE_PPP 9u
#define LINKTYPE_RAW_BSD 12u
#define LINKTYPE_RAW_OPENBSD 14u
#define LINKTYPE_PPP_HDLC 50u
#define LINKTYPE_PPP_ETHER 51u
#define LINKTYPE_LOOP 108u
#define LINKTYPE_IPV4 228u
#define LINKTYPE_IPV6 229u

static const char *const names[CW_LAYER_COUNT] = {
    [CW_LAYER_NONE] = "none",
    [CW_LAYER_ETHERNET] = "ethernet",
    [CW_LAYER_VLAN] = "vlan",
    [CW_LAYER_IPV4] = "ipv4",
    [CW_LAYER_IPV6] = "ipv6",
    [CW_LAYER_TCP] = "tcp",
    [CW_LAYER_UDP] = "udp",
    [CW_LAYER_PAYLOAD] = "payload",
    [CW_LAYER_LLC] = "llc",
    [CW_LAYER_SNAP] = "snap",
    [CW_LAYER_MPLS] = "mpls",
    [CW_LAYER_PPPOE] = "pppoe",
    [CW_LAYER_PPP] = "ppp",
    [CW_LAYER_ARP] = "arp",
    [CW_LAYER_HOP_BY_HOP] = "ipv6-hop-by-hop",
    [CW_LAYER_ROUTING] = "ipv6-routing",
    [CW_LAYER_IPV6_FRAGMENT] = "ipv6-fragment",
    [CW_LAYER_DESTINATION] = "ipv6-destination",
    [CW_LAYER_ICMPV4] = "icmpv4",
    [CW_LAYER_ICMPV6] = "icmpv6",
    [CW_LAYER_IGMP] = "igmp",
    [CW_LAYER_SCTP] = "sctp",
    [CW_LAYER_UDPLITE] = "udplite",
    [CW_LAYER_GRE] = "gre",
    [CW_LAYER_ETHERIP] = "etherip",
    [CW_LAYER_AH] = "ah",
    [CW_LAYER_ESP] = "esp",
    [CW_LAYER_SLL] = "sll",
    [CW_LAYER_SLL2] = "sll2",
    [CW_LAYER_LOOPBACK] = "loopback",
    [CW_LAYER_DNS] = "dns",
    [CW_LAYER_VXLAN] = "vxlan",
    [CW_LAYER_GENEVE] = "geneve",
    [CW_LAYER_GTPU] = "gtpu",
    [CW_LAYER_ERSPAN] = "erspan",
    [CW_LAYER_FRAGMENT] = "fragment",
    [CW_LAYER_FAILURE] = "failure",
};

static const char *const error_texts[] = {
    [CW_LAYER_ERROR_NONE] = "no error",
    [CW_LAYER_ERROR_SHORT] = "the packet ends inside the header",
    [CW_LAYER_ERROR_VERSION] = "impossible version",
    [CW_LAYER_ERROR_HEADER] = "header length too small",
    [CW_LAYER_ERROR_LENGTH] = "length smaller than the header",
    [CW_LAYER_ERROR_DEPTH] = "too many tunnels",
    [CW_LAYER_ERROR_COUNT] = "too many layers",
    [CW_LAYER_ERROR_LINKTYPE] = "no decoder for this link type",
};

const char *cw_layer_name(unsigned type)
{
	return type < CW_LAYER_COUNT ? names[type] : "?";
}

const char *cw_layer_error_text(unsigned error)
{
	return error < CW_ARRAY_COUNT(error_texts) ? error_texts[error] : "?";
}

enum cw_layer_type cw_decode_first(uint32_t linktype)
{
	switch (linktype) {
	case CW_LINKTYPE_ETHERNET:
		return CW_LAYER_ETHERNET;
	case CW_LINKTYPE_RAW:
	case LINKTYPE_RAW_BSD:
	case LINKTYPE_RAW_OPENBSD:
		return CW_LAYER_NONE;
	case LINKTYPE_IPV4:
		return CW_LAYER_IPV4;
	case LINKTYPE_IPV6:
		return CW_LAYER_IPV6;
	case CW_LINKTYPE_NULL:
	case LINKTYPE_LOOP:
		return CW_LAYER_LOOPBACK;
	case CW_LINKTYPE_LINUX_SLL:
		return CW_LAYER_SLL;
	case CW_LINKTYPE_LINUX_SLL2:
		return CW_LAYER_SLL2;
	case LINKTYPE_PPP:
	case LINKTYPE_PPP_HDLC:
		return CW_LAYER_PPP;
	case LINKTYPE_PPP_ETHER:
		return CW_LAYER_PPPOE;
	default:
		return CW_LAYER_FAILURE;
	}
}

/* Run a rare step. */
static enum cw_layer_type step_rare(enum cw_layer_type type, struct cw_walk *walk,
				    struct cw_layer *layer)
{
	static cw_step *const steps[CW_LAYER_COUNT] = {
	    [CW_LAYER_LLC] = cw_step_llc,         [CW_LAYER_SNAP] = cw_step_snap,
	    [CW_LAYER_MPLS] = cw_step_mpls,       [CW_LAYER_PPPOE] = cw_step_pppoe,
	    [CW_LAYER_PPP] = cw_step_ppp,         [CW_LAYER_ARP] = cw_step_arp,
	    [CW_LAYER_ROUTING] = cw_step_routing, [CW_LAYER_IPV6_FRAGMENT] = cw_step_ipv6_fragment,
	    [CW_LAYER_ICMPV4] = cw_step_icmpv4,   [CW_LAYER_ICMPV6] = cw_step_icmpv6,
	    [CW_LAYER_IGMP] = cw_step_igmp,       [CW_LAYER_SCTP] = cw_step_sctp,
	    [CW_LAYER_UDPLITE] = cw_step_udplite, [CW_LAYER_GRE] = cw_step_gre,
	    [CW_LAYER_ETHERIP] = cw_step_etherip, [CW_LAYER_AH] = cw_step_ah,
	    [CW_LAYER_ESP] = cw_step_esp,         [CW_LAYER_SLL] = cw_step_sll,
	    [CW_LAYER_SLL2] = cw_step_sll2,       [CW_LAYER_LOOPBACK] = cw_step_loopback,
	    [CW_LAYER_DNS] = cw_step_dns,         [CW_LAYER_VXLAN] = cw_step_vxlan,
	    [CW_LAYER_GENEVE] = cw_step_geneve,   [CW_LAYER_GTPU] = cw_step_gtpu,
	    [CW_LAYER_ERSPAN] = cw_step_erspan,
	};

	if (type == CW_LAYER_HOP_BY_HOP || type == CW_LAYER_DESTINATION) {
		enum cw_layer_type next = cw_step_extension(walk, layer);

		if (layer->type != CW_LAYER_FAILURE)
			layer->type = (uint8_t)type;
		else
			layer->failure.type = (uint8_t)type;
		return next;
	}
	return steps[type](walk, layer);
}

FAST enum cw_layer_type step(enum cw_layer_type type, struct cw_walk *walk, struct cw_layer *layer)
{
	enum cw_layer_type next;
	struct cw_walk away;

	switch (type) {
	case CW_LAYER_ETHERNET:
		return step_ethernet(walk, layer);
	case CW_LAYER_VLAN:
		return step_vlan(walk, layer);
	case CW_LAYER_IPV4:
		return step_ipv4(walk, layer);
	case CW_LAYER_IPV6:
		return step_ipv6(walk, layer);
	case CW_LAYER_TCP:
		return step_tcp(walk, layer);
	case CW_LAYER_UDP:
		return step_udp(walk, layer);
	case CW_LAYER_PAYLOAD:
	case CW_LAYER_FRAGMENT:
	case CW_LAYER_FAILURE:
		return step_rest(walk, layer, type);
	default:
		away = *walk;
		next = step_rare(type, &away, layer);
		*walk = away;
		return next;
	}
}

/* Start a walk; returns the type of the first layer. */
FAST enum cw_layer_type start(struct cw_walk *walk, const uint8_t *data, uint32_t caplen,
			      uint32_t linktype)
{
	enum cw_layer_type next;

	*walk = (struct cw_walk){.data = data, .end = caplen};
	if (cw_likely(linktype == CW_LINKTYPE_ETHERNET))
		return CW_LAYER_ETHERNET;
	next = cw_decode_first(linktype);
	if (next == CW_LAYER_NONE) {
		next = cw_walk_version(walk);
		if (next == CW_LAYER_PAYLOAD) {
			walk->failure = (struct cw_failure){CW_LAYER_IPV4, CW_LAYER_ERROR_VERSION};
			next = CW_LAYER_FAILURE;
		}
	} else if (next == CW_LAYER_FAILURE) {
		walk->failure = (struct cw_failure){CW_LAYER_NONE, CW_LAYER_ERROR_LINKTYPE};
	}
	return next;
}

void cw_decode_layers(const uint8_t *data, uint32_t caplen, uint32_t linktype,
		      struct cw_layers *layers)
{
	struct cw_walk walk;
	enum cw_layer_type next = start(&walk, data, caplen, linktype);
	struct cw_layer *layer = layers->at;
	uint32_t flags = 0;

	while (next != CW_LAYER_NONE && walk.at < walk.end) {
		if (cw_unlikely(layer == layers->at + CW_LAYERS_MAX - 1)) {
			walk.failure = (struct cw_failure){(uint8_t)next, CW_LAYER_ERROR_COUNT};
			next = CW_LAYER_FAILURE;
		}
		next = step(next, &walk, layer);
		flags |= layer->flags;
		layer++;
	}
	layers->count = (uint32_t)(layer - layers->at);
	layers->flags = flags;
	layers->padding_bytes = walk.network_end ? caplen - walk.network_end : 0;
}

const struct cw_layer *cw_layers_find(const struct cw_layers *layers, enum cw_layer_type type)
{
	for (uint32_t index = 0; index < layers->count; index++)
		if (layers->at[index].type == type)
			return &layers->at[index];
	return NULL;
}

uint32_t cw_decode_chosen(const uint8_t *data, uint32_t caplen, uint32_t linktype,
			  struct cw_chosen *chosen)
{
	struct cw_walk walk;
	enum cw_layer_type next = start(&walk, data, caplen, linktype);
	uint32_t count = 0;

	chosen->failure = (struct cw_failure){0, 0};
	while (next != CW_LAYER_NONE && walk.at < walk.end) {
		struct cw_layer *layer = chosen->at[next];
		enum cw_layer_type type = next;

		if (cw_unlikely(count == CW_LAYERS_MAX - 1)) {
			walk.failure = (struct cw_failure){(uint8_t)next, CW_LAYER_ERROR_COUNT};
			next = CW_LAYER_FAILURE;
		}
		if (next == CW_LAYER_FAILURE) {
			chosen->failure = walk.failure;
			break;
		}
		if (!layer)
			break;
		next = step(type, &walk, layer);
		if (cw_unlikely(layer->type == CW_LAYER_FAILURE)) {
			chosen->failure = layer->failure;
			next = CW_LAYER_FAILURE;
			break;
		}
		chosen->order[count++] = (uint8_t)type;
	}
	chosen->next = walk.at < walk.end ? (uint8_t)next : (uint8_t)CW_LAYER_NONE;
	chosen->count = count;
	return count;
}
