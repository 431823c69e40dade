/* SPDX-License-Identifier: BSD-3-Clause */
/* What joining sorts, which is half of its work: sets of pairs, and where children change. */
#include "core/filter_join.h"

/* Where the rising run that begins at `first` ends. */
static uint32_t run_end(const uint64_t *pairs, uint32_t first, uint32_t count)
{
	uint32_t end = first + 1;

	while (end < count && pairs[end - 1] <= pairs[end])
		end++;
	return end < count ? end : count;
}

/* Merge neighbouring runs of `from` into `to`; how many runs there are then. */
static uint32_t merge_runs(const uint64_t *from, uint64_t *to, uint32_t count)
{
	uint32_t first, runs = 0;

	for (first = 0; first < count; runs++) {
		uint32_t middle = run_end(from, first, count);
		uint32_t end = middle < count ? run_end(from, middle, count) : count;
		uint32_t left = first, right = middle;

		while (left < middle && right < end) {
			bool is_left = from[left] <= from[right];

			to[first++] = is_left ? from[left] : from[right];
			left += is_left;
			right += !is_left;
		}
		while (left < middle)
			to[first++] = from[left++];
		while (right < end)
			to[first++] = from[right++];
	}
	return runs;
}

/*
 * Sets are gathered from sorted ones, so they come sorted or as a few rising runs: those are
 * merged.
 */
void cw_join_sort(struct cw_join *join, uint64_t *pairs, uint32_t count)
{
	uint64_t *from = pairs, *to;
	uint32_t i, n;

	if (count > 24) {
		if (run_end(pairs, 0, count) == count)
			return;
		join->spare.count = 0;
		if (CW_GROW(&join->spare, count)) {
			cw_build_fail(join->build, -ENOMEM);
			return;
		}
		to = join->spare.at;
		while (merge_runs(from, to, count) > 1) {
			uint64_t *merged = to;

			to = from;
			from = merged;
		}
		if (to != pairs)
			memcpy(pairs, to, count * sizeof(*pairs));
		return;
	}
	for (i = 1; i < count; i++) {
		uint64_t pair = pairs[i];

		for (n = i; n > 0 && pairs[n - 1] > pair; n--)
			pairs[n] = pairs[n - 1];
		pairs[n] = pair;
	}
}

/* One pass of cw_join_sort_events: by the byte at `shift`. False: all have the same, nothing was
 * done. */
static bool scatter(const struct event *from, struct event *to, uint32_t count, uint32_t shift)
{
	uint32_t places[256] = {0};
	uint32_t sum = 0, i;

	for (i = 0; i < count; i++)
		places[from[i].start >> shift & 255]++;
	if (places[from[0].start >> shift & 255] == count)
		return false;
	for (i = 0; i < 256; i++) {
		uint32_t here = places[i];

		places[i] = sum;
		sum += here;
	}
	for (i = 0; i < count; i++)
		to[places[from[i].start >> shift & 255]++] = from[i];
	return true;
}

/* By their starts: byte by byte, or, if they are few, by insertion. */
void cw_join_sort_events(struct cw_join *join)
{
	struct events *events = &join->events, *spare = &join->spare_events;
	uint32_t shift, i, n;

	if (events->count <= 64) {
		for (i = 1; i < events->count; i++) {
			struct event event = events->at[i];

			for (n = i; n > 0 && events->at[n - 1].start > event.start; n--)
				events->at[n] = events->at[n - 1];
			events->at[n] = event;
		}
		return;
	}
	spare->count = 0;
	if (CW_GROW(spare, events->count)) {
		cw_build_fail(join->build, -ENOMEM);
		return;
	}
	for (shift = 0; shift < 32; shift += 8) {
		struct events sorted = *spare;

		if (!scatter(events->at, spare->at, events->count, shift))
			continue;
		sorted.count = events->count;
		*spare = *events;
		*events = sorted;
	}
}
