/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the reloader: the plan of a reload, and closing the outputs of removed rules. */
#ifndef CW_PIPELINE_RELOAD_PLAN_H
#define CW_PIPELINE_RELOAD_PLAN_H

#include "pipeline/reload/reload.h"

struct cw_plan_name;

/* A reload in progress. */
struct cw_plan {
	struct cw_reload *reload;
	struct cw_generation *now;
	struct cw_generation *next;
	struct cw_plan_name *names; /* of the rules in force, sorted */
	bool *is_kept;              /* by rule of `now`: its output stays */
	bool *is_new;               /* by rule of `next`: its output is new */
	struct cw_output *fresh;    /* new outputs, made aside */
	uint32_t *slots;            /* their future places in outputs->at */
	struct cw_output **before;  /* whose file ring they begin, with its files; or NULL */
	uint32_t fresh_count;
	uint32_t fresh_made;
	bool has_stdout;       /* a new output writes to standard output */
	struct cw_rule **last; /* copies of the rules whose outputs leave, in the order of `now` */
	uint32_t last_count;
};

/* Does everything that can fail; `reload` and `now` must be set. 0, or a negative errno with the
 * error filled and nothing in force changed. */
int cw_plan_prepare(struct cw_plan *plan, struct cw_error *error);
/* Puts the plan in force, which gives `next` to the run. Returns once no capture thread stamps a
 * batch with the old generation any more. */
void cw_plan_publish(struct cw_plan *plan);
/* Frees everything that is not in force. */
void cw_plan_fini(struct cw_plan *plan);

/* Frees the generations without batches; the report keeps their boundaries. (leave.c) */
void cw_reload_free_generations(struct cw_reload *reload);
/* Closes the outputs that only freed generations had. */
void cw_reload_close_outputs(struct cw_reload *reload);

#endif
