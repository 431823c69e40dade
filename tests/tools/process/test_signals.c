/* SPDX-License-Identifier: BSD-3-Clause */
/* What a signal asks for, by the signals before it and the time since the first request. */
#include <signal.h>
#include <stdio.h>

#include "core/base/base.h"
#include "tests/rig/run_tests.h"
#include "tools/process/signals.h"
#include "tools/text/complain.h"

#define MS UINT64_C(1000000)
#define START (UINT64_C(1) << 40)
#define LAST 64

void __wrap_cw_complain(const char *format, ...);

void __wrap_cw_complain(const char *format, ...)
{
	(void)format;
	fail_msg("a signal was not read");
}

/* Whether a signal asks to end, SIGQUIT aside. */
static bool asks(int number, bool reloads, bool ignored)
{
	switch (number) {
	case SIGUSR1:
	case SIGUSR2:
	case SIGQUIT:
		return false;
	case SIGHUP:
		return !reloads && !ignored;
	default:
		return true;
	}
}

static enum cw_signal expected(int number, bool was_asked, bool is_late,
			       const struct cw_signals *signals)
{
	static const enum cw_signal others[] = {
	    [SIGUSR1] = CW_SIGNAL_STATS, [SIGUSR2] = CW_SIGNAL_FLUSH, [SIGQUIT] = CW_SIGNAL_ABORT};

	if (number == SIGHUP && !asks(SIGHUP, signals->reloads, signals->was_hup_ignored))
		return signals->reloads ? CW_SIGNAL_RELOAD : CW_SIGNAL_NONE;
	if (!asks(number, signals->reloads, signals->was_hup_ignored))
		return others[number];
	if (!was_asked)
		return CW_SIGNAL_STOP;
	if (!is_late)
		return CW_SIGNAL_SAME;
	return number == SIGINT ? CW_SIGNAL_ABORT : CW_SIGNAL_PRESS;
}

static void check_pair(int first, int second, uint64_t gap_ms, const struct cw_signals *start)
{
	struct cw_signals signals = *start;
	bool was_asked = asks(first, start->reloads, start->was_hup_ignored);
	enum cw_signal got;

	assert_int_equal(cw_signals_judge(&signals, first, START),
			 expected(first, false, false, start));
	assert_int_equal(signals.was_asked, was_asked);
	got = cw_signals_judge(&signals, second, START + gap_ms * MS);
	if (got != expected(second, was_asked, gap_ms > CW_SIGNAL_SAME_MS, start))
		fail_msg("signal %d, %d ms later signal %d: %d", first, (int)gap_ms, second, got);
	/* The rule in two lines, whatever comes. */
	assert_true(got != CW_SIGNAL_ABORT || second == SIGQUIT ||
		    (second == SIGINT && was_asked && gap_ms > CW_SIGNAL_SAME_MS));
}

static void every_pair_of_signals_is_judged_by_the_rules(void **state)
{
	static const uint64_t gaps_ms[] = {0, 200, CW_SIGNAL_SAME_MS, CW_SIGNAL_SAME_MS + 1, 5000};

	(void)state;
	for (int way = 0; way < 4; way++) {
		const struct cw_signals start = {.reloads = way & 1, .was_hup_ignored = way & 2};

		for (int first = 1; first <= LAST; first++)
			for (int second = 1; second <= LAST; second++)
				for (size_t gap = 0; gap < CW_ARRAY_COUNT(gaps_ms); gap++)
					check_pair(first, second, gaps_ms[gap], &start);
	}
}

static void the_second_begins_when_the_request_is_under_way(void **state)
{
	struct cw_signals signals = {0};

	(void)state;
	assert_int_equal(cw_signals_judge(&signals, SIGINT, START), CW_SIGNAL_STOP);
	cw_signals_asked(&signals, START + 3000 * MS); /* standard error was blocked */
	assert_int_equal(cw_signals_judge(&signals, SIGINT, START + 3900 * MS), CW_SIGNAL_SAME);
	assert_int_equal(cw_signals_judge(&signals, SIGINT, START + 4001 * MS), CW_SIGNAL_ABORT);
}

static void repeats_do_not_move_the_second(void **state)
{
	struct cw_signals signals = {0};

	(void)state;
	assert_int_equal(cw_signals_judge(&signals, SIGTERM, START), CW_SIGNAL_STOP);
	assert_int_equal(cw_signals_judge(&signals, SIGTERM, START + 900 * MS), CW_SIGNAL_SAME);
	assert_int_equal(cw_signals_judge(&signals, SIGINT, START + 1001 * MS), CW_SIGNAL_ABORT);
}

/* Sends each signal that can be handled to this process, and reads it. */
static void every_signal_that_would_end_a_run_is_read(void **state)
{
	static const int left_alone[] = {SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,  SIGABRT, SIGTRAP,
					 SIGSYS,  SIGPIPE, SIGXFSZ, SIGKILL, SIGSTOP, SIGCONT,
					 SIGTSTP, SIGTTIN, SIGTTOU, SIGCHLD, SIGURG,  SIGWINCH};
	struct cw_signals signals;
	sigset_t blocked;

	(void)state;
	signal(SIGHUP, SIG_IGN);
	assert_int_equal(cw_signals_open(&signals, false), 0);
	assert_true(signals.was_hup_ignored);
	cw_signals_close(&signals);
	signal(SIGHUP, SIG_DFL);
	assert_int_equal(cw_signals_open(&signals, true), 0);
	assert_false(signals.was_hup_ignored);
	cw_signals_ready();
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	for (size_t index = 0; index < CW_ARRAY_COUNT(left_alone); index++)
		assert_int_equal(sigismember(&blocked, left_alone[index]), 0);
	for (int number = 1; number <= SIGRTMAX; number++) {
		if (sigismember(&blocked, number) != 1) {
			bool is_known = number > SIGSYS && number < SIGRTMIN; /* of glibc */

			for (size_t index = 0; index < CW_ARRAY_COUNT(left_alone); index++)
				is_known |= left_alone[index] == number;
			assert_true(is_known);
			continue;
		}
		signals.was_asked = false;
		kill(getpid(), number);
		assert_int_equal(cw_signals_next(&signals),
				 expected(number, false, false, &signals));
		assert_int_equal(cw_signals_next(&signals), CW_SIGNAL_NONE);
	}
	cw_signals_close(&signals);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_pair_of_signals_is_judged_by_the_rules),
	    cmocka_unit_test(the_second_begins_when_the_request_is_under_way),
	    cmocka_unit_test(repeats_do_not_move_the_second),
	    cmocka_unit_test(every_signal_that_would_end_a_run_is_read),
	};

	return RUN_TESTS(60, tests, NULL, NULL, argc, argv);
}
