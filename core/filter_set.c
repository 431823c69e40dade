/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many filters, matched together. This file is the front: it keeps the filters in the order of
 * their ids, and runs them one after the other.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/filter_parts.h"

#define FILTERS_FIRST 16u /* room of a new set; it doubles */

struct entry {
	uint32_t id;
	struct cw_filter *filter;
};

struct cw_filter_set {
	struct cw_filter_set_options options;
	struct entry *entries; /* by id once built */
	size_t count;
	size_t capacity;
	uint32_t *ids_seen; /* bitmap of ids, to refuse one used twice */
	size_t ids_seen_words;
	bool is_built;
};

int cw_filter_set_new(struct cw_filter_set **set, const struct cw_filter_set_options *options,
		      struct cw_error *error)
{
	*set = calloc(1, sizeof(**set));
	if (!*set)
		return cw_error_set(error, -ENOMEM, "no memory for a set of filters");
	(*set)->options = *options;
	return 0;
}

static int grow_entries(struct cw_filter_set *set)
{
	size_t capacity = set->capacity ? 2 * set->capacity : FILTERS_FIRST;
	struct entry *entries = realloc(set->entries, capacity * sizeof(*entries));

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
	set->entries[set->count++] = (struct entry){id, filter};
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

static int by_id(const void *a, const void *b)
{
	const struct entry *left = a;
	const struct entry *right = b;

	return left->id < right->id ? -1 : left->id > right->id;
}

int cw_filter_set_build(struct cw_filter_set *set, struct cw_error *error)
{
	if (set->is_built)
		return cw_error_set(error, -EINVAL, "a set of filters built twice");
	if (set->count)
		qsort(set->entries, set->count, sizeof(*set->entries), by_id);
	free(set->ids_seen);
	set->ids_seen = NULL;
	set->is_built = true;
	return 0;
}

/* One filter after the other, by libpcap or by our interpreter. */
static size_t match_sequence(const struct cw_filter_set *set, const struct cw_packet *packet,
			     uint32_t *ids)
{
	bool is_libpcap = set->options.engine == CW_ENGINE_LIBPCAP;
	size_t found = 0;
	size_t i;

	for (i = 0; i < set->count; i++) {
		const struct cw_filter *filter = set->entries[i].filter;
		uint32_t verdict = is_libpcap ? bpf_filter(filter->program, packet->data,
							   packet->wire_len, packet->caplen)
					      : cw_filter_match(filter, packet->data,
								packet->caplen, packet->wire_len);

		if (!verdict)
			continue;
		ids[found++] = set->entries[i].id;
		if (set->options.mode == CW_FILTER_FIRST)
			break;
	}
	return found;
}

size_t cw_filter_set_match(const struct cw_filter_set *set, const struct cw_packet *packet,
			   uint32_t *ids)
{
	if (cw_unlikely(packet->flags & CW_PACKET_MALFORMED))
		return 0;
	return match_sequence(set, packet, ids);
}

size_t cw_filter_set_match_burst(const struct cw_filter_set *set, const struct cw_packet *packets,
				 size_t count, uint32_t *ids, size_t ids_capacity, uint32_t *ends)
{
	size_t ids_max =
	    set->options.mode == CW_FILTER_FIRST ? cw_min_size(set->count, 1) : set->count;
	size_t used = 0;
	size_t i;

	if (ids_max == 0) {
		memset(ends, 0, count * sizeof(*ends));
		return count;
	}
	for (i = 0; i < count && ids_capacity - used >= ids_max; i++) {
		used += cw_filter_set_match(set, &packets[i], ids + used);
		ends[i] = (uint32_t)used;
	}
	return i;
}

size_t cw_filter_set_size(const struct cw_filter_set *set)
{
	return set->count;
}

void cw_filter_set_free(struct cw_filter_set *set)
{
	size_t i;

	if (!set)
		return;
	for (i = 0; i < set->count; i++)
		cw_filter_free(set->entries[i].filter);
	free(set->entries);
	free(set->ids_seen);
	free(set);
}
