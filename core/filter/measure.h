/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets of the same filters, for different engines, on the same packets in memory: whether they
 * agree, and what each costs. For benchmarks; one thread.
 */
#ifndef CW_CORE_FILTER_MEASURE_H
#define CW_CORE_FILTER_MEASURE_H

#include "core/filter/filter.h"

#define CW_FILTER_ROUNDS_MAX 1001u

struct cw_filter_run {
	const struct cw_filter_set *set; /* built (borrows) */
	size_t packet_count;             /* measured on so many, the first ones; at least 1 */
	/* what was found; nanoseconds a packet: the median of the rounds, and their spread */
	double ns, ns_min, ns_max;
	double ratio;   /* median over the rounds of (ns of runs[0] / its own) */
	double matches; /* ids a packet */
};

/*
 * Measure all runs, `rounds` (1 to CW_FILTER_ROUNDS_MAX) times, taking turns within a round so that
 * a machine that changes its speed changes it for all; in each round a run goes through its packets
 * once, or more often until that takes a millisecond. Fills the runs. 0 or -ENOMEM.
 */
int cw_filter_measure(struct cw_filter_run *runs, size_t run_count, const struct cw_packet *packets,
		      uint32_t rounds);

/*
 * How many of the first `count` packets the set of runs that are not to take longer than `ns_max`
 * nanoseconds can be given: at least 50, where there are so many. 0 when there is no memory.
 */
size_t cw_filter_affordable(const struct cw_filter_set *set, const struct cw_packet *packets,
			    size_t count, double ns_max);

/* Where a set first differs from the reference. */
struct cw_filter_difference {
	bool is_different;
	bool is_missing; /* the reference has the id and the set has not, not the other way round */
	size_t packet;   /* index */
	uint32_t id;
};

/*
 * Match `count` packets with all sets and compare each one's ids with those of sets[0] (fills a
 * difference for each set; that of sets[0] is none). 0 or -ENOMEM.
 */
int cw_filter_compare(const struct cw_filter_set *const *sets, size_t set_count,
		      const struct cw_packet *packets, size_t count,
		      struct cw_filter_difference *differences);

#endif
