/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON on standard output: complete or not there, whatever allocation fails; valid UTF-8. */
#include <stdlib.h>
#include <sys/mman.h>

#include "pipeline/pipeline.h"
#include "tests/rig/failing_memory.h"
#include "tests/rig/run_tests.h"
#include "tools/text/complain.h"
#include "tools/text/numbers.h"
#include "tools/text/report.h"

#define TEXT_BYTES 65536u

/* ---- standard output, in memory ---- */

static char printed[TEXT_BYTES];

struct capture {
	int memory, output;
};

static void begin(struct capture *capture)
{
	fflush(stdout);
	capture->memory = memfd_create("stdout", MFD_CLOEXEC);
	capture->output = dup(STDOUT_FILENO);
	assert_true(capture->memory >= 0 && capture->output >= 0);
	assert_int_equal(dup2(capture->memory, STDOUT_FILENO), STDOUT_FILENO);
}

static void end(struct capture *capture)
{
	ssize_t bytes;

	fflush(stdout);
	assert_int_equal(dup2(capture->output, STDOUT_FILENO), STDOUT_FILENO);
	bytes = pread(capture->memory, printed, sizeof(printed) - 1, 0);
	assert_true(bytes >= 0);
	printed[bytes] = '\0';
	close(capture->memory);
	close(capture->output);
}

/* ---- a live run's report ---- */

static int print_report(void)
{
	char *files[] = {"a\xff.pcap", "b\x9b.pcap"};
	struct cw_rule rule = {.name = "all", .filter = "udp"};
	struct cw_report_rule rules[] = {{.rule = &rule, .files = files, .file_count = 2}};
	struct cw_report_input inputs[] = {{.file = "in\xe2\x82.pcap"}};
	struct cw_report_queue queues[] = {{.device = "eth\xff"}};
	struct cw_netdev_drop drops[] = {
	    {"rx_\xff", 3}, {"rx_\xfe", 4}, {"rx_missed", 5}, {"rx_\xc2\x9b", 6}};
	struct cw_report_device devices[] = {{.device = "eth\xff",
					      .linktype = 1,
					      .has_losses = true,
					      .drops = drops,
					      .drop_count = 4}};
	struct cw_report report = {.rules = rules,
				   .rule_count = 1,
				   .inputs = inputs,
				   .input_count = 1,
				   .queues = queues,
				   .queue_count = 1,
				   .devices = devices,
				   .device_count = 1,
				   .hooks_run = 1,
				   .is_complete = true};

	return cw_report_print_json(&report);
}

static void names_that_are_not_utf8_stay_in_the_report(void **state)
{
	struct capture capture;
	json_t *whole, *driver, *device;
	int status;

	(void)state;
	begin(&capture);
	status = print_report();
	end(&capture);
	assert_int_equal(status, CW_EXIT_COMPLETE);
	whole = json_loads(printed, 0, NULL);
	assert_non_null(whole);
	device = json_array_get(json_object_get(whole, "devices"), 0);
	assert_string_equal(json_string_value(json_object_get(device, "device")), "eth?");
	driver = json_object_get(json_object_get(device, "before_tap"), "driver");
	assert_int_equal(json_object_size(driver), 3);
	assert_int_equal(json_integer_value(json_object_get(driver, "rx_?")), 7);
	assert_int_equal(json_integer_value(json_object_get(driver, "rx_missed")), 5);
	assert_int_equal(json_integer_value(json_object_get(driver, "rx_\xc2\x9b")), 6);
	assert_null(strstr(printed, "\xc2\x9b")); /* escaped: a terminal obeys it */
	assert_contains(printed, "a?.pcap");
	assert_contains(printed, "in??.pcap");
	json_decref(whole);
}

static int print_stats(void)
{
	const struct cw_progress progress = {0};
	const struct cw_books books = {0};

	cw_stats_print_json(1, &progress, &books);
	return CW_EXIT_COMPLETE;
}

/* Fails each allocation of `print` in turn, once and for ever; returns their number. */
static uint32_t fail_each(int (*print)(void))
{
	const uint32_t plenty = UINT32_MAX - 1;
	struct capture capture;
	uint32_t count, index;

	begin(&capture);
	allocations_left = plenty;
	assert_int_equal(print(), CW_EXIT_COMPLETE);
	count = plenty - allocations_left;
	end(&capture);
	for (index = 0; index < 2 * count; index++) {
		int status;

		begin(&capture);
		allocations_left = index / 2;
		fails_once = index % 2;
		status = print();
		allocations_left = UINT32_MAX;
		end(&capture);
		if (printed[0])
			fail_msg("allocation %u of %u: %s", index / 2, count, printed);
		assert_true(print != print_report || status == CW_EXIT_PROBLEM);
	}
	return count;
}

static void report_is_not_printed_if_any_allocation_fails(void **state)
{
	(void)state;
	assert_true(fail_each(print_report) > 100);
}

/* Last: the final report fails once a line of statistics was not printed. */
static void line_of_statistics_is_not_printed_if_any_allocation_fails(void **state)
{
	struct capture capture;
	int status;

	(void)state;
	assert_true(fail_each(print_stats) > 20);
	begin(&capture);
	status = print_report();
	end(&capture);
	assert_int_equal(status, CW_EXIT_PROBLEM);
	assert_true(printed[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_that_are_not_utf8_stay_in_the_report),
	    cmocka_unit_test(report_is_not_printed_if_any_allocation_fails),
	    cmocka_unit_test(line_of_statistics_is_not_printed_if_any_allocation_fails),
	};

	cw_json_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
