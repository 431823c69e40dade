/* SPDX-License-Identifier: BSD-3-Clause */
/* One run from start to report: its sockets, privileges and hooks, its exit status. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/filter/text/compiler.h"
#include "pipeline/control/control.h"
#include "tools/commands/commands.h"
#include "tools/commands/run.h"
#include "tools/process/confine.h"
#include "tools/process/hooks.h"
#include "tools/process/metrics.h"
#include "tools/process/notify.h"
#include "tools/request/request.h"
#include "tools/text/report.h"

static void tell(void *context, enum cw_severity severity, const char *text)
{
	struct cw_session *run = context;

	if ((int)severity < run->level)
		return;
	if (run->has_progress)
		cw_complain_over_progress("%s%s", severity == CW_WARNING ? "warning: " : "", text);
	else
		cw_complain("%s%s", severity == CW_WARNING ? "warning: " : "", text);
}

/* ---- the control socket ---- */

static void set_level(void *context, enum cw_severity level)
{
	struct cw_session *run = context;

	run->level = (int)level;
}

static void on_reload(void *context)
{
	const struct cw_session *run = context;

	if (run->control)
		cw_control_wake(run->control);
}

static void on_reloaded(void *context, const char *text)
{
	const struct cw_session *run = context;

	cw_notify_reloaded(run->notify, text);
}

/* 0 or an exit status. */
static int open_control(struct cw_session *run)
{
	const struct cw_control_actions actions = {.stop = cw_session_stop_by_control,
						   .reloading = cw_session_tell_reloading,
						   .set_level = set_level,
						   .context = run};
	struct cw_error error = {0};
	int result;

	if (!run->arguments->live.control)
		return 0;
	result = cw_control_open(&run->control, run->arguments->live.control, &actions, &error);
	if (result < 0)
		cw_complain("%s", error.text);
	if (result == -EADDRINUSE || result == -EEXIST || result == -ENAMETOOLONG)
		return CW_EXIT_USAGE;
	return result < 0 ? CW_EXIT_PROBLEM : 0;
}

static int open_metrics(struct cw_session *run)
{
	struct cw_error error = {0};
	int result;

	if (!run->arguments->live.metrics)
		return 0;
	result = cw_metrics_open(&run->metrics, run->arguments->live.metrics, &error);
	if (result == 0)
		return 0;
	cw_session_complain(run, &error);
	return result == -ENOMEM || result == -EIO ? CW_EXIT_PROBLEM : CW_EXIT_USAGE;
}

static void run_hook(void *context, const struct cw_rule *rule, const char *path, int failure)
{
	const struct cw_session *run = context;

	if (run->is_live)
		cw_hooks_count_any(run->hooks, rule->name, path, failure);
	else
		cw_hooks_run_any(run->hooks, (uint32_t)(rule - run->options->rules->rules),
				 rule->name, path);
}

/* A split asks for its hooks itself. */
static int name_hooks(const struct cw_session *run)
{
	const struct cw_rules *rules = run->options->rules;
	int result = 0;

	for (uint32_t index = 0; index < rules->count && result == 0; index++) {
		if (run->hooks && !run->is_live && rules->rules[index].hook)
			result = cw_hooks_add(run->hooks, index, rules->rules[index].name);
	}
	return result < 0 ? cw_fail("cannot ask for hooks: %s", strerror(-result)) : 0;
}

static void kill_hooks(struct cw_session *run)
{
	run->has_killed_hooks = true;
	cw_hooks_kill(run->hooks);
	cw_signals_asked(&run->signals, cw_now_ns());
}

/* Acts on the signals that came while hooks run. Returns false to wait for hooks no longer. */
static bool handle_signals(struct cw_session *run)
{
	for (;;) {
		switch (cw_signals_next(&run->signals)) {
		case CW_SIGNAL_NONE:
			return true;
		case CW_SIGNAL_STOP:
			cw_complain("all files are complete: waiting for hooks; Ctrl-C or SIGTERM "
				    "after 1 s kills them");
			cw_signals_asked(&run->signals, cw_now_ns());
			break;
		case CW_SIGNAL_ABORT:
			run->was_interrupted = true;
			if (run->has_killed_hooks)
				return false; /* the kernel cannot end a hook, as on a dead disk */
			kill_hooks(run);
			break;
		case CW_SIGNAL_PRESS:
			kill_hooks(run);
			break;
		default:
			break;
		}
	}
}

/* Waits for the hooks, after all files are complete. */
static void finish_hooks(struct cw_session *run, struct cw_report *report)
{
	struct cw_hooks_result result;
	int status;

	if (!run->hooks)
		return;
	cw_notify_status(run->notify, "waiting for hooks");
	do
		status = cw_hooks_finish(run->hooks, run->signals.fd, &result);
	while (status == -EINTR && handle_signals(run));
	if (status == -EINTR)
		cw_complain("no longer waiting for killed hooks");
	else if (status < 0)
		cw_complain("the process that runs hooks has died: remaining hooks were not run");
	report->hooks_run = result.run;
	report->hooks_failed = result.failed;
	report->has_unfinished_hooks = status < 0;
}

/* Whether the run writes nothing and only counts. */
static bool is_count(const struct cw_pipeline_options *options)
{
	return options->rules->count == 1 && options->rules->rules[0].is_count;
}

static int finish(struct cw_session *run, const struct cw_arguments *arguments)
{
	static const int statuses[] = {[CW_VERDICT_COMPLETE] = CW_EXIT_COMPLETE,
				       [CW_VERDICT_INCOMPLETE] = CW_EXIT_PROBLEM,
				       [CW_VERDICT_DROPS] = CW_EXIT_DROPS};
	struct cw_report report = {0};
	enum cw_verdict verdict;
	int result, status;

	clearerr(stderr); /* from here on, text is part of the report */
	result = cw_pipeline_finish(run->pipeline, &report);
	finish_hooks(run, &report);
	if (result < 0)
		return cw_fail("out of memory for the report. The messages above name the files "
			       "that are not complete");
	report.was_interrupted = run->was_interrupted;
	verdict = cw_report_judge(&report, arguments->live.max_drop);
	report.is_complete = verdict != CW_VERDICT_INCOMPLETE;
	status = statuses[verdict];
	cw_report_complain(&report);
	if (arguments->json && cw_report_print_json(&report))
		status = CW_EXIT_PROBLEM;
	if (!arguments->json && !arguments->quiet && (run->is_live || !is_count(run->options)))
		status = cw_report_print(&report) ? CW_EXIT_PROBLEM : status;
	if (!arguments->json && arguments->output.counts)
		cw_report_print_count(&report);
	cw_report_fini(&report);
	return run->was_interrupted ? CW_EXIT_STOPPED : status;
}

/* Live, or if -Z says so: a split stays who started it. */
static bool changes_user(const struct cw_arguments *arguments)
{
	return arguments->devices.count || arguments->live.user;
}

static struct cw_confine_options confinement(const struct cw_arguments *arguments)
{
	struct cw_confine_options confine = {
	    .role = arguments->devices.count ? CW_CONFINE_CAPTURE : CW_CONFINE_SPLIT,
	    .user = arguments->live.user,
	    .keep_raw = arguments->devices.count > 0,
	    .accepts = arguments->live.control || arguments->live.metrics,
	    .keep_nice = arguments->live.realtime > 0};

	if (!arguments->devices.count)
		confine.groups = cw_known_groups(&confine.group_count);
	return confine;
}

int cw_session_prepare_files(struct cw_session *run, struct cw_pipeline_options *options,
			     struct cw_error *error)
{
	const struct cw_confine_options confine = confinement(run->arguments);

	if (run->arguments->devices.count)
		return cw_session_make_opener(run, &confine, options, error);
	if (!changes_user(run->arguments))
		return 0;
	return cw_confine_find_user(&confine, &options->output.owner, error);
}

/*
 * Called with all interfaces open, before the first thread and the first write. Drops privileges of
 * a live capture, or of any run with -Z. Where there is no Landlock, the opener has said so. From
 * here on signals are read by cw_session_wait.
 */
static void get_ready(void *context)
{
	const struct cw_session *run = context;
	struct cw_confine_options confine = confinement(run->arguments);
	struct cw_error error = {0};
	int result = 0;

	/* Files that libraries read once, and cannot read from here on. */
	tzset();
	json_object_seed(0);
	if (run->options->match.compiler)
		confine.compiler = cw_filter_compiler_pid(run->options->match.compiler);
	if (changes_user(run->arguments))
		result = cw_confine(&confine, &error);
	if (result < 0) {
		cw_complain("%s", error.text);
		_exit(CW_EXIT_PROBLEM);
	}
	if (result == CW_CONFINE_NO_LIST)
		cw_complain("warning: %s", error.text);
	cw_signals_ready();
}

int cw_run(const struct cw_arguments *arguments, const struct cw_pipeline_options *options,
	   struct cw_hooks *hooks, struct cw_notify *notify)
{
	struct cw_session run = {.arguments = arguments,
				 .options = options,
				 .notify = notify,
				 .hooks = hooks,
				 .is_live = options->device_count > 0,
				 .wants_progress = isatty(STDERR_FILENO) && !arguments->quiet};
	struct cw_pipeline_options filled = *options;
	struct cw_error error = {0};
	int result = cw_signals_open(&run.signals, cw_session_can_reload(&run));

	if (result < 0) {
		result = cw_fail("cannot watch signals: %s", strerror(-result));
		goto out;
	}
	run.start_ns = cw_now_ns();
	result = open_control(&run);
	if (result == 0)
		result = open_metrics(&run);
	if (result == 0 && cw_session_prepare_files(&run, &filled, &error) < 0) {
		cw_session_complain(&run, &error);
		result = error.code == -ENOMEM ? CW_EXIT_PROBLEM : CW_EXIT_USAGE;
	}
	if (result == 0)
		result = name_hooks(&run);
	if (result)
		goto out;
	filled.on_reloaded = on_reloaded;
	filled.on_reload = on_reload;
	filled.tell = tell;
	filled.on_ready = get_ready;
	filled.on_file = hooks ? run_hook : NULL;
	filled.load_rules = cw_session_can_reload(&run) ? cw_session_load_rules : NULL;
	filled.context = &run;
	result = cw_pipeline_start(&run.pipeline, &filled, &error);
	if (result < 0) {
		cw_session_complain(&run, &error);
		result = result == -EINVAL || result == -EROFS ? CW_EXIT_USAGE : CW_EXIT_PROBLEM;
		goto out;
	}
	if (run.metrics && !arguments->quiet)
		cw_complain("serving metrics at http://%s/metrics",
			    cw_metrics_address(run.metrics));
	cw_notify_ready(notify);
	cw_session_wait(&run);
	result = finish(&run, arguments);
	cw_pipeline_free(run.pipeline);
out:
	cw_metrics_close(run.metrics);
	cw_control_close(run.control);
	cw_signals_close(&run.signals);
	cw_session_end_opener(&run);
	return result;
}
