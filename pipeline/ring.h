/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bounded queues between threads: Concurrency Kit rings of pointers, any number of producers
 * and consumers. They never block; who finds nothing to do parks at a gate (gate.h).
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
bool cw_ring_push_any(struct cw_ring *ring, void *item);

/* [RING-1] acquire: see push. NULL: it is empty. */
void *cw_ring_pop_any(struct cw_ring *ring);

#endif
