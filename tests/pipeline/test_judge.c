/* SPDX-License-Identifier: BSD-3-Clause */
/* The verdict: each recorded loss, error and failure alone makes a run incomplete. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/report/report.h"

static char text[] = "why";
static struct cw_report_input input;
static struct cw_report_rule rule;

static struct cw_report good_report(void)
{
	input = (struct cw_report_input){.packets = 3};
	rule = (struct cw_report_rule){.matched = 3, .written = 2, .left_out_total = 1};
	return (struct cw_report){.inputs = &input,
				  .input_count = 1,
				  .rules = &rule,
				  .rule_count = 1,
				  .books = {.received = 3, .written = 2, .left_out = 1},
				  .hooks_run = 1,
				  .kernel_dropped = 5,
				  .late = 1,
				  .reloads_refused = 1,
				  .is_balanced = true};
}

static void a_run_without_losses_is_complete(void **state)
{
	const struct cw_report report = good_report();

	(void)state;
	assert_int_equal(cw_report_judge(&report, 5), CW_VERDICT_COMPLETE);
	assert_int_equal(cw_report_judge(&report, UINT64_MAX), CW_VERDICT_COMPLETE);
}

static void more_drops_than_allowed_are_a_verdict_of_their_own(void **state)
{
	const struct cw_report report = good_report();

	(void)state;
	assert_int_equal(cw_report_judge(&report, 4), CW_VERDICT_DROPS);
}

static void each_fault_alone_makes_a_run_incomplete(void **state)
{
	enum { FAULTS = 13 };

	(void)state;
	for (int fault = 0; fault < FAULTS; fault++) {
		struct cw_report report = good_report();

		if (fault == 0)
			report.is_balanced = false;
		else if (fault == 1)
			report.has_problem = true;
		else if (fault == 2)
			report.was_interrupted = true;
		else if (fault == 3)
			report.books.lost = 1;
		else if (fault == 4)
			report.books.malformed = 1;
		else if (fault == 5)
			report.verify.differences = 1;
		else if (fault == 6)
			report.hooks_failed = 1;
		else if (fault == 7)
			report.has_unfinished_hooks = true;
		else if (fault == 8)
			input.error = text;
		else if (fault == 9)
			rule.error = text;
		else if (fault == 10)
			rule.failures = 1;
		else if (fault == 11)
			rule.timestamps_truncated = 1;
		else
			rule.truncated = 1;
		assert_int_equal(cw_report_judge(&report, 5), CW_VERDICT_INCOMPLETE);
		assert_int_equal(cw_report_judge(&report, 0), CW_VERDICT_INCOMPLETE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_run_without_losses_is_complete),
	    cmocka_unit_test(more_drops_than_allowed_are_a_verdict_of_their_own),
	    cmocka_unit_test(each_fault_alone_makes_a_run_incomplete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
