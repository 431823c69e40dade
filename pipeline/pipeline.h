/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pipeline: inputs in, files out, books that balance.
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

struct cw_pipeline;

void cw_pipeline_options_init(struct cw_pipeline_options *options);

/*
 * Errors: -EINVAL, -EEXIST (no_clobber), -EACCES (host name) and the like for what is wrong with
 * the request, found before anything is written (the command's exit 2); -ENOMEM, -EAGAIN and other
 * system errors (exit 1). Nothing is left behind: no thread, file or descriptor.
 */
int cw_pipeline_start(struct cw_pipeline **pipeline, const struct cw_pipeline_options *options,
		      struct cw_error *error);

/* Readable (poll) once all threads are done. */
int cw_pipeline_done_fd(const struct cw_pipeline *pipeline);

/* Read no further; finish what was cut. Any thread. */
void cw_pipeline_request_stop(struct cw_pipeline *pipeline);

/* Progress so far; any thread. */
struct cw_progress {
	uint64_t read_bytes;  /* of the inputs, as they are on disk */
	uint64_t total_bytes; /* 0 when an input's length is unknown */
	uint64_t packets;
	uint64_t bytes; /* captured */
	/* live, sums over the queues and devices */
	uint64_t kernel_seen;
	uint64_t kernel_dropped;
	uint64_t freezes;
	uint64_t lost_before_tap; /* at least */
};
void cw_pipeline_progress(struct cw_pipeline *pipeline, struct cw_progress *progress);

/*
 * Ask for the rules to be read anew; any thread. Requests that come while one is under way are
 * served together, by one more reload. The request's number, or 0 where the rules cannot change.
 */
uint64_t cw_pipeline_request_reload(struct cw_pipeline *pipeline);

void cw_pipeline_reload_status(struct cw_pipeline *pipeline, struct cw_reload_status *status);

/*
 * Wait for the threads, publish the files, fill the report. 0, or -ENOMEM for the report (the files
 * are done all the same).
 */
int cw_pipeline_finish(struct cw_pipeline *pipeline, struct cw_report *report);

/*
 * Break the run off: nothing more is written; the unfinished regular files are cut to whole records
 * and stay under their hidden names. For a process that is about to end: threads that are blocked
 * stay so, and the pipeline can only be peeked at afterwards.
 */
void cw_pipeline_abort(struct cw_pipeline *pipeline);

/* Whether a drain was given up and there is still no end: a thread is stuck. Abort is what is left.
 */
bool cw_pipeline_is_stuck(const struct cw_pipeline *pipeline);

/* The books of this moment; threads go on. */
void cw_pipeline_peek(struct cw_pipeline *pipeline, struct cw_books *books);

void cw_pipeline_free(struct cw_pipeline *pipeline); /* accepts NULL */

#endif
