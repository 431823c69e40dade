/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames: the bytes of a flow's next packet, with lengths and checksums that are right. */
#ifndef CW_DATASETS_FRAME_H
#define CW_DATASETS_FRAME_H

#include "datasets/flow.h"

#define CW_FRAME_BYTES_MAX 9216u
#define CW_FRAME_BYTES_MIN 60u /* Ethernet's 64 without the check sequence */
#define CW_POOL_BYTES (1u << 18)
#define CW_POOL_SLACK 16384u /* a payload may begin anywhere below CW_POOL_BYTES */

/* Payload: runs of these bytes. */
struct cw_pool {
	uint8_t cipher[CW_POOL_BYTES + CW_POOL_SLACK];
	uint8_t text[CW_POOL_BYTES + CW_POOL_SLACK];
};

struct cw_frame {
	/* inputs */
	struct cw_random *random;
	const struct cw_pool *pool;
	uint64_t ts_ns;
	size_t want_bytes; /* filled up to this; frames of fixed shape (ARP, DNS, SYN) ignore it */
	/* outputs */
	size_t bytes;
	uint8_t *network;   /* IP header, NULL when there is none */
	uint8_t *transport; /* behind it, NULL likewise */
	uint8_t data[CW_FRAME_BYTES_MAX];
};

void cw_pool_fill(struct cw_pool *pool, struct cw_random *random);

/* Build the next frame of `flow` and advance the flow. */
void cw_frame_build(struct cw_frame *frame, struct cw_flow *flow);

#endif
