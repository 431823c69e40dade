/* SPDX-License-Identifier: BSD-3-Clause */
/* What the stages that run the whole pipeline share; not for C++. */
#ifndef CW_BENCH_STAGES_PIPELINE_H
#define CW_BENCH_STAGES_PIPELINE_H

#include "bench/stages/stage.h"
#include "pipeline/pipeline.h"

/* Add so many rules that write <k>.pcap: `filters`, or cw_stage_filter's without. */
int cw_stage_add_rules(struct cw_rules *rules, const char *const *filters, uint32_t count,
		       struct cw_error *error);

/* Start, wait for the end (or call `meanwhile`, which stops it), finish. 0 and a report to free, or
 * a negative errno. */
int cw_stage_run(const struct cw_pipeline_options *options,
		 void (*meanwhile)(void *context, struct cw_pipeline *pipeline), void *context,
		 struct cw_report *report, struct cw_error *error);

#endif
