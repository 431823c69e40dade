/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The limits of this machine, the base of results stated as fractions. Each is the median over
 * repetitions, of all threads together, in bytes/ns (GB/s).
 */
#ifndef CW_BENCH_STAGES_LIMITS_H
#define CW_BENCH_STAGES_LIMITS_H

#include "bench/stages/stage.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CW_STAGE_LIMIT_BYTES ((size_t)64 << 20) /* per thread, larger than caches */
#define CW_STAGE_LIMIT_THREADS_MAX 256u
#define CW_STAGE_LIMIT_ROUNDS 7u

enum cw_stage_limit {
	CW_STAGE_COPY,  /* memcpy; each byte counts once */
	CW_STAGE_WALK,  /* reads of every cache line of memory */
	CW_STAGE_READ,  /* read() of a file in the page cache, 1 MiB at a time */
	CW_STAGE_WRITE, /* write() of new files to the page cache, 1 MiB at a time */
	CW_STAGE_LIMITS,
};

/* Returns the name in results. */
const char *cw_stage_limit_name(enum cw_stage_limit limit);

struct cw_stage_rate {
	double gb_per_s; /* median */
	double min, max;
};

/*
 * Measures a limit with `threads` threads, each with separate memory and a separate file in
 * `folder` of CW_STAGE_LIMIT_BYTES. Returns 0, or a negative errno and `text`.
 */
int cw_stage_limit(enum cw_stage_limit limit, const char *folder, uint32_t threads,
		   struct cw_stage_rate *rate, char text[CW_STAGE_TEXT_BYTES]);

/* Measures the transfer of cache lines between cores: one thread writes blocks that another reads,
 * each bound to a CPU, on different cores if the system has them. The rate is the best of the
 * repetitions, not the median; 0 if this process may use only one CPU. */
int cw_stage_handover(struct cw_stage_rate *rate, char text[CW_STAGE_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
