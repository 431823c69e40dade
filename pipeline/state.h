/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole of a running pipeline, each part in the hands of its wing. pipeline.h is for users. */
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
	uint32_t next_lane;   /* where it looks for a cut batch first */
	uint32_t next_output; /* and for one to write */
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
	int32_t *worker_cpus; /* pinned to it; -1: nowhere */
};

void *cw_worker_main(void *worker);
int cw_worker_init(struct cw_worker *worker, struct cw_pipeline *pipeline, uint32_t index);
void cw_worker_fini(struct cw_worker *worker);

#endif
