/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the stages that run the complete pipeline. Not for C++. */
#ifndef CW_BENCH_STAGES_PIPELINE_H
#define CW_BENCH_STAGES_PIPELINE_H

#include "bench/stages/stage.h"
#include "pipeline/pipeline.h"

/* Adds `count` rules that write <k>.pcap, with `filters` or, if NULL, those of cw_stage_filter. */
int cw_stage_add_rules(struct cw_rules *rules, const char *const *filters, uint32_t count,
		       struct cw_error *error);

/* Runs a pipeline to its end; `meanwhile`, if not NULL, is called after the start and stops it.
 * Returns 0 and a report to free, or a negative errno. */
int cw_stage_run(const struct cw_pipeline_options *options,
		 void (*meanwhile)(void *context, struct cw_pipeline *pipeline), void *context,
		 struct cw_report *report, struct cw_error *error);

#endif
