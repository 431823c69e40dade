/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The base of the decoders of single layers. A step decodes the layer at walk->at into `layer`,
 * moves walk->at past the header, and returns the type of the next layer. It reads nothing from
 * walk->end on, which only ever shrinks. A step that cannot decode its layer makes it a failure and
 * ends the walk.
 */
#ifndef CW_CORE_DECODE_WALK_H
#define CW_CORE_DECODE_WALK_H

#include "core/decode/layer.h"

struct cw_walk {
	const uint8_t *data;
	uint32_t at;
	uint32_t end;         /* end of the bytes of the next layer */
	uint32_t network_end; /* end of the outermost network layer; 0: none yet */
	uint16_t type;        /* ethertype that led to the next layer, for VLAN tags and GRE */
	uint8_t tunnel;
	struct cw_failure failure; /* if the next layer is a failure */
};

typedef enum cw_layer_type cw_step(struct cw_walk *walk, struct cw_layer *layer);

/* The rare steps; the frequent ones are in walk_fast.h. */
cw_step cw_step_llc, cw_step_snap, cw_step_mpls, cw_step_pppoe, cw_step_ppp, cw_step_arp,
    cw_step_sll, cw_step_sll2, cw_step_loopback; /* link.c */
cw_step cw_step_extension, cw_step_routing, cw_step_ipv6_fragment, cw_step_icmpv4, cw_step_icmpv6,
    cw_step_igmp, cw_step_ah, cw_step_esp, cw_step_sctp, cw_step_udplite; /* network.c */
cw_step cw_step_gre, cw_step_etherip, cw_step_vxlan, cw_step_geneve, cw_step_gtpu, cw_step_erspan,
    cw_step_dns; /* tunnel.c */

/* The next layer by ethertype, IP protocol or UDP ports that the fast steps do not know. */
enum cw_layer_type cw_walk_ethertype(struct cw_walk *walk, uint16_t type);
enum cw_layer_type cw_walk_length(struct cw_walk *walk, struct cw_layer *layer, uint16_t length);
enum cw_layer_type cw_walk_protocol(struct cw_walk *walk, uint8_t protocol);
enum cw_layer_type cw_walk_udp_ports(struct cw_walk *walk, uint16_t destination, uint16_t source);
enum cw_layer_type cw_walk_tcp_dns(struct cw_walk *walk);

/* Check and read options: `bytes` of them at `at`. */
void cw_walk_ipv4_options(const uint8_t *at, uint32_t bytes, struct cw_layer *layer);
void cw_walk_tcp_options(const uint8_t *at, uint32_t bytes, struct cw_layer *layer);

static inline __attribute__((always_inline)) uint32_t cw_walk_room(const struct cw_walk *walk)
{
	return walk->end - walk->at;
}

static inline __attribute__((always_inline)) void
cw_walk_begin(const struct cw_walk *walk, struct cw_layer *layer, enum cw_layer_type type)
{
	layer->type = (uint8_t)type;
	layer->flags = 0;
	layer->tunnel = walk->tunnel;
	layer->reserved = 0;
	layer->offset = walk->at;
}

/* Move past the header. walk->end may still shrink, so cw_walk_finish sets payload_bytes. */
static inline __attribute__((always_inline)) void
cw_walk_skip(struct cw_walk *walk, struct cw_layer *layer, uint32_t header_bytes)
{
	layer->header_bytes = header_bytes;
	walk->at += header_bytes;
}

static inline __attribute__((always_inline)) enum cw_layer_type
cw_walk_finish(const struct cw_walk *walk, struct cw_layer *layer, enum cw_layer_type next)
{
	layer->payload_bytes = walk->end - walk->at;
	return next;
}

/* Make the layer a failure that holds the rest of the bytes. */
static inline __attribute__((always_inline)) enum cw_layer_type
cw_walk_fail(struct cw_walk *walk, struct cw_layer *layer, enum cw_layer_type type,
	     enum cw_layer_error error)
{
	cw_walk_begin(walk, layer, CW_LAYER_FAILURE);
	if (error == CW_LAYER_ERROR_SHORT)
		layer->flags = CW_LAYER_TRUNCATED;
	layer->header_bytes = 0;
	layer->payload_bytes = walk->end - walk->at;
	layer->failure = (struct cw_failure){(uint8_t)type, (uint8_t)error};
	return CW_LAYER_NONE;
}

/* Enter a tunnel before the next layer. */
static inline __attribute__((always_inline)) enum cw_layer_type
cw_walk_tunnel(struct cw_walk *walk, enum cw_layer_type next)
{
	if (next == CW_LAYER_PAYLOAD)
		return next;
	if (walk->tunnel == CW_TUNNELS_MAX) {
		walk->failure = (struct cw_failure){(uint8_t)next, CW_LAYER_ERROR_DEPTH};
		return CW_LAYER_FAILURE;
	}
	walk->tunnel++;
	return next;
}

/* The kind of IP, by its version. */
static inline __attribute__((always_inline)) enum cw_layer_type
cw_walk_version(const struct cw_walk *walk)
{
	unsigned version = walk->at < walk->end ? walk->data[walk->at] >> 4 : 0;

	return version == 4 ? CW_LAYER_IPV4 : version == 6 ? CW_LAYER_IPV6 : CW_LAYER_PAYLOAD;
}

/* Limit the layer to the `stated` bytes from walk->at on, or mark it truncated. */
static inline __attribute__((always_inline)) void
cw_walk_limit(struct cw_walk *walk, struct cw_layer *layer, uint32_t stated)
{
	if (stated > walk->end - walk->at)
		layer->flags |= CW_LAYER_TRUNCATED;
	else
		walk->end = walk->at + stated;
}

#endif
