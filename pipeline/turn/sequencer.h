/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sequencer: lets the batches of each lane reserve in the order they were cut, without a lock
 * and without anybody waiting for his turn. A worker parks its batch at its number and offers to
 * take the turn; whoever gets it reserves for all batches that are next in line, in every lane
 * where something was parked.
 */
#ifndef CW_PIPELINE_SEQUENCER_H
#define CW_PIPELINE_SEQUENCER_H

#include "core/base/base.h"

#define CW_LANES_A_WORD 64u /* lanes of a word */

struct cw_sequencer {
	/* constant */
	uint32_t word_count;
	_Atomic uint64_t *lanes_waiting; /* a bit a lane: something was parked there, or it ended */
	/* shared */
	_Alignas(CW_CACHE_LINE) _Atomic uint32_t kicks; /* offers since the turn was last free */
	_Atomic bool is_starved;                        /* sequentially consistent: [STARVE-1] */
	/* owner: the turn */
	_Alignas(CW_CACHE_LINE) uint64_t matched_limit; /* -c: 0 = none */
	uint32_t lanes_left;                            /* that are not through yet */
	bool has_reached_limit;
	uint64_t last_ts_ns; /* time order: of the latest packet so far */
	uint64_t late_count; /* packets that came after a later one */
};
CW_ASSERT_LINE(struct cw_sequencer, kicks);
CW_ASSERT_LINE(struct cw_sequencer, matched_limit);
CW_ASSERT_BYTES(struct cw_sequencer, 3 * CW_CACHE_LINE);

int cw_sequencer_init(struct cw_sequencer *sequencer, uint32_t lane_count);
void cw_sequencer_fini(struct cw_sequencer *sequencer);

#endif
