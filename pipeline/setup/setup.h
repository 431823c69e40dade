/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks of a request before the first thread starts and the first file is made. Errors as
 * cw_pipeline_start. Called in this order: inputs (or interfaces, capture/capture.h), outputs,
 * rules, affinity.
 */
#ifndef CW_PIPELINE_SETUP_SETUP_H
#define CW_PIPELINE_SETUP_SETUP_H

#include "pipeline/match/generation.h"
#include "pipeline/output/outputs.h"

/* Opens every input and checks its header; reports and skips bad inputs. All bad: an error. */
int cw_setup_inputs(struct cw_run *run, struct cw_inputs *inputs, struct cw_error *error);

int cw_setup_outputs(struct cw_outputs *outputs, struct cw_error *error);

/*
 * Builds the sets of the link types present. A rule that is illegal for all of them is an error;
 * the problems of further rules are reported, with `is_reload` as warnings.
 */
int cw_setup_rules(struct cw_run *run, struct cw_inputs *inputs, struct cw_generation *generation,
		   bool is_reload, struct cw_error *error);

/* Chooses cores for lanes and workers (-1: any) by the options, and places the pool. -EINVAL: not a
 * list of cores. */
int cw_setup_affinity(struct cw_run *run, const struct cw_chunk_pool *pool, int32_t *worker_cpus,
		      struct cw_error *error);

/* Makes an output for the rule, not in use yet. `rules` is for messages. */
int cw_setup_output(struct cw_outputs *outputs, struct cw_output *output, uint32_t index,
		    const struct cw_rules *rules, const struct cw_rule *rule,
		    struct cw_error *error);

/*
 * Checks that the output's file may be written: a fixed name must not be an input's or another
 * rule's, and with no_clobber must not exist. `names` holds the names of the other outputs in
 * force. With `is_new` false, only claims the name.
 */
int cw_setup_target(struct cw_outputs *outputs, const struct cw_output *output, bool is_new,
		    struct cw_names *names, struct cw_error *error);

#endif
