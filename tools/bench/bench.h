/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions shared by the sub-commands of capweir bench. */
#ifndef CW_TOOLS_BENCH_BENCH_H
#define CW_TOOLS_BENCH_BENCH_H

#include <jansson.h>

#include "bench/stages/limits.h"
#include "tools/bench/table.h"
#include "tools/options/options.h"

/* Returns "cpu", "kernel", "cores", "governor", "memory_gib" and "load" of this machine, or NULL
 * without memory. */
json_t *cw_bench_machine(void);
void cw_bench_print_machine(void); /* as one line of text */

/* Returns one rate of this machine as an object. */
json_t *cw_bench_rate_json(uint32_t threads, const struct cw_stage_rate *rate);

/* Returns the number of cores that this process may use. */
uint32_t cw_bench_cores(void);

/* Returns a limit of this machine with this number of threads, in bytes/ns. Measured once and kept
 * in table->limits. Returns 0 after an error message. */
double cw_bench_limit(struct cw_bench_table *table, enum cw_stage_limit limit, const char *folder,
		      uint32_t threads);

/* Prints a result (takes) on standard output. Returns CW_EXIT_COMPLETE, or CW_EXIT_PROBLEM after an
 * error message. */
int cw_bench_write(json_t *result);

/* The sub-commands; the first of arguments->rest is the sub-command's name. */
int cw_bench_filter(const struct cw_arguments *arguments);
int cw_bench_decode(const struct cw_arguments *arguments);
int cw_bench_split(const struct cw_arguments *arguments);
int cw_bench_capture(const struct cw_arguments *arguments);
int cw_bench_ring(const struct cw_arguments *arguments);
int cw_bench_writing(const struct cw_arguments *arguments);
int cw_bench_serial(const struct cw_arguments *arguments);
int cw_bench_limits(const struct cw_arguments *arguments);

#endif
