/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "core/filter/measure.h"
#include "core/base/clock.h"

#define BURST 64u
#define TRIAL_PACKETS 50u
#define ROUND_NS_MIN 2e7 /* least length of a round; shorter ones measure who was scheduled */

/* Room for the ids of a burst. */
struct scratch {
	uint32_t *ids;
	size_t capacity;
	uint32_t ends[BURST];
};

static int scratch_init(struct scratch *scratch, size_t set_size)
{
	scratch->capacity = (set_size ? set_size : 1) * BURST;
	scratch->ids = calloc(scratch->capacity, sizeof(*scratch->ids));
	return scratch->ids ? 0 : -ENOMEM;
}

/* Match all `count` packets; returns the nanoseconds and adds the ids found to *matches. */
static double run_once(const struct cw_filter_set *set, const struct cw_packet *packets,
		       size_t count, struct scratch *scratch, uint64_t *matches)
{
	uint64_t start_ns = cw_now_ns();
	size_t i = 0;

	while (i < count) {
		size_t done =
		    cw_filter_set_match_burst(set, packets + i, cw_min_size(BURST, count - i),
					      scratch->ids, scratch->capacity, scratch->ends);

		*matches += scratch->ends[done - 1];
		i += done;
	}
	return (double)(cw_now_ns() - start_ns);
}

/* Matches the run's packets once; returns as run_once. */
static double run_pass(struct cw_filter_run *run, const struct cw_packet *packets,
		       struct scratch *scratch, uint64_t *matches)
{
	if (run->pass)
		return run->pass(run, matches);
	return run_once(run->set, packets, run->packet_count, scratch, matches);
}

/* Measures a run in one round; returns nanoseconds a packet. */
static double measure_run(struct cw_filter_run *run, const struct cw_packet *packets,
			  struct scratch *scratch)
{
	uint64_t matches = 0;
	double ns = 0, count = 0;

	run_pass(run, packets, scratch, &matches); /* fills the caches */
	matches = 0;
	do {
		ns += run_pass(run, packets, scratch, &matches);
		count += (double)run->packet_count;
	} while (ns < ROUND_NS_MIN);
	run->matches = (double)matches / count;
	return ns / count;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

static size_t largest_set(const struct cw_filter_run *runs, size_t run_count)
{
	size_t largest = 0, i;

	for (i = 0; i < run_count; i++)
		if (cw_filter_set_size(runs[i].set) > largest)
			largest = cw_filter_set_size(runs[i].set);
	return largest;
}

/* The median of sorted numbers. */
static double middle(const double *sorted, uint32_t count)
{
	return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

/* Fill the run's results; sorts both arrays. */
static void sum_up(struct cw_filter_run *run, double *times, double *ratios, uint32_t rounds)
{
	qsort(times, rounds, sizeof(*times), by_value);
	qsort(ratios, rounds, sizeof(*ratios), by_value);
	run->ns = middle(times, rounds);
	run->ns_min = times[0];
	run->ns_max = times[rounds - 1];
	run->ratio = middle(ratios, rounds);
}

int cw_filter_measure(struct cw_filter_run *runs, size_t run_count, const struct cw_packet *packets,
		      uint32_t rounds)
{
	double *times = calloc(run_count * rounds, sizeof(*times));
	double *ratios = calloc(run_count * rounds, sizeof(*ratios));
	struct scratch scratch = {0};
	int result = scratch_init(&scratch, largest_set(runs, run_count));

	if (!times || !ratios)
		result = -ENOMEM;
	for (uint32_t round = 0; round < rounds && result == 0; round++) {
		for (size_t turn = 0; turn < run_count; turn++) {
			size_t i = (turn + round) % run_count;

			times[i * rounds + round] = measure_run(&runs[i], packets, &scratch);
		}
		for (size_t i = 0; i < run_count; i++)
			ratios[i * rounds + round] = times[round] / times[i * rounds + round];
	}
	for (size_t i = 0; i < run_count && result == 0; i++)
		sum_up(&runs[i], times + i * rounds, ratios + i * rounds, rounds);
	free(times);
	free(ratios);
	free(scratch.ids);
	return result;
}

size_t cw_filter_affordable(const struct cw_filter_set *set, const struct cw_packet *packets,
			    size_t count, double ns_max)
{
	size_t trial = cw_min_size(count, TRIAL_PACKETS);
	struct scratch scratch;
	uint64_t matches = 0;
	double ns;

	if (trial == 0 || scratch_init(&scratch, cw_filter_set_size(set)))
		return 0;
	ns = run_once(set, packets, trial, &scratch, &matches);
	free(scratch.ids);
	if (ns * (double)count / (double)trial <= ns_max)
		return count;
	return cw_min_size(count, trial + (size_t)(ns_max / ns * (double)trial));
}

/* Note the first id that only one of two ascending lists has. */
static void compare_ids(const uint32_t *wanted, size_t wanted_count, const uint32_t *found,
			size_t found_count, size_t packet, struct cw_filter_difference *difference)
{
	size_t i = 0;

	while (i < wanted_count && i < found_count && wanted[i] == found[i])
		i++;
	if (i == wanted_count && i == found_count)
		return;
	difference->is_different = true;
	difference->packet = packet;
	difference->is_missing = i == found_count || (i < wanted_count && wanted[i] < found[i]);
	difference->id = difference->is_missing ? wanted[i] : found[i];
}

int cw_filter_compare(const struct cw_filter_set *const *sets, size_t set_count,
		      const struct cw_packet *packets, size_t count,
		      struct cw_filter_difference *differences)
{
	struct scratch wanted = {0}, found = {0};
	int result = scratch_init(&wanted, cw_filter_set_size(sets[0]));
	size_t i, n, done;

	if (result == 0)
		result = scratch_init(&found, cw_filter_set_size(sets[0]));
	memset(differences, 0, set_count * sizeof(*differences));
	for (i = 0; i < count && result == 0; i += done) {
		done =
		    cw_filter_set_match_burst(sets[0], packets + i, cw_min_size(BURST, count - i),
					      wanted.ids, wanted.capacity, wanted.ends);
		for (n = 1; n < set_count; n++) {
			size_t at, wanted_start = 0, found_start = 0;

			/* With room for all ids of a burst, no set stops before its end. */
			cw_filter_set_match_burst(sets[n], packets + i, done, found.ids,
						  found.capacity, found.ends);
			for (at = 0; at < done && !differences[n].is_different; at++) {
				compare_ids(wanted.ids + wanted_start,
					    wanted.ends[at] - wanted_start, found.ids + found_start,
					    found.ends[at] - found_start, i + at, &differences[n]);
				wanted_start = wanted.ends[at];
				found_start = found.ends[at];
			}
		}
	}
	free(wanted.ids);
	free(found.ids);
	return result;
}
