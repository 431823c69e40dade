/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker thread. It takes the work nearest to the files first: writing complete chunks frees
 * memory, copying reserved batches completes chunks, matching cut batches needs new chunks.
 */
#include <errno.h>

#include "pipeline/state.h"

int cw_worker_init(struct cw_worker *worker, struct cw_pipeline *pipeline, uint32_t index)
{
	*worker = (struct cw_worker){.pipeline = pipeline, .index = index};
	worker->next_lane = index % pipeline->run.lane_count;
	worker->next_output = index % pipeline->outputs.count;
	if (cw_copy_new(&worker->copy, &pipeline->outputs) == 0 &&
	    cw_quick_new(&worker->quick, &pipeline->outputs) == 0 &&
	    cw_match_scratch_init(&worker->scratch, pipeline->outputs.capacity) == 0)
		return 0;
	cw_worker_fini(worker);
	return -ENOMEM;
}

void cw_worker_fini(struct cw_worker *worker)
{
	cw_match_scratch_fini(&worker->scratch);
	cw_copy_free(worker->copy);
	cw_quick_free(worker->quick);
	worker->copy = NULL;
	worker->quick = NULL;
}

/* Matches the batch, of a segment from its start on. */
static void match(struct cw_worker *worker, struct cw_batch *batch, enum cw_work work)
{
	cw_run_note_work(&worker->pipeline->run, work);
	batch->is_damaged = false;
	if (!cw_quick_walk(worker, batch))
		cw_careful_match(worker, batch);
}

/* Guesses where the segment's first record begins, unless the capture thread knew. Returns whether
 * there is a guess. */
static bool begin_segment(struct cw_batch *batch, enum cw_guess_wrong wrong)
{
	struct cw_segment *segment = &batch->walk.segment;
	struct cw_packet first;

	batch->walk.boundary.layout = &segment->span.layout;
	if (segment->start != UINT64_MAX)
		cw_segment_begin(segment, segment->start);
	else if (!cw_segment_guess(segment, &batch->walk.boundary))
		return false;
	else if (cw_unlikely(wrong == CW_GUESS_RECORD_LATE) && cw_segment_next(segment, &first, 1))
		cw_segment_begin(segment, segment->end);
	else if (cw_unlikely(wrong == CW_GUESS_BYTE_LATE))
		cw_segment_begin(segment, segment->start + 1);
	else if (cw_unlikely(wrong == CW_GUESS_NONE))
		segment->start = UINT64_MAX;
	return segment->start != UINT64_MAX;
}

static void handle_segment(struct cw_worker *worker, struct cw_batch *batch)
{
	const struct cw_run *run = &worker->pipeline->run;

	cw_run_note_work(run, CW_WORK_GUESS);
	/* Relaxed: a late answer costs a walk of a segment that is void. */
	if (atomic_load_explicit(&run->lanes[batch->lane].shared.over_run, memory_order_relaxed) <
		batch->walk.run &&
	    begin_segment(batch, run->options.sizes.guess_wrong)) {
		match(worker, batch, CW_WORK_WALK);
		return;
	}
	batch->is_quick = batch->is_refused = false;
	batch->packet_count = 0;
	batch->part = (struct cw_batch_part){0};
	batch->reserved = (struct cw_batch_reserved){0};
}

static void handle_cut(struct cw_worker *worker, struct cw_batch *batch)
{
	struct cw_pipeline *pipeline = worker->pipeline;

	if (cw_unlikely(pipeline->run.options.watch.on_batch != NULL))
		pipeline->run.options.watch.on_batch(pipeline->run.options.context, worker->index,
						     batch->lane);
	if (batch->walk.run)
		handle_segment(worker, batch);
	else
		match(worker, batch, CW_WORK_WALK);
	cw_turn_park_any(&pipeline->turn, batch);
}

/* Gives a finished batch's lease back, and the batch to its capture thread. */
static void finish_batch(struct cw_pipeline *pipeline, struct cw_batch *batch)
{
	struct cw_lane *lane = &pipeline->run.lanes[batch->lane];

	cw_lease_give_back(&batch->lease);
	cw_generation_let_go(batch);
	atomic_fetch_add_explicit(&lane->shared.finished, 1, memory_order_relaxed);
	cw_lane_give_back_any(lane, batch);
	atomic_fetch_sub(&pipeline->run.live_batches, 1);
	cw_turn_resume_any(&pipeline->turn);
}

/* Handles a batch that the turn handed on. */
static void handle_reserved(struct cw_worker *worker, struct cw_batch *batch)
{
	struct cw_pipeline *pipeline = worker->pipeline;

	cw_run_note_work(&pipeline->run, CW_WORK_COPY);
	switch (batch->step) {
	case CW_STEP_DISCARD:
		if (batch->is_quick)
			cw_quick_drop(batch);
		finish_batch(pipeline, batch);
		return;
	case CW_STEP_AGAIN:
		if (batch->is_quick)
			cw_quick_drop(batch);
		match(worker, batch, CW_WORK_AGAIN);
		break;
	case CW_STEP_CAREFUL:
		cw_quick_drop(batch);
		cw_run_note_work(&pipeline->run, CW_WORK_AGAIN);
		cw_careful_match(worker, batch);
		break;
	case CW_STEP_COPY:
		if (batch->is_quick) {
			cw_quick_finish(worker, batch);
			finish_batch(pipeline, batch);
			return;
		}
		if (cw_careful_copy(worker, batch)) {
			finish_batch(pipeline, batch);
			return;
		}
		if (batch->reserved.is_part_done) {
			cw_run_note_work(&pipeline->run, CW_WORK_AGAIN);
			cw_careful_match_next(worker, batch);
		}
		break;
	}
	cw_turn_park_any(&pipeline->turn, batch);
}

/* Takes a cut batch from the lanes in rotation, so that no lane is preferred. */
static struct cw_batch *pop_cut(struct cw_worker *worker)
{
	struct cw_pipeline *pipeline = worker->pipeline;
	struct cw_batch *batch = NULL;

	for (uint32_t tried = 0; tried < pipeline->run.lane_count && !batch; tried++) {
		batch = cw_ring_pop_spmc(pipeline->run.lanes[worker->next_lane].cut);
		if (++worker->next_lane == pipeline->run.lane_count)
			worker->next_lane = 0;
	}
	return batch;
}

void *cw_worker_main(void *argument)
{
	struct cw_worker *worker = argument;
	struct cw_pipeline *pipeline = worker->pipeline;

	cw_run_note_work(&pipeline->run, CW_WORK_IDLE);
	cw_run_pin_thread(&pipeline->run, pipeline->worker_cpus[worker->index], 0);
	for (;;) {
		uint32_t seen = cw_gate_look(&pipeline->run.worker_gate);
		uint32_t output = cw_ready_take(&pipeline->outputs.writable, worker->next_output);
		void *work;

		if (output != CW_READY_NONE) {
			worker->next_output = output + 1 < pipeline->outputs.count ? output + 1 : 0;
			cw_run_note_work(&pipeline->run, CW_WORK_WRITE);
			cw_output_write(&pipeline->outputs, &pipeline->outputs.at[output]);
		} else if (pipeline->outputs.pack && cw_pack_run_any(pipeline->outputs.pack)) {
			continue;
		} else if ((work = cw_ring_pop_spmc(pipeline->run.reserved)) != NULL) {
			handle_reserved(worker, work);
		} else if ((work = pop_cut(worker)) != NULL) {
			handle_cut(worker, work);
		} else if (atomic_load(&pipeline->run.is_done)) {
			break;
		} else {
			cw_run_note_work(&pipeline->run, CW_WORK_IDLE);
			cw_gate_wait(&pipeline->run.worker_gate, seen);
		}
	}
	cw_run_note_work(&pipeline->run, CW_WORK_IDLE);
	cw_run_thread_ends(&pipeline->run);
	return NULL;
}
