/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers with suffixes: what each kind takes and refuses, and what errors say of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/base.h"
#include "pipeline/rules/amount.h"

static const struct cw_amount whole = {CW_WHOLE, 1, 0, UINT64_MAX};
static const struct cw_amount count = {CW_COUNT, 1, 0, UINT64_MAX};
static const struct cw_amount size = {CW_SIZE, 1, 0, UINT64_MAX};
static const struct cw_amount span = {CW_TIME, CW_NS_PER_S, 0, UINT64_MAX};

struct example {
	const char *text;
	int status;
	uint64_t value;
};

static void check(const struct cw_amount *amount, const struct example *examples,
		  size_t examples_count)
{
	for (size_t i = 0; i < examples_count; i++) {
		uint64_t value = 77;

		if (cw_amount_parse(amount, examples[i].text, &value) != examples[i].status)
			fail_msg("'%s' is not %d", examples[i].text, examples[i].status);
		assert_true(value == (examples[i].status ? 77 : examples[i].value));
	}
}

static void whole_numbers_and_counts(void **state)
{
	static const struct example wholes[] = {{"0", 0, 0},
						{"007", 0, 7},
						{"18446744073709551615", 0, UINT64_MAX},
						{"18446744073709551616", -ERANGE, 0},
						{"99999999999999999999999", -ERANGE, 0},
						{"1k", -EINVAL, 0},
						{"1.5", -EINVAL, 0},
						{"0x10", -EINVAL, 0},
						{"", -EINVAL, 0},
						{"+1", -EINVAL, 0},
						{"-1", -EINVAL, 0},
						{" 1", -EINVAL, 0},
						{"1 ", -EINVAL, 0}};
	static const struct example counts[] = {
	    {"12", 0, 12},         {"10k", 0, 10000},    {"3M", 0, 3000000},
	    {"2G", 0, 2000000000}, {"1m", -EINVAL, 0},   {"1K", -EINVAL, 0},
	    {"1g", -EINVAL, 0},    {"1kk", -EINVAL, 0},  {"1kB", -EINVAL, 0},
	    {"k", -EINVAL, 0},     {"1.5k", -EINVAL, 0}, {"18446744074G", -ERANGE, 0}};

	(void)state;
	check(&whole, wholes, CW_ARRAY_COUNT(wholes));
	check(&count, counts, CW_ARRAY_COUNT(counts));
}

static void sizes_have_decimal_and_binary_units(void **state)
{
	static const struct example examples[] = {
	    {"0", 0, 0},
	    {"500", 0, 500},
	    {"500B", 0, 500},
	    {"1KB", 0, 1000},
	    {"1kB", 0, 1000},
	    {"10MB", 0, 10000000},
	    {"2GB", 0, 2000000000},
	    {"1TB", 0, 1000000000000},
	    {"1KiB", 0, 1024},
	    {"3MiB", 0, 3 << 20},
	    {"1GiB", 0, 1 << 30},
	    {"2TiB", 0, UINT64_C(2) << 40},
	    {"1k", 0, 1 << 10},
	    {"1K", 0, 1 << 10},
	    {"1m", 0, 1 << 20},
	    {"1M", 0, 1 << 20},
	    {"1g", 0, 1 << 30},
	    {"1G", 0, 1 << 30},
	    {"1t", 0, UINT64_C(1) << 40},
	    {"1T", 0, UINT64_C(1) << 40},
	    {"18446744073709551615", 0, UINT64_MAX},
	    {"18446744073709551616", -ERANGE, 0},
	    {"99999999999999999999999", -ERANGE, 0},
	    {"16777216TiB", -ERANGE, 0},
	    {"", -EINVAL, 0},
	    {"KB", -EINVAL, 0},
	    {"-1", -EINVAL, 0},
	    {" 1", -EINVAL, 0},
	    {"1 KB", -EINVAL, 0},
	    {"1kb", -EINVAL, 0},
	    {"1kk", -EINVAL, 0},
	    {"1.5GB", -EINVAL, 0},
	    {"1PB", -EINVAL, 0},
	};
	static const struct cw_amount millions = {CW_SIZE, 1000000, 1, UINT64_MAX};
	static const struct example of_millions[] = {
	    {"1", 0, 1000000}, {"1B", 0, 1},       {"1m", 0, 1 << 20},
	    {"0", -ERANGE, 0}, {"0m", -ERANGE, 0}, {"18446744073710", -ERANGE, 0}};

	(void)state;
	check(&size, examples, CW_ARRAY_COUNT(examples));
	check(&millions, of_millions, CW_ARRAY_COUNT(of_millions));
}

static void times_have_fractions(void **state)
{
	static const struct example examples[] = {{"90", 0, 90 * CW_NS_PER_S},
						  {"0.001", 0, 1000000},
						  {"1.5", 0, 1500000000},
						  {"1.", 0, CW_NS_PER_S},
						  {"1.5us", 0, 1500},
						  {"500ms", 0, 500000000},
						  {"30s", 0, 30 * CW_NS_PER_S},
						  {"10m", 0, 600 * CW_NS_PER_S},
						  {"1.5h", 0, 5400 * CW_NS_PER_S},
						  {"1d", 0, 86400 * CW_NS_PER_S},
						  {"0.0000000000009", 0, 0},
						  {"18446744073.709551615", 0, UINT64_MAX},
						  {"18446744073.709551616", -ERANGE, 0},
						  {"18446744074", -ERANGE, 0},
						  {"213504d", -ERANGE, 0},
						  {".5", -EINVAL, 0},
						  {"1..5", -EINVAL, 0},
						  {"1e9", -EINVAL, 0},
						  {"nan", -EINVAL, 0},
						  {"1 s", -EINVAL, 0},
						  {"1w", -EINVAL, 0},
						  {"1S", -EINVAL, 0},
						  {"s", -EINVAL, 0}};
	static const struct cw_amount ms = {CW_TIME, 1000000, 1000000, CW_NS_PER_S};
	static const struct example of_ms[] = {{"1", 0, 1000000},        {"1s", 0, CW_NS_PER_S},
					       {"1000", 0, CW_NS_PER_S}, {"0.9", -ERANGE, 0},
					       {"1001", -ERANGE, 0},     {"999us", -ERANGE, 0}};

	(void)state;
	check(&span, examples, CW_ARRAY_COUNT(examples));
	check(&ms, of_ms, CW_ARRAY_COUNT(of_ms));
}

static void errors_say_the_range_and_the_suffixes(void **state)
{
	static const struct {
		struct cw_amount amount;
		const char *text;
	} examples[] = {
	    {{CW_WHOLE, 1, 1, 99}, "a whole number from 1 to 99"},
	    {{CW_COUNT, 1, 0, 10000}, "a count from 0 to 10000 (suffixes k, M, G)"},
	    {{CW_SIZE, 1024, 1000, UINT64_C(1) << 40},
	     "a size from 1kB to 1TiB (a bare number is in KiB; suffixes k, m, g, t, KiB, kB, "
	     "...)"},
	    {{CW_SIZE, 1000, 1, UINT64_MAX},
	     "a size of at least 1B (a bare number is in kB; suffixes k, m, g, t, KiB, kB, ...)"},
	    {{CW_COUNT, 1, 1, INT64_MAX}, "a count of at least 1 (suffixes k, M, G)"},
	    {{CW_SIZE, 1, 0, UINT64_MAX},
	     "a size (a bare number is in B; suffixes k, m, g, t, KiB, kB, ...)"},
	    {{CW_TIME, CW_NS_PER_S, 1000000, 86400 * CW_NS_PER_S},
	     "a time from 1ms to 1d (a bare number is in s; suffixes us, ms, s, m, h, d)"},
	};
	char text[CW_AMOUNT_BYTES];

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(examples); i++)
		assert_string_equal(cw_amount_describe(&examples[i].amount, text),
				    examples[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whole_numbers_and_counts),
	    cmocka_unit_test(sizes_have_decimal_and_binary_units),
	    cmocka_unit_test(times_have_fractions),
	    cmocka_unit_test(errors_say_the_range_and_the_suffixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
