/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a rules file: read, check, expand. Accepted rules have safe names, a filter or
 * `unmatched`, and a template.
 */
#include <stdlib.h>

#include "pipeline/rules/rules.h"
#include "pipeline/rules/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static void expand(const struct cw_rule *rule)
{
	struct cw_template_values values = {.rule = rule->name, .iface = "../eth0", .is_utc = true};
	char path[CW_TEMPLATE_PATH_BYTES];
	struct cw_template *name;
	int length;

	if (cw_template_parse(&name, rule->write, "out", NULL))
		return;
	length = cw_template_expand(name, &values, path);
	require(length < 0 || strlen(path) == (size_t)length);
	for (int i = 0; i < length; i++)
		require((uint8_t)path[i] >= 0x20 && path[i] != 0x7f);
	cw_template_free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct cw_rules rules;
	struct cw_error error = {0};
	int status = cw_rules_parse(&rules, (const char *)data, bytes, "fuzz.yaml", &error);

	if (status) {
		require(error.code == status && error.text[0]);
		require(!rules.rules && !rules.count);
		return 0;
	}
	require(rules.count > 0);
	for (uint32_t i = 0; i < rules.count; i++) {
		const struct cw_rule *rule = &rules.rules[i];

		require(rule->name[0] && !strchr(rule->name, '/') && rule->line > 0);
		require(!rule->filter == (rule->kind == CW_RULE_UNMATCHED));
		expand(rule);
	}
	(void)cw_rules_check(&rules, &error);
	cw_rules_fini(&rules);
	return 0;
}
