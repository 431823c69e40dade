/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capweir bench split: the complete pipeline on a capture file in the page cache, by number of
 * threads, number of rules and kind of traffic, in turns with a plain libpcap loop. The limit is
 * the least time on this machine to walk through the input once and to write the output once.
 */
#include <errno.h>
#include <stdlib.h>

#include "bench/stages/split.h"
#include "core/base/plural.h"
#include "tools/bench/bench.h"
#include "tools/bench/folder.h"
#include "tools/bench/traffic.h"

#define SPARE_BYTES (UINT64_C(64) << 20) /* memory to prepare in addition to the output */
#define SLOW_NS 5e9                      /* longer runs are measured once */

struct split {
	const struct cw_arguments *arguments;
	const char *folder;
	struct cw_bench_traffic_list traffic;
	struct cw_bench_list threads, rule_counts;
	struct cw_rules rules;
	const char **filters; /* filters of the rules; NULL: generated ones */
	struct cw_bench_table table;
};

/* ---- what to measure ---- */

static int choose(struct split *split)
{
	const struct cw_arguments *arguments = split->arguments;
	uint32_t cores = cw_bench_cores();
	int result;

	split->threads = (struct cw_bench_list){.numbers = {1, cores}, .count = cores > 1 ? 2 : 1};
	split->rule_counts = (struct cw_bench_list){.numbers = {8}, .count = 1};
	if (arguments->rules.file && arguments->bench.rule_counts)
		return cw_refuse(
		    "-R and --rule-count exclude each other: --rule-count generates rules");
	result = cw_bench_list_parse(&split->threads, "-t", arguments->bench.threads, 1, 256);
	if (result == 0)
		result = cw_bench_list_parse(&split->rule_counts, "--rule-count",
					     arguments->bench.rule_counts, 1, CW_STAGE_FILTERS_MAX);
	if (result == 0 && arguments->rules.file)
		result = cw_bench_filters(arguments, &split->rules, &split->filters,
					  &split->rule_counts);
	if (result == 0)
		result = cw_bench_find_traffic(&split->traffic, arguments, "imix", split->folder);
	split->table.has_seed = split->traffic.is_generated;
	split->table.seed = arguments->traffic.seed;
	return result;
}

/* ---- measuring ---- */

/* Adds the rows in the order of these loops; threads 0 is libpcap. */
static int add_rows(struct split *split)
{
	uint32_t traffic, rules, threads;

	for (traffic = 0; traffic < split->traffic.count; traffic++)
		for (rules = 0; rules < split->rule_counts.count; rules++)
			for (threads = 0; threads <= split->threads.count; threads++) {
				struct cw_bench_row *row = cw_bench_table_add(&split->table);

				if (!row)
					return CW_EXIT_PROBLEM;
				row->program = threads ? "capweir" : "libpcap";
				row->traffic = split->traffic.at[traffic].name;
				row->rule_count = (uint32_t)split->rule_counts.numbers[rules];
				row->threads =
				    threads ? (uint32_t)split->threads.numbers[threads - 1] : 1;
			}
	return 0;
}

static int measure_row(struct split *split, uint32_t index, uint64_t round)
{
	struct cw_bench_row *row = &split->table.rows[index];
	const struct cw_bench_traffic *traffic =
	    &split->traffic.at[index / (split->rule_counts.count * (split->threads.count + 1))];
	bool is_natural = index % (split->threads.count + 1) == 0;
	struct cw_stage_split_options options = {.path = traffic->path,
						 .filter_count = row->rule_count,
						 .filters = split->filters,
						 .threads = row->threads};
	char folder[CW_BENCH_PATH_BYTES], text[CW_STAGE_TEXT_BYTES];
	struct cw_split_result result;
	int status;

	if (row->is_left_out)
		return 0;
	if (row->sample_count && round && row->wall_ns[0] * (double)row->packets > SLOW_NS)
		return 0;
	status = cw_bench_subfolder(split->folder, "out", folder, sizeof(folder));
	if (status)
		return status;
	options.folder = folder;
	cw_stage_warm_file(traffic->path);
	cw_stage_touch_memory(
	    SPARE_BYTES +
	    (row->packets ? row->written_bytes + 16 * row->written : traffic->file_bytes) / 4 * 5);
	status = is_natural ? cw_stage_split_natural(&options, &result, text)
			    : cw_stage_split(&options, &result, text);
	cw_stage_empty(folder);
	if (status < 0 && is_natural && !round) { /* capweir may still succeed */
		cw_complain("warning: libpcap, %u rule%s, %s: %s; left out", row->rule_count,
			    cw_plural(row->rule_count), traffic->name, text);
		row->is_left_out = true;
		return 0;
	}
	if (status < 0) {
		cw_complain("%s, %u rule%s, %s: %s", row->program, row->rule_count,
			    cw_plural(row->rule_count), traffic->name, text);
		return status == -EINVAL ? CW_EXIT_USAGE : CW_EXIT_PROBLEM;
	}
	row->packets = result.packets;
	row->bytes = result.bytes;
	row->written = result.written;
	row->written_bytes = result.written_bytes;
	row->unwritten += result.lost;
	if (round || result.time.wall_ns > SLOW_NS)
		cw_bench_row_sample(row, &result.time, result.packets);
	return 0;
}

/* Checks that both programs wrote the same. */
static int check_rows(const struct split *split)
{
	uint32_t index, first = 0;

	for (index = 0; index < split->table.row_count; index++) {
		const struct cw_bench_row *row = &split->table.rows[index], *natural;

		if (index % (split->threads.count + 1) == 0)
			first = index;
		natural = &split->table.rows[first];
		if (natural->is_left_out ||
		    (row->packets == natural->packets && row->written == natural->written &&
		     row->written_bytes == natural->written_bytes))
			continue;
		return cw_fail(
		    "%s, %u rule%s: capweir wrote %llu records of %llu packets, libpcap %llu of "
		    "%llu",
		    row->traffic, row->rule_count, cw_plural(row->rule_count),
		    (unsigned long long)row->written, (unsigned long long)row->packets,
		    (unsigned long long)natural->written, (unsigned long long)natural->packets);
	}
	return 0;
}

static int find_limits(struct split *split)
{
	for (uint32_t index = 0; index < split->table.row_count; index++) {
		struct cw_bench_row *row = &split->table.rows[index];
		double walk =
		    cw_bench_limit(&split->table, CW_STAGE_WALK, split->folder, row->threads);
		double write =
		    cw_bench_limit(&split->table, CW_STAGE_WRITE, split->folder, row->threads);

		if (walk <= 0 || write <= 0)
			return CW_EXIT_PROBLEM;
		if (row->packets)
			row->limit_ns =
			    ((double)row->bytes / walk + (double)row->written_bytes / write) /
			    (double)row->packets;
	}
	return 0;
}

static int run(const struct cw_arguments *arguments, const char *folder)
{
	struct split split = {
	    .arguments = arguments,
	    .folder = folder,
	    .table = {.bench = "split",
		      .unit = "packet",
		      .threads = "threads",
		      .limit =
			  "walking through the input and writing the output, at the rates above",
		      .rounds = (uint32_t)arguments->bench.repeat}};
	uint64_t round;
	int result = choose(&split);

	if (result == 0)
		result = add_rows(&split);
	for (round = 0; round <= arguments->bench.repeat && result == 0; round++)
		for (uint32_t turn = 0; turn < split.table.row_count && result == 0; turn++)
			result = measure_row(&split, cw_bench_table_turn(&split.table, round, turn),
					     round);
	if (result == 0)
		result = check_rows(&split);
	if (result == 0)
		result = find_limits(&split);
	if (result == 0)
		cw_bench_table_prune(&split.table);
	if (result == 0)
		result = cw_bench_table_print(&split.table, arguments->json);
	cw_bench_table_fini(&split.table);
	cw_rules_fini(&split.rules);
	free(split.filters);
	return result;
}

int cw_bench_split(const struct cw_arguments *arguments)
{
	return cw_bench_in_folder(arguments, run);
}
