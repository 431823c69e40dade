/* SPDX-License-Identifier: BSD-3-Clause */
/* One run from start to report: signals, progress, statistics, exit status. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/plural.h"
#include "pipeline/control/control.h"
#include "pipeline/pipeline.h"
#include "tools/commands/commands.h"
#include "tools/process/confine.h"
#include "tools/process/hooks.h"
#include "tools/process/metrics.h"
#include "tools/process/notify.h"
#include "tools/request/folders.h"
#include "tools/request/request.h"
#include "tools/text/numbers.h"
#include "tools/text/report.h"

struct run {
	const struct cw_arguments *arguments;
	const struct cw_pipeline_options *options;
	struct cw_pipeline *pipeline;
	struct cw_hooks *hooks;  /* NULL: no hooks */
	uint64_t start_ns;       /* CLOCK_MONOTONIC */
	struct cw_progress last; /* live: counters at the last progress line */
	double last_s;           /* live: time of that line, seconds after the start */
	int notify_fd;           /* socket of the service manager; -1: none */
	bool is_live;
	struct cw_control *control; /* NULL: no control socket */
	struct cw_metrics *metrics; /* NULL: no metrics server */
	/* sequentially consistent: once a message */
	_Atomic int level;         /* enum cw_severity: least severity that is printed */
	_Atomic bool has_progress; /* stderr shows an unfinished progress line; any thread reads */
	bool wants_progress;       /* stderr is a terminal */
	bool is_stopped;           /* by a signal, the control socket or --duration */
	bool was_interrupted;      /* split: stopped by a signal, exit status 130 */
};

static void tell(void *context, enum cw_severity severity, const char *text)
{
	struct run *run = context;

	if ((int)severity < run->level)
		return;
	if (run->has_progress)
		cw_complain_over_progress("%s%s", severity == CW_WARNING ? "warning: " : "", text);
	else
		cw_complain("%s%s", severity == CW_WARNING ? "warning: " : "", text);
}

static double seconds_since(uint64_t start_ns)
{
	return (double)(cw_now_ns() - start_ns) * 1e-9;
}

static void print_file_progress(struct run *run, bool ends_line)
{
	char packets[CW_NUMBER_BYTES], bytes[CW_NUMBER_BYTES], rate[CW_NUMBER_BYTES];
	double elapsed_s = seconds_since(run->start_ns);
	struct cw_progress progress;
	char left[64] = "";

	cw_pipeline_progress(run->pipeline, &progress);
	if (progress.total_bytes && progress.read_bytes && elapsed_s > 0)
		snprintf(left, sizeof(left), ", %.0f %%, %.0f s left",
			 100.0 * (double)progress.read_bytes / (double)progress.total_bytes,
			 elapsed_s * (double)(progress.total_bytes - progress.read_bytes) /
			     (double)progress.read_bytes);
	fprintf(stderr, "%s%s packets, %s read, %s/s%s%s", run->has_progress ? "\r\033[K" : "",
		cw_format_count(progress.packets, packets),
		cw_format_bytes(progress.read_bytes, bytes),
		cw_format_bytes((uint64_t)((double)progress.read_bytes / elapsed_s), rate), left,
		ends_line ? "\n" : "");
	fflush(stderr);
	run->has_progress = !ends_line;
}

/* Live: rates since the last progress line, and all losses so far. */
static void print_live_progress(struct run *run, bool ends_line)
{
	char packets[CW_NUMBER_BYTES], bits[CW_NUMBER_BYTES], all[CW_NUMBER_BYTES],
	    dropped[CW_NUMBER_BYTES], before[CW_NUMBER_BYTES];
	double now_s = seconds_since(run->start_ns);
	double span_s = now_s - run->last_s;
	struct cw_progress progress;

	cw_pipeline_progress(run->pipeline, &progress);
	if (span_s < 1e-3)
		span_s = 1e-3;
	fprintf(
	    stderr,
	    "%s%.0f s: %s packets, %s/s, %s/s; dropped by the kernel %s, by the interface %s%s",
	    run->has_progress ? "\r\033[K" : "", now_s, cw_format_count(progress.packets, all),
	    cw_format_count((uint64_t)((double)(progress.packets - run->last.packets) / span_s),
			    packets),
	    cw_format_bytes((uint64_t)((double)(progress.bytes - run->last.bytes) / span_s), bits),
	    cw_format_count(progress.kernel_dropped, dropped),
	    cw_format_count(progress.lost_before_tap, before), ends_line ? "\n" : "");
	fflush(stderr);
	run->has_progress = !ends_line;
	run->last = progress;
	run->last_s = now_s;
}

static void print_progress(struct run *run, bool ends_line)
{
	if (run->is_live)
		print_live_progress(run, ends_line);
	else
		print_file_progress(run, ends_line);
}

/* Prints statistics (--stats, SIGUSR1): a progress line, or JSON on stdout with --json. */
static void print_stats(struct run *run)
{
	struct cw_progress progress;
	struct cw_books books;

	if (!run->is_live || !run->arguments->json) {
		print_progress(run, true);
		return;
	}
	cw_pipeline_progress(run->pipeline, &progress);
	cw_pipeline_peek(run->pipeline, &books);
	cw_stats_print_json(seconds_since(run->start_ns), &progress, &books);
}

/* Reports the packets and records so far, and exits at once. */
static _Noreturn void abort_run(struct run *run, int status)
{
	struct cw_books books;
	char received[CW_NUMBER_BYTES], written[CW_NUMBER_BYTES];

	cw_pipeline_abort(run->pipeline);
	cw_pipeline_peek(run->pipeline, &books);
	cw_complain("aborted: %s packet%s taken in, %s record%s written; unfinished files are left "
		    "as hidden .part files (capweir repair makes them readable)",
		    cw_format_count(books.received, received), cw_plural(books.received),
		    cw_format_count(books.written, written), cw_plural(books.written));
	_exit(status);
}

/* Requests a reload; the pipeline reports its result. */
static void reload(struct run *run)
{
	const char *rules = run->arguments->rules.file;

	if (!run->is_live)
		cw_complain("SIGHUP ignored: only a live capture reloads rules; split continues");
	else if (!rules)
		cw_complain("SIGHUP ignored: no rules file to reload; start with -R RULES");
	else if (!cw_pipeline_request_reload(run->pipeline))
		cw_complain("SIGHUP ignored: the rules came from standard input, which cannot be "
			    "read again; start with -R RULES");
}

/* Reads the rules file again, in the pipeline's reload thread, with all checks of the start. */
static int load_rules(void *context, struct cw_rules *rules, struct cw_error *error)
{
	const struct run *run = context;
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

static bool can_reload(const struct run *run)
{
	return run->is_live && run->arguments->rules.file &&
	       strcmp(run->arguments->rules.file, "-") != 0;
}

static void handle_signal(struct run *run, int signal_fd)
{
	struct signalfd_siginfo signal = {.ssi_signo = SIGTERM};

	if (read(signal_fd, &signal, sizeof(signal)) < 0) {
		if (errno == EINTR || errno == EAGAIN || run->is_stopped)
			return;
		/* It may be any signal: ending is safer than running on for ever. */
		cw_complain("cannot read a signal: %s", strerror(errno));
	}
	switch (signal.ssi_signo) {
	case SIGUSR1:
		print_stats(run);
		break;
	case SIGHUP:
		reload(run);
		break;
	default:
		if (run->is_stopped)
			abort_run(run, CW_EXIT_STOPPED);
		run->is_stopped = true;
		run->was_interrupted = !run->is_live;
		cw_notify(run->notify_fd, "STOPPING=1");
		cw_complain("stopping: writing all packets %s so far; another signal aborts",
			    run->is_live ? "captured" : "read");
		cw_pipeline_request_stop(run->pipeline);
	}
}

/* ---- the control socket ---- */

static void stop_by_control(void *context)
{
	struct run *run = context;

	if (run->is_stopped)
		return;
	run->is_stopped = true;
	cw_complain("stopping by the control socket: writing all packets captured so far");
	cw_pipeline_request_stop(run->pipeline);
}

static void set_level(void *context, enum cw_severity level)
{
	struct run *run = context;

	run->level = (int)level;
}

static void on_reload(void *context)
{
	const struct run *run = context;

	if (run->control)
		cw_control_wake(run->control);
}

/* 0 or an exit status. */
static int open_control(struct run *run)
{
	const struct cw_control_actions actions = {
	    .stop = stop_by_control, .set_level = set_level, .context = run};
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

static int open_metrics(struct run *run)
{
	struct cw_error error = {0};
	int result;

	if (!run->arguments->live.metrics)
		return 0;
	result = cw_metrics_open(&run->metrics, run->arguments->live.metrics, &error);
	if (result == 0)
		return 0;
	cw_complain("%s", error.text);
	return result == -ENOMEM || result == -EIO ? CW_EXIT_PROBLEM : CW_EXIT_USAGE;
}

/* ---- time ---- */

/* Returns the milliseconds until the next timed action, -1: none. */
static int next_wait_ms(const struct run *run, double progress_s, double stats_s)
{
	double now_s = seconds_since(run->start_ns);
	int metrics_ms = run->metrics ? cw_metrics_wait_ms(run->metrics) : -1;
	double due_s = metrics_ms < 0 ? 1e9 : now_s + (double)metrics_ms / 1000;

	if (run->wants_progress)
		due_s = progress_s;
	if (run->arguments->live.stats_ms && stats_s < due_s)
		due_s = stats_s;
	if (run->arguments->live.duration_ms && !run->is_stopped &&
	    (double)run->arguments->live.duration_ms / 1000 < due_s)
		due_s = (double)run->arguments->live.duration_ms / 1000;
	if (run->is_live && run->is_stopped && now_s + 1 < due_s)
		due_s = now_s + 1;
	if (due_s >= 1e9)
		return -1;
	return due_s <= now_s ? 0 : (int)((due_s - now_s) * 1000) + 1;
}

/* Performs the timed actions that are due. */
static void keep_time(struct run *run, double *progress_s, double *stats_s)
{
	const struct cw_arguments *arguments = run->arguments;
	double now_s = seconds_since(run->start_ns);

	if (run->wants_progress && now_s >= *progress_s) {
		print_progress(run, false);
		*progress_s = now_s + 1;
	}
	if (arguments->live.stats_ms && now_s >= *stats_s) {
		print_stats(run);
		while (*stats_s <= now_s) /* missed lines are skipped */
			*stats_s += (double)arguments->live.stats_ms / 1000;
	}
	if (arguments->live.duration_ms && !run->is_stopped &&
	    now_s >= (double)arguments->live.duration_ms / 1000) {
		run->is_stopped = true;
		cw_pipeline_request_stop(run->pipeline);
	}
	if (run->is_live && run->is_stopped && cw_pipeline_is_stuck(run->pipeline)) {
		cw_complain(
		    "a thread has been stuck for too long, most likely writing to a slow disk "
		    "or pipe");
		abort_run(run, CW_EXIT_PROBLEM);
	}
}

static void wait_for_end(struct run *run, int signal_fd)
{
	struct pollfd fds[3 + CW_CONTROL_FDS_MAX] = {
	    {.fd = cw_pipeline_done_fd(run->pipeline), .events = POLLIN},
	    {.fd = signal_fd, .events = POLLIN},
	    {.fd = run->metrics ? cw_metrics_fd(run->metrics) : -1, .events = POLLIN}};
	const struct timespec pause = {.tv_nsec = 10000000};
	double progress_s = 1, stats_s = (double)run->arguments->live.stats_ms / 1000;

	while (!(fds[0].revents & POLLIN)) {
		uint32_t count = run->control ? cw_control_fds(run->control, fds + 3) : 0;
		int ready = poll(fds, 3 + count, next_wait_ms(run, progress_s, stats_s));

		if (ready < 0 && errno != EINTR) { /* no memory: look at both again soon */
			nanosleep(&pause, NULL);
			fds[0].revents = cw_pipeline_is_done(run->pipeline) ? POLLIN : 0;
			handle_signal(run, signal_fd);
		}
		keep_time(run, &progress_s, &stats_s);
		if (ready > 0 && (fds[1].revents & POLLIN))
			handle_signal(run, signal_fd);
		if (ready > 0 && count)
			cw_control_serve(run->control, run->pipeline, fds + 3, count);
		if (run->metrics) /* also after a client's timeout */
			cw_metrics_serve(run->metrics, run->pipeline);
	}
	if (run->has_progress)
		fputs("\r\033[K", stderr);
	run->has_progress = false;
}

static void run_hook(void *context, const struct cw_rule *rule, const char *path)
{
	const struct run *run = context;

	cw_hooks_run_any(run->hooks, rule->name, rule->hook, path);
}

/* Waits for the hooks, after all files are complete. A signal ends the wait, not the hooks. */
static void finish_hooks(struct run *run, int signal_fd, struct cw_report *report)
{
	struct signalfd_siginfo signal;
	struct cw_hooks_result result;
	int status;

	if (!run->hooks)
		return;
	do
		status = cw_hooks_finish(run->hooks, signal_fd, &result);
	while (status == -EINTR && read(signal_fd, &signal, sizeof(signal)) == sizeof(signal) &&
	       signal.ssi_signo != SIGINT && signal.ssi_signo != SIGTERM);
	if (status == -EINTR)
		cw_complain("no longer waiting for hooks; running hooks continue");
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

static int finish(struct run *run, const struct cw_arguments *arguments, int signal_fd)
{
	static const int statuses[] = {[CW_VERDICT_COMPLETE] = CW_EXIT_COMPLETE,
				       [CW_VERDICT_INCOMPLETE] = CW_EXIT_PROBLEM,
				       [CW_VERDICT_DROPS] = CW_EXIT_DROPS};
	struct cw_report report = {0};
	enum cw_verdict verdict;
	int result, status;

	clearerr(stderr); /* from here on, text is part of the report */
	result = cw_pipeline_finish(run->pipeline, &report);
	finish_hooks(run, signal_fd, &report);
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

static void end_early(int number)
{
	(void)number;
	_exit(CW_EXIT_STOPPED);
}

/* Live, or if -Z says so: a split stays who started it. */
static bool changes_user(const struct cw_arguments *arguments)
{
	return arguments->devices.count || arguments->live.user;
}

static struct cw_confine_options confinement(const struct cw_arguments *arguments)
{
	return (struct cw_confine_options){.user = arguments->live.user,
					   .keep_raw = arguments->devices.count > 0,
					   .accepts =
					       arguments->live.control || arguments->live.metrics,
					   .keep_nice = arguments->live.realtime > 0};
}

/* Finds the user to switch to, who owns the files, and checks that this user can create them.
 * Returns 0 or an exit status. */
static int check_confinement(const struct cw_arguments *arguments,
			     struct cw_pipeline_options *options)
{
	const struct cw_confine_options confine = confinement(arguments);
	struct cw_folders folders = {0};
	struct cw_error error = {0};
	int result = cw_confine_find_user(&confine, &options->output.owner, &error);

	if (result == 0 && cw_folders_find(&folders, options) < 0)
		result = cw_error_set(&error, -ENOMEM, "out of memory");
	if (result == 0)
		result = cw_confine_check(&confine, (const char *const *)folders.at, folders.count,
					  &error);
	cw_folders_fini(&folders);
	if (result == 0)
		return 0;
	cw_complain("%s", error.text);
	return result == -ENOMEM ? CW_EXIT_PROBLEM : CW_EXIT_USAGE;
}

/*
 * Called with all interfaces open, before the first thread and the first write. Drops privileges of
 * a live capture, or of any run with -Z. From here on cw_run reads SIGINT and SIGTERM.
 */
static void get_ready(void *context)
{
	const struct run *run = context;
	const struct cw_confine_options confine = confinement(run->arguments);
	struct cw_error error = {0};
	sigset_t signals;
	int result = changes_user(run->arguments) ? cw_confine(&confine, &error) : 0;

	if (result < 0) {
		cw_complain("%s", error.text);
		_exit(CW_EXIT_PROBLEM);
	}
	if (result == CW_CONFINE_NO_LIST)
		cw_complain("warning: %s", error.text);
	if (can_reload(run) && faccessat(AT_FDCWD, run->arguments->rules.file, R_OK, AT_EACCESS))
		cw_complain("warning: the user that captures cannot read %s (%s): reloads will be "
			    "refused. Make the file readable for that user",
			    run->arguments->rules.file, strerror(errno));
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
}

/*
 * Sets up signals for the start, which may wait for pipes and libpcap but writes nothing: until the
 * first thread, a signal ends the process at once. The compile helper ends when its socket closes.
 */
static int watch_signals(void)
{
	const struct sigaction early = {.sa_handler = end_early};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	sigaction(SIGINT, &early, NULL);
	sigaction(SIGTERM, &early, NULL);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

int cw_run(const struct cw_arguments *arguments, const struct cw_pipeline_options *options,
	   struct cw_hooks *hooks)
{
	struct run run = {.arguments = arguments,
			  .options = options,
			  .notify_fd = cw_notify_open(),
			  .hooks = hooks,
			  .is_live = options->device_count > 0,
			  .wants_progress = isatty(STDERR_FILENO) && !arguments->quiet};
	struct cw_pipeline_options filled = *options;
	struct cw_error error = {0};
	int signal_fd = watch_signals();
	int result;

	if (signal_fd < 0) {
		result = cw_fail("cannot watch signals: %s", strerror(errno));
		goto out;
	}
	run.start_ns = cw_now_ns();
	result = changes_user(arguments) ? check_confinement(arguments, &filled) : 0;
	if (result == 0)
		result = open_control(&run);
	if (result == 0)
		result = open_metrics(&run);
	if (result)
		goto out;
	filled.on_reload = on_reload;
	filled.tell = tell;
	filled.on_ready = get_ready;
	filled.on_file = hooks ? run_hook : NULL;
	filled.load_rules = can_reload(&run) ? load_rules : NULL;
	filled.context = &run;
	result = cw_pipeline_start(&run.pipeline, &filled, &error);
	if (result < 0) {
		cw_complain("%s", error.text);
		result = result == -EINVAL ? CW_EXIT_USAGE : CW_EXIT_PROBLEM;
		goto out;
	}
	if (run.metrics && !arguments->quiet)
		cw_complain("serving metrics at http://%s/metrics",
			    cw_metrics_address(run.metrics));
	cw_notify(run.notify_fd, "READY=1");
	wait_for_end(&run, signal_fd);
	result = finish(&run, arguments, signal_fd);
	cw_pipeline_free(run.pipeline);
out:
	cw_metrics_close(run.metrics);
	cw_control_close(run.control);
	if (run.notify_fd >= 0)
		close(run.notify_fd);
	if (signal_fd >= 0)
		close(signal_fd);
	return result;
}
