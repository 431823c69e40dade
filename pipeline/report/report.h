/* SPDX-License-Identifier: BSD-3-Clause */
/* The report at the end of a run, from the counters that the turn and the writers kept. */
#ifndef CW_PIPELINE_REPORT_H
#define CW_PIPELINE_REPORT_H

#include "pipeline/output/output.h"
#include "pipeline/pipeline.h"

/* Single-threaded, after the outputs were closed. 0 or -ENOMEM. */
int cw_pipeline_report(struct cw_pipeline *pipeline, struct cw_report *report);

/* Fill the report's rules, and the books that outputs keep. 0 or -ENOMEM. */
int cw_report_rules(struct cw_pipeline *pipeline, struct cw_report *report);

/* Of one output, whose files are closed; in the books only those of outputs are filled. */
int cw_report_output(const struct cw_output *output, struct cw_report_rule *report,
		     struct cw_books *books);
void cw_report_rule_fini(struct cw_report_rule *report);

/* Add what came later. Takes what `more` holds; without memory nothing is changed. */
int cw_report_add_later(struct cw_report_rule *sum, struct cw_report_rule *more);
void cw_report_add_books(struct cw_books *sum, const struct cw_books *more);

#endif
