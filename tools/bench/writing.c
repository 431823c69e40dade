/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir bench write: writes packets in memory to capture files, one file a thread, with each of
 * capweir's writers and libpcap's pcap_dump in turns. The limit is write() of 1 MiB blocks. */
#include <errno.h>

#include "bench/stages/write.h"
#include "tools/bench/bench.h"
#include "tools/bench/folder.h"

#define FILE_BYTES (UINT64_C(128) << 20) /* per file, without --packets */
#define FILE_BYTES_MAX (UINT64_C(64) << 30)

struct writing {
	const struct cw_arguments *arguments;
	const char *folder;
	struct cw_bench_list threads, sizes;
	struct cw_bench_table table;
	bool has_no_direct; /* direct writing is not available; reported */
};

static enum cw_stage_write_way way_of(uint32_t index)
{
	return (enum cw_stage_write_way)(index % CW_STAGE_WRITE_WAYS);
}

static int add_rows(struct writing *writing)
{
	uint32_t size, threads, way;

	for (size = 0; size < writing->sizes.count; size++)
		for (threads = 0; threads < writing->threads.count; threads++)
			for (way = 0; way < CW_STAGE_WRITE_WAYS; way++) {
				struct cw_bench_row *row = cw_bench_table_add(&writing->table);

				if (!row)
					return CW_EXIT_PROBLEM;
				row->program = cw_stage_write_name(way_of(way));
				row->packet_bytes = (uint32_t)writing->sizes.numbers[size];
				row->threads = (uint32_t)writing->threads.numbers[threads];
			}
	return 0;
}

static int measure_row(struct writing *writing, uint32_t index, uint64_t round)
{
	struct cw_bench_row *row = &writing->table.rows[index];
	uint64_t packets = writing->arguments->traffic.packets;
	char text[CW_STAGE_TEXT_BYTES], folder[4096];
	struct cw_stage_write_options options = {.way = way_of(index),
						 .folder = folder,
						 .threads = row->threads,
						 .packet_bytes = row->packet_bytes};
	struct cw_write_result result;
	int status;

	if (row->is_left_out)
		return 0;
	if (!packets)
		packets = FILE_BYTES / (row->packet_bytes + 16);
	if (packets * (row->packet_bytes + 16) > FILE_BYTES_MAX)
		return cw_refuse("bench write: --packets gives files over 64 GiB: choose fewer");
	status = cw_bench_subfolder(writing->folder, "out", folder, sizeof(folder));
	if (status)
		return status;
	cw_stage_touch_memory(row->threads * packets * (row->packet_bytes + 16));
	options.packet_count = packets;
	status = cw_stage_write(&options, &result, text);
	cw_stage_empty(folder);
	if (status == -EOPNOTSUPP) {
		if (!writing->has_no_direct)
			cw_complain("warning: %s; left out", text);
		writing->has_no_direct = row->is_left_out = true;
		return 0;
	}
	if (status < 0)
		return cw_fail("%s", text);
	row->packets = row->written = result.packets;
	row->bytes = row->written_bytes = result.bytes;
	if (round)
		cw_bench_row_sample(row, &result.time, result.packets);
	return 0;
}

static int find_limits(struct writing *writing)
{
	for (uint32_t index = 0; index < writing->table.row_count; index++) {
		struct cw_bench_row *row = &writing->table.rows[index];
		double write =
		    cw_bench_limit(&writing->table, CW_STAGE_WRITE, writing->folder, row->threads);

		if (write <= 0)
			return CW_EXIT_PROBLEM;
		row->limit_ns = (row->packet_bytes + 16) / write;
	}
	return 0;
}

static int run(const struct cw_arguments *arguments, const char *folder)
{
	uint32_t cores = cw_bench_cores();
	struct writing writing = {
	    .arguments = arguments,
	    .folder = folder,
	    .threads = {.numbers = {1, cores}, .count = cores > 1 ? 2 : 1},
	    .sizes = {.numbers = {60, 1514}, .count = 2},
	    .table = {.bench = "write",
		      .unit = "packet",
		      .threads = "threads",
		      .limit =
			  "write() of the same bytes, at the rate above (direct may exceed it)",
		      .rounds = (uint32_t)arguments->bench.repeat}};
	uint64_t round;
	int result = cw_bench_list_parse(&writing.threads, "-t", arguments->bench.threads, 1,
					 CW_STAGE_WRITERS_MAX);

	if (result == 0)
		result = cw_bench_list_parse(&writing.sizes, "--frame-size",
					     arguments->bench.frame_sizes, 1, 65535);
	if (result == 0)
		result = add_rows(&writing);
	if (result == 0)
		result = find_limits(&writing);
	for (round = 0; round <= arguments->bench.repeat && result == 0; round++)
		for (uint32_t turn = 0; turn < writing.table.row_count && result == 0; turn++)
			result = measure_row(
			    &writing, cw_bench_table_turn(&writing.table, round, turn), round);
	if (result == 0) {
		cw_bench_table_prune(&writing.table);
		result = cw_bench_table_print(&writing.table, arguments->json);
	}
	cw_bench_table_fini(&writing.table);
	return result;
}

int cw_bench_writing(const struct cw_arguments *arguments)
{
	return cw_bench_in_folder(arguments, run);
}
