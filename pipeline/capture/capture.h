/* SPDX-License-Identifier: BSD-3-Clause */
/* The capture threads' way to the workers. */
#ifndef CW_PIPELINE_CAPTURE_H
#define CW_PIPELINE_CAPTURE_H

#include "pipeline/run/lane.h"

/* The threads: of a run that reads files, and of a live queue. */
void *cw_capture_main(void *lane);
void *cw_capture_live_main(void *lane);

/* The capture thread: number the batch, whose span and lease are set, and give it to the workers.
 */
void cw_lane_hand_out(struct cw_lane *lane, struct cw_batch *batch, uint32_t input);

/* The capture thread, once: nothing more will be handed out. */
void cw_lane_end(struct cw_lane *lane);

#endif
