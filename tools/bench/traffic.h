/* SPDX-License-Identifier: BSD-3-Clause */
/* The capture files of a benchmark: the user's FILE, or generated traffic of several profiles. */
#ifndef CW_TOOLS_BENCH_TRAFFIC_H
#define CW_TOOLS_BENCH_TRAFFIC_H

#include "tools/options/options.h"

#define CW_BENCH_PATH_BYTES 4096u
#define CW_BENCH_TRAFFIC_MAX 8u

struct cw_bench_traffic {
	char name[64]; /* profile, or name of the file, for terminals */
	char path[CW_BENCH_PATH_BYTES];
	uint64_t file_bytes;
};

struct cw_bench_traffic_list {
	struct cw_bench_traffic at[CW_BENCH_TRAFFIC_MAX];
	uint32_t count;
	bool is_generated;
};

/*
 * Fills the list with the one FILE of "bench NAME [FILE]", or else generates a file in `folder` for
 * each profile of --profile, or of `profiles`, separated by commas. Returns 0 or an exit status
 * after an error message.
 */
int cw_bench_find_traffic(struct cw_bench_traffic_list *list, const struct cw_arguments *arguments,
			  const char *profiles, const char *folder);

#endif
