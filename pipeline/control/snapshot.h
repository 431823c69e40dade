/* SPDX-License-Identifier: BSD-3-Clause */
/* A snapshot: the state of a run at one moment, for the control socket, metrics and the screen. */
#ifndef CW_PIPELINE_CONTROL_SNAPSHOT_H
#define CW_PIPELINE_CONTROL_SNAPSHOT_H

#include "pipeline/pipeline.h"

/* A queue of a live run. */
struct cw_snapshot_queue {
	const char *device; /* borrowed from the options */
	uint32_t queue;
	uint64_t kernel_seen, kernel_dropped, freezes; /* at most 100 ms old */
	uint64_t handed_out;                           /* batches */
	uint32_t batches_out; /* batches not finished; if all are out, the kernel ring fills */
	uint32_t batch_count;
	uint32_t ring_blocks, ring_used; /* blocks of the kernel ring; 0 ring_blocks: unknown */
};

/* An output. A rule name appears once, or twice while the rule's earlier output is closing. */
struct cw_snapshot_output {
	char *name;
	uint64_t generation; /* number of the rules that it began with */
	bool is_leaving;     /* its rule is gone */
	bool has_failed;     /* failing now: its packets are lost */
	uint64_t matched, written;
	uint64_t left_out; /* because of the rule's sample or limits: not a loss */
	uint64_t lost;     /* without the losses of an ongoing failure */
	uint64_t backlog;  /* part of `lost`: the output was too slow */
	uint32_t chunks;   /* chunks of the pool that it holds */
};

struct cw_snapshot_worker {
	uint64_t cpu_ns; /* processor time since it started */
};

struct cw_snapshot {
	double elapsed_s;
	struct cw_progress progress;
	struct cw_books books; /* matched, written and lost include closed outputs */
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

/* Any thread, during the run. No counter is lower than in an earlier snapshot. 0 or -ENOMEM. */
int cw_snapshot_take(struct cw_pipeline *pipeline, struct cw_snapshot *snapshot);
void cw_snapshot_fini(struct cw_snapshot *snapshot);

/* Writes the chunks that outputs keep, as happens every second anyway. Any thread. */
void cw_pipeline_flush(struct cw_pipeline *pipeline);

/*
 * Makes the next record of every output, or of one rule's output, begin a new file (unless the
 * current file has no record). Returns the number of outputs concerned; any thread.
 */
uint32_t cw_pipeline_rotate(struct cw_pipeline *pipeline, const char *rule);

#endif
