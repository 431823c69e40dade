/* SPDX-License-Identifier: BSD-3-Clause */
/* The turn: who may have it, and what is done in it. */
#ifndef CW_PIPELINE_TURN_H
#define CW_PIPELINE_TURN_H

#include "pipeline/run/batch.h"

struct cw_pipeline;

/* A chunk came back, or a batch is finished: lanes may be waiting for that, or all be done. */
void cw_turn_resume_any(struct cw_pipeline *pipeline);

/* [SEQ-1] release: put a matched batch in line and offer to take the turn. Any worker. */
void cw_turn_park_any(struct cw_pipeline *pipeline, struct cw_batch *batch);

/* Something happened in a lane: offer to take the turn. Returns when nothing is to be done or
 * somebody else does it. */
void cw_turn_offer_any(struct cw_pipeline *pipeline, uint32_t lane);

/* Take the turn, waiting for it, and call cw_outputs_tend. */
void cw_turn_tend_any(struct cw_pipeline *pipeline, uint64_t now_ns, bool flush);

/* Take the turn, waiting for it, and call `run`, which must be short and cannot block. */
void cw_turn_hold_any(struct cw_pipeline *pipeline, void (*run)(void *context), void *context);

/* Offer to take the turn for lanes that were starved of chunks. */
void cw_turn_run_any(struct cw_pipeline *pipeline);

#endif
