/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the events of a packet to the filters that match: each once, ascending. Most packets have
 * one event or none. A few parts are sorted as they are; many, or a leaf that is a bitmap, go
 * through a bitmap, at a cost of about a nanosecond a filter.
 *
 * Parts that are taken back (see filter_join.c): a part counts unless it, or a part that it comes
 * from, is excluded by any event.
 */
#include "core/filter_passes.h"

#define FEW 24u /* parts that are sorted in place */

struct parts {
	uint32_t at[FEW];
	uint32_t count;
};

/* Add the parts of an event; false when there are too many or they are a bitmap. */
static bool add_few(const struct cw_decision *decision, uint32_t event, struct parts *parts)
{
	const struct cw_leaf *leaf;
	uint32_t i;

	if (!(event & CW_EVENT_LEAF)) {
		if (parts->count == FEW)
			return false;
		parts->at[parts->count++] = event & CW_EVENT_MASK;
		return true;
	}
	leaf = &decision->leaves[event & CW_EVENT_MASK];
	if (leaf->count == 0 || parts->count + leaf->count > FEW)
		return false;
	for (i = 0; i < leaf->count; i++)
		parts->at[parts->count++] = decision->words[leaf->first + i];
	return true;
}

static bool is_in(const struct parts *parts, uint32_t part)
{
	uint32_t i;

	for (i = 0; i < parts->count; i++)
		if (parts->at[i] == part)
			return true;
	return false;
}

static bool is_excluded_few(const struct cw_decision *decision, const struct parts *excluded,
			    uint32_t part)
{
	for (; part != CW_NONE; part = decision->parents[part])
		if (is_in(excluded, part))
			return true;
	return false;
}

/* Sort `count` filters, drop doubles; returns how many are left. */
static uint32_t sort_few(uint32_t *filters, uint32_t count)
{
	uint32_t kept = 0, i, n;

	for (i = 0; i < count; i++) {
		uint32_t filter = filters[i];

		for (n = kept; n > 0 && filters[n - 1] > filter; n--)
			;
		if (n > 0 && filters[n - 1] == filter)
			continue;
		memmove(&filters[n + 1], &filters[n], (kept - n) * sizeof(*filters));
		filters[n] = filter;
		kept++;
	}
	return kept;
}

/* false when there are too many for this way. */
static bool collect_few(const struct cw_decision *decision, const uint32_t *events, uint32_t count,
			struct parts *included)
{
	struct parts excluded = {.count = 0};
	uint32_t kept = 0, i;

	included->count = 0;
	for (i = 0; i < count; i++)
		if (!add_few(decision, events[i],
			     events[i] & CW_EVENT_EXCLUDE ? &excluded : included))
			return false;
	if (!decision->owners)
		return true;
	for (i = 0; i < included->count; i++)
		if (!excluded.count || !is_excluded_few(decision, &excluded, included->at[i]))
			included->at[kept++] = decision->owners[included->at[i]];
	included->count = kept;
	return true;
}

/* ---- bitmaps of parts ---- */

static void set_bit(uint32_t *bitmap, uint32_t bit)
{
	bitmap[bit / 32] |= UINT32_C(1) << bit % 32;
}

static bool get_bit(const uint32_t *bitmap, uint32_t bit)
{
	return bitmap[bit / 32] >> bit % 32 & 1;
}

static void add_event(const struct cw_decision *decision, uint32_t event, uint32_t *bitmap)
{
	const struct cw_leaf *leaf;
	const uint32_t *words;
	uint32_t i;

	if (!(event & CW_EVENT_LEAF)) {
		set_bit(bitmap, event & CW_EVENT_MASK);
		return;
	}
	leaf = &decision->leaves[event & CW_EVENT_MASK];
	words = decision->words + leaf->first;
	for (i = 0; i < leaf->count; i++)
		set_bit(bitmap, words[i]);
	for (i = 0; leaf->count == 0 && i < decision->bitmap_words; i++)
		bitmap[i] |= words[i];
}

/* Take parts back; parents come before the parts made from them. What is left of the pieces counts
 * for their filters. */
static void take_back(const struct cw_decision *decision, uint32_t *included, uint32_t *excluded)
{
	uint32_t part, i;

	for (part = decision->filter_count; part < decision->part_count; part++)
		if (get_bit(excluded, decision->parents[part]))
			set_bit(excluded, part);
	for (i = 0; i < decision->bitmap_words; i++)
		included[i] &= ~excluded[i];
	for (part = decision->filter_count; part < decision->part_count; part++)
		if (get_bit(included, part))
			set_bit(included, decision->owners[part]);
}

static size_t list_bits(const uint32_t *bitmap, uint32_t bit_count, enum cw_filter_mode mode,
			uint32_t *numbers)
{
	size_t found = 0;
	uint32_t i;

	for (i = 0; i < (bit_count + 31) / 32; i++) {
		uint32_t word = bitmap[i];

		if (i == bit_count / 32)
			word &= (UINT32_C(1) << bit_count % 32) - 1;
		while (word) {
			numbers[found++] = i * 32 + (uint32_t)__builtin_ctz(word);
			if (mode == CW_FILTER_FIRST)
				return found;
			word &= word - 1;
		}
	}
	return found;
}

/* Out of line: its bitmaps are 16 KB of stack. */
static __attribute__((noinline)) size_t collect_many(const struct cw_decision *decision,
						     const uint32_t *events, uint32_t count,
						     enum cw_filter_mode mode, uint32_t *numbers)
{
	uint32_t included[CW_PARTS_MAX / 32], excluded[CW_PARTS_MAX / 32];
	bool has_excluded = false;
	uint32_t i;

	memset(included, 0, decision->bitmap_words * sizeof(*included));
	if (decision->owners)
		memset(excluded, 0, decision->bitmap_words * sizeof(*excluded));
	for (i = 0; i < count; i++) {
		bool is_exclude = events[i] & CW_EVENT_EXCLUDE;

		has_excluded |= is_exclude;
		add_event(decision, events[i], is_exclude ? excluded : included);
	}
	if (has_excluded || decision->part_count > decision->filter_count)
		take_back(decision, included, excluded);
	return list_bits(included, decision->filter_count, mode, numbers);
}

size_t cw_collect(const struct cw_decision *decision, const uint32_t *events, uint32_t count,
		  enum cw_filter_mode mode, uint32_t *numbers)
{
	struct parts parts;

	if (count == 0)
		return 0;
	/* One event: a part of a program where nothing is taken back is a filter. */
	if (count == 1 && events[0] < CW_EVENT_LEAF && !decision->owners) {
		numbers[0] = events[0];
		return 1;
	}
	if (!collect_few(decision, events, count, &parts))
		return collect_many(decision, events, count, mode, numbers);
	parts.count = sort_few(parts.at, parts.count);
	if (mode == CW_FILTER_FIRST)
		parts.count = cw_min_u32(parts.count, 1);
	memcpy(numbers, parts.at, parts.count * sizeof(*numbers));
	return parts.count;
}
