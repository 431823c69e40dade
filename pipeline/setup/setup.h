/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a request says, looked at before the first thread starts and the first file is made. Errors
 * as cw_pipeline_start. In this order: inputs (or devices, capture/capture.h), outputs, rules,
 * affinity.
 */
#ifndef CW_PIPELINE_SETUP_SETUP_H
#define CW_PIPELINE_SETUP_SETUP_H

#include "pipeline/match/generation.h"
#include "pipeline/output/outputs.h"

/* Open every input and check its header; a bad one is told and left out, unless all are. */
int cw_setup_inputs(struct cw_run *run, struct cw_inputs *inputs, struct cw_error *error);

int cw_setup_outputs(struct cw_outputs *outputs, struct cw_error *error);

/*
 * Build the sets of the link types present; a rule that is illegal for all of them is an error.
 * With `is_reload` rules that are refused are warnings: the others go on.
 */
int cw_setup_rules(struct cw_run *run, struct cw_inputs *inputs, struct cw_generation *generation,
		   bool is_reload, struct cw_error *error);

/* Choose cores for lanes and workers (-1: any), as the options ask; place the pool. -EINVAL for a
 * list that is none. */
int cw_setup_affinity(struct cw_run *run, const struct cw_chunk_pool *pool, int32_t *worker_cpus,
		      struct cw_error *error);

/* An output for the rule, of `rules` (for messages); not in use yet. */
int cw_setup_output(struct cw_outputs *outputs, struct cw_output *output, uint32_t index,
		    const struct cw_rules *rules, const struct cw_rule *rule,
		    struct cw_error *error);

/*
 * Whether the output's file may be written: a fixed name must not be an input's, another rule's,
 * nor, with no_clobber, exist. `names` are those of the other outputs that are in force. With
 * `is_new` false only the name is claimed.
 */
int cw_setup_target(struct cw_outputs *outputs, const struct cw_output *output, bool is_new,
		    struct cw_names *names, struct cw_error *error);

#endif
