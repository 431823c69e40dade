/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The capture thread of a live queue: takes blocks from the kernel ring and hands them out. It
 * copies nothing. While it waits for workers, packets gather in the kernel ring; when that is full,
 * the kernel drops packets and counts them.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "pipeline/capture/capture.h"

#define WAIT_MS 200
#define HORIZON_EXTRA_MS 10u
#define PUBLISH_EVERY_NS (UINT64_C(100) * 1000000)

static void add_stats(struct cw_live_stats *sum, const struct cw_live_stats *more)
{
	sum->kernel_seen += more->kernel_seen;
	sum->kernel_dropped += more->kernel_dropped;
	sum->freezes += more->freezes;
	sum->received += more->received;
	sum->left += more->left;
	sum->blocks += more->blocks;
	sum->wakeups += more->wakeups;
	sum->stalls += more->stalls;
	sum->downs += more->downs;
	sum->is_uncounted |= more->is_uncounted;
	sum->ring_blocks = more->ring_blocks; /* current values, not sums */
	sum->ring_used = more->ring_used;
}

/* Adds up the queue's counters over all interfaces it was on, and publishes some for progress. */
static void publish(struct cw_lane *lane, struct cw_live *live)
{
	struct cw_live_stats stats;

	lane->capture.stats = lane->capture.past;
	if (live) {
		cw_live_stats(live, lane->queue, &stats);
		add_stats(&lane->capture.stats, &stats);
	}
	atomic_store_explicit(&lane->shared.seen, lane->capture.stats.kernel_seen,
			      memory_order_relaxed);
	atomic_store_explicit(&lane->shared.dropped, lane->capture.stats.kernel_dropped,
			      memory_order_relaxed);
	atomic_store_explicit(&lane->shared.ring_blocks, lane->capture.stats.ring_blocks,
			      memory_order_relaxed);
	atomic_store_explicit(&lane->shared.ring_used, lane->capture.stats.ring_used,
			      memory_order_relaxed);
	atomic_store_explicit(&lane->shared.frozen, lane->capture.stats.freezes,
			      memory_order_relaxed);
}

static void publish_if_due(struct cw_lane *lane, struct cw_live *live, uint64_t *due_ns)
{
	uint64_t now_ns = cw_now_ns();

	if (now_ns < *due_ns)
		return;
	*due_ns = now_ns + PUBLISH_EVERY_NS;
	publish(lane, live);
}

/* Returns the time that the kernel keeps a block open. */
static uint32_t find_retire_ms(const struct cw_capture *capture)
{
	uint32_t asked = capture->run->options.live.retire_ms;

	return asked ? asked : CW_LIVE_RETIRE_MS;
}

/*
 * Publishes the horizon when no block was ready: packets older than the time that the kernel keeps
 * a block open were handed out. Uses twice that time and a little more, because the kernel's timer
 * is not exact.
 */
static void publish_horizon(struct cw_lane *lane)
{
	uint64_t kept_ns =
	    (2 * (uint64_t)find_retire_ms(lane->owner) + HORIZON_EXTRA_MS) * (CW_NS_PER_S / 1000);
	uint64_t now_ns = cw_wall_ns();

	/* [TIME-1] release */
	if (now_ns > kept_ns)
		atomic_store_explicit(&lane->shared.horizon_ns, now_ns - kept_ns,
				      memory_order_release);
}

/* Lets go of an interface that is gone or fails; the keeper reopens it. */
static void let_go(struct cw_lane *lane, struct cw_live *live)
{
	publish(lane, live);
	lane->capture.past = lane->capture.stats;
	lane->capture.stopped = NULL;
	/* [TIME-1] No packet will come until the keeper has reopened the interface. */
	atomic_store_explicit(&lane->shared.horizon_ns, UINT64_MAX, memory_order_release);
	/* [TAP-1] release */
	atomic_store_explicit(&lane->shared.live, NULL, memory_order_release);
	cw_run_wake_keeper(lane->owner->run);
}

/* Handles a result of cw_live_next other than a span. False: the queue has ended. */
static bool handle(struct cw_lane *lane, struct cw_live *live, uint32_t seen, int result)
{
	switch (result) {
	case 0:
	case -EINTR:
	case -ENETDOWN: /* recovers by itself; the keeper reports it */
		return true;
	case -EAGAIN:
		cw_gate_wait(&lane->shared.gate, seen);
		return true;
	case -ENODATA:
		if (atomic_load(&lane->owner->run->is_stopping))
			return false;
		let_go(lane, live); /* the last packets of a replaced interface were taken */
		return true;
	default:
		if (result != -ENODEV)
			cw_run_tell(lane->owner->run, CW_PROBLEM,
				    "cannot capture from %s, queue %u: %s",
				    lane->owner->inputs->at[lane->input].path, lane->queue,
				    strerror(-result));
		let_go(lane, live);
		return true;
	}
}

/* Stops the interface's queue, once, if the run ends or another interface has the name. */
static void stop_if_due(struct cw_lane *lane, struct cw_live *live)
{
	struct cw_capture *capture = lane->owner;
	int result;

	if (lane->capture.stopped == live ||
	    (!atomic_load(&capture->run->is_stopping) &&
	     !atomic_load(&capture->taps[lane->input].is_replaced)))
		return;
	result = cw_live_stop(live, lane->queue);
	if (result < 0 && result != -ENODEV) /* the queue ends by the clock */
		cw_run_tell(capture->run, CW_WARNING, "cannot stop capturing from %s, queue %u: %s",
			    capture->inputs->at[lane->input].path, lane->queue, strerror(-result));
	lane->capture.stopped = live;
}

void *cw_capture_live_main(void *argument)
{
	struct cw_lane *lane = argument;
	struct cw_capture *capture = lane->owner;
	struct cw_live *live = NULL;
	struct cw_batch *batch = NULL;
	uint64_t due_ns = 0;
	bool goes_on = true;
	int wait_ms = capture->run->options.is_time_order ? (int)find_retire_ms(capture) : WAIT_MS;

	if (capture->run->is_reloadable)
		cw_generation_join(lane);
	cw_run_pin_thread(capture->run, lane->cpu, capture->run->options.realtime);
	/* This thread touches the batches' memory first. */
	cw_run_prefer_device(capture->run, capture->taps[lane->input].device);
	while (goes_on) {
		uint32_t seen = cw_gate_look(&lane->shared.gate);
		int result;

		/* [TAP-1] acquire */
		live = atomic_load_explicit(&lane->shared.live, memory_order_acquire);
		if (atomic_load(&capture->run->is_stopping) &&
		    (!live || atomic_load(&capture->run->is_giving_up)))
			break;
		if (live)
			stop_if_due(lane, live);
		if (live && !batch)
			batch = cw_lane_take_batch(lane);
		if (!live || !batch) {
			publish_if_due(lane, live, &due_ns);
			cw_gate_wait(&lane->shared.gate, seen);
			continue;
		}
		result = cw_live_next(live, lane->queue, capture->run->options.sizes.batch_records,
				      wait_ms, &batch->span, &batch->lease);
		publish_if_due(lane, live, &due_ns);
		if (result == 0 && capture->run->options.is_time_order)
			publish_horizon(lane);
		if (result == 1) {
			cw_lane_hand_out(lane, batch, lane->input);
			batch = NULL;
		} else {
			goes_on = handle(lane, live, seen, result);
		}
	}
	publish(lane, live);
	if (lane->capture.stats.is_uncounted)
		cw_run_tell(capture->run, CW_PROBLEM,
			    "cannot read the kernel's counters of %s, queue %u: packets that the "
			    "kernel dropped may not be counted",
			    capture->inputs->at[lane->input].path, lane->queue);
	if (lane->capture.is_reader)
		cw_generation_leave(lane);
	cw_lane_end(lane);
	cw_run_thread_ends(capture->run);
	return NULL;
}
