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
#ifndef CW_PIPELINE_RELOAD_H
#define CW_PIPELINE_RELOAD_H

#include <pthread.h>

#include "pipeline/match/generation.h"
#include "pipeline/pipeline.h"

#define CW_GENERATIONS_REPORTED 64u /* the report has the boundaries of the last ones, */
#define CW_GENERATIONS_HELD 64u     /* and no more of them may still have batches */
#define CW_OUTPUTS_RELOAD_MIN 4096u /* that there is room for where rules can be reloaded */
#define CW_OUTPUTS_EXPECTED 256u    /* chunks are sized for so many at least, likewise */

/* What a generation was, for the report. */
struct cw_past_generation {
	uint64_t number;
	uint64_t start_ns;
	uint32_t rule_count;
	uint64_t *firsts; /* per lane */
};

struct cw_reload {
	/* constant after start */
	bool is_possible;
	bool has_locks;
	int fd; /* eventfd: readable when the reloader shall look */
	pthread_t thread;
	bool is_started;
	/* the compiler, and the sets of all generations; never held by a thread that packets need
	 */
	pthread_mutex_t sets_lock;
	/* shared */
	_Atomic uint64_t requested;
	_Atomic bool is_cancelled; /* the run ends: compile no more */
	pthread_mutex_t status_lock;
	struct cw_reload_status status;
	/* owner: the reloader */
	struct cw_generation *oldest; /* in the order of their numbers, to the current one */
	bool has_used_stdout;         /* an output of this run writes there, or did */
	uint32_t held_count;          /* of them */
	uint32_t *leaving;            /* outputs to be closed */
	uint32_t leaving_count;
	struct cw_past_generation reported[CW_GENERATIONS_REPORTED]; /* by number, modulo */
	uint64_t reported_count;
};

/* Before the threads start: the first generation is made. 0 or -ENOMEM. */
int cw_reload_init(struct cw_pipeline *pipeline);
void cw_reload_fini(struct cw_pipeline *pipeline); /* accepts a zeroed one; frees all generations */

void *cw_reload_main(void *pipeline);

#endif
