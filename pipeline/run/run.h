/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all threads of a run share: telling the user, stopping, waking each other, and when it is
 * over. Any thread, where nothing else is said.
 */
#ifndef CW_PIPELINE_RUN_H
#define CW_PIPELINE_RUN_H

#include "pipeline/pipeline.h"

/* Tell the user. Severity problem makes the run end with exit 1. */
void cw_pipeline_tell(struct cw_pipeline *pipeline, enum cw_severity severity, const char *format,
		      ...) CW_PRINTF(3, 4);

/* Where a rule stands, for messages: "rules.yaml:7: rule dns" or "rule rule1". */
void cw_pipeline_describe_rule(const struct cw_rules *rules, const struct cw_rule *rule, char *text,
			       size_t text_bytes);

/* What cw_matcher_prepare reports during a run; context is the pipeline. */
void cw_pipeline_report_rule(void *context, const struct cw_rule *rule, uint32_t linktype,
			     bool is_warning, const char *text);

/* Cores that this process may run on. */
uint32_t cw_pipeline_usable_cores(void);

/* Cut no more batches; what waits for a FIFO's reader goes on waiting. */
void cw_pipeline_stop_reading(struct cw_pipeline *pipeline);

/* Every hot thread calls this last. */
void cw_pipeline_thread_ends(struct cw_pipeline *pipeline);

/* Something happened that the keeper, the reloader should look at. */
void cw_keeper_wake(struct cw_pipeline *pipeline);
void cw_reload_wake(struct cw_pipeline *pipeline);

/* A chunk came back, a batch is finished or everything is sealed: it may be the last of all. */
void cw_run_check_end(struct cw_pipeline *pipeline);

#endif
