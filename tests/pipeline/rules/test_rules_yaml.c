/* SPDX-License-Identifier: BSD-3-Clause */
/* Mistakes in YAML, each with cause, line and cure; the line of a fault in a filter's block. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	    cmocka_unit_test(a_filter_s_fault_has_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
