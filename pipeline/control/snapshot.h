/* SPDX-License-Identifier: BSD-3-Clause */
/* How a run stands at a moment: what the control socket reports and the screen shows. */
#ifndef CW_PIPELINE_CONTROL_SNAPSHOT_H
#define CW_PIPELINE_CONTROL_SNAPSHOT_H

#include "pipeline/pipeline.h"

/* A queue of a live run. */
struct cw_snapshot_queue {
	const char *device; /* borrowed from the options */
	uint32_t queue;
	uint64_t kernel_seen, kernel_dropped, freezes; /* of 100 ms ago, at most */
	uint64_t handed_out;                           /* batches */
	uint32_t batches_out; /* of them not finished; with all of them out the ring fills */
	uint32_t batch_count;
	uint32_t ring_blocks, ring_used; /* of its ring; 0 blocks: not known */
};

/* An output; of a rule whose name is there once, or twice while the earlier one is being closed. */
struct cw_snapshot_output {
	char *name;
	uint64_t generation; /* of the rules that it began with */
	bool is_leaving;     /* its rule is gone */
	bool has_failed;     /* at present: what comes for it is lost */
	uint64_t matched, written;
	uint64_t left_out; /* as the rule asks: no loss */
	uint64_t lost;     /* without those of a failure that lasts */
	uint64_t backlog;  /* of them */
	uint32_t chunks;   /* of the pool that it holds */
};

struct cw_snapshot_worker {
	uint64_t cpu_ns; /* processor time since it started */
};

struct cw_snapshot {
	double elapsed_s;
	struct cw_progress progress;
	struct cw_books books; /* matched, written and lost also of outputs that are closed */
	struct cw_reload_status reload;
	uint32_t pool_chunks, pool_free;
	bool is_starved; /* a batch waits for chunks */
	bool is_stopping;
	struct cw_snapshot_queue *queues;
	uint32_t queue_count;
	struct cw_snapshot_output *outputs;
	uint32_t output_count;
	struct cw_snapshot_worker *workers;
	uint32_t worker_count;
};

/* Any thread, while the run goes on. No count is lower than in an earlier snapshot. 0 or -ENOMEM.
 */
int cw_snapshot_take(struct cw_pipeline *pipeline, struct cw_snapshot *snapshot);
void cw_snapshot_fini(struct cw_snapshot *snapshot);

/* Send what outputs keep to their files, as happens every second by itself. Any thread. */
void cw_pipeline_flush(struct cw_pipeline *pipeline);

/*
 * The next record of each output, or of that of one rule, begins a new file (where the file has a
 * record already). How many outputs that concerns; any thread.
 */
uint32_t cw_pipeline_rotate(struct cw_pipeline *pipeline, const char *rule);

#endif
