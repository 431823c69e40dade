/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sequencer: lets batches reserve in the order they were cut, without a lock and without
 * anybody waiting for his turn. A worker parks its batch at its number and offers to take the turn;
 * whoever gets it reserves for all batches that are next in line.
 */
#ifndef CW_PIPELINE_SEQUENCER_H
#define CW_PIPELINE_SEQUENCER_H

#include "pipeline/batch.h"

struct cw_pipeline;

struct cw_sequencer {
	/* constant */
	uint32_t mask;
	struct cw_batch *_Atomic *parked; /* by sequence number, modulo the table */
	/* shared */
	_Alignas(CW_CACHE_LINE) _Atomic uint32_t kicks; /* offers since the turn was last free */
	_Atomic bool is_starved;
	/* owner: the turn */
	_Alignas(CW_CACHE_LINE) uint64_t next;
	uint64_t matched_limit; /* -c: 0 = none */
	bool has_reached_limit;
	bool is_ended;	 /* everything was reserved and sealed */
	bool has_dead_input;
	uint32_t dead_input; /* was truncated underneath: the rest of its batches is discarded */
};

/* `batch_count` is the largest number of batches that can be under way. */
int cw_sequencer_init(struct cw_sequencer *sequencer, uint32_t batch_count);
void cw_sequencer_fini(struct cw_sequencer *sequencer);

/* [SEQ-1] release: put a matched batch in line. Any worker. */
void cw_sequencer_park_any(struct cw_sequencer *sequencer, struct cw_batch *batch);

/* Offer to take the turn; returns when nothing is to be done or somebody else does it. */
void cw_sequencer_run_any(struct cw_pipeline *pipeline);

#endif
