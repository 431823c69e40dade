/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sequencer: lets the batches of each lane reserve in the order they were cut, without a lock
 * and without anybody waiting for his turn. A worker parks its batch at its number and offers to
 * take the turn; whoever gets it reserves for all batches that are next in line, in every lane
 * where something was parked.
 */
#ifndef CW_PIPELINE_SEQUENCER_H
#define CW_PIPELINE_SEQUENCER_H

#include "pipeline/run/batch.h"

struct cw_pipeline;

struct cw_sequencer {
	/* constant */
	uint32_t word_count;
	_Atomic uint64_t *news; /* a bit a lane: something was parked there, or it ended */
	/* shared */
	_Alignas(CW_CACHE_LINE) _Atomic uint32_t kicks; /* offers since the turn was last free */
	_Atomic bool is_starved;
	/* owner: the turn */
	_Alignas(CW_CACHE_LINE) uint64_t matched_limit; /* -c: 0 = none */
	uint32_t lanes_left;                            /* that are not through yet */
	bool has_reached_limit;
	uint64_t last_ts_ns; /* time order: of the latest packet so far */
	uint64_t late_count; /* packets that came after a later one */
};

int cw_sequencer_init(struct cw_sequencer *sequencer, uint32_t lane_count);
void cw_sequencer_fini(struct cw_sequencer *sequencer);

/* [SEQ-1] release: put a matched batch in line and offer to take the turn. Any worker. */
void cw_sequencer_park_any(struct cw_pipeline *pipeline, struct cw_batch *batch);

/* Something happened in a lane: offer to take the turn. Returns when nothing is to be done or
 * somebody else does it. */
void cw_sequencer_offer_any(struct cw_pipeline *pipeline, uint32_t lane);

/* Take the turn, waiting for it, and call cw_outputs_tend. */
void cw_sequencer_tend_any(struct cw_pipeline *pipeline, uint64_t now_ns, bool flush);

/* Take the turn, waiting for it, and call `run`, which must be short and cannot block. */
void cw_sequencer_hold_any(struct cw_pipeline *pipeline, void (*run)(void *context), void *context);

/* Offer to take the turn for lanes that were starved of chunks. */
void cw_sequencer_run_any(struct cw_pipeline *pipeline);

#endif
