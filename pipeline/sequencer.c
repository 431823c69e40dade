/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The turn is a counter of offers: who raises it from 0 has the turn and keeps it until he can set
 * it back to 0 with no offer left unseen. Nothing that can block happens while it is held.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "pipeline/state.h"

int cw_sequencer_init(struct cw_sequencer *sequencer, uint32_t batch_count)
{
	uint32_t size = 2;
	uint32_t index;

	while (size <= batch_count)
		size *= 2;
	*sequencer = (struct cw_sequencer){.mask = size - 1};
	sequencer->parked = calloc(size, sizeof(*sequencer->parked));
	if (!sequencer->parked)
		return -ENOMEM;
	for (index = 0; index < size; index++)
		atomic_init(&sequencer->parked[index], NULL);
	return 0;
}

void cw_sequencer_fini(struct cw_sequencer *sequencer)
{
	free(sequencer->parked);
	sequencer->parked = NULL;
}

void cw_sequencer_park_any(struct cw_sequencer *sequencer, struct cw_batch *batch)
{
	atomic_store_explicit(&sequencer->parked[batch->sequence & sequencer->mask], batch,
			      memory_order_release); /* [SEQ-1] */
}

/* End the part at the packet that reaches the limit of -c. */
static void cut_short(struct cw_batch *batch, uint64_t matched_left)
{
	uint32_t index;

	memset(batch->class_counts, 0, sizeof(batch->class_counts));
	batch->caplen_bytes = 0;
	for (index = batch->part_first; index < batch->part_end && matched_left; index++) {
		batch->class_counts[batch->classes[index]]++;
		batch->caplen_bytes += batch->packets[index].caplen;
		matched_left -= batch->classes[index] == CW_CLASS_MATCHED;
	}
	batch->part_end = index;
	cw_samples_cut(batch);
	batch->is_cut_short = true;
	batch->is_last_part = true;
}

/* Enter the part's packets in the books, once. */
static void count_part(struct cw_pipeline *pipeline, struct cw_batch *batch)
{
	struct cw_sequencer *sequencer = &pipeline->sequencer;
	struct cw_books *books = &pipeline->books;
	struct cw_input *input = &pipeline->inputs[batch->input];
	uint64_t packets;

	if (batch->is_part_counted)
		return;
	batch->is_part_counted = true;
	if (sequencer->matched_limit && books->matched_any + batch->class_counts[CW_CLASS_MATCHED] >=
						sequencer->matched_limit) {
		cut_short(batch, sequencer->matched_limit - books->matched_any);
		sequencer->has_reached_limit = true;
		cw_pipeline_stop_reading(pipeline);
	}
	cw_verification_add(&pipeline->verification, batch, input->packets);
	packets = batch->part_end - batch->part_first;
	input->packets += packets;
	input->bytes += batch->caplen_bytes;
	books->received += packets;
	books->malformed += batch->class_counts[CW_CLASS_MALFORMED];
	books->prefiltered += batch->class_counts[CW_CLASS_PREFILTERED];
	books->matched_any += batch->class_counts[CW_CLASS_MATCHED];
	books->unmatched += batch->class_counts[CW_CLASS_UNMATCHED];
	books->classified += batch->class_counts[CW_CLASS_MATCHED] +
			     batch->class_counts[CW_CLASS_UNMATCHED];
	atomic_store_explicit(&pipeline->received, books->received, memory_order_relaxed);
}

static bool is_beyond_end(const struct cw_sequencer *sequencer, const struct cw_batch *batch)
{
	if (sequencer->has_reached_limit && !batch->is_part_counted)
		return true;
	return sequencer->has_dead_input && sequencer->dead_input == batch->input;
}

/* The input of a damaged batch ends there: none of its later batches counts. */
static void end_input(struct cw_pipeline *pipeline, const struct cw_batch *batch)
{
	struct cw_sequencer *sequencer = &pipeline->sequencer;

	if (!batch->is_damaged)
		return;
	sequencer->has_dead_input = true;
	sequencer->dead_input = batch->input;
	pipeline->inputs[batch->input].was_truncated = true;
}

static void hand_on(struct cw_pipeline *pipeline, struct cw_batch *batch, bool is_whole)
{
	struct cw_sequencer *sequencer = &pipeline->sequencer;

	atomic_store_explicit(&sequencer->parked[batch->sequence & sequencer->mask], NULL,
			      memory_order_relaxed); /* only the owner parks it again */
	if (is_whole)
		sequencer->next++;
	cw_ring_push_spmc(pipeline->reserved, batch); /* has room for every batch */
	cw_gate_signal(&pipeline->worker_gate);
}

static enum cw_reserve reserve(struct cw_pipeline *pipeline, struct cw_batch *batch)
{
	struct cw_sequencer *sequencer = &pipeline->sequencer;
	enum cw_reserve result = cw_outputs_reserve(pipeline, batch);

	if (result != CW_RESERVE_STARVED) {
		atomic_store(&sequencer->is_starved, false);
		return result;
	}
	/*
	 * [STARVE-1] Announce first: a chunk that came back before the announcement is found by the
	 * second try, one that comes back later, among them every one that is sealed here, finds
	 * the announcement and offers the turn. (Sealing before announcing loses the case where the
	 * sealed chunk is back at once and still not enough.)
	 */
	atomic_store(&sequencer->is_starved, true);
	cw_outputs_flush_fullest(pipeline);
	return cw_outputs_reserve(pipeline, batch);
}

/* Seal everything once the last batch is reserved. */
static void try_to_end(struct cw_pipeline *pipeline)
{
	struct cw_sequencer *sequencer = &pipeline->sequencer;

	if (sequencer->is_ended || !atomic_load(&pipeline->is_cut) || /* [END-1] acquire */
	    sequencer->next != atomic_load(&pipeline->cut_count))
		return;
	cw_outputs_flush_all(pipeline);
	sequencer->is_ended = true;
	atomic_store(&pipeline->is_sealed, true); /* [END-2] */
	cw_pipeline_settle(pipeline);
}

/* Reserve for the batch that is next in line. False: there is none, or no memory for it. */
static bool advance(struct cw_pipeline *pipeline)
{
	struct cw_sequencer *sequencer = &pipeline->sequencer;
	struct cw_batch *batch;

	batch = atomic_load_explicit(&sequencer->parked[sequencer->next & sequencer->mask],
				     memory_order_acquire); /* [SEQ-1] */
	if (!batch) {
		try_to_end(pipeline);
		return false;
	}
	if (is_beyond_end(sequencer, batch)) {
		batch->is_discarded = true;
		hand_on(pipeline, batch, true);
		return true;
	}
	count_part(pipeline, batch);
	switch (reserve(pipeline, batch)) {
	case CW_RESERVE_STARVED:
		return false;
	case CW_RESERVE_SOME:
		hand_on(pipeline, batch, false);
		return true;
	case CW_RESERVE_DONE:
		batch->is_part_reserved = true;
		if (batch->is_last_part)
			end_input(pipeline, batch);
		hand_on(pipeline, batch, batch->is_last_part);
		return true;
	}
	return false;
}

/* Use the turn until no offer is left unseen, then let go of it. */
static void use_turn(struct cw_pipeline *pipeline)
{
	struct cw_sequencer *sequencer = &pipeline->sequencer;
	uint32_t seen;

	do {
		seen = atomic_load_explicit(&sequencer->kicks, memory_order_acquire);
		while (advance(pipeline))
			;
		/* [TURN-1] release */
	} while (!atomic_compare_exchange_strong_explicit(&sequencer->kicks, &seen, 0,
							  memory_order_acq_rel,
							  memory_order_relaxed));
}

void cw_sequencer_run_any(struct cw_pipeline *pipeline)
{
	/* [TURN-1] acquire: everything the last holder did. */
	if (atomic_fetch_add_explicit(&pipeline->sequencer.kicks, 1, memory_order_acq_rel) == 0)
		use_turn(pipeline);
}

void cw_pipeline_peek(struct cw_pipeline *pipeline, struct cw_books *books)
{
	uint32_t index, expected = 0;

	while (!atomic_compare_exchange_weak_explicit(&pipeline->sequencer.kicks, &expected, 1,
						      memory_order_acq_rel,
						      memory_order_relaxed)) { /* [TURN-1] */
		expected = 0;
		sched_yield(); /* the turn is short */
	}
	*books = pipeline->books;
	for (index = 0; index < pipeline->output_count; index++) {
		books->matched += pipeline->outputs[index].matched;
		books->written += atomic_load(&pipeline->outputs[index].written);
	}
	use_turn(pipeline);
}
