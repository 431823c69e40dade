/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all threads of a run share: its options, telling the user, stopping, waking each other, and
 * when it is over. The functions are for any thread.
 */
#ifndef CW_PIPELINE_RUN_RUN_H
#define CW_PIPELINE_RUN_RUN_H

#include "core/source/source.h"
#include "pipeline/run/lane.h"
#include "pipeline/run/options.h"
#include "pipeline/threads/affinity.h"

#define CW_SYSFS "/sys"
#define CW_NO_MEMORY_NEAR "no memory near the devices"

/* Kinds of refusals by the kernel: each is reported once. */
#define CW_REFUSED_PIN 1u
#define CW_REFUSED_REALTIME 2u
#define CW_REFUSED_HUGE 4u
#define CW_REFUSED_MEMORY 8u

struct cw_run {
	/* constant after start */
	struct cw_pipeline_options options;
	bool is_live;       /* devices are captured; else files are read */
	bool is_reloadable; /* rules can change */
	uint64_t start_ns;
	struct cw_lane *lanes;
	uint32_t lane_count;
	struct cw_ring *reserved; /* batches to copy */
	int wake_fd;              /* eventfd: readable once reading shall stop */
	int abort_fd;  /* eventfd: readable once waiting for a FIFO's reader shall stop */
	int keeper_fd; /* eventfd: readable when the keeper shall look */
	int reload_fd; /* eventfd: readable when the reloader shall look */
	int done_fd;   /* eventfd: readable once every thread is done */

	/* shared: who has work signals, who has none waits */
	_Alignas(CW_CACHE_LINE) struct cw_gate worker_gate;

	/* Shared, set once. Sequentially consistent where no order is said: threads look once a
	 * batch, and cw_run_check_end decides by several of these and the counts below at once. */
	_Alignas(CW_CACHE_LINE) _Atomic bool is_stopping; /* cut no more, compile no more */
	_Atomic bool is_sealed; /* [END-2] everything reserved and sealed */
	_Atomic bool is_done;
	_Atomic bool is_giving_up;          /* the drain took too long */
	_Atomic bool is_stuck;              /* still not drained 2 s after giving up */
	_Atomic bool is_aborting;           /* write nothing more */
	_Atomic bool has_problem;           /* exit 1 */
	_Atomic uint32_t reported_refusals; /* CW_REFUSED_: kinds */
	_Atomic uint32_t running_threads;

	/* shared: counted by every thread that handles packets, sequentially consistent (above) */
	_Alignas(CW_CACHE_LINE) _Atomic uint32_t live_chunks; /* taken and not given back */
	_Atomic uint32_t live_batches;                        /* cut and not finished */
	/* progress, from the turn; its readers are sequentially consistent */
	_Atomic uint64_t received; /* packets */
	_Atomic uint64_t received_bytes;
};
CW_ASSERT_LINE(struct cw_run, worker_gate);
CW_ASSERT_LINE(struct cw_run, is_stopping);
CW_ASSERT_LINE(struct cw_run, live_chunks);

/* An input: a capture file or pipe, or a device of a live run. */
struct cw_input {
	/* constant after start */
	const char *path;
	uint64_t device, inode;
	bool has_identity;
	/* owner: the capture thread */
	struct cw_source *source; /* NULL: closed again after its header was checked */
	struct cw_source_info info;
	struct cw_error error; /* code 0: read to its end */
	/* owner: the turn */
	uint64_t packets;
	uint64_t bytes; /* captured */
	bool was_truncated;
};

struct cw_inputs {
	/* constant after start */
	struct cw_input *at;
	uint32_t count;
	uint32_t snaplen_max; /* for file headers */
	uint64_t total_bytes; /* 0: unknown */
	/* shared */
	struct cw_ifaces ifaces; /* appended to by who opens an input */
	/* progress, from the capture thread; its readers are sequentially consistent */
	_Atomic uint64_t read_bytes;
};

/* Tell the user. Severity problem makes the run end with exit 1. */
void cw_run_tell(struct cw_run *run, enum cw_severity severity, const char *format, ...)
    CW_PRINTF(3, 4);

/* Where a rule stands, for messages: "rules.yaml:7: rule dns" or "rule rule1". */
void cw_rule_describe(const struct cw_rules *rules, const struct cw_rule *rule, char *text,
		      size_t text_bytes);

/* What cw_matcher_prepare reports during a run; context is the run. */
void cw_run_report_rule(void *context, const struct cw_rule *rule, uint32_t linktype,
			bool is_warning, const char *text);

/* Cores that this process may run on. */
uint32_t cw_usable_cores(void);

/* Cut no more batches; what waits for a FIFO's reader goes on waiting. */
void cw_run_stop_reading(struct cw_run *run);

/* Likewise, and waiting for a FIFO's reader ends too. */
void cw_run_request_stop(struct cw_run *run);

/* Every hot thread calls this last. */
void cw_run_thread_ends(struct cw_run *run);

/* Capture threads that wait for a batch or a lease look again. */
void cw_run_wake_lanes(struct cw_run *run);

/* Something happened that the keeper, the reloader should look at. */
void cw_run_wake_keeper(struct cw_run *run);
void cw_run_wake_reloader(struct cw_run *run);

/* A chunk came back, a batch is finished or everything is sealed: it may be the last of all. */
void cw_run_check_end(struct cw_run *run);

/* Whether a regular file with this identity is one of the inputs. */
bool cw_inputs_have(const struct cw_inputs *inputs, uint64_t device, uint64_t inode);

/* Open the input's source; start-up and the capture thread. */
int cw_inputs_open(struct cw_inputs *inputs, uint32_t index, const struct cw_run *run,
		   struct cw_error *error);

/* ---- what a thread asks the kernel for: its core, its priority, memory near a device ---- */

/* Tell a refusal (negative `result`), unless one of the kind was told already. */
void cw_run_report_refusal(struct cw_run *run, uint32_t kind, const char *what, int result);

/* The node where memory for these devices shall be, or CW_NODE_NONE. Who ran this with numactl has
 * chosen. */
int cw_affinity_near(const char *const *devices, uint32_t device_count);

/* A thread of the run takes its core and priority. What the kernel refuses is reported and does no
 * harm. */
void cw_run_pin_thread(struct cw_run *run, int32_t cpu, uint32_t realtime);

/* Memory that the calling thread is first to touch from now on shall be near this device. False:
 * there are no nodes to choose from, or somebody chose; else cw_affinity_memory undoes it. */
bool cw_run_prefer_device(struct cw_run *run, const char *device);

#endif
