/* SPDX-License-Identifier: BSD-3-Clause */
/* A run in words and in JSON. */
#ifndef CW_TOOLS_TEXT_REPORT_H
#define CW_TOOLS_TEXT_REPORT_H

struct cw_books;
struct cw_progress;
struct cw_report;

/* A finished run as a table on stderr, or as JSON on stdout (0, or CW_EXIT_PROBLEM). */
void cw_report_print(const struct cw_report *report);
int cw_report_print_json(const struct cw_report *report);

/* What was lost and what failed, a line each, on stderr. */
void cw_report_complain(const struct cw_report *report);

/* Live, during the run: a line of JSON on standard output. */
void cw_stats_print_json(double elapsed_s, const struct cw_progress *progress,
			 const struct cw_books *books);

#endif
