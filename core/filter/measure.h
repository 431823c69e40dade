/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets of the same filters with different engines, on the same packets in memory: whether their
 * results agree, and the cost of each. For benchmarks; one thread.
 */
#ifndef CW_CORE_FILTER_MEASURE_H
#define CW_CORE_FILTER_MEASURE_H

#include "core/filter/filter.h"

#define CW_FILTER_ROUNDS_MAX 1001u

struct cw_filter_run {
	const struct cw_filter_set *set; /* built (borrows) */
	size_t packet_count;             /* packets measured, from the first on; at least 1 */
	/* results */
	double ns, ns_min, ns_max; /* nanoseconds a packet: median, least, most of the rounds */
	double ratio;              /* median over the rounds of (ns of runs[0] / ns of this run) */
	double matches;            /* ids a packet */
	/* For tests: takes the place of matching all packets once. Adds the ids to *matches and
	 * returns the nanoseconds. NULL: the set matches. */
	double (*pass)(struct cw_filter_run *run, uint64_t *matches);
};

/*
 * Measure all runs in `rounds` rounds (1 to CW_FILTER_ROUNDS_MAX). The runs take turns within a
 * round, so that a change of the machine's speed affects all of them, and each round begins with
 * another run. In each round a run first matches its packets once without a clock, because the
 * caches hold what the run before needed, and then repeats them until that takes 20 ms. Fills the
 * runs. 0 or -ENOMEM.
 */
int cw_filter_measure(struct cw_filter_run *runs, size_t run_count, const struct cw_packet *packets,
		      uint32_t rounds);

/*
 * The number of the first `count` packets that the set matches within `ns_max` nanoseconds,
 * estimated; at least 50, or all if there are fewer. 0 if memory is short.
 */
size_t cw_filter_affordable(const struct cw_filter_set *set, const struct cw_packet *packets,
			    size_t count, double ns_max);

/* The first difference between a set and the reference. */
struct cw_filter_difference {
	bool is_different;
	bool is_missing; /* only the reference has the id; false: only the set has it */
	size_t packet;   /* index of the packet */
	uint32_t id;
};

/*
 * Match `count` packets with all sets and compare the ids of each set with those of sets[0] (fills
 * a difference for each set). 0 or -ENOMEM.
 */
int cw_filter_compare(const struct cw_filter_set *const *sets, size_t set_count,
		      const struct cw_packet *packets, size_t count,
		      struct cw_filter_difference *differences);

#endif
