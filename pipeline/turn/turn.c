/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The turn is a counter of offers. The thread that raises it from 0 has the turn, and keeps it
 * until it can set the counter back to 0 with no offer left unseen. The holder never blocks.
 */
#include <sched.h>

#include "pipeline/turn/turn.h"

void cw_turn_resume_any(struct cw_turn *turn)
{
	if (atomic_load(&turn->sequencer.is_starved)) /* [STARVE-1] */
		cw_turn_run_any(turn);
	cw_run_check_end(turn->run);
}

/* Relaxed: the holder of the turn sees the bit with the offer that follows it, [TURN-1]. */
static void note_waiting(struct cw_sequencer *sequencer, uint32_t lane)
{
	atomic_fetch_or_explicit(&sequencer->lanes_waiting[lane / CW_LANES_A_WORD],
				 UINT64_C(1) << lane % CW_LANES_A_WORD, memory_order_relaxed);
}

void cw_turn_park_any(struct cw_turn *turn, struct cw_batch *batch)
{
	struct cw_lane *lane = &turn->run->lanes[batch->lane];

	atomic_store_explicit(&lane->parked[batch->sequence & lane->mask], batch,
			      memory_order_release); /* [SEQ-1] */
	cw_turn_offer_any(turn, lane->index);
}

/* Reserves for the lane's next batch in line. False: no batch, or no chunk for it. */
static bool advance(struct cw_turn *turn, struct cw_lane *lane)
{
	struct cw_batch *batch = cw_sequencer_head(turn, lane);

	if (!batch) {
		cw_sequencer_try_to_end(turn, lane);
		return false;
	}
	batch->reserved.end = batch->part.end;
	switch (cw_sequencer_reserve(turn, batch)) {
	case CW_RESERVE_STARVED:
		note_waiting(&turn->sequencer, lane->index); /* visit again when chunks came back */
		return false;
	case CW_RESERVE_SOME:
		cw_sequencer_hand_on(turn, lane, batch, false);
		return true;
	case CW_RESERVE_DONE:
		cw_sequencer_hand_on(turn, lane, batch, true);
		return true;
	}
	return false;
}

/* Visits each waiting lane once. */
static void visit_lanes(struct cw_turn *turn)
{
	struct cw_sequencer *sequencer = &turn->sequencer;

	for (uint32_t word = 0; word < sequencer->word_count; word++) {
		uint64_t waiting = 0;

		if (atomic_load_explicit(&sequencer->lanes_waiting[word], memory_order_relaxed))
			waiting = atomic_exchange_explicit(&sequencer->lanes_waiting[word], 0,
							   memory_order_relaxed);
		for (; waiting; waiting &= waiting - 1) {
			uint32_t index =
			    word * CW_LANES_A_WORD + (uint32_t)__builtin_ctzll(waiting);

			while (advance(turn, &turn->run->lanes[index]))
				;
		}
	}
}

/* Uses the turn until no offer is left unseen, then lets go of it. */
static void use_turn(struct cw_turn *turn)
{
	struct cw_sequencer *sequencer = &turn->sequencer;
	enum cw_work before = cw_run_note_work(turn->run, CW_WORK_TURN);
	uint32_t seen;

	do {
		seen = atomic_load_explicit(&sequencer->kicks, memory_order_acquire); /* [TURN-1] */
		if (turn->run->options.is_time_order)
			cw_sequencer_merge(turn);
		else
			visit_lanes(turn);
		/* [TURN-1] release */
	} while (!atomic_compare_exchange_strong_explicit(
	    &sequencer->kicks, &seen, 0, memory_order_acq_rel, memory_order_relaxed));
	cw_run_note_work(turn->run, before);
}

void cw_turn_offer_any(struct cw_turn *turn, uint32_t lane)
{
	note_waiting(&turn->sequencer, lane);
	cw_turn_run_any(turn);
}

void cw_turn_run_any(struct cw_turn *turn)
{
	/* [TURN-1] acquire: everything the last holder did. */
	if (atomic_fetch_add_explicit(&turn->sequencer.kicks, 1, memory_order_acq_rel) == 0)
		use_turn(turn);
}

/* Waits for the turn; every turn is short. */
static void take_turn(struct cw_turn *turn)
{
	uint32_t expected = 0;

	while (!atomic_compare_exchange_weak_explicit(&turn->sequencer.kicks, &expected, 1,
						      memory_order_acq_rel,
						      memory_order_relaxed)) { /* [TURN-1] */
		expected = 0;
		sched_yield();
	}
}

void cw_turn_tend_any(struct cw_turn *turn, uint64_t now_ns, bool flush)
{
	take_turn(turn);
	cw_outputs_tend(turn->outputs, now_ns, flush);
	use_turn(turn);
}

void cw_turn_hold_any(struct cw_turn *turn, void (*run)(void *context), void *context)
{
	take_turn(turn);
	run(context);
	use_turn(turn);
}
