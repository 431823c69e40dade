/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "pipeline/capture/capture.h"

#define TICK_MS 100
#define FLUSH_EVERY_NS CW_NS_PER_S
#define COUNT_EVERY_NS CW_NS_PER_S
#define STUCK_NS (2 * CW_NS_PER_S)
#define TAPS_POLLED_MAX 64u

static void sleep_until_woken(struct cw_capture *capture)
{
	struct pollfd fds[1 + TAPS_POLLED_MAX];
	nfds_t count = 0;
	uint64_t ignored;
	uint32_t index;

	fds[count++] = (struct pollfd){.fd = capture->run->keeper_fd, .events = POLLIN};
	for (index = 0; index < capture->tap_count && count < CW_ARRAY_COUNT(fds); index++) {
		if (capture->taps[index].watch)
			fds[count++] = (struct pollfd){
			    .fd = cw_netdev_watch_fd(capture->taps[index].watch), .events = POLLIN};
	}
	poll(fds, count, TICK_MS);
	if (fds[0].revents & POLLIN)
		(void)!read(capture->run->keeper_fd, &ignored, sizeof(ignored));
}

static void fail_outputs(void *context)
{
	struct cw_outputs *outputs = context;

	for (uint32_t index = 0; index < outputs->count; index++) {
		struct cw_output *output = &outputs->at[index];

		if (output->shared.state == CW_OUTPUT_FREE)
			continue;
		cw_output_fail(output, -ECANCELED, false, "its packets were not written in time");
		atomic_store(&output->shared.is_cut_off, true);
	}
}

/* Ends a drain that takes too long: packets not written by now are lost, and counted. */
static void give_up(struct cw_capture *capture)
{
	atomic_store(&capture->run->is_giving_up, true);
	cw_run_tell(capture->run, CW_PROBLEM,
		    "cannot write the last packets within %.1f s: the rest is lost. "
		    "--drain-timeout gives slow outputs more time",
		    (double)capture->run->options.drain_ms / 1000);
	cw_turn_hold_any(capture->turn, fail_outputs, capture->turn->outputs);
	cw_run_wake_lanes(capture->run);
	cw_turn_run_any(capture->turn);
}

void *cw_keeper_main(void *argument)
{
	struct cw_capture *capture = argument;
	uint64_t flush_ns = 0, count_ns = 0, give_up_ns = 0, given_up_ns = 0;

	while (!atomic_load(&capture->run->is_done)) {
		uint64_t now_ns;

		sleep_until_woken(capture);
		now_ns = cw_now_ns();
		cw_taps_look_after(capture, now_ns);
		cw_turn_tend_any(capture->turn, now_ns, now_ns >= flush_ns);
		if (now_ns >= flush_ns)
			flush_ns = now_ns + FLUSH_EVERY_NS;
		if (now_ns >= count_ns) {
			count_ns = now_ns + COUNT_EVERY_NS;
			cw_taps_count(capture);
			cw_run_wake_lanes(capture->run); /* so that they read their counters too */
		}
		if (!give_up_ns && atomic_load(&capture->run->is_stopping)) {
			give_up_ns = now_ns + capture->run->options.drain_ms * (CW_NS_PER_S / 1000);
			atomic_store(&capture->run->give_up_ns, give_up_ns);
		}
		if (give_up_ns && now_ns >= give_up_ns && !atomic_load(&capture->run->is_giving_up))
			give_up(capture);
		if (!given_up_ns && atomic_load(&capture->run->is_giving_up))
			given_up_ns = now_ns;
		if (given_up_ns && now_ns - given_up_ns > STUCK_NS)
			atomic_store(&capture->run->is_stuck, true);
		atomic_fetch_add(&capture->run->keeper_rounds, 1);
	}
	cw_taps_count(capture);
	cw_run_thread_ends(capture->run);
	return NULL;
}
