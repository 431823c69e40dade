/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many filters, matched together: the front of the engines. Filters are divided into
 *
 *   decision programs   all that can be joined (filter_passes.h), in one program; in several, for
 *			 one stretch of ids each, where a budget forces it
 *   a sequential tier   what cannot (loops, too large): run one after the other, each behind the
 *			 fields that it requires
 *
 * and what the two find is merged in the order of ids. With few filters and no machine code, or
 * when asked to, all are in the sequential tier. This file is the set's life, and what it says of
 * itself; filter_set_build.c divides and builds, filter_set_match.c matches.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/filter_set_parts.h"

#define FILTERS_FIRST 16u /* room of a new set; it doubles */

int cw_filter_set_new(struct cw_filter_set **set, const struct cw_filter_set_options *options,
		      struct cw_error *error)
{
	*set = calloc(1, sizeof(**set));
	if (!*set)
		return cw_error_set(error, -ENOMEM, "no memory for a set of filters");
	(*set)->options = *options;
	(*set)->budget = cw_filter_budget_default;
	return 0;
}

static int grow_entries(struct cw_filter_set *set)
{
	size_t capacity = set->capacity ? 2 * set->capacity : FILTERS_FIRST;
	struct cw_filter_entry *entries = realloc(set->entries, capacity * sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	set->entries = entries;
	set->capacity = capacity;
	return 0;
}

static int grow_ids(struct cw_filter_set *set, uint32_t id)
{
	size_t words = set->ids_seen_words ? set->ids_seen_words : FILTERS_FIRST;
	uint32_t *seen;

	while (words <= id / 32)
		words *= 2;
	seen = realloc(set->ids_seen, words * sizeof(*seen));
	if (!seen)
		return -ENOMEM;
	memset(seen + set->ids_seen_words, 0, (words - set->ids_seen_words) * sizeof(*seen));
	set->ids_seen = seen;
	set->ids_seen_words = words;
	return 0;
}

/* Whether `id` may be added; makes room for it. */
static int reserve(struct cw_filter_set *set, uint32_t id, struct cw_error *error)
{
	if (set->is_built)
		return cw_error_set(error, -EINVAL, "a filter added to a set that is built");
	if (id > CW_FILTER_ID_MAX)
		return cw_error_set(error, -EINVAL, "filter id %u; at most %u are allowed", id,
				    CW_FILTER_ID_MAX);
	if ((id / 32 >= set->ids_seen_words && grow_ids(set, id)) ||
	    (set->count == set->capacity && grow_entries(set)))
		return cw_error_set(error, -ENOMEM, "no memory for a set of filters");
	if (set->ids_seen[id / 32] >> (id % 32) & 1)
		return cw_error_set(error, -EEXIST, "filter id %u is used twice", id);
	return 0;
}

static void append(struct cw_filter_set *set, uint32_t id, struct cw_filter *filter)
{
	set->entries[set->count++] = (struct cw_filter_entry){.id = id, .filter = filter};
	set->ids_seen[id / 32] |= UINT32_C(1) << (id % 32);
}

int cw_filter_set_add(struct cw_filter_set *set, uint32_t id, const char *expression,
		      struct cw_error *error)
{
	struct cw_filter *filter;
	int result = reserve(set, id, error);

	if (result)
		return result;
	result = cw_filter_compile(&filter, expression, &set->options.filter, error);
	if (result < 0)
		return result;
	append(set, id, filter);
	return result;
}

int cw_filter_set_add_filter(struct cw_filter_set *set, uint32_t id, struct cw_filter *filter,
			     struct cw_error *error)
{
	int result = reserve(set, id, error);

	if (result)
		return result;
	append(set, id, filter);
	return 0;
}

size_t cw_filter_set_size(const struct cw_filter_set *set)
{
	return set->count;
}

static enum cw_filter_engine engine_of(const struct cw_filter_set *set,
				       const struct cw_filter_entry *entry)
{
	if (entry->is_joint)
		return entry->has_code ? CW_ENGINE_JIT : CW_ENGINE_WALKER;
	return set->options.engine == CW_ENGINE_LIBPCAP ? CW_ENGINE_LIBPCAP : CW_ENGINE_SEQUENTIAL;
}

enum cw_filter_engine cw_filter_set_engine(const struct cw_filter_set *set, uint32_t id)
{
	struct cw_filter_entry wanted = {.id = id};
	const struct cw_filter_entry *entry =
	    set->count
		? bsearch(&wanted, set->entries, set->count, sizeof(wanted), cw_filter_entry_order)
		: NULL;

	return entry ? engine_of(set, entry) : CW_ENGINE_AUTO;
}

const struct cw_filter *cw_filter_set_at(const struct cw_filter_set *set, size_t index,
					 uint32_t *id)
{
	if (index >= set->count)
		return NULL;
	*id = set->entries[index].id;
	return set->entries[index].filter;
}

int cw_filter_set_decision(const struct cw_filter_set *set, size_t index,
			   struct cw_decision *decision, const uint32_t **ids)
{
	const struct cw_filter_program *program;
	const struct cw_filter **filters;
	int *apart;
	uint32_t count, i;
	int result = -ENOMEM;

	if (index >= set->program_count)
		return -ENOENT;
	program = &set->programs[index];
	*ids = program->ids;
	count = program->decision.filter_count;
	filters = calloc(count, sizeof(*filters));
	apart = calloc(count, sizeof(*apart));
	for (i = 0; filters && i < count; i++)
		filters[i] = set->entries[program->first + i].filter;
	if (filters && apart)
		result = cw_decision_build(decision, filters, count, set->options.mode,
					   &program->budget, apart);
	free(filters);
	free(apart);
	return result;
}

const char *cw_filter_engine_name(enum cw_filter_engine engine)
{
	static const char *const names[] = {
	    [CW_ENGINE_AUTO] = "auto",       [CW_ENGINE_JIT] = "jit",
	    [CW_ENGINE_WALKER] = "walker",   [CW_ENGINE_SEQUENTIAL] = "sequential",
	    [CW_ENGINE_LIBPCAP] = "libpcap",
	};

	return names[engine];
}

void cw_filter_set_stats(const struct cw_filter_set *set, struct cw_filter_set_stats *stats)
{
	size_t i;

	*stats = (struct cw_filter_set_stats){
	    .engine =
		set->options.engine == CW_ENGINE_LIBPCAP ? CW_ENGINE_LIBPCAP : CW_ENGINE_SEQUENTIAL,
	    .joint_count = set->count - set->apart_count,
	    .apart_count = set->apart_count,
	    .program_count = set->program_count,
	    .build_ns = set->build_ns,
	};
	stats->filter_bytes = set->count * (sizeof(*set->entries) + sizeof(*set->apart)) +
			      set->program_count * sizeof(*set->programs);
	for (i = 0; i < set->count; i++) {
		const struct cw_filter *filter = set->entries[i].filter;

		stats->filter_bytes +=
		    sizeof(*filter) +
		    filter->count * (sizeof(*filter->program) + sizeof(*filter->ops)) +
		    strlen(filter->expression) + 1;
		stats->loop_count += set->entries[i].apart == -ELOOP;
		stats->over_budget_count += set->entries[i].apart == -E2BIG;
		if (set->entries[i].is_joint)
			stats->engine = engine_of(set, &set->entries[i]);
	}
	for (i = 0; i < set->program_count; i++) {
		stats->filter_bytes += set->programs[i].decision.filter_count * sizeof(uint32_t);
		stats->step_count += set->programs[i].decision.step_count;
		stats->code_bytes += set->programs[i].decision.jit_bytes;
		stats->bytes += cw_decision_bytes(&set->programs[i].decision);
	}
}

void cw_filter_set_free(struct cw_filter_set *set)
{
	size_t i;

	if (!set)
		return;
	for (i = 0; i < set->program_count; i++) {
		cw_decision_fini(&set->programs[i].decision);
		free(set->programs[i].ids);
	}
	for (i = 0; i < set->count; i++)
		cw_filter_free(set->entries[i].filter);
	free(set->programs);
	free(set->apart);
	free(set->entries);
	free(set->ids_seen);
	free(set);
}
