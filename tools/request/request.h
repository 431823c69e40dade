/* SPDX-License-Identifier: BSD-3-Clause */
/* What the arguments mean together: rules, filters, live options. Where a function returns an exit
 * status, it has complained already. */
#ifndef CW_TOOLS_REQUEST_REQUEST_H
#define CW_TOOLS_REQUEST_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

struct cw_arguments;
struct cw_error;
struct cw_filter_compiler;
struct cw_hooks;
struct cw_pipeline_options;
struct cw_rules;

/* The live options that the arguments ask for. CW_EXIT_USAGE after a complaint. */
int cw_arguments_live(const struct cw_arguments *arguments, struct cw_pipeline_options *options);

/* Read the rules file (-R) again: the rules, with the command line's limits; or what is wrong. Any
 * thread. */
int cw_arguments_load_rules(const struct cw_arguments *arguments, struct cw_rules *rules,
			    struct cw_error *error);

/* The rules of -R, or of -f and -w; *expression is taken if it is the only output's filter. */
int cw_arguments_rules(const struct cw_arguments *arguments, struct cw_rules *rules,
		       char **expression);

/* The link type of -y, CW_LINKTYPE_ANY without it. CW_EXIT_USAGE after a complaint. */
int cw_arguments_linktype(const struct cw_arguments *arguments, uint32_t *linktype);

/* What is left of the command line as one expression, joined by spaces, or -F's file; NULL when
 * there is none. The caller frees it. CW_EXIT_USAGE or CW_EXIT_PROBLEM after a complaint. */
int cw_arguments_expression(const struct cw_arguments *arguments, char **expression);

/* The process that compiles filters, with the limits of the command line; before the first thread.
 * NULL after a complaint where there can be none: filters are compiled in this process then. */
struct cw_filter_compiler *cw_arguments_start_compiler(const struct cw_arguments *arguments);

/* The process that runs hooks; before the first thread. */
int cw_arguments_start_hooks(const struct cw_arguments *arguments, struct cw_hooks **hooks);

/* Programs that are not there are told before the first file. -EINVAL; *has_any: there are hooks.
 */
int cw_rules_check_hooks(const struct cw_rules *rules, bool *has_any, struct cw_error *error);

#endif
