/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The chain of a run. The capture thread cuts a run of segments from a proven position on, and
 * workers guess where each segment's first record begins. The turn proves the guesses, segment by
 * segment: the first record must begin where the last one before it ended. Nothing of a segment
 * counts before that. A walk stops at whatever the parser does not take without a thought; there,
 * and at the end of the input, the run is over: later segments are void, and the parser continues
 * in the capture thread.
 */
#ifndef CW_PIPELINE_TURN_CHAIN_H
#define CW_PIPELINE_TURN_CHAIN_H

#include "pipeline/turn/turn.h"

enum cw_chain_verdict {
	CW_CHAIN_PROVEN, /* the segment's records count */
	CW_CHAIN_AGAIN,  /* it was walked from a wrong start; segment.start is the right one now */
	CW_CHAIN_EMPTY,  /* no record begins in it */
	CW_CHAIN_VOID,   /* it lies after the end of its run */
};

/* Judges the segment of the batch in line. A batch that is proven stays so until it is taken. */
enum cw_chain_verdict cw_chain_judge(struct cw_turn *turn, struct cw_lane *lane,
				     struct cw_batch *batch);

/* Ends the run of a batch that does not count, for which the capture thread would wait. */
void cw_chain_drop(struct cw_lane *lane, const struct cw_batch *batch);

/* Takes in the batch, whose last part is reserved. [RUN-1] release: may end the run. */
void cw_chain_take(struct cw_lane *lane, const struct cw_batch *batch);

#endif
