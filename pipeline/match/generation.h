/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A generation: the rules in force between two reloads, their compiled filters, and the output of
 * each rule. A run that reads files has one generation.
 *
 * The capture thread stamps each batch with the current generation when it hands the batch out. The
 * batch is matched by that generation, so a reload has one boundary in each queue. The batch holds
 * a counted reference until it is finished. Between reading the current generation and counting the
 * reference, the capture thread is an RCU reader (liburcu, QSBR); at all other times it is offline,
 * so a capture thread that waits for packets delays no grace period. Workers are not RCU readers:
 * their batch holds the generation, even if a worker stalls with the batch.
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
	uint64_t start_ns; /* CLOCK_MONOTONIC time of publication */
	const struct cw_rules *rules;
	struct cw_rules own; /* zeroed if the rules are borrowed */
	uint32_t *outputs;   /* by rule: index of its output */
	uint32_t lane_count;
	/* except: sets of link types are appended, [SET-1] */
	struct cw_matcher matcher;
	/* owner: the reloader */
	struct cw_generation *newer;
	/* shared */
	_Alignas(CW_CACHE_LINE) _Atomic uint64_t references; /* batches that hold the generation */
	/* Per lane: packets handed out before its first batch of this generation;
	 * CW_GENERATION_NONE: no such batch. Written by the lane's capture thread.
	 * Sequentially consistent unless an order is given: accessed once a generation. */
	_Atomic uint64_t *firsts;
};
CW_ASSERT_LINE(struct cw_generation, references);

struct cw_generations {
	struct cw_filter_set_options filter_options; /* constant after start */
	/* [GEN-1] for new batches; sequentially consistent unless an order is given */
	struct cw_generation *_Atomic current;
	/* for the compiler and all sets; never held by a thread that handles packets */
	pthread_mutex_t sets_lock;
};

/*
 * Makes a generation of these rules (borrowed), without outputs or filters. 0 or -ENOMEM. Rules
 * moved into `own` later are freed with the generation.
 */
int cw_generation_new(struct cw_generation **generation, uint64_t number,
		      const struct cw_rules *rules, uint32_t lane_count);
void cw_generation_free(struct cw_generation *generation); /* accepts NULL */

/* Register the lane's capture thread as an RCU reader before its first batch, and unregister it
 * after its last. Only if rules can be reloaded. */
void cw_generation_join(struct cw_lane *lane);
void cw_generation_leave(struct cw_lane *lane);

/* The lane's capture thread: stamps the batch, whose span is set, with the current generation. */
void cw_generation_stamp(struct cw_generations *generations, struct cw_lane *lane,
			 struct cw_batch *batch);

/* [GEN-2] release. Drops the reference of a finished batch. Any thread. */
void cw_generation_let_go(struct cw_batch *batch);

/*
 * Takes a reference to the current generation, for looking at it. For threads that do not capture,
 * and rare use: registers the thread as an RCU reader for the moment.
 */
struct cw_generation *cw_generation_take(struct cw_generations *generations);
void cw_generation_give_back(struct cw_generation *generation);

/* [GEN-2] acquire. Returns whether any batch still holds the generation. The reloader. */
bool cw_generation_is_held(const struct cw_generation *generation);

#endif
