/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reloading rules while a live run goes on: the thread that reads, compiles and publishes a new
 * generation (generation.h), and, once no batch of the old one is left, closes the outputs of
 * rules that are gone.
 *
 * An output goes on through any number of reloads, in the same file, while the rules have one of
 * the same name that writes to the same template with the same snaplen. Others are new outputs;
 * what a rule's earlier outputs did stays in the report under its name.
 */
#ifndef CW_PIPELINE_RELOAD_RELOAD_H
#define CW_PIPELINE_RELOAD_RELOAD_H

#include <pthread.h>

#include "pipeline/reload/status.h"
#include "pipeline/report/past.h"
#include "pipeline/turn/turn.h"

#define CW_GENERATIONS_HELD 64u /* that may still have batches */

struct cw_reload {
	/* constant after start */
	struct cw_run *run;
	struct cw_inputs *inputs;
	struct cw_outputs *outputs;
	struct cw_generations *generations;
	struct cw_turn *turn;
	struct cw_past *past;
	pthread_t thread;
	bool is_started;
	/* shared; sequentially consistent: once a request */
	_Atomic uint64_t requested;
	pthread_mutex_t status_lock;
	struct cw_reload_status status;
	/* owner: the reloader */
	struct cw_generation *oldest; /* in the order of their numbers, to the current one */
	uint32_t held_count;          /* of them */
	uint32_t *leaving;            /* outputs to be closed */
	uint32_t leaving_count;
};

/* Before the threads start: the first generation is made. 0 or -ENOMEM. */
int cw_reload_init(struct cw_reload *reload);
void cw_reload_fini(struct cw_reload *reload); /* accepts a zeroed one; frees all generations */

void *cw_reload_main(void *reload);

/* As cw_pipeline_request_reload and cw_pipeline_reload_status; any thread. */
uint64_t cw_reload_request(struct cw_reload *reload);
void cw_reload_read_status(struct cw_reload *reload, struct cw_reload_status *status);

/* After the thread ended: fill in the generations. 0 or -ENOMEM. */
int cw_reload_report(struct cw_reload *reload, struct cw_report *report);

#endif
