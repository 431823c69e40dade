/* SPDX-License-Identifier: BSD-3-Clause */
/* A process that sends frames on an interface for a given time. */
#ifndef CW_BENCH_STAGES_SENDER_H
#define CW_BENCH_STAGES_SENDER_H

#include <sched.h>
#include <sys/types.h>

#include "bench/stages/capture.h"

struct cw_sender {
	pid_t process; /* 0: no sender */
	int go_fd, result_fd;
	cpu_set_t cores; /* cores of this process before the start */
};

/* Fills the filter for frames of source `index` of `count`; "" if there is only one source. */
void cw_sender_filter(uint32_t index, uint32_t count, char filter[CW_STAGE_FILTER_BYTES]);

/* Starts the process, not sending yet, and leaves the first core to it. Call before the first
 * thread. */
int cw_sender_start(struct cw_sender *sender, const struct cw_stage_capture_options *options,
		    char text[CW_STAGE_TEXT_BYTES]);

/* Starts sending. */
void cw_sender_go(struct cw_sender *sender);

/* Waits up to `timeout_ms` for the end of sending. Returns 1 at the end, with `sent` frames in
 * `ns`; 0 before; or a negative errno and `text`. After any result but 0, call only cw_sender_stop.
 */
int cw_sender_wait(struct cw_sender *sender, int timeout_ms, uint64_t *sent, double *ns,
		   char text[CW_STAGE_TEXT_BYTES]);

void cw_sender_stop(struct cw_sender *sender);

#endif
