/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this machine can do at all: the rates that a result is a fraction of. Each is the median of
 * several repetitions of all threads together, in bytes per nanosecond (GB/s).
 */
#ifndef CW_BENCH_STAGES_LIMITS_H
#define CW_BENCH_STAGES_LIMITS_H

#include "bench/stages/stage.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CW_STAGE_LIMIT_BYTES ((size_t)64 << 20) /* a thread, beyond caches */
#define CW_STAGE_LIMIT_THREADS_MAX 256u
#define CW_STAGE_LIMIT_ROUNDS 7u

enum cw_stage_limit {
	CW_STAGE_COPY,  /* memcpy from memory to memory, counted once */
	CW_STAGE_WALK,  /* reading memory, every cache line of it */
	CW_STAGE_READ,  /* read() of a file in the page cache, 1 MiB at a time */
	CW_STAGE_WRITE, /* write() of new files, 1 MiB at a time, to the page cache */
	CW_STAGE_LIMITS,
};

/* Its name in results. */
const char *cw_stage_limit_name(enum cw_stage_limit limit);

struct cw_stage_rate {
	double gb_per_s; /* median */
	double min, max;
};

/*
 * Measure with so many threads, each with memory and a file (in `folder`) of its own of
 * CW_STAGE_LIMIT_BYTES. 0, or a negative errno and `text`.
 */
int cw_stage_limit(enum cw_stage_limit limit, const char *folder, uint32_t threads,
		   struct cw_stage_rate *rate, char text[CW_STAGE_TEXT_BYTES]);

/* How fast cache lines go from a core to another: one thread writes blocks that another reads, each
 * bound to a processor, of different cores where the system says that there are. The best of the
 * repetitions, not the median; 0 where only one processor may be used. */
int cw_stage_handover(struct cw_stage_rate *rate, char text[CW_STAGE_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
