/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The results of a benchmark as text or JSON. A row is a program with its parameters and one sample
 * a round: wall time, CPU time and cycles, each divided by the number of packets. The output shows
 * medians, and the spread of the wall time.
 */
#ifndef CW_TOOLS_BENCH_TABLE_H
#define CW_TOOLS_BENCH_TABLE_H

#include <jansson.h>
#include <stdbool.h>

#include "bench/stages/stage.h"

struct cw_bench_row {
	const char *program; /* "capweir", or its competitor */
	const char *traffic; /* name of a profile or file; NULL: see packet_bytes */
	uint32_t packet_bytes;
	uint32_t threads;    /* 0: not a parameter of this benchmark */
	uint32_t rule_count; /* 0: not a parameter of this benchmark */
	/* of the last round */
	uint64_t packets, bytes;         /* packets received, their captured bytes */
	uint64_t written, written_bytes; /* records written, their captured bytes */
	/* of all rounds */
	uint64_t dropped;      /* packets not received, for any cause */
	uint64_t offered;      /* packets sent; 0: unknown */
	uint64_t told_dropped; /* packets dropped as the tool reports */
	uint64_t unwritten;    /* records lost by the tool */
	bool is_left_out;      /* not measurable here; reported already */
	double limit_ns;       /* least possible ns/packet on this machine; 0: unknown */
	/* internal */
	uint32_t sample_count;
	double *wall_ns, *cpu_ns, *cycles;
};

struct cw_bench_table {
	const char *bench;   /* the benchmark's name */
	const char *unit;    /* "packet" or "item" */
	const char *threads; /* meaning of a row's threads: "threads" or "queues" */
	const char *limit;   /* definition of the limit, as text */
	bool is_cpu_limit;   /* the limit is CPU time, not wall time */
	bool has_seed;       /* the traffic was generated */
	uint64_t seed;       /* of the generated traffic */
	uint32_t rounds;
	json_t *limits; /* limits of this machine; owned, may be NULL */
	struct cw_bench_row *rows;
	uint32_t row_count;
};

/* Adds a row with room for the table's rounds. The pointer is valid until the next row is added.
 * Returns NULL after an error message. */
struct cw_bench_row *cw_bench_table_add(struct cw_bench_table *table);

/* Returns the row that is measured at `turn` of a round: each round begins with another row. */
static inline uint32_t cw_bench_table_turn(const struct cw_bench_table *table, uint64_t round,
					   uint32_t turn)
{
	return (uint32_t)((turn + round) % table->row_count);
}

/* Adds the sample of one round, divided by `packets` (at least 1). */
void cw_bench_row_sample(struct cw_bench_row *row, const struct cw_stage_time *time,
			 uint64_t packets);

/* Removes rows with is_left_out. */
void cw_bench_table_prune(struct cw_bench_table *table);

/* Returns half the interquartile range of sorted numbers: the noise for bench/results/gate.py. */
double cw_bench_spread(const double *sorted, uint64_t count);

/* Returns the median of sorted numbers. */
double cw_bench_median(const double *sorted, uint64_t count);

/* Prints the table and sorts its samples. Returns CW_EXIT_COMPLETE, or CW_EXIT_PROBLEM after an
 * error message. */
int cw_bench_table_print(struct cw_bench_table *table, bool is_json);

void cw_bench_table_fini(struct cw_bench_table *table);

#endif
