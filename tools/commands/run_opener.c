/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of a live capture: who they belong to, and the process that opens them. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pipeline/output/asking.h"
#include "tools/commands/run.h"
#include "tools/process/confine.h"
#include "tools/process/hooks.h"
#include "tools/process/opener_process.h"
#include "tools/request/request.h"

/* Says what becomes of files with a hook. */
static int set_hooks(struct cw_session *run, const struct cw_confine_options *confine,
		     struct cw_error *error)
{
	struct cw_opener_owner user;
	uid_t capture = geteuid();
	int result = cw_arguments_find_hook_user(run->arguments, &user, error);

	if (result < 0)
		return result;
	cw_opener_set_hooks(
	    run->opener,
	    &(struct cw_opener_hooks){
		.socket = run->hooks ? cw_hooks_socket(run->hooks) : -1,
		.may_be_root = cw_confine_find_user(confine, &capture, NULL) == 0 && !capture,
		.has_user = result > 0,
		.user = user.user,
		.group = user.group});
	free((gid_t *)(uintptr_t)user.groups);
	return 0;
}

static int allow_folders(struct cw_opener *opener, const struct cw_arguments *arguments,
			 struct cw_error *error)
{
	int result = 0;

	if (arguments->output.directory)
		result = cw_opener_allow(opener, arguments->output.directory, error);
	for (uint32_t i = 0; i < arguments->live.folders.count && result == 0; i++) {
		result = cw_opener_allow(opener, arguments->live.folders.words[i], error);
		if (result)
			cw_error_prefix(error, "--allow-folder %s",
					arguments->live.folders.words[i]);
	}
	return result;
}

/* Starts the process with the outputs that the pipeline has checked. */
static int start_opener(void *context, struct cw_asking **asking, struct cw_error *error)
{
	struct cw_session *run = context;
	struct cw_opener_process process;
	int result = cw_opener_process_start(&process, run->opener, error);

	cw_opener_free(run->opener);
	run->opener = NULL;
	if (run->hooks)
		cw_hooks_leave(run->hooks); /* only the opener can ask for hooks */
	if (result < 0)
		return result;
	run->opener_pid = process.pid;
	if (result)
		cw_complain("warning: %s", error->text);
	error->code = 0;
	if (cw_asking_new(asking, process.sockets, CW_OPENER_CHANNELS))
		return cw_error_set(error, -ENOMEM, "no memory for the process that opens files");
	run->asking = *asking;
	return 0;
}

/* Each folder of the outputs is a descriptor until the process starts, and there. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int cw_session_make_opener(struct cw_session *run, const struct cw_confine_options *confine,
			   struct cw_pipeline_options *options, struct cw_error *error)
{
	int result = cw_arguments_find_owner(run->arguments, &run->owner, error);

	raise_limit();
	if (result >= 0)
		result = cw_opener_new(&run->opener, result ? &run->owner : NULL);
	if (result == -ENOMEM)
		return cw_error_set(error, result, "no memory for the table of outputs");
	if (result == 0)
		result = set_hooks(run, confine, error);
	if (result == 0)
		result = allow_folders(run->opener, run->arguments, error);
	if (result == 0 && cw_session_can_reload(run))
		result = cw_opener_set_rules(run->opener, run->arguments->rules.file, error);
	if (result == 0 && run->control)
		result = cw_opener_set_socket(run->opener, run->arguments->live.control, error);
	options->output.opener = run->opener;
	options->start_opener = start_opener;
	return result;
}

void cw_session_end_opener(struct cw_session *run)
{
	cw_opener_free(run->opener);
	if (run->opener_pid)
		waitpid(run->opener_pid, NULL, 0);
	free((gid_t *)run->owner.groups);
}
