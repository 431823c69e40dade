/* SPDX-License-Identifier: BSD-3-Clause */
/* All state of a run, one part per wing. Users include pipeline.h instead. */
#ifndef CW_PIPELINE_STATE_H
#define CW_PIPELINE_STATE_H

#include "pipeline/capture/capture.h"
#include "pipeline/pipeline.h"
#include "pipeline/reload/reload.h"

struct cw_worker {
	struct cw_pipeline *pipeline;
	uint32_t index;
	pthread_t thread;
	bool is_started;
	uint32_t next_lane;   /* first lane to search for a cut batch */
	uint32_t next_output; /* first output to search for chunks to write */
	struct cw_match_scratch scratch;
	struct cw_quick *quick; /* quick.c */
	struct cw_copy *copy;   /* careful.c */
};

struct cw_pipeline {
	struct cw_run run;
	struct cw_inputs inputs;
	struct cw_outputs outputs;
	struct cw_generations generations;
	struct cw_turn turn;
	struct cw_capture capture;
	struct cw_reload reload;
	struct cw_past past;
	/* constant after start */
	struct cw_worker *workers;
	uint32_t worker_count;
	int32_t *worker_cpus; /* core of each worker; -1: not pinned */
};

void *cw_worker_main(void *worker);
int cw_worker_init(struct cw_worker *worker, struct cw_pipeline *pipeline, uint32_t index);
void cw_worker_fini(struct cw_worker *worker);

/* ---- decoding a batch (careful.c) ---- */

/* Starts anew at the span's first record, or at the segment's start. */
void cw_begin_decoding(struct cw_batch *batch);
/* Decodes up to `capacity` next packets. Returns their number; 0: none is left. */
uint32_t cw_decode_next(struct cw_batch *batch, struct cw_packet *packets, size_t capacity);

/* ---- the quick way of a batch (quick.c) ---- */

/* 0 or -ENOMEM; call cw_quick_free in either case. */
int cw_quick_new(struct cw_quick **quick, const struct cw_outputs *outputs);
void cw_quick_free(struct cw_quick *quick); /* accepts NULL */

/* Encodes the batch's matches into drafts. False: it needs the careful way; nothing is kept. */
bool cw_quick_walk(struct cw_worker *worker, struct cw_batch *batch);
/* Gives the lease back, then copies the small drafts to their reserved places. */
void cw_quick_finish(struct cw_worker *worker, struct cw_batch *batch);
/* Drops the drafts of a batch that the turn did not take. */
void cw_quick_drop(struct cw_batch *batch);

/* ---- the careful way of a batch (careful.c) ---- */

/* 0 or -ENOMEM; call cw_copy_free in either case. */
int cw_copy_new(struct cw_copy **copy, const struct cw_outputs *outputs);
void cw_copy_free(struct cw_copy *copy); /* accepts NULL */

/* Matches the first part of the batch; of a segment, whose start is set. */
void cw_careful_match(struct cw_worker *worker, struct cw_batch *batch);
/* Decodes and matches the batch's next part, without the packets that an input truncated meanwhile
 * has lost. */
void cw_careful_match_next(struct cw_worker *worker, struct cw_batch *batch);
/* Copies the reserved stretch. Returns whether the batch is finished; its lease is given back then,
 * before any chunk is told, so before any write. */
bool cw_careful_copy(struct cw_worker *worker, struct cw_batch *batch);

#endif
