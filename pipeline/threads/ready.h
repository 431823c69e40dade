/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which of a fixed number of things have work: a set that any thread adds to and takes from, each
 * in a few atomic operations and without waiting for another thread. (A ring with several producers
 * would make them wait for each other: with more threads than cores, each push could then cost a
 * time slice of the scheduler.) Things are taken in rotation, so that none waits for ever.
 */
#ifndef CW_PIPELINE_THREADS_READY_H
#define CW_PIPELINE_THREADS_READY_H

#include <stdatomic.h>
#include <stdint.h>

#define CW_READY_NONE UINT32_MAX

struct cw_ready {
	/* constant */
	uint32_t word_count;
	uint32_t summary_count;
	/* Shared. Sequentially consistent: who takes a word's last bit clears its summary bit and
	 * looks at the word again; who adds sets the word's bit, then the summary's [READY-1]. */
	_Atomic uint64_t *words;   /* a bit a thing */
	_Atomic uint64_t *summary; /* a bit a word: it may have bits; after them in memory */
};

/* Numbers 0 to count - 1. 0 or -ENOMEM. */
int cw_ready_init(struct cw_ready *ready, uint32_t count);
void cw_ready_fini(struct cw_ready *ready); /* accepts a zeroed one */

/* [READY-1] release. The thing is not in the set. */
void cw_ready_add(struct cw_ready *ready, uint32_t index);

/* [READY-1] acquire. Take one, the first from `from` on in rotation; CW_READY_NONE: there is none.
 */
uint32_t cw_ready_take(struct cw_ready *ready, uint32_t from);

#endif
