/* SPDX-License-Identifier: BSD-3-Clause */
/* A run under way, as its caller sees and steers it. */
#include "pipeline/capture/tap.h"
#include "pipeline/state.h"

int cw_pipeline_done_fd(const struct cw_pipeline *pipeline)
{
	return pipeline->run.done_fd;
}

bool cw_pipeline_is_stuck(const struct cw_pipeline *pipeline)
{
	return atomic_load(&pipeline->run.is_stuck);
}

void cw_pipeline_progress(struct cw_pipeline *pipeline, struct cw_progress *progress)
{
	uint32_t index;

	*progress = (struct cw_progress){.read_bytes = atomic_load(&pipeline->inputs.read_bytes),
					 .total_bytes = pipeline->inputs.total_bytes,
					 .packets = atomic_load(&pipeline->run.received),
					 .bytes = atomic_load(&pipeline->run.received_bytes)};
	for (index = 0; index < pipeline->capture.tap_count; index++)
		progress->lost_before_tap +=
		    atomic_load(&pipeline->capture.taps[index].lost_before_tap);
	for (index = 0; index < pipeline->run.lane_count; index++) {
		progress->kernel_seen += atomic_load(&pipeline->run.lanes[index].shared.seen);
		progress->kernel_dropped += atomic_load(&pipeline->run.lanes[index].shared.dropped);
		progress->freezes += atomic_load(&pipeline->run.lanes[index].shared.frozen);
	}
}

void cw_pipeline_request_stop(struct cw_pipeline *pipeline)
{
	cw_run_request_stop(&pipeline->run);
}

void cw_pipeline_abort(struct cw_pipeline *pipeline)
{
	cw_outputs_abort(&pipeline->outputs);
}

uint64_t cw_pipeline_request_reload(struct cw_pipeline *pipeline)
{
	return cw_reload_request(&pipeline->reload);
}

void cw_pipeline_reload_status(struct cw_pipeline *pipeline, struct cw_reload_status *status)
{
	cw_reload_read_status(&pipeline->reload, status);
}

struct peeking {
	struct cw_pipeline *pipeline;
	struct cw_books *books;
};

/* The turn. */
static void peek(void *context)
{
	const struct peeking *peeking = context;
	const struct cw_pipeline *pipeline = peeking->pipeline;
	struct cw_books *books = peeking->books;
	uint32_t index;

	*books = pipeline->turn.books;
	books->matched = pipeline->past.books.matched;
	books->written = pipeline->past.written;
	for (index = 0; index < pipeline->outputs.count; index++) {
		const struct cw_output *output = &pipeline->outputs.at[index];

		if (output->shared.state == CW_OUTPUT_FREE)
			continue;
		books->matched += output->turn.matched;
		books->written += atomic_load(&output->shared.written);
	}
}

void cw_pipeline_peek(struct cw_pipeline *pipeline, struct cw_books *books)
{
	struct peeking peeking = {.pipeline = pipeline, .books = books};

	cw_turn_hold_any(&pipeline->turn, peek, &peeking);
}
