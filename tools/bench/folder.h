/* SPDX-License-Identifier: BSD-3-Clause */
/* A temporary folder for a benchmark, removed in every case; lists of parameters. */
#ifndef CW_TOOLS_BENCH_FOLDER_H
#define CW_TOOLS_BENCH_FOLDER_H

#include "pipeline/rules/rules.h"
#include "tools/options/options.h"

#define CW_BENCH_LIST_MAX 16u

/*
 * Calls `run` in a child process with a new folder below -o, or below the temporary folder. Removes
 * that folder when the child ends or a signal arrives (exit 130). Returns the status of `run`.
 */
int cw_bench_in_folder(const struct cw_arguments *arguments,
		       int (*run)(const struct cw_arguments *arguments, const char *folder));

/* Creates FOLDER/NAME unless it exists and fills `path`. Returns 0, or CW_EXIT_PROBLEM after an
 * error message. */
int cw_bench_subfolder(const char *folder, const char *name, char *path, size_t path_bytes);

/* Parses numbers separated by commas, each from least to most. A NULL text leaves the list
 * unchanged. Returns 0 or CW_EXIT_USAGE after an error message. */
struct cw_bench_list {
	uint64_t numbers[CW_BENCH_LIST_MAX];
	uint32_t count;
};
int cw_bench_list_parse(struct cw_bench_list *list, const char *option, const char *text,
			uint64_t least, uint64_t most);

/* Loads the rules of -R and fills `filters` with their filters, borrowed from `rules`; the caller
 * frees both in any case. `counts` becomes their number. Returns 0 or an exit status after an error
 * message. */
int cw_bench_filters(const struct cw_arguments *arguments, struct cw_rules *rules,
		     const char ***filters, struct cw_bench_list *counts);

#endif
