/* SPDX-License-Identifier: BSD-3-Clause */
/* The final report of a run, as text and as JSON. */
#ifndef CW_TOOLS_TEXT_REPORT_H
#define CW_TOOLS_TEXT_REPORT_H

#include <jansson.h>
#include <stdint.h>

struct cw_books;
struct cw_progress;
struct cw_report;
struct cw_source_joined;
struct cw_source_resynced;

/* Ends the message of damage that --resync could skip. */
#define CW_RESYNC_CURE ". With --resync, reading continues after the damage"

/* Print the report: a table on stderr, or JSON on stdout. Return 0, or CW_EXIT_PROBLEM if the
 * report cannot be written. */
int cw_report_print(const struct cw_report *report);
int cw_report_print_json(const struct cw_report *report);

/* Prints how many packets a rule matched on stdout, as tcpdump --count does. */
void cw_report_print_count(const struct cw_report *report);

/* Returns the joined files of an input as an array. */
json_t *cw_joined_json(const struct cw_source_joined *joined, uint32_t joined_count);

/* Returns the damage that was skipped as an object. */
json_t *cw_resynced_json(const struct cw_source_resynced *resynced);

/* Prints each loss and each failure on a line of stderr. */
void cw_report_complain(const struct cw_report *report);

/* Prints the counters of a running capture as one line of JSON on stdout (--stats). */
void cw_stats_print_json(double elapsed_s, const struct cw_progress *progress,
			 const struct cw_books *books);

#endif
