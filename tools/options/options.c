/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the command line with getopt_long, by the table. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "tools/options/help.h"
#include "tools/options/strangers.h"
#include "tools/options/values.h"

#define LETTERLESS 256 /* getopt's result for row 0 without a letter */
#define ALIASES (LETTERLESS + (int)CW_OPTION_ROWS_MAX) /* for alias 0 without a letter */

struct parse {
	struct cw_arguments *arguments;
	const struct cw_command_text *page;   /* NULL: tcpdump's line */
	char split_word[CW_SPELLING_BYTES];   /* an option that capture lacks; "": none */
	char capture_word[CW_SPELLING_BYTES]; /* an option that split lacks */
	char value[CW_SPELLING_BYTES];        /* of the current alias */
	bool is_alias;                        /* the current option is one */
	int word_count;                       /* words of the line */
};

/* Returns the row of getopt's result; NULL: no option has this letter. */
static const struct cw_option_row *find_row(int id)
{
	if (id >= LETTERLESS)
		return &cw_option_rows[id - LETTERLESS];
	for (size_t index = 0; id && index < cw_option_row_count; index++)
		if (cw_option_rows[index].letter == id)
			return &cw_option_rows[index];
	return NULL;
}

static const struct cw_option_alias *find_alias(int id)
{
	for (size_t index = 0; id && index < cw_option_alias_count; index++)
		if (cw_option_aliases[index].letter == id || ALIASES + (int)index == id)
			return &cw_option_aliases[index];
	return NULL;
}

/* Whether the word is an option of the command, written out and without a value. */
static bool is_option(const char *word, enum cw_command command)
{
	if (word[0] != '-' || !word[1] || (word[1] != '-' && word[2]))
		return false;
	for (size_t index = 0; index < cw_option_row_count; index++) {
		const struct cw_option_row *row = &cw_option_rows[index];

		if ((row->commands & (unsigned)command) &&
		    (word[1] == '-' ? strcmp(word + 2, row->name) == 0 : word[1] == row->letter))
			return true;
	}
	return false;
}

/* Whether the word is the letter again, as in tcpdump's -tt. */
static bool is_repeated(char letter, const char *word)
{
	while (word && *word == letter)
		word++;
	return word && !*word;
}

static int row_id(const struct cw_option_row *row)
{
	return row->letter ? row->letter : LETTERLESS + (int)(row - cw_option_rows);
}

/* The row's id if only the name differs, so that an abbreviation of both names is not ambiguous. */
static int alias_id(size_t index)
{
	const struct cw_option_alias *alias = &cw_option_aliases[index];

	if (alias->letter)
		return alias->letter;
	return alias->value ? ALIASES + (int)index : row_id(cw_option_of_alias(alias));
}

/* Fills getopt_long's tables. */
static void make_getopt_tables(char *letters, struct option *longs)
{
	/* No "+", which would stop at the first positional word: options may follow words. */
	*letters++ = ':';
	for (size_t index = 0; index < cw_option_row_count; index++) {
		const struct cw_option_row *row = &cw_option_rows[index];

		if (row->letter) {
			*letters++ = row->letter;
			if (row->argument)
				*letters++ = ':';
			if (row->may_be_alone)
				*letters++ = ':';
		}
		*longs++ =
		    (struct option){row->name,
				    cw_option_is_optional(row) || row->fades ? optional_argument
				    : row->argument                          ? required_argument
									     : no_argument,
				    NULL, row_id(row)};
	}
	for (size_t index = 0; index < cw_option_alias_count; index++) {
		const struct cw_option_alias *alias = &cw_option_aliases[index];
		bool has_value = cw_option_alias_has_value(alias);

		if (alias->letter)
			*letters++ = alias->letter;
		if (alias->letter && has_value)
			*letters++ = ':';
		if (alias->name)
			*longs++ = (struct option){alias->name,
						   has_value ? required_argument : no_argument,
						   NULL, alias_id(index)};
	}
	*letters = '\0';
	*longs = (struct option){0};
}

static void preset(struct cw_arguments *arguments)
{
	for (size_t index = 0; index < cw_option_row_count; index++) {
		const struct cw_option_row *row = &cw_option_rows[index];

		if (row->kind == CW_OPTION_AMOUNT || row->kind == CW_OPTION_MS)
			*(uint64_t *)((char *)arguments + row->to) = row->preset;
	}
}

/*
 * tcpdump's line may be a capture or a split, which is known at its end. Options of the other one
 * are reported then.
 */
static int settle_command(struct parse *parse)
{
	struct cw_arguments *arguments = parse->arguments;
	bool is_live = arguments->devices.count || arguments->command == CW_CAPTURE;

	if (!((unsigned)arguments->command & (CW_SPLIT | CW_CAPTURE)))
		return 0;
	for (uint32_t index = 0; index < arguments->rest.count; index++)
		if (!arguments->filter.resolve && cw_is_capture_name(arguments->rest.words[index]))
			return cw_refuse("'%s' is not a filter expression: give each input with "
					 "-r, as in -r a.pcap -r b.pcap, and each output with -w",
					 arguments->rest.words[index]);
	if (!(arguments->command & CW_CAPTURE))
		return 0;
	arguments->command = is_live ? CW_CAPTURE : CW_SPLIT;
	if (parse->split_word[0] && is_live)
		return cw_refuse("%s does not go with -i", parse->split_word);
	if (parse->capture_word[0] && !is_live)
		return cw_refuse("%s is for live capture (-i)", parse->capture_word);
	return 0;
}

/* Stores the option's value. Returns 0 or an exit status, after a message. */
static int take_value(struct cw_arguments *arguments, const struct cw_option_row *row,
		      const char *text)
{
	const struct cw_option_value value = {.text = text};
	struct cw_error error = {0};
	int result = cw_option_take(arguments, row, &value, &error);

	if (result == 0)
		return 0;
	cw_complain("%s", error.text);
	return result == -EINVAL ? CW_EXIT_USAGE : CW_EXIT_PROBLEM;
}

/* `value`: the option's value if it is a separate word, else NULL. */
static int take_option(struct parse *parse, const struct cw_option_row *row, bool is_long,
		       const char *value)
{
	struct cw_arguments *arguments = parse->arguments;

	if (!(row->commands & (unsigned)arguments->command))
		return cw_option_refuse_other(row, is_long, parse->page);
	if (!(row->commands & CW_CAPTURE))
		cw_option_spell(row, is_long, parse->split_word);
	if (!(row->commands & CW_SPLIT) && !parse->is_alias)
		cw_option_spell(row, is_long, parse->capture_word);
	if (row->kind == CW_OPTION_HELP) {
		cw_help_print(stdout, parse->page, is_long);
		return -1;
	}
	if (value && is_option(value, arguments->command))
		return cw_option_refuse_value(row, is_long, value);
	if (row->habit && !is_long && !value && is_repeated(row->letter, optarg))
		return cw_option_refuse_value(row, is_long, NULL);
	if (value && is_long && row->fades)
		cw_complain("warning: --%s %s: %s: write --%s=%s", row->name, value, row->fades,
			    row->name, value);
	if (cw_words_add(&arguments->given, row->name) < 0)
		return cw_complain_no_memory();
	if (row->bench_list && arguments->command == CW_BENCH) {
		*(const char **)((char *)arguments + row->bench_list) = optarg;
		return 0;
	}
	return take_value(arguments, row, optarg);
}

/*
 * Takes -t, of which getopt gives the rest of the word. A number is its value, also as the next
 * word. Otherwise it is tcpdump's -t to -ttttt, and the rest of the word are more letters.
 */
static int take_alone(struct parse *parse, const struct cw_option_row *row, char **argv)
{
	struct cw_arguments *arguments = parse->arguments;
	const char *next = optarg ? optarg : optind < parse->word_count ? argv[optind] : NULL;
	bool is_dump = (unsigned)arguments->command & (CW_SPLIT | CW_CAPTURE);
	char *word;

	if (next && ((*next >= '0' && *next <= '9') || !is_dump)) {
		const char *value = optarg ? NULL : next;

		optind += !optarg;
		optarg = (char *)(uintptr_t)next;
		return take_option(parse, row, false, value);
	}
	if (!is_dump)
		return cw_option_refuse_value(row, false, NULL);
	for (next = optarg ? optarg : ""; *next == 't'; next++)
		;
	if (!*next)
		return 0;
	word = malloc(strlen(next) + 2);
	if (!word || cw_words_add(&arguments->owned, word) < 0) {
		free(word);
		return cw_complain_no_memory();
	}
	sprintf(word, "-%s", next);
	argv[--optind] = word;
	return 0;
}

/* Takes --count, without a value: counts packets. A number that follows is its value, and warned
 * about. */
static int take_faded(struct parse *parse, const struct cw_option_row *row, char **argv)
{
	struct cw_arguments *arguments = parse->arguments;
	char *next = optind < parse->word_count ? argv[optind] : NULL;

	if (!(row->commands & (unsigned)arguments->command))
		return cw_option_refuse_other(row, true, parse->page);
	if (next && *next >= '0' && *next <= '9' && !strpbrk(next, " .:/")) {
		optind++;
		optarg = next;
		return take_option(parse, row, true, next);
	}
	*(bool *)((char *)arguments + row->alone) = true;
	return 0;
}

/* `id` is getopt's result: an option, ':' for a missing value, '?' for an unknown option. */
static int take_found(struct parse *parse, int id, bool is_long, char **argv)
{
	int known = id == ':' || id == '?' ? optopt : id;
	const struct cw_option_alias *alias = find_alias(known);
	const struct cw_option_row *row = alias ? cw_option_of_alias(alias) : find_row(known);
	const char *word = argv[optind - 1];

	if (alias && !(row->commands & (unsigned)parse->arguments->command))
		return is_long ? cw_option_refuse_name(word, 0, parse->page)
			       : cw_option_refuse_letter(alias->letter, parse->page);
	parse->is_alias = alias != NULL;
	if (row && row->may_be_alone && !is_long && id == row->letter)
		return take_alone(parse, row, argv);
	if (row && row->fades && is_long && id == row->letter && !optarg)
		return take_faded(parse, row, argv);
	if (alias && id != ':' && id != '?')
		optarg = (char *)(uintptr_t)cw_option_alias_value(alias, optarg, parse->value);
	if (id != ':' && id != '?')
		return take_option(parse, row, is_long, optarg == word ? optarg : NULL);
	is_long = strncmp(word, "--", 2) == 0;
	if (id == ':')
		return cw_option_refuse_value(row, is_long, NULL);
	if (row)
		return cw_refuse("--%s takes no value", row->name);
	if (optopt)
		return cw_option_refuse_letter((char)optopt, parse->page);
	return cw_option_refuse_name(word, (unsigned)parse->arguments->command, parse->page);
}

int cw_options_parse(struct cw_arguments *arguments, enum cw_command command, int argc,
		     char *const *argv)
{
	char letters[2 * (CW_OPTION_ROWS_MAX + CW_OPTION_ALIASES_MAX) + 3];
	struct option longs[CW_OPTION_ROWS_MAX + CW_OPTION_ALIASES_MAX + 1];
	struct parse parse = {.arguments = arguments,
			      .word_count = argc,
			      .page = cw_command_page(argv[0], argc > 1 ? argv[1] : NULL)};
	int result = 0;

	*arguments = (struct cw_arguments){.command = command};
	preset(arguments);
	make_getopt_tables(letters, longs);
	optind = 0; /* resets getopt's state of an earlier line */
	while (result == 0) {
		int long_index = -1;
		int id = getopt_long(argc, argv, letters, longs, &long_index);

		if (id == -1)
			break;
		result = take_found(&parse, id, long_index >= 0, (char **)(uintptr_t)argv);
	}
	for (; result == 0 && optind < argc; optind++) {
		if (cw_words_add(&arguments->rest, argv[optind]) < 0)
			result = cw_complain_no_memory();
	}
	return result ? result : settle_command(&parse);
}
