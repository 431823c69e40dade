/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of a run. */
#ifndef CW_PIPELINE_RUN_OPTIONS_H
#define CW_PIPELINE_RUN_OPTIONS_H

#include <sys/types.h>

#include "core/filter/filter.h"
#include "core/source/live/tpacket.h"
#include "pipeline/rules/rules.h"

#define CW_THREADS_MAX 1024u
#define CW_POOL_BYTES_DEFAULT ((size_t)64 << 20)
/* Fewer bytes are not worth a write, as long as the pool has room. */
#define CW_GATHER_BYTES_DEFAULT ((size_t)256 << 10)
#define CW_DRAIN_MS_DEFAULT 10000u

enum cw_severity {
	CW_NOTE,    /* information; the run continues as asked */
	CW_WARNING, /* the run continues, but the user should know */
	CW_PROBLEM, /* something was lost or failed: the run ends with exit 1 */
};

enum cw_time_precision {
	CW_TIME_AUTO, /* ns if any input has ns */
	CW_TIME_US,
	CW_TIME_NS,
};

/* Which outputs bypass the page cache (core/output/direct.h). */
enum cw_direct_mode {
	CW_DIRECT_AUTO, /* live: files that fill blocks fast; offline: none */
	CW_DIRECT_ON,   /* files larger than a block; a warning if refused */
	CW_DIRECT_OFF,
};

/* How rules are matched. */
struct cw_match_options {
	const char *prefilter;               /* expression every packet must pass, or NULL */
	struct cw_filter_compiler *compiler; /* used by this run only; NULL: compile in process */
	enum cw_filter_engine engine;
	uint32_t verify_every; /* check one packet in this many with libpcap; 0 = none */
	bool unoptimized;
	bool resolve_names;
};

/* Kinds of work of a run's threads (on_work). */
enum cw_work {
	CW_WORK_IDLE,  /* waits */
	CW_WORK_READ,  /* the capture thread of files: reads and cuts */
	CW_WORK_GUESS, /* looks for the first record of a segment */
	CW_WORK_WALK,  /* decodes and matches a batch */
	CW_WORK_AGAIN, /* the same for the batch that is next in line: later batches wait */
	CW_WORK_TURN,  /* uses the turn */
	CW_WORK_COPY,  /* copies records to their chunks */
	CW_WORK_WRITE, /* writes chunks */
	CW_WORK_KINDS,
};

struct cw_opener;
struct cw_asking;

/* How outputs are written. */
struct cw_output_options {
	const char *directory; /* prefix of relative output names, or NULL */
	uint32_t snaplen;      /* bytes to truncate records to; 0 = never */
	enum cw_time_precision time_precision;
	enum cw_direct_mode direct;
	bool packet_buffered; /* write each batch at once */
	bool no_clobber;
	bool discards_secrets; /* no pcapng output gets decryption secrets */
	bool sync;
	bool is_utc;
	bool adopts_all;     /* file rings take files of their names that are in no list, too */
	bool adopts_none;    /* file rings leave the files of earlier runs alone */
	int standard_output; /* descriptor for the name "-" */
	uid_t owner;         /* user that files belong to once they are opened */
	/* Live: the table of the outputs' names, for another process that opens the files;
	 * start_opener starts it. Used by the start only. NULL: this process opens them. */
	struct cw_opener *opener;
};

/* For tests: what is wrong with every guess of a segment's start. */
enum cw_guess_wrong {
	CW_GUESS_RIGHT,
	CW_GUESS_RECORD_LATE,
	CW_GUESS_BYTE_LATE,
	CW_GUESS_NONE,
};

/* Sizes; 0 = chosen by the pipeline. Tests use tiny ones. */
struct cw_size_options {
	size_t pool_bytes;
	size_t chunk_bytes;
	size_t gather_bytes; /* full chunks to gather before a write; 0 = the default */
	size_t batch_bytes;
	uint32_t batch_records;
	uint32_t batch_count;
	uint32_t descriptor_limit;
	size_t window_bytes;
	size_t segment_bytes; /* a power of two */
	bool no_segments;     /* the capture thread alone walks its inputs */
	enum cw_guess_wrong guess_wrong;
	bool reserve_slowly; /* always reserve record by record (tests compare both paths) */
};

/* For tests and benchmarks: called by the threads of a run, with the context of its options. NULL:
 * not called. */
struct cw_watch_options {
	/* A worker took a batch of this lane and has not matched it yet. */
	void (*on_batch)(void *context, uint32_t worker, uint32_t lane);
	/* The calling thread changes to this kind of work. Returns the kind before. */
	enum cw_work (*on_work)(void *context, enum cw_work kind);
};

/* Pointers are borrowed until the pipeline is freed. */
struct cw_pipeline_options {
	const char *const *inputs; /* paths; "-" = standard input, at most once */
	uint32_t input_count;
	const char *const *devices; /* interfaces to capture from, instead of inputs */
	uint32_t device_count;
	const struct cw_rules *rules;

	uint32_t threads;      /* workers; 0 = the cores this process may use */
	uint64_t packet_limit; /* stop after this many packets matched by any rule; 0 = none */
	uint32_t linktype;     /* replaces the inputs' type (-y); CW_LINKTYPE_ANY: keep theirs */
	bool resyncs;          /* skip damage in inputs; false: it ends an input */
	const char *cure;      /* ends the message of damage that could be skipped; or NULL */
	struct cw_match_options match;
	struct cw_output_options output;
	struct cw_size_options sizes;

	/* live; the pipeline sets the device, input and descriptor in `live`, and the number of
	 * queues if it is 0 */
	struct cw_live_options live;
	bool waits_for_devices; /* those missing or down at the start are captured once up */
	bool is_time_order;     /* merge the queues by timestamp; false: in order of arrival */
	bool no_kernel_filter;  /* take every packet from the kernel, even if no rule can match */
	const char *pin;   /* cores for threads: "auto", a list such as "0-3,8"; NULL: do not pin */
	uint32_t realtime; /* SCHED_FIFO priority of capture threads; 0 = none */
	bool huge_pages;   /* for the output chunks */
	uint32_t drain_ms; /* time to write after the stop; the rest is lost */

	/*
	 * Live: reads the rules anew, for a reload. Fills `rules`, which the pipeline frees; or
	 * returns a negative errno with the reason in `error`, and the rules stay. Called by the
	 * reload thread; may be slow. NULL: the rules of this run cannot change.
	 */
	int (*load_rules)(void *context, struct cw_rules *rules, struct cw_error *error);
	/* Called by the reload thread at the end of a reload, with its message, before
	 * cw_pipeline_reload_status has the result, and only if no further reload is requested. May
	 * be NULL. */
	void (*on_reloaded)(void *context, const char *text);
	/* Called by the reload thread after each reload; cw_pipeline_reload_status has the result.
	 * May be NULL. */
	void (*on_reload)(void *context);

	/* With `output.opener`: called once its outputs are checked, before interfaces are opened
	 * and with one thread; starts the process that opens files. Returns 0 or a negative errno.
	 */
	int (*start_opener)(void *context, struct cw_asking **asking, struct cw_error *error);
	/* Reports to the user. Called from any thread, perhaps several at once. */
	void (*tell)(void *context, enum cw_severity severity, const char *text);
	/* Called when a regular file of a rule with a hook got its name; from any thread, so it
	 * must return soon. With `output.opener` its process has asked for the hook: `failure` is 0
	 * or the negative errno of that. NULL: hooks are not run. */
	void (*on_file)(void *context, const struct cw_rule *rule, const char *path, int failure);
	/* Called once, before the threads start; may be NULL. Nothing was written yet, so the
	 * process may still exit. */
	void (*on_ready)(void *context);
	struct cw_watch_options watch;
	void *context;
};

#endif
