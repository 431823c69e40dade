/* SPDX-License-Identifier: BSD-3-Clause */
/* One rule and the list of rules: grown, copied, freed; which names are good. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "pipeline/rules/rules_parts.h"

const char *cw_rule_name_fault(const char *name)
{
	size_t bytes = strlen(name);

	if (!bytes)
		return "it is empty";
	if (bytes > CW_RULE_NAME_BYTES_MAX)
		return "it is longer than 128 characters";
	if (strspn(name, ".") == bytes)
		return "it consists of dots";
	for (size_t i = 0; i < bytes; i++)
		if (!isascii(name[i]) || (!isalnum(name[i]) && !strchr("_-.+@:", name[i])))
			return "it may have letters, digits and _ - . + @ : only";
	return NULL;
}

bool cw_rule_is_unmatched(const char *filter)
{
	size_t start = strspn(filter, " \t\r\n");

	return !strncmp(filter + start, "unmatched", 9) &&
	       filter[start + 9 + strspn(filter + start + 9, " \t\r\n")] == 0;
}

/* Room for one more; doubled, so that a million rules cost a million copies, not their square. */
struct cw_rule *cw_rules_append(struct cw_rules *rules)
{
	bool is_power_of_2 = !(rules->count & (rules->count - 1));

	if (is_power_of_2) {
		size_t capacity = rules->count ? 2 * (size_t)rules->count : 1;
		struct cw_rule *grown = realloc(rules->rules, capacity * sizeof(*grown));

		if (!grown)
			return NULL;
		rules->rules = grown;
	}
	rules->rules[rules->count] = (struct cw_rule){0};
	return &rules->rules[rules->count++];
}

static void free_words(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

int cw_rule_set_hook(struct cw_rule *rule, char *const *words)
{
	size_t count = 0;

	while (words[count])
		count++;
	rule->hook = calloc(count + 1, sizeof(*rule->hook));
	for (size_t i = 0; rule->hook && i < count; i++) {
		rule->hook[i] = strdup(words[i]);
		if (rule->hook[i])
			continue;
		free_words(rule->hook);
		rule->hook = NULL;
	}
	return rule->hook ? 0 : -ENOMEM;
}

void cw_rule_fini(struct cw_rule *rule)
{
	free_words(rule->hook);
	free(rule->name);
	free(rule->filter);
	free(rule->write);
}

struct cw_rule *cw_rule_copy(const struct cw_rule *rule)
{
	struct cw_rule *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *rule;
	copy->name = strdup(rule->name);
	copy->write = strdup(rule->write);
	copy->filter = rule->filter ? strdup(rule->filter) : NULL;
	copy->hook = NULL;
	if (copy->name && copy->write && (copy->filter || !rule->filter) &&
	    (!rule->hook || cw_rule_set_hook(copy, rule->hook) == 0))
		return copy;
	cw_rule_free(copy);
	return NULL;
}

void cw_rule_free(struct cw_rule *rule)
{
	if (rule)
		cw_rule_fini(rule);
	free(rule);
}

void cw_rules_fini(struct cw_rules *rules)
{
	for (uint32_t i = 0; i < rules->count; i++)
		cw_rule_fini(&rules->rules[i]);
	free(rules->rules);
	free(rules->path);
	*rules = (struct cw_rules){0};
}
