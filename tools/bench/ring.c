/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir bench ring: passes pointers from one thread to others, through the pipeline's ring and
 * through a queue with a mutex, in turns. The limit is the transfer rate of cache lines. */
#include "bench/stages/ring.h"
#include "tools/bench/bench.h"
#include "tools/bench/folder.h"

static const char *const way_names[CW_STAGE_RING_WAYS] = {"ring", "mutex"};

/* Measures a row once, after a pass without a clock, which fills the caches. */
static int measure_row(struct cw_bench_row *row, uint32_t index)
{
	enum cw_stage_ring_way way = (enum cw_stage_ring_way)(index % CW_STAGE_RING_WAYS);
	char text[CW_STAGE_TEXT_BYTES];
	struct cw_stage_time time;

	if (cw_stage_ring(way, row->threads, row->packets, &time, text) < 0 ||
	    cw_stage_ring(way, row->threads, row->packets, &time, text) < 0)
		return cw_fail("%s", text);
	cw_bench_row_sample(row, &time, row->packets);
	return 0;
}

static int measure(struct cw_bench_table *table)
{
	int result = 0;

	for (uint64_t round = 0; round < table->rounds; round++)
		for (uint32_t turn = 0; turn < table->row_count && result == 0; turn++) {
			uint32_t index = cw_bench_table_turn(table, round, turn);

			result = measure_row(&table->rows[index], index);
		}
	return result;
}

static int add_rows(struct cw_bench_table *table, const struct cw_arguments *arguments,
		    const struct cw_bench_list *threads, double limit)
{
	for (uint32_t index = 0; index < threads->count * CW_STAGE_RING_WAYS; index++) {
		struct cw_bench_row *row = cw_bench_table_add(table);

		if (!row)
			return CW_EXIT_PROBLEM;
		row->program = way_names[index % CW_STAGE_RING_WAYS];
		row->threads = (uint32_t)threads->numbers[index / CW_STAGE_RING_WAYS];
		row->packets = arguments->traffic.packets;
		row->bytes = arguments->traffic.packets * sizeof(void *);
		row->limit_ns = limit > 0 ? (double)sizeof(void *) / limit : 0;
	}
	return 0;
}

int cw_bench_ring(const struct cw_arguments *arguments)
{
	struct cw_bench_table table = {
	    .bench = "ring",
	    .unit = "item",
	    .threads = "threads",
	    .limit = "transfer of the pointers' bytes from core to core, as cache lines",
	    .rounds = (uint32_t)arguments->bench.repeat};
	uint32_t cores = cw_bench_cores();
	struct cw_bench_list threads = {.numbers = {1, cores - 1}, .count = cores > 2 ? 2 : 1};
	char text[CW_STAGE_TEXT_BYTES];
	struct cw_stage_rate rate;
	int result;

	if (arguments->rest.count != 1 || arguments->traffic.packets == 0 ||
	    arguments->traffic.packets > UINT32_MAX)
		return cw_refuse("bench ring takes no other words, and --packets from 1 to %u",
				 UINT32_MAX);
	result = cw_bench_list_parse(&threads, "-t", arguments->bench.threads, 1,
				     CW_STAGE_CONSUMERS_MAX);
	if (result == 0 && cw_stage_handover(&rate, text) < 0)
		result = cw_fail("%s", text);
	if (result == 0) {
		table.limits = json_pack("{s:[o]}", "handover", cw_bench_rate_json(2, &rate));
		result = add_rows(&table, arguments, &threads, rate.gb_per_s);
	}
	if (result == 0)
		result = measure(&table);
	if (result == 0)
		result = cw_bench_table_print(&table, arguments->json);
	cw_bench_table_fini(&table);
	return result;
}
