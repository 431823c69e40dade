/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What rules did, for the report: of the outputs that are there at the end, and of those that were
 * closed before because a reload removed or changed their rule. A rule is its name: what several
 * outputs of one name did, one after the other, is added up.
 */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/report/report_parts.h"

static int compare_names(const void *left, const void *right)
{
	return strcmp((*(struct cw_report_rule *const *)left)->rule->name,
		      (*(struct cw_report_rule *const *)right)->rule->name);
}

/* Add the past to the rules that have its names; what is left of it goes behind them. */
static int add_past(struct cw_past *past, struct cw_report *report)
{
	uint32_t index, in_force = report->rule_count;
	struct cw_report_rule **by_name, *key, **found, sum;

	if (!past->count)
		return 0;
	by_name = calloc(in_force, sizeof(struct cw_report_rule *));
	if (!by_name)
		return -ENOMEM;
	for (index = 0; index < in_force; index++)
		by_name[index] = &report->rules[index];
	qsort(by_name, in_force, sizeof(struct cw_report_rule *), compare_names);
	for (index = 0; index < past->count; index++) {
		struct cw_report_rule *entry = &past->rules[index];

		key = entry;
		found = bsearch(&key, by_name, in_force, sizeof(struct cw_report_rule *),
				compare_names);
		sum = (struct cw_report_rule){.rule = entry->rule, .is_removed = true};
		if (cw_report_add_later(&sum, entry) < 0)
			break;
		if (!found) {
			report->rules[report->rule_count++] = sum;
			continue;
		}
		sum.rule = (*found)->rule;
		sum.is_removed = false;
		if (cw_report_add_later(&sum, *found) < 0) {
			cw_report_rule_fini(&sum);
			break;
		}
		**found = sum;
	}
	free(by_name);
	return index < past->count ? -ENOMEM : 0;
}

int cw_report_rules(struct cw_report *report, struct cw_outputs *outputs,
		    const struct cw_generation *generation, struct cw_past *past)
{
	const struct cw_rules *rules = generation->rules;
	struct cw_books books;
	uint32_t index;

	for (index = 0; index < outputs->count; index++) {
		struct cw_output *output = &outputs->at[index];

		if (output->shared.state == CW_OUTPUT_FREE || !output->leaves_at)
			continue;
		if (cw_past_add(past, output) < 0)
			return -ENOMEM;
	}
	report->rules = calloc((size_t)rules->count + past->count + 1, sizeof(*report->rules));
	if (!report->rules)
		return -ENOMEM;
	for (index = 0; index < rules->count; index++, report->rule_count++) {
		struct cw_report_rule *entry = &report->rules[index];

		if (cw_report_output(&outputs->at[generation->outputs[index]], entry, &books) < 0)
			return -ENOMEM;
		entry->rule = &rules->rules[index];
		cw_report_add_books(&report->books, &books);
	}
	cw_report_add_books(&report->books, &past->books);
	return add_past(past, report);
}
