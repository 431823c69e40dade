/* SPDX-License-Identifier: BSD-3-Clause */
/* A process that sends frames on a device, for as long as it was told. */
#ifndef CW_BENCH_STAGES_SENDER_H
#define CW_BENCH_STAGES_SENDER_H

#include <sched.h>
#include <sys/types.h>

#include "bench/stages/capture.h"

struct cw_sender {
	pid_t process; /* 0: nobody sends */
	int go_fd, result_fd;
	cpu_set_t cores; /* that this process could use before */
};

/* The filter that takes the frames of source k of `count`; "" when there is only one. */
void cw_sender_filter(uint32_t index, uint32_t count, char filter[CW_STAGE_FILTER_BYTES]);

/* Make it, not sending yet, and leave the first core to it. Before this process has threads. */
int cw_sender_start(struct cw_sender *sender, const struct cw_stage_capture_options *options,
		    char text[CW_STAGE_TEXT_BYTES]);

/* Let it send. */
void cw_sender_go(struct cw_sender *sender);

/* Wait for its end, up to `timeout_ms`. 1: it is through, `sent` frames in `ns`; 0: not yet; or a
 * negative errno and `text`. Once it is not 0, only stop may follow. */
int cw_sender_wait(struct cw_sender *sender, int timeout_ms, uint64_t *sent, double *ns,
		   char text[CW_STAGE_TEXT_BYTES]);

void cw_sender_stop(struct cw_sender *sender);

#endif
