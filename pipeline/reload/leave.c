/* SPDX-License-Identifier: BSD-3-Clause */
/* What a reload leaves behind: generations that no batch has, and outputs whose rule is gone. */
#include "pipeline/output/output_parts.h"
#include "pipeline/reload/plan.h"
#include "pipeline/report/past.h"
#include "pipeline/state.h"
#include "pipeline/turn/turn.h"

void cw_reload_free_generations(struct cw_pipeline *pipeline)
{
	struct cw_reload *reload = &pipeline->reload;

	while (reload->oldest->newer && !cw_generation_is_held(reload->oldest)) {
		struct cw_generation *oldest = reload->oldest;

		cw_reload_tell(pipeline, oldest);
		reload->oldest = oldest->newer;
		reload->held_count--;
		cw_generation_free(oldest);
	}
}

struct leaving {
	struct cw_pipeline *pipeline;
	struct cw_output *output;
	bool is_alone;
	struct cw_file *empty;
};

/* The turn: nothing will be reserved in it; is the writer done with what was? */
static void seal_leaving(void *context)
{
	struct leaving *leaving = context;
	struct cw_output *output = leaving->output;

	if (output->shared.state == CW_OUTPUT_USED)
		cw_output_leave_ring(leaving->pipeline, output);
	atomic_store(&output->shared.state, CW_OUTPUT_LEAVING);
	cw_output_seal_all(leaving->pipeline, output);
	/* [RETRY-1] acquire, [KICK-1] acquire: the writer's state of the output, and its end. */
	leaving->is_alone =
	    atomic_load_explicit(&output->shared.chunks_out, memory_order_acquire) == 0 &&
	    atomic_load_explicit(&output->shared.kicks, memory_order_acquire) == 0;
	if (leaving->is_alone)
		leaving->empty = cw_output_name_empty(leaving->pipeline, output);
}

/* The turn: what it did is the past's. */
static void bury(void *context)
{
	struct leaving *leaving = context;
	struct cw_pipeline *pipeline = leaving->pipeline;

	leaving->is_alone = cw_past_add(&pipeline->past, leaving->output) == 0;
	if (!leaving->is_alone)
		return; /* no memory: again at the next look */
	cw_output_fini(leaving->output);
	pipeline->turn_output_count--;
	atomic_store(&leaving->output->shared.state, CW_OUTPUT_FREE);
}

/* Whether it is gone. */
static bool close_leaving(struct cw_pipeline *pipeline, struct cw_output *output)
{
	struct leaving leaving = {.pipeline = pipeline, .output = output};

	cw_turn_hold_any(pipeline, seal_leaving, &leaving);
	if (!leaving.is_alone)
		return false;
	/* [ABORT-1] as a writer does. */
	atomic_store(&output->shared.is_writing, true);
	leaving.is_alone = !atomic_load(&pipeline->is_aborting);
	if (leaving.is_alone) {
		cw_output_close(pipeline, output, leaving.empty);
		cw_turn_hold_any(pipeline, bury, &leaving);
	}
	atomic_store(&output->shared.is_writing, false);
	return leaving.is_alone;
}

void cw_reload_close_outputs(struct cw_pipeline *pipeline)
{
	struct cw_reload *reload = &pipeline->reload;
	uint32_t index, left = 0;

	for (index = 0; index < reload->leaving_count; index++) {
		struct cw_output *output = &pipeline->outputs[reload->leaving[index]];

		if (output->leaves_at > reload->oldest->number || !close_leaving(pipeline, output))
			reload->leaving[left++] = reload->leaving[index];
	}
	reload->leaving_count = left;
}
