/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/base.h"
#include "core/base/near.h"

static const char *meant(const char *word)
{
	static const char *const names[] = {"split",   "capture",   "check", "tcp",  "udp",
					    "threads", "file-size", "sync",  "eth0", "eth1"};
	static char text[CW_NEAR_TEXT_BYTES];
	struct cw_near near = {.word = word, .bytes = strlen(word)};
	size_t bytes;

	for (size_t i = 0; i < CW_ARRAY_COUNT(names); i++)
		cw_near_offer(&near, names[i]);
	bytes = cw_near_say(&near, "'", "'", text, sizeof(text));
	assert_int_equal(bytes, strlen(text));
	return text;
}

static void one_slip_is_near_whatever_its_kind(void **state)
{
	(void)state;
	assert_string_equal(meant("splt"), " did you mean 'split'?");
	assert_string_equal(meant("spplit"), " did you mean 'split'?");
	assert_string_equal(meant("slpit"), " did you mean 'split'?");
	assert_string_equal(meant("splat"), " did you mean 'split'?");
	assert_string_equal(meant("SPLT"), " did you mean 'split'?");
	assert_string_equal(meant("eth7"), " did you mean 'eth0' or 'eth1'?");
}

static void long_words_may_have_two_slips(void **state)
{
	(void)state;
	assert_string_equal(meant("filee-siz"), " did you mean 'file-size'?");
	assert_string_equal(meant("xplt"), "");
}

static void short_words_are_near_to_few(void **state)
{
	(void)state;
	assert_string_equal(meant("tpc"), " did you mean 'tcp'?");
	assert_string_equal(meant("udx"), "");
}

static void known_and_distant_words_have_no_suggestion(void **state)
{
	(void)state;
	assert_string_equal(meant("split"), "");
	assert_string_equal(meant("frobnicate"), "");
	assert_string_equal(meant(""), "");
	assert_string_equal(meant("a-word-that-is-much-longer-than-any-name"), "");
}

static void a_long_list_ends_with_the_text(void **state)
{
	char text[16];
	struct cw_near near = {.word = "eth7", .bytes = 4};

	(void)state;
	for (size_t i = 0; i < 2 * CW_NEAR_NAMES_MAX; i++)
		cw_near_offer(&near, "eth0");
	assert_int_equal(near.count, CW_NEAR_NAMES_MAX);
	assert_int_equal(cw_near_say(&near, "'", "'", text, sizeof(text)), sizeof(text) - 1);
	assert_string_equal(text, " did you mean '");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_slip_is_near_whatever_its_kind),
	    cmocka_unit_test(long_words_may_have_two_slips),
	    cmocka_unit_test(short_words_are_near_to_few),
	    cmocka_unit_test(known_and_distant_words_have_no_suggestion),
	    cmocka_unit_test(a_long_list_ends_with_the_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
