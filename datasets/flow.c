/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of flows and its skew. Builds no packets. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "datasets/flow.h"

#define SKEW_SLOTS (1u << 20)
#define SKEW_FLATTEN 4u /* a larger value makes the first flows stand out less */

struct cw_flows {
	struct cw_flow flows[CW_TRAFFIC_FLOWS];
	uint16_t skew[SKEW_SLOTS]; /* slot to flow; a flow's slots follow its weight */
};

static_assert(CW_TRAFFIC_FLOWS <= UINT16_MAX, "a skew slot names every flow");

static const uint16_t tcp_services[] = {443, 443, 443, 443,  443,  80,   80,   80,
					22,  25,  993, 8080, 3306, 5432, 6379, 179};
static const uint16_t udp_services[] = {443,  443,  443,  123,  161,  514,
					1194, 4500, 5060, 1812, 6081, 4789};
static const uint16_t text_services[] = {80, 25, 8080, 6379, 514, 5060};

static bool chance(struct cw_random *random, uint32_t per_mille)
{
	return cw_random_below(random, 1000) < per_mille;
}

/*
 * Fills the skew: rank i weighs 1 / (i + SKEW_FLATTEN), the Zipf-Mandelbrot law with exponent 1.
 * The weights are rational, so the table needs no floating point.
 */
static void fill_skew(uint16_t *skew)
{
	uint64_t total = 0, sum = 0;
	uint32_t slot = 0;

	for (uint32_t i = 0; i < CW_TRAFFIC_FLOWS; i++)
		total += (UINT64_C(1) << 36) / (i + 1 + SKEW_FLATTEN);
	for (uint32_t i = 0; i < CW_TRAFFIC_FLOWS; i++) {
		sum += (UINT64_C(1) << 36) / (i + 1 + SKEW_FLATTEN);
		/* sum < 2^40 and SKEW_SLOTS is 2^20: the product fits. */
		for (uint32_t end = (uint32_t)(sum * SKEW_SLOTS / total); slot < end; slot++)
			skew[slot] = (uint16_t)i;
	}
}

/*
 * Returns the kind of rank `index`. Multiples of the golden ratio spread evenly over [0, 1), so
 * that each kind has its share among the heavy flows too, for any seed.
 */
static uint8_t kind_of(const struct cw_flow_mix *mix, uint32_t index)
{
	uint32_t turn = (index + 1) * UINT32_C(2654435769);
	uint32_t rest = (uint32_t)(((uint64_t)turn * 1000) >> 32);
	uint8_t kind = 0;

	while (rest >= mix->kinds[kind])
		rest -= mix->kinds[kind++];
	return kind;
}

static bool kind_is_ipv6(uint8_t kind, const struct cw_flow_mix *mix, struct cw_random *random)
{
	bool is_ipv6 = chance(random, mix->ipv6);

	switch (kind) {
	case CW_TRAFFIC_IPV6_EXTENSION:
	case CW_TRAFFIC_ICMPV6:
		return true;
	case CW_TRAFFIC_ICMP:
	case CW_TRAFFIC_ARP:
	case CW_TRAFFIC_LINK:
		return false;
	default:
		return is_ipv6;
	}
}

static void set_addresses(struct cw_flow *flow, struct cw_random *random)
{
	uint8_t *client = flow->address[CW_FLOW_CLIENT], *server = flow->address[CW_FLOW_SERVER];
	uint8_t host = (uint8_t)(1 + cw_random_below(random, 254));
	uint8_t client_net = (uint8_t)cw_random_below(random, 128);
	uint8_t service = (uint8_t)(1 + cw_random_below(random, 100));
	uint8_t server_net = (uint8_t)cw_random_below(random, 32);

	if (flow->is_ipv6) {
		memcpy(client, (uint8_t[]){0x20, 0x01, 0x0d, 0xb8}, 4);
		memcpy(server, (uint8_t[]){0x20, 0x01, 0x0d, 0xb8, 0x01}, 5);
		client[5] = client_net;
		client[15] = host;
		server[14] = server_net;
		server[15] = service;
	} else {
		memcpy(client, (uint8_t[]){198, 18, client_net, host}, 4);
		memcpy(server, (uint8_t[]){198, 19, server_net, service}, 4);
	}
	/* A host has one MAC address in all flows; 02 marks it as locally administered. */
	memcpy(flow->mac[CW_FLOW_CLIENT], (uint8_t[]){2, 0, 0x5e, 18, client_net, host}, 6);
	memcpy(flow->mac[CW_FLOW_SERVER], (uint8_t[]){2, 0, 0x5e, 19, server_net, service}, 6);
}

static void set_ports(struct cw_flow *flow, struct cw_random *random)
{
	uint16_t any = (uint16_t)(1024 + cw_random_below(random, 40000));
	uint16_t *server = &flow->port[CW_FLOW_SERVER];

	flow->port[CW_FLOW_CLIENT] = (uint16_t)(1024 + cw_random_below(random, 64000));
	if (flow->kind == CW_TRAFFIC_DNS)
		*server = 53;
	else if (flow->kind == CW_TRAFFIC_TCP)
		*server = chance(random, 800) ? tcp_services[cw_random_below(random, 16)] : any;
	else
		*server = chance(random, 700) ? udp_services[cw_random_below(random, 12)] : any;
	for (size_t i = 0; i < CW_ARRAY_COUNT(text_services); i++)
		flow->is_text |= *server == text_services[i];
}

static void make_flow(struct cw_flow *flow, uint32_t index, const struct cw_flow_mix *mix,
		      struct cw_random *random)
{
	uint32_t tags = cw_random_below(random, 1000);

	flow->kind = kind_of(mix, index);
	flow->is_ipv6 = kind_is_ipv6(flow->kind, mix, random);
	set_addresses(flow, random);
	set_ports(flow, random);
	if (tags < mix->tagged_once)
		flow->tag_count = 1;
	else if (tags < mix->tagged_once + mix->tagged_twice)
		flow->tag_count = 2;
	flow->vlan_id = (uint16_t)(chance(random, 250) ? 100 : 101 + cw_random_below(random, 40));
	flow->extensions = (uint8_t)(1 + cw_random_below(random, CW_EXTENSION_ANY));
	if (chance(random, mix->ip_options))
		flow->ip_option_words = (uint8_t)(1 + cw_random_below(random, 2));
	flow->hop_limit[CW_FLOW_CLIENT] = (uint8_t)(64 - cw_random_below(random, 20));
	flow->hop_limit[CW_FLOW_SERVER] = (uint8_t)(128 - cw_random_below(random, 20));
	flow->has_timestamps = chance(random, 700);
	flow->seq[CW_FLOW_CLIENT] = (uint32_t)cw_random_next(random);
	flow->seq[CW_FLOW_SERVER] = (uint32_t)cw_random_next(random);
	flow->ip_id = (uint16_t)cw_random_next(random);
	flow->length = 96 + cw_random_below(random, 64);
	/* Connections are already open when the capture begins. */
	if (flow->kind == CW_TRAFFIC_TCP)
		flow->step = cw_random_below(random, flow->length);
}

int cw_flows_open(struct cw_flows **flows, const struct cw_flow_mix *mix, struct cw_random *random)
{
	struct cw_flows *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	fill_skew(table->skew);
	for (uint32_t i = 0; i < CW_TRAFFIC_FLOWS; i++)
		make_flow(&table->flows[i], i, mix, random);
	*flows = table;
	return 0;
}

struct cw_flow *cw_flows_draw(struct cw_flows *flows, struct cw_random *random, uint32_t *index)
{
	*index = flows->skew[cw_random_below(random, SKEW_SLOTS)];
	return &flows->flows[*index];
}

void cw_flows_close(struct cw_flows *flows)
{
	free(flows);
}
