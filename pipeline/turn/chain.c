/* SPDX-License-Identifier: BSD-3-Clause */
#include "pipeline/turn/chain.h"

/*
 * An input in which segments do not pay is left to the parser, for as many bytes as it has up to
 * there. The level of a bucket rises with
 * each wrong start and each stop, and with each segment walked in vain; it falls with each segment
 * taken in. So four faults within 64 segments are too many, fewer if many threads walk in vain.
 */
#define FAULT 16u
#define TROUBLE_MAX 48u

/* Adds a fault. Returns whether it is one too many. */
static bool add_fault(struct cw_chain *chain)
{
	chain->trouble += FAULT;
	return chain->trouble > TROUBLE_MAX;
}

static void end_run(struct cw_lane *lane, bool is_serial)
{
	struct cw_chain *chain = &lane->turn.chain;

	chain->is_over = true;
	chain->counts.serial += is_serial;
	lane->shared.over = (struct cw_run_end){
	    .at = chain->proven, .last_s = chain->last_s, .is_serial = is_serial};
	/* [RUN-1] release: the position before the number. */
	atomic_store_explicit(&lane->shared.over_run, chain->run, memory_order_release);
	cw_gate_signal(&lane->shared.gate);
}

/* The first segment of a run is in line: its start is proven. */
static void begin_run(struct cw_lane *lane, const struct cw_batch *batch)
{
	struct cw_chain *chain = &lane->turn.chain;

	if (chain->input != batch->input || lane->shared.over.is_serial) /* tried anew */
		chain->trouble = 0;
	chain->input = batch->input;
	chain->run = batch->walk.run;
	chain->proven = batch->walk.segment.from;
	chain->last_s = batch->walk.boundary.last_s;
	chain->is_over = false;
}

enum cw_chain_verdict cw_chain_judge(struct cw_turn *turn, struct cw_lane *lane,
				     struct cw_batch *batch)
{
	struct cw_chain *chain = &lane->turn.chain;
	struct cw_segment *segment = &batch->walk.segment;

	if (batch->walk.run != chain->run)
		begin_run(lane, batch);
	if (chain->is_over) {
		chain->counts.dropped++;
		chain->trouble += segment->start != UINT64_MAX && segment->end > segment->start;
		return CW_CHAIN_VOID;
	}
	if (segment->start == chain->proven)
		return CW_CHAIN_PROVEN;
	if (chain->proven >= segment->to) {
		if (batch->walk.ends_run)
			end_run(lane, false);
		return CW_CHAIN_EMPTY;
	}
	if (!turn->run->options.sizes.guess_wrong && add_fault(chain)) {
		end_run(lane, true);
		chain->counts.dropped++;
		return CW_CHAIN_VOID;
	}
	segment->start = chain->proven;
	chain->counts.again++;
	return CW_CHAIN_AGAIN;
}

void cw_chain_drop(struct cw_lane *lane, const struct cw_batch *batch)
{
	struct cw_chain *chain = &lane->turn.chain;

	if (batch->walk.run != chain->run)
		begin_run(lane, batch);
	if (!chain->is_over)
		end_run(lane, false);
}

void cw_chain_take(struct cw_lane *lane, const struct cw_batch *batch)
{
	struct cw_chain *chain = &lane->turn.chain;
	const struct cw_segment *segment = &batch->walk.segment;
	bool is_odd = cw_segment_is_odd(segment);

	chain->proven = segment->end;
	if (segment->end > segment->start)
		chain->last_s = segment->last_s;
	chain->counts.walked++;
	chain->counts.careful += !batch->is_quick;
	chain->trouble -= chain->trouble > 0;
	if (is_odd || batch->walk.ends_run || batch->is_damaged)
		end_run(lane, is_odd && add_fault(chain));
}
