/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The CPU time of a split by thread and kind of work, and its serial part: work that only one
 * thread at a time can do, however many there are. Eight filters write to /dev/null. Not for C++.
 */
#ifndef CW_BENCH_STAGES_SERIAL_H
#define CW_BENCH_STAGES_SERIAL_H

#include "bench/stages/stage.h"
#include "pipeline/run/options.h"

#define CW_STAGE_SERIAL_THREADS_MAX 256u

/* CPU time of a thread, without the cost of the accounting. */
struct cw_serial_thread {
	double ns[CW_WORK_KINDS];
	bool is_reader; /* the capture thread; false: a worker */
};

struct cw_serial_result {
	uint64_t packets;
	uint32_t thread_count;
	struct cw_serial_thread threads[CW_STAGE_SERIAL_THREADS_MAX + 1];
	double serial_ns;  /* reading, turns, and batches worked on again while others wait */
	double rest_ns;    /* other work; idle time is in neither */
	double cpu_ns;     /* all CPU time of these threads */
	double account_ns; /* share of cpu_ns: the accounting's cost, estimated */
};

/* Returns the name of a kind of work in results. */
const char *cw_stage_work_name(enum cw_work kind);

/* Splits `path` with this number of workers. Returns 0, or a negative errno and `text`. */
int cw_stage_serial(const char *path, uint32_t threads, struct cw_serial_result *result,
		    char text[CW_STAGE_TEXT_BYTES]);

#endif
