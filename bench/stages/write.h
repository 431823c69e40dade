/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes packets in memory to capture files, one file for each thread. */
#ifndef CW_BENCH_STAGES_WRITE_H
#define CW_BENCH_STAGES_WRITE_H

#include "bench/stages/stage.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CW_STAGE_WRITERS_MAX 256u

enum cw_stage_write_way {
	CW_STAGE_DUMPER,  /* the library's dumper */
	CW_STAGE_OUTFILE, /* the writer of the pipeline's outputs, through the page cache */
	CW_STAGE_DIRECT,  /* the same writer past the page cache (O_DIRECT, io_uring) */
	CW_STAGE_PCAP_DUMP,
	CW_STAGE_WRITE_WAYS,
};

/* Returns the name in results. */
const char *cw_stage_write_name(enum cw_stage_write_way way);

struct cw_write_result {
	uint64_t packets;
	uint64_t bytes; /* captured bytes */
	struct cw_stage_time time;
};

struct cw_stage_write_options {
	enum cw_stage_write_way way;
	const char *folder;
	uint32_t threads;
	uint64_t packet_count; /* packets of each thread */
	uint32_t packet_bytes; /* bytes of each packet, 1 to 65,535 */
};

/*
 * Each thread writes its packets to a new file FOLDER/<k>.pcap. The time is from opening to
 * closing; only direct writing waits for the disk. Returns 0; -EOPNOTSUPP if direct writing is not
 * available; or a negative errno and `text`.
 */
int cw_stage_write(const struct cw_stage_write_options *options, struct cw_write_result *result,
		   char text[CW_STAGE_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
