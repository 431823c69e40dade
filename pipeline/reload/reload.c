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
#include "pipeline/run/run.h"
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

/* ---- the thread ---- */

static void sleep_until_woken(struct cw_pipeline *pipeline)
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

		cw_reload_free_generations(pipeline);
		cw_reload_close_outputs(pipeline);
		if (requested == served) {
			sleep_until_woken(pipeline);
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
	for (index = 0; index < CW_GENERATIONS_REPORTED; index++) {
		reload->reported[index].firsts = calloc(pipeline->lane_count, sizeof(uint64_t));
		if (!reload->reported[index].firsts)
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
	for (index = 0; index < CW_GENERATIONS_REPORTED; index++)
		free(reload->reported[index].firsts);
	free(reload->leaving);
	if (reload->fd >= 0)
		close(reload->fd);
	if (!reload->has_locks)
		return;
	pthread_mutex_destroy(&reload->sets_lock);
	pthread_mutex_destroy(&reload->status_lock);
}
