/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time order: merges the lanes' packets by timestamp. Of the lanes with a batch in line, the one
 * with the earliest packet reserves, up to where another lane has an earlier packet. A lane without
 * a batch holds up the others only while it may still bring earlier packets: until its capture
 * thread announces that all packets up to some time were handed out (the horizon). So an idle queue
 * delays the others a little and stalls none.
 *
 * Packets that arrive later than that, or after the clock was set back, count as late and are
 * written in order of arrival.
 *
 * A batch whose packets alternate with another lane's is reserved in many steps. It is handed on to
 * be copied once all of it is reserved, or when no lane can continue: a batch that waits for a lane
 * must not keep chunks incomplete that others wait for.
 */
#include "pipeline/turn/turn.h"

#define NO_TIME UINT64_MAX /* no more packets will come */

/* Returns the time before which the lane, which has no batch in line, will bring no packet. */
static uint64_t bound_of(const struct cw_lane *lane)
{
	/* [TIME-1] acquire. Read before the batch count: all batches cut by then are known. */
	uint64_t horizon_ns = atomic_load_explicit(&lane->shared.horizon_ns, memory_order_acquire);

	if (lane->turn.is_through)
		return NO_TIME;
	return atomic_load(&lane->shared.cut_count) == lane->turn.next ? horizon_ns : 0;
}

/* Returns the lane to reserve for and the timestamp to stop at; NULL: not known yet. */
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
					     : 0 /* an empty batch delays no other */
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

/* Returns how far the batch may be reserved: its first packet after the limit. */
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

/* Hands on the reserved stretches of all batches in line to be copied. */
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
			break; /* no chunks: only copying the stretches gives some back */
		if (batch->reserved.end == batch->part.end)
			cw_sequencer_hand_on(turn, lane, batch, true);
	}
	hand_on_open(turn);
	for (uint32_t index = 0; index < turn->run->lane_count; index++)
		cw_sequencer_try_to_end(turn, &turn->run->lanes[index]);
}
