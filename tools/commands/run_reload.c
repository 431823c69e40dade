/* SPDX-License-Identifier: BSD-3-Clause */
/* A reload of the rules: its request, and reading the rules file again. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tools/commands/run.h"
#include "tools/process/hooks.h"
#include "tools/request/folders.h"
#include "tools/request/request.h"

int cw_session_load_rules(void *context, struct cw_rules *rules, struct cw_error *error)
{
	const struct cw_session *run = context;
	struct cw_pipeline_options options = *run->options;
	struct cw_folders folders;
	bool has_hooks = false;
	int result = cw_arguments_load_rules(run->arguments, rules, error);

	if (result < 0)
		return result;
	options.rules = rules;
	options.output.owner = geteuid();
	result = cw_folders_find(&folders, &options);
	if (result < 0)
		cw_error_set(error, result, "out of memory");
	else
		result = cw_folders_check(&folders, error);
	cw_folders_fini(&folders);
	if (result == 0)
		result = cw_rules_check_hooks(rules, &has_hooks, error);
	if (result == 0 && has_hooks && !run->hooks)
		result = cw_error_set(error, -EINVAL,
				      "a rule has a hook, and this run started without any: the "
				      "process that runs hooks starts only with the capture. "
				      "Restart capweir");
	if (result < 0)
		cw_rules_fini(rules);
	return result;
}

bool cw_session_can_reload(const struct cw_session *run)
{
	return run->is_live && run->arguments->rules.file &&
	       strcmp(run->arguments->rules.file, "-") != 0;
}
