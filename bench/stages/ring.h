/* SPDX-License-Identifier: BSD-3-Clause */
/* Passes pointers from one thread to others: the pipeline's ring, and a queue with a mutex. */
#ifndef CW_BENCH_STAGES_RING_H
#define CW_BENCH_STAGES_RING_H

#include "bench/stages/stage.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CW_STAGE_RING_CAPACITY 1024u
#define CW_STAGE_CONSUMERS_MAX 256u

enum cw_stage_ring_way { CW_STAGE_RING, CW_STAGE_MUTEX, CW_STAGE_RING_WAYS };

/*
 * One producer passes `item_count` pointers, in order, to `consumers` threads. No thread sleeps: at
 * a full or empty queue it spins, and yields its time slice after a while. Returns 0; -EIO if an
 * item arrived twice or not at all; or a negative errno of the system.
 */
int cw_stage_ring(enum cw_stage_ring_way way, uint32_t consumers, uint64_t item_count,
		  struct cw_stage_time *time, char text[CW_STAGE_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
