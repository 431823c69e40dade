/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a benchmark measured: rows, each a program with its parameters and the samples of its
 * rounds; as text, or as JSON. Per sample a wall time, CPU time and cycles, all divided by the
 * number of packets; what is shown is their median, and of the wall time the spread.
 */
#ifndef CW_TOOLS_BENCH_TABLE_H
#define CW_TOOLS_BENCH_TABLE_H

#include <jansson.h>
#include <stdbool.h>

#include "bench/stages/stage.h"

struct cw_bench_row {
	const char *program; /* "capweir", or what it is compared with */
	const char *traffic; /* a profile's or file's name; NULL: packet_bytes says it */
	uint32_t packet_bytes;
	uint32_t threads;    /* 0: this has none to choose */
	uint32_t rule_count; /* likewise */
	/* of the last round */
	uint64_t packets, bytes;         /* taken in; bytes captured */
	uint64_t written, written_bytes; /* records, captured bytes of these */
	/* of all rounds */
	uint64_t dropped;      /* packets that the tool did not get, whoever lost them */
	uint64_t offered;      /* packets that it was to get; 0: nobody knows */
	uint64_t told_dropped; /* what the tool itself was told of drops */
	uint64_t unwritten;
	bool is_left_out; /* it cannot be measured here, as was told */
	double limit_ns;  /* a packet, at the rates of this machine; 0: not known */
	/* internal */
	uint32_t sample_count;
	double *wall_ns, *cpu_ns, *cycles;
};

struct cw_bench_table {
	const char *bench;   /* the benchmark's name */
	const char *unit;    /* what is counted: "packet", "item" */
	const char *threads; /* what a row's threads are: "threads", "queues" */
	const char *limit;   /* what the limit is made of, in words */
	bool is_cpu_limit;   /* it is one of CPU time, not of wall time */
	bool has_seed;       /* the traffic was made, by this seed: */
	uint64_t seed;
	uint32_t rounds;
	json_t *limits; /* rates of this machine; owned, may be NULL */
	struct cw_bench_row *rows;
	uint32_t row_count;
};

/* A row more, with room for the table's rounds; it stays where it is until the next one is added.
 * NULL after a complaint. */
struct cw_bench_row *cw_bench_table_add(struct cw_bench_table *table);

/* One round's sample; `packets` is what it is divided by, at least 1. */
void cw_bench_row_sample(struct cw_bench_row *row, const struct cw_stage_time *time,
			 uint64_t packets);

/* Remove the rows that are left out. */
void cw_bench_table_prune(struct cw_bench_table *table);

/* Half the range in which the middle half of sorted numbers lies: what bench/results/gate.py takes
 * for noise. */
double cw_bench_spread(const double *sorted, uint64_t count);

/* The middle one of sorted numbers; of an even number of them the mean of the middle two. */
double cw_bench_median(const double *sorted, uint64_t count);

/* Print it: CW_EXIT_COMPLETE, or CW_EXIT_PROBLEM after a complaint. Sorts the samples. */
int cw_bench_table_print(struct cw_bench_table *table, bool is_json);

void cw_bench_table_fini(struct cw_bench_table *table);

#endif
