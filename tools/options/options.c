/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line through getopt_long, and what --help prints: both by the table. */
#include <getopt.h>

#include "tools/options/values.h"

#define LETTERLESS 256 /* what getopt returns for row 0, if that has no letter */

struct parse {
	struct cw_arguments *arguments;
	const char *split_word;   /* an option that is not capture's, as written */
	const char *capture_word; /* one that is not split's */
};

static void print_row(FILE *file, const struct cw_option_row *row)
{
	char left[64];

	if (row->letter)
		snprintf(left, sizeof(left), "-%c, --%s%s%s", row->letter, row->name,
			 row->argument ? " " : "", row->argument ? row->argument : "");
	else
		snprintf(left, sizeof(left), "    --%s%s%s", row->name,
			 row->argument && !cw_option_is_optional(row) ? " " : "",
			 row->argument ? row->argument : "");
	fprintf(file, "  %-28s %s\n", left, row->help);
}

void cw_options_help(FILE *file, enum cw_command command)
{
	for (size_t index = 0; index < cw_command_text_count; index++) {
		if (cw_command_texts[index].command & command)
			fprintf(file, "usage: %s\n\n%s\n\n", cw_command_texts[index].usage,
				cw_command_texts[index].what);
	}
	for (size_t index = 0; index < cw_option_row_count; index++) {
		if ((cw_option_rows[index].commands & (unsigned)command) &&
		    cw_option_rows[index].help)
			print_row(file, &cw_option_rows[index]);
	}
}

/* ---- parsing ---- */

static const struct cw_option_row *find_row(int id)
{
	const struct cw_option_row *row = cw_option_rows;

	if (id >= LETTERLESS)
		return &row[id - LETTERLESS];
	while (row->letter != id)
		row++;
	return row;
}

/* The table as getopt_long wants it. */
static void make_getopt_tables(char *letters, struct option *longs)
{
	/* "+" would stop at the first positional word; tcpdump users put them anywhere. */
	*letters++ = ':';
	for (size_t index = 0; index < cw_option_row_count; index++) {
		const struct cw_option_row *row = &cw_option_rows[index];

		if (row->letter) {
			*letters++ = row->letter;
			if (row->argument)
				*letters++ = ':';
		}
		if (row->name)
			*longs++ = (struct option){
			    row->name,
			    cw_option_is_optional(row) ? optional_argument
			    : row->argument            ? required_argument
						       : no_argument,
			    NULL, row->letter ? row->letter : LETTERLESS + (int)index};
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
 * tcpdump's line may be a capture or a split: what it is, is known at the end. Options of the other
 * one are told then.
 */
static int settle_command(struct parse *parse)
{
	struct cw_arguments *arguments = parse->arguments;
	bool is_live = arguments->devices.count || arguments->command == CW_CAPTURE;

	if (!(arguments->command & CW_CAPTURE))
		return 0;
	arguments->command = is_live ? CW_CAPTURE : CW_SPLIT;
	if (parse->split_word && is_live)
		return cw_refuse("%s does not go with -i", parse->split_word);
	if (parse->capture_word && !is_live)
		return cw_refuse("%s is for live capture (-i)", parse->capture_word);
	return 0;
}

static int take_option(struct parse *parse, const struct cw_option_row *row, const char *word)
{
	struct cw_arguments *arguments = parse->arguments;

	if (row->commands == CW_NOT_YET)
		return cw_refuse("%s is not in this version", word);
	if (!(row->commands & (unsigned)arguments->command))
		return cw_refuse("%s does not belong to this command (see --help)", word);
	if (!(row->commands & CW_CAPTURE))
		parse->split_word = word;
	if (!(row->commands & CW_SPLIT))
		parse->capture_word = word;
	if (row->kind == CW_OPTION_HELP) {
		cw_options_help(stdout, arguments->command);
		return -1;
	}
	if (cw_words_add(&arguments->given, row->name) < 0)
		return cw_complain_no_memory();
	if (row->bench_list && arguments->command == CW_BENCH) {
		*(const char **)((char *)arguments + row->bench_list) = optarg;
		return 0;
	}
	return cw_option_take(arguments, row, optarg);
}

int cw_options_parse(struct cw_arguments *arguments, enum cw_command command, int argc,
		     char *const *argv)
{
	char letters[2 * CW_OPTION_ROWS_MAX + 2];
	struct option longs[CW_OPTION_ROWS_MAX + 1];
	struct parse parse = {.arguments = arguments};
	int result = 0;
	int id;

	*arguments = (struct cw_arguments){.command = command};
	preset(arguments);
	make_getopt_tables(letters, longs);
	optind = 1;
	while (result == 0 && (id = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		/* The word that getopt took the option from: "-xVALUE", "--name=VALUE", ... */
		const char *word =
		    argv[optind - 1] == optarg && optarg ? argv[optind - 2] : argv[optind - 1];

		if (id == ':') {
			result = cw_refuse("%s needs a value", argv[optind - 1]);
		} else if (id == '?') {
			/* For a long one it is the word; a letter may stand among others. */
			if (optopt)
				result = cw_refuse("unknown option -%c (see --help)", optopt);
			else
				result =
				    cw_refuse("unknown option %s (see --help)", argv[optind - 1]);
		} else {
			result = take_option(&parse, find_row(id), word);
		}
	}
	for (; result == 0 && optind < argc; optind++) {
		if (cw_words_add(&arguments->rest, argv[optind]) < 0)
			result = cw_complain_no_memory();
	}
	return result ? result : settle_command(&parse);
}
