/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The capture thread of files: walks the inputs one after the other, cuts them into batches of
 * complete records and numbers the batches. It reads record headers only; workers do the rest.
 */
#include <errno.h>

#include "pipeline/capture/capture.h"

/* Compiles the rules for the link types met since the last call. */
static int prepare_linktypes(struct cw_capture *capture, uint32_t *prepared, struct cw_error *error)
{
	for (; *prepared < capture->inputs->ifaces.count; ++*prepared) {
		int result = cw_matcher_prepare(&capture->generations->current->matcher,
						cw_ifaces_at(&capture->inputs->ifaces, *prepared),
						cw_run_report_rule, capture->run, error);

		if (result < 0)
			return result;
	}
	return 0;
}

/* Waits for a batch to fill; NULL: reading must stop. */
static struct cw_batch *take_batch(struct cw_lane *lane)
{
	for (;;) {
		uint32_t seen = cw_gate_look(&lane->shared.gate);
		struct cw_batch *batch;

		if (atomic_load(&lane->owner->run->is_stopping))
			return NULL;
		batch = cw_lane_take_batch(lane);
		if (batch)
			return batch;
		cw_gate_wait(&lane->shared.gate, seen);
	}
}

/* Reads one input to its end. 0, or a negative errno with the error filled. */
static int read_input(struct cw_lane *lane, uint32_t index, struct cw_batch **batch,
		      uint32_t *prepared, struct cw_error *error)
{
	struct cw_capture *capture = lane->owner;
	struct cw_input *input = &capture->inputs->at[index];
	uint64_t read_before =
	    atomic_load_explicit(&capture->inputs->read_bytes, memory_order_relaxed);
	int result;

	for (;;) {
		uint32_t seen = cw_gate_look(&lane->shared.gate);

		if (!*batch)
			*batch = take_batch(lane);
		if (!*batch || atomic_load(&capture->run->is_stopping))
			return 0;
		result = cw_source_next(input->source, capture->run->options.sizes.batch_bytes,
					capture->run->options.sizes.batch_records, &(*batch)->span,
					&(*batch)->lease, error);
		if (result == -EAGAIN) { /* every window is leased */
			cw_gate_wait(&lane->shared.gate, seen);
			continue;
		}
		if (result <= 0)
			return result == -EINTR ? 0 : result;
		result = prepare_linktypes(capture, prepared, error);
		if (result < 0) {
			cw_lease_give_back(&(*batch)->lease);
			return result;
		}
		cw_lane_hand_out(lane, *batch, index);
		*batch = NULL;
		cw_source_info(input->source, &input->info);
		atomic_store_explicit(&capture->inputs->read_bytes,
				      read_before + input->info.consumed_bytes,
				      memory_order_relaxed);
	}
}

static int reopen(struct cw_capture *capture, uint32_t index, struct cw_error *error)
{
	struct cw_input *input = &capture->inputs->at[index];
	uint64_t device = 0, inode = 0;
	int result;

	if (input->source)
		return 0;
	result = cw_inputs_open(capture->inputs, index, capture->run, error);
	if (result < 0)
		return result;
	if (cw_source_identity(input->source, &device, &inode) &&
	    (device != input->device || inode != input->inode))
		return cw_error_set(error, -ESTALE,
				    "%s was replaced by another file during the run", input->path);
	return 0;
}

void cw_lane_hand_out(struct cw_lane *lane, struct cw_batch *batch, uint32_t input)
{
	struct cw_capture *capture = lane->owner;

	batch->input = input;
	batch->first_packet = lane->capture.cut_packets;
	cw_generation_stamp(capture->generations, lane, batch);
	lane->capture.cut_packets += batch->span.record_count;
	batch->sequence = atomic_load_explicit(&lane->shared.cut_count, memory_order_relaxed);
	atomic_store_explicit(&lane->shared.cut_count, batch->sequence + 1, memory_order_relaxed);
	atomic_fetch_add(&capture->run->live_batches, 1);
	cw_ring_push_spmc(lane->cut, batch); /* has room for every batch */
	cw_gate_signal(&capture->run->worker_gate);
}

void cw_lane_end(struct cw_lane *lane)
{
	atomic_store(&lane->shared.is_cut, true); /* [END-1] release */
	cw_turn_offer_any(lane->owner->turn, lane->index);
}

void *cw_capture_main(void *argument)
{
	struct cw_lane *lane = argument;
	struct cw_capture *capture = lane->owner;
	struct cw_batch *batch = NULL;
	uint32_t prepared = 0;

	for (uint32_t index = 0; index < capture->inputs->count; index++) {
		struct cw_input *input = &capture->inputs->at[index];
		struct cw_error error = {0};
		int result;

		if (input->error.code || atomic_load(&capture->run->is_stopping))
			continue;
		result = reopen(capture, index, &error);
		if (result == 0)
			result = read_input(lane, index, &batch, &prepared, &error);
		if (result < 0) {
			input->error = error;
			cw_run_tell(capture->run, CW_PROBLEM, "%s", error.text);
		}
		if (input->source)
			cw_source_info(input->source, &input->info);
		if (input->info.has_grown)
			cw_run_tell(capture->run, CW_WARNING,
				    "%s grew while it was read; packets added later are not read",
				    input->path);
		cw_source_close(input->source);
		input->source = NULL;
	}
	cw_lane_end(lane);
	cw_run_thread_ends(capture->run);
	return NULL;
}
