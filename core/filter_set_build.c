/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Building a set: one decision program for all filters, where that can be had at a price.
 *
 * What joining costs is known only by trying. So a set has a budget of entries for each of its
 * filters (struct cw_filter_budget). An attempt that goes beyond it is given up, and made again
 * with a limit on how much what is joined may grow, down to not at all, which is slower to run, but
 * small. Where that does not do either, the filters are divided, and each part has its share of the
 * budget; what is down to a few filters, or comes when all attempts together have cost several
 * times the budget, is run apart. So a build takes a bounded time, whatever the filters are.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "core/filter_set_parts.h"

#define SEQUENTIAL_MAX 3u     /* filters that are not worth joining, unless as code */
#define STRETCH_PARTS 4u      /* that a stretch is divided into */
#define STRETCH_MIN 8u        /* filters that are worth a program of their own */
#define INSTRUCTIONS_MANY 64u /* as is one of so many */
#define STRETCHES_MAX 64u     /* waiting to be built */
#define ATTEMPTS_COST 6u      /* all attempts cost at most so many times what the set may */

/* How much may grow what is joined, from attempt to attempt; 0: by the budget. */
static const float growths[] = {0, 64, 4, 1};

struct stretch {
	size_t first, count; /* of entries */
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

/* A few filters are run faster one after the other than walked; as code they are fastest. */
static bool is_worthless(const struct cw_filter_set *set, const struct cw_decision *decision)
{
	return set->options.engine == CW_ENGINE_AUTO && set->count <= SEQUENTIAL_MAX &&
	       !decision->jit;
}

/* Entries that `count` of the set's filters may cost. */
static uint64_t share_of(const struct cw_filter_set *set, size_t count)
{
	return (uint64_t)set->budget.joint_per_filter * count +
	       (uint64_t)set->budget.joint_extra * count / set->count;
}

/* Keep the program, and note of its filters how they are run. */
static void keep(struct cw_filter_set *set, struct cw_filter_program *program, const int *apart)
{
	size_t count = program->decision.filter_count, i;

	for (i = 0; i < count; i++) {
		struct cw_filter_entry *entry = &set->entries[program->first + i];

		entry->is_joint = apart[i] == 0;
		entry->apart = apart[i];
		entry->has_code = program->decision.jit != NULL;
	}
	set->programs[set->program_count++] = *program;
}

/* The filters of a program, joined: with what growth it can be had. Adds what it cost to *spent.
 * Returns as cw_decision_build. */
static int join(const struct cw_filter_set *set, struct cw_filter_program *program,
		const struct cw_filter *const *filters, size_t count, int *apart, uint64_t *spent)
{
	int result = -E2BIG;
	size_t i;

	for (i = 0; i < CW_ARRAY_COUNT(growths) && result == -E2BIG; i++) {
		if (growths[i] > program->budget.growth)
			continue;
		if (i > 0)
			program->budget.growth = growths[i];
		result = cw_decision_build(&program->decision, filters, (uint32_t)count,
					   set->options.mode, &program->budget, apart);
		*spent += program->decision.spent;
		if (count > program->budget.filters)
			break;
	}
	return result;
}

/* One program for a stretch; adds what it cost to *spent. Returns as cw_decision_build. */
static int build_program(struct cw_filter_set *set, struct stretch at, uint64_t *spent,
			 size_t *code_bytes)
{
	const struct cw_filter **filters = calloc(at.count, sizeof(*filters));
	int *apart = calloc(at.count, sizeof(*apart));
	struct cw_filter_program program = {.first = at.first, .budget = set->budget};
	struct cw_filter_program *programs =
	    realloc(set->programs, (set->program_count + 1) * sizeof(*programs));
	uint64_t share = share_of(set, at.count);
	int result = -ENOMEM;
	size_t i;

	program.ids = calloc(at.count, sizeof(*program.ids));
	if (share < program.budget.joint_max)
		program.budget.joint_max = (uint32_t)share;
	if (programs)
		set->programs = programs;
	if (filters && apart && program.ids && programs) {
		for (i = 0; i < at.count; i++) {
			filters[i] = set->entries[at.first + i].filter;
			program.ids[i] = set->entries[at.first + i].id;
		}
		result = join(set, &program, filters, at.count, apart, spent);
	}
	/* Where there can be no code the program walks. */
	if (result == 0 && set->options.engine != CW_ENGINE_WALKER) {
		cw_jit_build(&program.decision, set->budget.code_bytes - (uint32_t)*code_bytes);
		*code_bytes += program.decision.jit_bytes;
	}
	if (result == 0 && !is_worthless(set, &program.decision)) {
		keep(set, &program, apart);
	} else {
		cw_decision_fini(&program.decision);
		free(program.ids);
	}
	free(filters);
	free(apart);
	return result;
}

static bool has_long_filter(const struct cw_filter_set *set, struct stretch at)
{
	size_t i;

	for (i = 0; i < at.count; i++)
		if (set->entries[at.first + i].filter->count > INSTRUCTIONS_MANY)
			return true;
	return false;
}

/* The parts to try in place of a stretch; into `parts`, last one first. None: it is not worth it.
 */
static size_t divide(const struct cw_filter_set *set, struct stretch at,
		     struct stretch parts[STRETCH_MIN])
{
	size_t count = cw_min_size(at.count, STRETCH_PARTS), i;

	if (at.count == 1)
		return 0;
	if (at.count < STRETCH_PARTS * STRETCH_MIN && at.count <= set->budget.filters) {
		if (!has_long_filter(set, at))
			return 0;
		count = cw_min_size(at.count, STRETCH_MIN);
	}
	for (i = 0; i < count; i++) {
		size_t first = at.count * i / count, end = at.count * (i + 1) / count;

		parts[count - 1 - i] = (struct stretch){at.first + first, end - first};
	}
	return count;
}

/* Programs for all entries, in the order of ids. */
static int build_programs(struct cw_filter_set *set)
{
	struct stretch stretches[STRETCHES_MAX] = {{0, set->count}};
	struct stretch parts[STRETCH_MIN];
	uint64_t spent = 0, most = ATTEMPTS_COST * share_of(set, set->count);
	size_t waiting = 1, code_bytes = 0, count, i;

	while (waiting) {
		struct stretch at = stretches[--waiting];
		int result = -E2BIG;

		if (spent <= most)
			result = build_program(set, at, &spent, &code_bytes);
		if (result == 0)
			continue;
		if (result != -E2BIG)
			return result;
		count = spent <= most ? divide(set, at, parts) : 0;
		for (i = 0; i < at.count && count == 0; i++)
			set->entries[at.first + i].apart = -E2BIG;
		/* The last one waits lowest, so that programs are in order of ids. */
		for (i = 0; i < count; i++)
			stretches[waiting++] = parts[i];
	}
	return 0;
}

static int build_tier(struct cw_filter_set *set)
{
	size_t i;

	set->apart = calloc(set->count + 1, sizeof(struct cw_filter_entry *));
	if (!set->apart)
		return -ENOMEM;
	for (i = 0; i < set->count; i++) {
		struct cw_filter_entry *entry = &set->entries[i];

		if (entry->is_joint)
			continue;
		entry->requirement_count = cw_filter_requirements(entry->filter, entry->required);
		set->apart[set->apart_count++] = entry;
	}
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * CW_NS_PER_S + (uint64_t)now.tv_nsec;
}

void cw_filter_set_budget(struct cw_filter_set *set, const struct cw_filter_budget *budget)
{
	set->budget = *budget;
}

int cw_filter_set_build(struct cw_filter_set *set, struct cw_error *error)
{
	uint64_t start_ns = now_ns();
	int result = 0;

	if (set->is_built)
		return cw_error_set(error, -EINVAL, "a set of filters built twice");
	if (set->count)
		qsort(set->entries, set->count, sizeof(*set->entries), cw_filter_entry_order);
	free(set->ids_seen);
	set->ids_seen = NULL;
	set->is_built = true;
	if (wants_decision(set))
		result = build_programs(set);
	if (result == 0)
		result = build_tier(set);
	set->build_ns = now_ns() - start_ns;
	if (result)
		return cw_error_set(error, result, "no memory to join %zu filters", set->count);
	return 0;
}
