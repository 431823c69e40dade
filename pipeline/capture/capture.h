/* SPDX-License-Identifier: BSD-3-Clause */
/* Where packets come in: the capture threads, and the devices of a live run. */
#ifndef CW_PIPELINE_CAPTURE_H
#define CW_PIPELINE_CAPTURE_H

#include "core/net/netdev.h"
#include "pipeline/match/generation.h"
#include "pipeline/turn/turn.h"

struct cw_capture {
	/* constant after start */
	struct cw_run *run;
	struct cw_inputs *inputs;
	struct cw_generations *generations;
	struct cw_turn *turn;
	struct cw_tap *taps; /* live: by input */
	uint32_t tap_count;
	bool is_keeper_started;
	pthread_t keeper_thread;
	/* owner: start-up, then the keeper */
	struct cw_netdev_probe *probe; /* NULL: losses before the tap stay unknown */
};

/* The threads: of a run that reads files, and of a live queue. */
void *cw_capture_main(void *lane);
void *cw_capture_live_main(void *lane);

/* The capture thread: number the batch, whose span and lease are set, and give it to the workers.
 */
void cw_lane_hand_out(struct cw_lane *lane, struct cw_batch *batch, uint32_t input);

/* The capture thread, once: nothing more will be handed out. */
void cw_lane_end(struct cw_lane *lane);

#endif
