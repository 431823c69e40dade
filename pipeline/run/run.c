/* SPDX-License-Identifier: BSD-3-Clause */
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "core/packet/linktype.h"
#include "pipeline/run/run.h"
#include "pipeline/state.h"

#define TELL_BYTES 2048u

void cw_pipeline_tell(struct cw_pipeline *pipeline, enum cw_severity severity, const char *format,
		      ...)
{
	char text[TELL_BYTES];
	va_list arguments;

	if (severity == CW_PROBLEM)
		atomic_store(&pipeline->has_problem, true);
	if (!pipeline->options.tell)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	pipeline->options.tell(pipeline->options.context, severity, text);
}

void cw_pipeline_describe_rule(const struct cw_rules *rules, const struct cw_rule *rule, char *text,
			       size_t text_bytes)
{
	if (!rule)
		snprintf(text, text_bytes, "the global filter");
	else if (rules->path)
		snprintf(text, text_bytes, "%s:%u: rule %s", rules->path,
			 rule->filter_line ? rule->filter_line : rule->line, rule->name);
	else
		snprintf(text, text_bytes, "rule %s", rule->name);
}

void cw_pipeline_report_rule(void *context, const struct cw_rule *rule, uint32_t linktype,
			     bool is_warning, const char *text)
{
	struct cw_pipeline *pipeline = context;
	char where[512], name[64];

	cw_pipeline_describe_rule(pipeline->options.rules, rule, where, sizeof(where));
	if (is_warning)
		cw_pipeline_tell(pipeline, CW_WARNING, "%s: %s", where, text);
	else
		cw_pipeline_tell(pipeline, CW_PROBLEM, "%s: never matches packets of type %s: %s",
				 where, cw_linktype_name(linktype, name, sizeof(name)), text);
}

uint32_t cw_pipeline_usable_cores(void)
{
	cpu_set_t cores;

	if (sched_getaffinity(0, sizeof(cores), &cores))
		return (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	return (uint32_t)CPU_COUNT(&cores);
}

void cw_pipeline_thread_ends(struct cw_pipeline *pipeline)
{
	uint64_t one = 1;

	/* An eventfd takes a one, unless it is at its limit and so readable already. */
	if (atomic_fetch_sub(&pipeline->running_threads, 1) == 1)
		(void)!write(pipeline->done_fd, &one, sizeof(one));
}

void cw_pipeline_request_stop(struct cw_pipeline *pipeline)
{
	uint64_t one = 1;

	(void)!write(pipeline->abort_fd, &one, sizeof(one)); /* as in thread_ends */
	cw_pipeline_stop_reading(pipeline);
}

void cw_pipeline_stop_reading(struct cw_pipeline *pipeline)
{
	uint64_t one = 1;
	uint32_t index;

	atomic_store(&pipeline->is_stopping, true);
	atomic_store(&pipeline->reload.is_cancelled, true);
	(void)!write(pipeline->wake_fd, &one, sizeof(one)); /* as in thread_ends */
	for (index = 0; index < pipeline->lane_count; index++)
		cw_gate_signal_all(&pipeline->lanes[index].shared.gate);
}

void cw_keeper_wake(struct cw_pipeline *pipeline)
{
	uint64_t one = 1;

	(void)!write(pipeline->keeper_fd, &one, sizeof(one)); /* as in thread_ends */
}

void cw_reload_wake(struct cw_pipeline *pipeline)
{
	uint64_t one = 1;

	(void)!write(pipeline->reload.fd, &one, sizeof(one)); /* as in thread_ends */
}

void cw_run_check_end(struct cw_pipeline *pipeline)
{
	/* [END-2] Whoever brings the last of the three about sees all of them. */
	if (atomic_load(&pipeline->is_sealed) && atomic_load(&pipeline->live_chunks) == 0 &&
	    atomic_load(&pipeline->live_batches) == 0 &&
	    !atomic_exchange(&pipeline->is_done, true)) {
		cw_gate_signal_all(&pipeline->worker_gate);
		if (pipeline->tap_count)
			cw_keeper_wake(pipeline);
		if (pipeline->reload.is_possible)
			cw_reload_wake(pipeline);
	}
}
