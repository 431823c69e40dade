/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Splits a capture file by the filters of stage.h, each to FOLDER/<k>.pcap, k from 0: with
 * capweir's pipeline, or with the natural program, a plain loop over libpcap: one thread, one
 * filter after the other, libpcap's reading and writing.
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
	const char *const *filters; /* filter_count filters; NULL: those of cw_stage_filter */
	uint32_t threads;           /* capweir's workers */
};

struct cw_split_result {
	uint64_t packets;       /* packets read */
	uint64_t bytes;         /* captured bytes of these */
	uint64_t written;       /* records written */
	uint64_t written_bytes; /* captured bytes of these */
	uint64_t lost;          /* records lost instead of written */
	struct cw_stage_time time;
};

/* Both time everything from compiling the filters to closing the files. Return 0, or a negative
 * errno and `text`; a lost record is a failure. */
int cw_stage_split(const struct cw_stage_split_options *options, struct cw_split_result *result,
		   char text[CW_STAGE_TEXT_BYTES]);
int cw_stage_split_natural(const struct cw_stage_split_options *options,
			   struct cw_split_result *result, char text[CW_STAGE_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
