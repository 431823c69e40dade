/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir split and capweir capture: from arguments to the rules and options of a run. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/filter/text/compiler.h"
#include "pipeline/pipeline.h"
#include "tools/commands/commands.h"
#include "tools/process/hooks.h"
#include "tools/process/notify.h"
#include "tools/request/request.h"
#include "tools/text/report.h"

static int check_input(const struct cw_arguments *arguments)
{
	if (arguments->inputs.count || arguments->devices.count)
		return 0;
	if (!arguments->rules.file)
		return cw_refuse(
		    "no input: give -i INTERFACE (capweir devices lists them) or -r FILE");
	if (arguments->command == CW_CAPTURE)
		return cw_refuse("no input: give -i INTERFACE (capweir devices lists them), or "
				 "capture: {interface: INTERFACE} in %s",
				 arguments->rules.file);
	return cw_refuse("no input: give -i INTERFACE (capweir devices lists them) or -r FILE; "
			 "capweir capture -R %s captures by that file",
			 arguments->rules.file);
}

int cw_command_split(const struct cw_arguments *arguments)
{
	struct cw_request request = {.expression = NULL};
	struct cw_hooks *hooks = NULL;
	struct cw_notify notify;
	struct cw_error error = {0};
	bool has_hooks = false;
	int result;

	if (arguments->live.lists_devices || arguments->live.lists_linktypes ||
	    arguments->live.lists_clocks)
		return cw_command_devices(arguments);
	if (arguments->filter.dumps)
		return cw_dump_filters(arguments);
	cw_notify_open(&notify);
	result = check_input(arguments);
	if (result == 0)
		result = cw_request_make(&request, arguments);
	if (result == 0 && cw_rules_check_hooks(&request.rules, &has_hooks, &error) < 0)
		result = cw_refuse("%s", error.text);
	if (result == 0 && has_hooks)
		result = cw_arguments_start_hooks(arguments, &request.rules, &hooks);
	if (result == 0) {
		request.options.match.compiler = cw_arguments_start_compiler(arguments);
		result = cw_run(arguments, &request.options, hooks, &notify);
		cw_filter_compiler_free(request.options.match.compiler);
	}
	cw_notify_close(&notify);
	cw_hooks_free(hooks);
	cw_request_fini(&request);
	return result;
}
