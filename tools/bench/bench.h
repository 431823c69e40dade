/* SPDX-License-Identifier: BSD-3-Clause */
/* What the sub-commands of capweir bench share. */
#ifndef CW_TOOLS_BENCH_BENCH_H
#define CW_TOOLS_BENCH_BENCH_H

#include <jansson.h>

#include "bench/stages/limits.h"
#include "tools/bench/table.h"
#include "tools/options/options.h"

/* "cpu", "kernel", "cores", "governor", "memory_gib" and "load" of this machine; NULL when there is
 * no memory. */
json_t *cw_bench_machine(void);
void cw_bench_print_machine(void); /* as a line of text */

/* One rate of this machine as an object. */
json_t *cw_bench_rate_json(uint32_t threads, const struct cw_stage_rate *rate);

/* The cores that this process may use. */
uint32_t cw_bench_cores(void);

/* A rate of this machine with so many threads, in bytes a nanosecond; measured once, kept in
 * table->limits. 0 after a complaint. */
double cw_bench_limit(struct cw_bench_table *table, enum cw_stage_limit limit, const char *folder,
		      uint32_t threads);

/* Write a result (takes) to standard output. CW_EXIT_COMPLETE, or CW_EXIT_PROBLEM after a
 * complaint. */
int cw_bench_write(json_t *result);

/* The sub-commands; each gets the arguments with its own name as the first of the rest. */
int cw_bench_filter(const struct cw_arguments *arguments);
int cw_bench_decode(const struct cw_arguments *arguments);
int cw_bench_split(const struct cw_arguments *arguments);
int cw_bench_capture(const struct cw_arguments *arguments);
int cw_bench_ring(const struct cw_arguments *arguments);
int cw_bench_writing(const struct cw_arguments *arguments);
int cw_bench_limits(const struct cw_arguments *arguments);

#endif
