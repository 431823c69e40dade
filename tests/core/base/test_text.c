/* SPDX-License-Identifier: BSD-3-Clause */
/* Text of unknown origin: nothing that a terminal obeys, and no invalid UTF-8, is left. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"
#include "core/base/text.h"
#include "tests/rig/run_tests.h"

static void bad_bytes_become_question_marks(void **state)
{
	static const struct {
		const char *text, *clean, *utf8;
	} cases[] = {
	    {"eth0 \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
	     "eth0 \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
	     "eth0 \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
	    {"a\x1b[2Jb", "a?[2Jb", "a\x1b[2Jb"},
	    {"two\nlines\r\t\a\x7f", "two\nlines????", "two\nlines\r\t\a\x7f"},
	    {"C1 \xc2\x9b"
	     "2J \xc2\x80\xc2\x9f",
	     "C1 ??2J ????",
	     "C1 \xc2\x9b"
	     "2J \xc2\x80\xc2\x9f"},
	    {"U+A0 \xc2\xa0", "U+A0 \xc2\xa0", "U+A0 \xc2\xa0"},
	    {"raw \x9b"
	     "2J \xff\xfe",
	     "raw ?2J ??", "raw ?2J ??"},
	    {"overlong \xc0\x9b \xc1\x81 \xe0\x82\x9b \xf0\x80\x82\x9b", "overlong ?? ?? ??? ????",
	     "overlong ?? ?? ??? ????"},
	    {"surrogate \xed\xa0\x80 \xed\x9f\xbf", "surrogate ??? \xed\x9f\xbf",
	     "surrogate ??? \xed\x9f\xbf"},
	    {"beyond \xf4\x90\x80\x80 \xf5\x80\x80\x80 \xf4\x8f\xbf\xbf",
	     "beyond ???? ???? \xf4\x8f\xbf\xbf", "beyond ???? ???? \xf4\x8f\xbf\xbf"},
	    {"cut \xe2\x82", "cut ??", "cut ??"},
	    {"cut \xf0\x9f\x98", "cut ???", "cut ???"},
	    {"cut \xc3", "cut ?", "cut ?"},
	    {"\xe2\x1b\x82", "???", "?\x1b?"},
	    {"", "", ""},
	};

	(void)state;
	for (size_t index = 0; index < CW_ARRAY_COUNT(cases); index++) {
		char text[64];

		strcpy(text, cases[index].text);
		cw_text_clean(text);
		assert_string_equal(text, cases[index].clean);
		strcpy(text, cases[index].text);
		cw_text_make_utf8(text);
		assert_string_equal(text, cases[index].utf8);
	}
}

/* Returns whether mbstowcs' simple grammar holds: a lead byte tells the length, no control. */
static bool is_safe(const unsigned char *text)
{
	while (*text) {
		uint32_t value = *text, bytes = 1;

		if (value >= 0x80) {
			if (value < 0xc2 || value > 0xf4)
				return false;
			bytes = value >= 0xf0 ? 4 : value >= 0xe0 ? 3 : 2;
			value &= 0xffu >> (bytes + 1);
			for (uint32_t index = 1; index < bytes; index++) {
				if ((text[index] & 0xc0) != 0x80)
					return false;
				value = value << 6 | (text[index] & 0x3f);
			}
			if (value < (bytes == 2   ? 0xa0u
				     : bytes == 3 ? 0x800u
						  : 0x10000u) ||
			    value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
				return false;
		}
		if ((value < ' ' && value != '\n') || value == 0x7f)
			return false;
		text += bytes;
	}
	return true;
}

/* All texts of three bytes that can be part of a character, in a frame of letters. */
static void every_text_is_safe_and_as_long_as_before(void **state)
{
	static const unsigned char bytes[] = {'a',  '\n', 0x1b, 0x7f, 0x80, 0x8f, 0x90, 0x9f,
					      0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xdf, 0xe0,
					      0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff};
	const size_t count = CW_ARRAY_COUNT(bytes);

	(void)state;
	for (size_t at = 0; at < count * count * count * count; at++) {
		unsigned char text[7] = {'x',
					 bytes[at % count],
					 bytes[at / count % count],
					 bytes[at / count / count % count],
					 bytes[at / count / count / count],
					 'y'};
		unsigned char before[7];

		memcpy(before, text, sizeof(text));
		cw_text_clean((char *)text);
		if (!is_safe(text) || strlen((char *)text) != 6 || text[0] != 'x' ||
		    text[5] != 'y' || (is_safe(before) && memcmp(before, text, sizeof(text)) != 0))
			fail_msg("text %zu", at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bad_bytes_become_question_marks),
	    cmocka_unit_test(every_text_is_safe_and_as_long_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
