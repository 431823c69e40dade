/* SPDX-License-Identifier: BSD-3-Clause */
/* What the sub-commands of capweir bench share. */
#ifndef CW_TOOLS_BENCH_H
#define CW_TOOLS_BENCH_H

#include <jansson.h>

#include "tools/commands.h"

/* "cpu", "kernel" and "cores" of this machine; NULL when there is no memory. */
json_t *cw_bench_machine(void);

/* Write a result (takes) to standard output. CW_EXIT_COMPLETE, or CW_EXIT_PROBLEM after a
 * complaint. */
int cw_bench_write(json_t *result);

/* The sub-commands; each gets the arguments with its own name as the first of the rest. */
int cw_bench_filter(const struct cw_arguments *arguments);
int cw_bench_decode(const struct cw_arguments *arguments);

#endif
