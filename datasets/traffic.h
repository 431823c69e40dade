/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Deterministic synthetic traffic: the same profile and seed give the same bytes on every machine.
 * Integer arithmetic only; no floating point, no libc randomness, no time of day.
 */
#ifndef CW_DATASETS_TRAFFIC_H
#define CW_DATASETS_TRAFFIC_H

#include "core/base/error.h"
#include "core/packet/packet.h"

#define CW_TRAFFIC_CAPLEN_MAX 1600u
#define CW_TRAFFIC_FLOWS 50000u

enum cw_traffic_kind {
	CW_TRAFFIC_TCP,
	CW_TRAFFIC_UDP,
	CW_TRAFFIC_DNS,
	CW_TRAFFIC_ICMP,
	CW_TRAFFIC_ARP,
	CW_TRAFFIC_GRE,
	CW_TRAFFIC_ESP,
	CW_TRAFFIC_IPV6_EXTENSION, /* UDP after extension headers */
	CW_TRAFFIC_FRAGMENT,       /* UDP datagrams in three pieces, IPv4 and IPv6 */
	CW_TRAFFIC_ICMPV6,
	CW_TRAFFIC_LINK, /* LLDP, and spanning tree over LLC */
	CW_TRAFFIC_KIND_COUNT,
};

/* The generator's knowledge of a packet, which its bytes may not show. */
struct cw_traffic_note {
	enum cw_traffic_kind kind;
	uint32_t flow; /* index below CW_TRAFFIC_FLOWS; flow 0 carries the most packets */
	bool is_ipv6;
	uint8_t tag_count; /* VLAN tags */
	bool is_malformed; /* has wrong bytes, or is shorter than a frame */
	bool is_truncated; /* caplen < wire_len */
};

struct cw_traffic;

/* The names that cw_traffic_open takes: "imix", "small", "large", "mix"; NULL ends the list. */
extern const char *const cw_traffic_profiles[];

int cw_traffic_open(struct cw_traffic **traffic, const char *profile, uint64_t seed,
		    struct cw_error *error);

/* Fills the next packet; its data is valid until the next call. Endless. iface 0, Ethernet. */
void cw_traffic_next(struct cw_traffic *traffic, struct cw_packet *packet);

/* Returns the note on the last packet; valid until the next cw_traffic_next. */
const struct cw_traffic_note *cw_traffic_note(const struct cw_traffic *traffic);

void cw_traffic_close(struct cw_traffic *traffic);

#endif
