/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bounded queues between threads: Concurrency Kit rings of pointers. They never block; idle
 * threads park at a gate (gate.h). A ring has any number of consumers and one producer at a time;
 * the producer may be a role that passes between threads, such as the sequencer's turn. (With
 * several producers, one that is preempted in a push makes the others spin away their time slices;
 * with more threads than cores that was seen to last for minutes.)
 */
#ifndef CW_PIPELINE_THREADS_RING_H
#define CW_PIPELINE_THREADS_RING_H

#include <stdbool.h>
#include <stddef.h>

struct cw_ring;

/* Makes a ring for at least `capacity` pointers. 0 or -ENOMEM. */
int cw_ring_new(struct cw_ring **ring, size_t capacity);
void cw_ring_free(struct cw_ring *ring); /* accepts NULL */

/* [RING-1] release: writes before the push are seen after the pop. False: the ring is full. */
bool cw_ring_push_spmc(struct cw_ring *ring, void *item);

/* [RING-1] acquire. NULL: the ring is empty. */
void *cw_ring_pop_spmc(struct cw_ring *ring);

#endif
