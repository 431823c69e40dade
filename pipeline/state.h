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
	struct cw_copy *copy; /* worker.c */
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

#endif
