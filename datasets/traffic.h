/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Deterministic synthetic traffic: the same profile and seed give the same bytes on every machine.
 * Integer arithmetic only; no floating point, no libc randomness, no time of day.
 */
#ifndef CW_DATASETS_TRAFFIC_H
#define CW_DATASETS_TRAFFIC_H

#include "core/error.h"
#include "core/packet.h"

#define CW_TRAFFIC_CAPLEN_MAX 1600u

struct cw_traffic;

/* The names that open takes, NULL at the end: "imix", "small", "large", "mix". */
extern const char *const cw_traffic_profiles[];

int cw_traffic_open(struct cw_traffic **traffic, const char *profile, uint64_t seed,
		    struct cw_error *error);

/* The next packet; its data is valid until the next call. Endless. iface is 0, link type Ethernet. */
void cw_traffic_next(struct cw_traffic *traffic, struct cw_packet *packet);

void cw_traffic_close(struct cw_traffic *traffic);

#endif
