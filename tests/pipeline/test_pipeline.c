/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pipeline through its public interface: the same bytes whatever the sizes and threads, the
 * fast reservation against the record-by-record one, when packets are passed on, what failures at
 * start leave behind, what the hot threads allocate.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/ioctl.h>

#include "core/source/source.h"
#include "tests/rig/every_block.h"
#include "tests/rig/file_run.h"

/* ---- what the linker wraps ---- */

static _Atomic long allocations_until_failure = -1; /* -1: none fails */
static _Atomic long calls_until_failure = -1;       /* of pthread_create and eventfd */

static _Atomic unsigned long hot_allocations; /* outside the test's own thread */
static pthread_t test_thread;

static bool fails_list_of_joined;

static bool allocation_fails(void)
{
	if (!pthread_equal(pthread_self(), test_thread))
		atomic_fetch_add(&hot_allocations, 1);
	return runs_out(&allocations_until_failure);
}

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes)
{
	return allocation_fails() ? NULL : __real_malloc(bytes);
}

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
	if (fails_list_of_joined && count == CW_SOURCE_JOINED_MAX &&
	    bytes == sizeof(struct cw_source_joined))
		return NULL;
	return allocation_fails() ? NULL : __real_calloc(count, bytes);
}

void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	return allocation_fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*begin)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*begin)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*begin)(void *), void *argument)
{
	return runs_out(&calls_until_failure)
		   ? EAGAIN
		   : __real_pthread_create(thread, attributes, begin, argument);
}

int __real_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags)
{
	if (!runs_out(&calls_until_failure))
		return __real_eventfd(value, flags);
	errno = EMFILE;
	return -1;
}

/* ---- tests ---- */

static const struct sizes {
	uint32_t threads;
	size_t pool_bytes, chunk_bytes, batch_bytes;
	uint32_t batch_records, batch_count;
	uint32_t descriptor_limit;
	bool reserve_slowly, packet_buffered;
} sizes[] = {
    {1, 0, 0, 0, 0, 0, 0, false, false},
    {1, 0, 0, 0, 0, 0, 0, true, false},
    {2, 0, 0, 0, 0, 0, 0, false, false},
    {4, 65536, 4096, 5000, 0, 0, 0, false, false},
    {3, 1024, 512, 5000, 0, 2, 0, false, false},
    {8, 2048, 512, 100, 1, 0, 1, false, false},
    {2, 4096, 4096, 0, 33, 0, 2, true, false},
    {5, 1u << 20, 16384, 70000, 100, 1, 0, false, false},
    {3, 0, 4096, 0, 33, 0, 0, false, true},
    {2, 4096, 4096, 0, 33, 0, 2, true, true},
    {8, 16384, 4096, 20000, 0, 0, 0, false, false}, /* four chunks, of which two may be drafts */
};

/* Writes the input anew as pcapng: its first half with microseconds, then with nanoseconds. */
static void make_late_input(void)
{
	const uint32_t micro[5] = {1, 20, 1, 0, 20}; /* an interface block without options */
	const struct cw_iface nano = {.linktype = 1};
	struct cw_traffic *traffic;
	struct cw_packet packet;
	uint8_t buffer[4096] = {0};
	FILE *file = fopen(input_path, "wb");

	assert_non_null(file);
	assert_int_equal(cw_traffic_open(&traffic, "imix", 3, NULL), 0);
	fwrite(buffer, cw_format_section(NULL, buffer), 1, file);
	fwrite(micro, sizeof(micro), 1, file);
	for (uint32_t index = 0; index < input_packets; index++) {
		bool is_late = index >= input_packets / 2;
		size_t bytes;

		if (index == input_packets / 2)
			fwrite(buffer, cw_format_iface(&nano, 0, buffer), 1, file);
		cw_traffic_next(traffic, &packet);
		packet.ts_ns = is_late ? packet.ts_ns + 123 : packet.ts_ns / 1000;
		bytes = cw_format_record_bytes(CW_FORMAT_PCAPNG, &packet, UINT32_MAX);
		assert_true(bytes <= sizeof(buffer));
		cw_format_record(CW_FORMAT_PCAPNG, &packet, UINT32_MAX, is_late, bytes, buffer);
		assert_int_equal(fwrite(buffer, bytes, 1, file), 1);
	}
	assert_int_equal(fclose(file), 0);
	cw_traffic_close(traffic);
}

/* Writes an input with all that pcapng files hold. */
static void make_every_block(void)
{
	struct cw_traffic *traffic;
	FILE *file = fopen(input_path, "wb");

	assert_non_null(file);
	assert_int_equal(cw_traffic_open(&traffic, "imix", 3, NULL), 0);
	put_every_block(file, traffic, input_packets);
	assert_int_equal(fclose(file), 0);
	cw_traffic_close(traffic);
}

/* A digest of what the rules have and lack beside packets. */
static uint64_t digest_blocks(const struct cw_report *report)
{
	uint64_t digest = 1;

	for (uint32_t index = 0; index < report->rule_count; index++) {
		const struct cw_report_rule *rule = &report->rules[index];

		for (uint32_t kind = 0; kind < CW_BLOCK_KINDS; kind++)
			digest = digest_word(digest, rule->blocks[kind]);
		digest = digest_word(digest, rule->dropped_secrets);
		digest = digest_word(digest, rule->left_out_blocks);
		digest = digest_word(digest, rule->left_out_options);
	}
	return digest;
}

static uint64_t count_truncated(const struct cw_report *report)
{
	uint64_t count = 0;

	for (uint32_t index = 0; index < report->rule_count; index++)
		count += report->rules[index].timestamps_truncated;
	return count;
}

/* `truncates`: packets with finer timestamps come too late for some file. */
static void all_sizes_give_the_bytes_of_one(bool is_pcapng, bool rotates, bool truncates)
{
	uint64_t expected = 0, expected_truncated = 0;
	uint32_t expected_count = 0;
	size_t index;

	for (index = 0; index < CW_ARRAY_COUNT(sizes); index++) {
		struct cw_report report;
		struct setup setup;
		uint32_t file_count;
		uint64_t digest;

		make_setup(&setup, "sizes", is_pcapng, rotates);
		setup.rules.rules[3].discards_secrets = true;
		setup.options.threads = sizes[index].threads;
		setup.options.sizes.pool_bytes = sizes[index].pool_bytes;
		setup.options.sizes.chunk_bytes = sizes[index].chunk_bytes;
		setup.options.sizes.batch_bytes = sizes[index].batch_bytes;
		setup.options.sizes.batch_records = sizes[index].batch_records;
		setup.options.sizes.batch_count = sizes[index].batch_count;
		setup.options.sizes.descriptor_limit = sizes[index].descriptor_limit;
		setup.options.sizes.reserve_slowly = sizes[index].reserve_slowly;
		setup.options.output.packet_buffered = sizes[index].packet_buffered;
		assert_int_equal(run(&setup, &report), 0);
		assert_true(report.is_balanced);
		assert_int_equal(report.is_complete, !truncates);
		assert_int_equal(report.packets, input_packets);
		digest = digest_word(digest_folder(setup.directory, &file_count),
				     digest_blocks(&report));
		if (index == 0) {
			expected = digest;
			expected_truncated = count_truncated(&report);
			expected_count = file_count;
		}
		assert_int_equal(file_count, expected_count);
		assert_true(digest == expected);
		assert_int_equal(count_truncated(&report), expected_truncated);
		assert_int_equal(expected_truncated != 0, truncates);
		cw_report_fini(&report);
		end_setup(&setup);
	}
}

static void threads_and_sizes_do_not_change_pcap_files(void **state)
{
	(void)state;
	all_sizes_give_the_bytes_of_one(false, false, false);
}

static void threads_and_sizes_do_not_change_rotated_files(void **state)
{
	(void)state;
	all_sizes_give_the_bytes_of_one(false, true, false);
}

static void threads_and_sizes_do_not_change_pcapng_files(void **state)
{
	(void)state;
	all_sizes_give_the_bytes_of_one(true, true, false);
}

static void threads_and_sizes_do_not_change_what_late_nanoseconds_lose(void **state)
{
	(void)state;
	make_late_input();
	all_sizes_give_the_bytes_of_one(false, false, true);
	all_sizes_give_the_bytes_of_one(false, true, true);
	all_sizes_give_the_bytes_of_one(true, true, true);
	make_input();
}

static void every_block_is_met(void)
{
	const struct cw_report_rule *rules;
	struct cw_report report;
	struct setup setup;

	make_setup(&setup, "blocks", true, false);
	setup.rules.rules[3].discards_secrets = true;
	assert_int_equal(run(&setup, &report), 0);
	rules = report.rules;
	for (uint32_t kind = 0; kind < CW_BLOCK_KINDS; kind++) {
		assert_true(report.inputs[0].blocks.of_kind[kind] > 0);
		assert_int_equal(rules[1].blocks[kind] > 0, kind != CW_BLOCK_OTHER);
	}
	assert_true(rules[3].dropped_secrets && !rules[3].blocks[CW_BLOCK_SECRETS]);
	assert_true(rules[1].left_out_options && !rules[1].left_out_blocks);
	assert_true(rules[4].left_out_options > rules[4].written && rules[4].left_out_blocks);
	cw_report_fini(&report);
	end_setup(&setup);
}

static void threads_and_sizes_do_not_change_blocks_and_options_of_pcapng(void **state)
{
	uint32_t packets = input_packets;

	(void)state;
	input_packets = scaled(4000, 2000);
	make_every_block();
	every_block_is_met();
	all_sizes_give_the_bytes_of_one(true, false, false);
	all_sizes_give_the_bytes_of_one(true, true, false);
	input_packets = packets;
	make_input();
}

struct second_batch {
	int output;      /* end to read from */
	uint32_t seen;   /* batches that the worker took */
	int bytes_ready; /* bytes in `output` when the worker took the second batch */
};

static void look_at_second_batch(void *context, uint32_t worker, uint32_t lane)
{
	struct second_batch *second = context;

	(void)worker;
	(void)lane;
	if (++second->seen == 2)
		assert_int_equal(ioctl(second->output, FIONREAD, &second->bytes_ready), 0);
}

/* A worker writes before it copies, and copies before it takes a batch: one has no choice. */
static void packet_buffered_outputs_get_a_batch_before_the_next_is_read(void **state)
{
	(void)state;
	for (int is_buffered = 0; is_buffered < 2; is_buffered++) {
		struct second_batch second = {0};
		struct cw_report report;
		struct setup setup;
		int ends[2];

		assert_int_equal(pipe(ends), 0);
		second.output = ends[0];
		make_setup(&setup, "buffered", false, false);
		cw_rules_fini(&setup.rules);
		setup.rules = (struct cw_rules){0};
		assert_int_equal(cw_rules_add(&setup.rules, "all", "", "-", 0, NULL), 0);
		setup.options.threads = 1;
		setup.options.packet_limit = 20;
		setup.options.sizes.batch_records = 10;
		setup.options.output.standard_output = ends[1];
		setup.options.output.packet_buffered = is_buffered;
		setup.options.watch.on_batch = look_at_second_batch;
		setup.options.context = &second;
		assert_int_equal(run(&setup, &report), 0);
		assert_true(second.seen >= 2);
		assert_int_equal(second.bytes_ready > 24 + 10 * 16, is_buffered);
		assert_int_equal(second.bytes_ready > 0, is_buffered);
		cw_report_fini(&report);
		end_setup(&setup);
		close(ends[0]);
		close(ends[1]);
	}
}

static unsigned count_entries(const char *path)
{
	DIR *directory = opendir(path);
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* Fail one call after the other until the start succeeds; each failure must leave nothing. */
static void failing_starts_leave_nothing(_Atomic long *left, const char *name)
{
	unsigned threads = count_entries("/proc/self/task");
	unsigned descriptors = count_entries("/proc/self/fd");
	struct cw_report report;
	struct setup setup;
	long call;
	int result;

	make_setup(&setup, name, true, false);
	for (call = 0; call < 5000; call++) {
		struct cw_pipeline *pipeline = NULL;
		struct cw_error error = {0};

		atomic_store(left, call);
		result = cw_pipeline_start(&pipeline, &setup.options, &error);
		atomic_store(left, -1);
		if (result == 0) {
			cw_pipeline_request_stop(pipeline);
			assert_int_equal(cw_pipeline_finish(pipeline, &report), 0);
			cw_report_fini(&report);
			cw_pipeline_free(pipeline);
			break;
		}
		assert_int_not_equal(error.text[0], '\0');
		assert_int_equal(count_entries("/proc/self/task"), threads);
		assert_int_equal(count_entries("/proc/self/fd"), descriptors);
		assert_int_equal(count_entries(setup.directory), 2);
	}
	print_message("%s: %ld failed starts\n", name, call);
	assert_true(call > 3 && call < 5000);
	end_setup(&setup);
}

static void a_start_that_runs_out_of_memory_leaves_nothing_behind(void **state)
{
	(void)state;
	failing_starts_leave_nothing(&allocations_until_failure, "memory");
}

static void a_start_that_gets_no_thread_leaves_nothing_behind(void **state)
{
	(void)state;
	failing_starts_leave_nothing(&calls_until_failure, "threads");
}

static void note_problem(void *context, enum cw_severity severity, const char *text)
{
	if (severity == CW_PROBLEM && strstr(text, "no memory to list the joined files"))
		atomic_fetch_add((_Atomic uint32_t *)context, 1);
}

static void joined_files_without_memory_to_list_them_are_reported(void **state)
{
	const char *path = "joined.pcap";
	_Atomic uint32_t problems = 0;
	struct cw_report report;
	struct setup setup;
	char command[256];

	(void)state;
	make_setup(&setup, "joined", false, false);
	snprintf(command, sizeof(command), "cat %s %s > %s/%s", input_path, input_path, folder,
		 path);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "%s/%s", folder, path);
	setup.inputs[0] = command;
	setup.options.tell = note_problem;
	setup.options.context = (void *)&problems;
	for (int is_short = 0; is_short < 2; is_short++) {
		fails_list_of_joined = is_short;
		assert_int_equal(run(&setup, &report), 0);
		fails_list_of_joined = false;
		assert_int_equal(report.packets, 2 * input_packets);
		assert_int_equal(report.inputs[0].joined_count, 1);
		assert_int_equal(report.is_complete, !is_short);
		assert_int_equal(problems, is_short);
		cw_report_fini(&report);
		empty_folder(setup.directory);
	}
	unlink(command);
	end_setup(&setup);
}

static unsigned long allocations_of_run(uint32_t batch_records)
{
	struct cw_report report;
	struct setup setup;

	make_setup(&setup, "hot", false, false);
	setup.options.sizes.batch_records = batch_records;
	atomic_store(&hot_allocations, 0);
	assert_int_equal(run(&setup, &report), 0);
	cw_report_fini(&report);
	end_setup(&setup);
	return atomic_load(&hot_allocations);
}

static void hot_threads_allocate_for_files_not_for_batches(void **state)
{
	unsigned long few = allocations_of_run(4096);
	unsigned long many = allocations_of_run(16);

	(void)state;
	print_message("%lu allocations with batches of 4096, %lu with batches of 16\n", few, many);
	assert_true(many <= few + 4); /* the C library may differ by a few */
	assert_true(few <= 16 * RULES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(threads_and_sizes_do_not_change_pcap_files),
	    cmocka_unit_test(threads_and_sizes_do_not_change_rotated_files),
	    cmocka_unit_test(threads_and_sizes_do_not_change_pcapng_files),
	    cmocka_unit_test(threads_and_sizes_do_not_change_what_late_nanoseconds_lose),
	    cmocka_unit_test(threads_and_sizes_do_not_change_blocks_and_options_of_pcapng),
	    cmocka_unit_test(packet_buffered_outputs_get_a_batch_before_the_next_is_read),
	    cmocka_unit_test(a_start_that_runs_out_of_memory_leaves_nothing_behind),
	    cmocka_unit_test(a_start_that_gets_no_thread_leaves_nothing_behind),
	    cmocka_unit_test(joined_files_without_memory_to_list_them_are_reported),
	    cmocka_unit_test(hot_threads_allocate_for_files_not_for_batches),
	};

	test_thread = pthread_self();
	return cmocka_run_group_tests(tests, open_folder, close_folder);
}
