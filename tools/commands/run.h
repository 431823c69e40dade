/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run of the command, in parts: run.c starts and finishes it, run_loop.c waits for its end and
 * acts on signals, the control socket and the clock, run_progress.c prints progress and statistics,
 * run_reload.c reads the rules file again.
 */
#ifndef CW_TOOLS_COMMANDS_RUN_H
#define CW_TOOLS_COMMANDS_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/output/opener.h"
#include "pipeline/pipeline.h"
#include "tools/options/options.h"
#include "tools/process/notify.h"
#include "tools/process/signals.h"

struct cw_confine_options;
struct cw_control;
struct cw_hooks;
struct cw_metrics;

struct cw_session {
	const struct cw_arguments *arguments;
	const struct cw_pipeline_options *options;
	struct cw_pipeline *pipeline;
	struct cw_hooks *hooks; /* NULL: no hooks */
	/* Live: who files belong to, and the process that opens them. */
	struct cw_opener_owner owner; /* groups owned */
	struct cw_opener *opener;     /* its table, until it is started */
	struct cw_asking *asking;     /* borrows from the pipeline */
	pid_t opener_pid;             /* 0: not started */
	uint64_t start_ns;            /* CLOCK_MONOTONIC */
	struct cw_progress last;      /* live: counters at the last progress line */
	double last_s;                /* live: time of that line, seconds after the start */
	struct cw_signals signals;
	struct cw_notify *notify; /* the service manager; borrowed */
	uint32_t seen_rounds;     /* of the keeper, for the manager's watchdog */
	double status_s;          /* time of the next status for the manager, as last_s */
	bool is_live;
	struct cw_control *control; /* NULL: no control socket */
	struct cw_metrics *metrics; /* NULL: no metrics server */
	/* sequentially consistent: once a message */
	_Atomic int level;         /* enum cw_severity: least severity that is printed */
	_Atomic bool has_progress; /* stderr shows an unfinished progress line; any thread reads */
	bool wants_progress;       /* stderr is a terminal */
	bool is_stopped;           /* by a signal, the control socket or --duration */
	bool was_interrupted;      /* split: stopped by a signal; live: aborted; exit status 130 */
	bool has_killed_hooks;
};

/* Prepares the process that opens files, in the options. Returns 0 or a negative errno. */
int cw_session_make_opener(struct cw_session *run, const struct cw_confine_options *confine,
			   struct cw_pipeline_options *options, struct cw_error *error);

/* Waits for the end of that process, which the pipeline's end brings about. */
void cw_session_end_opener(struct cw_session *run);

/* Returns the seconds since the start. */
double cw_session_seconds(const struct cw_session *run);

/* Prints a progress line over the last one; `ends_line`: the next text starts a new line. */
void cw_session_print_progress(struct cw_session *run, bool ends_line);

/* Erases an unfinished progress line. */
void cw_session_erase_progress(struct cw_session *run);

/* Prints statistics (--stats, SIGUSR1): a progress line, or JSON on stdout with --json. */
void cw_session_print_stats(struct cw_session *run);

/* Returns whether the rules of this run can change. */
bool cw_session_can_reload(const struct cw_session *run);

/* Reads the rules file again, in the pipeline's reload thread, with all checks of the start.
 * `context` is the run. */
int cw_session_load_rules(void *context, struct cw_rules *rules, struct cw_error *error);

/* Prints why the run cannot start. A service's message ends in the drop-in that permits it. */
void cw_session_complain(const struct cw_session *run, const struct cw_error *error);

/* Tells the service manager that the run ends. */
void cw_session_begin_end(struct cw_session *run);

/* Tells the service manager, if it listens, that a reload begins. `context` is the run. */
void cw_session_tell_reloading(void *context);

/* Tells the service manager the state of the run every 10 s, or every second while an interface is
 * missing, and gives signs of life. Returns the milliseconds until the next call, -1: none. */
int cw_session_tell_state(struct cw_session *run);

/* Stops the run for the control socket. `context` is the run. */
void cw_session_stop_by_control(void *context);

/* Finds who owns the files, and prepares the process that opens them, if it is a live run. Fills
 * the options. Returns 0, or a negative errno with `error`: -ENOMEM, or the request is wrong.
 * cw_session_end_opener ends it. */
int cw_session_prepare_files(struct cw_session *run, struct cw_pipeline_options *options,
			     struct cw_error *error);

/* Waits until all threads are done. Meanwhile acts on signals, the control socket and the clock. */
void cw_session_wait(struct cw_session *run);

#endif
