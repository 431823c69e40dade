/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks a request as the start does, as far as that goes without inputs, interfaces and outputs.
 * The start ends at the first fault; here each rule has its turn. */
#include <errno.h>
#include <string.h>

#include "pipeline/setup/setup.h"
#include "pipeline/state.h"
#include "pipeline/threads/affinity.h"

static int pass_over(void *context, const char *path, uint64_t number)
{
	(void)context;
	(void)path;
	(void)number;
	return 0;
}

/* Checks that the folders of a live output that counts its files can be read. */
static int check_folders(const struct cw_outputs *outputs, const struct cw_rule *rule,
			 struct cw_template *name, struct cw_error *error)
{
	struct cw_folder_names names = {0};
	const struct cw_output output = {
	    .name = name, .rule = rule, .is_numbered = cw_rule_is_numbered(rule, name)};
	const struct cw_folder_visitor visitor = {outputs, &names, pass_over, NULL};
	int result = cw_setup_has_numbers(&output) ? cw_setup_visit(&output, &visitor, error) : 0;

	cw_folder_names_fini(&names);
	return result;
}

int cw_pipeline_check(const struct cw_pipeline_options *options,
		      void (*found)(void *context, const struct cw_rule *rule, const char *text),
		      void *context)
{
	const struct cw_rules *rules = options->rules;
	struct cw_run run = {.options = *options};
	const struct cw_outputs outputs = {.run = &run};
	struct cw_claims claims;
	struct cw_cpu_list cpus;
	struct cw_error error = {0};

	if (options->pin && strcmp(options->pin, "auto") != 0 &&
	    cw_cpu_list_parse(options->pin, &cpus, &error) < 0)
		found(context, NULL, error.text);
	if (cw_claims_init(&claims, &outputs, rules) < 0)
		return -ENOMEM;
	for (uint32_t index = 0; index < rules->count; index++) {
		const struct cw_rule *rule = &rules->rules[index];
		struct cw_template *name;
		int result = cw_template_parse(&name, rule->write, options->output.directory, NULL);

		if (result < 0)
			continue; /* cw_rules_check reports it */
		result = cw_setup_target(&claims, rule, name, NULL, &error);
		if (result == 0 && options->device_count)
			result = check_folders(&outputs, rule, name, &error);
		if (result < 0)
			found(context, rule, error.text);
		cw_template_free(name);
	}
	cw_claims_fini(&claims);
	return 0;
}

void cw_pipeline_check_linktypes(
    const struct cw_pipeline_options *options, const struct cw_matcher *matcher,
    void (*found)(void *context, const struct cw_rule *rule, const char *text), void *context)
{
	const struct cw_rules *rules = options->rules;
	struct cw_error error = {0};

	for (uint32_t index = 0; index < rules->count; index++)
		if (cw_setup_linktypes(matcher, rules, index, &error) < 0)
			found(context, &rules->rules[index], error.text);
}
