/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capweir bench serial: the CPU time of a split by thread and kind of work, by traffic and number
 * of threads, and what it says of more cores than this machine has: the serial part limits the rate
 * of any number of threads. Eight filters write to /dev/null. The CPU time of a kind hardly depends
 * on the number of cores, so that more threads than cores can be measured.
 */
#include <stdlib.h>

#include "bench/stages/serial.h"
#include "core/base/plural.h"
#include "tools/bench/bench.h"
#include "tools/bench/folder.h"
#include "tools/bench/traffic.h"
#include "tools/text/numbers.h"

/* The kinds in the order of the columns. */
static const enum cw_work kinds[CW_WORK_KINDS] = {CW_WORK_READ,  CW_WORK_TURN, CW_WORK_AGAIN,
						  CW_WORK_GUESS, CW_WORK_WALK, CW_WORK_COPY,
						  CW_WORK_WRITE, CW_WORK_IDLE};

struct row {
	const char *traffic, *path;
	uint32_t threads;
	bool is_measured;
	struct cw_serial_result best; /* of the rounds: the one with the least serial part */
};

struct serial {
	const struct cw_arguments *arguments;
	struct cw_bench_traffic_list traffic;
	struct cw_bench_list threads;
	struct row *rows;
	uint32_t row_count;
};

/* ---- measuring ---- */

static int choose(struct serial *serial, const char *folder)
{
	const struct cw_arguments *arguments = serial->arguments;
	int result = cw_bench_list_parse(&serial->threads, "-t", arguments->bench.threads, 1,
					 CW_STAGE_SERIAL_THREADS_MAX);

	if (result == 0)
		result =
		    cw_bench_find_traffic(&serial->traffic, arguments, "small,imix,large", folder);
	if (result)
		return result;
	serial->row_count = serial->traffic.count * serial->threads.count;
	serial->rows = calloc(serial->row_count, sizeof(*serial->rows));
	if (!serial->rows)
		return cw_complain_no_memory();
	for (uint32_t index = 0; index < serial->row_count; index++) {
		const struct cw_bench_traffic *traffic =
		    &serial->traffic.at[index / serial->threads.count];

		serial->rows[index] = (struct row){
		    .traffic = traffic->name,
		    .path = traffic->path,
		    .threads = (uint32_t)serial->threads.numbers[index % serial->threads.count]};
	}
	return 0;
}

static int measure_row(struct row *row)
{
	static struct cw_serial_result result;
	char text[CW_STAGE_TEXT_BYTES];

	cw_stage_warm_file(row->path);
	if (cw_stage_serial(row->path, row->threads, &result, text) < 0)
		return cw_fail("%s, %u thread%s: %s", row->traffic, row->threads,
			       cw_plural(row->threads), text);
	if (result.packets == 0)
		return cw_fail("%s: no packets", row->traffic);
	if (!row->is_measured || result.serial_ns < row->best.serial_ns)
		row->best = result;
	row->is_measured = true;
	return 0;
}

/* ---- the result ---- */

static double serial_ns(const struct row *row)
{
	return row->best.serial_ns / (double)row->best.packets;
}

/* Returns the most packets a second with this many threads on as many cores. */
static double most_per_s(const struct row *row)
{
	double shared_ns = row->best.rest_ns / (double)row->best.packets / row->threads;

	return 1e9 / (serial_ns(row) > shared_ns ? serial_ns(row) : shared_ns);
}

static json_t *thread_json(const struct row *row, const struct cw_serial_thread *thread)
{
	json_t *object = json_pack("{s:s}", "thread", thread->is_reader ? "reader" : "worker");

	for (size_t index = 0; index < CW_WORK_KINDS; index++)
		json_object_set_new(
		    object, cw_stage_work_name(kinds[index]),
		    json_real(thread->ns[kinds[index]] / (double)row->best.packets));
	return object;
}

static json_t *row_json(const struct row *row)
{
	const struct cw_serial_result *best = &row->best;
	double packets = (double)best->packets;
	json_t *threads = json_array();

	for (uint32_t index = 0; index < best->thread_count; index++)
		json_array_append_new(threads, thread_json(row, &best->threads[index]));
	return json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:o}", "traffic", row->traffic,
			 "threads", (json_int_t)row->threads, "packets", (json_int_t)best->packets,
			 "serial_ns_per_packet", serial_ns(row), "rest_ns_per_packet",
			 best->rest_ns / packets, "cpu_ns_per_packet", best->cpu_ns / packets,
			 "accounting_ns_per_packet", best->account_ns / packets,
			 "packets_per_s_max", most_per_s(row), "work", threads);
}

static json_t *serial_json(const struct serial *serial)
{
	json_t *rows = json_array(), *result;

	for (uint32_t index = 0; index < serial->row_count; index++)
		json_array_append_new(rows, row_json(&serial->rows[index]));
	result = json_pack("{s:i, s:s, s:o, s:I, s:s, s:o}", "version", 1, "bench", "serial",
			   "machine", cw_bench_machine(), "rounds",
			   (json_int_t)serial->arguments->bench.repeat, "limit",
			   "one thread does the serial part, all share the rest", "results", rows);
	if (serial->traffic.is_generated)
		json_object_set_new(result, "seed",
				    json_integer((json_int_t)serial->arguments->traffic.seed));
	return result;
}

/* Prints the sums over the reader, or over all workers. */
static void print_threads(const struct row *row, bool is_reader)
{
	cw_print(stdout, "%-14.14s %7u %-7s", row->traffic, row->threads,
		 is_reader ? "reader" : "workers");
	for (size_t index = 0; index < CW_WORK_KINDS; index++) {
		double ns = 0;

		for (uint32_t thread = 0; thread < row->best.thread_count; thread++)
			if (row->best.threads[thread].is_reader == is_reader)
				ns += row->best.threads[thread].ns[kinds[index]];
		cw_print(stdout, " %7.2f", ns / (double)row->best.packets);
	}
	if (is_reader)
		cw_print(stdout, "\n");
	else
		cw_print(stdout, " %8.2f %8.2f\n", serial_ns(row), most_per_s(row) / 1e6);
}

static void print_text(const struct serial *serial)
{
	uint64_t rounds = serial->arguments->bench.repeat;

	cw_bench_print_machine();
	if (serial->traffic.is_generated)
		cw_print(stdout, "seed %llu; ",
			 (unsigned long long)serial->arguments->traffic.seed);
	cw_print(stdout, "CPU time, ns/packet, of the round with the least serial part of %llu\n",
		 (unsigned long long)rounds);
	cw_print(stdout, "%-14s %7s %-7s", "traffic", "threads", "in");
	for (size_t index = 0; index < CW_WORK_KINDS; index++)
		cw_print(stdout, " %7s", cw_stage_work_name(kinds[index]));
	cw_print(stdout, " %8s %8s\n", "serial", "max M/s");
	for (uint32_t index = 0; index < serial->row_count; index++) {
		print_threads(&serial->rows[index], true);
		print_threads(&serial->rows[index], false);
	}
	cw_print(stdout, "serial: read, turn and again, of all threads; max: one thread does the "
			 "serial part,\nall share the rest except idle\n");
}

/* Returns CW_EXIT_PROBLEM after a message for each row over --max-serial. */
static int judge(const struct serial *serial)
{
	uint64_t limit_ns = serial->arguments->bench.max_serial;
	int result = 0;

	for (uint32_t index = 0; limit_ns && index < serial->row_count; index++) {
		const struct row *row = &serial->rows[index];

		if (serial_ns(row) > (double)limit_ns)
			result = cw_fail("%s, %u thread%s: the serial part takes %.2f ns/packet, "
					 "more than --max-serial %llu",
					 row->traffic, row->threads, cw_plural(row->threads),
					 serial_ns(row), (unsigned long long)limit_ns);
	}
	return result;
}

static int run(const struct cw_arguments *arguments, const char *folder)
{
	struct serial serial = {.arguments = arguments,
				.threads = {.numbers = {1, 2, 4, 8, 16}, .count = 5}};
	int result = choose(&serial, folder);

	for (uint64_t round = 0; round < arguments->bench.repeat && result == 0; round++)
		for (uint32_t turn = 0; turn < serial.row_count && result == 0; turn++)
			result = measure_row(&serial.rows[(turn + round) % serial.row_count]);
	if (result == 0 && arguments->json)
		result = cw_bench_write(serial_json(&serial));
	else if (result == 0)
		print_text(&serial);
	if (result == 0)
		result = cw_flush_output();
	if (result == 0)
		result = judge(&serial);
	free(serial.rows);
	return result;
}

int cw_bench_serial(const struct cw_arguments *arguments)
{
	return cw_bench_in_folder(arguments, run);
}
