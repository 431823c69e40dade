/* SPDX-License-Identifier: BSD-3-Clause */
/* Filling the report. Single-threaded, after the outputs were closed, where nothing else is said. */
#ifndef CW_PIPELINE_REPORT_PARTS_H
#define CW_PIPELINE_REPORT_PARTS_H

#include "pipeline/capture/capture.h"
#include "pipeline/report/past.h"

/* All but the generations (cw_reload_report). 0 or -ENOMEM. */
int cw_report_fill(struct cw_report *report, const struct cw_capture *capture,
		   struct cw_past *past);

/* Fill the report's rules, and the books that outputs keep. 0 or -ENOMEM. */
int cw_report_rules(struct cw_report *report, struct cw_outputs *outputs,
		    const struct cw_generation *generation, struct cw_past *past);

/* Of one output, whose files are closed; in the books only those of outputs are filled. */
int cw_report_output(const struct cw_output *output, struct cw_report_rule *report,
		     struct cw_books *books);
void cw_report_rule_fini(struct cw_report_rule *report);

/* Add what came later. Takes what `more` holds; without memory nothing is changed. */
int cw_report_add_later(struct cw_report_rule *sum, struct cw_report_rule *more);
void cw_report_add_books(struct cw_books *sum, const struct cw_books *more);

#endif
