/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a packet's events to the matching filters, each once, ascending. Most packets have one event
 * or none. A few parts are sorted in place; many parts, or a leaf that is a bitmap, go through a
 * bitmap, at about a nanosecond a filter.
 *
 * Parts that are taken back (see passes/join.c): a part counts unless an event excludes it or one
 * of its parents.
 */
#include "core/filter/engine/collect.h"

#define FEW 24u          /* most parts that are sorted in place */
#define FEW_OF_SMALL 6u  /* the same, for programs with a small bitmap */
#define SMALL_BITMAP 64u /* 32-bit words of a small bitmap */
#define DENSE 32u        /* more set bits of 64 than this: every place is visited */

struct parts {
	uint32_t at[FEW];
	uint32_t count;
	uint32_t count_max;
};

/* Add the parts of an event; false: too many, or a bitmap. */
static bool add_few(const struct cw_decision *decision, uint32_t event, struct parts *parts)
{
	const struct cw_leaf *leaf;

	if (!(event & CW_EVENT_LEAF)) {
		if (parts->count == parts->count_max)
			return false;
		parts->at[parts->count++] = event & CW_EVENT_MASK;
		return true;
	}
	leaf = &decision->leaves[event & CW_EVENT_MASK];
	if (leaf->count == 0 || parts->count + leaf->count > parts->count_max)
		return false;
	for (uint32_t i = 0; i < leaf->count; i++)
		parts->at[parts->count++] = decision->words[leaf->first + i];
	return true;
}

static bool is_in(const struct parts *parts, uint32_t part)
{
	for (uint32_t i = 0; i < parts->count; i++)
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

/* Sort `count` filters and drop duplicates; returns how many are left. */
static uint32_t sort_few(uint32_t *filters, uint32_t count)
{
	uint32_t kept = 0, i, n, shifted;

	for (i = 0; i < count; i++) {
		uint32_t filter = filters[i];

		for (n = kept; n > 0 && filters[n - 1] >= filter; n--)
			;
		if (n < kept && filters[n] == filter)
			continue;
		for (shifted = kept++; shifted > n; shifted--)
			filters[shifted] = filters[shifted - 1];
		filters[n] = filter;
	}
	return kept;
}

/* List the filters of the events in `included`, unsorted; false: too many parts. */
static bool collect_few(const struct cw_decision *decision, const uint32_t *events, uint32_t count,
			struct parts *included)
{
	uint32_t most = decision->bitmap_words > SMALL_BITMAP || count == 1 ? FEW : FEW_OF_SMALL;
	struct parts excluded;
	uint32_t kept = 0, i;

	included->count = excluded.count = 0;
	included->count_max = excluded.count_max = most;
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

/* to |= from, 64 bits at once: bitmaps have an even number of words. */
static void add_bits(uint32_t *to, const uint32_t *from, uint32_t words)
{
	uint64_t left, right;

	for (uint32_t i = 0; i < words; i += 2) {
		memcpy(&left, to + i, sizeof(left));
		memcpy(&right, from + i, sizeof(right));
		left |= right;
		memcpy(to + i, &left, sizeof(left));
	}
}

static void add_event(const struct cw_decision *decision, uint32_t event, uint32_t *bitmap)
{
	const struct cw_leaf *leaf;
	const uint32_t *words;

	if (!(event & CW_EVENT_LEAF)) {
		set_bit(bitmap, event & CW_EVENT_MASK);
		return;
	}
	leaf = &decision->leaves[event & CW_EVENT_MASK];
	words = decision->words + leaf->first;
	for (uint32_t i = 0; i < leaf->count; i++)
		set_bit(bitmap, words[i]);
	if (leaf->count == 0)
		add_bits(bitmap, words, decision->bitmap_words);
}

/* Whether the part or one of its parents is taken back. */
static bool is_excluded(const struct cw_decision *decision, const uint32_t *excluded, uint32_t part)
{
	for (; part != CW_NONE; part = decision->parents[part])
		if (get_bit(excluded, part))
			return true;
	return false;
}

/* Take parts back; the remaining pieces count for their filters. */
static void take_back(const struct cw_decision *decision, uint32_t *included,
		      const uint32_t *excluded)
{
	uint32_t i, part;

	for (i = 0; i < decision->bitmap_words; i++)
		included[i] &= ~excluded[i];
	for (i = decision->filter_count / 32; i < decision->bitmap_words; i++) {
		uint32_t word = included[i];

		for (; word; word &= word - 1) {
			part = i * 32 + (uint32_t)__builtin_ctz(word);
			if (part >= decision->filter_count &&
			    !is_excluded(decision, excluded, part))
				set_bit(included, decision->owners[part]);
		}
	}
}

/* The instruction for this is optional on x86-64. */
static inline uint32_t count_bits(uint64_t bits)
{
	bits -= bits >> 1 & 0x5555555555555555;
	bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
	bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return (uint32_t)(bits * 0x0101010101010101 >> 56);
}

/* Write the ids of the lowest four bits, arbitrary ids for missing bits; returns the other bits. */
static inline uint64_t list_four(uint64_t bits, const uint32_t *names, uint32_t *ids)
{
	for (uint32_t n = 0; n < 4; n++) {
		ids[n] = names[(uint32_t)__builtin_ctzll(bits | UINT64_C(1) << 63)];
		bits &= bits - 1;
	}
	return bits;
}

/* List the ids of 32 bits, many of them set: a full word is copied; for others every place is
 * written, without a branch. */
static inline uint32_t list_dense(uint32_t word, const uint32_t *names, uint32_t *ids)
{
	uint32_t found = 0, n;

	if (word == UINT32_MAX) {
		memcpy(ids, names, 32 * sizeof(*ids));
		return 32;
	}
	for (n = 0; n < 32; n++) {
		ids[found] = names[n];
		found += word >> n & 1;
	}
	return found;
}

/* List the ids of 64 bits, ascending; returns their number. Iteration counts are unpredictable, so
 * few bits are taken four at once. */
static inline uint32_t list_pair(uint64_t bits, const uint32_t *names, uint32_t *ids)
{
	uint32_t count, n;

	if (bits == UINT64_MAX) {
		memcpy(ids, names, 32 * sizeof(*ids)); /* halves are inlined */
		memcpy(ids + 32, names + 32, 32 * sizeof(*ids));
		return 64;
	}
	count = count_bits(bits);
	if (count > DENSE) {
		n = list_dense((uint32_t)bits, names, ids);
		list_dense((uint32_t)(bits >> 32), names + 32, ids + n);
		return count;
	}
	for (n = 0; n < count; n += 4)
		bits = list_four(bits, names, ids + n);
	return count;
}

static inline uint64_t pair_of(const uint32_t *bitmap, uint32_t i)
{
	return bitmap[2 * (size_t)i] | (uint64_t)bitmap[2 * (size_t)i + 1] << 32;
}

/* List the ids of the bits, ascending. `ids` has room for all 64 of each pair but the last. */
static size_t list_bits(const uint32_t *bitmap, const uint32_t *ids_of, uint32_t bit_count,
			uint32_t *ids)
{
	uint32_t pairs = bit_count / 64, rest = bit_count % 64, i;
	size_t found = 0;
	uint64_t bits;

	for (i = 0; i < pairs; i++) {
		bits = pair_of(bitmap, i);
		if (bits)
			found += list_pair(bits, ids_of + 64 * (size_t)i, ids + found);
	}
	if (rest == 0)
		return found;
	bits = pair_of(bitmap, i) & ((UINT64_C(1) << rest) - 1);
	if (rest >= 32) {
		found += list_dense((uint32_t)bits, ids_of + 64 * (size_t)i, ids + found);
		bits &= ~(uint64_t)UINT32_MAX;
	}
	for (; bits; bits &= bits - 1)
		ids[found++] = ids_of[64 * (size_t)i + (size_t)__builtin_ctzll(bits)];
	return found;
}

static size_t first_bit(const uint32_t *bitmap, const uint32_t *ids_of, uint32_t bit_count,
			uint32_t *ids)
{
	uint32_t i, bit;

	for (i = 0; i < (bit_count + 31) / 32; i++) {
		if (!bitmap[i])
			continue;
		bit = i * 32 + (uint32_t)__builtin_ctz(bitmap[i]);
		if (bit >= bit_count)
			break;
		ids[0] = ids_of[bit];
		return 1;
	}
	return 0;
}

/* Not inline, because the bitmaps are 16 KB of stack. */
static __attribute__((noinline)) size_t collect_many(const struct cw_decision *decision,
						     const uint32_t *events, uint32_t count,
						     enum cw_filter_mode mode,
						     const uint32_t *ids_of, uint32_t *ids)
{
	uint32_t included[CW_PARTS_MAX / 32], excluded[CW_PARTS_MAX / 32];

	memset(included, 0, decision->bitmap_words * sizeof(*included));
	if (decision->owners)
		memset(excluded, 0, decision->bitmap_words * sizeof(*excluded));
	for (uint32_t i = 0; i < count; i++)
		add_event(decision, events[i], events[i] & CW_EVENT_EXCLUDE ? excluded : included);
	if (decision->owners)
		take_back(decision, included, excluded);
	if (mode == CW_FILTER_FIRST)
		return first_bit(included, ids_of, decision->filter_count, ids);
	return list_bits(included, ids_of, decision->filter_count, ids);
}

size_t cw_collect(const struct cw_decision *decision, const uint32_t *events, uint32_t count,
		  enum cw_filter_mode mode, const uint32_t *ids_of, uint32_t *ids)
{
	struct parts parts;

	if (count == 0)
		return 0;
	/* Without owners, the part of a single event is a filter. */
	if (count == 1 && events[0] <= CW_EVENT_PLAIN_MAX && !decision->owners) {
		ids[0] = ids_of[events[0] & CW_EVENT_MASK];
		return 1;
	}
	if (!collect_few(decision, events, count, &parts))
		return collect_many(decision, events, count, mode, ids_of, ids);
	if (count > 1 || decision->owners) /* one leaf is in order */
		parts.count = sort_few(parts.at, parts.count);
	if (mode == CW_FILTER_FIRST)
		parts.count = cw_min_u32(parts.count, 1);
	for (uint32_t i = 0; i < parts.count; i++)
		ids[i] = ids_of[parts.at[i]];
	return parts.count;
}

/* Not inline, because the events are 8 KB of stack. */
__attribute__((noinline)) uint64_t cw_walk_bits(const struct cw_decision *decision,
						const struct cw_packet *packet)
{
	uint32_t events[CW_EVENTS_ROOM];
	uint32_t count = cw_walk(decision, packet->data, packet->caplen, packet->wire_len, events);
	uint64_t bits = 0;

	for (uint32_t i = 0; i < count; i++)
		bits |= cw_event_bits(decision, events[i]);
	return bits;
}

size_t cw_collect_bits(uint64_t bits, const uint32_t *ids_of, uint32_t filter_count, uint32_t *ids)
{
	const uint32_t bitmap[2] = {(uint32_t)bits, (uint32_t)(bits >> 32)};

	return list_bits(bitmap, ids_of, filter_count, ids);
}
