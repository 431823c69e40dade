/* SPDX-License-Identifier: BSD-3-Clause */
/* The report for machines. Bytes are captured bytes, file_bytes those of files. */
#include <string.h>

#include "tools/commands.h"
#include "tools/json.h"

json_t *cw_json_text(const char *value)
{
	json_t *result;
	char clean[4096];
	size_t index;

	if (!value)
		return json_null();
	result = json_string(value);
	if (result)
		return result;
	for (index = 0; value[index] && index + 1 < sizeof(clean); index++)
		clean[index] = (signed char)value[index] < 0 ? '?' : value[index];
	clean[index] = '\0';
	return json_string(clean);
}

static json_t *count(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *inputs_json(const struct cw_report *report)
{
	json_t *list = json_array();
	uint32_t index;

	for (index = 0; index < report->input_count; index++) {
		const struct cw_report_input *input = &report->inputs[index];

		json_array_append_new(
			list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "file",
					cw_json_text(input->file), "packets", count(input->packets),
					"bytes", count(input->bytes), "file_bytes",
					count(input->file_bytes), "format", cw_json_text(input->format),
					"error", cw_json_text(input->error)));
	}
	return list;
}

static json_t *rule_json(const struct cw_report_rule *rule)
{
	json_t *lost = json_object();
	json_t *files = json_array();
	uint32_t index;

	for (index = 0; index < CW_LOSS_COUNT; index++)
		json_object_set_new(lost, cw_loss_name((enum cw_loss)index),
				    count(rule->lost[index]));
	for (index = 0; index < rule->file_count; index++)
		json_array_append_new(files, cw_json_text(rule->files[index]));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
			 cw_json_text(rule->rule->name), "filter",
			 cw_json_text(rule->rule->filter ? rule->rule->filter : "unmatched"), "matched",
			 count(rule->matched), "written", count(rule->written), "bytes",
			 count(rule->bytes), "file_bytes", count(rule->file_bytes), "lost", lost,
			 "lost_total", count(rule->lost_total), "error", cw_json_text(rule->error),
			 "files", files);
}

static json_t *books_json(const struct cw_report *report)
{
	const struct cw_books *books = &report->books;

	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "balanced", report->is_balanced, "received", count(books->received),
			 "shed", count(books->shed), "malformed", count(books->malformed),
			 "prefiltered", count(books->prefiltered), "classified",
			 count(books->classified), "matched_any", count(books->matched_any),
			 "unmatched", count(books->unmatched), "matched", count(books->matched),
			 "written", count(books->written), "lost", count(books->lost),
			 "in_files", count(books->in_files), "expired", count(books->expired),
			 "sent_to_pipe", count(books->sent_to_pipe));
}

static json_t *verify_json(const struct cw_report_verify *verify)
{
	if (!verify->every)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "every", count(verify->every), "sampled",
			 count(verify->sampled), "differences", count(verify->differences));
}

int cw_report_print_json(const struct cw_report *report)
{
	json_t *rules = json_array();
	json_t *whole;
	uint32_t index;
	int status = CW_EXIT_COMPLETE;

	for (index = 0; index < report->rule_count; index++)
		json_array_append_new(rules, rule_json(&report->rules[index]));
	whole = json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:i, s:f}", "version", 1,
			  "inputs", inputs_json(report), "packets", count(report->packets),
			  "bytes", count(report->bytes), "rules", rules, "books",
			  books_json(report), "verify", verify_json(&report->verify), "complete",
			  report->is_complete, "durable",
			  report->is_durable ? json_boolean(report->books.lost == 0)
					     : json_null(),
			  "threads", (int)report->threads, "elapsed_s", report->elapsed_s);
	if (!whole || json_dumpf(whole, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) < 0 ||
	    fputc('\n', stdout) == EOF || fflush(stdout)) {
		cw_complain("cannot write the report to standard output");
		status = CW_EXIT_PROBLEM;
	}
	json_decref(whole);
	return status;
}
