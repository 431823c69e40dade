/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <urcu-qsbr.h>

#include "core/base/clock.h"
#include "pipeline/match/generation.h"
#include "pipeline/run/lane.h"

int cw_generation_new(struct cw_generation **result, uint64_t number, const struct cw_rules *rules,
		      uint32_t lane_count)
{
	struct cw_generation *generation = aligned_alloc(CW_CACHE_LINE, sizeof(*generation));

	if (!generation)
		return -ENOMEM;
	memset(generation, 0, sizeof(*generation));
	generation->number = number;
	generation->rules = rules;
	generation->lane_count = lane_count;
	generation->start_ns = cw_now_ns();
	generation->outputs = calloc(rules->count + 1u, sizeof(*generation->outputs));
	generation->firsts = calloc(lane_count + 1u, sizeof(*generation->firsts));
	if (!generation->outputs || !generation->firsts) {
		cw_generation_free(generation);
		return -ENOMEM;
	}
	for (uint32_t index = 0; index < lane_count; index++)
		atomic_init(&generation->firsts[index], CW_GENERATION_NONE);
	*result = generation;
	return 0;
}

void cw_generation_free(struct cw_generation *generation)
{
	if (!generation)
		return;
	cw_matcher_fini(&generation->matcher);
	cw_rules_fini(&generation->own);
	free(generation->outputs);
	free(generation->firsts);
	free(generation);
}

void cw_generation_join(struct cw_lane *lane)
{
	urcu_qsbr_register_thread();
	urcu_qsbr_thread_offline();
	lane->capture.is_reader = true;
}

void cw_generation_leave(struct cw_lane *lane)
{
	lane->capture.is_reader = false;
	urcu_qsbr_unregister_thread();
}

void cw_generation_stamp(struct cw_generations *generations, struct cw_lane *lane,
			 struct cw_batch *batch)
{
	struct cw_generation *generation;

	if (lane->capture.is_reader)
		urcu_qsbr_thread_online();
	/* [GEN-1] acquire: the generation, which stays while this thread is online. */
	generation = atomic_load_explicit(&generations->current, memory_order_acquire);
	/* Relaxed: going offline orders this before the reloader looks. */
	atomic_fetch_add_explicit(&generation->references, 1, memory_order_relaxed);
	if (atomic_load_explicit(&generation->firsts[lane->index], memory_order_relaxed) ==
	    CW_GENERATION_NONE)
		atomic_store_explicit(&generation->firsts[lane->index], lane->capture.cut_packets,
				      memory_order_relaxed);
	batch->generation = generation;
	if (lane->capture.is_reader)
		urcu_qsbr_thread_offline();
}

void cw_generation_let_go(struct cw_batch *batch)
{
	struct cw_generation *generation = batch->generation;

	batch->generation = NULL;
	atomic_fetch_sub_explicit(&generation->references, 1, memory_order_release); /* [GEN-2] */
}

struct cw_generation *cw_generation_take(struct cw_generations *generations)
{
	struct cw_generation *generation;

	urcu_qsbr_register_thread(); /* online */
	/* [GEN-1] acquire */
	generation = atomic_load_explicit(&generations->current, memory_order_acquire);
	atomic_fetch_add_explicit(&generation->references, 1, memory_order_relaxed);
	urcu_qsbr_unregister_thread();
	return generation;
}

void cw_generation_give_back(struct cw_generation *generation)
{
	atomic_fetch_sub_explicit(&generation->references, 1, memory_order_release); /* [GEN-2] */
}

bool cw_generation_is_held(const struct cw_generation *generation)
{
	/* [GEN-2] acquire: all work on the batches, and on the outputs for them. */
	return atomic_load_explicit(&generation->references, memory_order_acquire) != 0;
}
