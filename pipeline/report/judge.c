/* SPDX-License-Identifier: BSD-3-Clause */
/* The verdict on a run: everything that the report records, and nothing else. */
#include "pipeline/report/report.h"

static bool is_complete(const struct cw_report *report)
{
	if (!report->is_balanced || report->has_problem || report->was_interrupted ||
	    report->books.lost || report->books.malformed || report->verify.differences ||
	    report->hooks_failed || report->has_unfinished_hooks)
		return false;
	for (uint32_t index = 0; index < report->input_count; index++) {
		if (report->inputs[index].error || report->inputs[index].resynced.places)
			return false;
	}
	for (uint32_t index = 0; index < report->rule_count; index++) {
		const struct cw_report_rule *rule = &report->rules[index];

		if (rule->error || rule->failures || rule->timestamps_truncated || rule->truncated)
			return false;
	}
	return true;
}

enum cw_verdict cw_report_judge(const struct cw_report *report, uint64_t max_drop)
{
	if (!is_complete(report))
		return CW_VERDICT_INCOMPLETE;
	return report->kernel_dropped > max_drop ? CW_VERDICT_DROPS : CW_VERDICT_COMPLETE;
}
