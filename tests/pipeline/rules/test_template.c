/* SPDX-License-Identifier: BSD-3-Clause */
/* Output name templates: parsing, expanding, and the names that two of them could share. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/rules/template.h"
#include "tests/rig/scale.h"

static struct cw_error error;

static struct cw_template *parse_in(const char *text, const char *directory)
{
	struct cw_template *name;

	if (cw_template_parse(&name, text, directory, &error))
		fail_msg("%s", error.text);
	return name;
}

/* 2026-11-23 04:05:06 UTC, a Monday. */
static const struct cw_template_values values = {.rule = "dns",
						 .iface = "eth0",
						 .seq = 7,
						 .ts_ns = UINT64_C(1795406706999999999),
						 .is_utc = true};

static void expect_expansion(const char *text, const char *directory, const char *expected)
{
	struct cw_template *name = parse_in(text, directory);
	char path[CW_TEMPLATE_PATH_BYTES];

	assert_int_equal(cw_template_expand(name, &values, path), strlen(expected));
	assert_string_equal(path, expected);
	cw_template_free(name);
}

static void fields_and_times_are_put_in(void **state)
{
	(void)state;
	expect_expansion("a.pcap", NULL, "a.pcap");
	expect_expansion("{rule}-{iface}-{seq}.pcap", NULL, "dns-eth0-7.pcap");
	expect_expansion("{seq:1}{seq:05}-{seq:2}.pcap", NULL, "700007-07.pcap");
	expect_expansion("{seq:20}", NULL, "00000000000000000007");
	expect_expansion("%Y/%m/{rule}-%H%M%S.pcap", NULL, "2026/11/dns-040506.pcap");
	expect_expansion("%F_%T_%j_%s_%-H_%a_%Z", NULL,
			 "2026-11-23_04:05:06_327_1795406706_4_Mon_GMT");
	expect_expansion("{{%%}}{rule}", NULL, "{%}dns");
	expect_expansion("a.pcap", "out", "out/a.pcap");
	expect_expansion("a.pcap", "out/", "out/a.pcap");
	expect_expansion("a.pcap", "{out}%Y", "{out}%Y/a.pcap"); /* a directory is no template */
	expect_expansion("/a.pcap", "out", "/a.pcap");
	expect_expansion("-", "out", "-");
	expect_expansion("./-", NULL, "./-");
}

static void local_time_is_the_default(void **state)
{
	struct cw_template_values local = values;
	struct cw_template *name = parse_in("%H-%s", NULL);
	char path[CW_TEMPLATE_PATH_BYTES];

	(void)state;
	local.is_utc = false;
	setenv("TZ", "XYZ-2", 1);
	tzset();
	assert_true(cw_template_expand(name, &local, path) > 0);
	assert_string_equal(path, "06-1795406706");
	assert_true(cw_template_expand(name, &values, path) > 0);
	assert_string_equal(path, "04-1795406706");
	cw_template_free(name);
}

static void values_never_bring_in_unsafe_names(void **state)
{
	static const struct {
		const char *iface;
		const char *expected;
	} cases[] = {
	    {NULL, "unknown"},
	    {"", "unknown"},
	    {"eth0.5@x:1+2_-", "eth0.5@x:1+2_-"},
	    {"../../etc", ".._.._etc"},
	    {"..", "__"},
	    {".", "_"},
	    {"a\nb\177c d", "a_b_c_d"},
	    {"\\Dev\\{1}", "_Dev__1_"},
	    {"\xc3\xa9", "__"},
	};
	struct cw_template *name = parse_in("{iface}", NULL);
	char path[CW_TEMPLATE_PATH_BYTES];
	char longest[400];

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		struct cw_template_values strange = {.rule = "r", .iface = cases[i].iface};

		assert_true(cw_template_expand(name, &strange, path) > 0);
		assert_string_equal(path, cases[i].expected);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(
	    cw_template_expand(name, &(struct cw_template_values){.iface = longest}, path), 128);
	cw_template_free(name);
}

static void bad_templates_are_refused_with_the_reason(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} cases[] = {
	    {"", "output name '': it is empty"},
	    {"{rul}", "output name '{rul}': unknown field '{rul}'; use {rule}, {iface} or {seq}"},
	    {"{rule", "output name '{rule': a '{' without its '}'; write '{{' for a brace"},
	    {"{ru/le}", "output name '{ru/le}': a '{' without its '}'; write '{{' for a brace"},
	    {"{seq:}", "output name '{seq:}': the width of {seq:WIDTH} is 1 to 20 digits, like "
		       "{seq:05}"},
	    {"{seq:0}", "output name '{seq:0}': the width of {seq:WIDTH} is 1 to 20 digits, like "
			"{seq:05}"},
	    {"{seq:21}", "output name '{seq:21}': the width of {seq:WIDTH} is 1 to 20 digits, like "
			 "{seq:05}"},
	    {"{seq:5d}", "output name '{seq:5d}': the width of {seq:WIDTH} is 1 to 20 digits, like "
			 "{seq:05}"},
	    {"{rule:5}", "output name '{rule:5}': unknown field '{rule:5}'; use {rule}, {iface} or "
			 "{seq}"},
	    {"a}", "output name 'a}': a '}' without its '{'; write '}}' for a brace"},
	    {"a\nb", "output name 'a\nb': it contains a control character"},
	    {"out/", "output name 'out/': it names a folder; add a file name"},
	    {"out/..", "output name 'out/..': it names a folder; add a file name"},
	    {"a.pcap.zstd", "output name 'a.pcap.zstd': compressed output (.zstd) is not in this "
			    "version; use .pcap, .pcapng or .zst"},
	    {"a.pcap.GZ", "output name 'a.pcap.GZ': compressed output (.gz) is not in this "
			  "version; use .pcap, .pcapng or .zst"},
	    {"%D",
	     "output name '%D': '%D' gives '/' or control characters; name the fields one by one"},
	    {"%n",
	     "output name '%n': '%n' gives '/' or control characters; name the fields one by one"},
	    {"%", "output name '%': '%' is not a time conversion; write '%%' for a percent sign"},
	    {"%Q",
	     "output name '%Q': '%Q' is not a time conversion; write '%%' for a percent sign"},
	    {"%-",
	     "output name '%-': '%-' is not a time conversion; write '%%' for a percent sign"},
	    {"%9Y",
	     "output name '%9Y': '%9' is not a time conversion; write '%%' for a percent sign"},
	};
	static char longest[CW_TEMPLATE_PATH_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		struct cw_template *name;

		assert_int_equal(cw_template_parse(&name, cases[i].text, "out", &error), -EINVAL);
		assert_string_equal(error.text, cases[i].message);
		assert_null(name);
		assert_int_equal(cw_template_parse(&name, cases[i].text, NULL, NULL), -EINVAL);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	assert_int_equal(cw_template_parse((struct cw_template *[1]){NULL}, longest, NULL, &error),
			 -EINVAL);
	assert_non_null(strstr(error.text, "it is too long"));
	cw_template_free(NULL);
}

static void a_template_says_what_it_uses(void **state)
{
	struct cw_template *name = parse_in("{iface}-{seq}-%Y.PcapNG", "out");

	(void)state;
	assert_true(name->has_kind[CW_PART_TIME]);
	assert_true(name->has_kind[CW_PART_IFACE]);
	assert_true(name->has_kind[CW_PART_SEQ]);
	assert_true(name->is_pcapng);
	assert_false(name->is_stdout);
	cw_template_free(name);
	name = parse_in("-", NULL);
	assert_false(name->has_kind[CW_PART_TIME]);
	assert_false(name->has_kind[CW_PART_IFACE]);
	assert_false(name->has_kind[CW_PART_SEQ]);
	assert_false(name->is_pcapng);
	assert_true(name->is_stdout);
	cw_template_free(name);
	name = parse_in("a.PCAPNG.Zst", NULL);
	assert_true(name->is_pcapng);
	assert_true(name->is_zst);
	cw_template_free(name);
	name = parse_in("a.pcapng.b.zst", NULL);
	assert_false(name->is_pcapng);
	assert_true(name->is_zst);
	cw_template_free(name);
	name = parse_in(".zst", NULL);
	assert_false(name->is_pcapng);
	assert_true(name->is_zst);
	cw_template_free(name);
	name = parse_in("a.pcapng/b.ntar", NULL);
	assert_false(name->is_zst);
	assert_true(name->is_pcapng);
	cw_template_free(name);
	name = parse_in("a.pcapng/b", NULL);
	assert_false(name->is_pcapng);
	cw_template_free(name);
}

static void an_expansion_that_is_too_long_is_an_error(void **state)
{
	static char text[CW_TEMPLATE_PATH_BYTES];
	static char rule[129];
	struct cw_template_values strange = {.rule = rule};
	struct cw_template *name;
	char path[CW_TEMPLATE_PATH_BYTES];

	(void)state;
	memset(rule, 'r', 128);
	for (int i = 0; i < 32; i++)
		strcat(text, "{rule}");
	name = parse_in(text, NULL); /* 32 * 128 = 4096 bytes, one too many with the NUL */
	assert_int_equal(cw_template_expand(name, &strange, path), -ENAMETOOLONG);
	rule[127] = 0;
	assert_int_equal(cw_template_expand(name, &strange, path), 32 * 127);
	cw_template_free(name);
}

static void a_number_goes_before_the_extension(void **state)
{
	static const char *const cases[][2] = {{"a.pcap", "a.2.pcap"},
					       {"a.pcap.zst", "a.2.pcap.zst"},
					       {"x/a.PCAPNG.Zst", "x/a.2.PCAPNG.Zst"},
					       {"a.b.zst", "a.b.2.zst"},
					       {".pcap.zst", ".pcap.2.zst"},
					       {".zst", ".zst.2"},
					       {"out.d/a", "out.d/a.2"},
					       {"x/a.b.pcapng", "x/a.b.2.pcapng"},
					       {".hidden", ".hidden.2"},
					       {"a.", "a.2."}};
	static char longest[CW_TEMPLATE_PATH_BYTES + 2];
	char path[CW_TEMPLATE_PATH_BYTES];

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		assert_int_equal(cw_template_numbered(cases[i][0], 2, 1, path),
				 strlen(cases[i][1]));
		assert_string_equal(path, cases[i][1]);
	}
	assert_int_equal(cw_template_numbered("a.pcap", 2, 5, path), 12);
	assert_string_equal(path, "a.00002.pcap");
	assert_int_equal(cw_template_numbered("a.pcap", 1234567, 5, path), 14);
	assert_string_equal(path, "a.1234567.pcap");
	memset(longest, 'x', CW_TEMPLATE_PATH_BYTES - 2);
	assert_int_equal(cw_template_numbered(longest, 2, 1, path), -ENAMETOOLONG);
	memset(longest, 'x', CW_TEMPLATE_PATH_BYTES + 1);
	assert_int_equal(cw_template_numbered(longest, 2, 1, path), -ENAMETOOLONG);
}

/* Collisions ----------------------------------------------------------------------------------- */

static bool collide(const char *a, const char *rule_a, const char *b, const char *rule_b)
{
	struct cw_template *name_a = parse_in(a, NULL);
	struct cw_template *name_b = parse_in(b, NULL);
	bool result = cw_template_can_collide(name_a, rule_a, name_b, rule_b);

	assert_int_equal(cw_template_can_collide(name_b, rule_b, name_a, rule_a), result);
	cw_template_free(name_a);
	cw_template_free(name_b);
	return result;
}

static void names_that_can_be_one_path_collide(void **state)
{
	char here[CW_TEMPLATE_PATH_BYTES - 16];
	char absolute[CW_TEMPLATE_PATH_BYTES];

	(void)state;
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(absolute, sizeof(absolute), "%s/a.pcap", here);
	assert_true(collide("a.pcap", "x", "a.pcap", "y"));
	assert_true(collide("./a.pcap", "x", "a.pcap", "y"));
	assert_true(collide("o//././a.pcap", "x", "o/a.pcap", "y"));
	assert_true(collide("o/../a.pcap", "x", "a.pcap", "y"));
	assert_true(collide(absolute, "x", "a.pcap", "y"));
	assert_true(collide("/../../a", "x", "/a", "y"));
	assert_true(collide("%Y.pcap", "x", "%Y.pcap", "y"));
	assert_true(collide("%H-{seq}", "x", "%M-{seq}", "y"));
	assert_true(collide("{seq}.pcap", "x", "12.pcap", "y"));
	assert_true(collide("{seq:2}.pcap", "x", "12.pcap", "y"));
	assert_true(collide("{seq:2}.pcap", "x", "123.pcap", "y"));
	assert_true(collide("{seq:3}", "x", "{seq}", "y"));
	assert_true(collide("{iface}", "x", "{rule}", "y"));
	assert_true(collide("{iface}-{seq}", "x", "%A-7", "y"));
	assert_true(collide("{rule}1", "x", "{rule}", "x1"));
	assert_true(collide("{rule}{seq}", "x", "{rule}{seq}", "x1")); /* x11 */
	assert_true(collide("20%y", "x", "%Y", "y"));
	assert_true(collide("%s", "x", "{seq}", "y"));
	assert_true(collide("-", "x", "-", "y"));
	assert_true(collide("-", "x", "/dev/stdout", "y"));
	assert_true(collide("/dev//fd/1", "x", "/proc/self/fd/1", "y"));
}

static void names_that_cannot_be_one_path_do_not(void **state)
{
	(void)state;
	assert_false(collide("a.pcap", "x", "b.pcap", "y"));
	assert_false(collide("a.pcap", "x", "a.pcapng", "y"));
	assert_false(collide("o/a.pcap", "x", "a.pcap", "y"));
	assert_false(collide("{rule}.pcap", "x", "{rule}.pcap", "y"));
	assert_false(
	    collide("{rule}-%Y%m%d-%H%M%S.pcapng", "web", "{rule}-%Y%m%d-%H%M%S.pcapng", "web-1"));
	assert_false(collide("{rule}%Y", "x", "{rule}%Y", "x1"));
	assert_false(collide("{rule}-{seq}", "x", "{rule}-{seq}", "x-1"));
	assert_false(collide("%H.pcap", "x", "5.pcap", "y"));
	assert_false(collide("%Y.pcap", "x", "a.pcap", "y"));
	assert_false(collide("{seq}/a", "x", "{iface}", "y"));
	assert_false(collide("{seq:3}.pcap", "x", "12.pcap", "y"));
	assert_false(collide("{seq:3}", "x", "%d", "y"));
	assert_false(collide("%F", "x", "%Y%m%d", "y"));
	assert_false(collide("%Y/{rule}", "x", "%Y/{rule}", "y"));
	assert_false(collide("-", "x", "./-", "y"));
	assert_false(collide("{iface}-a", "x", "{iface}-b", "y"));
	assert_false(collide("%j", "x", "%Y", "y"));
	assert_false(collide("%R", "x", "%T", "y"));
	assert_true(collide("%T", "x", "%R:07", "y"));
	assert_true(collide("%Ey", "x", "%_H", "y")); /* what those give is not looked into */
}

/* Whether the rules' files can meet when the first one's name is used again and again. */
static bool collide_repeated(const char *a, const char *b)
{
	struct cw_template *name_a = parse_in(a, NULL);
	struct cw_template *name_b = parse_in(b, NULL);
	const struct cw_template_use uses[] = {{.name = name_a, .rule = "x", .is_repeated = true},
					       {.name = name_b, .rule = "y"}};
	uint32_t pair[2];
	int result = cw_templates_find_collision(uses, 2, pair);

	cw_template_free(name_a);
	cw_template_free(name_b);
	return result == 1;
}

static void numbered_names_collide(void **state)
{
	(void)state;
	assert_true(collide_repeated("a.pcap", "a.1.pcap"));
	assert_true(collide_repeated("a.pcap", "a.{seq}.pcap"));
	assert_true(collide_repeated("a.pcap", "a.00001.pcap"));
	assert_true(collide_repeated("a.pcap", "a.{seq:05}.pcap"));
	assert_true(collide_repeated("a.pcap.zst", "a.00001.pcap.zst"));
	assert_true(collide_repeated("a.PCAPNG.zst", "a.00001.PCAPNG.zst"));
	assert_true(collide_repeated("{iface}.zst", "a.pcap.1.zst"));
	assert_true(collide_repeated("a.b.zst", "a.b.1.zst"));
	assert_false(collide_repeated("a.pcap.zst", "a.pcap.1.zst"));
	assert_true(collide_repeated("a", "a.77"));
	assert_true(collide_repeated(".a", ".a.3"));
	assert_true(collide_repeated("o.d/a", "o.d/a.3"));
	assert_true(collide_repeated("%Y.pcap", "2026.12.pcap"));
	assert_false(collide_repeated("a.1.pcap", "a.pcap"));
	assert_false(collide_repeated("a.pcap", "a.x.pcap"));
	assert_false(collide_repeated("a.pcap", "a..pcap"));
	assert_false(collide_repeated("a.pcap", "a.pcap.1"));
	assert_false(collide_repeated("o.d/a", "o.3.d/a"));
	assert_false(collide_repeated("-", "-.1"));
	assert_false(collide("a.pcap", "x", "a.1.pcap", "y"));
}

static uint32_t seed = 20261123;

static uint32_t below(uint32_t limit)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 12) % limit;
}

static struct cw_template *random_template(void)
{
	static const char *const pieces[] = {"a",      "1",       "-",      "/",  "./",
					     "{rule}", "{iface}", "{seq}",  "%H", "%-H",
					     "x/../",  "%u",      "{seq:2}"};
	char text[64] = "";

	for (uint32_t i = 1 + below(4); i > 0; i--)
		strcat(text, pieces[below(CW_ARRAY_COUNT(pieces))]);
	strcat(text, below(2) ? "a" : "1");
	return parse_in(text, NULL);
}

/* The plain way to compare two expanded relative paths. */
static void simplify(const char *path, char *result)
{
	static char here[CW_TEMPLATE_PATH_BYTES / 2], copy[CW_TEMPLATE_PATH_BYTES + 1];
	char *save = NULL;

	if (!here[0])
		assert_non_null(getcwd(here, sizeof(here)));
	strcpy(result, path[0] == '/' ? "" : here);
	strcpy(copy, path);
	for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		if (!strcmp(part, "."))
			continue;
		if (!strcmp(part, "..")) {
			if (strrchr(result, '/'))
				*strrchr(result, '/') = 0;
			continue;
		}
		strcat(strcat(result, "/"), part);
	}
}

static void equal_expansions_are_always_foreseen(void **state)
{
	static const char *const rules[] = {"a", "1", "a1", "11", "-", "a-1"};
	static const char *const ifaces[] = {"a", "1", "1-1", "a1"};
	uint32_t equal_count = 0;
	uint32_t free_count = 0;

	(void)state;
	print_message("seed %u\n", seed);
	for (uint32_t round = scale() < 1 ? 2000 : 20000; round > 0; round--) {
		struct cw_template *names[2] = {random_template(), random_template()};
		const char *chosen[2] = {rules[below(6)], rules[below(6)]};
		bool foreseen = cw_template_can_collide(names[0], chosen[0], names[1], chosen[1]);

		free_count += !foreseen;
		for (int attempt = 0; attempt < 10; attempt++) {
			char path[CW_TEMPLATE_PATH_BYTES];
			char plain[2][CW_TEMPLATE_PATH_BYTES];

			for (int i = 0; i < 2; i++) {
				struct cw_template_values some = {.rule = chosen[i],
								  .iface = ifaces[below(4)],
								  .seq = below(2) ? 1 : 11,
								  .ts_ns = below(48) * 3600 *
									   CW_NS_PER_S,
								  .is_utc = true};

				assert_true(cw_template_expand(names[i], &some, path) > 0);
				simplify(path, plain[i]);
			}
			if (strcmp(plain[0], plain[1]))
				continue;
			equal_count++;
			if (!foreseen)
				fail_msg("not foreseen: %s", plain[0]);
		}
		cw_template_free(names[0]);
		cw_template_free(names[1]);
	}
	assert_true(equal_count > 100); /* the test does meet what it is about */
	assert_true(free_count > 1000);
}

static void the_search_over_many_agrees_with_trying_all_pairs(void **state)
{
	(void)state;
	for (uint32_t round = scaled(2000, 400); round > 0; round--) {
		struct cw_template_use uses[6];
		uint32_t count = 2 + below(5);
		uint32_t pair[2] = {0, 0};
		bool expected = false;
		int found;

		for (uint32_t i = 0; i < count; i++) {
			static const char *const rules[] = {"a", "b", "1", "2", "a1", "ab"};

			uses[i] =
			    (struct cw_template_use){.name = random_template(), .rule = rules[i]};
			for (uint32_t j = 0; j < i; j++)
				expected |= cw_template_can_collide(uses[j].name, uses[j].rule,
								    uses[i].name, uses[i].rule);
		}
		found = cw_templates_find_collision(uses, count, pair);
		assert_int_equal(found, expected);
		if (found) {
			assert_true(pair[0] < pair[1]);
			assert_true(cw_template_can_collide(uses[pair[0]].name, uses[pair[0]].rule,
							    uses[pair[1]].name,
							    uses[pair[1]].rule));
		}
		for (uint32_t i = 0; i < count; i++)
			cw_template_free((struct cw_template *)(uintptr_t)uses[i].name);
	}
}

static int search_many(const char *text, uint32_t count, uint32_t pair[2])
{
	struct cw_template_use *uses = calloc(count, sizeof(*uses));
	struct cw_template *name = parse_in(text, NULL);
	char *rules = malloc(count * 16u);
	int found;

	for (uint32_t i = 0; i < count; i++) {
		snprintf(rules + i * 16u, 16, "rule%u", i);
		uses[i] = (struct cw_template_use){.name = name, .rule = rules + i * 16u};
	}
	found = cw_templates_find_collision(uses, count, pair);
	cw_template_free(name);
	free(rules);
	free(uses);
	return found;
}

static void twenty_thousand_rules_are_compared_quickly(void **state)
{
	uint32_t pair[2];

	(void)state;
	assert_int_equal(search_many("{rule}-%Y%m%d.pcap", 20000, pair), 0);
	assert_int_equal(search_many("%Y/%m/{rule}.pcap", 20000, pair), 0);
	assert_int_equal(search_many("%Y/%m/{rule}{seq}.pcap", 1000, pair), 1);
	assert_int_equal(search_many("{iface}/{rule}.pcap", 1000, pair), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields_and_times_are_put_in),
	    cmocka_unit_test(local_time_is_the_default),
	    cmocka_unit_test(values_never_bring_in_unsafe_names),
	    cmocka_unit_test(bad_templates_are_refused_with_the_reason),
	    cmocka_unit_test(a_template_says_what_it_uses),
	    cmocka_unit_test(an_expansion_that_is_too_long_is_an_error),
	    cmocka_unit_test(a_number_goes_before_the_extension),
	    cmocka_unit_test(names_that_can_be_one_path_collide),
	    cmocka_unit_test(names_that_cannot_be_one_path_do_not),
	    cmocka_unit_test(numbered_names_collide),
	    cmocka_unit_test(equal_expansions_are_always_foreseen),
	    cmocka_unit_test(the_search_over_many_agrees_with_trying_all_pairs),
	    cmocka_unit_test(twenty_thousand_rules_are_compared_quickly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
