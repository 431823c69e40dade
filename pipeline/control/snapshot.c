/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/control/snapshot.h"
#include "core/base/clock.h"
#include "pipeline/state.h"

struct taking {
	struct cw_pipeline *pipeline;
	struct cw_snapshot *snapshot;
	uint32_t room; /* outputs that fit */
	bool is_short; /* room or memory ran out */
};

static void take_output(const struct cw_output *output, struct cw_snapshot_output *taken)
{
	*taken =
	    (struct cw_snapshot_output){.name = strdup(output->rule->name),
					.generation = output->generation,
					.is_leaving = output->shared.state == CW_OUTPUT_LEAVING,
					.has_failed = atomic_load(&output->shared.failure) != 0,
					.matched = output->turn.matched,
					.written = atomic_load(&output->shared.written),
					.backlog = output->turn.lost[CW_LOSS_BACKLOG],
					.chunks = atomic_load(&output->shared.chunks_out)};
	for (uint32_t cause = 0; cause < CW_LOSS_COUNT; cause++)
		taken->lost += output->turn.lost[cause];
	for (uint32_t cause = 0; cause < CW_LEFT_OUT_COUNT; cause++)
		taken->left_out += output->turn.left_out[cause];
}

/* In the turn: takes the state that the turn owns, all of one moment. */
static void take_turns(void *context)
{
	struct taking *taking = context;
	struct cw_pipeline *pipeline = taking->pipeline;
	struct cw_snapshot *snapshot = taking->snapshot;
	struct cw_books *books = &snapshot->books;

	*books = pipeline->turn.books;
	books->matched = pipeline->past.books.matched;
	books->written = pipeline->past.written;
	books->lost = pipeline->past.books.lost;
	books->left_out = pipeline->past.books.left_out;
	for (uint32_t index = 0; index < pipeline->outputs.count; index++) {
		const struct cw_output *output = &pipeline->outputs.at[index];
		struct cw_snapshot_output *taken;

		if (output->shared.state == CW_OUTPUT_FREE)
			continue;
		if (snapshot->output_count == taking->room) {
			taking->is_short = true; /* a reload added outputs */
			return;
		}
		taken = &snapshot->outputs[snapshot->output_count];
		take_output(output, taken);
		if (!taken->name) {
			taking->is_short = true;
			return;
		}
		snapshot->output_count++;
		books->matched += taken->matched;
		books->written += taken->written;
		books->lost += taken->lost;
		books->left_out += taken->left_out;
	}
}

static void take_queues(const struct cw_pipeline *pipeline, struct cw_snapshot *snapshot)
{
	for (uint32_t index = 0; index < pipeline->run.lane_count; index++) {
		struct cw_lane *lane = &pipeline->run.lanes[index];
		uint64_t handed_out = atomic_load(&lane->shared.cut_count);
		uint64_t finished =
		    atomic_load_explicit(&lane->shared.finished, memory_order_relaxed);

		snapshot->queues[snapshot->queue_count++] = (struct cw_snapshot_queue){
		    .device = pipeline->inputs.at[lane->input].path,
		    .queue = lane->queue,
		    .kernel_seen = atomic_load(&lane->shared.seen),
		    .kernel_dropped = atomic_load(&lane->shared.dropped),
		    .freezes = atomic_load(&lane->shared.frozen),
		    .handed_out = handed_out,
		    /* A batch may be finished that handed_out does not count yet. */
		    .batches_out = finished < handed_out ? (uint32_t)(handed_out - finished) : 0,
		    .batch_count = lane->batch_count,
		    .ring_blocks = atomic_load(&lane->shared.ring_blocks),
		    .ring_used = atomic_load(&lane->shared.ring_used)};
	}
}

static void take_workers(const struct cw_pipeline *pipeline, struct cw_snapshot *snapshot)
{
	for (uint32_t index = 0; index < pipeline->worker_count; index++) {
		struct cw_snapshot_worker *worker = &snapshot->workers[snapshot->worker_count++];
		clockid_t clock;

		worker->cpu_ns = 0; /* stays 0 if the thread ended */
		if (pthread_getcpuclockid(pipeline->workers[index].thread, &clock) == 0)
			worker->cpu_ns = cw_clock_ns(clock);
	}
}

int cw_snapshot_take(struct cw_pipeline *pipeline, struct cw_snapshot *snapshot)
{
	struct taking taking = {
	    .pipeline = pipeline, .snapshot = snapshot, .room = pipeline->outputs.count + 1};

	*snapshot =
	    (struct cw_snapshot){.elapsed_s = (double)(cw_now_ns() - pipeline->run.start_ns) * 1e-9,
				 .pool_chunks = pipeline->outputs.pool.chunk_count,
				 .pool_free = cw_chunk_free_count(&pipeline->outputs.pool),
				 .is_starved = atomic_load(&pipeline->turn.sequencer.is_starved),
				 .is_stopping = atomic_load(&pipeline->run.is_stopping)};
	cw_pipeline_progress(pipeline, &snapshot->progress);
	cw_pipeline_reload_status(pipeline, &snapshot->reload);
	snapshot->queues = calloc(pipeline->run.lane_count, sizeof(*snapshot->queues));
	snapshot->workers = calloc(pipeline->worker_count, sizeof(*snapshot->workers));
	if (!snapshot->queues || !snapshot->workers)
		goto no_memory;
	take_queues(pipeline, snapshot);
	take_workers(pipeline, snapshot);
	do {
		taking.room *= 2;
		taking.is_short = false;
		while (snapshot->output_count)
			free(snapshot->outputs[--snapshot->output_count].name);
		free(snapshot->outputs);
		snapshot->outputs = calloc(taking.room, sizeof(*snapshot->outputs));
		if (!snapshot->outputs)
			goto no_memory;
		cw_turn_hold_any(&pipeline->turn, take_turns, &taking);
	} while (taking.is_short && taking.room < 4 * pipeline->outputs.capacity);
	if (taking.is_short)
		goto no_memory;
	return 0;
no_memory:
	cw_snapshot_fini(snapshot);
	return -ENOMEM;
}

void cw_snapshot_fini(struct cw_snapshot *snapshot)
{
	while (snapshot->output_count)
		free(snapshot->outputs[--snapshot->output_count].name);
	free(snapshot->outputs);
	free(snapshot->queues);
	free(snapshot->workers);
	*snapshot = (struct cw_snapshot){0};
}

/* In the turn. */
static void flush(void *context)
{
	cw_outputs_flush_all(context);
}

void cw_pipeline_flush(struct cw_pipeline *pipeline)
{
	cw_turn_hold_any(&pipeline->turn, flush, &pipeline->outputs);
}

struct rotation {
	struct cw_pipeline *pipeline;
	const char *rule;
	uint32_t count;
};

/* In the turn. */
static void ask_for_rotation(void *context)
{
	struct rotation *rotation = context;
	struct cw_pipeline *pipeline = rotation->pipeline;

	for (uint32_t index = 0; index < pipeline->outputs.count; index++) {
		struct cw_output *output = &pipeline->outputs.at[index];

		if (output->shared.state != CW_OUTPUT_USED ||
		    (rotation->rule && strcmp(rotation->rule, output->rule->name) != 0))
			continue;
		output->turn.shall_rotate = true;
		rotation->count++;
	}
}

uint32_t cw_pipeline_rotate(struct cw_pipeline *pipeline, const char *rule)
{
	struct rotation rotation = {.pipeline = pipeline, .rule = rule};

	cw_turn_hold_any(&pipeline->turn, ask_for_rotation, &rotation);
	return rotation.count;
}
