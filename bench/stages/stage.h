/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stages of the pipeline, each to be measured alone, and what people write instead: shared by
 * `capweir bench` and the Google Benchmark programs, so that both time the same code. Headers here
 * are plain enough for C++. Functions that fail return a negative errno and say in a text what
 * failed; nothing is printed.
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

/* What a stretch took, by all threads of this process. */
struct cw_stage_time {
	double wall_ns;
	double cpu_ns;
	double cycles; /* of the CPU, user's and kernel's; 0 where they cannot be counted */
};

/* Stop what start began; cycles are those of the calling thread and of threads it started since. */
struct cw_stage_clock {
	double wall_ns;
	double cpu_ns;
	int cycles_fd; /* -1: they cannot be counted here */
};

void cw_stage_start(struct cw_stage_clock *clock);
void cw_stage_stop(struct cw_stage_clock *clock, struct cw_stage_time *time);
double cw_stage_now_ns(void); /* CLOCK_MONOTONIC */

/* Numbers in ascending order. */
void cw_stage_sort(double *numbers, size_t count);

/*
 * The filters that traffic is split by, up to CW_STAGE_FILTERS_MAX, all different: the first eight
 * are those of bench/peers/filters8.txt; those beyond them hosts, ports and nets that match little,
 * so that more filters write about as much.
 */
void cw_stage_filter(uint32_t index, char filter[CW_STAGE_FILTER_BYTES]);

/*
 * Have so many bytes of free memory (at most CW_STAGE_MEMORY_BYTES_MAX and half of what is free)
 * backed by the machine, right before a run that writes as much. A virtual machine that gives free
 * memory back to its host pays for each page again: that was seen to make six times the time of a
 * program that writes much at a time, right after one that takes longer. In large pages, since what
 * writes much at a time gets these. Does what it can.
 */
void cw_stage_touch_memory(uint64_t bytes);

/* Have a file in the page cache, by reading it: a machine that reclaims what was not used for some
 * seconds would have one program in turn read from its disk. Does what it can. */
void cw_stage_warm_file(const char *path);

/* Remove the files of a folder, not the folder. 0, or the first failure. */
int cw_stage_empty(const char *folder);

#ifdef __cplusplus
}
#endif

#endif
