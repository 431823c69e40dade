/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of outputs that come, go and fail, and of workers that stand still, while rules
 * change under a live run.
 */
#include <sys/stat.h>

#include "tests/pipeline/reload/reload_run.h"

static void send_frames(uint64_t first, uint64_t count)
{
	const struct rig_sending frames = sending(first, count);

	assert_int_equal(rig_send(&frames), count);
}

/* What was removed, and came back, goes on under its name in the report. */
static void a_rule_that_goes_closes_its_file_and_may_come_back(void **state)
{
	const uint64_t count = scaled(2000, 1000);
	const char *both = "rules:\n  a: {filter: udp, write: a.pcap}\n"
			   "  b: {filter: udp, write: b.pcap}\n";
	const char *one = "rules:\n  a: {filter: udp, write: a.pcap}\n";
	struct cw_reload_status status;
	static struct run run;
	struct cw_report report;
	struct cw_books books;
	char path[64];
	int round;

	NEED_DEVICES();
	make_run(&run, both, 1);
	for (round = 0; round < 3; round++) {
		send_frames(2 * (uint64_t)round * count, count);
		WAIT_UNTIL(packets_of(&run) == (2 * (uint64_t)round + 1) * count);
		assert_true(reload(&run, one, &status));
		/* Under its name while the run goes on. */
		if (round)
			snprintf(path, sizeof(path), "%s/b.%d.pcap", run.folder, round);
		else
			snprintf(path, sizeof(path), "%s/b.pcap", run.folder);
		WAIT_UNTIL(access(path, F_OK) == 0);
		send_frames((2 * (uint64_t)round + 1) * count, count);
		WAIT_UNTIL(packets_of(&run) == (2 * (uint64_t)round + 2) * count);
		cw_pipeline_peek(run.pipeline, &books);
		assert_int_equal(books.matched, 3 * count * ((uint64_t)round + 1));
		if (round < 2)
			assert_true(reload(&run, both, &status));
	}
	stop_run(&run, &report);
	assert_true(report.is_complete);
	assert_int_equal(report.rule_count, 2);
	assert_int_equal(rule_of(&report, "a")->written, 6 * count);
	assert_int_equal(rule_of(&report, "a")->file_count, 1);
	assert_false(rule_of(&report, "a")->is_removed);
	assert_int_equal(rule_of(&report, "b")->written, 3 * count);
	assert_int_equal(rule_of(&report, "b")->file_count, 3);
	assert_true(rule_of(&report, "b")->is_removed);
	assert_int_equal(report.books.written, 9 * count);
	assert_int_equal(report.books.in_files, 9 * count);
	end_run(&run, &report);
}

/* Of a rule that took nothing: a fixed name gives an empty file, a removed filler is forgotten. */
static void a_rule_that_took_nothing_leaves_what_a_run_would_leave(void **state)
{
	const char *before = "rules:\n  a: {filter: udp, write: a.pcap}\n"
			     "  none: {filter: 'tcp', write: none.pcap}\n"
			     "  time: {filter: 'tcp', write: 't-%s.pcap'}\n";
	const char *after = "rules:\n  a: {filter: udp, write: a.pcap}\n";
	struct cw_reload_status status;
	static struct run run;
	struct cw_report report;
	char path[64];

	NEED_DEVICES();
	make_run(&run, before, 1);
	assert_true(reload(&run, after, &status));
	snprintf(path, sizeof(path), "%s/none.pcap", run.folder);
	WAIT_UNTIL(access(path, F_OK) == 0);
	stop_run(&run, &report);
	assert_int_equal(report.rule_count, 2);
	assert_int_equal(rule_of(&report, "none")->file_count, 1);
	assert_true(rule_of(&report, "none")->is_removed);
	assert_int_equal(rule_of(&report, "none")->matched, 0);
	end_run(&run, &report);
}

/* Of a rule that was removed while its output failed: what was lost stays in the books. */
static void a_failed_output_can_be_removed(void **state)
{
	const uint64_t count = scaled(2000, 1000);
	const char *before = "rules:\n  a: {filter: udp, write: a.pcap}\n"
			     "  bad: {filter: udp, write: /dev/full}\n";
	const char *after = "rules:\n  a: {filter: udp, write: a.pcap}\n";
	struct cw_reload_status status;
	static struct run run;
	struct cw_report report;

	NEED_DEVICES();
	make_run(&run, before, 1);
	send_frames(0, count);
	WAIT_UNTIL(packets_of(&run) == count);
	assert_true(reload(&run, after, &status));
	send_frames(count, count);
	WAIT_UNTIL(packets_of(&run) == 2 * count);
	stop_run(&run, &report);
	assert_false(report.is_complete);
	assert_int_equal(rule_of(&report, "a")->written, 2 * count);
	assert_true(rule_of(&report, "bad")->is_removed);
	assert_int_equal(rule_of(&report, "bad")->matched, count);
	assert_int_equal(rule_of(&report, "bad")->lost_total, count);
	assert_int_equal(rule_of(&report, "bad")->lost[CW_LOSS_DISK_FULL], count);
	assert_int_equal(report.books.lost, count);
	end_run(&run, &report);
}

/* A worker that stands still with a batch of the first generation: reloads go on without it, as
 * many as there may be, and the outputs that its batch needs stay. */
static void a_worker_that_stands_still_delays_no_reload(void **state)
{
	const uint64_t count = scaled(2000, 1000);
	const char *first = "rules:\n  old: {filter: udp, write: old.pcap}\n";
	const char *second = "rules:\n  new: {filter: udp, write: new.pcap}\n";
	struct cw_reload_status status;
	static struct run run;
	struct cw_report report;
	uint32_t index;
	char path[64];

	NEED_DEVICES();
	make_run(&run, first, 1);
	atomic_store(&run.shall_stand, true);
	send_frames(0, count);
	WAIT_UNTIL(atomic_load(&run.stands));
	for (index = 2; index <= 64; index++)
		assert_true(reload(&run, second, &status));
	assert_false(reload(&run, second, &status));
	assert_non_null(strstr(status.text, "64 earlier rule sets are still being written"));
	snprintf(path, sizeof(path), "%s/old.pcap", run.folder);
	assert_int_equal(access(path, F_OK), -1);
	send_frames(count, count);
	atomic_store(&run.stands, false);
	WAIT_UNTIL(packets_of(&run) == 2 * count);
	WAIT_UNTIL(access(path, F_OK) == 0);
	assert_true(reload(&run, second, &status));
	stop_run(&run, &report);
	assert_true(report.is_complete);
	assert_int_equal(rule_of(&report, "old")->written + rule_of(&report, "new")->written,
			 2 * count);
	assert_true(rule_of(&report, "old")->written > 0);
	assert_true(rule_of(&report, "new")->written >= count);
	end_run(&run, &report);
}

/* More rules than there is room for change nothing; those that fit do. */
static void too_many_rules_are_refused(void **state)
{
	char *many = make_rules(2, 5000), *fit = make_rules(2, 1000), *first = make_rules(2, 0);
	struct cw_reload_status status;
	static struct run run;
	struct cw_report report;

	NEED_DEVICES();
	make_run(&run, first, 1);
	assert_false(reload(&run, many, &status));
	assert_non_null(strstr(status.text, "room for 4096"));
	if (!reload(&run, fit, &status))
		fail_msg("%s", status.text);
	assert_int_equal(status.rule_count, 1003);
	assert_true(reload(&run, first, &status));
	stop_run(&run, &report);
	end_run(&run, &report);
	free(many);
	free(fit);
	free(first);
}

/* A stream takes no rotation, neither as a new output nor as one that stays; it may come back, and
 * is then no numbered file. */
static void a_reload_refuses_rotation_of_a_stream(void **state)
{
	const char *plain = "rules:\n  a: {filter: udp, write: a.pcap}\n";
	const char *stream = "rules:\n  a: {filter: udp, write: a.pcap}\n"
			     "  s: {filter: udp, write: fifo}\n";
	const char *rotated = "rules:\n  a: {filter: udp, write: a.pcap}\n"
			      "  s: {filter: udp, write: fifo, rotate: {packets: 5}}\n";
	const char *twice = "rules:\n  a: {filter: udp, write: a.pcap}\n"
			    "  s: {filter: udp, write: fifo}\n  t: {filter: udp, write: link}\n";
	struct cw_reload_status status;
	static struct run run;
	struct cw_report report;
	char path[64], link[64];
	int reader;

	NEED_DEVICES();
	make_run(&run, plain, 1);
	snprintf(path, sizeof(path), "%s/fifo", run.folder);
	snprintf(link, sizeof(link), "%s/link", run.folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(symlink("fifo", link), 0);
	reader = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	assert_false(reload(&run, rotated, &status));
	assert_non_null(strstr(status.text, "rules.yaml:3: rule s: rotation by packets needs"));
	for (int round = 0; round < 2; round++) {
		assert_true(reload(&run, stream, &status));
		assert_false(reload(&run, rotated, &status));
		assert_false(reload(&run, twice, &status));
		assert_non_null(strstr(status.text, "rule t: another rule writes "));
		send_frames((uint64_t)round * 10, 10);
		WAIT_UNTIL(packets_of(&run) == 10 * ((uint64_t)round + 1));
		assert_true(reload(&run, plain, &status));
	}
	stop_run(&run, &report);
	assert_true(report.is_complete);
	assert_int_equal(rule_of(&report, "s")->written, 20);
	strcat(path, ".1");
	assert_int_not_equal(access(path, F_OK), 0);
	end_run(&run, &report);
	close(reader);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_rule_that_goes_closes_its_file_and_may_come_back),
	    cmocka_unit_test(a_rule_that_took_nothing_leaves_what_a_run_would_leave),
	    cmocka_unit_test(a_failed_output_can_be_removed),
	    cmocka_unit_test(a_worker_that_stands_still_delays_no_reload),
	    cmocka_unit_test(too_many_rules_are_refused),
	    cmocka_unit_test(a_reload_refuses_rotation_of_a_stream),
	};

	return RUN_TESTS(540, tests, make_devices, NULL, argc, argv);
}
