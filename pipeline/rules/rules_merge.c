/* SPDX-License-Identifier: BSD-3-Clause */
/* After the file is read: rules get what only the defaults say, and names must differ. */
#include <stdlib.h>

#include "pipeline/rules/rules_yaml.h"

void cw_rules_unset(struct cw_rule *rule, const struct cw_rules_key *const *tables)
{
	for (; *tables; tables++)
		for (const struct cw_rules_key *key = *tables; key->word; key++)
			memset((char *)rule + key->offset, 0xff, key->bytes);
}

/* The numbers that the rule's keys did not give. */
static void merge_numbers(struct cw_rule *rule, const struct cw_rule *defaults,
			  const struct cw_rules_key *const *tables)
{
	static const uint64_t unset = UINT64_MAX;

	for (; *tables; tables++)
		for (const struct cw_rules_key *key = *tables; key->word; key++) {
			char *at = (char *)rule + key->offset;

			if (key->bytes && !memcmp(at, &unset, key->bytes))
				memcpy(at, (const char *)defaults + key->offset, key->bytes);
		}
}

static int merge_defaults(struct cw_rules_reader *reader, const struct cw_rules_key *const *tables)
{
	const struct cw_rule *defaults = &reader->defaults;

	for (uint32_t i = 0; i < reader->rules->count; i++) {
		struct cw_rule *rule = &reader->rules->rules[i];

		if (!rule->write && !defaults->write)
			return cw_rules_refuse_at(reader, rule->line,
						  "rule %s has no write; add write: to it or to "
						  "defaults, like '{rule}.pcap'",
						  rule->name);
		if (!rule->write)
			rule->write = strdup(defaults->write);
		if (!rule->write)
			return cw_rules_out_of_memory(reader);
		if (!rule->hook && defaults->hook && cw_rule_set_hook(rule, defaults->hook))
			return cw_rules_out_of_memory(reader);
		merge_numbers(rule, defaults, tables);
	}
	return 0;
}

static int compare_names(const void *left, const void *right)
{
	const struct cw_rule *a = *(const struct cw_rule *const *)left;
	const struct cw_rule *b = *(const struct cw_rule *const *)right;
	int order = strcmp(a->name, b->name);

	return order ? order : a < b ? -1 : a > b;
}

static int check_unique(struct cw_rules_reader *reader)
{
	struct cw_rules *rules = reader->rules;
	const struct cw_rule **sorted = malloc(rules->count * sizeof(struct cw_rule *));
	const struct cw_rule *again = NULL; /* the first in the file that is there already */
	const struct cw_rule *before = NULL;
	const struct cw_rule *unmatched = NULL;
	int status = 0;

	if (!sorted)
		return cw_rules_out_of_memory(reader);
	for (uint32_t i = 0; i < rules->count; i++)
		sorted[i] = &rules->rules[i];
	qsort(sorted, rules->count, sizeof(struct cw_rule *), compare_names);
	for (uint32_t i = 1; i < rules->count; i++)
		if (!strcmp(sorted[i - 1]->name, sorted[i]->name) &&
		    (!again || sorted[i] < again)) {
			again = sorted[i];
			before = sorted[i - 1];
		}
	free(sorted);
	if (again)
		return cw_rules_refuse_at(reader, again->line,
					  "rule %s is there already, in line %u", again->name,
					  before->line);
	for (uint32_t i = 0; !status && i < rules->count; i++) {
		if (rules->rules[i].kind != CW_RULE_UNMATCHED)
			continue;
		if (unmatched)
			status = cw_rules_refuse_at(
			    reader, rules->rules[i].line,
			    "rules %s and %s are both 'unmatched'; there can be one",
			    unmatched->name, rules->rules[i].name);
		unmatched = &rules->rules[i];
	}
	return status;
}

int cw_rules_merge(struct cw_rules_reader *reader, const struct cw_rules_key *const *tables)
{
	int status = check_unique(reader);

	return status ? status : merge_defaults(reader, tables);
}
