/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/run/lane.h"

int cw_batch_init(struct cw_batch *batch, const struct cw_batch_sizes *sizes)
{
	*batch = (struct cw_batch){.match_capacity = sizes->match_capacity,
				   .piece_capacity = sizes->piece_capacity};
	batch->packets = calloc(sizes->records_max, sizeof(*batch->packets));
	batch->ends = calloc(sizes->records_max, sizeof(*batch->ends));
	batch->classes = calloc(sizes->records_max, sizeof(*batch->classes));
	batch->matches = calloc(sizes->match_capacity, sizeof(*batch->matches));
	batch->tallies = calloc(sizes->tally_capacity, sizeof(*batch->tallies));
	batch->pieces = calloc(sizes->piece_capacity, sizeof(*batch->pieces));
	batch->draft_of = calloc(sizes->tally_capacity, sizeof(*batch->draft_of));
	batch->samples = calloc(sizes->sample_capacity + 1, sizeof(*batch->samples));
	if (batch->packets && batch->ends && batch->classes && batch->matches && batch->tallies &&
	    batch->pieces && batch->draft_of && batch->samples)
		return 0;
	cw_batch_fini(batch);
	return -ENOMEM;
}

void cw_batch_fini(struct cw_batch *batch)
{
	cw_lease_give_back(&batch->lease);
	free(batch->packets);
	free(batch->ends);
	free(batch->classes);
	free(batch->matches);
	free(batch->tallies);
	free(batch->pieces);
	free(batch->draft_of);
	free(batch->samples);
	*batch = (struct cw_batch){0};
}

/* Makes the table of parked batches: larger than their number, so each finds its slot free. */
static int init_parked(struct cw_lane *lane, uint32_t batch_count)
{
	uint32_t size = 2;

	while (size <= batch_count)
		size *= 2;
	lane->mask = size - 1;
	lane->parked = calloc(size, sizeof(*lane->parked));
	if (!lane->parked)
		return -ENOMEM;
	for (uint32_t index = 0; index < size; index++)
		atomic_init(&lane->parked[index], NULL);
	return 0;
}

int cw_lane_init(struct cw_lane *lane, struct cw_capture *capture, uint32_t index,
		 uint32_t batch_count, const struct cw_batch_sizes *sizes)
{
	lane->owner = capture;
	lane->index = index;
	lane->batches = calloc(batch_count, sizeof(*lane->batches));
	if (!lane->batches || init_parked(lane, batch_count) < 0 ||
	    cw_ring_new(&lane->cut, batch_count) < 0)
		return -ENOMEM;
	while (lane->batch_count < batch_count) {
		struct cw_batch *batch = &lane->batches[lane->batch_count];

		if (cw_batch_init(batch, sizes) < 0)
			return -ENOMEM;
		batch->lane = index;
		lane->batch_count++;
		cw_lane_give_back_any(lane, batch);
	}
	return 0;
}

void cw_lane_fini(struct cw_lane *lane)
{
	while (lane->batch_count)
		cw_batch_fini(&lane->batches[--lane->batch_count]);
	free(lane->batches);
	free(lane->parked);
	cw_ring_free(lane->cut);
}

struct cw_batch *cw_lane_take_batch(struct cw_lane *lane)
{
	/* [FREE-1] acquire. Only one thread takes, so the first batch cannot return meanwhile. */
	struct cw_batch *batch =
	    atomic_load_explicit(&lane->shared.free_batches, memory_order_acquire);

	while (batch && !atomic_compare_exchange_weak_explicit(
			    &lane->shared.free_batches, &batch, batch->free_next,
			    memory_order_acquire, memory_order_acquire)) /* [FREE-1] */
		;
	return batch;
}

void cw_lane_give_back_any(struct cw_lane *lane, struct cw_batch *batch)
{
	batch->free_next = atomic_load_explicit(&lane->shared.free_batches, memory_order_relaxed);
	/* [FREE-1] release */
	while (!atomic_compare_exchange_weak_explicit(&lane->shared.free_batches, &batch->free_next,
						      batch, memory_order_release,
						      memory_order_relaxed))
		;
	cw_gate_signal(&lane->shared.gate);
}
