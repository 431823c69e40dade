/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Divides the filters of a set into
 *
 *   decision programs   filters that can be joined (passes/passes.h), in one program; if a limit
 *			 forces it, in several, each for one stretch of ids
 *   a sequential tier   all others (loops, or over the rest of the set's budget): run one after
 *			 the other, after a check of the fields that each requires
 *
 * With few filters and no machine code, or on request, all are in the sequential tier.
 */
#include "core/filter/set.h"

#define SEQUENTIAL_MAX 3u /* filters that are not worth joining */
#define STRETCHES_MAX 64u /* stretches of ids waiting to be built */
#define FAILURES_MAX 16u  /* programs over a limit that are split in two */

struct building {
	struct cw_filter_set *set;
	struct cw_filter_budget left; /* unspent rest of the set's budget */
	uint32_t failures;
};

static bool wants_decision(const struct cw_filter_set *set)
{
	switch (set->options.engine) {
	case CW_ENGINE_AUTO:
	case CW_ENGINE_JIT:
	case CW_ENGINE_WALKER:
		return set->count > 0;
	case CW_ENGINE_SEQUENTIAL:
	case CW_ENGINE_LIBPCAP:
		break;
	}
	return false;
}

/* Whether the few filters of a walked program run faster one after the other. */
static bool is_worthless(const struct cw_filter_set *set, const struct cw_decision *decision)
{
	return set->options.engine == CW_ENGINE_AUTO && set->count <= SEQUENTIAL_MAX &&
	       !decision->jit;
}

/* Subtract a program's share from the set's budget. */
static void spend(struct building *building, const struct cw_decision *decision)
{
	struct cw_filter_budget *left = &building->left;
	uint64_t entries = decision->joint_entries;
	uint64_t extra = entries > decision->joint_free ? entries - decision->joint_free : 0;

	left->joint_extra -= extra < left->joint_extra ? (uint32_t)extra : left->joint_extra;
	left->joint_max -= entries < left->joint_max ? (uint32_t)entries : left->joint_max;
	left->code_bytes -= (uint32_t)decision->jit_bytes;
}

/* Returns as cw_decision_build. */
static int build_decision(struct building *building, struct cw_set_program *program,
			  const struct cw_bpf *bpfs, uint32_t count, int *unjoined_reasons)
{
	struct cw_decision *decision = &program->decision;
	bool wants_code = building->set->options.engine != CW_ENGINE_WALKER;
	int result, failure;

	program->options = (struct cw_build_options){.mode = building->set->options.mode,
						     .with_records = wants_code,
						     .budget = building->left};
	result = cw_decision_build(decision, bpfs, count, &program->options, unjoined_reasons);
	if (result == 0)
		result = cw_decision_add_bits(decision);
	if (result || !wants_code)
		return result;
	/* Without machine code the program is walked. */
	failure = cw_jit_build(decision, building->left.code_bytes);
	building->set->is_code_over_budget |= failure == -E2BIG;
	if (failure && decision->record_filters) {
		cw_decision_fini(decision);
		program->options.with_records = false;
		result =
		    cw_decision_build(decision, bpfs, count, &program->options, unjoined_reasons);
		if (result == 0)
			result = cw_decision_add_bits(decision);
	}
	return result;
}

/* Add a program to the set. */
static void keep(struct building *building, const struct cw_set_program *program,
		 const int *unjoined_reasons)
{
	struct cw_filter_set *set = building->set;

	for (size_t i = 0; i < program->decision.filter_count; i++) {
		struct cw_set_entry *entry = &set->entries[program->first + i];

		entry->is_joint = unjoined_reasons[i] == 0;
		entry->unjoined_reason = unjoined_reasons[i];
		entry->has_code = program->decision.jit != NULL;
	}
	spend(building, &program->decision);
	set->programs[set->program_count++] = *program;
}

/* Build one program for the entries first .. first + count. Returns as cw_decision_build. */
static int build_program(struct building *building, size_t first, size_t count)
{
	struct cw_filter_set *set = building->set;
	struct cw_bpf *bpfs = calloc(count, sizeof(*bpfs));
	int *unjoined_reasons = calloc(count, sizeof(*unjoined_reasons));
	struct cw_set_program program = {.ids = calloc(count, sizeof(*program.ids)),
					 .first = first};
	struct cw_set_program *programs =
	    realloc(set->programs, (set->program_count + 1) * sizeof(*programs));
	bool is_kept = false;
	int result = -ENOMEM;

	if (programs)
		set->programs = programs;
	if (bpfs && unjoined_reasons && program.ids && programs) {
		for (size_t i = 0; i < count; i++) {
			bpfs[i] = *cw_filter_bpf(set->entries[first + i].filter);
			program.ids[i] = set->entries[first + i].id;
		}
		result =
		    build_decision(building, &program, bpfs, (uint32_t)count, unjoined_reasons);
	}
	if (result == 0) {
		is_kept = !is_worthless(set, &program.decision);
		if (is_kept)
			keep(building, &program, unjoined_reasons);
	}
	if (!is_kept) {
		cw_decision_fini(&program.decision);
		free(program.ids);
	}
	free(bpfs);
	free(unjoined_reasons);
	return result;
}

/* Build programs for the entries first .. first + count: one, or, over a limit, one for each half,
 * up to FAILURES_MAX times. */
static int build_stretch(struct building *building, size_t first, size_t count)
{
	struct stretch {
		size_t first, count;
	} stretches[STRETCHES_MAX] = {{first, count}};
	size_t waiting = 1, i;

	while (waiting) {
		struct stretch at = stretches[--waiting];
		size_t half = at.count / 2;
		int result = -E2BIG;

		if (building->failures < FAILURES_MAX)
			result = build_program(building, at.first, at.count);
		if (result == 0)
			continue;
		if (result != -E2BIG)
			return result;
		if (building->failures++ >= FAILURES_MAX || at.count == 1) {
			for (i = 0; i < at.count; i++)
				building->set->entries[at.first + i].unjoined_reason = -E2BIG;
			continue;
		}
		/* The first half is on top of the stack: programs are built in order of ids. */
		stretches[waiting++] = (struct stretch){at.first + half, at.count - half};
		stretches[waiting++] = (struct stretch){at.first, half};
	}
	return 0;
}

static int build_tier(struct cw_filter_set *set)
{
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	set->apart = calloc(set->count + 1, sizeof(*set->apart));
	if (!set->apart)
		return -ENOMEM;
	for (size_t i = 0; i < set->count; i++) {
		struct cw_set_entry *entry = &set->entries[i];

		if (entry->is_joint)
			continue;
		entry->requirement_count =
		    cw_filter_requirements(cw_filter_bpf(entry->filter), entry->required);
		set->apart[set->apart_count++] = entry;
	}
	return 0;
}

int cw_set_build_programs(struct cw_filter_set *set)
{
	struct building building = {.set = set, .left = set->budget};
	size_t first, count;
	int result = 0;

	for (first = 0; wants_decision(set) && first < set->count && result == 0; first += count) {
		count =
		    cw_min_size(set->count - first, set->budget.filters ? set->budget.filters : 1);
		result = build_stretch(&building, first, count);
	}
	return result ? result : build_tier(set);
}
