/* SPDX-License-Identifier: BSD-3-Clause */
/* The paths that a template can give, and their numbers, against a plain matcher. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/rules/template.h"
#include "tests/rig/scale.h"

static struct cw_template *parse(const char *text)
{
	struct cw_error error;
	struct cw_template *name;

	if (cw_template_parse(&name, text, NULL, &error))
		fail_msg("%s", error.text);
	return name;
}

/* Returns the path's number by the template, with the rule "web"; -1: another template's path. */
static int64_t number_of(const char *template, const char *path)
{
	struct cw_template *name = parse(template);
	uint64_t number = 0;
	bool is_ours = cw_template_match(name, "web", path, &number);

	cw_template_free(name);
	return is_ours ? (int64_t)number : -1;
}

static void paths_give_their_number(void **state)
{
	static const struct {
		const char *template, *path;
		int64_t number;
	} cases[] = {
	    {"a.pcap", "a.pcap", 0},
	    {"a.pcap", "a.00012.pcap", 12},
	    {"a.pcap", "a.7.pcap", 7},
	    {"a.pcap", "a.123456.pcap", 123456},
	    {"a.pcap", "a.x.pcap", -1},
	    {"a.pcap", "a..pcap", -1},
	    {"a.pcap", "b.00001.pcap", -1},
	    {"a.pcap", "a.00001.pcapng", -1},
	    {"a.pcap", "a.00001.pcap.1", -1},
	    {"a.pcap", ".a.00001.pcap", -1},
	    {"a.pcap", "d/a.00001.pcap", -1},
	    {"a.pcap", "a.00000000000000000012.pcap", 12},
	    {"a.pcap", "a.99999999999999999999.pcap", 0}, /* no number that a run counts to */
	    {"a.pcap.zst", "a.00003.pcap.zst", 3},
	    {"a.pcap.zst", "a.pcap.00003.zst", -1},
	    {"a", "a.00003", 3},
	    {".a", ".a.3", 3},
	    {"a.1.pcap", "a.1.00002.pcap", 2},
	    {"a.1", "a.00002.1", 2},
	    {"o.d/{rule}.pcap", "o.d/web.00002.pcap", 2},
	    {"o.d/{rule}.pcap", "o.d/dns.00002.pcap", -1},
	    {"{iface}.pcap", "eth0.00009.pcap", 9},
	    {"{iface}.pcap", "eth0/1.00009.pcap", -1},
	    {"{iface}/a.pcap", "eth0/a.00009.pcap", 9},
	    {"x-{seq}.pcap", "x-0.pcap", 0},
	    {"x-{seq}.pcap", "x-41.pcap", 41},
	    {"x-{seq}.pcap", "x-41.2.pcap", 41}, /* a repeated name */
	    {"x-{seq:03}.pcap", "x-041.pcap", 41},
	    {"x-{seq:03}.pcap", "x-1041.pcap", 1041},
	    {"x-{seq:03}.pcap", "x-41.pcap", -1},
	    {"%Y{seq}.pcap", "20265.pcap", 5},
	    {"{seq}%Y.pcap", "52026.pcap", 5},
	    {"{seq}{iface}.pcap", "123eth4.pcap", 123}, /* the highest of 1, 12, 123 */
	    {"%Y-%m-%d/{seq}.pcap", "2026-11-30/7.pcap", 7},
	    {"%Y-%m-%d/{seq}.pcap", "2026-11-3/7.pcap", -1},
	    {"%F-%T.pcap", "2026-11-30-17:00:00.pcap", 0},
	    {"%F-%T.pcap", "2026-11-30-17:00:00.3.pcap", 3},
	    {"%s.pcap", "1795406706.pcap", 0},
	    {"%B.pcap", "November.pcap", 0},
	    {"%B.pcap", "Nov/ember.pcap", -1},
	    {"%-d.pcap", "3.pcap", 0},
	};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++)
		if (number_of(cases[i].template, cases[i].path) != cases[i].number)
			fail_msg("%s, %s: %lld", cases[i].template, cases[i].path,
				 (long long)number_of(cases[i].template, cases[i].path));
}

static void a_path_that_is_too_long_is_no_ones(void **state)
{
	static char path[2 * CW_TEMPLATE_PATH_BYTES];

	(void)state;
	memset(path, '1', sizeof(path) - 1);
	assert_int_equal(number_of("{seq}", path), -1);
	path[CW_TEMPLATE_PATH_BYTES] = 0;
	assert_int_equal(number_of("%B", path), -1);
}

static bool leads(const char *template, const char *folder)
{
	struct cw_template *name = parse(template);
	bool result = cw_template_match_folder(name, "web", folder);

	cw_template_free(name);
	return result;
}

static void folders_that_can_lead_to_a_path_are_known(void **state)
{
	(void)state;
	assert_true(leads("o/%Y/%m/{seq}.pcap", "o/"));
	assert_true(leads("o/%Y/%m/{seq}.pcap", "o/2026/"));
	assert_true(leads("o/%Y/%m/{seq}.pcap", "o/2026/11/"));
	assert_true(leads("{rule}/a.pcap", "web/"));
	assert_true(leads("{iface}/a.pcap", "eth0/"));
	assert_false(leads("o/%Y/%m/{seq}.pcap", "o/x/"));
	assert_false(leads("o/%Y/%m/{seq}.pcap", "o/2026/11/1/"));
	assert_false(leads("o/%Y/%m/{seq}.pcap", "p/"));
	assert_false(leads("{rule}/a.pcap", "dns/"));
	assert_false(leads("{rule}.pcap", "web.pcap/"));
}

static void the_beginning_that_all_paths_have_is_known(void **state)
{
	struct cw_template *name = parse("o/{rule}-%Y/{rule}.pcap");
	char prefix[CW_TEMPLATE_PATH_BYTES];

	(void)state;
	assert_int_equal(cw_template_prefix(name, "w/b", prefix), 6);
	assert_string_equal(prefix, "o/w_b-");
	cw_template_free(name);
}

static uint32_t seed = 20261130;

static uint32_t below(uint32_t limit)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 12) % limit;
}

static struct cw_template *random_template(void)
{
	static const char *const pieces[] = {"a",       "1",     ".",  "-",       "{rule}",
					     "{iface}", "{seq}", "/",  "{seq:2}", "%H",
					     "%j",      ".pcap", "%-H"};
	char text[64] = "a";

	for (uint32_t i = below(5); i > 0; i--)
		strcat(text, pieces[below(CW_ARRAY_COUNT(pieces))]);
	strcat(text, below(2) ? "a" : "1");
	return parse(text);
}

/* ---- the plain matcher: tries every length of every part ---- */

static bool is_of(const char *text, uint32_t bytes, const char *set)
{
	return strspn(text, set) >= bytes;
}

static bool fits_part(const struct cw_template *name, const struct cw_part *part, const char *rule,
		      const char *path, uint32_t bytes)
{
	const char *text = name->text + part->offset;

	switch (part->kind) {
	case CW_PART_TEXT:
		return bytes == part->bytes && !memcmp(path, text, bytes);
	case CW_PART_RULE:
		return bytes == strlen(rule) && !memcmp(path, rule, bytes);
	case CW_PART_SEQ:
		return bytes >= (part->width ? part->width : 1) && bytes <= 20 &&
		       is_of(path, bytes, "0123456789");
	case CW_PART_IFACE:
		return bytes && is_of(path, bytes, "abcdefghijklmnopqrstuvwxyz0123456789_-.+@:");
	default:
		if (!strcmp(text, "%-H"))
			return bytes && !memchr(path, '/', bytes);
		return bytes == (strcmp(text, "%H") ? 3 : 2) && is_of(path, bytes, "0123456789");
	}
}

/* Returns whether the parts from `at` on give the path; `seq` so far of the first {seq}, which
 * *highest is raised to. */
static bool fits(const struct cw_template *name, uint32_t at, const char *rule, const char *path,
		 uint64_t seq, uint64_t *highest)
{
	bool is_any = false;
	bool is_first = true;

	if (at == name->part_count) {
		if (!*path && seq > *highest)
			*highest = seq;
		return !*path;
	}
	for (uint32_t i = 0; i < at; i++)
		is_first &= name->parts[i].kind != CW_PART_SEQ;
	for (uint32_t bytes = 0; bytes <= strlen(path); bytes++) {
		uint64_t value = seq;

		if (!fits_part(name, &name->parts[at], rule, path, bytes))
			continue;
		if (name->parts[at].kind == CW_PART_SEQ && is_first)
			value = strtoull(strndupa(path, bytes), NULL, 10);
		is_any |= fits(name, at + 1, rule, path + bytes, value, highest);
	}
	return is_any;
}

/* Fills `plain` with the path without its dot and digits at the place; false: there are none. */
static bool cut_number(const char *path, size_t place, char *plain, uint64_t *number)
{
	char *end;
	char numbered[CW_TEMPLATE_PATH_BYTES];

	if (path[place] != '.' || !strchr("0123456789", path[place + 1]) || !path[place + 1])
		return false;
	*number = strtoull(path + place + 1, &end, 10);
	sprintf(plain, "%.*s%s", (int)place, path, end);
	cw_template_numbered(plain, *number, (uint32_t)(end - path - (ptrdiff_t)place - 1),
			     numbered);
	return !strcmp(numbered, path);
}

static bool fits_plainly(const struct cw_template *name, const char *rule, const char *path,
			 uint64_t *number)
{
	char plain[CW_TEMPLATE_PATH_BYTES];
	uint64_t added, seq = 0;
	bool is_any = fits(name, 0, rule, path, 0, number);

	for (size_t place = 0; path[place]; place++)
		if (cut_number(path, place, plain, &added) && fits(name, 0, rule, plain, 0, &seq)) {
			*number =
			    name->has_kind[CW_PART_SEQ] ? (seq > *number ? seq : *number) : added;
			return true;
		}
	return is_any;
}

static const char *const rules[] = {"a", "1", "a1", "a-1", "x.2"};

static void check_path(const struct cw_template *name, const char *rule, const char *path,
		       bool is_ours, uint32_t *count)
{
	uint64_t number = 0, expected = 0;
	bool is_expected = fits_plainly(name, rule, path, &expected);

	assert_true(is_expected || !is_ours);
	if (cw_template_match(name, rule, path, &number) != is_expected || number != expected)
		fail_msg("%s: %llu, not %llu", path, (unsigned long long)number,
			 (unsigned long long)expected);
	*count += is_expected;
}

/* Each path that the template gives, then as it is changed in one place. */
static void paths_match_as_the_plain_matcher_says(void **state)
{
	static const char *const ifaces[] = {"a", "1", "1-1", "a1", "a.1"};
	static const char letters[] = "a1.-/2";
	uint32_t matched = 0, count = 0;

	(void)state;
	print_message("seed %u\n", seed);
	for (uint32_t round = scaled(4000, 400); round > 0; round--) {
		struct cw_template *name = random_template();
		const char *rule = rules[below(CW_ARRAY_COUNT(rules))];
		struct cw_template_values values = {.rule = rule,
						    .iface = ifaces[below(5)],
						    .seq = below(3) ? below(12) : below(2000),
						    .ts_ns = below(4800) * 3600 * CW_NS_PER_S,
						    .is_utc = true};
		char path[CW_TEMPLATE_PATH_BYTES], numbered[CW_TEMPLATE_PATH_BYTES];
		int bytes = cw_template_expand(name, &values, path);

		assert_true(bytes > 0);
		check_path(name, rule, path, true, &matched);
		assert_true(cw_template_numbered(path, below(300), 1 + below(5), numbered) > 0);
		check_path(name, rule, numbered, true, &matched);
		for (uint32_t i = 0; i < 4; i++) {
			path[below((uint32_t)bytes)] = letters[below(sizeof(letters) - 1)];
			check_path(name, rule, path, false, &matched);
		}
		count += 6;
		cw_template_free(name);
	}
	assert_true(matched < count - count / 10); /* enough that do not */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths_give_their_number),
	    cmocka_unit_test(a_path_that_is_too_long_is_no_ones),
	    cmocka_unit_test(folders_that_can_lead_to_a_path_are_known),
	    cmocka_unit_test(the_beginning_that_all_paths_have_is_known),
	    cmocka_unit_test(paths_match_as_the_plain_matcher_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
