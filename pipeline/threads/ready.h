/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ready set: which of a fixed number of items have work. Any thread adds and takes, in a few
 * atomic operations and without waiting for another thread. (In a ring with several producers the
 * producers wait for each other: with more threads than cores, each push could cost a scheduler
 * time slice.) Items are taken in rotation, so that none waits for ever.
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
	/* Shared. Sequentially consistent: the taker of a word's last bit clears the summary bit
	 * and looks at the word again; an adder sets the word's bit, then its summary [READY-1]. */
	_Atomic uint64_t *words;   /* one bit per item */
	_Atomic uint64_t *summary; /* one bit per word that may have bits; in memory after them */
};

/* Makes a set for the numbers 0 to count - 1. 0 or -ENOMEM. */
int cw_ready_init(struct cw_ready *ready, uint32_t count);
void cw_ready_fini(struct cw_ready *ready); /* accepts a zeroed one */

/* [READY-1] release. Adds an item that is not in the set. */
void cw_ready_add(struct cw_ready *ready, uint32_t index);

/* [READY-1] acquire. Takes the first item at or after `from`, wrapping around; CW_READY_NONE: the
 * set is empty. */
uint32_t cw_ready_take(struct cw_ready *ready, uint32_t from);

#endif
