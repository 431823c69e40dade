/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The results of rules, for the report: of the outputs open at the end, and of outputs closed
 * before because a reload removed or changed their rule. The results of several outputs of one rule
 * name are added up. Also keeps the generations that are over.
 */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/report/past.h"

int cw_past_init(struct cw_past *past, uint32_t lane_count)
{
	for (uint32_t index = 0; index < CW_GENERATIONS_REPORTED; index++) {
		past->generations[index].firsts = calloc(lane_count, sizeof(uint64_t));
		if (!past->generations[index].firsts)
			return -ENOMEM;
	}
	return 0;
}

void cw_past_add_generation(struct cw_past *past, const struct cw_generation *generation)
{
	struct cw_past_generation *entry =
	    &past->generations[past->generation_count++ % CW_GENERATIONS_REPORTED];

	entry->number = generation->number;
	entry->start_ns = generation->start_ns;
	entry->rule_count = generation->rules->count;
	for (uint32_t lane = 0; lane < generation->lane_count; lane++)
		entry->firsts[lane] = atomic_load(&generation->firsts[lane]);
}

void cw_report_add_books(struct cw_books *sum, const struct cw_books *more)
{
	const struct cw_books_line *line;

	for (line = cw_books_lines; line->name; line++)
		*cw_books_counter(sum, line) += cw_books_count(more, line);
}

/* The later ring counts, with what an output that is not closed yet has in the same one. */
static void add_ring(struct cw_report_ring *sum, struct cw_report_ring *more)
{
	struct cw_report_ring later = *more;

	more->list = NULL;
	if (!later.list)
		return;
	if (sum->list && strcmp(sum->list, later.list) == 0) {
		later.files += sum->files;
		later.bytes += sum->bytes;
	}
	free(sum->list);
	*sum = later;
}

int cw_report_add_later(struct cw_report_rule *sum, struct cw_report_rule *more)
{
	uint32_t count = sum->file_count + more->file_count;
	char **files = realloc(sum->files, (count + 1) * sizeof(*files));

	if (!files)
		return -ENOMEM;
	sum->files = files;
	if (more->file_count)
		memcpy(files + sum->file_count, more->files, more->file_count * sizeof(*files));
	sum->file_count = count;
	sum->matched += more->matched;
	sum->written += more->written;
	sum->bytes += more->bytes;
	sum->file_bytes += more->file_bytes;
	sum->expired += more->expired;
	sum->expired_files += more->expired_files;
	sum->left_out_total += more->left_out_total;
	for (uint32_t cause = 0; cause < CW_LEFT_OUT_COUNT; cause++)
		sum->left_out[cause] += more->left_out[cause];
	sum->timestamps_truncated += more->timestamps_truncated;
	sum->other_fcs += more->other_fcs;
	sum->early += more->early;
	sum->truncated += more->truncated;
	sum->failures += more->failures;
	sum->lost_total += more->lost_total;
	for (uint32_t cause = 0; cause < CW_LOSS_COUNT; cause++)
		sum->lost[cause] += more->lost[cause];
	add_ring(&sum->ring, &more->ring);
	if (more->error) {
		free(sum->error);
		sum->error = more->error;
	}
	free(more->files);
	more->files = NULL;
	more->error = NULL;
	more->file_count = 0;
	return 0;
}

static struct cw_report_rule *find_past(const struct cw_past *past, const char *name)
{
	for (uint32_t index = 0; index < past->count; index++) {
		if (strcmp(past->rules[index].rule->name, name) == 0)
			return &past->rules[index];
	}
	return NULL;
}

/* Returns a new entry for the rule; if there are too many, the one entry for all further rules. */
static struct cw_report_rule *new_past(struct cw_past *past, const struct cw_rule *rule)
{
	static char others[] = "(others)", nowhere[] = "";
	static const struct cw_rule other_rules = {.name = others, .write = nowhere};
	bool is_full = past->count >= CW_PAST_RULES_MAX;
	struct cw_report_rule *found = is_full ? find_past(past, others) : NULL;
	struct cw_report_rule *grown;
	struct cw_rule *copy;

	if (found)
		return found;
	grown = realloc(past->rules, (past->count + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	past->rules = grown;
	copy = cw_rule_copy(is_full ? &other_rules : rule);
	if (!copy)
		return NULL;
	grown[past->count] = (struct cw_report_rule){.rule = copy, .is_removed = true};
	return &grown[past->count++];
}

int cw_past_add(struct cw_past *past, struct cw_output *output)
{
	const struct cw_rule *rule = output->last_rule ? output->last_rule : output->rule;
	struct cw_report_rule *entry = NULL;
	struct cw_report_rule report;
	struct cw_books books;

	if (cw_report_output(output, &report, &books) < 0)
		return -ENOMEM;
	if (report.matched || report.file_count || report.expired_files || report.failures) {
		entry = find_past(past, rule->name);
		if (!entry)
			entry = new_past(past, rule);
		if (!entry || cw_report_add_later(entry, &report) < 0) {
			cw_report_rule_fini(&report);
			return -ENOMEM;
		}
	}
	cw_report_rule_fini(&report);
	cw_report_add_books(&past->books, &books);
	past->written += atomic_load(&output->shared.written);
	return 0;
}

void cw_past_fini(struct cw_past *past)
{
	for (uint32_t index = 0; index < CW_GENERATIONS_REPORTED; index++)
		free(past->generations[index].firsts);
	while (past->count) {
		struct cw_report_rule *entry = &past->rules[--past->count];

		cw_rule_free((struct cw_rule *)(uintptr_t)entry->rule);
		cw_report_rule_fini(entry);
	}
	free(past->rules);
	past->rules = NULL;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp((*(struct cw_report_rule *const *)left)->rule->name,
		      (*(struct cw_report_rule *const *)right)->rule->name);
}

/* Adds the past to the report's rules of the same names; appends the entries without a match. */
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

/* Fills the link types for which the rule's filter is illegal; of two byte orders one counts. */
static int report_illegal(const struct cw_matcher *matcher, uint32_t rule,
			  struct cw_report_rule *report)
{
	uint32_t set_count = atomic_load(&matcher->set_count), count = 0;
	uint32_t *types = calloc(set_count + 1, sizeof(*types));

	if (!types)
		return -ENOMEM;
	for (uint32_t index = 0; index < set_count; index++) {
		const struct cw_rule_set *set = matcher->sets[index];
		bool is_known = false;

		for (uint32_t known = 0; known < count; known++)
			is_known |= types[known] == set->linktype;
		if (set->is_illegal[rule] && !is_known)
			types[count++] = set->linktype;
	}
	report->illegal_linktypes = types;
	report->illegal_linktype_count = count;
	return 0;
}

int cw_report_rules(struct cw_report *report, struct cw_outputs *outputs,
		    const struct cw_generation *generation, struct cw_past *past)
{
	const struct cw_rules *rules = generation->rules;
	struct cw_books books;

	for (uint32_t index = 0; index < outputs->count; index++) {
		struct cw_output *output = &outputs->at[index];

		if (output->shared.state == CW_OUTPUT_FREE || !output->leaves_at)
			continue;
		if (cw_past_add(past, output) < 0)
			return -ENOMEM;
	}
	report->rules = calloc((size_t)rules->count + past->count + 1, sizeof(*report->rules));
	if (!report->rules)
		return -ENOMEM;
	for (uint32_t index = 0; index < rules->count; index++, report->rule_count++) {
		struct cw_report_rule *entry = &report->rules[index];

		if (cw_report_output(&outputs->at[generation->outputs[index]], entry, &books) < 0)
			return -ENOMEM;
		entry->rule = &rules->rules[index];
		cw_report_add_books(&report->books, &books);
	}
	cw_report_add_books(&report->books, &past->books);
	if (add_past(past, report) < 0)
		return -ENOMEM;
	for (uint32_t index = 0; index < rules->count; index++) {
		if (report_illegal(&generation->matcher, index, &report->rules[index]) < 0)
			return -ENOMEM;
	}
	return 0;
}
