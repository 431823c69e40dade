/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bounded queues between threads: Concurrency Kit rings of pointers. They never block; who finds
 * nothing to do parks at a gate (gate.h). A ring has any number of consumers, and either one producer
 * at a time (spmc: also a role that goes round, such as the sequencer's turn) or any number (any).
 * With several producers one that is put to sleep by the scheduler in the middle of a push holds up
 * the others for that long, so rings that can do with one at a time do.
 */
#ifndef CW_PIPELINE_RING_H
#define CW_PIPELINE_RING_H

#include <stdbool.h>
#include <stddef.h>

struct cw_ring;

/* A ring with room for at least `capacity` pointers. 0 or -ENOMEM. */
int cw_ring_new(struct cw_ring **ring, size_t capacity);
void cw_ring_free(struct cw_ring *ring); /* accepts NULL */

/* [RING-1] release: what was written before the push is seen after the pop. False: it is full. */
bool cw_ring_push_spmc(struct cw_ring *ring, void *item);
bool cw_ring_push_any(struct cw_ring *ring, void *item);

/* [RING-1] acquire: see push. NULL: it is empty. One ring is always pushed and
 * popped with the same kind. */
void *cw_ring_pop_spmc(struct cw_ring *ring);
void *cw_ring_pop_any(struct cw_ring *ring);

#endif
