/* SPDX-License-Identifier: BSD-3-Clause */
/* The remains of a reload: frees generations without batches, closes outputs whose rule is gone. */
#include "pipeline/output/file_ring.h"
#include "pipeline/reload/plan.h"

void cw_reload_free_generations(struct cw_reload *reload)
{
	while (reload->oldest->newer && !cw_generation_is_held(reload->oldest)) {
		struct cw_generation *oldest = reload->oldest;

		cw_past_add_generation(reload->past, oldest);
		reload->oldest = oldest->newer;
		reload->held_count--;
		cw_generation_free(oldest);
	}
}

struct leaving {
	struct cw_reload *reload;
	struct cw_output *output;
	bool is_alone;
	struct cw_file *empty;
	struct cw_output *heir; /* has its files now; NULL: they stay with nobody */
};

/* In the turn: seals the rest, and checks whether the writer is done with every chunk. */
static void seal_leaving(void *context)
{
	struct leaving *leaving = context;
	struct cw_output *output = leaving->output;

	/* Files that another output inherits count until then. */
	if (output->shared.state == CW_OUTPUT_USED &&
	    !cw_output_heir(leaving->reload->outputs, output))
		cw_output_leave_ring(leaving->reload->outputs, output);
	atomic_store(&output->shared.state, CW_OUTPUT_LEAVING);
	cw_output_seal_all(leaving->reload->outputs, output);
	/* [RETRY-1] acquire, [KICK-1] acquire: the writer's state of the output, and its end. */
	leaving->is_alone =
	    atomic_load_explicit(&output->shared.chunks_out, memory_order_acquire) == 0 &&
	    atomic_load_explicit(&output->shared.kicks, memory_order_acquire) == 0;
	if (leaving->is_alone) {
		cw_output_leave_ring(leaving->reload->outputs, output);
		leaving->empty = cw_output_name_empty(leaving->reload->outputs, output);
	}
}

/* In the turn: enters the output's results in the past and frees its slot. */
static void bury(void *context)
{
	struct leaving *leaving = context;
	struct cw_reload *reload = leaving->reload;

	leaving->heir = cw_output_hand_over(reload->outputs, leaving->output);
	leaving->is_alone = cw_past_add(reload->past, leaving->output) == 0;
	if (!leaving->is_alone)
		return; /* no memory: try again at the next look */
	cw_output_fini(leaving->output);
	reload->outputs->turn.used_count--;
	atomic_store(&leaving->output->shared.state, CW_OUTPUT_FREE);
}

/* Lets the process that opens files forget the output, but not the files of its heir. */
static void drop_asked(struct cw_asking *asking, uint32_t asked, const struct cw_output *heir)
{
	if (heir)
		cw_file_ring_move(heir->ring, heir->asked);
	cw_asking_drop(asking, asked, heir ? heir->asked : CW_OPENER_NO_HEIR);
}

/* Closes the output if nobody uses it. Returns whether it is closed. */
static bool close_leaving(struct cw_reload *reload, struct cw_output *output)
{
	struct leaving leaving = {.reload = reload, .output = output};
	const bool is_asked = output->is_asked;
	const uint32_t asked = output->asked;

	cw_turn_hold_any(reload->turn, seal_leaving, &leaving);
	if (!leaving.is_alone)
		return false;
	/* [ABORT-1] as in write_chunks. */
	atomic_store(&output->shared.is_writing, true);
	leaving.is_alone = !atomic_load(&reload->run->is_aborting);
	if (leaving.is_alone) {
		cw_output_close(reload->outputs, output, leaving.empty);
		cw_turn_hold_any(reload->turn, bury, &leaving);
		if (leaving.is_alone && is_asked)
			drop_asked(reload->outputs->asking, asked, leaving.heir);
	}
	atomic_store(&output->shared.is_writing, false);
	return leaving.is_alone;
}

void cw_reload_close_outputs(struct cw_reload *reload)
{
	uint32_t index, left = 0;

	for (index = 0; index < reload->leaving_count; index++) {
		struct cw_output *output = &reload->outputs->at[reload->leaving[index]];

		if (output->leaves_at > reload->oldest->number || !close_leaving(reload, output))
			reload->leaving[left++] = reload->leaving[index];
	}
	reload->leaving_count = left;
}
