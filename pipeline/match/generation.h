/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A generation: the rules as they are in force between two reloads, their filters compiled, and
 * which output each rule has. A run that reads files has one.
 *
 * The capture thread stamps each batch with the current generation when it hands it out, and that
 * is the one the batch is matched by, so a reload has one boundary in each queue. The batch holds a
 * counted reference until it is finished. Between reading the current generation and counting the
 * reference the capture thread is an RCU reader (liburcu, QSBR); it is offline all the rest of the
 * time, so a capture thread that waits for packets delays nobody. Workers are no readers: all they
 * look at is held by their batch, also when one stands still with it.
 */
#ifndef CW_PIPELINE_MATCH_GENERATION_H
#define CW_PIPELINE_MATCH_GENERATION_H

#include <pthread.h>
#include <stdatomic.h>

#include "pipeline/match/match.h"

struct cw_lane;

#define CW_GENERATION_NONE UINT64_MAX

struct cw_generation {
	/* constant once it is published */
	uint64_t number;   /* from 1 */
	uint64_t start_ns; /* CLOCK_MONOTONIC, when it was published */
	const struct cw_rules *rules;
	struct cw_rules own; /* zeroed where the rules are borrowed */
	uint32_t *outputs;   /* by rule: the index of its output */
	uint32_t lane_count;
	/* sets of link types are appended, [SET-1] */
	struct cw_matcher matcher;
	/* owner: the reloader */
	struct cw_generation *newer;
	/* shared */
	_Alignas(CW_CACHE_LINE) _Atomic uint64_t references; /* of batches */
	/* Per lane: how many packets had been handed out before its first batch of this generation;
	 * CW_GENERATION_NONE: it had none. Its capture thread writes. Sequentially consistent where
	 * no order is said: once a generation. */
	_Atomic uint64_t *firsts;
};
CW_ASSERT_LINE(struct cw_generation, references);

struct cw_generations {
	struct cw_filter_set_options filter_options; /* constant after start */
	/* [GEN-1] which batches get from now on; sequentially consistent where no order is said */
	struct cw_generation *_Atomic current;
	/* the compiler, and the sets of all generations; never held by a thread that packets need
	 */
	pthread_mutex_t sets_lock;
};

/*
 * A generation of these rules (borrowed), with no output and no filter yet. 0 or -ENOMEM. What
 * `own` holds by then is freed with it.
 */
int cw_generation_new(struct cw_generation **generation, uint64_t number,
		      const struct cw_rules *rules, uint32_t lane_count);
void cw_generation_free(struct cw_generation *generation); /* accepts NULL */

/* The lane's capture thread, in its own time: it hands out batches from now on, or no more. Only
 * where rules can be reloaded. */
void cw_generation_join(struct cw_lane *lane);
void cw_generation_leave(struct cw_lane *lane);

/* The lane's capture thread: the batch, whose span is set, is of the current generation. */
void cw_generation_stamp(struct cw_generations *generations, struct cw_lane *lane,
			 struct cw_batch *batch);

/* [GEN-2] release. The batch is finished: its reference goes. Any thread. */
void cw_generation_let_go(struct cw_batch *batch);

/*
 * The current generation, to look at; it stays until it is given back. Threads that do not capture;
 * not often, since it makes the thread a reader for the moment.
 */
struct cw_generation *cw_generation_take(struct cw_generations *generations);
void cw_generation_give_back(struct cw_generation *generation);

/* [GEN-2] acquire. Whether any batch still has it. The reloader. */
bool cw_generation_is_held(const struct cw_generation *generation);

#endif
