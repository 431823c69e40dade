/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mapping `capture:`: which options are its keys, that a key gives what the option gives, that
 * the command line wins, and that each fault has its line. An option of capture that is not listed
 * here fails, so that a new one is decided.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/base.h"
#include "tests/tools/options/complaint.h"
#include "tools/options/settings.h"
#include "tools/options/table.h"

static const struct {
	const char *name;
	const char *value;
} keys[] = {
    {"interface", "eth0"},
    {"filter-file", "global.txt"},
    {"no-optimize", "true"},
    {"resolve", "true"},
    {"filter-engine", "walker"},
    {"filter-time", "2"},
    {"filter-memory", "512MiB"},
    {"verify-filters", "1/7"},
    {"directory", "/data"},
    {"count", "5k"},
    {"snaplen", "96"},
    {"packet-buffered", "true"},
    {"no-clobber", "true"},
    {"sync", "off"},
    {"direct", "off"},
    {"utc", "true"},
    {"time-precision", "ns"},
    {"file-mode", "0640"},
    {"folder-mode", "0750"},
    {"group", "adm"},
    {"file-size", "3"},
    {"rotate-seconds", "1h"},
    {"file-count", "9"},
    {"adopt", "true"},
    {"no-adopt", "true"},
    {"ring-buffer", "files:9"},
    {"autostop", "files:9"},
    {"hook", "gzip"},
    {"hook-timeout", "5"},
    {"hook-user", "games"},
    {"no-promiscuous-mode", "true"},
    {"direction", "in"},
    {"time-stamp-type", "adapter"},
    {"duration", "1m"},
    {"drain-timeout", "5"},
    {"relinquish-privileges", "nobody"},
    {"allow-folder", "/d"},
    {"backend", "packet"},
    {"queues", "4"},
    {"wait-device", "true"},
    {"fanout", "cpu"},
    {"order", "time"},
    {"kernel-filter", "off"},
    {"buffer-size", "128MiB"},
    {"block-size", "2MiB"},
    {"block-timeout", "30"},
    {"max-drop", "0"},
    {"stats", "10"},
    {"control", "/run/c"},
    {"metrics", "9100"},
    {"threads", "2"},
    {"buffer", "64MiB"},
    {"pin", "auto"},
    {"realtime", "10"},
    {"huge-pages", "true"},
    {"chunk-size", "64k"},
    {"batch-size", "64k"},
    {"batch-packets", "64"},
    {"quiet", "true"},
    {"numeric", "true"},
};

static const char *const refused[] = {
    "filter",
    "rules",
    "dump",
    "write",
    "list-interfaces",
    "list-data-link-types",
    "list-time-stamp-types",
    "json",
    "help",
    "service",
};

static char faults[4096];

static void note(void *context, const char *text)
{
	(void)context;
	strcat(strcat(faults, text), "\n");
}

/* Applies the mapping `capture:` of this text to the arguments; fills `faults`. */
static int apply(struct cw_arguments *arguments, const char *capture)
{
	struct cw_error error = {0};
	struct cw_rules rules;
	char text[8192];
	int result;

	snprintf(text, sizeof(text), "rules: {a: {filter: ip, write: a.pcap}}\ncapture:\n%s",
		 capture);
	if (cw_rules_parse(&rules, text, strlen(text), "r.yaml", &error))
		fail_msg("%s", error.text);
	faults[0] = '\0';
	result = cw_settings_apply(arguments, &rules, note, NULL);
	cw_rules_fini(&rules);
	return result;
}

/* Parses up to two words as capture's command line. */
static void parse(struct cw_arguments *arguments, const char *first, const char *second)
{
	char program[] = "capture";
	char *words[] = {program, (char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL};

	if (cw_options_parse(arguments, CW_CAPTURE, first ? second ? 3 : 2 : 1, words))
		fail_msg("%s", complaint);
}

static const struct cw_option_row *row_of(const char *name)
{
	for (size_t i = 0; i < cw_option_row_count; i++)
		if (!strcmp(cw_option_rows[i].name, name))
			return &cw_option_rows[i];
	fail_msg("no option %s", name);
	return NULL;
}

static bool is_in(const char *name, bool *is_key)
{
	*is_key = false;
	for (size_t i = 0; i < CW_ARRAY_COUNT(refused); i++)
		if (!strcmp(refused[i], name))
			return true;
	for (size_t i = 0; i < CW_ARRAY_COUNT(keys); i++)
		*is_key |= !strcmp(keys[i].name, name);
	return *is_key;
}

static void every_option_of_capture_is_a_key_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < cw_option_row_count; i++) {
		const struct cw_option_row *row = &cw_option_rows[i];
		bool is_listed, is_key;

		is_listed = is_in(row->name, &is_key);
		if ((row->commands & CW_CAPTURE) && !is_listed)
			fail_msg("--%s is neither a key of capture: nor refused", row->name);
		if (is_key != !cw_setting_fault(row->name))
			fail_msg("--%s: %s", row->name, cw_setting_fault(row->name));
	}
}

/* Compares the values of one option. Rows with a function set fields of rules, filter or output,
 * which hold no pointers but those of words. */
static void compare(const struct cw_option_row *row, struct cw_arguments *a, struct cw_arguments *b)
{
	const char *one = (char *)a + row->to, *other = (char *)b + row->to;
	bool is_same = true;

	switch (row->kind) {
	case CW_OPTION_FLAG:
		is_same = *(const bool *)one && *(const bool *)other;
		break;
	case CW_OPTION_CHOICE:
		is_same = !memcmp(one, other, sizeof(int));
		break;
	case CW_OPTION_AMOUNT:
	case CW_OPTION_MS:
		is_same = !memcmp(one, other, sizeof(uint64_t));
		break;
	case CW_OPTION_WORD:
		is_same = !strcmp(*(char *const *)one, *(char *const *)other);
		break;
	case CW_OPTION_WORDS:
		is_same = ((const struct cw_words *)one)->count == 1 &&
			  !strcmp(((const struct cw_words *)one)->words[0],
				  ((const struct cw_words *)other)->words[0]);
		break;
	default:
		is_same = a->rules.ring_files == b->rules.ring_files &&
			  a->rules.rotate_every_ns == b->rules.rotate_every_ns &&
			  a->rules.is_rotate_aligned == b->rules.is_rotate_aligned &&
			  a->filter.verify_every == b->filter.verify_every &&
			  a->output.chunk_bytes == b->output.chunk_bytes;
	}
	if (!is_same || !cw_arguments_have(a, row->name))
		fail_msg("%s: another value than --%s", row->name, row->name);
}

static void a_key_gives_what_the_option_gives(void **state)
{
	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(keys); i++) {
		struct cw_arguments line, file;
		const struct cw_option_row *row = row_of(keys[i].name);
		char option[64], text[128];

		snprintf(option, sizeof(option), "--%s%s%s", row->name, row->argument ? "=" : "",
			 row->argument ? keys[i].value : "");
		parse(&line, option, NULL);
		parse(&file, NULL, NULL);
		snprintf(text, sizeof(text), "  %s: %s\n", keys[i].name, keys[i].value);
		if (apply(&file, text))
			fail_msg("%s", faults);
		compare(row, &file, &line);
		cw_arguments_fini(&line);
		cw_arguments_fini(&file);
	}
}

static void the_command_line_wins(void **state)
{
	struct cw_arguments arguments;

	(void)state;
	parse(&arguments, "-ilo", "-B1024");
	assert_int_equal(
	    apply(&arguments, "  interface: [eth0, eth1]\n  buffer-size: 1\n  queues: 3\n"), 0);
	assert_int_equal(arguments.devices.count, 1);
	assert_string_equal(arguments.devices.words[0], "lo");
	assert_int_equal(arguments.live.ring_bytes, 1024 * 1024);
	assert_int_equal(arguments.live.queues, 3);
	cw_arguments_fini(&arguments);
	/* -b and the other options of files set the same limits. */
	parse(&arguments, "-bfiles:5", "-binterval:60");
	assert_int_equal(apply(&arguments, "  file-count: 9\n  rotate-seconds: 7\n"), 0);
	assert_int_equal(arguments.rules.ring_files, 5);
	assert_true(arguments.rules.is_rotate_aligned);
	assert_false(cw_arguments_have(&arguments, "file-count"));
	cw_arguments_fini(&arguments);
	parse(&arguments, "-C1", NULL);
	assert_int_equal(apply(&arguments, "  ring-buffer: [filesize:7, files:3]\n"), 0);
	assert_int_equal(arguments.rules.rotate_bytes, 1000000);
	assert_int_equal(arguments.rules.ring_files, 0);
	cw_arguments_fini(&arguments);
}

static void lists_are_for_options_that_repeat(void **state)
{
	struct cw_arguments arguments;

	(void)state;
	parse(&arguments, NULL, NULL);
	assert_int_equal(apply(&arguments, "  interface: [eth0, eth1]\n"
					   "  ring-buffer: ['filesize:7', 'files:3']\n"),
			 0);
	assert_int_equal(arguments.devices.count, 2);
	assert_string_equal(arguments.devices.words[1], "eth1");
	assert_int_equal(arguments.rules.rotate_bytes, 7000);
	assert_int_equal(arguments.rules.ring_files, 3);
	cw_arguments_fini(&arguments);
	parse(&arguments, NULL, NULL);
	assert_int_equal(apply(&arguments, "  queues: [4]\n"), -EINVAL);
	assert_string_equal(faults, "r.yaml:3: capture: queues takes one value, not a list\n");
	cw_arguments_fini(&arguments);
}

static void a_false_flag_is_not_given(void **state)
{
	struct cw_arguments arguments;

	(void)state;
	parse(&arguments, NULL, NULL);
	assert_int_equal(apply(&arguments, "  utc: false\n  verify-filters: false\n"), 0);
	assert_false(arguments.output.utc);
	assert_int_equal(arguments.filter.verify_every, 0);
	assert_false(cw_arguments_have(&arguments, "utc"));
	assert_false(cw_arguments_have(&arguments, "verify-filters"));
	cw_arguments_fini(&arguments);
	parse(&arguments, NULL, NULL);
	assert_int_equal(apply(&arguments, "  verify-filters: true\n"), 0);
	assert_int_equal(arguments.filter.verify_every, 100);
	cw_arguments_fini(&arguments);
}

static void all_faults_have_their_line(void **state)
{
	struct cw_arguments arguments;

	(void)state;
	parse(&arguments, NULL, NULL);
	assert_int_equal(apply(&arguments, "  buffer-sise: 1\n"
					   "  frobnicate: 1\n"
					   "  utc: 1\n"
					   "  queues: many\n"
					   "  fanout: odd\n"
					   "  ring-buffer: size:1\n"
					   "  verify-filters: 7\n"
					   "  chunk-size: 1000\n"
					   "  rules: other.yaml\n"
					   "  profile: imix\n"),
			 -EINVAL);
	assert_string_equal(
	    faults,
	    "r.yaml:3: capture: unknown key 'buffer-sise'; did you mean 'buffer-size'?\n"
	    "r.yaml:4: capture: unknown key 'frobnicate'; the keys are the long names of "
	    "capture's options (capweir capture --help)\n"
	    "r.yaml:5: capture: utc takes true or false, not '1'\n"
	    "r.yaml:6: capture: queues takes a count from 1 to 256 (suffixes k, M, G), not 'many'\n"
	    "r.yaml:7: capture: fanout takes hash, cpu, qm, lb or rollover, not 'odd'\n"
	    "r.yaml:8: capture: ring-buffer takes filesize:, packets:, duration:, interval: or "
	    "files: and a number, not 'size:1'\n"
	    "r.yaml:9: capture: verify-filters takes 1/N, such as 1/100, not '7'\n"
	    "r.yaml:10: capture: chunk-size takes a power of two\n"
	    "r.yaml:11: capture: rules is this file: leave it out\n"
	    "r.yaml:12: capture: profile is not an option of capture\n");
	assert_false(cw_arguments_have(&arguments, "utc"));
	cw_arguments_fini(&arguments);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_option_of_capture_is_a_key_or_refused),
	    cmocka_unit_test(a_key_gives_what_the_option_gives),
	    cmocka_unit_test(the_command_line_wins),
	    cmocka_unit_test(lists_are_for_options_that_repeat),
	    cmocka_unit_test(a_false_flag_is_not_given),
	    cmocka_unit_test(all_faults_have_their_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
