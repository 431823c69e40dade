/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands: each takes parsed arguments and returns the exit status. */
#ifndef CW_TOOLS_COMMANDS_H
#define CW_TOOLS_COMMANDS_H

#include "pipeline/pipeline.h"
#include "tools/options/options.h"

int cw_command_split(const struct cw_arguments *arguments); /* also capture */
int cw_command_check(const struct cw_arguments *arguments);
int cw_command_generate(const struct cw_arguments *arguments);
int cw_command_inspect(const struct cw_arguments *arguments);
int cw_command_devices(const struct cw_arguments *arguments); /* also -D, -L, -J */
int cw_command_replay(const struct cw_arguments *arguments);
int cw_command_selftest(const struct cw_arguments *arguments);
int cw_command_repair(const struct cw_arguments *arguments);
int cw_command_stats(const struct cw_arguments *arguments);
int cw_command_top(const struct cw_arguments *arguments);
int cw_command_control(const struct cw_arguments *arguments);
int cw_command_bench(const struct cw_arguments *arguments);

/* Programs that are not there are told before the first file. -EINVAL; *has_any: there are hooks.
 */
int cw_rules_check_hooks(const struct cw_rules *rules, bool *has_any, struct cw_error *error);

struct cw_hooks;

/* Run the pipeline to its end, then its hooks (NULL: there are none), report; the exit status. */
int cw_run(const struct cw_arguments *arguments, struct cw_pipeline_options *options,
	   struct cw_hooks *hooks);

/* The live options that the arguments ask for. CW_EXIT_USAGE after a complaint. */
int cw_arguments_live(const struct cw_arguments *arguments, struct cw_pipeline_options *options);

/* capweir inspect filter. */
int cw_inspect_filter(const struct cw_arguments *arguments);

/* Read the rules file (-R) again: the rules, with the command line's limits; or what is wrong. Any
 * thread. */
int cw_arguments_load_rules(const struct cw_arguments *arguments, struct cw_rules *rules,
			    struct cw_error *error);

/* The link type of -y, CW_LINKTYPE_ANY without it. CW_EXIT_USAGE after a complaint. */
int cw_arguments_linktype(const struct cw_arguments *arguments, uint32_t *linktype);

/* What is left of the command line as one expression, joined by spaces, or -F's file; NULL when
 * there is none. The caller frees it. CW_EXIT_USAGE or CW_EXIT_PROBLEM after a complaint. */
int cw_arguments_expression(const struct cw_arguments *arguments, char **expression);

/* The process that compiles filters, with the limits of the command line; before the first thread.
 * NULL after a complaint where there can be none: filters are compiled in this process then. */
struct cw_filter_compiler *cw_arguments_start_compiler(const struct cw_arguments *arguments);

/* A finished run as a table on stderr, or as JSON on stdout (0, or CW_EXIT_PROBLEM). */
void cw_report_print(const struct cw_report *report);
int cw_report_print_json(const struct cw_report *report);

/* Live, during the run: a line of JSON on standard output. */
void cw_stats_print_json(double elapsed_s, const struct cw_progress *progress,
			 const struct cw_books *books);

/* What was lost and what failed, a line each, on stderr. */
void cw_report_complain(const struct cw_report *report);

/* 1234567 as "1,234,567"; 1500000 as "1.5 MB". Into `buffer`, which is returned. */
#define CW_NUMBER_BYTES 32
const char *cw_format_count(uint64_t number, char buffer[CW_NUMBER_BYTES]);
const char *cw_format_bytes(uint64_t bytes, char buffer[CW_NUMBER_BYTES]);

/* A name from outside as it may go to a terminal: control characters become "?". Into `clean`,
 * which is returned. */
const char *cw_format_printable(const char *name, char *clean, size_t bytes);

#endif
