/* SPDX-License-Identifier: BSD-3-Clause */
/* Results that are final before the run ends: of closed outputs, and of old generations. */
#ifndef CW_PIPELINE_REPORT_PAST_H
#define CW_PIPELINE_REPORT_PAST_H

#include "pipeline/capture/capture.h"
#include "pipeline/report/report.h"

#define CW_PAST_RULES_MAX 65536u    /* names of removed rules; further rules share one entry */
#define CW_GENERATIONS_REPORTED 64u /* the last ones */

struct cw_past_generation {
	uint64_t number;
	uint64_t start_ns;
	uint32_t rule_count;
	uint64_t *firsts; /* per lane */
};

struct cw_past {
	/* owner: the turn */
	struct cw_report_rule *rules; /* results of closed outputs, added up by rule name */
	uint32_t count;
	struct cw_books books;
	uint64_t written; /* records, as counted for cw_pipeline_peek */
	/* owner: the reloader */
	struct cw_past_generation generations[CW_GENERATIONS_REPORTED]; /* by number, modulo */
	uint64_t generation_count;
};

/* Makes room for the boundaries of generations. 0 or -ENOMEM; call cw_past_fini in either case. */
int cw_past_init(struct cw_past *past, uint32_t lane_count);
void cw_past_fini(struct cw_past *past); /* accepts a zeroed object */

/* The turn: adds the results of an output. 0 or -ENOMEM. */
int cw_past_add(struct cw_past *past, struct cw_output *output);

/* Keeps a generation for the report. The reloader, or after it ended. */
void cw_past_add_generation(struct cw_past *past, const struct cw_generation *generation);

/* ---- filling the report: single-threaded, after the outputs were closed, unless said ---- */

/* Fills everything but the generations (cw_reload_report). 0 or -ENOMEM. */
int cw_report_fill(struct cw_report *report, const struct cw_capture *capture,
		   struct cw_past *past);

/* Fills the report's rules, and the counters of the books that outputs keep. 0 or -ENOMEM. */
int cw_report_rules(struct cw_report *report, struct cw_outputs *outputs,
		    const struct cw_generation *generation, struct cw_past *past);

/* Reports one output whose files are closed; fills only the counters that outputs keep. */
int cw_report_output(const struct cw_output *output, struct cw_report_rule *report,
		     struct cw_books *books);

void cw_report_rule_fini(struct cw_report_rule *report);

/* Adds later results. Takes the memory of `more`; -ENOMEM: nothing is changed. */
int cw_report_add_later(struct cw_report_rule *sum, struct cw_report_rule *more);
void cw_report_add_books(struct cw_books *sum, const struct cw_books *more);

#endif
