/* SPDX-License-Identifier: BSD-3-Clause */
/* The turn: who may have it, and what is done in it. */
#ifndef CW_PIPELINE_TURN_H
#define CW_PIPELINE_TURN_H

#include "pipeline/match/sample.h"
#include "pipeline/output/outputs.h"
#include "pipeline/turn/sequencer.h"

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

#endif
