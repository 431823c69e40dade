/* SPDX-License-Identifier: BSD-3-Clause */
/* What any test program uses: cmocka with what it needs before it, and the end of main. */
#ifndef CW_TESTS_RIG_RUN_TESTS_H
#define CW_TESTS_RIG_RUN_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static inline void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" does not contain \"%s\"", text, part);
}

/* Run all tests, or those whose names match the program's argument (* and ? are wild). SIGALRM
 * after `seconds`; 0: no limit. */
#define RUN_TESTS(seconds, tests, set_up, tear_down, argc, argv)                \
	(alarm(seconds), cmocka_set_test_filter((argc) > 1 ? (argv)[1] : NULL), \
	 cmocka_run_group_tests(tests, set_up, tear_down))

#endif
