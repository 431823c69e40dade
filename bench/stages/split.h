/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Splitting a capture file by the filters of stage.h, each to FOLDER/<k>.pcap, k from 0: by
 * capweir's pipeline, and by the program that one naturally writes with libpcap: one thread, one
 * filter after the other, libpcap's own reading and writing.
 */
#ifndef CW_BENCH_STAGES_SPLIT_H
#define CW_BENCH_STAGES_SPLIT_H

#include "bench/stages/stage.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cw_stage_split_options {
	const char *path;
	const char *folder;
	uint32_t filter_count;
	const char *const *filters; /* of so many; NULL: cw_stage_filter's */
	uint32_t threads;           /* capweir's workers */
};

struct cw_split_result {
	uint64_t packets;       /* read, */
	uint64_t bytes;         /* and what of them was captured */
	uint64_t written;       /* records */
	uint64_t written_bytes; /* captured bytes of these */
	uint64_t lost;          /* records that were to be written and were not */
	struct cw_stage_time time;
};

/* Both time all from compiling the filters to closing the files. 0, or a negative errno and `text`;
 * not writing everything is a failure. */
int cw_stage_split(const struct cw_stage_split_options *options, struct cw_split_result *result,
		   char text[CW_STAGE_TEXT_BYTES]);
int cw_stage_split_natural(const struct cw_stage_split_options *options,
			   struct cw_split_result *result, char text[CW_STAGE_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
