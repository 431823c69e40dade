/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reloading rules during a live run: a thread reads, compiles and publishes a new generation
 * (generation.h). Once no batch of the old generation is left, the thread closes the outputs of
 * rules that are gone.
 *
 * An output continues through any number of reloads, in the same file, while a rule of the same
 * name has the same template, snaplen and hook. Otherwise the rule gets a new output; the report
 * adds up all outputs of a rule under its name.
 */
#ifndef CW_PIPELINE_RELOAD_RELOAD_H
#define CW_PIPELINE_RELOAD_RELOAD_H

#include <pthread.h>

#include "pipeline/reload/status.h"
#include "pipeline/report/past.h"
#include "pipeline/turn/turn.h"

#define CW_GENERATIONS_HELD 64u /* most generations with batches at once */

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
	struct cw_generation *oldest; /* list in the order of their numbers, to the current one */
	uint32_t held_count;          /* generations in the list */
	uint32_t *leaving;            /* indices of outputs to close */
	uint32_t leaving_count;
};

/* Makes the first generation, before the threads start. 0 or -ENOMEM. */
int cw_reload_init(struct cw_reload *reload);
void cw_reload_fini(struct cw_reload *reload); /* frees all generations; accepts a zeroed object */

void *cw_reload_main(void *reload);

/* As cw_pipeline_request_reload and cw_pipeline_reload_status; any thread. */
uint64_t cw_reload_request(struct cw_reload *reload);
void cw_reload_read_status(struct cw_reload *reload, struct cw_reload_status *status);

/* Fills the report's generations, after the thread ended. 0 or -ENOMEM. */
int cw_reload_report(struct cw_reload *reload, struct cw_report *report);

#endif
