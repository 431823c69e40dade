/* SPDX-License-Identifier: BSD-3-Clause */
/* What the reloader's files share: its thread, the plan it makes, and what it leaves behind. */
#ifndef CW_PIPELINE_RELOAD_PLAN_H
#define CW_PIPELINE_RELOAD_PLAN_H

#include "pipeline/reload/reload.h"

struct cw_plan_name;

/* A reload under way. */
struct cw_plan {
	struct cw_reload *reload;
	struct cw_generation *now;
	struct cw_generation *next;
	struct cw_plan_name *names; /* of the rules in force, sorted */
	bool *is_kept;              /* by rule of `now`: its output goes on */
	bool *is_new;               /* by rule of `next` */
	struct cw_output *fresh;    /* outputs made aside, */
	uint32_t *slots;            /* and where they will be */
	uint32_t fresh_count;
	uint32_t fresh_made;
	struct cw_rule **last; /* copies of the rules that go, in the order of `now` */
	uint32_t last_count;
};

/* All that can fail, aside: reload and `now` are set. What is wrong is the error's. */
int cw_plan_prepare(struct cw_plan *plan, struct cw_error *error);

/* Put it in force; returns when no batch is stamped with the old one any more. `next` is the
 * run's then. */
void cw_plan_publish(struct cw_plan *plan);

/* Take down what is not in force. */
void cw_plan_fini(struct cw_plan *plan);

/* Free the generations that no batch has any more; the report keeps their boundaries. (leave.c) */
void cw_reload_free_generations(struct cw_reload *reload);

/* Close the outputs of rules that are gone, of those generations. */
void cw_reload_close_outputs(struct cw_reload *reload);

#endif
