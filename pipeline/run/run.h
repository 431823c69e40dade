/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * State that all threads of a run share: options, messages to the user, stopping, waking each
 * other, and the end of the run. Any thread may call the functions.
 */
#ifndef CW_PIPELINE_RUN_RUN_H
#define CW_PIPELINE_RUN_RUN_H

#include "core/source/source.h"
#include "pipeline/run/lane.h"
#include "pipeline/run/options.h"
#include "pipeline/threads/affinity.h"

#define CW_SYSFS "/sys"
#define CW_NO_MEMORY_NEAR "cannot place memory on the interfaces' NUMA node"

/* Kinds of refusals by the kernel: each kind is reported once. */
#define CW_REFUSED_PIN 1u
#define CW_REFUSED_REALTIME 2u
#define CW_REFUSED_HUGE 4u
#define CW_REFUSED_MEMORY 8u

struct cw_run {
	/* constant after start */
	struct cw_pipeline_options options;
	bool is_live;       /* captures from interfaces; false: reads files */
	bool is_reloadable; /* rules can change */
	uint64_t start_ns;
	struct cw_lane *lanes;
	uint32_t lane_count;
	struct cw_ring *reserved; /* batches to copy */
	int wake_fd;              /* eventfd: readable once reading must stop */
	int abort_fd;             /* eventfd: readable once waiting for a FIFO's reader must stop */
	int keeper_fd;            /* eventfd: readable if the keeper has work */
	int reload_fd;            /* eventfd: readable if the reloader has work */
	int done_fd;              /* eventfd: readable once every thread is done */

	/* shared: idle workers wait here, threads with work for them signal */
	_Alignas(CW_CACHE_LINE) struct cw_gate worker_gate;

	/* Shared, set once. Sequentially consistent unless an order is given: threads look once a
	 * batch, and cw_run_check_end reads several of these and the counts below together. */
	_Alignas(CW_CACHE_LINE) _Atomic bool is_stopping; /* cut and compile nothing more */
	_Atomic bool is_sealed; /* [END-2] everything is reserved and sealed */
	_Atomic bool is_done;
	_Atomic uint32_t keeper_rounds;     /* done by the keeper */
	_Atomic bool is_keeper_compiling;   /* filters of a new link type, perhaps for minutes */
	_Atomic uint64_t give_up_ns;        /* end of the drain, CLOCK_MONOTONIC; 0: not draining */
	_Atomic bool is_giving_up;          /* the drain took too long */
	_Atomic bool is_stuck;              /* still not drained 2 s after giving up */
	_Atomic bool is_aborting;           /* write nothing more */
	_Atomic bool has_problem;           /* a problem was reported */
	_Atomic uint32_t reported_refusals; /* kinds, CW_REFUSED_ */
	_Atomic uint32_t running_threads;

	/* shared: counted by every thread that handles packets, sequentially consistent (above) */
	_Alignas(CW_CACHE_LINE) _Atomic uint32_t live_chunks; /* taken and not given back */
	_Atomic uint32_t live_batches;                        /* cut and not finished */
	/* progress, written by the turn; sequentially consistent for readers */
	_Atomic uint64_t received; /* packets */
	_Atomic uint64_t received_bytes;
};
CW_ASSERT_LINE(struct cw_run, worker_gate);
CW_ASSERT_LINE(struct cw_run, is_stopping);
CW_ASSERT_LINE(struct cw_run, live_chunks);

/* An input: a capture file or pipe, or an interface of a live run. */
struct cw_input {
	/* constant after start */
	const char *path;
	uint64_t device, inode;
	bool has_identity;
	/* owner: the capture thread */
	struct cw_source *source; /* NULL: closed again after the header was checked */
	struct cw_source_info info;
	struct cw_source_joined *joined; /* capture files joined to the first one; NULL: none */
	uint32_t joined_shown;           /* of these, described in `joined` */
	struct cw_error error;           /* code 0: read to the end */
	/* owner: the turn */
	uint64_t packets;
	uint64_t bytes;     /* captured */
	uint64_t truncated; /* packets that the file's snapshot length truncates */
	bool was_truncated;
};

struct cw_inputs {
	/* constant after start */
	struct cw_input *at;
	uint32_t count;
	uint32_t snaplen_max; /* no packet has more bytes; 0: unknown */
	uint32_t stream_last; /* the last input that is opened when its turn comes; 0: none */
	uint64_t total_bytes; /* 0: unknown */
	/* owner: the opener of inputs */
	bool has_ns; /* an interface so far has timestamps finer than 1 us */
	/* shared */
	struct cw_ifaces ifaces; /* the opener of an input appends */
	/* progress, written by the capture thread; sequentially consistent for readers */
	_Atomic uint64_t read_bytes;
};

/* Reports to the user. CW_PROBLEM makes the run incomplete (cw_report_judge). */
void cw_run_tell(struct cw_run *run, enum cw_severity severity, const char *format, ...)
    CW_PRINTF(3, 4);

/* Fills `text` with the rule's place, for messages: "rules.yaml:7: rule dns" or "rule rule1". Line
 * 0: the filter's first line. */
void cw_rule_describe(const struct cw_rules *rules, const struct cw_rule *rule, unsigned line,
		      char *text, size_t text_bytes);

/* The cw_matcher_report of a run; `context` is the run. */
void cw_run_report_rule(void *context, const struct cw_rule *rule, uint32_t linktype,
			bool is_warning, const char *text);

/* Notes that the calling thread changes to this kind of work. Returns the kind before, for the way
 * back. */
static inline enum cw_work cw_run_note_work(const struct cw_run *run, enum cw_work kind)
{
	if (cw_likely(!run->options.watch.on_work))
		return kind;
	return run->options.watch.on_work(run->options.context, kind);
}

/* Returns the number of cores that this process may run on. */
uint32_t cw_usable_cores(void);

/* Ends cutting; an output that waits for a FIFO's reader keeps waiting. */
void cw_run_stop_reading(struct cw_run *run);

/* Ends cutting, and waiting for a FIFO's reader. */
void cw_run_request_stop(struct cw_run *run);

/* The last call of every thread of the run. */
void cw_run_thread_ends(struct cw_run *run);

/* Wakes capture threads that wait for a batch or a lease. */
void cw_run_wake_lanes(struct cw_run *run);

void cw_run_wake_keeper(struct cw_run *run);
void cw_run_wake_reloader(struct cw_run *run);

/* Ends the run if nothing is left. Called when a chunk came back, a batch is finished or everything
 * is sealed. */
void cw_run_check_end(struct cw_run *run);

/* Returns whether a regular file with this identity is one of the inputs. */
bool cw_inputs_have(const struct cw_inputs *inputs, uint64_t device, uint64_t inode);

/* Opens the input's source; start-up or the capture thread. */
int cw_inputs_open(struct cw_inputs *inputs, uint32_t index, const struct cw_run *run,
		   struct cw_error *error);

/* ---- kernel requests of a thread: core, priority, memory near an interface ---- */

/* Reports a refusal (negative `result`) unless one of this kind was reported before. */
void cw_run_report_refusal(struct cw_run *run, uint32_t kind, const char *what, int result);

/* Returns the memory node for these interfaces, or CW_NODE_NONE, also if numactl chose one. */
int cw_affinity_near(const char *const *devices, uint32_t device_count);

/* Gives the calling thread its core and priority. A refusal is reported and does no harm. */
void cw_run_pin_thread(struct cw_run *run, int32_t cpu, uint32_t realtime);

/* Prefers memory near this interface for pages that the calling thread is first to touch. Returns
 * whether it did; cw_affinity_memory undoes it. False: one node only, or numactl chose. */
bool cw_run_prefer_device(struct cw_run *run, const char *device);

#endif
