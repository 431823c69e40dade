/* SPDX-License-Identifier: BSD-3-Clause */
/* Starts the helper processes of a run: one compiles filters, one runs hooks. */
#include <errno.h>

#include "core/filter/text/compiler.h"
#include "tools/options/options.h"
#include "tools/process/confine.h"
#include "tools/process/hooks.h"
#include "tools/request/request.h"

/* Runs in a helper of a live capture, which receives input derived from strangers' packets. */
static int confine_helper(void *context)
{
	const struct cw_confine_options *options = context;
	struct cw_error error = {0};
	int result = cw_confine(options, &error);

	if (result == CW_CONFINE_NO_LANDLOCK)
		cw_complain("warning: %s", error.text);
	/* An unknown or forbidden user: the check in cw_run reports it and ends the run; as the
	 * capture reports a missing list of system calls. */
	return result > 0 || result == -EINVAL || result == -EPERM ? 0 : result;
}

struct cw_filter_compiler *cw_arguments_start_compiler(const struct cw_arguments *arguments)
{
	struct cw_confine_options confine = {.role = CW_CONFINE_COMPILER,
					     .user = arguments->live.user,
					     .resolves = arguments->filter.resolve};
	const struct cw_filter_compiler_options options = {
	    .time_ms = (uint32_t)arguments->filter.time_ms,
	    .memory_bytes = arguments->filter.memory_bytes,
	    .on_start = arguments->devices.count ? confine_helper : NULL,
	    .context = &confine,
	};
	struct cw_filter_compiler *compiler;
	struct cw_error error = {0};

	if (cw_filter_compiler_start(&compiler, &options, &error) == 0)
		return compiler;
	cw_complain("warning: %s; they are compiled without limits on time and memory", error.text);
	return NULL;
}

int cw_arguments_start_hooks(const struct cw_arguments *arguments, struct cw_hooks **hooks)
{
	struct cw_confine_options confine = {.role = CW_CONFINE_HOOKS,
					     .user = arguments->live.user};
	const struct cw_hooks_options options = {
	    .time_ms = (uint32_t)arguments->rules.hook_ms,
	    .on_start = arguments->devices.count ? confine_helper : NULL,
	    .context = &confine,
	};
	struct cw_error error = {0};

	if (cw_hooks_start(hooks, &options, &error) == 0)
		return 0;
	return cw_fail("%s", error.text);
}
