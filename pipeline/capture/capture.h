/* SPDX-License-Identifier: BSD-3-Clause */
/* The capture threads, and the interfaces of a live run. */
#ifndef CW_PIPELINE_CAPTURE_CAPTURE_H
#define CW_PIPELINE_CAPTURE_CAPTURE_H

#include "core/net/netdev_watch.h"
#include "pipeline/match/generation.h"
#include "pipeline/turn/turn.h"

/*
 * A tap: an interface that is captured from; each of its queues has a lane. The tap outlives the
 * interface: if the interface is removed, the lanes let go of it one by one, and the keeper opens
 * the next interface of that name for them. A tap that waits for its interface is in such a gap
 * from the start. Its interface may have fewer queues than the tap has lanes; the others stay idle.
 */
struct cw_tap {
	/* constant after start */
	const char *device;
	uint32_t lane_first, lane_count;
	bool chooses_queues; /* by the interface, as the user gave no number */

	/* owner: start-up, then the keeper, then the thread that closes the run */
	struct cw_live_options options;
	struct cw_live *live; /* NULL: the interface is gone at present */
	struct cw_live_info info;
	uint32_t queue_count; /* lanes in use, the first ones; 0: not opened yet */
	bool is_waiting;      /* not opened yet: gap_start_ns is the start of the run */
	bool has_prefilter;   /* a filter runs in the kernel */
	struct cw_netdev_watch *watch;
	struct cw_netdev_counters before, now;
	struct cw_netdev_losses losses;  /* of all interfaces of this name since the start */
	struct cw_netdev_losses earlier; /* of those that are gone */
	int counted_index;               /* ifindex that `losses` was last read of; 0: none */
	uint64_t gap_start_ns;           /* CLOCK_MONOTONIC start of the current gap; 0: none */
	uint64_t opened_ns;              /* CLOCK_MONOTONIC time of the last reopening; 0: never */
	uint64_t gap_ns;                 /* total length of ended gaps */
	uint64_t waited_ns;              /* from the start of the run to the first opening */
	uint32_t gap_count;              /* times the interface was gone */
	uint32_t event_count;
	int reopen_failure; /* last failure reported; 0 = none */
	/* shared; sequentially consistent unless an order is given: read once a batch */
	_Atomic bool is_replaced; /* another interface has the name: the lanes must let go */
	_Atomic bool is_missing;  /* not there or down; the keeper sets it */
	_Atomic uint64_t lost_before_tap; /* packets lost before any kernel ring; lower bound */
	_Atomic uint64_t rx_dropped;      /* by the interface's counter; not a loss */
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
	struct cw_netdev_probe *probe; /* NULL: losses before the tap are unknown */
};

/* The capture threads: of a run that reads files, and of a live queue. */
void *cw_capture_main(void *lane);
void *cw_capture_live_main(void *lane);

/* The capture thread: numbers a batch with span and lease, and hands it to the workers. */
void cw_lane_hand_out(struct cw_lane *lane, struct cw_batch *batch, uint32_t input);

/* The capture thread, once: ends the lane; no more batches follow. */
void cw_lane_end(struct cw_lane *lane);

/*
 * The keeper: the thread of a live run for timed work and outside events. It flushes outputs, lets
 * failed outputs try again, follows the interfaces, and ends a drain that takes too long.
 */
void *cw_keeper_main(void *capture);

/* ---- interfaces ---- */

/* Opens every interface asked for, or prepares to wait for it, and counts the lanes. Errors as
 * cw_pipeline_start. */
int cw_taps_open(struct cw_capture *capture, struct cw_error *error);

/* Makes the kernel drop packets that certainly match no rule, and truncate packets to what the
 * filters and records need; after the rules were compiled. */
void cw_taps_prefilter(struct cw_capture *capture);

/* Gives each lane its queue; after the lanes were made, before the threads start. */
void cw_taps_connect(struct cw_capture *capture);

/* Reports each interface with its link type and kernel rings. */
void cw_taps_report_start(struct cw_capture *capture);

/* The keeper: reports events of the interfaces, and opens those that came or came back. */
void cw_taps_look_after(struct cw_capture *capture, uint64_t now_ns);

/* The keeper: reads the interfaces' counters. */
void cw_taps_count(struct cw_capture *capture);

void cw_taps_fini(struct cw_capture *capture);

#endif
