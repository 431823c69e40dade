/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir bench limits: the limits of this machine, the base of other results' fractions. */
#include "tools/bench/bench.h"
#include "tools/bench/folder.h"

static int measure(struct cw_bench_table *table, const struct cw_bench_list *threads,
		   const char *folder)
{
	char text[CW_STAGE_TEXT_BYTES];
	struct cw_stage_rate rate;
	int limit;

	for (limit = 0; limit < CW_STAGE_LIMITS; limit++)
		for (uint32_t index = 0; index < threads->count; index++)
			if (cw_bench_limit(table, (enum cw_stage_limit)limit, folder,
					   (uint32_t)threads->numbers[index]) <= 0)
				return CW_EXIT_PROBLEM;
	if (cw_stage_handover(&rate, text) < 0)
		return cw_fail("%s", text);
	if (rate.gb_per_s > 0) /* two cores or more */
		json_object_set_new(table->limits, "handover",
				    json_pack("[o]", cw_bench_rate_json(2, &rate)));
	return 0;
}

static int run(const struct cw_arguments *arguments, const char *folder)
{
	struct cw_bench_table table = {.bench = "limits",
				       .unit = "packet",
				       .threads = "threads",
				       .limit = "these are the limits",
				       .rounds = CW_STAGE_LIMIT_ROUNDS};
	uint32_t cores = cw_bench_cores();
	struct cw_bench_list threads = {.numbers = {1, cores}, .count = cores > 1 ? 2 : 1};
	int result = cw_bench_list_parse(&threads, "-t", arguments->bench.threads, 1,
					 CW_STAGE_LIMIT_THREADS_MAX);

	if (result == 0)
		result = measure(&table, &threads, folder);
	if (result == 0)
		result = cw_bench_table_print(&table, arguments->json);
	cw_bench_table_fini(&table);
	return result;
}

int cw_bench_limits(const struct cw_arguments *arguments)
{
	return cw_bench_in_folder(arguments, run);
}
