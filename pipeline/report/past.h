/* SPDX-License-Identifier: BSD-3-Clause */
/* What is over before the run ends: outputs of rules that are gone, and generations. */
#ifndef CW_PIPELINE_PAST_H
#define CW_PIPELINE_PAST_H

#include "pipeline/match/generation.h"
#include "pipeline/output/output.h"
#include "pipeline/pipeline.h"

#define CW_PAST_RULES_MAX 65536u /* names of removed rules in the report; others are added up */

/* What outputs that are closed for good did, by rule. Owner: the turn. */
struct cw_past {
	struct cw_report_rule *rules;
	uint32_t count;
	struct cw_books books;
	uint64_t written; /* as the outputs counted it for cw_pipeline_peek */
};

/* The turn: enter what the output did among the past. 0 or -ENOMEM. */
int cw_past_add(struct cw_past *past, struct cw_output *output);
void cw_past_fini(struct cw_past *past);

/* Remember a generation for the report. The reloader, or after it ended. */
void cw_reload_tell(struct cw_pipeline *pipeline, const struct cw_generation *generation);

#endif
