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
#include <urcu-qsbr.h>

#include "pipeline/output_parts.h"
#include "pipeline/state.h"

#define LOOK_EVERY_MS 20 /* while batches of an old generation are under way */

/* ---- a reload under way ---- */

/* A rule of the generation in force, for finding it by name. */
struct named {
	const char *name;
	uint32_t rule;
};

struct plan {
	struct cw_pipeline *pipeline;
	struct cw_generation *now;
	struct cw_generation *next;
	struct named *named; /* by name */
	bool *is_kept;	     /* by rule of `now`: its output goes on */
	bool *is_new;	     /* by rule of `next` */
	struct cw_output *fresh; /* outputs made aside, */
	uint32_t *slots;	 /* and where they will be */
	uint32_t fresh_count;
	uint32_t fresh_made;
	struct cw_rule **last; /* copies of the rules that go, in the order of `now` */
	uint32_t last_count;
};

static int compare_names(const void *left, const void *right)
{
	return strcmp(((const struct named *)left)->name, ((const struct named *)right)->name);
}

static int no_memory(struct cw_error *error)
{
	return cw_error_set(error, -ENOMEM, "no memory for the new rules");
}

static int plan_init(struct plan *plan, struct cw_error *error)
{
	const struct cw_rules *now = plan->now->rules, *next = plan->next->rules;
	uint32_t index;

	plan->named = calloc(now->count + 1u, sizeof(*plan->named));
	plan->is_kept = calloc(now->count + 1u, sizeof(*plan->is_kept));
	plan->is_new = calloc(next->count + 1u, sizeof(*plan->is_new));
	plan->slots = calloc(next->count + 1u, sizeof(*plan->slots));
	plan->last = calloc(now->count + 1u, sizeof(struct cw_rule *));
	if (!plan->named || !plan->is_kept || !plan->is_new || !plan->slots || !plan->last)
		return no_memory(error);
	for (index = 0; index < now->count; index++)
		plan->named[index] = (struct named){now->rules[index].name, index};
	qsort(plan->named, now->count, sizeof(*plan->named), compare_names);
	return 0;
}

/* Nothing of it is in force: take it down. */
static void plan_fini(struct plan *plan)
{
	while (plan->fresh_made)
		cw_output_fini(&plan->fresh[--plan->fresh_made]);
	while (plan->last_count)
		cw_rule_free(plan->last[--plan->last_count]);
	cw_generation_free(plan->next);
	free(plan->named);
	free(plan->is_kept);
	free(plan->is_new);
	free(plan->slots);
	free(plan->fresh);
	free(plan->last);
}

/* Whether records of the rule can go on in the output of the other. */
static bool can_go_on(const struct cw_rule *before, const struct cw_rule *after)
{
	return strcmp(before->write, after->write) == 0 && before->snaplen == after->snaplen;
}

/* Which outputs go on, and where there is room for the others. */
static int find_outputs(struct plan *plan, struct cw_error *error)
{
	const struct cw_pipeline *pipeline = plan->pipeline;
	const struct cw_rules *now = plan->now->rules, *next = plan->next->rules;
	uint32_t index, slot = 0;

	for (index = 0; index < next->count; index++) {
		const struct named wanted = {.name = next->rules[index].name};
		const struct named *found = bsearch(&wanted, plan->named, now->count,
						    sizeof(wanted), compare_names);

		if (found && can_go_on(&now->rules[found->rule], &next->rules[index])) {
			plan->is_kept[found->rule] = true;
			plan->next->outputs[index] = plan->now->outputs[found->rule];
			continue;
		}
		while (slot < pipeline->output_capacity && slot < pipeline->output_count &&
		       atomic_load(&pipeline->outputs[slot].state) != CW_OUTPUT_FREE)
			slot++;
		if (slot == pipeline->output_capacity)
			return cw_error_set(
			    error, -ENOSPC,
			    "%u rules, and there is room for %u outputs in this run, those of "
			    "removed rules that are not written yet among them",
			    next->count, pipeline->output_capacity);
		plan->is_new[index] = true;
		plan->slots[plan->fresh_count++] = slot;
		plan->next->outputs[index] = slot++;
	}
	return 0;
}

static int make_fresh(struct plan *plan, struct cw_error *error)
{
	const struct cw_rules *next = plan->next->rules;
	uint32_t index;
	int result;

	if (!plan->fresh_count)
		return 0;
	plan->fresh = aligned_alloc(CW_CACHE_LINE, plan->fresh_count * sizeof(*plan->fresh));
	if (!plan->fresh)
		return no_memory(error);
	memset(plan->fresh, 0, plan->fresh_count * sizeof(*plan->fresh));
	for (index = 0; index < next->count; index++) {
		struct cw_output *output = &plan->fresh[plan->fresh_made];

		if (!plan->is_new[index])
			continue;
		output->own_rule = cw_rule_copy(&next->rules[index]);
		if (!output->own_rule)
			return no_memory(error);
		plan->fresh_made++;
		result = cw_setup_output(plan->pipeline, output, plan->slots[plan->fresh_made - 1],
					 next, output->own_rule, error);
		if (result < 0)
			return result;
	}
	return 0;
}

/* The names of those that go on first: they have them. */
static int check_targets(struct plan *plan, struct cw_error *error)
{
	struct cw_pipeline *pipeline = plan->pipeline;
	struct cw_names names = {0};
	uint32_t index;
	int result = 0;

	for (index = 0; index < plan->next->rules->count && result == 0; index++) {
		if (!plan->is_new[index])
			result = cw_setup_target(pipeline,
						 &pipeline->outputs[plan->next->outputs[index]],
						 false, &names, error);
	}
	for (index = 0; index < plan->fresh_made && result == 0; index++)
		result = cw_setup_target(pipeline, &plan->fresh[index], true, &names, error);
	cw_names_fini(&names);
	return result;
}

/* What the report says of rules that go. */
static int copy_last(struct plan *plan, struct cw_error *error)
{
	const struct cw_rules *now = plan->now->rules;
	uint32_t index;

	for (index = 0; index < now->count; index++) {
		if (plan->is_kept[index])
			continue;
		plan->last[plan->last_count] = cw_rule_copy(&now->rules[index]);
		if (!plan->last[plan->last_count])
			return no_memory(error);
		plan->last_count++;
	}
	return 0;
}

/* All that can fail. */
static int prepare(struct plan *plan, struct cw_error *error)
{
	struct cw_pipeline *pipeline = plan->pipeline;
	struct cw_rules rules = {0};
	int result;

	if (pipeline->reload.held_count == CW_GENERATIONS_HELD)
		return cw_error_set(error, -EBUSY,
				    "packets of %u earlier rule sets are still under way",
				    CW_GENERATIONS_HELD);
	result = pipeline->options.load_rules(pipeline->options.context, &rules, error);
	if (result == 0 && !rules.count)
		result = cw_error_set(error, -EINVAL, "there is no rule, so no output");
	if (result == 0)
		result = cw_rules_check(&rules, error);
	if (result == 0 &&
	    cw_generation_new(&plan->next, plan->now->number + 1, &rules, pipeline->lane_count) < 0)
		result = no_memory(error);
	if (result < 0) {
		cw_rules_fini(&rules);
		return result;
	}
	plan->next->own = rules;
	plan->next->rules = &plan->next->own;
	cw_matcher_init(&plan->next->matcher, plan->next->rules, pipeline->options.prefilter,
			&pipeline->filter_options);
	plan->next->matcher.verify_every = pipeline->options.verify_every;
	plan->next->matcher.outputs = plan->next->outputs;
	plan->next->matcher.is_cancelled = &pipeline->reload.is_cancelled;
	result = plan_init(plan, error);
	if (result == 0)
		result = find_outputs(plan, error);
	if (result == 0)
		result = make_fresh(plan, error);
	if (result == 0)
		result = check_targets(plan, error);
	if (result == 0)
		result = copy_last(plan, error);
	if (result == 0)
		result = cw_setup_rules(pipeline, plan->next, true, error);
	return result;
}

/* The turn: the new outputs are in use. */
static void enter_outputs(void *context)
{
	struct plan *plan = context;
	struct cw_pipeline *pipeline = plan->pipeline;
	uint32_t index;

	for (index = 0; index < plan->fresh_made; index++) {
		uint32_t slot = plan->slots[index];

		memcpy(&pipeline->outputs[slot], &plan->fresh[index], sizeof(*plan->fresh));
		if (slot >= pipeline->output_count)
			pipeline->output_count = slot + 1;
	}
	pipeline->turn_output_count += plan->fresh_made;
	plan->fresh_made = 0;
}

static void let_leave(struct plan *plan)
{
	struct cw_reload *reload = &plan->pipeline->reload;
	uint32_t index, left = 0;

	for (index = 0; index < plan->now->rules->count; index++) {
		uint32_t slot = plan->now->outputs[index];

		if (plan->is_kept[index])
			continue;
		plan->pipeline->outputs[slot].leaves_at = plan->next->number;
		plan->pipeline->outputs[slot].last_rule = plan->last[left];
		plan->last[left++] = NULL;
		reload->leaving[reload->leaving_count++] = slot;
	}
}

static void publish(struct plan *plan)
{
	struct cw_pipeline *pipeline = plan->pipeline;

	cw_sequencer_hold_any(pipeline, enter_outputs, plan);
	plan->next->matcher.is_cancelled = NULL;
	plan->next->start_ns = cw_pipeline_now_ns();
	plan->now->newer = plan->next;
	/* [GEN-1] release */
	atomic_store_explicit(&pipeline->generation, plan->next, memory_order_release);
	pipeline->reload.held_count++;
	let_leave(plan);
	plan->next = NULL;
	urcu_qsbr_synchronize_rcu();
}

/* ---- what is told ---- */

static void CW_PRINTF(4, 5) end_reload(struct cw_pipeline *pipeline, bool is_accepted, uint64_t upto,
				       const char *format, ...)
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
	struct plan plan = {.pipeline = pipeline, .now = atomic_load(&pipeline->generation)};
	const struct cw_generation *next;
	struct cw_error error = {0};
	uint32_t kept, fresh;
	int result;

	pthread_mutex_lock(&pipeline->reload.sets_lock);
	result = prepare(&plan, &error);
	next = plan.next;
	fresh = plan.fresh_made;
	kept = next ? next->rules->count - fresh : 0;
	if (result == 0)
		publish(&plan);
	pthread_mutex_unlock(&pipeline->reload.sets_lock);
	if (result < 0)
		end_reload(pipeline, false, upto, "rules not reloaded, generation %" PRIu64
						  " stays in force: %s",
			   plan.now->number, error.text);
	else
		end_reload(pipeline, true, upto,
			   "rules reloaded: generation %" PRIu64 ", %u rules (outputs: %u go on, "
			   "%u new, %u closed)",
			   next->number, next->rules->count, kept, fresh, plan.last_count);
	if (result == 0)
		plan.last_count = 0; /* the outputs have them */
	plan_fini(&plan);
}

/* ---- what is no longer needed ---- */

void cw_reload_tell(struct cw_pipeline *pipeline, const struct cw_generation *generation)
{
	struct cw_reload *reload = &pipeline->reload;
	struct cw_told_generation *told =
	    &reload->told[reload->told_count++ % CW_GENERATIONS_TOLD];
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

	atomic_store(&output->state, CW_OUTPUT_LEAVING);
	cw_output_seal_all(leaving->pipeline, output);
	/* [RETRY-1] acquire, [KICK-1] acquire: the writer's state of the output, and its end. */
	leaving->is_alone =
	    atomic_load_explicit(&output->chunks_out, memory_order_acquire) == 0 &&
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
	for (index = 0; index < generation->rules->count; index++) {
		const struct cw_rule *rule = &generation->rules->rules[index];
		struct cw_output *output = &pipeline->outputs[generation->outputs[index]];

		output->rotate_bytes = rule->rotate_bytes;
		output->rotate_records = rule->rotate_packets;
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
