/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "pipeline/run/run.h"
#include "pipeline/turn/turn.h"
#include "pipeline/state.h"

#define TICK_MS 100
#define FLUSH_EVERY_NS CW_NS_PER_S
#define COUNT_EVERY_NS CW_NS_PER_S
#define STUCK_NS (2 * CW_NS_PER_S)
#define TAPS_POLLED_MAX 64u

static void sleep_until_woken(struct cw_pipeline *pipeline)
{
	struct pollfd fds[1 + TAPS_POLLED_MAX];
	nfds_t count = 0;
	uint64_t ignored;
	uint32_t index;

	fds[count++] = (struct pollfd){.fd = pipeline->keeper_fd, .events = POLLIN};
	for (index = 0; index < pipeline->tap_count && count < CW_ARRAY_COUNT(fds); index++) {
		if (pipeline->taps[index].watch)
			fds[count++] =
			    (struct pollfd){.fd = cw_netdev_watch_fd(pipeline->taps[index].watch),
					    .events = POLLIN};
	}
	poll(fds, count, TICK_MS);
	if (fds[0].revents & POLLIN)
		(void)!read(pipeline->keeper_fd, &ignored, sizeof(ignored));
}

static void fail_outputs(void *context)
{
	struct cw_pipeline *pipeline = context;
	uint32_t index;

	for (index = 0; index < pipeline->output_count; index++) {
		if (pipeline->outputs[index].shared.state != CW_OUTPUT_FREE)
			cw_output_fail(&pipeline->outputs[index], -EINTR, false,
				       "it was not drained in time");
	}
}

/* Draining takes longer than it may: what is not written by now is lost, and counted so. */
static void give_up(struct cw_pipeline *pipeline)
{
	uint32_t index;

	atomic_store(&pipeline->is_giving_up, true);
	cw_pipeline_tell(pipeline, CW_PROBLEM,
			 "draining takes longer than %.1f s: what is not written yet is lost",
			 (double)pipeline->options.drain_ms / 1000);
	cw_turn_hold_any(pipeline, fail_outputs, pipeline);
	for (index = 0; index < pipeline->lane_count; index++)
		cw_gate_signal_all(&pipeline->lanes[index].shared.gate);
	cw_turn_run_any(pipeline);
}

/* Capture threads that wait for a batch or a lease: the kernel goes on counting, they shall too. */
static void remind_lanes(struct cw_pipeline *pipeline)
{
	uint32_t index;

	for (index = 0; index < pipeline->lane_count; index++)
		cw_gate_signal_all(&pipeline->lanes[index].shared.gate);
}

void *cw_keeper_main(void *argument)
{
	struct cw_pipeline *pipeline = argument;
	uint64_t flush_ns = 0, count_ns = 0, drain_ns = 0, given_up_ns = 0;

	while (!atomic_load(&pipeline->is_done)) {
		uint64_t now_ns;

		sleep_until_woken(pipeline);
		now_ns = cw_now_ns();
		cw_taps_look_after(pipeline, now_ns);
		cw_turn_tend_any(pipeline, now_ns, now_ns >= flush_ns);
		if (now_ns >= flush_ns)
			flush_ns = now_ns + FLUSH_EVERY_NS;
		if (now_ns >= count_ns) {
			count_ns = now_ns + COUNT_EVERY_NS;
			cw_taps_count(pipeline);
			remind_lanes(pipeline);
		}
		if (!drain_ns && atomic_load(&pipeline->is_stopping))
			drain_ns = now_ns + pipeline->options.drain_ms * (CW_NS_PER_S / 1000);
		if (drain_ns && now_ns >= drain_ns && !atomic_load(&pipeline->is_giving_up))
			give_up(pipeline);
		if (!given_up_ns && atomic_load(&pipeline->is_giving_up))
			given_up_ns = now_ns;
		if (given_up_ns && now_ns - given_up_ns > STUCK_NS)
			atomic_store(&pipeline->is_stuck, true);
	}
	cw_taps_count(pipeline);
	cw_pipeline_thread_ends(pipeline);
	return NULL;
}
