/* SPDX-License-Identifier: BSD-3-Clause */
/* The wait for a run's end: signals, the control socket, the clock, progress. */
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/plural.h"
#include "pipeline/control/control.h"
#include "pipeline/control/snapshot.h"
#include "pipeline/output/asking.h"
#include "tools/commands/run.h"
#include "tools/process/metrics.h"
#include "tools/text/numbers.h"
#include "tools/text/report.h"

#define OWN_FDS 4 /* descriptors that main waits for beside those of the control socket */

/* Reports the packets and records so far, and exits at once. */
static _Noreturn void abort_run(struct cw_session *run, int status)
{
	struct cw_books books;
	char received[CW_NUMBER_BYTES], written[CW_NUMBER_BYTES];

	cw_pipeline_abort(run->pipeline);
	cw_signals_let_go(&run->signals);
	cw_pipeline_abort_publish(run->pipeline);
	cw_pipeline_peek(run->pipeline, &books);
	cw_complain("aborted: %s packet%s taken in, %s record%s written",
		    cw_format_count(books.received, received), cw_plural(books.received),
		    cw_format_count(books.written, written), cw_plural(books.written));
	_exit(status);
}

static void stop_by_signal(struct cw_session *run)
{
	run->is_stopped = true;
	run->was_interrupted = !run->is_live;
	cw_session_begin_end(run);
	cw_pipeline_request_stop(run->pipeline);
	cw_complain("stopping: writing all packets %s so far; Ctrl-C again after 1 s aborts",
		    run->is_live ? "captured" : "read");
	cw_signals_asked(&run->signals, cw_now_ns());
}

static void report_waits(struct cw_session *run)
{
	char waits[512];

	cw_pipeline_waits(run->pipeline, waits, sizeof(waits));
	cw_complain("still stopping; Ctrl-C or SIGQUIT aborts. Waiting for %s", waits);
}

/* Acts on every signal that has come. */
static void handle_signals(struct cw_session *run)
{
	for (;;) {
		switch (cw_signals_next(&run->signals)) {
		case CW_SIGNAL_NONE:
			return;
		case CW_SIGNAL_STOP:
			stop_by_signal(run);
			break;
		case CW_SIGNAL_SAME:
			break;
		case CW_SIGNAL_ABORT:
			abort_run(run, CW_EXIT_STOPPED);
		case CW_SIGNAL_PRESS:
			report_waits(run);
			break;
		case CW_SIGNAL_RELOAD:
			cw_session_tell_reloading(run);
			cw_pipeline_request_reload(run->pipeline);
			break;
		case CW_SIGNAL_STATS:
			cw_session_print_stats(run);
			break;
		case CW_SIGNAL_FLUSH:
			cw_pipeline_flush(run->pipeline);
			break;
		}
	}
}

void cw_session_stop_by_control(void *context)
{
	struct cw_session *run = context;

	if (run->is_stopped)
		return;
	run->is_stopped = true;
	cw_session_begin_end(run);
	cw_complain("stopping by the control socket: writing all packets captured so far");
	cw_pipeline_request_stop(run->pipeline);
}

/* ---- time ---- */

/* Returns the milliseconds until the next timed action, -1: none. */
static int next_wait_ms(struct cw_session *run, double progress_s, double stats_s)
{
	double now_s = cw_session_seconds(run);
	int state_ms = cw_session_tell_state(run);
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
	if (state_ms >= 0 && now_s + (double)state_ms / 1000 < due_s)
		due_s = now_s + (double)state_ms / 1000;
	if (due_s >= 1e9)
		return -1;
	return due_s <= now_s ? 0 : (int)((due_s - now_s) * 1000) + 1;
}

/* Performs the timed actions that are due. */
static void keep_time(struct cw_session *run, double *progress_s, double *stats_s)
{
	const struct cw_arguments *arguments = run->arguments;
	double now_s = cw_session_seconds(run);

	if (run->wants_progress && now_s >= *progress_s) {
		cw_session_print_progress(run, false);
		*progress_s = now_s + 1;
	}
	if (arguments->live.stats_ms && now_s >= *stats_s) {
		cw_session_print_stats(run);
		while (*stats_s <= now_s) /* missed lines are skipped */
			*stats_s += (double)arguments->live.stats_ms / 1000;
	}
	if (arguments->live.duration_ms && !run->is_stopped &&
	    now_s >= (double)arguments->live.duration_ms / 1000) {
		run->is_stopped = true;
		cw_session_begin_end(run);
		cw_pipeline_request_stop(run->pipeline);
	}
	if (run->is_live && run->is_stopped && cw_pipeline_is_stuck(run->pipeline)) {
		cw_complain(
		    "a thread has been stuck for too long, most likely writing to a slow disk "
		    "or pipe");
		abort_run(run, CW_EXIT_PROBLEM);
	}
}

static void lose_opener(struct cw_session *run)
{
	run->is_stopped = true;
	cw_session_begin_end(run);
	cw_pipeline_lose_opener(run->pipeline);
}

void cw_session_wait(struct cw_session *run)
{
	struct pollfd fds[OWN_FDS + CW_CONTROL_FDS_MAX] = {
	    {.fd = cw_pipeline_done_fd(run->pipeline), .events = POLLIN},
	    {.fd = run->signals.fd, .events = POLLIN},
	    {.fd = run->metrics ? cw_metrics_fd(run->metrics) : -1, .events = POLLIN},
	    {.fd = run->asking ? cw_asking_fd(run->asking) : -1, .events = POLLIN}};
	const struct timespec pause = {.tv_nsec = 10000000};
	double progress_s = 1, stats_s = (double)run->arguments->live.stats_ms / 1000;

	while (!(fds[0].revents & POLLIN)) {
		uint32_t count = run->control ? cw_control_fds(run->control, fds + OWN_FDS) : 0;
		int ready = poll(fds, OWN_FDS + count, next_wait_ms(run, progress_s, stats_s));

		if (ready < 0 && errno != EINTR) { /* no memory: look at both again soon */
			nanosleep(&pause, NULL);
			fds[0].revents = cw_pipeline_is_done(run->pipeline) ? POLLIN : 0;
			handle_signals(run);
		}
		keep_time(run, &progress_s, &stats_s);
		if (ready > 0 && (fds[1].revents & POLLIN))
			handle_signals(run);
		if (ready > 0 && fds[3].revents) {
			lose_opener(run);
			fds[3].fd = -1;
			fds[3].revents = 0;
		}
		if (ready > 0 && count)
			cw_control_serve(run->control, run->pipeline, fds + OWN_FDS, count);
		if (run->metrics) /* also after a client's timeout */
			cw_metrics_serve(run->metrics, run->pipeline);
	}
	cw_session_begin_end(run); /* by a limit, the last output or the end of the inputs */
	cw_session_erase_progress(run);
}
