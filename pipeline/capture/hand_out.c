/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a batch leaves its capture thread: numbered, stamped, and in the workers' queue. */
#include "pipeline/capture/capture.h"
#include "pipeline/turn/turn.h"

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
