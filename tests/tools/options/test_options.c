/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of options: what each number means bare and with a suffix, where its range ends, and
 * where it goes; what each choice is. A row of the table that is not listed here fails.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/base.h"
#include "tests/tools/options/complaint.h"
#include "tools/options/strangers.h"

#define AT(field) offsetof(struct cw_arguments, field)

/*
 * `means`: TEXT=NUMBER, with spaces between: a bare number first, then a suffix, then the ends of
 * the range. `refused` are just beyond them.
 */
static const struct number {
	const char *name;
	size_t at;
	const char *means;
	const char *refused;
	const char *prefix; /* of all texts */
} numbers[] = {
    {"threads", AT(output.threads), "8=8 1k=1000 1=1 1024=1024", "0 1025", ""},
    {"count", AT(output.packet_count),
     "12=12 3M=3000000 1=1 18446744073709551615=18446744073709551615", "0 18446744073709551616",
     ""},
    {"snaplen", AT(output.snaplen), "96=96 64KiB=65536 0=0 4294967294=4294967294", "-1 4294967295",
     ""},
    {"file-size", AT(rules.rotate_bytes),
     "3=3000000 2m=2097152 1B=1 18446744073709=18446744073709000000",
     "0 0B 18446744073710 18446744073709551616B", ""},
    {"ring-buffer", AT(rules.rotate_bytes),
     "7=7000 1MiB=1048576 1B=1 18446744073709551=18446744073709551000", "0 18446744073709552",
     "filesize:"},
    {"ring-buffer", AT(rules.rotate_packets),
     "7=7 7k=7000 1=1 18446744073709551615=18446744073709551615", "0 18446744073709551616",
     "packets:"},
    {"ring-buffer", AT(rules.rotate_every_ns),
     "60=60000000000 1.5h=5400000000000 0.001=1000000 36600d=3162240000000000000", "999us 36601d",
     "duration:"},
    {"ring-buffer", AT(rules.rotate_every_ns),
     "60=60000000000 10m=600000000000 1ms=1000000 3162240000=3162240000000000000", "0 3162240001",
     "interval:"},
    {"ring-buffer", AT(rules.ring_files), "9=9 1k=1000 1=1 9223372036854775807=9223372036854775807",
     "0 9223372036854775808", "files:"},
    {"file-count", AT(rules.ring_files), "9=9 1k=1000 1=1 9223372036854775807=9223372036854775807",
     "0 9223372036854775808", ""},
    {"rotate-seconds", AT(rules.rotate_every_ns),
     "3600=3600000000000 1h=3600000000000 0.001=1000000 3162240000=3162240000000000000",
     "0 3162240001", ""},
    {"autostop", AT(live.duration_ms), "2=2000 1h=3600000 0.001=1 366d=31622400000", "0 367d",
     "duration:"},
    {"autostop", AT(rules.stop_bytes),
     "7=7000 1MiB=1048576 1B=1 18446744073709551=18446744073709551000", "0 18446744073709552",
     "filesize:"},
    {"autostop", AT(output.packet_count),
     "7=7 7k=7000 1=1 18446744073709551615=18446744073709551615", "0 18446744073709551616",
     "packets:"},
    {"autostop", AT(rules.stop_files), "9=9 1k=1000 1=1 4294967295=4294967295", "0 4294967296",
     "files:"},
    {"hook-timeout", AT(rules.hook_ms), "5=5000 250ms=250 0.001=1 1d=86400000", "0 86401", ""},
    {"filter-time", AT(filter.time_ms), "0.5=500 2m=120000 1ms=1 1d=86400000", "0 86401", ""},
    {"filter-memory", AT(filter.memory_bytes),
     "2000000=2000000 1g=1073741824 1MiB=1048576 1TiB=1099511627776", "1MB 1025g", ""},
    {"verify-filters", AT(filter.verify_every), "100=100 10k=10000 1=1 4294967295=4294967295",
     "0 4294967296", "1/"},
    {"buffer-size", AT(live.ring_bytes), "64=65536 64MiB=67108864 1=1024 1073741824=1099511627776",
     "0 1023B 1073741825", ""},
    {"queues", AT(live.queues), "4=4 1=1 256=256", "0 1k 257", ""},
    {"block-size", AT(live.block_bytes), "8192=8192 2MiB=2097152 4096=4096 256m=268435456",
     "4095 257m", ""},
    {"block-timeout", AT(live.retire_ms), "30=30 1s=1000 1=1 10s=10000", "0 10001", ""},
    {"max-drop", AT(live.max_drop), "5=5 1k=1000 0=0 18446744073709551615=18446744073709551615",
     "-1 18446744073709551616", ""},
    {"stats", AT(live.stats_ms), "1.5=1500 100ms=100 0.001=1 1d=86400000", "0 86401", ""},
    {"duration", AT(live.duration_ms), "2=2000 1h=3600000 0.001=1 366d=31622400000", "0 367d", ""},
    {"drain-timeout", AT(live.drain_ms), "2=2000 1m=60000 0.001=1 1d=86400000", "0 86401", ""},
    {"realtime", AT(live.realtime), "50=50 1=1 99=99", "0 100 1k", ""},
    {"buffer", AT(output.buffer_bytes), "2000=2000 64MiB=67108864 1024=1024 1t=1099511627776",
     "1023 1025g", ""},
    {"chunk-size", AT(output.chunk_bytes), "4096=4096 64k=65536 512=512 1GiB=1073741824",
     "256 2GiB 1000 3k", ""},
    {"batch-size", AT(output.batch_bytes), "3=3 1kB=1000 1=1 1GiB=1073741824", "0 1025m", ""},
    {"batch-packets", AT(output.batch_packets), "3=3 1k=1000 1=1 1048576=1048576", "0 1048577", ""},
    {"segment-size", AT(output.segment_bytes), "64k=65536 0=0 1GiB=1073741824", "1025m -1", ""},
    {"wrong-guess", AT(output.wrong_guess), "0=0 3=3", "4 -1", ""},
    {"packets", AT(traffic.packets),
     "3=3 2G=2000000000 0=0 18446744073709551615=18446744073709551615", "-1 18446744073709551616",
     ""},
    {"repeat", AT(bench.repeat), "3=3 1k=1000 1=1 1001=1001", "0 1002", ""},
    {"max-serial", AT(bench.max_serial), "3=3 1k=1000 1=1 1000000000=1000000000", "0 1000000001",
     ""},
    {"seed", AT(traffic.seed), "7=7 0=0 18446744073709551615=18446744073709551615",
     "-1 1k 18446744073709551616", ""},
    {"pps", AT(send.rate), "300=300 10k=10000 1=1 1G=1000000000", "0 1000000001", ""},
    {"loop", AT(send.rounds), "3=3 1k=1000 0=0 18446744073709551615=18446744073709551615",
     "-1 18446744073709551616", ""},
};

static const struct choice {
	const char *name;
	size_t at;
	const char *means;
} choices[] = {
    {"sync", AT(output.sync), "off=1 close=2"},
    {"direct", AT(output.direct), "auto=0 on=1 off=2"},
    {"time-precision", AT(output.precision), "us=1 ns=2"},
    {"filter-engine", AT(filter.engine), "auto=0 jit=1 walker=2 sequential=3 libpcap=4"},
    {"direction", AT(live.direction), "inout=0 in=1 out=2"},
    {"time-stamp-type", AT(live.clock), "host=0 adapter=1"},
    {"fanout", AT(live.fanout), "hash=0 cpu=1 qm=2 lb=3 rollover=4"},
    {"backend", AT(live.backend), "auto=0 packet=1 pcap=2 xdp=3"},
    {"order", AT(live.is_time_order), "arrival=0 time=1"},
    {"kernel-filter", AT(live.no_kernel_filter), "auto=0 off=1"},
    {"cut", AT(send.sends_cut), "skip=0 send=1"},
    {"mode", AT(selftest.mode), "basic=0 filtered=1 timestamp=2"},
};

static const struct cw_option_row *row_of(const char *name)
{
	for (size_t i = 0; i < cw_option_row_count; i++)
		if (cw_option_rows[i].name && !strcmp(cw_option_rows[i].name, name))
			return &cw_option_rows[i];
	fail_msg("no option %s", name);
	return NULL;
}

/* Parse "--name=text" for a command that has the option; capture's numbers, not bench's lists. */
static int parse(struct cw_arguments *arguments, const char *name, const char *prefix,
		 const char *text)
{
	unsigned commands = row_of(name)->commands;
	char program[] = "capweir", option[128];
	char *words[] = {program, option, NULL};

	snprintf(option, sizeof(option), "--%s=%s%s", name, prefix, text);
	return cw_options_parse(
	    arguments, commands & CW_CAPTURE ? CW_CAPTURE : commands & (0u - commands), 2, words);
}

static uint64_t number_at(const struct cw_arguments *arguments, size_t at)
{
	uint64_t value;

	memcpy(&value, (const char *)arguments + at, sizeof(value));
	return value;
}

static void check_refused(const char *name, const char *prefix, const char *text)
{
	const struct cw_option_row *row = row_of(name);
	struct cw_arguments arguments;
	char says[64];

	complaint[0] = '\0';
	if (parse(&arguments, name, prefix, text) != CW_EXIT_USAGE)
		fail_msg("--%s=%s is not refused", name, text);
	if (row->letter)
		snprintf(says, sizeof(says), "-%c ", row->letter);
	else
		snprintf(says, sizeof(says), "--%s", name);
	assert_ptr_equal(strstr(complaint, says), complaint);
	cw_arguments_fini(&arguments);
}

/* The next word of `list`, which goes on behind it; false at the end. */
static bool next_word(const char **list, char word[64])
{
	int bytes = 0;

	if (sscanf(*list, "%63s%n", word, &bytes) != 1)
		return false;
	*list += bytes;
	return true;
}

/* Part TEXT=NUMBER. */
static uint64_t part(char *word)
{
	char *sign = strchr(word, '=');

	*sign = '\0';
	return strtoull(sign + 1, NULL, 10);
}

static void numbers_have_bare_units_suffixes_and_ranges(void **state)
{
	struct cw_arguments arguments;
	char word[64];

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(numbers); i++) {
		const struct number *number = &numbers[i];
		const char *list = number->means;

		while (next_word(&list, word)) {
			uint64_t wanted = part(word), found;

			if (parse(&arguments, number->name, number->prefix, word))
				fail_msg("--%s=%s is refused: %s", number->name, word, complaint);
			found = number_at(&arguments, number->at);
			if (found != wanted)
				fail_msg("--%s=%s is %" PRIu64, number->name, word, found);
			cw_arguments_fini(&arguments);
		}
		list = number->refused;
		while (next_word(&list, word))
			check_refused(number->name, number->prefix, word);
		check_refused(number->name, number->prefix, "x");
		check_refused(number->name, number->prefix, "");
		check_refused(number->name, number->prefix, "1 k");
		check_refused(number->name, number->prefix, "1k1");
	}
}

static void modes_are_octal(void **state)
{
	static const char *const refused[] = {"0599", "0577", "0677", "01600", "8",         "0x1a0",
					      "600 ", "0o",   "",     "-600",  "0000000600"};
	struct cw_arguments arguments;

	(void)state;
	assert_int_equal(parse(&arguments, "file-mode", "", "640"), 0);
	assert_int_equal(arguments.rules.file_mode, 0640);
	cw_arguments_fini(&arguments);
	assert_int_equal(parse(&arguments, "file-mode", "", "0666"), 0);
	assert_int_equal(arguments.rules.file_mode, 0666);
	cw_arguments_fini(&arguments);
	assert_int_equal(parse(&arguments, "folder-mode", "", "0o777"), 0);
	assert_int_equal(arguments.rules.folder_mode, 0777);
	cw_arguments_fini(&arguments);
	for (size_t i = 0; i < CW_ARRAY_COUNT(refused); i++)
		check_refused("file-mode", "", refused[i]);
	check_refused("folder-mode", "", "0600");
	check_refused("folder-mode", "", "01777");
}

static void choices_are_numbered(void **state)
{
	struct cw_arguments arguments;
	char word[64];

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(choices); i++) {
		const char *list = choices[i].means;
		char all[128] = "takes ";
		int value;

		while (next_word(&list, word)) {
			int wanted = (int)part(word);

			strcat(all, all[6] == '\0' ? "" : *list ? ", " : " or ");
			strcat(all, word);
			assert_int_equal(parse(&arguments, choices[i].name, "", word), 0);
			memcpy(&value, (char *)&arguments + choices[i].at, sizeof(value));
			assert_int_equal(value, wanted);
			cw_arguments_fini(&arguments);
		}
		strcat(all, ", not 'other'");
		check_refused(choices[i].name, "", "");
		check_refused(choices[i].name, "", "other");
		assert_non_null(strstr(complaint, all));
	}
}

static bool is_listed(const char *name)
{
	for (size_t i = 0; i < CW_ARRAY_COUNT(numbers); i++)
		if (!strcmp(numbers[i].name, name))
			return true;
	for (size_t i = 0; i < CW_ARRAY_COUNT(choices); i++)
		if (!strcmp(choices[i].name, name))
			return true;
	return !strcmp(name, "file-mode") || !strcmp(name, "folder-mode") || /* modes_are_octal */
	       !strcmp(name, "speed") ||                                     /* speed_is_a_factor */
	       !strcmp(name, "input-list"); /* test_command_outputs.py */
}

static void every_number_and_choice_of_the_table_is_tested(void **state)
{
	(void)state;
	for (size_t i = 0; i < cw_option_row_count; i++) {
		const struct cw_option_row *row = &cw_option_rows[i];
		bool has_value = row->kind == CW_OPTION_AMOUNT || row->kind == CW_OPTION_MS ||
				 row->kind == CW_OPTION_CHOICE || row->kind == CW_OPTION_OWN;

		if (has_value && !is_listed(row->name))
			fail_msg("--%s has no entry in this test", row->name);
	}
}

static void what_is_not_given_has_its_preset(void **state)
{
	char program[] = "capweir";
	char *words[] = {program, NULL};
	struct cw_arguments arguments;

	(void)state;
	assert_int_equal(cw_options_parse(&arguments, CW_CAPTURE, 1, words), 0);
	assert_false(cw_arguments_have(&arguments, "packets"));
	for (size_t i = 0; i < CW_ARRAY_COUNT(numbers); i++) {
		const char *name = numbers[i].name;
		uint64_t preset = !strcmp(name, "packets")        ? 1000000
				  : !strcmp(name, "seed")         ? 1
				  : !strcmp(name, "loop")         ? 1
				  : !strcmp(name, "max-drop")     ? UINT64_MAX
				  : !strcmp(name, "segment-size") ? UINT64_MAX
								  : 0;

		assert_true(number_at(&arguments, numbers[i].at) == preset);
	}
	cw_arguments_fini(&arguments);
	assert_int_equal(parse(&arguments, "packets", "", "1"), 0);
	assert_true(cw_arguments_have(&arguments, "packets"));
	cw_arguments_fini(&arguments);
}

static void speed_is_a_factor(void **state)
{
	static const char *const bad[] = {"0", "0.0009", "1000001", "nan", "inf", "x", "-1", "2x"};
	struct cw_arguments arguments;

	(void)state;
	assert_int_equal(parse(&arguments, "speed", "", "2.5"), 0);
	assert_true(arguments.send.speed == 2.5);
	cw_arguments_fini(&arguments);
	for (size_t i = 0; i < CW_ARRAY_COUNT(bad); i++)
		check_refused("speed", "", bad[i]);
}

static void a_file_lasts_one_period(void **state)
{
	char program[] = "capweir", first[] = "-G1", second[] = "-binterval:2";
	char *words[] = {program, first, second, NULL};
	struct cw_arguments arguments;

	(void)state;
	assert_int_equal(cw_options_parse(&arguments, CW_CAPTURE, 3, words), CW_EXIT_USAGE);
	cw_arguments_fini(&arguments);
	assert_int_equal(cw_options_parse(&arguments, CW_CAPTURE, 2, words), 0);
	assert_false(arguments.rules.is_rotate_aligned);
	cw_arguments_fini(&arguments);
	words[1] = second;
	assert_int_equal(cw_options_parse(&arguments, CW_CAPTURE, 2, words), 0);
	assert_true(arguments.rules.is_rotate_aligned);
	cw_arguments_fini(&arguments);
}

static void a_benchmark_takes_several_numbers(void **state)
{
	char program[] = "capweir", threads[] = "-t1,2", queues[] = "--queues=3,4";
	char *words[] = {program, threads, queues, NULL};
	struct cw_arguments arguments;

	(void)state;
	assert_int_equal(cw_options_parse(&arguments, CW_BENCH, 3, words), 0);
	assert_string_equal(arguments.bench.threads, "1,2");
	assert_string_equal(arguments.bench.queues, "3,4");
	cw_arguments_fini(&arguments);
	assert_int_equal(cw_options_parse(&arguments, CW_CAPTURE, 2, words), CW_EXIT_USAGE);
	cw_arguments_fini(&arguments);
}

/* Parse the words, between spaces, of tcpdump's line. */
static int parse_line(struct cw_arguments *arguments, const char *line)
{
	static char copy[256];
	char *words[16] = {copy}, *rest = NULL;
	int count = 0;

	snprintf(copy, sizeof(copy), "capweir %s", line);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		words[count++] = word;
	words[count] = NULL;
	return cw_options_parse(arguments, CW_SPLIT | CW_CAPTURE, count, words);
}

static void count_alone_counts_packets(void **state)
{
	static const struct {
		const char *line;
		bool counts;
		uint64_t packet_count;
		uint32_t rest;
	} cases[] = {
	    {"--count", true, 0, 0},
	    {"-r a --count udp", true, 0, 1},
	    {"--count -r a", true, 0, 0},
	    {"--count -c 5 10.0.0.1", true, 5, 1},
	    {"--count 10.0.0.1", true, 0, 1},
	    {"--count=5 udp", false, 5, 1},
	    {"udp --count 5k", false, 5000, 1}, /* until version 0.3 */
	};
	struct cw_arguments arguments;

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		assert_int_equal(parse_line(&arguments, cases[i].line), 0);
		assert_int_equal(arguments.output.counts, cases[i].counts);
		assert_int_equal(arguments.output.packet_count, cases[i].packet_count);
		assert_int_equal(arguments.rest.count, cases[i].rest);
		cw_arguments_fini(&arguments);
	}
}

static void names_of_tcpdump_fill_the_fields_of_ours(void **state)
{
	static const struct {
		const char *line;
		uint64_t snaplen, retire_ms, threads;
		int precision;
		bool packet_buffered;
	} lines[] = {
	    {"--snapshot-length=96", 96, 0, 0, CW_PRECISION_AUTO, false},
	    {"--snapshot-length 96", 96, 0, 0, CW_PRECISION_AUTO, false},
	    {"--snap=96", 96, 0, 0, CW_PRECISION_AUTO, false},
	    {"-i lo --immediate-mode", 0, 1, 0, CW_PRECISION_AUTO, false},
	    {"-r a --immediate-mode", 0, 1, 0, CW_PRECISION_AUTO, false},
	    {"--nano", 0, 0, 0, CW_PRECISION_NS, false},
	    {"--micro", 0, 0, 0, CW_PRECISION_US, false},
	    {"--time-stamp-precision=nano", 0, 0, 0, CW_PRECISION_NS, false},
	    {"--time-stamp-precision micro", 0, 0, 0, CW_PRECISION_US, false},
	    {"-l", 0, 0, 0, CW_PRECISION_AUTO, true},
	    {"-vlN#", 0, 0, 0, CW_PRECISION_AUTO, true},
	    {"-t 4", 0, 0, 4, CW_PRECISION_AUTO, false},
	    {"-t4", 0, 0, 4, CW_PRECISION_AUTO, false},
	    {"-nt4", 0, 0, 4, CW_PRECISION_AUTO, false},
	    {"-t", 0, 0, 0, CW_PRECISION_AUTO, false},
	    {"-t -l", 0, 0, 0, CW_PRECISION_AUTO, true},
	    {"-ttttt -t 4", 0, 0, 4, CW_PRECISION_AUTO, false},
	    {"-tttnls 96", 96, 0, 0, CW_PRECISION_AUTO, true},
	    {"udp -tt port -ntl -t 4 53", 0, 0, 4, CW_PRECISION_AUTO, true},
	};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(lines); i++) {
		struct cw_arguments arguments;

		complaint[0] = '\0';
		if (parse_line(&arguments, lines[i].line) != 0)
			fail_msg("%s: %s", lines[i].line, complaint);
		if (arguments.output.snaplen != lines[i].snaplen ||
		    arguments.live.retire_ms != lines[i].retire_ms ||
		    arguments.output.threads != lines[i].threads ||
		    arguments.output.precision != lines[i].precision ||
		    arguments.output.packet_buffered != lines[i].packet_buffered)
			fail_msg("%s gives other values", lines[i].line);
		if (strstr(lines[i].line, "udp")) {
			assert_int_equal(arguments.rest.count, 3);
			assert_string_equal(arguments.rest.words[2], "53");
		}
		cw_arguments_fini(&arguments);
	}
	for (size_t i = 0; i < cw_option_alias_count; i++)
		assert_non_null(cw_option_of_alias(&cw_option_aliases[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_have_bare_units_suffixes_and_ranges),
	    cmocka_unit_test(modes_are_octal),
	    cmocka_unit_test(choices_are_numbered),
	    cmocka_unit_test(every_number_and_choice_of_the_table_is_tested),
	    cmocka_unit_test(what_is_not_given_has_its_preset),
	    cmocka_unit_test(count_alone_counts_packets),
	    cmocka_unit_test(speed_is_a_factor),
	    cmocka_unit_test(a_file_lasts_one_period),
	    cmocka_unit_test(a_benchmark_takes_several_numbers),
	    cmocka_unit_test(names_of_tcpdump_fill_the_fields_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
