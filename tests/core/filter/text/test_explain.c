/* SPDX-License-Identifier: BSD-3-Clause */
/* The caret under a filter's first bad token, and what may have been meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/filter/filter.h"
#include "core/filter/text/explain.h"
#include "core/packet/linktype.h"

/* What is said of the expression, which must be wrong. */
static const char *explain(const char *expression)
{
	const struct cw_filter_options options = {.linktype = CW_LINKTYPE_ETHERNET};
	static char buffer[CW_FILTER_EXPLAIN_BYTES];
	struct cw_error error = {0};
	struct cw_filter *filter;

	assert_true(cw_filter_compile(&filter, expression, &options, &error) < 0);
	cw_filter_explain(expression, error.text, buffer, sizeof(buffer));
	return buffer;
}

static void caret_stands_under_the_first_bad_token(void **state)
{
	(void)state;
	assert_string_equal(explain("tcp and and udp"), "\n    tcp and and udp\n            ^~~");
	assert_string_equal(explain("tcp $ udp"), "\n    tcp $ udp\n        ^");
	assert_string_equal(explain("tcp port 80 80"), "\n    tcp port 80 80\n                ^~");
	assert_string_equal(explain("(tcp or\tudp"),
			    "\n    (tcp or udp\n               ^ something is missing here");
	assert_string_equal(explain("tcp\nand and\nudp"), "\n    and and\n        ^~~");
	assert_string_equal(explain("(tcp\nor udp\n"),
			    "\n    or udp\n          ^ something is missing here");
}

static void slips_are_recognised(void **state)
{
	(void)state;
	assert_non_null(
	    strstr(explain("tcp prot 80"), "\n        ^~~~ did you mean \"port\" or \"proto\"?"));
	assert_non_null(strstr(explain("host 10.0.0.1 andd tcp"), "did you mean \"and\"?"));
	assert_non_null(strstr(explain("dst hst 10.0.0.1"), "did you mean \"host\"?"));
	assert_non_null(strstr(explain("tpc or udp"), "did you mean \"tcp\"?"));
	assert_non_null(strstr(explain("UDPP"), "did you mean \"udp\"?"));
	assert_null(strstr(explain("zebrafish"), "did you mean"));
}

/* Whatever stands in a long expression, there is one line of it, with the caret in it. */
static void long_expressions_are_cut_around_the_place(void **state)
{
	char expression[4000];
	size_t terms;

	(void)state;
	for (terms = 0; terms < 100; terms++) {
		const char *said, *caret, *line;
		size_t used = 0, at;

		for (at = 0; at < 100; at++)
			used += (size_t)sprintf(expression + used, "%sport %zu", at ? " or " : "",
						at == terms ? 99999 : at + 1);
		said = explain(expression);
		assert_int_equal(said[0], '\n');
		line = said + 1;
		caret = strchr(line, '\n');
		assert_non_null(caret);
		assert_true(caret - line < 90);
		at = strspn(caret + 1, " ");
		assert_int_equal(caret[1 + at], '^');
		assert_memory_equal(line + at, "99999", 5);
	}
}

static void messages_without_a_place_have_no_caret(void **state)
{
	char buffer[CW_FILTER_EXPLAIN_BYTES];

	(void)state;
	assert_false(cw_filter_explain("tcp", "no place", buffer, sizeof(buffer)));
	assert_false(cw_filter_explain("tcp", "at \"x\" (column 9)", buffer, sizeof(buffer)));
	assert_false(cw_filter_explain("tcp", "at \"x\" (column 0)", buffer, sizeof(buffer)));
	assert_false(cw_filter_explain("tcp", "at \"x\" (column", buffer, sizeof(buffer)));
	assert_string_equal(buffer, "");
	assert_true(cw_filter_explain("", "syntax error, at its end", buffer, sizeof(buffer)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(caret_stands_under_the_first_bad_token),
	    cmocka_unit_test(slips_are_recognised),
	    cmocka_unit_test(long_expressions_are_cut_around_the_place),
	    cmocka_unit_test(messages_without_a_place_have_no_caret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
