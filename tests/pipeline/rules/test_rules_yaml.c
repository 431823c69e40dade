/* SPDX-License-Identifier: BSD-3-Clause */
/* Mistakes in YAML, each with cause, line and cure; the line of a fault in a filter's block. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/filter/text/explain.h"
#include "core/packet/linktype.h"
#include "pipeline/rules/rules.h"

static struct cw_error error;

#define BRACE(line)                                                            \
	"'{' without its '}' (noticed in line " #line "); add ',' or '}', or " \
	"quotes around a value with braces, like '{rule}.pcap'"
#define TAB "a tab in the indentation; indent with spaces"

static const struct {
	const char *text;
	const char *message;
} bad_files[] = {
    {"rules: {a: ip\n", "r.yaml:1: not valid YAML: " BRACE(2)},
    {"rules:\n  a: {filter: ip, write: a.pcap\n  b: ip\n", "r.yaml:2: not valid YAML: " BRACE(3)},
    {"rules:\n  a: {filter: ip, hook: [gzip, -9}\n",
     "r.yaml:2: not valid YAML: '[' without its ']'; add ',' or ']'"},
    {"rules:\n\ta: ip\n", "r.yaml:2: not valid YAML: " TAB},
    {"rules:\n  a:\n  \tfilter: ip\n", "r.yaml:3: not valid YAML: " TAB},
    {"rules:\n  a: {filter: 'ip, write: a.pcap}\n",
     "r.yaml:2: not valid YAML: a quote that is not closed (noticed in line 3); add the other "
     "quote"},
    {"rules:\n  a: ip\n  b\n", "r.yaml:3: not valid YAML: a key without ':' (noticed in line 4); "
			       "write KEY: VALUE"},
    {"rules:\n  a: port: 53\n",
     "r.yaml:2: not valid YAML: ': ' inside a value, or wrong indentation; put quotes around the "
     "value, or indent the key like the keys above it"},
    {"rules:\n  a:\n    filter: ip\n   write: a.pcap\n",
     "r.yaml:4: not valid YAML: wrong indentation, or a value that needs quotes; indent the key "
     "like the keys above it; quote values with braces, like '{rule}.pcap'"},
    {"rules:\n  a: {filter: ip, write: %Y.pcap}\n",
     "r.yaml:2: not valid YAML: a value that begins with %, @ or `; put quotes around it, like "
     "'%Y.pcap'"},
    {"rules:\n  a: - ip\n",
     "r.yaml:2: not valid YAML: a list where one value is expected; remove the '-'"},
    {"rules: &all {a: ip}\nmode: *all\n",
     "r.yaml:2: aliases (*name) are not expanded; write the value out"},
    {"rules:\n  <<: *base\n", "r.yaml:2: rule name '<<': use only letters, digits and "
			      "_ - . + @ :"},
    {"rules:\n  a: !!str ip\n", "r.yaml:2: tags (!name) are not supported; remove the tag"},
    {"rules: !map {a: ip}\n", "r.yaml:1: tags (!name) are not supported; remove the tag"},
    {"rules: !seq [a]\n", "r.yaml:1: tags (!name) are not supported; remove the tag"},
    {"rules:\n  a: \"ip\\0x\"\n", "r.yaml:2: a value contains a NUL character"},
    {"rules:\n  a: \xff\n", "r.yaml:2: not UTF-8 text: invalid leading UTF-8 octet"},
    {"rules:\n  a: \x01\n", "r.yaml:2: not UTF-8 text: control characters are not allowed"},
};

/* The mapping `capture:`. */
static const struct {
	const char *text;
	const char *message;
} bad_captures[] = {
    {"capture: lo\n", "r.yaml:1: capture must be a mapping, like {interface: eth0}"},
    {"capture: {[a]: b}\n", "r.yaml:1: a key in capture must be a word"},
    {"capture: {queues: }\n", "r.yaml:1: capture: queues has no value"},
    {"capture: {interface: []}\n", "r.yaml:1: capture: interface has an empty list"},
    {"capture: {interface: [[lo]]}\n",
     "r.yaml:1: capture: interface takes a value or a list of values"},
    {"capture:\n  interface:\n  - lo\n  -\n", "r.yaml:4: capture: interface has no value"},
    {"capture:\n  queues: {a: b}\n", "r.yaml:2: capture: queues takes a value or a list of values"},
    {"capture:\n  queues: 1\n  utc: true\n  queues: 2\n",
     "r.yaml:4: duplicate key 'queues' in capture"},
    {"capture:\n  very-long-key-that-goes-on-and-on-and-on-and-on-and: 1\n",
     "r.yaml:2: unknown key 'very-long-key-that-goes-on-and-on-and-on-and-on-and' in capture"},
};

static void faults_of_the_mapping_capture_have_their_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(bad_captures); i++) {
		const char *text = bad_captures[i].text;
		struct cw_rules rules;

		assert_int_equal(cw_rules_parse(&rules, text, strlen(text), "r.yaml", &error),
				 -EINVAL);
		assert_string_equal(error.text, bad_captures[i].message);
		assert_null(rules.settings.at);
	}
}

static void the_mapping_capture_keeps_keys_values_and_lines(void **state)
{
	static const char text[] = "capture:\n"
				   "  interface: [lo, '']\n"
				   "  any-key: 'a: b'\n"
				   "  empty: ''\n"
				   "  one:\n"
				   "  - true\n"
				   "rules: {a: {filter: ip, write: a.pcap}}\n";
	static const struct cw_setting wanted[] = {
	    {"interface", "lo", 2, true}, {"interface", "", 2, true}, {"any-key", "a: b", 3, false},
	    {"empty", "", 4, false},      {"one", "true", 6, true},
	};
	struct cw_rules rules;

	(void)state;
	assert_int_equal(cw_rules_parse(&rules, text, sizeof(text) - 1, "r.yaml", &error), 0);
	assert_int_equal(rules.settings.count, CW_ARRAY_COUNT(wanted));
	for (size_t i = 0; i < CW_ARRAY_COUNT(wanted); i++) {
		assert_string_equal(rules.settings.at[i].name, wanted[i].name);
		assert_string_equal(rules.settings.at[i].value, wanted[i].value);
		assert_int_equal(rules.settings.at[i].line, wanted[i].line);
		assert_int_equal(rules.settings.at[i].is_list_item, wanted[i].is_list_item);
	}
	cw_rules_fini(&rules);
}

/* Parses a list of `count` values of `bytes` bytes each. */
static int parse_values(uint32_t count, uint32_t bytes)
{
	size_t room = 128 + (size_t)count * (bytes + 2);
	char *text = malloc(room);
	size_t used = (size_t)snprintf(text, room,
				       "rules: {a: {filter: ip, write: a.pcap}}\n"
				       "capture: {k: [");
	struct cw_rules rules;
	int status;

	for (uint32_t i = 0; i < count; i++) {
		memset(text + used, 'v', bytes);
		used += bytes;
		text[used++] = i + 1 < count ? ',' : ']';
	}
	text[used++] = '}';
	status = cw_rules_parse(&rules, text, used, "r.yaml", &error);
	cw_rules_fini(&rules);
	free(text);
	return status;
}

static void the_mapping_capture_has_limits(void **state)
{
	(void)state;
	assert_int_equal(parse_values(CW_SETTINGS_MAX, 1), 0);
	assert_int_equal(parse_values(CW_SETTINGS_MAX + 1, 1), -EINVAL);
	assert_string_equal(error.text, "r.yaml:2: capture: there are more than 256 values");
	assert_int_equal(parse_values(1, CW_SETTING_BYTES_MAX), 0);
	assert_int_equal(parse_values(1, CW_SETTING_BYTES_MAX + 1), -EINVAL);
	assert_string_equal(error.text, "r.yaml:2: capture: k: a value has at most 4096 bytes");
}

static char found[8192];
static uint32_t found_count;

static void note(void *context, const char *text)
{
	(void)context;
	text = strstr(text, ".yaml:");
	if (text)
		strcat(strcat(found, text + strlen(".yaml:")), "\n");
	found_count++;
}

/* Loads the text as a file, skipping faults; fills `found` with "LINE: ...". */
static int load_sound(struct cw_rules *rules, const char *text)
{
	char path[] = "/tmp/capweir-XXXXXX.yaml";
	int fd = mkstemps(path, 5);
	int result;

	found[0] = '\0';
	found_count = 0;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	result = cw_rules_load_sound(rules, path, note, NULL);
	unlink(path);
	return result;
}

static void all_faults_of_a_file_are_found(void **state)
{
	static const char text[] = "mode: best\n"                     /* 1 */
				   "defaulds: {write: [a, {b: c}]}\n" /* 2 */
				   "defaults: {write: '{rule}.pcap', snaplen: big}\n"
				   "capture:\n" /* 4 */
				   "  queues:\n"
				   "  interface: [lo, [eth0]]\n"
				   "  interface: lo\n"
				   "  utc: true\n"
				   "  [x]: 1\n" /* 9 */
				   "rules:\n"
				   "  good: udp\n"
				   "  a/b: {filter: ip, rotate: {size: 1}}\n"
				   "  c: {filer: [ip, {x: y}], rotate: {sise: 4, packets: many}}\n"
				   "  d: [ip]\n" /* 14 */
				   "  e: {filter: *alias}\n"
				   "  [f]: {filter: ip}\n"
				   "  g: {filter: ip, filter: tcp, hook: [gzip, {a: b}]}\n"
				   "  last: tcp\n"
				   "keep: 5\n"; /* 19 */
	static const char *const lines[] = {"1: mode",
					    "2: unknown key 'defaulds'",
					    "3: snaplen",
					    "5: capture: queues",
					    "6: capture: interface",
					    "7: duplicate",
					    "9: a key in capture",
					    "12: rule name",
					    "13: unknown key 'filer'",
					    "13: unknown key 'sise'",
					    "13: packets",
					    "13: rule c has no filter",
					    "14: rule d",
					    "15: aliases",
					    "15: rule e has no filter",
					    "16: a rule's name",
					    "17: duplicate",
					    "17: hook",
					    "19: keep"};
	const char *at = found;
	struct cw_rules rules;

	(void)state;
	assert_int_equal(load_sound(&rules, text), CW_ARRAY_COUNT(lines));
	for (size_t i = 0; i < CW_ARRAY_COUNT(lines); i++) {
		at = strstr(at, lines[i]);
		if (!at)
			fail_msg("%s is not among these, in order:\n%s", lines[i], found);
	}
	assert_int_equal(rules.count, 2);
	assert_string_equal(rules.rules[0].name, "good");
	assert_string_equal(rules.rules[0].write, "{rule}.pcap");
	assert_string_equal(rules.rules[1].name, "last");
	assert_string_equal(rules.settings.at[rules.settings.count - 1].name, "utc");
	cw_rules_fini(&rules);
}

static void faults_end_with_yaml_and_with_their_limit(void **state)
{
	struct cw_rules rules;
	char text[4096] = "rules:\n";

	(void)state;
	assert_int_equal(load_sound(&rules, "mode: best\nrules: {a: {filter: ip\n"), -EINVAL);
	assert_int_equal(found_count, 2);
	assert_non_null(strstr(found, "1: mode"));
	assert_non_null(strstr(found, "'{' without its '}'"));
	assert_null(rules.rules);
	for (int i = 0; i < 20; i++)
		snprintf(text + strlen(text), 64, "  r%d: []\n", i);
	assert_int_equal(load_sound(&rules, text), 20);
	assert_int_equal(rules.count, 0);
	cw_rules_fini(&rules);
	strcat(text, "  more: []\n");
	assert_int_equal(load_sound(&rules, text), -EINVAL);
	assert_int_equal(found_count, 21);
	/* Outputs and names are looked at if nothing was left out. */
	assert_int_equal(load_sound(&rules, "rules: {a: ip, b: {filter: ip, write: b}, c: ip}\n"),
			 2);
	assert_int_equal(rules.count, 1);
	cw_rules_fini(&rules);
	assert_int_equal(load_sound(&rules, "rules: {a: {filter: ip, write: b}}\n"), 0);
	cw_rules_fini(&rules);
	assert_int_equal(cw_rules_load_sound(&rules, "/nowhere.yaml", note, NULL), -ENOENT);
}

static void yaml_mistakes_have_cause_line_and_cure(void **state)
{
	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(bad_files); i++) {
		const char *text = bad_files[i].text;
		struct cw_rules rules;

		assert_int_equal(cw_rules_parse(&rules, text, strlen(text), "r.yaml", &error),
				 -EINVAL);
		assert_string_equal(error.text, bad_files[i].message);
		assert_null(rules.rules);
	}
}

static void a_filter_s_fault_has_its_line(void **state)
{
	static const struct {
		const char *filter;
		unsigned line;
		const char *shown;
	} cases[] = {
	    {"|\n      tcp\n      and prot 80\n      and ip\n", 6, "\n    and prot 80\n        ^"},
	    {">\n      tcp\n      and (port 80\n", 6, "\n    and (port 80\n                ^ "},
	    {">\r\n      tcp \r\n      or udp\r\n      andd ip\r\n", 7, "\n    andd ip\n    ^~~~"},
	    {">\n      tcp\n\n      andd ip\n", 5, "\n    tcp andd ip\n        ^~~~"},
	    {"\n      tcp\n      andd ip\n", 5, "\n    tcp andd ip\n        ^~~~"},
	};
	const struct cw_filter_options options = {.linktype = CW_LINKTYPE_ETHERNET};
	char text[256], explained[CW_FILTER_EXPLAIN_BYTES];

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		struct cw_filter *filter;
		struct cw_rules rules;

		snprintf(text, sizeof(text),
			 "defaults: {write: a.pcap}\nrules:\n  a:\n    filter: %s",
			 cases[i].filter);
		assert_int_equal(cw_rules_parse(&rules, text, strlen(text), "r.yaml", &error), 0);
		assert_true(cw_filter_compile(&filter, rules.rules[0].filter, &options, &error) <
			    0);
		assert_int_equal(
		    cw_rule_explain(&rules.rules[0], error.text, explained, sizeof(explained)),
		    cases[i].line);
		assert_non_null(strstr(explained, cases[i].shown));
		assert_int_equal(cw_rule_explain(&rules.rules[0], "", explained, sizeof(explained)),
				 5);
		cw_rules_fini(&rules);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(yaml_mistakes_have_cause_line_and_cure),
	    cmocka_unit_test(faults_of_the_mapping_capture_have_their_line),
	    cmocka_unit_test(the_mapping_capture_keeps_keys_values_and_lines),
	    cmocka_unit_test(the_mapping_capture_has_limits),
	    cmocka_unit_test(all_faults_of_a_file_are_found),
	    cmocka_unit_test(faults_end_with_yaml_and_with_their_limit),
	    cmocka_unit_test(a_filter_s_fault_has_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
