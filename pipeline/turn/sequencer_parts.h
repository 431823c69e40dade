/* SPDX-License-Identifier: BSD-3-Clause */
/* What the sequencer's two orders share. The turn only. (sequencer.c) */
#ifndef CW_PIPELINE_SEQUENCER_PARTS_H
#define CW_PIPELINE_SEQUENCER_PARTS_H

#include "pipeline/turn/turn.h"

/* The lane's batch that is next in line, its part in the books; NULL: there is none at present.
 * Those that come after the run's end are dealt with. */
struct cw_batch *cw_sequencer_head(struct cw_turn *turn, struct cw_lane *lane);

/* Reserve for the batch up to batch->reserve_end; what is in the way is flushed first. */
enum cw_reserve cw_sequencer_reserve(struct cw_turn *turn, struct cw_batch *batch);

/* Give the batch to be copied; `is_part_done`: all of its part was reserved. */
void cw_sequencer_hand_on(struct cw_turn *turn, struct cw_lane *lane, struct cw_batch *batch,
			  bool is_part_done);

/* Seal everything if this was the last batch of the last lane. */
void cw_sequencer_try_to_end(struct cw_turn *turn, struct cw_lane *lane);

/* --order time: reserve what can be reserved, in the order of the packets' times. */
void cw_sequencer_merge(struct cw_turn *turn);

#endif
