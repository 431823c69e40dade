/* SPDX-License-Identifier: BSD-3-Clause */
/* Where packets come in: the capture threads, and the devices of a live run. */
#ifndef CW_PIPELINE_CAPTURE_CAPTURE_H
#define CW_PIPELINE_CAPTURE_CAPTURE_H

#include "core/net/netdev_watch.h"
#include "pipeline/match/generation.h"
#include "pipeline/turn/turn.h"

/*
 * A tap: a device that is captured from, its queues read by one lane each. It outlives the device:
 * when that is removed the lanes let go of it one by one, and the keeper opens the next one of that
 * name for them.
 */
struct cw_tap {
	/* constant after start */
	const char *device;
	uint32_t lane_first, lane_count;

	/* owner: start-up, then the keeper, then who closes the run */
	struct cw_live_options options;
	struct cw_live *live; /* NULL: there is no device at present */
	struct cw_live_info info;
	bool has_prefilter; /* in the kernel */
	struct cw_netdev_watch *watch;
	struct cw_netdev_counters before, now;
	struct cw_netdev_losses losses;
	uint64_t gap_start_ns; /* CLOCK_MONOTONIC, 0: none is open */
	uint64_t opened_ns;    /* again; 0: never */
	uint64_t gap_ns;       /* of gaps that ended */
	uint32_t gap_count;    /* times the device was gone */
	uint32_t event_count;
	int reopen_failure; /* told already; 0 = none */

	/* shared; sequentially consistent where no order is said: once a batch */
	_Atomic bool is_replaced; /* by another device of that name: the lanes let go of this one */
	_Atomic uint64_t lost_before_tap; /* packets, at least; the kernel tells no ring of them */
};

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

/*
 * The keeper: the thread of a live run that does what has its time, or comes from outside. It
 * writes out what outputs keep, lets failed outputs try again, follows the devices, and ends a
 * drain that takes too long. It sleeps between.
 */
void *cw_keeper_main(void *capture);

/* ---- devices ---- */

/* Open every device asked for, count the lanes. Errors as cw_pipeline_start. */
int cw_taps_open(struct cw_capture *capture, struct cw_error *error);

/* Let the kernel leave out what no rule takes, where that is certain; after the rules were built.
 */
void cw_taps_prefilter(struct cw_capture *capture);

/* Give each lane its queue; after the lanes were made, before the threads start. */
void cw_taps_connect(struct cw_capture *capture);

/* Tell that it begins, and how. */
void cw_taps_report_start(struct cw_capture *capture);

/* The keeper: tell what happened to the devices, open again those that came back. */
void cw_taps_look_after(struct cw_capture *capture, uint64_t now_ns);

/* The keeper: read the devices' counters. */
void cw_taps_count(struct cw_capture *capture);

void cw_taps_fini(struct cw_capture *capture);

#endif
