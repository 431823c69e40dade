/* SPDX-License-Identifier: BSD-3-Clause */
/* What is over before the run ends: outputs of rules that are gone, and generations. */
#ifndef CW_PIPELINE_PAST_H
#define CW_PIPELINE_PAST_H

#include "pipeline/match/generation.h"
#include "pipeline/output/output.h"
#include "pipeline/report/report.h"

#define CW_PAST_RULES_MAX 65536u    /* names of removed rules; others are added up */
#define CW_GENERATIONS_REPORTED 64u /* the last ones */

struct cw_past_generation {
	uint64_t number;
	uint64_t start_ns;
	uint32_t rule_count;
	uint64_t *firsts; /* per lane */
};

struct cw_past {
	/* owner: the turn. What outputs that are closed for good did, by rule */
	struct cw_report_rule *rules;
	uint32_t count;
	struct cw_books books;
	uint64_t written; /* as the outputs counted it for cw_pipeline_peek */
	/* owner: the reloader */
	struct cw_past_generation generations[CW_GENERATIONS_REPORTED]; /* by number, modulo */
	uint64_t generation_count;
};

/* Room for the boundaries of generations. 0 or -ENOMEM; cw_past_fini in any case. */
int cw_past_init(struct cw_past *past, uint32_t lane_count);
void cw_past_fini(struct cw_past *past); /* accepts a zeroed one */

/* The turn: enter what the output did. 0 or -ENOMEM. */
int cw_past_add(struct cw_past *past, struct cw_output *output);

/* Remember a generation for the report. The reloader, or after it ended. */
void cw_past_add_generation(struct cw_past *past, const struct cw_generation *generation);

#endif
