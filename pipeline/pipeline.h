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
#include "core/filter/filter.h"
#include "core/net/netdev.h"
#include "core/source/live/tpacket.h"
#include "pipeline/run/books.h"
#include "pipeline/rules/rules.h"

#define CW_THREADS_MAX 1024u
#define CW_POOL_BYTES_DEFAULT ((size_t)64 << 20)
/* Fewer bytes are not worth a call to the kernel, as long as there is memory. */
#define CW_GATHER_BYTES_DEFAULT ((size_t)256 << 10)
#define CW_DRAIN_MS_DEFAULT 10000u

struct cw_pipeline;

enum cw_severity {
	CW_NOTE,    /* the run goes on as asked */
	CW_WARNING, /* likewise, but the user should know */
	CW_PROBLEM, /* something was lost or could not be done: the run ends with exit 1 */
};

enum cw_time_precision {
	CW_TIME_AUTO, /* ns when any input has ns */
	CW_TIME_US,
	CW_TIME_NS,
};

/* Whether outputs go past the page cache (core/output/direct.h). */
enum cw_direct_mode {
	CW_DIRECT_AUTO, /* live: files that fill blocks fast; offline: none */
	CW_DIRECT_ON,   /* files of more than a block; a warning where that cannot be */
	CW_DIRECT_OFF,
};

struct cw_pipeline_options {
	/* borrowed until the pipeline is freed */
	const char *const *inputs; /* paths; "-" = standard input, at most once */
	uint32_t input_count;
	const char *const *devices; /* instead of inputs: captured live */
	uint32_t device_count;
	const struct cw_rules *rules;
	const char *prefilter;               /* expression every packet must pass, or NULL */
	const char *directory;               /* in front of relative output names, or NULL */
	struct cw_filter_compiler *compiler; /* for this run alone meanwhile; NULL: in process */

	uint32_t threads;      /* workers; 0 = the cores this process may use */
	uint64_t packet_limit; /* stop after so many packets matched by any rule; 0 = none */
	uint32_t snaplen;      /* cut records to it; 0 = whole packets */
	uint32_t linktype;     /* overrides the inputs' (-y); CW_LINKTYPE_ANY */
	enum cw_time_precision time_precision;
	enum cw_direct_mode direct;
	enum cw_filter_engine engine;
	uint32_t verify_every; /* check every so-many-th packet's rules by libpcap; 0 = none */
	bool unoptimized;
	bool resolve_names;
	bool no_clobber;
	bool sync;
	bool is_utc;
	int standard_output; /* descriptor for the name "-" */

	/* live; of `live` the device, the input and the descriptor are set here, and the number of
	 * queues where it is 0 */
	struct cw_live_options live;
	bool is_time_order;    /* merge the queues by time; false: as they come */
	bool no_kernel_filter; /* let every packet come, also those that no rule can take */
	const char *pin;   /* threads to cores: "auto", a list such as "0-3,8", NULL: not at all */
	uint32_t realtime; /* SCHED_FIFO priority of capture threads; 0 = not */
	bool huge_pages;   /* under the output chunks */
	uint32_t drain_ms; /* after the stop; what is not written by then is lost */

	/*
	 * Live: reads the rules anew, for a reload. Fills `rules`, which the pipeline frees; or
	 * returns a negative errno and says in `error` why the rules stay as they are. Called by a
	 * thread of its own, and may take its time. NULL: the rules of this run cannot change.
	 */
	int (*load_rules)(void *context, struct cw_rules *rules, struct cw_error *error);
	/* A reload is done with, as cw_pipeline_reload_status says; the same thread; may be NULL.
	 */
	void (*on_reload)(void *context);

	/* sizes; 0 = chosen (tests make them tiny) */
	size_t pool_bytes;
	size_t chunk_bytes;
	size_t gather_bytes; /* of full chunks before they are written; 0 = the default */
	size_t batch_bytes;
	uint32_t batch_records;
	uint32_t batch_count;
	uint32_t descriptor_limit;
	size_t window_bytes;
	bool reserve_slowly; /* always take the record-by-record path (tests compare the two) */

	/* Called from any thread, one call at a time is not promised. */
	void (*tell)(void *context, enum cw_severity severity, const char *text);
	/* Called when a regular file of a rule that has a hook got its name; by any thread, which
	 * it should not keep long. NULL: hooks are not run. */
	void (*on_file)(void *context, const struct cw_rule *rule, const char *path);
	/* Called once, when nothing but starting the threads is left to do; may be NULL. Before it
	 * nothing was written, so that the process may as well end. */
	void (*on_ready)(void *context);
	/* For tests: a worker took a batch of this lane, and has not matched it; may be NULL. */
	void (*on_batch)(void *context, uint32_t worker, uint32_t lane);
	void *context;
};

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

struct cw_reload_status {
	uint64_t served;     /* requests up to this number are done with */
	uint64_t accepted;   /* reloads, */
	uint64_t refused;    /* and those that changed nothing */
	uint64_t generation; /* in force */
	uint32_t rule_count; /* of it */
	bool was_accepted;   /* the last one */
	char text[1024];     /* what was told of it */
};
void cw_pipeline_reload_status(struct cw_pipeline *pipeline, struct cw_reload_status *status);

struct cw_report_input {
	const char *file;
	uint64_t packets;
	uint64_t bytes; /* captured */
	uint64_t file_bytes;
	const char *format;
	char *error; /* NULL: read to its end */
};

/* A queue of a live run: kernel_seen = kernel_dropped + received + left. */
struct cw_report_queue {
	const char *device;
	uint32_t queue;
	struct cw_live_stats stats;
	uint64_t discarded; /* of those received: they came after the run's end (-c) */
};

/* A device of a live run. */
struct cw_report_device {
	const char *device;
	uint32_t linktype;
	uint32_t queue_count;
	bool has_kernel_filter; /* it left out what no rule takes: never seen, never counted */
	uint32_t event_count;   /* down, up, renamed, ... */
	uint32_t gap_count;     /* times it was gone */
	double gap_s;           /* how long in all */
	bool has_losses;        /* the following are known */
	bool is_lower_bound;
	uint64_t rx_packets, rx_errors, rx_dropped, rx_missed, rx_fifo, rx_over;
	struct cw_netdev_drop *drops; /* of the driver, that grew */
	uint32_t drop_count;
};

struct cw_report_rule {
	const struct cw_rule *rule;
	uint64_t matched;
	uint64_t written;
	uint64_t bytes;      /* captured bytes written, as cut */
	uint64_t file_bytes; /* of the files that are still there */
	uint64_t expired;    /* of those written: in files that rings removed again */
	uint32_t expired_files;
	uint64_t left_out[CW_LEFT_OUT_COUNT];
	uint64_t left_out_total;
	uint64_t lost[CW_LOSS_COUNT];
	uint64_t lost_total;
	char *error;  /* what stopped the output, or NULL */
	char **files; /* paths, in order */
	uint32_t file_count;
	bool is_removed; /* by a reload: it is not in force at the end */
};

/* Rules that were in force for a while, and from which packet of each queue on. */
struct cw_report_generation {
	uint64_t number; /* from 1 */
	uint32_t rule_count;
	double start_s;   /* since the run's start */
	uint64_t *firsts; /* per queue: packets before it; UINT64_MAX: the queue had none of it */
};

/* What was compared with libpcap. */
struct cw_report_verify {
	uint32_t every; /* so many-th packet; 0: none was */
	uint64_t sampled;
	uint64_t differences; /* packets of these */
};

struct cw_report {
	struct cw_report_input *inputs;
	uint32_t input_count;
	struct cw_report_rule *rules;
	uint32_t rule_count;
	struct cw_report_queue *queues; /* live */
	uint32_t queue_count;
	struct cw_report_device *devices;
	uint32_t device_count;
	struct cw_report_generation *generations; /* live: the last ones, at most 64 */
	uint32_t generation_count;
	uint64_t generation; /* in force at the end */
	uint64_t reloads_accepted, reloads_refused;
	uint64_t kernel_seen, kernel_dropped; /* sums over the queues */
	uint64_t late; /* time order: packets that were written after later ones */
	struct cw_books books;
	struct cw_report_verify verify;
	uint64_t packets;
	uint64_t bytes;
	uint64_t hooks_run; /* for so many files; filled in by whom on_file calls */
	uint64_t hooks_failed;
	bool is_balanced;
	bool is_complete; /* nothing lost, no problem told: exit 0 */
	bool is_durable;  /* with sync */
	double elapsed_s;
	uint32_t threads;
};

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

void cw_report_fini(struct cw_report *report);
void cw_pipeline_free(struct cw_pipeline *pipeline); /* accepts NULL */

#endif
