/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of a reload, from the rules file to the generation in force; reload.c has the order. */
#include <errno.h>
#include <stdlib.h>
#include <urcu-qsbr.h>

#include "pipeline/reload/plan.h"
#include "core/base/clock.h"
#include "pipeline/setup/setup.h"

/* A rule of the generation in force, in the index by name. */
struct cw_plan_name {
	const char *name;
	uint32_t rule;
};

static int compare_names(const void *left, const void *right)
{
	return strcmp(((const struct cw_plan_name *)left)->name,
		      ((const struct cw_plan_name *)right)->name);
}

static int no_memory(struct cw_error *error)
{
	return cw_error_set(error, -ENOMEM, "no memory for the new rules");
}

static int plan_init(struct cw_plan *plan, struct cw_error *error)
{
	const struct cw_rules *now = plan->now->rules, *next = plan->next->rules;

	plan->names = calloc(now->count + 1u, sizeof(*plan->names));
	plan->is_kept = calloc(now->count + 1u, sizeof(*plan->is_kept));
	plan->is_new = calloc(next->count + 1u, sizeof(*plan->is_new));
	plan->slots = calloc(next->count + 1u, sizeof(*plan->slots));
	plan->before = calloc(next->count + 1u, sizeof(struct cw_output *));
	plan->last = calloc(now->count + 1u, sizeof(struct cw_rule *));
	if (!plan->names || !plan->is_kept || !plan->is_new || !plan->slots || !plan->before ||
	    !plan->last)
		return no_memory(error);
	for (uint32_t index = 0; index < now->count; index++)
		plan->names[index] = (struct cw_plan_name){now->rules[index].name, index};
	qsort(plan->names, now->count, sizeof(*plan->names), compare_names);
	return 0;
}

void cw_plan_fini(struct cw_plan *plan)
{
	while (plan->fresh_made) {
		const struct cw_output *output = &plan->fresh[--plan->fresh_made];

		if (output->is_asked)
			cw_asking_drop(plan->reload->outputs->asking, output->asked,
				       CW_OPENER_NO_HEIR);
		cw_output_fini(&plan->fresh[plan->fresh_made]);
	}
	while (plan->last_count)
		cw_rule_free(plan->last[--plan->last_count]);
	cw_generation_free(plan->next);
	free(plan->names);
	free(plan->is_kept);
	free(plan->is_new);
	free(plan->slots);
	free(plan->before);
	free(plan->fresh);
	free(plan->last);
}

static bool is_same_hook(char *const *left, char *const *right)
{
	if (!left || !right)
		return left == right;
	for (; *left && *right && strcmp(*left, *right) == 0; left++, right++)
		;
	return !*left && !*right;
}

static bool is_same_access(const struct cw_access *left, const struct cw_access *right)
{
	return left->file_mode == right->file_mode && left->folder_mode == right->folder_mode &&
	       left->has_group == right->has_group && left->group == right->group;
}

/* Returns whether the new rule can continue the old rule's output, which writes the same names. An
 * output without a list cannot begin one: its files are not in it. */
static bool can_go_on(const struct cw_plan *plan, const struct cw_output *output,
		      const struct cw_rule *before, const struct cw_rule *after)
{
	return before->snaplen == after->snaplen &&
	       is_same_access(&before->access, &after->access) &&
	       is_same_hook(before->hook, after->hook) &&
	       (output->ring ||
		!cw_setup_has_list(plan->reload->outputs, output, plan->next->rules, after));
}

/* Finds the outputs that stay, and slots for the new ones. */
static int find_outputs(struct cw_plan *plan, struct cw_error *error)
{
	const struct cw_outputs *outputs = plan->reload->outputs;
	const struct cw_rules *now = plan->now->rules, *next = plan->next->rules;
	uint32_t index, slot = 0;

	for (index = 0; index < next->count; index++) {
		const struct cw_plan_name wanted = {.name = next->rules[index].name};
		const struct cw_plan_name *found =
		    bsearch(&wanted, plan->names, now->count, sizeof(wanted), compare_names);

		struct cw_output *output =
		    found ? &outputs->at[plan->now->outputs[found->rule]] : NULL;

		if (output &&
		    (strcmp(now->rules[found->rule].write, next->rules[index].write) != 0 ||
		     output->is_numbered != cw_rule_is_numbered(&next->rules[index], output->name)))
			output = NULL;
		if (output &&
		    can_go_on(plan, output, &now->rules[found->rule], &next->rules[index])) {
			plan->is_kept[found->rule] = true;
			plan->next->outputs[index] = plan->now->outputs[found->rule];
			continue;
		}
		while (slot < outputs->capacity && slot < outputs->count &&
		       atomic_load(&outputs->at[slot].shared.state) != CW_OUTPUT_FREE)
			slot++;
		if (slot == outputs->capacity)
			return cw_error_set(
			    error, -ENOSPC,
			    "%u rules do not fit: this run has room for %u outputs, those of "
			    "removed rules that are still being written included",
			    next->count, outputs->capacity);
		plan->is_new[index] = true;
		plan->before[plan->fresh_count] = output && !output->ring ? output : NULL;
		plan->slots[plan->fresh_count++] = slot;
		plan->next->outputs[index] = slot++;
	}
	return 0;
}

static int make_fresh(struct cw_plan *plan, struct cw_error *error)
{
	const struct cw_rules *next = plan->next->rules;
	int result;

	if (!plan->fresh_count)
		return 0;
	plan->fresh = aligned_alloc(CW_CACHE_LINE, plan->fresh_count * sizeof(*plan->fresh));
	if (!plan->fresh)
		return no_memory(error);
	memset(plan->fresh, 0, plan->fresh_count * sizeof(*plan->fresh));
	for (uint32_t index = 0; index < next->count; index++) {
		struct cw_output *output = &plan->fresh[plan->fresh_made];

		if (!plan->is_new[index])
			continue;
		output->own_rule = cw_rule_copy(&next->rules[index]);
		if (!output->own_rule)
			return no_memory(error);
		plan->fresh_made++;
		result = cw_setup_output(plan->reload->outputs, output,
					 plan->slots[plan->fresh_made - 1], next, output->own_rule,
					 error);
		if (result < 0)
			return result;
		output->generation = plan->next->number;
	}
	return 0;
}

/* Checks and claims the new outputs' targets, after claiming those of the outputs that stay.
 * Refuses a second stream on standard output: the result would not be a capture file. */
static int claim_targets(struct cw_plan *plan, struct cw_claims *claims, struct cw_error *error)
{
	const struct cw_outputs *outputs = plan->reload->outputs;
	const struct cw_rules *next = plan->next->rules;
	int result = 0;

	for (uint32_t index = 0; index < next->count && result == 0; index++) {
		if (!plan->is_new[index])
			result = cw_setup_target(claims, &next->rules[index],
						 outputs->at[plan->next->outputs[index]].name,
						 &outputs->at[plan->next->outputs[index]], error);
	}
	for (uint32_t index = 0; index < plan->fresh_made && result == 0; index++) {
		struct cw_output *output = &plan->fresh[index];

		result = cw_setup_target(claims, output->rule, output->name, NULL, error);
		cw_setup_found(output, &claims->found);
		if (result == 0 && claims->is_stdout && outputs->has_used_stdout)
			result = cw_error_set(error, -EINVAL,
					      "rule %s: another output of this run has already "
					      "written to standard output",
					      output->rule->name);
		plan->has_stdout |= claims->is_stdout;
	}
	return result;
}

static int check_targets(struct cw_plan *plan, struct cw_error *error)
{
	struct cw_claims claims;
	int result;

	if (cw_claims_init(&claims, plan->reload->outputs, plan->next->rules) < 0)
		return no_memory(error);
	result = claim_targets(plan, &claims, error);
	cw_claims_fini(&claims);
	return result;
}

/* Copies the rules whose outputs leave, for the report. */
static int copy_last(struct cw_plan *plan, struct cw_error *error)
{
	const struct cw_rules *now = plan->now->rules;

	for (uint32_t index = 0; index < now->count; index++) {
		if (plan->is_kept[index])
			continue;
		plan->last[plan->last_count] = cw_rule_copy(&now->rules[index]);
		if (!plan->last[plan->last_count])
			return no_memory(error);
		plan->last_count++;
	}
	return 0;
}

int cw_plan_prepare(struct cw_plan *plan, struct cw_error *error)
{
	struct cw_reload *reload = plan->reload;
	struct cw_rules rules = {0};
	int result;

	if (reload->held_count == CW_GENERATIONS_HELD)
		return cw_error_set(error, -EBUSY,
				    "packets of %u earlier rule sets are still being written; try "
				    "again later",
				    CW_GENERATIONS_HELD);
	result = reload->run->options.load_rules(reload->run->options.context, &rules, error);
	if (result == 0 && !rules.count)
		result = cw_error_set(error, -EINVAL, "no rules, so nothing to write");
	if (result == 0)
		result = cw_rules_check(&rules, error);
	if (result == 0 && cw_generation_new(&plan->next, plan->now->number + 1, &rules,
					     reload->run->lane_count) < 0)
		result = no_memory(error);
	if (result < 0) {
		cw_rules_fini(&rules);
		return result;
	}
	plan->next->own = rules;
	plan->next->rules = &plan->next->own;
	cw_matcher_init(&plan->next->matcher, plan->next->rules,
			reload->run->options.match.prefilter, &reload->generations->filter_options);
	plan->next->matcher.verify_every = reload->run->options.match.verify_every;
	plan->next->matcher.outputs = plan->next->outputs;
	plan->next->matcher.is_cancelled = &reload->run->is_stopping;
	result = plan_init(plan, error);
	if (result == 0)
		result = find_outputs(plan, error);
	if (result == 0)
		result = make_fresh(plan, error);
	if (result == 0)
		result = check_targets(plan, error);
	if (result == 0)
		result = cw_setup_numbers(reload->outputs, plan->fresh, plan->fresh_made, error);
	if (result == 0)
		result = cw_setup_rings(reload->outputs, plan->fresh, plan->fresh_made,
					plan->before, plan->next->rules, error);
	if (result == 0)
		result = copy_last(plan, error);
	if (result == 0)
		result = cw_setup_rules(reload->run, reload->inputs, plan->next, true, error);
	return result;
}

/* In the turn: puts the new outputs in use. */
static void enter_outputs(void *context)
{
	struct cw_plan *plan = context;
	struct cw_reload *reload = plan->reload;

	for (uint32_t index = 0; index < plan->fresh_made; index++) {
		uint32_t slot = plan->slots[index];

		reload->outputs->turn.kept_bytes += plan->fresh[index].turn.kept_bytes;
		memcpy(&reload->outputs->at[slot], &plan->fresh[index], sizeof(*plan->fresh));
		if (plan->before[index] && plan->fresh[index].ring)
			plan->before[index]->ring = cw_file_ring_use(plan->fresh[index].ring);
		if (slot >= reload->outputs->count)
			reload->outputs->count = slot + 1;
	}
	reload->outputs->has_used_stdout |= plan->has_stdout;
	reload->outputs->turn.used_count += plan->fresh_made;
	plan->fresh_made = 0;
}

static void let_leave(struct cw_plan *plan)
{
	struct cw_reload *reload = plan->reload;
	uint32_t index, left = 0;

	for (index = 0; index < plan->now->rules->count; index++) {
		uint32_t slot = plan->now->outputs[index];

		if (plan->is_kept[index])
			continue;
		reload->outputs->at[slot].leaves_at = plan->next->number;
		reload->outputs->at[slot].last_rule = plan->last[left];
		plan->last[left++] = NULL;
		reload->leaving[reload->leaving_count++] = slot;
	}
}

void cw_plan_publish(struct cw_plan *plan)
{
	struct cw_reload *reload = plan->reload;

	cw_turn_hold_any(reload->turn, enter_outputs, plan);
	plan->next->matcher.is_cancelled = NULL;
	plan->next->start_ns = cw_now_ns();
	plan->now->newer = plan->next;
	/* [GEN-1] release */
	atomic_store_explicit(&reload->generations->current, plan->next, memory_order_release);
	reload->held_count++;
	let_leave(plan);
	plan->next = NULL;
	urcu_qsbr_synchronize_rcu();
}
