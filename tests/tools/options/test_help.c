/* SPDX-License-Identifier: BSD-3-Clause */
/* Help of every command, and what is said of mistakes on the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/base.h"
#include "tests/tools/options/complaint.h"
#include "tools/options/help.h"

/* ---- help ---- */

/* The page as printed. */
static const char *help_of(const struct cw_command_text *page, bool is_long)
{
	static char text[16384];
	FILE *file = fmemopen(text, sizeof(text), "w");

	assert_non_null(file);
	cw_help_print(file, page, is_long);
	assert_true(ftell(file) < (long)sizeof(text) - 1);
	assert_int_equal(fclose(file), 0);
	return text;
}

static void check_lines(const char *name, const char *text)
{
	for (size_t bytes; *text; text += bytes + 1) {
		bytes = strcspn(text, "\n");
		if (bytes > 80 || (bytes && text[bytes - 1] == ' '))
			fail_msg("%s: a line of %zu columns: %.*s", name, bytes, (int)bytes, text);
		assert_int_equal(text[bytes], '\n');
	}
}

static void help_fits_80_columns_and_begins_with_the_version(void **state)
{
	(void)state;
	for (size_t i = 0; i <= cw_command_text_count; i++) {
		const struct cw_command_text *page =
		    i < cw_command_text_count ? &cw_command_texts[i] : NULL;

		for (int is_long = 0; is_long < 2; is_long++) {
			const char *text = help_of(page, is_long);

			check_lines(page ? page->name : "capweir", text);
			assert_ptr_equal(strstr(text, "capweir " CW_VERSION " - "), text);
			assert_non_null(strstr(text, "\nusage: capweir "));
			assert_int_equal(strstr(text, "\nExit status:\n") != NULL, is_long);
			assert_int_equal(strstr(text, "\nExamples:\n") != NULL, is_long);
		}
	}
}

/* Where the option's line ends; NULL: the text has none. */
static const char *find_option(const char *text, const struct cw_option_row *row)
{
	char names[64];
	const char *line;

	snprintf(names, sizeof(names), "%c%c%c --%s", row->letter ? '-' : ' ',
		 row->letter ? row->letter : ' ', row->letter ? ',' : ' ', row->name);
	line = strstr(text, names);
	return line && strchr(" =[\n", line[strlen(names)]) ? line : NULL;
}

static void help_has_each_option_and_default_of_a_command(void **state)
{
	(void)state;
	for (size_t i = 0; i < cw_command_text_count; i++) {
		const struct cw_command_text *page = &cw_command_texts[i];
		const char *text = help_of(page, true);

		for (size_t j = 0; j < cw_option_row_count; j++) {
			const struct cw_option_row *row = &cw_option_rows[j];
			struct cw_option_text words;
			char preset[64];

			if ((find_option(text, row) != NULL) != cw_option_belongs(row, page))
				fail_msg("%s and --%s", page->name, row->name);
			if (!cw_option_belongs(row, page))
				continue;
			cw_option_text(row, page, &words);
			snprintf(preset, sizeof(preset), "[default: %s",
				 words.preset_text ? words.preset_text : "");
			preset[strcspn(preset, " ") + 3] = '\0'; /* it may be broken after that */
			if (words.preset_text)
				assert_non_null(strstr(find_option(text, row), preset));
		}
	}
}

static void rows_have_a_group_a_verb_and_their_preset_in_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < cw_option_row_count; i++) {
		const struct cw_option_row *row = &cw_option_rows[i];

		assert_true(row->group < CW_GROUPS && cw_option_group_names[row->group]);
		assert_true(!row->preset || row->preset_text);
		assert_true(!row->choices || row->argument);
		if (!row->help)
			continue;
		assert_true(strlen(row->help) <= 48 && row->help[0] >= 'a' && row->help[0] <= 'z');
		assert_false(!strncmp(row->help, "the ", 4) || !strncmp(row->help, "a ", 2));
	}
}

static void no_text_is_of_another_command(void **state)
{
	(void)state;
	for (size_t i = 0; i < cw_command_text_count; i++) {
		const char *text = help_of(&cw_command_texts[i], true);

		if (strncmp(cw_command_texts[i].name, "bench", 5) != 0)
			assert_null(strstr(text, "bench"));
	}
}

/* ---- mistakes ---- */

/* Parse the words, between spaces, of a command ("capweir": tcpdump's line). */
static const char *refused(unsigned command, const char *line)
{
	struct cw_arguments arguments;
	char copy[256], *words[16], *rest = NULL;
	int count = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		words[count++] = word;
	words[count] = NULL;
	complaint[0] = '\0';
	if (cw_options_parse(&arguments, command, count, words) != CW_EXIT_USAGE)
		fail_msg("%s is not refused", line);
	cw_arguments_fini(&arguments);
	return complaint;
}

static void mistakes_are_named_with_what_to_do(void **state)
{
	static const struct {
		unsigned command;
		const char *line, *says;
	} mistakes[] = {
	    {CW_SPLIT, "split --threds 2", "unknown option --threds; did you mean --threads?"},
	    {CW_SPLIT, "split --frobnicate",
	     "unknown option --frobnicate (capweir split --help lists the options)"},
	    {CW_SPLIT | CW_CAPTURE, "capweir -i lo -%",
	     "unknown option -% (capweir --help lists the options)"},
	    {CW_SPLIT, "split --fil udp", "--fil may be each of --filter, "},
	    {CW_SPLIT, "split --json=1", "--json takes no value"},
	    {CW_SPLIT, "split --quiet=1", "--quiet takes no value"},
	    {CW_SPLIT, "split -r", "-r needs a value (-r FILE: read this capture file"},
	    {CW_SPLIT, "split -nr", "-r needs a value (-r FILE: "},
	    {CW_SPLIT, "split --read", "--read needs a value (--read FILE: "},
	    {CW_SPLIT, "split -f -r a", "-f needs a value, but '-r' is an option (-f EXPR: "},
	    {CW_SPLIT, "split -b -r a", "tcpdump's -b is for printing"},
	    {CW_SPLIT, "split -o --json", "-o needs a value, but '--json' is an option"},
	    {CW_BENCH, "bench -t", "-t needs a value (-t N: run N worker"},
	    {CW_SPLIT, "split --threads -r a", "--threads needs a value, but '-r' is an option"},
	    {CW_SPLIT, "split -t 0", "-t takes a count from 1 to 1024"},
	    {CW_SPLIT, "split -ttk", "unknown option -k"},
	    {CW_CHECK, "check -dd tcp",
	     "-d does not belong to check, but to: split, capture, inspect; capweir inspect"},
	    {CW_SPLIT, "split --seed 1",
	     "--seed does not belong to split, but to: generate, bench"},
	    {CW_INSPECT, "inspect -l", "unknown option -l"},
	    {CW_INSPECT, "inspect -U", "-U does not belong to inspect, but to: split, capture"},
	    {CW_SPLIT, "split --snapshot-length=x", "-s takes a size"},
	    {CW_SPLIT, "split --time-stamp-precision=x", "--time-precision takes us or ns"},
	    {CW_INSPECT, "inspect -e",
	     "-e changes how tcpdump prints packets; capweir prints none"},
	    {CW_SPLIT, "split --print",
	     "--print is for printing; capweir does not print packets: -w - | tcpdump -r -"},
	    {CW_SPLIT, "split -r a.pcap b.pcap -w c.pcap",
	     "'b.pcap' is not a filter expression: give each input with -r"},
	    {CW_SPLIT | CW_CAPTURE, "capweir -i lo -w a.pcapng b.pcap.zst", "'b.pcap.zst' is not"},
	    {CW_SPLIT, "split -c 0", "-c takes a count of at least 1 (suffixes k, M, G), not '0'"},
	    {CW_SPLIT, "split -b filesize:0",
	     "-b filesize: takes a size of at least 1B (a bare number is in kB; suffixes"},
	};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(mistakes); i++) {
		const char *said = refused(mistakes[i].command, mistakes[i].line);

		if (!strstr(said, mistakes[i].says))
			fail_msg("%s: %s", mistakes[i].line, said);
	}
}

static void values_that_look_like_options_can_be_attached(void **state)
{
	char program[] = "split", read[] = "-r-w", write[] = "--write=-r", minus[] = "-",
	     f[] = "-f", sum[] = "-1 + ip[0] = 3";
	char *words[] = {program, read, write, f, sum, f, minus, NULL};
	struct cw_arguments arguments;

	(void)state;
	assert_int_equal(cw_options_parse(&arguments, CW_SPLIT, 7, words), 0);
	assert_string_equal(arguments.inputs.words[0], "-w");
	assert_string_equal(arguments.rules.writes.words[0], "-r");
	assert_string_equal(arguments.rules.filters.words[0], "-1 + ip[0] = 3");
	assert_string_equal(arguments.rules.filters.words[1], "-");
	cw_arguments_fini(&arguments);
}

static const char *warning_of(const char *option, const char *value)
{
	char program[] = "split", first[32], second[32];
	char *words[] = {program, first, second, NULL};
	struct cw_arguments arguments;

	snprintf(first, sizeof(first), "%s", option);
	snprintf(second, sizeof(second), "%s", value);
	complaint[0] = '\0';
	assert_int_equal(cw_options_parse(&arguments, CW_SPLIT, 3, words), 0);
	assert_true(arguments.output.packet_count == 10);
	cw_arguments_fini(&arguments);
	return complaint;
}

static void a_value_that_count_will_not_take_is_warned_of(void **state)
{
	(void)state;
	assert_string_equal(warning_of("--count", "10"),
			    "warning: --count 10: from version 0.3 on, --count takes no value, "
			    "as in tcpdump: write --count=10");
	assert_string_equal(warning_of("--count=10", "tcp"), "");
	assert_string_equal(warning_of("-c", "10"), "");
}

static void options_of_tcpdumps_line_are_listed_where_they_belong(void **state)
{
	(void)state;
	assert_null(strstr(help_of(cw_command_page("split", NULL), true), "-D"));
	assert_non_null(strstr(help_of(cw_command_page("capture", NULL), true), "-D, --list-int"));
}

static void unknown_commands_get_a_suggestion(void **state)
{
	(void)state;
	assert_int_equal(cw_help_refuse_command("splt"), CW_EXIT_USAGE);
	assert_string_equal(complaint, "unknown command 'splt'; did you mean 'split'?");
	assert_int_equal(cw_help_refuse_command("in.pcapng"), CW_EXIT_USAGE);
	assert_non_null(strstr(complaint, "capweir inspect FILE"));
	assert_int_equal(cw_help_refuse_command("frobnicate"), CW_EXIT_USAGE);
	assert_string_equal(complaint,
			    "unknown command 'frobnicate' (capweir help lists the commands)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(help_fits_80_columns_and_begins_with_the_version),
	    cmocka_unit_test(help_has_each_option_and_default_of_a_command),
	    cmocka_unit_test(rows_have_a_group_a_verb_and_their_preset_in_words),
	    cmocka_unit_test(no_text_is_of_another_command),
	    cmocka_unit_test(mistakes_are_named_with_what_to_do),
	    cmocka_unit_test(values_that_look_like_options_can_be_attached),
	    cmocka_unit_test(a_value_that_count_will_not_take_is_warned_of),
	    cmocka_unit_test(options_of_tcpdumps_line_are_listed_where_they_belong),
	    cmocka_unit_test(unknown_commands_get_a_suggestion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
