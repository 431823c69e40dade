/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks a request as the start does, as far as that goes without inputs, interfaces and outputs.
 * The start ends at the first fault; here each rule has its turn. */
#include <errno.h>
#include <string.h>

#include "pipeline/setup/setup.h"
#include "pipeline/state.h"
#include "pipeline/threads/affinity.h"

int cw_pipeline_check(const struct cw_pipeline_options *options,
		      void (*found)(void *context, const struct cw_rule *rule, const char *text),
		      void *context)
{
	const struct cw_rules *rules = options->rules;
	struct cw_run run = {.options = *options};
	struct cw_claims claims;
	struct cw_cpu_list cpus;
	struct cw_error error = {0};

	if (options->pin && strcmp(options->pin, "auto") != 0 &&
	    cw_cpu_list_parse(options->pin, &cpus, &error) < 0)
		found(context, NULL, error.text);
	if (cw_claims_init(&claims, &run, rules) < 0)
		return -ENOMEM;
	for (uint32_t index = 0; index < rules->count; index++) {
		const struct cw_rule *rule = &rules->rules[index];
		struct cw_template *name;
		int result = cw_template_parse(&name, rule->write, options->output.directory, NULL);

		if (result < 0)
			continue; /* cw_rules_check reports it */
		if (cw_setup_target(&claims, rule, name, true, &error) < 0)
			found(context, rule, error.text);
		cw_template_free(name);
	}
	cw_claims_fini(&claims);
	return 0;
}
