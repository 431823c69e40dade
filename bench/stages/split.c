/* SPDX-License-Identifier: BSD-3-Clause */
/* Splits with the pipeline: builds rules, runs, reads the report. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "bench/stages/pipeline.h"
#include "bench/stages/split.h"

int cw_stage_add_rules(struct cw_rules *rules, const char *const *filters, uint32_t count,
		       struct cw_error *error)
{
	char filter[CW_STAGE_FILTER_BYTES], name[32], write[32];
	int result = 0;

	for (uint32_t i = 0; i < count && result == 0; i++) {
		if (!filters)
			cw_stage_filter(i, filter);
		snprintf(name, sizeof(name), "%u", i);
		snprintf(write, sizeof(write), "%u.pcap", i);
		result = cw_rules_add(rules, name, filters ? filters[i] : filter, write, 0, error);
	}
	return result;
}

int cw_stage_run(const struct cw_pipeline_options *options,
		 void (*meanwhile)(void *context, struct cw_pipeline *pipeline), void *context,
		 struct cw_report *report, struct cw_error *error)
{
	struct cw_pipeline *pipeline;
	int result = cw_pipeline_start(&pipeline, options, error);

	if (result < 0)
		return result;
	if (meanwhile)
		meanwhile(context, pipeline);
	else
		poll(&(struct pollfd){.fd = cw_pipeline_done_fd(pipeline), .events = POLLIN}, 1,
		     -1);
	result = cw_pipeline_finish(pipeline, report);
	if (result < 0)
		cw_error_set(error, result, "out of memory for the report");
	cw_pipeline_free(pipeline);
	return result;
}

/* Fills the cause of a failure from the report. */
static void explain(const struct cw_report *report, char *text)
{
	const char *why = "records were lost";

	for (uint32_t i = 0; i < report->rule_count; i++)
		why = report->rules[i].error ? report->rules[i].error : why;
	for (uint32_t i = 0; i < report->input_count; i++)
		why = report->inputs[i].error ? report->inputs[i].error : why;
	snprintf(text, CW_STAGE_TEXT_BYTES, "%s", why);
}

int cw_stage_split(const struct cw_stage_split_options *options, struct cw_split_result *result,
		   char text[CW_STAGE_TEXT_BYTES])
{
	struct cw_pipeline_options pipeline;
	struct cw_rules rules = {0};
	struct cw_stage_clock clock;
	struct cw_report report;
	struct cw_error error = {0};
	int status;

	*result = (struct cw_split_result){0};
	cw_stage_start(&clock);
	status = cw_stage_add_rules(&rules, options->filters, options->filter_count, &error);
	if (status >= 0) {
		cw_pipeline_options_init(&pipeline);
		pipeline.inputs = &options->path;
		pipeline.input_count = 1;
		pipeline.rules = &rules;
		pipeline.output.directory = options->folder;
		pipeline.threads = options->threads;
		status = cw_stage_run(&pipeline, NULL, NULL, &report, &error);
	}
	cw_stage_stop(&clock, &result->time);
	if (status < 0) {
		snprintf(text, CW_STAGE_TEXT_BYTES, "%s", error.text);
		cw_rules_fini(&rules);
		return status;
	}
	result->packets = report.packets;
	result->bytes = report.bytes;
	result->written = report.books.written;
	result->lost = report.books.lost;
	for (uint32_t i = 0; i < report.rule_count; i++)
		result->written_bytes += report.rules[i].bytes;
	if (!report.is_complete || !report.is_balanced) {
		explain(&report, text);
		status = -EIO;
	}
	cw_report_fini(&report);
	cw_rules_fini(&rules);
	return status;
}
