/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Live capture by capweir's pipeline and by the natural program with libpcap, while another process
 * sends on the other end of the cable. Without a sender, any traffic of the interface is captured.
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
	const char *device; /* interface to capture on */
	const char *sender; /* interface to send on; NULL: no sender */
	const char *folder; /* for the files */
	/* One source address each; the frames have all of them. 1: a filter that passes all. */
	uint32_t filter_count;
	const char *const *filters; /* filter_count filters; NULL: those above */
	uint32_t queues;
	bool is_xdp;
	uint32_t frame_bytes;
	uint64_t rate; /* frames/s; 0: the most that a socket accepts */
	uint32_t duration_ms;
};

struct cw_capture_result {
	uint64_t sent;                   /* frames accepted by the kernel; 0 without a sender */
	uint64_t received;               /* packets */
	uint64_t bytes;                  /* captured bytes */
	uint64_t dropped;                /* packets, as the kernel reports to the tool */
	uint64_t lost_before_tap;        /* packets, by the interface's counters; capweir only */
	uint64_t written, written_bytes; /* records, their captured bytes */
	uint64_t unwritten;              /* records lost instead of written */
	double traffic_ns;               /* duration of sending; without a sender, of the capture */
	struct cw_stage_time time;       /* from the first frame to the end of the last file */
};

/*
 * The sender runs on the first core that this process may use, the capture on the others. Return 0,
 * or a negative errno and `text`. Lost packets are counted in the result and are not a failure.
 */
int cw_stage_capture(const struct cw_stage_capture_options *options,
		     struct cw_capture_result *result, char text[CW_STAGE_TEXT_BYTES]);
int cw_stage_capture_natural(const struct cw_stage_capture_options *options,
			     struct cw_capture_result *result, char text[CW_STAGE_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
