/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reloader's thread. What can fail happens aside, before anything that is in force knows of it:
 * reading, checking, compiling, making the new outputs. Then, in this order:
 *
 *	the new outputs are in use	under the turn, so that nobody finds one half made
 *	the generation is published	[GEN-1]
 *	a grace period			no capture thread stamps the old one any more
 *	the old one is let go of	when its last batch is finished, [GEN-2]
 *	outputs it alone had are closed	when their chunks are written, as at the run's end
 *
 * Nothing that handles packets waits for any of it.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pipeline/output/output_parts.h"
#include "pipeline/reload/plan.h"
#include "pipeline/state.h"

#define LOOK_EVERY_MS 20 /* while batches of an old generation are under way */

/* ---- what is told ---- */

static void CW_PRINTF(4, 5) end_reload(struct cw_pipeline *pipeline, bool is_accepted,
				       uint64_t upto, const char *format, ...)
{
	const struct cw_generation *now = atomic_load(&pipeline->generation);
	struct cw_reload *reload = &pipeline->reload;
	char text[sizeof(reload->status.text)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	pthread_mutex_lock(&reload->status_lock);
	reload->status.accepted += is_accepted;
	reload->status.refused += !is_accepted;
	reload->status.was_accepted = is_accepted;
	reload->status.generation = now->number;
	reload->status.rule_count = now->rules->count;
	reload->status.served = upto;
	memcpy(reload->status.text, text, sizeof(text));
	pthread_mutex_unlock(&reload->status_lock);
	cw_pipeline_tell(pipeline, is_accepted ? CW_NOTE : CW_WARNING, "%s", text);
	if (pipeline->options.on_reload)
		pipeline->options.on_reload(pipeline->options.context);
}

static void reload_once(struct cw_pipeline *pipeline, uint64_t upto)
{
	struct cw_plan plan = {.pipeline = pipeline, .now = atomic_load(&pipeline->generation)};
	const struct cw_generation *next;
	struct cw_error error = {0};
	uint32_t kept, fresh;
	int result;

	pthread_mutex_lock(&pipeline->reload.sets_lock);
	result = cw_plan_prepare(&plan, &error);
	next = plan.next;
	fresh = plan.fresh_made;
	kept = next ? next->rules->count - fresh : 0;
	if (result == 0)
		cw_plan_publish(&plan);
	pthread_mutex_unlock(&pipeline->reload.sets_lock);
	if (result < 0)
		end_reload(pipeline, false, upto,
			   "rules not reloaded, generation %" PRIu64 " stays in force: %s",
			   plan.now->number, error.text);
	else
		end_reload(pipeline, true, upto,
			   "rules reloaded: generation %" PRIu64 ", %u rules (outputs: %u go on, "
			   "%u new, %u closed)",
			   next->number, next->rules->count, kept, fresh, plan.last_count);
	if (result == 0)
		plan.last_count = 0; /* the outputs have them */
	cw_plan_fini(&plan);
}

/* ---- what is no longer needed ---- */

void cw_reload_tell(struct cw_pipeline *pipeline, const struct cw_generation *generation)
{
	struct cw_reload *reload = &pipeline->reload;
	struct cw_told_generation *told = &reload->told[reload->told_count++ % CW_GENERATIONS_TOLD];
	uint32_t lane;

	told->number = generation->number;
	told->start_ns = generation->start_ns;
	told->rule_count = generation->rules->count;
	for (lane = 0; lane < pipeline->lane_count; lane++)
		told->firsts[lane] = atomic_load(&generation->firsts[lane]);
}

static void free_old_generations(struct cw_pipeline *pipeline)
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
};

/* The turn: nothing will be reserved in it; is the writer done with what was? */
static void seal_leaving(void *context)
{
	struct leaving *leaving = context;
	struct cw_output *output = leaving->output;

	if (output->state == CW_OUTPUT_USED)
		cw_output_leave_ring(leaving->pipeline, output);
	atomic_store(&output->state, CW_OUTPUT_LEAVING);
	cw_output_seal_all(leaving->pipeline, output);
	/* [RETRY-1] acquire, [KICK-1] acquire: the writer's state of the output, and its end. */
	leaving->is_alone = atomic_load_explicit(&output->chunks_out, memory_order_acquire) == 0 &&
			    atomic_load_explicit(&output->kicks, memory_order_acquire) == 0;
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
	atomic_store(&leaving->output->state, CW_OUTPUT_FREE);
}

/* Whether it is gone. */
static bool close_leaving(struct cw_pipeline *pipeline, struct cw_output *output)
{
	struct leaving leaving = {.pipeline = pipeline, .output = output};

	cw_sequencer_hold_any(pipeline, seal_leaving, &leaving);
	if (!leaving.is_alone)
		return false;
	/* [ABORT-1] as a writer does. */
	atomic_store(&output->is_writing, true);
	leaving.is_alone = !atomic_load(&pipeline->is_aborting);
	if (leaving.is_alone) {
		cw_output_close(pipeline, output);
		cw_sequencer_hold_any(pipeline, bury, &leaving);
	}
	atomic_store(&output->is_writing, false);
	return leaving.is_alone;
}

static void close_old_outputs(struct cw_pipeline *pipeline)
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

/* ---- the thread ---- */

static void sleep_until_news(struct cw_pipeline *pipeline)
{
	const struct cw_reload *reload = &pipeline->reload;
	struct pollfd fd = {.fd = reload->fd, .events = POLLIN};
	bool is_waiting = reload->oldest->newer || reload->leaving_count;
	uint64_t ignored;

	if (poll(&fd, 1, is_waiting ? LOOK_EVERY_MS : -1) > 0)
		(void)!read(reload->fd, &ignored, sizeof(ignored));
}

void *cw_reload_main(void *argument)
{
	struct cw_pipeline *pipeline = argument;
	struct cw_reload *reload = &pipeline->reload;
	uint64_t served = 0;

	while (!atomic_load(&pipeline->is_done)) {
		uint64_t requested = atomic_load(&reload->requested);

		free_old_generations(pipeline);
		close_old_outputs(pipeline);
		if (requested == served) {
			sleep_until_news(pipeline);
			continue;
		}
		if (atomic_load(&pipeline->is_stopping))
			end_reload(pipeline, false, requested,
				   "rules not reloaded: the run is about to end");
		else
			reload_once(pipeline, requested);
		served = requested;
	}
	cw_pipeline_thread_ends(pipeline);
	return NULL;
}

void cw_reload_wake(struct cw_pipeline *pipeline)
{
	uint64_t one = 1;

	(void)!write(pipeline->reload.fd, &one, sizeof(one)); /* as in thread_ends */
}

uint64_t cw_pipeline_request_reload(struct cw_pipeline *pipeline)
{
	uint64_t number;

	if (!pipeline->reload.is_possible)
		return 0;
	number = atomic_fetch_add(&pipeline->reload.requested, 1) + 1;
	cw_reload_wake(pipeline);
	return number;
}

void cw_pipeline_reload_status(struct cw_pipeline *pipeline, struct cw_reload_status *status)
{
	pthread_mutex_lock(&pipeline->reload.status_lock);
	*status = pipeline->reload.status;
	pthread_mutex_unlock(&pipeline->reload.status_lock);
}

void cw_generation_adopt(struct cw_pipeline *pipeline, const struct cw_generation *generation)
{
	uint32_t index;

	if (generation->number <= pipeline->turn_generation)
		return;
	pipeline->turn_generation = generation->number;
	cw_rules_adopt(pipeline, generation->rules);
	for (index = 0; index < generation->rules->count; index++) {
		struct cw_output *output = &pipeline->outputs[generation->outputs[index]];

		cw_output_adopt(pipeline, output, &generation->rules->rules[index]);
	}
}

/* ---- start and end ---- */

static int init_possible(struct cw_pipeline *pipeline)
{
	struct cw_reload *reload = &pipeline->reload;
	uint32_t capacity = pipeline->options.rules->count + CW_OUTPUTS_RELOAD_MIN;
	uint32_t index;

	reload->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* An output leaves once, so there are never more than outputs. */
	reload->leaving = calloc((size_t)capacity * 2, sizeof(*reload->leaving));
	if (reload->fd < 0 || !reload->leaving)
		return -ENOMEM;
	for (index = 0; index < CW_GENERATIONS_TOLD; index++) {
		reload->told[index].firsts = calloc(pipeline->lane_count, sizeof(uint64_t));
		if (!reload->told[index].firsts)
			return -ENOMEM;
	}
	return 0;
}

int cw_reload_init(struct cw_pipeline *pipeline)
{
	struct cw_reload *reload = &pipeline->reload;
	const struct cw_rules *rules = pipeline->options.rules;
	struct cw_generation *first;
	uint32_t index;

	pthread_mutex_init(&reload->sets_lock, NULL);
	pthread_mutex_init(&reload->status_lock, NULL);
	reload->has_locks = true;
	if (cw_generation_new(&first, 1, rules, pipeline->lane_count) < 0)
		return -ENOMEM;
	atomic_init(&pipeline->generation, first);
	reload->oldest = first;
	reload->held_count = 1;
	reload->status.generation = 1;
	reload->status.rule_count = rules->count;
	cw_matcher_init(&first->matcher, rules, pipeline->options.prefilter,
			&pipeline->filter_options);
	first->matcher.verify_every = pipeline->options.verify_every;
	first->matcher.outputs = first->outputs;
	for (index = 0; index < rules->count; index++)
		first->outputs[index] = index;
	return reload->is_possible ? init_possible(pipeline) : 0;
}

void cw_reload_fini(struct cw_pipeline *pipeline)
{
	struct cw_reload *reload = &pipeline->reload;
	uint32_t index;

	while (reload->oldest) {
		struct cw_generation *oldest = reload->oldest;

		reload->oldest = oldest->newer;
		cw_generation_free(oldest);
	}
	for (index = 0; index < CW_GENERATIONS_TOLD; index++)
		free(reload->told[index].firsts);
	free(reload->leaving);
	if (reload->fd >= 0)
		close(reload->fd);
	if (!reload->has_locks)
		return;
	pthread_mutex_destroy(&reload->sets_lock);
	pthread_mutex_destroy(&reload->status_lock);
}
