/* SPDX-License-Identifier: BSD-3-Clause */
/* A reload of the rules: its request, and reading the rules file again. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/output/asking.h"
#include "tools/commands/run.h"
#include "tools/process/hooks.h"
#include "tools/request/request.h"

int cw_session_load_rules(void *context, struct cw_rules *rules, struct cw_error *error)
{
	const struct cw_session *run = context;
	bool has_hooks = false;
	int fd;
	int result = cw_asking_rules(run->asking, &fd, error);

	if (result == 0)
		result = cw_arguments_load_rules(run->arguments, fd, rules, error);
	if (result < 0)
		return result;
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
