/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands. Each takes parsed arguments and returns the exit status. */
#ifndef CW_TOOLS_COMMANDS_COMMANDS_H
#define CW_TOOLS_COMMANDS_COMMANDS_H

#include "tools/options/options.h"

struct cw_filter;
struct cw_hooks;
struct cw_notify;
struct cw_pipeline_options;

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

/* Runs the pipeline and its hooks (NULL: none) to the end, and reports. Returns the exit status. */
int cw_run(const struct cw_arguments *arguments, const struct cw_pipeline_options *options,
	   struct cw_hooks *hooks, struct cw_notify *notify);

/* capweir inspect filter */
int cw_inspect_filter(const struct cw_arguments *arguments);

/* Prints the filters of a line of split or capture, for -d. */
int cw_dump_filters(const struct cw_arguments *arguments);
/* Prints a filter as tcpdump with so many letters d. The caller checks standard output. */
void cw_dump_filter(const struct cw_filter *filter, uint64_t letters);

#endif
