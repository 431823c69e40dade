/* SPDX-License-Identifier: BSD-3-Clause */
/* The turn: who may have it, and what is done in it. */
#ifndef CW_PIPELINE_TURN_TURN_H
#define CW_PIPELINE_TURN_TURN_H

#include "pipeline/match/sample.h"
#include "pipeline/output/outputs.h"

/*
 * The sequencer: lets the batches of each lane reserve in the order they were cut, without a lock
 * and without anybody waiting for his turn. A worker parks its batch at its number and offers to
 * take the turn; whoever gets it reserves for all batches that are next in line, in every lane
 * where something was parked.
 */
#define CW_LANES_A_WORD 64u /* lanes of a word */

struct cw_sequencer {
	/* constant */
	uint32_t word_count;
	_Atomic uint64_t *lanes_waiting; /* a bit a lane: something was parked there, or it ended */
	/* shared */
	_Alignas(CW_CACHE_LINE) _Atomic uint32_t kicks; /* offers since the turn was last free */
	_Atomic bool is_starved;                        /* sequentially consistent: [STARVE-1] */
	/* owner: the turn */
	_Alignas(CW_CACHE_LINE) uint64_t matched_limit; /* -c: 0 = none */
	uint32_t lanes_left;                            /* that are not through yet */
	bool has_reached_limit;
	uint64_t last_ts_ns; /* time order: of the latest packet so far */
	uint64_t late_count; /* packets that came after a later one */
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
	/* owner: the turn, but for what cw_sequencer says */
	struct cw_sequencer sequencer;
	struct cw_books books; /* but for what outputs count */
	struct cw_verification verification;
	uint64_t generation; /* whose limits are in force */
};

/* A chunk came back, or a batch is finished: lanes may be waiting for that, or all be done. */
void cw_turn_resume_any(struct cw_turn *turn);

/* [SEQ-1] release: put a matched batch in line and offer to take the turn. Any worker. */
void cw_turn_park_any(struct cw_turn *turn, struct cw_batch *batch);

/* Something happened in a lane: offer to take the turn. Returns when nothing is to be done or
 * somebody else does it. */
void cw_turn_offer_any(struct cw_turn *turn, uint32_t lane);

/* Take the turn, waiting for it, and call cw_outputs_tend. */
void cw_turn_tend_any(struct cw_turn *turn, uint64_t now_ns, bool flush);

/* Take the turn, waiting for it, and call `run`, which must be short and cannot block. */
void cw_turn_hold_any(struct cw_turn *turn, void (*run)(void *context), void *context);

/* Offer to take the turn for lanes that were starved of chunks. */
void cw_turn_run_any(struct cw_turn *turn);

/* ---- what the two orders share, in the turn: sequencer.c; for turn.c and time_order.c ---- */

/* The lane's batch that is next in line, its part in the books; NULL: there is none at present.
 * Those that come after the run's end are dealt with. */
struct cw_batch *cw_sequencer_head(struct cw_turn *turn, struct cw_lane *lane);

/* Reserve for the batch up to batch->reserve_end; what is in the way is flushed first. */
enum cw_reserve cw_sequencer_reserve(struct cw_turn *turn, struct cw_batch *batch);

/* Give the batch to be copied; `is_part_done`: all of its part was reserved. */
void cw_sequencer_hand_on(struct cw_turn *turn, struct cw_lane *lane, struct cw_batch *batch,
			  bool is_part_done);

/* Seal everything if this was the last batch of the last lane. */
void cw_sequencer_try_to_end(struct cw_turn *turn, struct cw_lane *lane);

/* --order time: reserve what can be reserved, in the order of the packets' times. */
void cw_sequencer_merge(struct cw_turn *turn);

#endif
