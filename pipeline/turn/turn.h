/* SPDX-License-Identifier: BSD-3-Clause */
/* The turn: taking it, and the work done in it. */
#ifndef CW_PIPELINE_TURN_TURN_H
#define CW_PIPELINE_TURN_TURN_H

#include "pipeline/match/sample.h"
#include "pipeline/output/outputs.h"

/*
 * The sequencer: makes the batches of each lane reserve in the order they were cut, without a lock
 * or a waiting thread. A worker parks its batch at the batch's number and offers to take the turn.
 * The thread that gets the turn reserves for every batch that is next in line, in all lanes where a
 * batch was parked.
 */
#define CW_LANES_A_WORD 64u /* lanes per word */

struct cw_sequencer {
	/* constant */
	uint32_t word_count;
	_Atomic uint64_t *lanes_waiting; /* one bit per lane: a batch was parked, or it ended */
	/* shared */
	_Alignas(CW_CACHE_LINE) _Atomic uint32_t kicks; /* offers since the turn was last free */
	_Atomic bool is_starved;                        /* sequentially consistent: [STARVE-1] */
	/* owner: the turn */
	_Alignas(CW_CACHE_LINE) uint64_t matched_limit; /* -c: 0 = none */
	uint32_t lanes_left;                            /* lanes that are not through yet */
	bool has_reached_limit;
	uint64_t last_ts_ns; /* time order: latest timestamp so far */
	uint64_t late_count; /* packets handed out after one with a later timestamp */
};
CW_ASSERT_LINE(struct cw_sequencer, kicks);
CW_ASSERT_LINE(struct cw_sequencer, matched_limit);
CW_ASSERT_BYTES(struct cw_sequencer, 3 * CW_CACHE_LINE);

int cw_sequencer_init(struct cw_sequencer *sequencer, uint32_t lane_count);
void cw_sequencer_fini(struct cw_sequencer *sequencer);

struct cw_turn {
	/* constant after start */
	struct cw_run *run;
	struct cw_inputs *inputs;
	struct cw_outputs *outputs;
	/* owner: the turn, except where cw_sequencer says otherwise */
	struct cw_sequencer sequencer;
	struct cw_books books; /* without the counts that outputs keep */
	struct cw_verification verification;
	uint64_t generation; /* number of the rules whose limits are in force */
};

/* Takes the turn if lanes are starved, and checks for the run's end. Called when a chunk came back
 * or a batch is finished. */
void cw_turn_resume_any(struct cw_turn *turn);

/* [SEQ-1] release: puts a matched batch in line and offers to take the turn. Any worker. */
void cw_turn_park_any(struct cw_turn *turn, struct cw_batch *batch);

/* Offers to take the turn for a lane with work. Returns once the work is done or another thread has
 * the turn. */
void cw_turn_offer_any(struct cw_turn *turn, uint32_t lane);

/* Waits for the turn and calls cw_outputs_tend. */
void cw_turn_tend_any(struct cw_turn *turn, uint64_t now_ns, bool flush);

/* Waits for the turn and calls `run`, which must be short and cannot block. */
void cw_turn_hold_any(struct cw_turn *turn, void (*run)(void *context), void *context);

/* Offers to take the turn for lanes that were starved of chunks. */
void cw_turn_run_any(struct cw_turn *turn);

/* ---- shared by the two orders, in the turn: sequencer.c; for turn.c and time_order.c ---- */

/* Returns the lane's next batch in line, with its part in the books; NULL: none at present. Deals
 * with batches after the run's end. */
struct cw_batch *cw_sequencer_head(struct cw_turn *turn, struct cw_lane *lane);

/* Reserves for the batch up to batch->reserved.end; flushes outputs if the pool is empty. */
enum cw_reserve cw_sequencer_reserve(struct cw_turn *turn, struct cw_batch *batch);

/* Hands the batch on to be copied; `is_part_done`: all of its part is reserved. */
void cw_sequencer_hand_on(struct cw_turn *turn, struct cw_lane *lane, struct cw_batch *batch,
			  bool is_part_done);

/* Seals everything if this was the last batch of the last lane. */
void cw_sequencer_try_to_end(struct cw_turn *turn, struct cw_lane *lane);

/* --order time: reserves as much as possible, in the order of the timestamps. */
void cw_sequencer_merge(struct cw_turn *turn);

#endif
