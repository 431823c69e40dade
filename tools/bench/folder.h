/* SPDX-License-Identifier: BSD-3-Clause */
/* A folder for what a benchmark writes, that goes with it whatever happens; lists of parameters. */
#ifndef CW_TOOLS_BENCH_FOLDER_H
#define CW_TOOLS_BENCH_FOLDER_H

#include "pipeline/rules/rules.h"
#include "tools/options/options.h"

#define CW_BENCH_LIST_MAX 16u

/*
 * Run a benchmark in a process of its own with a new folder in -o's, or in the temporary one. When
 * it ends, or a signal comes (exit 130), the folder is removed with what is in it. The status of
 * `run`.
 */
int cw_bench_in_folder(const struct cw_arguments *arguments,
		       int (*run)(const struct cw_arguments *arguments, const char *folder));

/* A folder in it, made when it is not there. Into `path`; 0, or CW_EXIT_PROBLEM after a complaint.
 */
int cw_bench_subfolder(const char *folder, const char *name, char *path, size_t path_bytes);

/* Numbers separated by commas, each from least to most; NULL: the list stays as it is. 0, or
 * CW_EXIT_USAGE after a complaint. */
struct cw_bench_list {
	uint64_t numbers[CW_BENCH_LIST_MAX];
	uint32_t count;
};
int cw_bench_list_parse(struct cw_bench_list *list, const char *option, const char *text,
			uint64_t least, uint64_t most);

/* The filters of -R's rules that have one, borrowed from `rules`; both to be freed in any case.
 * Their number becomes the only one of `counts`. 0, CW_EXIT_USAGE or CW_EXIT_PROBLEM after a
 * complaint. */
int cw_bench_filters(const struct cw_arguments *arguments, struct cw_rules *rules,
		     const char ***filters, struct cw_bench_list *counts);

#endif
