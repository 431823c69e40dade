/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bounded queues between threads: Concurrency Kit rings of pointers. They never block; who
 * finds nothing to do parks at a gate (gate.h). A ring has any number of consumers, and one
 * producer at a time, which may be a role that goes round, such as the sequencer's turn. (With
 * several producers one that is put to sleep in the middle of a push holds up the others, each of
 * them spinning its time slice away; with more threads than cores that was seen to go on for
 * minutes.)
 */
#ifndef CW_PIPELINE_THREADS_RING_H
#define CW_PIPELINE_THREADS_RING_H

#include <stdbool.h>
#include <stddef.h>

struct cw_ring;

/* A ring with room for at least `capacity` pointers. 0 or -ENOMEM. */
int cw_ring_new(struct cw_ring **ring, size_t capacity);
void cw_ring_free(struct cw_ring *ring); /* accepts NULL */

/* [RING-1] release: what was written before the push is seen after the pop. False: it is full. */
bool cw_ring_push_spmc(struct cw_ring *ring, void *item);

/* [RING-1] acquire: see push. NULL: it is empty. */
void *cw_ring_pop_spmc(struct cw_ring *ring);

#endif
