/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pipeline: reads inputs, writes files, and accounts for every packet.
 *
 *     struct cw_pipeline_options options;
 *     cw_pipeline_options_init(&options);
 *     ... fill in inputs and rules ...
 *     cw_pipeline_start(&pipeline, &options, &error)    checks everything, then starts the threads
 *     poll(cw_pipeline_done_fd(pipeline)) ...           meanwhile: progress, request_stop, abort
 *     cw_pipeline_finish(pipeline, &report)             joins, publishes files, closes the books
 *     cw_report_fini(&report), cw_pipeline_free(pipeline)
 */
#ifndef CW_PIPELINE_PIPELINE_H
#define CW_PIPELINE_PIPELINE_H

#include "core/base/error.h"
#include "pipeline/reload/status.h"
#include "pipeline/report/report.h"
#include "pipeline/run/options.h"

struct cw_matcher;
struct cw_pipeline;

void cw_pipeline_options_init(struct cw_pipeline_options *options);

/*
 * Checks the request, then starts the threads. Errors: -EINVAL, -EEXIST (no_clobber), -EACCES (host
 * name) and the like for a wrong request, found before anything is written (the command's exit 2);
 * -ENOMEM, -EAGAIN and other system errors (exit 1). An error leaves no thread, file or descriptor.
 */
int cw_pipeline_start(struct cw_pipeline **pipeline, const struct cw_pipeline_options *options,
		      struct cw_error *error);

/*
 * Checks the request as cw_pipeline_start, as far as it is known without opening inputs and
 * interfaces: the outputs of each rule and the list of cores, but not the rules themselves
 * (cw_rules_check). Calls `found` for each fault; NULL: no rule's. Returns 0 or -ENOMEM.
 */
int cw_pipeline_check(const struct cw_pipeline_options *options,
		      void (*found)(void *context, const struct cw_rule *rule, const char *text),
		      void *context);

/* As cw_pipeline_check, for outputs that cannot take the link types of the open interfaces, for
 * which the matcher is prepared. */
void cw_pipeline_check_linktypes(
    const struct cw_pipeline_options *options, const struct cw_matcher *matcher,
    void (*found)(void *context, const struct cw_rule *rule, const char *text), void *context);

/* Returns a descriptor that is readable (poll) once all threads are done. */
int cw_pipeline_done_fd(const struct cw_pipeline *pipeline);

/* Returns whether all threads are done. */
bool cw_pipeline_is_done(const struct cw_pipeline *pipeline);

/* Stops reading and finishes the batches already cut. Any thread. */
void cw_pipeline_request_stop(struct cw_pipeline *pipeline);

/* Stops the run, which is incomplete: the process that opens its files has ended. Any thread. */
void cw_pipeline_lose_opener(struct cw_pipeline *pipeline);

/* Progress so far. */
struct cw_progress {
	uint64_t read_bytes;  /* of the inputs, as stored on disk */
	uint64_t total_bytes; /* 0: an input's length is unknown */
	uint64_t packets;
	uint64_t bytes; /* captured */
	/* live: sums over the queues and interfaces */
	uint64_t kernel_seen;
	uint64_t kernel_dropped;
	uint64_t freezes;              /* times a kernel ring was full */
	uint64_t lost_before_tap;      /* lower bound */
	uint64_t interface_rx_dropped; /* by the interfaces' counters; not a loss */
};
/* Any thread. */
void cw_pipeline_progress(struct cw_pipeline *pipeline, struct cw_progress *progress);

/*
 * Asks for a reload of the rules; any thread. Requests during a reload share one further reload.
 * Returns the request's number, or 0 if the rules cannot change.
 */
uint64_t cw_pipeline_request_reload(struct cw_pipeline *pipeline);

void cw_pipeline_reload_status(struct cw_pipeline *pipeline, struct cw_reload_status *status);

/*
 * Waits for the threads, publishes the files, fills the report. 0, or -ENOMEM: no report, but the
 * files are complete.
 */
int cw_pipeline_finish(struct cw_pipeline *pipeline, struct cw_report *report);

/*
 * Aborts the run: nothing more is written. Unfinished regular files are truncated to intact
 * records, keep their temporary names and are named. Complete files are left to
 * cw_pipeline_abort_publish, which a dead disk may block for ever. For a process that is about to
 * exit: blocked threads stay blocked, and afterwards only cw_pipeline_peek may be called.
 */
void cw_pipeline_abort(struct cw_pipeline *pipeline);
void cw_pipeline_abort_publish(struct cw_pipeline *pipeline);

/* Returns whether the drain was given up and a thread still hangs: only abort is left. */
bool cw_pipeline_is_stuck(const struct cw_pipeline *pipeline);

/* Fills the books as of now; the threads continue. */
void cw_pipeline_peek(struct cw_pipeline *pipeline, struct cw_books *books);

/*
 * Returns whether the keeper has done a round, with the turn, since the call that set *seen last;
 * always true while it compiles filters for a new link type, and in a run that reads files.
 */
bool cw_pipeline_is_alive(const struct cw_pipeline *pipeline, uint32_t *seen);

/* Fills `text` with the names of interfaces that are missing or down: "eth0, eth1"; or with "". */
void cw_pipeline_missing(const struct cw_pipeline *pipeline, char *text, size_t text_bytes);

/* Fills `text` with what a stopping run waits for: "dns -> dns.pcap (3 chunks); at most 7 s". */
void cw_pipeline_waits(struct cw_pipeline *pipeline, char *text, size_t text_bytes);

void cw_pipeline_free(struct cw_pipeline *pipeline); /* accepts NULL */

#endif
