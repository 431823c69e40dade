/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Capturing from a device while another process sends on the other end of its cable, or while
 * nobody does: by capweir's pipeline, and by the natural program with libpcap.
 */
#ifndef CW_BENCH_STAGES_CAPTURE_H
#define CW_BENCH_STAGES_CAPTURE_H

#include <stdbool.h>

#include "bench/stages/stage.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CW_STAGE_FRAME_BYTES_MIN 60u
#define CW_STAGE_FRAME_BYTES_MAX 1514u

struct cw_stage_capture_options {
	const char *device;
	const char *sender; /* the device to send on; NULL: what comes, comes */
	const char *folder; /* where the files go */
	uint32_t
	    filter_count; /* that take a source address each; frames have all of these. 1: all */
	const char *const *filters; /* of so many; NULL: those */
	uint32_t queues;
	bool is_xdp;
	uint32_t frame_bytes;
	uint64_t rate; /* frames a second; 0: as many as a socket takes */
	uint32_t duration_ms;
};

struct cw_capture_result {
	uint64_t sent; /* frames that the kernel took; 0 without a sender */
	uint64_t received;
	uint64_t bytes;                  /* captured */
	uint64_t dropped;                /* as the tool is told by the kernel */
	uint64_t lost_before_tap;        /* as the device says; capweir only */
	uint64_t written, written_bytes; /* records, captured bytes of these */
	uint64_t unwritten;              /* records that were to be written and were not */
	double traffic_ns;               /* that sending took; without a sender the duration */
	struct cw_stage_time time;       /* from the first frame to the last file's end */
};

/*
 * The sender runs on the first core that this process may use, what captures on the others. 0; or a
 * negative errno and `text`. Losing packets is no failure: they are in the result.
 */
int cw_stage_capture(const struct cw_stage_capture_options *options,
		     struct cw_capture_result *result, char text[CW_STAGE_TEXT_BYTES]);
int cw_stage_capture_natural(const struct cw_stage_capture_options *options,
			     struct cw_capture_result *result, char text[CW_STAGE_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
