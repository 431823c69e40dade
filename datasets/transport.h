/* SPDX-License-Identifier: BSD-3-Clause */
/* The contents after the IP header: TCP, UDP, DNS, ICMP, GRE, ESP and pieces of datagrams. */
#ifndef CW_DATASETS_TRANSPORT_H
#define CW_DATASETS_TRANSPORT_H

#include "datasets/frame.h"

#define CW_PIECES_PER_DATAGRAM 3u

/* Returns the flow's IP protocol number. */
uint8_t cw_transport_protocol(const struct cw_flow *flow);

/* Returns the sender of the flow's next packet. */
enum cw_flow_end cw_transport_sender(const struct cw_flow *flow, struct cw_random *random);

/*
 * Writes the next packet's transport header and payload at `at`; advances the flow's counters but
 * not its step. `address_sum` is the cw_sum of both addresses. Returns the end.
 */
uint8_t *cw_transport_put(struct cw_frame *frame, struct cw_flow *flow, enum cw_flow_end from,
			  uint8_t *at, uint64_t address_sum);

#endif
