/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stages of the pipeline, each measurable alone, and their competitors. `capweir bench` and the
 * Google Benchmark programs share them, so that both time the same code. C++ can include these
 * headers. A function that fails returns a negative errno and fills a text; nothing is printed.
 */
#ifndef CW_BENCH_STAGES_STAGE_H
#define CW_BENCH_STAGES_STAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CW_STAGE_TEXT_BYTES 1024u
#define CW_STAGE_FILTERS_MAX 10000u
#define CW_STAGE_FILTER_BYTES 96u
#define CW_STAGE_MEMORY_BYTES_MAX (UINT64_C(4) << 30)

/* Resources of a measured section, of all threads of this process. */
struct cw_stage_time {
	double wall_ns;
	double cpu_ns;
	double cycles; /* CPU cycles in user and kernel mode; 0: cannot be counted */
};

/* A measurement from start to stop. Cycles are those of the calling thread and of threads that it
 * started since. */
struct cw_stage_clock {
	double wall_ns;
	double cpu_ns;
	int cycles_fd; /* -1: cycles cannot be counted here */
};

void cw_stage_start(struct cw_stage_clock *clock);
void cw_stage_stop(struct cw_stage_clock *clock, struct cw_stage_time *time);
double cw_stage_now_ns(void); /* CLOCK_MONOTONIC */

/* Sorts numbers in ascending order. */
void cw_stage_sort(double *numbers, size_t count);

/*
 * Fills filter `index` of up to CW_STAGE_FILTERS_MAX different ones. The first eight are those of
 * bench/peers/filters8.txt; the others are hosts, ports and nets that match little, so that more
 * filters write about the same amount.
 */
void cw_stage_filter(uint32_t index, char filter[CW_STAGE_FILTER_BYTES]);

/*
 * Makes the machine back `bytes` of free memory (at most CW_STAGE_MEMORY_BYTES_MAX and half of the
 * free memory), right before a run that writes as much. A virtual machine that returns free memory
 * to its host pays for each page again: a program with large writes took six times as long right
 * after a slower one. Uses large pages, as large writes do. Best effort.
 */
void cw_stage_touch_memory(uint64_t bytes);

/* Reads a file into the page cache. A machine that reclaims pages unused for some seconds would
 * make some program in turn read from disk. Best effort. */
void cw_stage_warm_file(const char *path);

/* Removes the files of a folder, not the folder. Returns 0 or the first negative errno. */
int cw_stage_empty(const char *folder);

#ifdef __cplusplus
}
#endif

#endif
