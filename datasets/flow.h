/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flows: the hosts, protocol and progress of each conversation. Flows are drawn from a table with a
 * Zipf-like skew, so that a few flows carry much and most carry little.
 *
 * Addresses: clients in 198.18.0.0/17 and 2001:db8::/33, servers in 198.19.0.0/19 and
 * 2001:db8:100::/48 (the ranges that RFC 2544 and RFC 3849 set aside).
 */
#ifndef CW_DATASETS_FLOW_H
#define CW_DATASETS_FLOW_H

#include <stdbool.h>

#include "datasets/random.h"
#include "datasets/traffic.h"

/* The ends of a flow: indices of its two-element arrays. */
enum cw_flow_end {
	CW_FLOW_CLIENT,
	CW_FLOW_SERVER,
};

enum cw_flow_extension { /* bits: IPv6 extension headers of a flow's packets */
			 CW_EXTENSION_HOP_BY_HOP = 1 << 0,
			 CW_EXTENSION_DESTINATION = 1 << 1,
			 CW_EXTENSION_ROUTING = 1 << 2,
			 CW_EXTENSION_FRAGMENT =
			     1 << 3, /* an atomic fragment: offset 0, no more fragments */
			 CW_EXTENSION_ANY = 15,
};

struct cw_flow {
	uint8_t address[2][16]; /* IPv4: the first four bytes */
	uint8_t mac[2][6];
	uint16_t port[2];
	uint32_t seq[2]; /* next TCP sequence number, ESP and echo counter */
	uint16_t ip_id;
	uint16_t vlan_id;
	uint8_t kind;            /* enum cw_traffic_kind */
	uint8_t tag_count;       /* 0, 1 = 802.1Q, 2 = 802.1ad with 802.1Q inside */
	uint8_t extensions;      /* enum cw_flow_extension */
	uint8_t ip_option_words; /* 32-bit words of IPv4 options, in every eighth packet */
	uint8_t hop_limit[2];
	bool is_ipv6;
	bool has_timestamps;  /* TCP option on every segment */
	bool is_text;         /* payload is readable text; false: cipher text */
	uint32_t step;        /* packets since the conversation's start */
	uint32_t length;      /* TCP: packets of one connection */
	uint32_t query;       /* DNS: the name and id of the last query */
	uint32_t pool_offset; /* fragments: offset of the datagram's bytes in the pool */
	uint16_t piece_bytes; /* fragments: IP payload bytes in each piece but the last */
};

/* Shares of kinds and features, per mille. */
struct cw_flow_mix {
	uint16_t kinds[CW_TRAFFIC_KIND_COUNT]; /* sums to 1000 */
	uint16_t ipv6;
	uint16_t tagged_once;
	uint16_t tagged_twice;
	uint16_t ip_options;
};

struct cw_flows;

/* Makes the table of CW_TRAFFIC_FLOWS flows. 0 or -ENOMEM. */
int cw_flows_open(struct cw_flows **flows, const struct cw_flow_mix *mix, struct cw_random *random);

/* Draws a flow; fills `index`. */
struct cw_flow *cw_flows_draw(struct cw_flows *flows, struct cw_random *random, uint32_t *index);

void cw_flows_close(struct cw_flows *flows);

#endif
