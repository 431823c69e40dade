/* SPDX-License-Identifier: BSD-3-Clause */
/* The order of batches in a lane, which of their packets count, and a lane's end. The turn only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/match/generation.h"
#include "pipeline/turn/chain.h"
#include "pipeline/turn/turn.h"

/* Batches that go the careful way after one for which the quick way was in vain. */
#define CAREFUL_COUNT_MIN 8u
#define CAREFUL_COUNT_MAX 64u

int cw_sequencer_init(struct cw_sequencer *sequencer, uint32_t lane_count)
{
	*sequencer = (struct cw_sequencer){.word_count =
					       (lane_count + CW_LANES_A_WORD - 1) / CW_LANES_A_WORD,
					   .lanes_left = lane_count};
	sequencer->lanes_waiting = calloc(sequencer->word_count, sizeof(*sequencer->lanes_waiting));
	if (!sequencer->lanes_waiting)
		return -ENOMEM;
	for (uint32_t index = 0; index < sequencer->word_count; index++)
		atomic_init(&sequencer->lanes_waiting[index], 0);
	return 0;
}

void cw_sequencer_fini(struct cw_sequencer *sequencer)
{
	free(sequencer->lanes_waiting);
	sequencer->lanes_waiting = NULL;
}

/* Ends the batch at the packet that reaches the limit of -c. */
static void cut_short(struct cw_lane *lane, struct cw_batch *batch, uint64_t matched_left)
{
	uint32_t index;

	memset(batch->part.class_counts, 0, sizeof(batch->part.class_counts));
	batch->part.caplen_bytes = 0;
	batch->part.truncated = 0;
	for (index = batch->part.first; index < batch->part.end && matched_left; index++) {
		batch->part.class_counts[batch->classes[index]]++;
		batch->part.caplen_bytes += batch->packets[index].caplen;
		batch->part.truncated += (batch->packets[index].flags & CW_PACKET_TRUNCATED) != 0;
		matched_left -= batch->classes[index] == CW_CLASS_MATCHED;
	}
	batch->part.end = index;
	lane->turn.discarded += batch->packet_count - index;
	cw_samples_cut(batch);
	batch->part.is_cut_short = true;
	batch->part.is_last = true;
}

/* Puts the limits of a newer generation in force. */
static void adopt_generation(struct cw_turn *turn, const struct cw_generation *generation)
{
	if (generation->number <= turn->generation)
		return;
	turn->generation = generation->number;
	cw_outputs_adopt(turn->outputs, generation->rules);
	for (uint32_t index = 0; index < generation->rules->count; index++) {
		struct cw_output *output = &turn->outputs->at[generation->outputs[index]];

		cw_output_adopt(turn->outputs, output, &generation->rules->rules[index]);
	}
}

/* Enters the part's packets in the books, once. */
static void count_part(struct cw_turn *turn, struct cw_lane *lane, struct cw_batch *batch)
{
	struct cw_sequencer *sequencer = &turn->sequencer;
	struct cw_books *books = &turn->books;
	struct cw_input *input = &turn->inputs->at[batch->input];
	uint64_t packets;

	if (batch->reserved.is_part_counted)
		return;
	batch->reserved.is_part_counted = true;
	if (sequencer->matched_limit &&
	    books->matched_any + batch->part.class_counts[CW_CLASS_MATCHED] >=
		sequencer->matched_limit) {
		cut_short(lane, batch, sequencer->matched_limit - books->matched_any);
		sequencer->has_reached_limit = true;
		cw_run_stop_reading(turn->run);
	}
	adopt_generation(turn, batch->generation);
	cw_verification_add(&turn->verification, batch, input->packets);
	packets = batch->part.end - batch->part.first;
	lane->turn.counted += packets;
	input->packets += packets;
	input->bytes += batch->part.caplen_bytes;
	input->truncated += batch->part.truncated;
	books->received += packets;
	books->malformed += batch->part.class_counts[CW_CLASS_MALFORMED];
	books->prefiltered += batch->part.class_counts[CW_CLASS_PREFILTERED];
	books->matched_any += batch->part.class_counts[CW_CLASS_MATCHED];
	books->unmatched += batch->part.class_counts[CW_CLASS_UNMATCHED];
	books->classified += batch->part.class_counts[CW_CLASS_MATCHED] +
			     batch->part.class_counts[CW_CLASS_UNMATCHED];
	atomic_store_explicit(&turn->run->received, books->received, memory_order_relaxed);
	atomic_fetch_add_explicit(&turn->run->received_bytes, batch->part.caplen_bytes,
				  memory_order_relaxed);
}

static bool is_beyond_end(const struct cw_sequencer *sequencer, const struct cw_lane *lane,
			  const struct cw_batch *batch)
{
	if (sequencer->has_reached_limit && !batch->reserved.is_part_counted)
		return true;
	return lane->turn.has_dead_input && lane->turn.dead_input == batch->input;
}

/* Ends the input of a damaged batch: none of its later batches counts. */
static void end_input(struct cw_turn *turn, struct cw_lane *lane, const struct cw_batch *batch)
{
	struct cw_input *input = &turn->inputs->at[batch->input];

	if (!batch->is_damaged)
		return;
	lane->turn.has_dead_input = true;
	lane->turn.dead_input = batch->input;
	input->was_truncated = true;
	cw_run_tell(turn->run, CW_PROBLEM,
		    "%s was truncated while it was read: packets after number %llu are not read",
		    input->path, (unsigned long long)input->packets);
}

/* `is_whole`: the turn is done with the batch, and the next one is in line. */
static void hand_on(struct cw_turn *turn, struct cw_lane *lane, struct cw_batch *batch,
		    enum cw_step step, bool is_whole)
{
	batch->step = step;
	batch->reserved.is_stretch_open = false;
	atomic_store_explicit(&lane->parked[batch->sequence & lane->mask], NULL,
			      memory_order_relaxed); /* only the batch's next owner parks it */
	if (is_whole)
		lane->turn.next++;
	cw_ring_push_spmc(turn->run->reserved, batch); /* has room for every batch */
	cw_gate_signal(&turn->run->worker_gate);
}

enum cw_reserve cw_sequencer_reserve(struct cw_turn *turn, struct cw_batch *batch)
{
	struct cw_sequencer *sequencer = &turn->sequencer;
	enum cw_reserve result = cw_outputs_reserve(turn->outputs, batch);

	if (result != CW_RESERVE_STARVED) {
		atomic_store(&sequencer->is_starved, false);
		return result;
	}
	/*
	 * [STARVE-1] Announce first. The second try finds any chunk that came back before the
	 * announcement. The thread that gives a chunk back later, such as one sealed here, finds
	 * the announcement and offers the turn. (Sealing before announcing fails if the sealed
	 * chunk comes back at once and is still not enough.)
	 */
	atomic_store(&sequencer->is_starved, true);
	cw_outputs_flush_fullest(turn->outputs);
	return cw_outputs_reserve(turn->outputs, batch);
}

void cw_sequencer_hand_on(struct cw_turn *turn, struct cw_lane *lane, struct cw_batch *batch,
			  bool is_part_done)
{
	batch->reserved.is_part_done = is_part_done;
	if (turn->run->options.output.packet_buffered)
		cw_outputs_flush_batch(turn->outputs, batch);
	if (is_part_done && batch->part.is_last && batch->walk.run)
		cw_chain_take(lane, batch);
	if (is_part_done && batch->part.is_last)
		end_input(turn, lane, batch);
	hand_on(turn, lane, batch, CW_STEP_COPY, is_part_done && batch->part.is_last);
}

void cw_sequencer_try_to_end(struct cw_turn *turn, struct cw_lane *lane)
{
	if (lane->turn.is_through || !atomic_load(&lane->shared.is_cut) || /* [END-1] acquire */
	    lane->turn.next != atomic_load(&lane->shared.cut_count))
		return;
	lane->turn.is_through = true;
	if (--turn->sequencer.lanes_left)
		return;
	cw_outputs_flush_all(turn->outputs);
	atomic_store(&turn->run->is_sealed, true); /* [END-2] */
	cw_run_check_end(turn->run);
}

/*
 * The quick way was in vain for this batch: the next ones go the careful way at once. Twice as many
 * each time that the first one after them is refused again. Batches that were on the quick way
 * before the last refusal was known say nothing new.
 */
static void note_refusal(struct cw_lane *lane, const struct cw_batch *batch)
{
	uint64_t until = atomic_load_explicit(&lane->shared.careful_until, memory_order_relaxed);
	struct cw_lane_turn *turn = &lane->turn;

	if (batch->sequence < until)
		return;
	if (batch->sequence - until < turn->careful_count)
		turn->careful_count = cw_min_u32(2 * turn->careful_count, CAREFUL_COUNT_MAX);
	else
		turn->careful_count = CAREFUL_COUNT_MIN;
	/* Relaxed: a number only. */
	atomic_store_explicit(&lane->shared.careful_until,
			      batch->sequence + 1 + turn->careful_count, memory_order_relaxed);
}

/* Returns whether a quick batch counts as it is. If not, it must not have been counted. */
static bool is_adoptable(struct cw_turn *turn, const struct cw_batch *batch)
{
	uint64_t limit = turn->sequencer.matched_limit;

	adopt_generation(turn, batch->generation); /* its limits decide */
	if (limit && turn->books.matched_any + batch->part.class_counts[CW_CLASS_MATCHED] >= limit)
		return false;
	return cw_outputs_can_adopt(turn->outputs, batch);
}

/* Decides on the way of the batch, once. False: it goes back, to take the careful way. */
static bool decide_way(struct cw_turn *turn, struct cw_lane *lane, struct cw_batch *batch)
{
	bool is_taken;

	if (batch->reserved.is_part_counted)
		return true;
	is_taken = !batch->is_quick || is_adoptable(turn, batch);
	if (batch->is_refused || !is_taken)
		note_refusal(lane, batch);
	batch->is_refused = false;
	if (!is_taken)
		hand_on(turn, lane, batch, CW_STEP_CAREFUL, false);
	return is_taken;
}

/* Returns whether the batch's records follow those before it. If not, hands it back. */
static bool is_proven(struct cw_turn *turn, struct cw_lane *lane, struct cw_batch *batch)
{
	switch (cw_chain_judge(turn, lane, batch)) {
	case CW_CHAIN_AGAIN:
		hand_on(turn, lane, batch, CW_STEP_AGAIN, false);
		return false;
	case CW_CHAIN_EMPTY:
	case CW_CHAIN_VOID:
		hand_on(turn, lane, batch, CW_STEP_DISCARD, true);
		return false;
	case CW_CHAIN_PROVEN:
		break;
	}
	return true;
}

struct cw_batch *cw_sequencer_head(struct cw_turn *turn, struct cw_lane *lane)
{
	struct cw_batch *batch;

	for (;;) {
		batch = atomic_load_explicit(&lane->parked[lane->turn.next & lane->mask],
					     memory_order_acquire); /* [SEQ-1] */
		if (!batch)
			return NULL;
		if (is_beyond_end(&turn->sequencer, lane, batch)) {
			lane->turn.discarded += batch->packet_count - batch->part.first;
			if (batch->walk.run)
				cw_chain_drop(lane, batch);
			hand_on(turn, lane, batch, CW_STEP_DISCARD, true);
		} else if (!batch->walk.run || is_proven(turn, lane, batch)) {
			break;
		}
	}
	if (!decide_way(turn, lane, batch))
		return NULL;
	count_part(turn, lane, batch);
	return batch;
}
