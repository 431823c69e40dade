/* SPDX-License-Identifier: BSD-3-Clause */
/* What the caller asks of a run. */
#ifndef CW_PIPELINE_RUN_OPTIONS_H
#define CW_PIPELINE_RUN_OPTIONS_H

#include "core/filter/filter.h"
#include "core/source/live/tpacket.h"
#include "pipeline/rules/rules.h"

#define CW_THREADS_MAX 1024u
#define CW_POOL_BYTES_DEFAULT ((size_t)64 << 20)
/* Fewer bytes are not worth a call to the kernel, as long as there is memory. */
#define CW_GATHER_BYTES_DEFAULT ((size_t)256 << 10)
#define CW_DRAIN_MS_DEFAULT 10000u

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

/* Which packets a rule takes, and how that is found out. */
struct cw_match_options {
	const char *prefilter;               /* expression every packet must pass, or NULL */
	struct cw_filter_compiler *compiler; /* for this run alone meanwhile; NULL: in process */
	enum cw_filter_engine engine;
	uint32_t verify_every; /* check every so-many-th packet's rules by libpcap; 0 = none */
	bool unoptimized;
	bool resolve_names;
};

/* What is written, and how. */
struct cw_output_options {
	const char *directory; /* in front of relative output names, or NULL */
	uint32_t snaplen;      /* cut records to it; 0 = whole packets */
	enum cw_time_precision time_precision;
	enum cw_direct_mode direct;
	bool no_clobber;
	bool sync;
	bool is_utc;
	int standard_output; /* descriptor for the name "-" */
};

/* Sizes; 0 = chosen. Tests make them tiny. */
struct cw_size_options {
	size_t pool_bytes;
	size_t chunk_bytes;
	size_t gather_bytes; /* of full chunks before they are written; 0 = the default */
	size_t batch_bytes;
	uint32_t batch_records;
	uint32_t batch_count;
	uint32_t descriptor_limit;
	size_t window_bytes;
	bool reserve_slowly; /* always take the record-by-record path (tests compare the two) */
};

/* What it points at is borrowed until the pipeline is freed. */
struct cw_pipeline_options {
	const char *const *inputs; /* paths; "-" = standard input, at most once */
	uint32_t input_count;
	const char *const *devices; /* instead of inputs: captured live */
	uint32_t device_count;
	const struct cw_rules *rules;

	uint32_t threads;      /* workers; 0 = the cores this process may use */
	uint64_t packet_limit; /* stop after so many packets matched by any rule; 0 = none */
	uint32_t linktype;     /* overrides the inputs' (-y); CW_LINKTYPE_ANY */
	struct cw_match_options match;
	struct cw_output_options output;
	struct cw_size_options sizes;

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

#endif
