/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time order: the lanes' packets merged by their times. Of the lanes that have a batch in line the
 * one with the earliest packet is next, and reserves up to where another lane has an earlier one. A
 * lane without one holds the others up only as far as it may still bring earlier packets: until its
 * capture thread has said that all up to some time was handed out (horizon). So an idle queue
 * delays the others a little and stalls nobody.
 *
 * Packets that come later than that, or whose clock was set back, are counted as late and written
 * where they come.
 *
 * A batch whose packets alternate with another lane's is reserved in many steps, and handed on to
 * be copied when all of it is reserved, or when nothing more can be done now: what waits for a lane
 * must not keep chunks incomplete that others wait for.
 */
#include "pipeline/turn/turn.h"

#define NO_TIME UINT64_MAX /* nothing will come any more */

/* The time before which the lane, which has no batch in line, will bring nothing. */
static uint64_t bound_of(const struct cw_lane *lane)
{
	/* [TIME-1] acquire, and before the number of batches: what was cut until then is known. */
	uint64_t horizon_ns = atomic_load_explicit(&lane->shared.horizon_ns, memory_order_acquire);

	if (lane->turn.is_through)
		return NO_TIME;
	return atomic_load(&lane->shared.cut_count) == lane->turn.next ? horizon_ns : 0;
}

/* The lane whose turn it is, and up to which time; NULL: that is not known yet. */
static struct cw_lane *choose_lane(struct cw_turn *turn, uint64_t *limit_ns)
{
	struct cw_lane *first = NULL;
	uint64_t first_ns = NO_TIME;

	*limit_ns = NO_TIME;
	for (uint32_t index = 0; index < turn->run->lane_count; index++) {
		struct cw_lane *lane = &turn->run->lanes[index];
		const struct cw_batch *batch = cw_sequencer_head(turn, lane);
		uint64_t ts_ns = batch ? batch->reserved.packet < batch->part.end
					     ? batch->packets[batch->reserved.packet].ts_ns
					     : 0 /* nothing in it: it is not in anybody's way */
				       : bound_of(lane);

		if (batch && (!first || ts_ns < first_ns)) {
			if (first && first_ns < *limit_ns)
				*limit_ns = first_ns;
			first = lane;
			first_ns = ts_ns;
		} else if (ts_ns < *limit_ns) {
			*limit_ns = ts_ns;
		}
	}
	return first && first_ns <= *limit_ns ? first : NULL;
}

/* How far the batch may be reserved: to its first packet after the limit. */
static uint32_t end_at(struct cw_sequencer *sequencer, const struct cw_batch *batch,
		       uint64_t limit_ns)
{
	uint32_t index = batch->reserved.packet;

	for (; index < batch->part.end && batch->packets[index].ts_ns <= limit_ns; index++) {
		if (batch->packets[index].ts_ns < sequencer->last_ts_ns)
			sequencer->late_count++;
		else
			sequencer->last_ts_ns = batch->packets[index].ts_ns;
	}
	return index;
}

/* What was reserved of batches in line goes to be copied. */
static void hand_on_open(struct cw_turn *turn)
{
	for (uint32_t index = 0; index < turn->run->lane_count; index++) {
		struct cw_lane *lane = &turn->run->lanes[index];
		struct cw_batch *batch = cw_sequencer_head(turn, lane);

		if (batch && batch->reserved.is_stretch_open &&
		    batch->reserved.match > batch->reserved.copy_match)
			cw_sequencer_hand_on(turn, lane, batch, false);
	}
}

void cw_sequencer_merge(struct cw_turn *turn)
{
	struct cw_sequencer *sequencer = &turn->sequencer;
	struct cw_lane *lane;
	uint64_t limit_ns;

	while ((lane = choose_lane(turn, &limit_ns)) != NULL) {
		struct cw_batch *batch = cw_sequencer_head(turn, lane);

		if (batch->reserved.packet >= batch->reserved.end)
			batch->reserved.end = end_at(sequencer, batch, limit_ns);
		if (cw_sequencer_reserve(turn, batch) != CW_RESERVE_DONE)
			break; /* no chunks: what was reserved must be copied to get some back */
		if (batch->reserved.end == batch->part.end)
			cw_sequencer_hand_on(turn, lane, batch, true);
	}
	hand_on_open(turn);
	for (uint32_t index = 0; index < turn->run->lane_count; index++)
		cw_sequencer_try_to_end(turn, &turn->run->lanes[index]);
}
