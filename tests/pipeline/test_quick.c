/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The quick way of batches against the careful one: the same files and the same report, whatever
 * sends a batch back. That the quick way was taken at all is checked too.
 */
#include <pthread.h>
#include <sched.h>

#include "pipeline/output/outputs.h"
#include "tests/rig/file_run.h"

/* ---- what the linker wraps ---- */

static _Atomic uint32_t adopted_count; /* batches that the turn took from the quick way */
static _Atomic uint32_t refused_count; /* batches that it sent back, or had to */
static uint32_t refuse_every;          /* send one in this many back without a reason; 0: none */
static bool scribbles;                 /* change the input whenever a batch is sent back */

static void scribble(void)
{
	static const uint8_t bytes[4096] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	FILE *file = fopen(input_path, "r+b");

	assert_non_null(file);
	for (off_t at = input_bytes / 3; at < input_bytes - 5000; at += input_bytes / 5) {
		assert_int_equal(fseek(file, at, SEEK_SET), 0);
		assert_int_equal(fwrite(bytes, 1, sizeof(bytes), file), sizeof(bytes));
	}
	assert_int_equal(fclose(file), 0);
}

bool __real_cw_outputs_can_adopt(struct cw_outputs *outputs, const struct cw_batch *batch);
bool __wrap_cw_outputs_can_adopt(struct cw_outputs *outputs, const struct cw_batch *batch);
bool __wrap_cw_outputs_can_adopt(struct cw_outputs *outputs, const struct cw_batch *batch)
{
	bool can = __real_cw_outputs_can_adopt(outputs, batch);

	if (can && refuse_every && atomic_load(&adopted_count) % refuse_every == refuse_every - 1) {
		cw_chunk_unclaim(&outputs->pool);
		atomic_fetch_add(&adopted_count, 1); /* so that the next one is not refused too */
		can = false;
	}
	atomic_fetch_add(can ? &adopted_count : &refused_count, 1);
	if (!can && scribbles)
		scribble();
	return can;
}

/* ---- runs ---- */

static const struct sizes {
	uint32_t threads;
	size_t pool_bytes, chunk_bytes, batch_bytes;
	uint32_t batch_records;
	bool packet_buffered;
} sizes[] = {
    {1, 0, 0, 0, 0, false},
    {3, 0, 4096, 0, 33, false},
    {8, 16384, 4096, 20000, 0, false}, /* four chunks, of which two may be drafts */
    {2, 0, 0, 0, 7, true},
};

/* What a test does to a run. */
typedef void change_setup(struct setup *setup);

static uint64_t digest_report(const struct cw_report *report)
{
	uint64_t digest = 1;

	for (const struct cw_books_line *line = cw_books_lines; line->name; line++)
		digest = digest_word(digest, cw_books_count(&report->books, line));
	for (uint32_t index = 0; index < report->rule_count; index++) {
		const struct cw_report_rule *rule = &report->rules[index];
		const uint64_t words[] = {rule->matched,    rule->written,
					  rule->bytes,      rule->file_bytes,
					  rule->file_count, rule->left_out[CW_LEFT_OUT_SAMPLE],
					  rule->lost_total, rule->left_out[CW_LEFT_OUT_LIMIT],
					  rule->truncated,  rule->timestamps_truncated,
					  rule->early,      rule->left_out_options};

		for (size_t word = 0; word < CW_ARRAY_COUNT(words); word++)
			digest = digest_word(digest, words[word]);
	}
	return digest_word(digest, report->is_complete);
}

static uint64_t digest_run(const struct sizes *size, bool is_pcapng, change_setup *change,
			   bool is_careful)
{
	struct cw_report report;
	struct setup setup;
	uint32_t file_count;
	uint64_t digest;

	make_setup(&setup, "quick", is_pcapng, false);
	setup.options.threads = size->threads;
	setup.options.sizes.pool_bytes = size->pool_bytes;
	setup.options.sizes.chunk_bytes = size->chunk_bytes;
	setup.options.sizes.batch_bytes = size->batch_bytes;
	setup.options.sizes.batch_records = size->batch_records;
	setup.options.output.packet_buffered = size->packet_buffered;
	setup.options.sizes.reserve_slowly = is_careful;
	change(&setup);
	assert_int_equal(run(&setup, &report), 0);
	assert_true(report.is_balanced);
	digest = digest_word(digest_folder(setup.directory, &file_count), digest_report(&report));
	cw_report_fini(&report);
	end_setup(&setup);
	return digest;
}

/* Returns how many batches the turn took from the quick way in all sizes. */
static uint32_t expect_equal(bool is_pcapng, change_setup *change)
{
	uint64_t expected = digest_run(&sizes[0], is_pcapng, change, true);

	assert_int_equal(atomic_exchange(&adopted_count, 0), 0);
	atomic_store(&refused_count, 0);
	for (size_t index = 0; index < CW_ARRAY_COUNT(sizes); index++)
		assert_true(digest_run(&sizes[index], is_pcapng, change, false) == expected);
	return atomic_exchange(&adopted_count, 0);
}

static void change_nothing(struct setup *setup)
{
	(void)setup;
}

static void ordinary_batches_take_the_quick_way(void **state)
{
	(void)state;
	for (int is_pcapng = 0; is_pcapng < 2; is_pcapng++) {
		uint32_t adopted = expect_equal(is_pcapng, change_nothing);

		print_message("%u batches adopted, %u refused\n", adopted, refused_count);
		assert_true(adopted > input_packets / 40); /* nearly all of 33, and of 7 */
		assert_true(refused_count < adopted / 10);
	}
}

static void batches_sent_back_count_once(void **state)
{
	(void)state;
	for (refuse_every = 1; refuse_every < 40; refuse_every = refuse_every * 2 + 1) {
		for (int is_pcapng = 0; is_pcapng < 2; is_pcapng++) {
			expect_equal(is_pcapng, change_nothing);
			assert_true(refused_count > 0);
		}
	}
	refuse_every = 0;
}

static void limit(struct setup *setup)
{
	setup->rules.rules[0].sample_every = 3;
	setup->rules.rules[1].limit_packets = 50;
	setup->rules.rules[2].limit_bytes = 9999;
	setup->rules.rules[3].limit_rate = 7;
}

static void rotate_often(struct setup *setup)
{
	setup->rules.rules[3].rotate_packets = 3;
	setup->rules.rules[2].rotate_bytes = 20000;
	setup->rules.rules[5].rotate_every_ns = 500000;
}

static void end_early(struct setup *setup)
{
	setup->options.packet_limit = input_packets / 2 + 5;
}

static void truncate_records(struct setup *setup)
{
	setup->options.output.snaplen = 77;
	setup->options.output.time_precision = CW_TIME_NS;
}

static void filter_first(struct setup *setup)
{
	setup->options.match.prefilter = "tcp or ip6";
}

static void match_first_only(struct setup *setup)
{
	setup->rules.mode = CW_FILTER_FIRST;
}

static void whatever_the_turn_decides_record_by_record_stays(void **state)
{
	change_setup *const changes[] = {limit,        rotate_often,    end_early, truncate_records,
					 filter_first, match_first_only};

	(void)state;
	for (size_t index = 0; index < CW_ARRAY_COUNT(changes); index++) {
		for (int is_pcapng = 0; is_pcapng < 2; is_pcapng++)
			expect_equal(is_pcapng, changes[index]);
	}
}

/* Writes the input as pcapng whose two interfaces take turns: hints are often stale. */
static void make_two_interfaces(void)
{
	const struct cw_iface ifaces[] = {{.linktype = 1, .has_ns = 1},
					  {.linktype = 1, .has_ns = 1}};
	struct cw_traffic *traffic;
	struct cw_packet packet;
	uint8_t buffer[4096] = {0};
	FILE *file = fopen(input_path, "wb");

	assert_non_null(file);
	assert_int_equal(cw_traffic_open(&traffic, "imix", 3, NULL), 0);
	fwrite(buffer, cw_format_section(NULL, buffer), 1, file);
	for (int iface = 0; iface < 2; iface++)
		fwrite(buffer, cw_format_iface(&ifaces[iface], 0, buffer), 1, file);
	for (uint32_t index = 0; index < input_packets; index++) {
		size_t bytes;

		cw_traffic_next(traffic, &packet);
		bytes = cw_format_record_bytes(CW_FORMAT_PCAPNG, &packet, UINT32_MAX);
		cw_format_record(CW_FORMAT_PCAPNG, &packet, UINT32_MAX, index / 150 % 2, bytes,
				 buffer);
		assert_int_equal(fwrite(buffer, bytes, 1, file), 1);
	}
	assert_int_equal(fclose(file), 0);
	cw_traffic_close(traffic);
}

static void stale_hints_change_no_byte(void **state)
{
	(void)state;
	make_two_interfaces();
	expect_equal(true, change_nothing);
	assert_true(refused_count > 0);
	make_input();
}

/* The careful way reads what another program wrote since. The report must not contradict itself. */
static void an_input_changed_before_the_careful_way_stays_balanced(void **state)
{
	(void)state;
	scribbles = true;
	for (refuse_every = 2; refuse_every < 6; refuse_every++) {
		for (size_t index = 0; index < CW_ARRAY_COUNT(sizes); index++) {
			make_input();
			digest_run(&sizes[index], index % 2, change_nothing, false);
		}
	}
	scribbles = false;
	refuse_every = 0;
	atomic_store(&adopted_count, 0);
	make_input();
}

/* ---- a reader that stalls ---- */

struct reader {
	int ends[2]; /* of the pipe */
	uint64_t bytes, digest;
};

/* Waits until the pipe takes no more, then reads all. */
static void *read_late(void *argument)
{
	struct reader *reader = argument;
	struct pollfd writable = {.fd = reader->ends[1], .events = POLLOUT};
	uint8_t bytes[8192];
	ssize_t count;

	while (poll(&writable, 1, 0) == 1)
		sched_yield();
	reader->digest = 1;
	while ((count = read(reader->ends[0], bytes, sizeof(bytes))) > 0) {
		for (ssize_t index = 0; index < count; index++)
			reader->digest = digest_word(reader->digest, bytes[index]);
		reader->bytes += (uint64_t)count;
	}
	return NULL;
}

static struct reader run_with_late_reader(const struct sizes *size, bool is_careful)
{
	struct reader reader = {0};
	struct cw_report report;
	struct setup setup;
	pthread_t thread;

	assert_int_equal(pipe(reader.ends), 0);
	make_setup(&setup, "late", false, false);
	assert_int_equal(cw_rules_add(&setup.rules, "all", "", "-", 0, NULL), 0);
	setup.options.threads = size->threads;
	setup.options.sizes.pool_bytes = size->pool_bytes;
	setup.options.sizes.chunk_bytes = size->chunk_bytes;
	setup.options.sizes.batch_bytes = size->batch_bytes;
	setup.options.sizes.batch_records = size->batch_records;
	setup.options.sizes.reserve_slowly = is_careful;
	setup.options.output.standard_output = reader.ends[1];
	assert_int_equal(pthread_create(&thread, NULL, read_late, &reader), 0);
	assert_int_equal(run(&setup, &report), 0);
	close(reader.ends[1]);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(reader.ends[0]);
	assert_true(report.is_complete && report.is_balanced);
	cw_report_fini(&report);
	end_setup(&setup);
	return reader;
}

static void a_pipe_whose_reader_stalls_gets_every_record(void **state)
{
	struct reader expected = run_with_late_reader(&sizes[0], true);

	(void)state;
	assert_true(expected.bytes > (uint64_t)input_bytes / 2);
	for (size_t index = 0; index < CW_ARRAY_COUNT(sizes); index++) {
		struct reader found = run_with_late_reader(&sizes[index], false);

		assert_int_equal(found.bytes, expected.bytes);
		assert_true(found.digest == expected.digest);
	}
	atomic_store(&adopted_count, 0);
}

static int open_small_folder(void **state)
{
	if (open_folder(state))
		return -1;
	input_packets = scaled(4000, 2000);
	make_input();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ordinary_batches_take_the_quick_way),
	    cmocka_unit_test(batches_sent_back_count_once),
	    cmocka_unit_test(whatever_the_turn_decides_record_by_record_stays),
	    cmocka_unit_test(stale_hints_change_no_byte),
	    cmocka_unit_test(an_input_changed_before_the_careful_way_stays_balanced),
	    cmocka_unit_test(a_pipe_whose_reader_stalls_gets_every_record),
	};

	return cmocka_run_group_tests(tests, open_small_folder, close_folder);
}
