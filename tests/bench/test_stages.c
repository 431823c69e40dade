/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The benchmarks time correct work: rings lose nothing, all ways of writing give the same file, and
 * capweir's split writes the files of a loop over libpcap (the natural program).
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/stages/limits.h"
#include "bench/stages/ring.h"
#include "bench/stages/serial.h"
#include "bench/stages/split.h"
#include "bench/stages/write.h"
#include "core/base/base.h"
#include "datasets/traffic.h"
#include "tests/rig/scale.h"

#define FILTERS 20u
#define WORK_PACKETS 40000u

/* One thread under ThreadSanitizer: it misses that liburing unmaps its rings, and mistakes another
 * thread's mapping at the same address for the same memory. */
#if defined(CW_SANITIZED)
#define DIRECT_THREADS 1u
#else
#define DIRECT_THREADS 2u
#endif

static char folder[] = "/tmp/capweir-stages-XXXXXX";
static char text[CW_STAGE_TEXT_BYTES];
static uint32_t packets;

/* The path of a name in the tests' folder, valid for the next three calls. */
static const char *inside(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static const char *make_folder(const char *name)
{
	const char *path = inside(name);

	assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
	assert_int_equal(cw_stage_empty(path), 0);
	return path;
}

/* Returns a file's bytes, which the caller frees. */
static uint8_t *slurp(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "rb");
	struct stat status;
	uint8_t *content;

	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &status), 0);
	*bytes = (size_t)status.st_size;
	content = malloc(*bytes + 1);
	assert_non_null(content);
	assert_int_equal(fread(content, 1, *bytes, file), *bytes);
	fclose(file);
	return content;
}

static void assert_same_files(const char *left, const char *right, size_t least)
{
	size_t left_bytes, right_bytes;
	uint8_t *a = slurp(left, &left_bytes), *b = slurp(right, &right_bytes);

	assert_true(left_bytes >= least);
	assert_int_equal(left_bytes, right_bytes);
	assert_int_equal(memcmp(a, b, left_bytes), 0); /* cmocka compares byte by byte */
	free(a);
	free(b);
}

static void check_time(const struct cw_stage_time *time)
{
	assert_true(time->wall_ns > 0);
	assert_true(time->cpu_ns > 0);
	assert_true(time->cycles >= 0);
}

/* ---- filters ---- */

static int by_text(const void *left, const void *right)
{
	return strcmp(left, right);
}

static void generated_filters_all_differ(void **state)
{
	static char filters[CW_STAGE_FILTERS_MAX][CW_STAGE_FILTER_BYTES];
	uint32_t index;

	(void)state;
	for (index = 0; index < CW_STAGE_FILTERS_MAX; index++)
		cw_stage_filter(index, filters[index]);
	qsort(filters, CW_STAGE_FILTERS_MAX, sizeof(filters[0]), by_text);
	for (index = 1; index < CW_STAGE_FILTERS_MAX; index++)
		assert_string_not_equal(filters[index - 1], filters[index]);
}

static void generated_filters_are_valid(void **state)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
	char filter[CW_STAGE_FILTER_BYTES];
	struct bpf_program program;
	uint32_t index;

	(void)state;
	for (index = 0; index < CW_STAGE_FILTERS_MAX; index++) {
		cw_stage_filter(index, filter);
		if (pcap_compile(dead, &program, filter, 1, PCAP_NETMASK_UNKNOWN) != 0)
			fail_msg("filter %u, '%s': %s", index, filter, pcap_geterr(dead));
		pcap_freecode(&program);
	}
	pcap_close(dead);
}

static void first_filters_equal_those_of_the_file(void **state)
{
	FILE *file = fopen(CW_ROOT "/bench/peers/filters8.txt", "r");
	char line[256], filter[CW_STAGE_FILTER_BYTES];
	uint32_t count = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		cw_stage_filter(count++, filter);
		assert_string_equal(filter, line);
	}
	fclose(file);
	assert_int_equal(count, 8);
}

/* ---- stages ---- */

static void rings_hand_over_every_item_once(void **state)
{
	struct cw_stage_time time;
	uint32_t consumers;
	int way;

	(void)state;
	for (way = 0; way < CW_STAGE_RING_WAYS; way++)
		for (consumers = 1; consumers <= 4; consumers++) {
			if (cw_stage_ring((enum cw_stage_ring_way)way, consumers,
					  scaled(30000, 6000), &time, text) < 0)
				fail_msg("way %d, %u consumers: %s", way, consumers, text);
			check_time(&time);
		}
	assert_true(cw_stage_ring(CW_STAGE_RING, CW_STAGE_CONSUMERS_MAX + 1, 1, &time, text) < 0);
}

static void all_ways_of_writing_give_the_same_file(void **state)
{
	const char *theirs = make_folder("pcap_dump"), *ours = make_folder("ours");
	struct cw_stage_write_options options = {.way = CW_STAGE_PCAP_DUMP,
						 .folder = theirs,
						 .threads = 2,
						 .packet_count = packets,
						 .packet_bytes = 300};
	struct cw_write_result result;
	char left[256], right[256];
	int way;

	(void)state;
	assert_int_equal(cw_stage_write(&options, &result, text), 0);
	options.folder = ours;
	for (way = 0; way < CW_STAGE_PCAP_DUMP; way++) {
		uint32_t threads = way == CW_STAGE_DIRECT ? DIRECT_THREADS : 2;
		int status;

		options.way = (enum cw_stage_write_way)way;
		options.threads = threads;
		status = cw_stage_write(&options, &result, text);
		if (status == -EOPNOTSUPP) {
			print_message("not compared: %s: %s\n",
				      cw_stage_write_name((enum cw_stage_write_way)way), text);
			continue;
		}
		assert_int_equal(status, 0);
		assert_int_equal(result.packets, threads * packets);
		assert_int_equal(result.bytes, threads * packets * 300);
		check_time(&result.time);
		for (uint32_t file = 0; file < threads; file++) {
			snprintf(left, sizeof(left), "%s/%u.pcap", ours, file);
			snprintf(right, sizeof(right), "%s/%u.pcap", theirs, file);
			assert_same_files(left, right, 24 + (size_t)packets * 316);
		}
	}
}

static void every_way_of_writing_reports_a_missing_folder(void **state)
{
	struct cw_stage_write_options options = {
	    .folder = inside("nowhere"), .threads = 1, .packet_count = 10, .packet_bytes = 60};
	struct cw_write_result result;
	int way;

	(void)state;
	for (way = 0; way < CW_STAGE_WRITE_WAYS; way++) {
		text[0] = '\0';
		options.way = (enum cw_stage_write_way)way;
		assert_true(cw_stage_write(&options, &result, text) < 0);
		assert_non_null(strstr(text, "nowhere"));
	}
}

static void write_traffic(const char *path, uint32_t count)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, 262144);
	pcap_dumper_t *dumper = pcap_dump_open(dead, path);
	struct cw_traffic *traffic;
	struct cw_packet packet;

	assert_non_null(dumper);
	assert_int_equal(cw_traffic_open(&traffic, "mix", 7, NULL), 0);
	for (uint32_t i = 0; i < count; i++) {
		struct pcap_pkthdr header = {0};

		cw_traffic_next(traffic, &packet);
		header.ts.tv_sec = (time_t)(packet.ts_ns / CW_NS_PER_S);
		header.ts.tv_usec = (suseconds_t)(packet.ts_ns % CW_NS_PER_S / 1000);
		header.caplen = packet.caplen;
		header.len = packet.wire_len;
		pcap_dump((u_char *)dumper, &header, packet.data);
	}
	cw_traffic_close(traffic);
	pcap_dump_close(dumper);
	pcap_close(dead);
}

static void split_and_the_libpcap_loop_write_the_same_files(void **state)
{
	struct cw_stage_split_options options = {.filter_count = FILTERS, .threads = 3};
	struct cw_split_result ours, theirs;
	char path[128], left[256], right[256];
	uint64_t bytes = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s", inside("traffic.pcap"));
	write_traffic(path, packets);
	options.path = path;
	options.folder = make_folder("theirs");
	if (cw_stage_split_natural(&options, &theirs, text) < 0)
		fail_msg("%s", text);
	options.folder = make_folder("ours");
	if (cw_stage_split(&options, &ours, text) < 0)
		fail_msg("%s", text);
	assert_int_equal(ours.packets, packets);
	assert_int_equal(theirs.packets, packets);
	assert_int_equal(ours.bytes, theirs.bytes);
	assert_int_equal(ours.written, theirs.written);
	assert_int_equal(ours.written_bytes, theirs.written_bytes);
	assert_int_equal(ours.lost, 0);
	check_time(&ours.time);
	check_time(&theirs.time);
	for (uint32_t i = 0; i < FILTERS; i++) {
		struct stat status;

		snprintf(left, sizeof(left), "%s/ours/%u.pcap", folder, i);
		snprintf(right, sizeof(right), "%s/theirs/%u.pcap", folder, i);
		assert_same_files(left, right, 24);
		assert_int_equal(stat(left, &status), 0);
		bytes += (uint64_t)status.st_size - 24;
	}
	assert_true(ours.written > packets / 4);
	assert_int_equal(bytes, ours.written_bytes + 16 * ours.written);
}

static double sum_of(const struct cw_serial_result *result, enum cw_work kind, bool is_reader)
{
	double ns = 0;

	for (uint32_t i = 0; i < result->thread_count; i++)
		if (result->threads[i].is_reader == is_reader)
			ns += result->threads[i].ns[kind];
	return ns;
}

static void kinds_of_work_add_up_to_the_threads_cpu_time(void **state)
{
	static struct cw_serial_result result;
	double serial = 0, all = 0;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s", inside("work.pcap"));
	write_traffic(path, WORK_PACKETS); /* much more work than starting the threads */
	if (cw_stage_serial(path, 3, &result, text) < 0)
		fail_msg("%s", text);
	assert_int_equal(result.packets, WORK_PACKETS);
	assert_int_equal(result.thread_count, 3 + 1);
	for (enum cw_work kind = 0; kind < CW_WORK_KINDS; kind++) {
		double reader = sum_of(&result, kind, true), workers = sum_of(&result, kind, false);

		all += reader + workers;
		if (kind == CW_WORK_READ || kind == CW_WORK_TURN || kind == CW_WORK_AGAIN)
			serial += reader + workers;
		if (kind == CW_WORK_READ)
			assert_true(reader > 0 && workers == 0);
		if (kind == CW_WORK_WALK || kind == CW_WORK_COPY || kind == CW_WORK_WRITE)
			assert_true(reader == 0 && workers > 0);
	}
	assert_true(sum_of(&result, CW_WORK_TURN, false) > 0);
	assert_true(serial > result.serial_ns * 0.999 && serial < result.serial_ns * 1.001);
	/* No more than the threads used. Starting and ending them is not accounted for. */
	if (all > result.cpu_ns || all + result.account_ns < result.cpu_ns * 0.7)
		fail_msg("%.0f ns of work, %.0f ns of accounting, %.0f ns of CPU time", all,
			 result.account_ns, result.cpu_ns);
	assert_true(cw_stage_serial("/nowhere.pcap", 1, &result, text) < 0);
	assert_non_null(strstr(text, "/nowhere"));
}

static void both_splits_report_bad_filters_and_missing_files(void **state)
{
	const char *bad[] = {"port 80", "no such thing"};
	struct cw_stage_split_options options = {
	    .filter_count = 2, .threads = 1, .filters = bad, .folder = make_folder("bad")};
	struct cw_split_result result;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s", inside("traffic.pcap"));
	options.path = path;
	assert_true(cw_stage_split_natural(&options, &result, text) < 0);
	assert_true(cw_stage_split(&options, &result, text) < 0);
	bad[1] = "port 53";
	options.path = "/nowhere/at/all.pcap";
	assert_true(cw_stage_split_natural(&options, &result, text) < 0);
	assert_non_null(strstr(text, "/nowhere"));
	assert_true(cw_stage_split(&options, &result, text) < 0);
	assert_non_null(strstr(text, "/nowhere"));
}

static void limits_are_rates_and_leave_no_files(void **state)
{
	const char *path = make_folder("limits");
	struct cw_stage_rate rate;
	int limit;

	(void)state;
	for (limit = 0; limit < CW_STAGE_LIMITS; limit++) {
		if (cw_stage_limit((enum cw_stage_limit)limit, path, 2, &rate, text) < 0)
			fail_msg("%s", text);
		assert_true(rate.min > 0 && rate.min <= rate.gb_per_s && rate.gb_per_s <= rate.max);
	}
	assert_int_equal(rmdir(path), 0);
	assert_true(cw_stage_limit(CW_STAGE_WRITE, "/nowhere", 1, &rate, text) < 0);
	assert_non_null(strstr(text, "/nowhere"));
	assert_int_equal(cw_stage_handover(&rate, text), 0);
	assert_true(rate.min >= 0 && rate.min <= rate.max);
}

static void times_add_up(void **state)
{
	struct cw_stage_clock clock;
	struct cw_stage_time time;
	double end;

	(void)state;
	cw_stage_start(&clock);
	end = cw_stage_now_ns() + 20e6;
	while (cw_stage_now_ns() < end)
		;
	cw_stage_stop(&clock, &time);
	assert_true(time.wall_ns >= 20e6);
	assert_true(time.cpu_ns > 0 && time.cpu_ns <= time.wall_ns * 1.01);
}

static int make(void **state)
{
	(void)state;
	packets = scaled(20000, 4000);
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_all(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(generated_filters_all_differ),
	    cmocka_unit_test(generated_filters_are_valid),
	    cmocka_unit_test(first_filters_equal_those_of_the_file),
	    cmocka_unit_test(rings_hand_over_every_item_once),
	    cmocka_unit_test(all_ways_of_writing_give_the_same_file),
	    cmocka_unit_test(every_way_of_writing_reports_a_missing_folder),
	    cmocka_unit_test(split_and_the_libpcap_loop_write_the_same_files),
	    cmocka_unit_test(kinds_of_work_add_up_to_the_threads_cpu_time),
	    cmocka_unit_test(both_splits_report_bad_filters_and_missing_files),
	    cmocka_unit_test(limits_are_rates_and_leave_no_files),
	    cmocka_unit_test(times_add_up),
	};

	return cmocka_run_group_tests(tests, make, remove_all);
}
