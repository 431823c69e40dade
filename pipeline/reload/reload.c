/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reload thread. Everything that can fail happens aside, before anything in force changes:
 * reading, checking, compiling, making the new outputs. Then, in this order:
 *
 *	new outputs are put in use	in the turn, so that no thread finds one half made
 *	the generation is published	[GEN-1]
 *	a grace period passes		no capture thread stamps the old generation any more
 *	the old generation is freed	when its last batch is finished, [GEN-2]
 *	its other outputs are closed	when their chunks are written, as at the run's end
 *
 * No thread that handles packets waits for any of these.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/plural.h"
#include "pipeline/reload/plan.h"

#define LOOK_EVERY_MS 20 /* while an old generation still has batches */

/* ---- reports ---- */

/* `restart`: names of settings that only a restart changes, or NULL. */
static void CW_PRINTF(5, 6) end_reload(struct cw_reload *reload, bool is_accepted, uint64_t upto,
				       const char *restart, const char *format, ...)
{
	const struct cw_generation *now = atomic_load(&reload->generations->current);
	char text[sizeof(reload->status.text)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (reload->run->options.on_reloaded && atomic_load(&reload->requested) == upto)
		reload->run->options.on_reloaded(reload->run->options.context, text);
	pthread_mutex_lock(&reload->status_lock);
	reload->status.accepted += is_accepted;
	reload->status.refused += !is_accepted;
	reload->status.was_accepted = is_accepted;
	reload->status.generation = now->number;
	reload->status.rule_count = now->rules->count;
	reload->status.served = upto;
	memcpy(reload->status.text, text, sizeof(text));
	snprintf(reload->status.restart, sizeof(reload->status.restart), "%s",
		 restart ? restart : "");
	pthread_mutex_unlock(&reload->status_lock);
	cw_run_tell(reload->run, is_accepted ? CW_NOTE : CW_WARNING, "%s", text);
	if (reload->run->options.on_reload)
		reload->run->options.on_reload(reload->run->options.context);
}

static void reload_once(struct cw_reload *reload, uint64_t upto)
{
	struct cw_plan plan = {.reload = reload, .now = atomic_load(&reload->generations->current)};
	const struct cw_generation *next;
	struct cw_error error = {0};
	uint32_t kept, fresh;
	int result;

	pthread_mutex_lock(&reload->generations->sets_lock);
	result = cw_plan_prepare(&plan, &error);
	next = plan.next;
	fresh = plan.fresh_made;
	kept = next ? next->rules->count - fresh : 0;
	if (result == 0)
		cw_plan_publish(&plan);
	pthread_mutex_unlock(&reload->generations->sets_lock);
	if (result < 0)
		end_reload(reload, false, upto, NULL,
			   "rules not reloaded, generation %" PRIu64 " stays in force: %s",
			   plan.now->number, error.text);
	else
		/* NOLINTNEXTLINE(clang-analyzer-core*): prepared, so it is there */
		end_reload(reload, true, upto, next->rules->restart,
			   "rules reloaded: generation %" PRIu64 ", %u rule%s (outputs: %u kept, "
			   "%u new, %u closed)%s%s",
			   next->number, next->rules->count, cw_plural(next->rules->count), kept,
			   fresh, plan.last_count,
			   next->rules->restart ? "; changed settings need a restart: " : "",
			   next->rules->restart ? next->rules->restart : "");
	if (result == 0)
		plan.last_count = 0; /* the outputs own the copies now */
	cw_plan_fini(&plan);
}

/* ---- the thread ---- */

static void sleep_until_woken(struct cw_reload *reload)
{
	struct pollfd fd = {.fd = reload->run->reload_fd, .events = POLLIN};
	bool is_waiting = reload->oldest->newer || reload->leaving_count;
	uint64_t ignored;

	if (poll(&fd, 1, is_waiting ? LOOK_EVERY_MS : -1) > 0)
		(void)!read(reload->run->reload_fd, &ignored, sizeof(ignored));
}

void *cw_reload_main(void *argument)
{
	struct cw_reload *reload = argument;
	uint64_t served = 0;

	while (!atomic_load(&reload->run->is_done)) {
		uint64_t requested = atomic_load(&reload->requested);

		cw_reload_free_generations(reload);
		cw_reload_close_outputs(reload);
		if (requested == served) {
			sleep_until_woken(reload);
			continue;
		}
		if (atomic_load(&reload->run->is_stopping))
			end_reload(reload, false, requested, NULL,
				   "rules not reloaded: the run is about to end");
		else
			reload_once(reload, requested);
		served = requested;
	}
	cw_run_thread_ends(reload->run);
	return NULL;
}

uint64_t cw_reload_request(struct cw_reload *reload)
{
	uint64_t number;

	if (!reload->run->is_reloadable)
		return 0;
	number = atomic_fetch_add(&reload->requested, 1) + 1;
	cw_run_wake_reloader(reload->run);
	return number;
}

void cw_reload_read_status(struct cw_reload *reload, struct cw_reload_status *status)
{
	pthread_mutex_lock(&reload->status_lock);
	*status = reload->status;
	pthread_mutex_unlock(&reload->status_lock);
}

/* ---- start and end ---- */

static int init_possible(struct cw_reload *reload)
{
	uint32_t capacity = reload->run->options.rules->count + CW_OUTPUTS_RELOAD_MIN;

	reload->run->reload_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* Room for every output: an output leaves once. */
	reload->leaving = calloc((size_t)capacity * 2, sizeof(*reload->leaving));
	if (reload->run->reload_fd < 0 || !reload->leaving)
		return -ENOMEM;
	return cw_past_init(reload->past, reload->run->lane_count);
}

int cw_reload_init(struct cw_reload *reload)
{
	const struct cw_rules *rules = reload->run->options.rules;
	struct cw_generation *first;

	if (cw_generation_new(&first, 1, rules, reload->run->lane_count) < 0)
		return -ENOMEM;
	atomic_init(&reload->generations->current, first);
	reload->oldest = first;
	reload->held_count = 1;
	reload->status.generation = 1;
	reload->status.rule_count = rules->count;
	cw_matcher_init(&first->matcher, rules, reload->run->options.match.prefilter,
			&reload->generations->filter_options);
	first->matcher.verify_every = reload->run->options.match.verify_every;
	first->matcher.outputs = first->outputs;
	for (uint32_t index = 0; index < rules->count; index++)
		first->outputs[index] = index;
	return reload->run->is_reloadable ? init_possible(reload) : 0;
}

void cw_reload_fini(struct cw_reload *reload)
{
	while (reload->oldest) {
		struct cw_generation *oldest = reload->oldest;

		reload->oldest = oldest->newer;
		cw_generation_free(oldest);
	}
	free(reload->leaving);
}

int cw_reload_report(struct cw_reload *reload, struct cw_report *report)
{
	struct cw_past *past = reload->past;
	const struct cw_generation *generation;
	uint64_t number;

	report->generation = reload->status.generation;
	report->reloads_accepted = reload->status.accepted;
	report->reloads_refused = reload->status.refused;
	if (!reload->run->is_reloadable)
		return 0;
	for (generation = reload->oldest; generation; generation = generation->newer)
		cw_past_add_generation(past, generation);
	report->generations = calloc(CW_GENERATIONS_REPORTED, sizeof(*report->generations));
	if (!report->generations)
		return -ENOMEM;
	number = past->generation_count > CW_GENERATIONS_REPORTED
		     ? past->generation_count - CW_GENERATIONS_REPORTED
		     : 0;
	for (; number < past->generation_count; number++) {
		struct cw_past_generation *entry =
		    &past->generations[number % CW_GENERATIONS_REPORTED];

		report->generations[report->generation_count++] = (struct cw_report_generation){
		    .number = entry->number,
		    .rule_count = entry->rule_count,
		    .start_s = (double)(entry->start_ns - reload->run->start_ns) * 1e-9,
		    .firsts = entry->firsts};
		entry->firsts = NULL; /* the report owns it now */
	}
	return 0;
}
