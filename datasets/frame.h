/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames: the bytes of a flow's next packet, with correct lengths and checksums. */
#ifndef CW_DATASETS_FRAME_H
#define CW_DATASETS_FRAME_H

#include "datasets/flow.h"

#define CW_FRAME_BYTES_MAX 9216u
#define CW_FRAME_BYTES_MIN 60u /* Ethernet's 64 without the check sequence */
#define CW_POOL_BYTES (1u << 18)
#define CW_POOL_SLACK 16384u /* room for a payload that begins just below CW_POOL_BYTES */

/* The bytes that payloads are taken from. */
struct cw_pool {
	uint8_t cipher[CW_POOL_BYTES + CW_POOL_SLACK];
	uint8_t text[CW_POOL_BYTES + CW_POOL_SLACK];
};

struct cw_frame {
	/* inputs */
	struct cw_random *random;
	const struct cw_pool *pool;
	uint64_t ts_ns;
	size_t want_bytes; /* size to fill up to; frames of fixed size (ARP, DNS, SYN) ignore it */
	/* outputs */
	size_t bytes;
	uint8_t *network;   /* IP header, or NULL */
	uint8_t *transport; /* transport header, or NULL */
	uint8_t data[CW_FRAME_BYTES_MAX];
};

void cw_pool_fill(struct cw_pool *pool, struct cw_random *random);

/* Builds the next frame of `flow` and advances the flow. */
void cw_frame_build(struct cw_frame *frame, struct cw_flow *flow);

#endif
