/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints help from the tables of options and commands, in lines of at most 80 columns. */
#include <string.h>

#include <capweir/base.h>

#include "core/base/base.h"
#include "core/base/near.h"
#include "tools/options/help.h"
#include "tools/options/strangers.h"

#define COLUMNS 80u
#define INDENT 2u
#define LEFT_BYTES 64u
#define LEFT_COLUMNS_MAX 26u /* of an option's names; longer ones have a line to themselves */
#define WORD_COLUMNS 16u     /* of sub-commands and words */
#define TEXT_BYTES 512u
#define NO_BREAK '\1' /* a space at which no line ends */

/*
 * Print the words from `column` on, broken at spaces, each further line indented by `indent`; a
 * line break of the text begins a line.
 */
static void put_wrapped(FILE *file, const char *text, unsigned indent, unsigned column)
{
	bool is_line_start = true;

	while (*text) {
		unsigned bytes = (unsigned)strcspn(text, " \n");
		bool is_break = text[bytes] == '\n';

		if (!is_line_start && column + 1 + bytes > COLUMNS) {
			fprintf(file, "\n%*s", (int)indent, "");
			column = indent;
			is_line_start = true;
		}
		if (!is_line_start)
			fputc(' ', file);
		for (unsigned at = 0; at < bytes; at++)
			fputc(text[at] == NO_BREAK ? ' ' : text[at], file);
		column += bytes + !is_line_start;
		is_line_start = false;
		text += bytes + (text[bytes] != '\0');
		if (is_break) {
			fprintf(file, "\n%*s", (int)indent, "");
			column = indent;
			is_line_start = true;
		}
	}
	fputc('\n', file);
}

/* The next line of a text, or NULL; `bytes` is its length. */
static const char *next_line(const char **text, int *bytes)
{
	const char *line = *text;

	if (!line || !*line)
		return NULL;
	*bytes = (int)strcspn(line, "\n");
	*text = line + *bytes + (line[*bytes] == '\n');
	return line;
}

/* ---- options ---- */

static unsigned format_left(const struct cw_option_row *row, char left[LEFT_BYTES])
{
	char letter[8] = "    ";

	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	return (unsigned)snprintf(left, LEFT_BYTES, "%s--%s%s%s", letter, row->name,
				  row->argument && !cw_option_is_optional(row) ? " " : "",
				  row->argument ? row->argument : "");
}

/* The option's sentence with its choices, unless the argument shows them, and its default. */
static void format_right(const struct cw_option_row *row, const struct cw_option_text *text,
			 char right[TEXT_BYTES])
{
	size_t used = (size_t)snprintf(right, TEXT_BYTES, "%s", text->help);

	for (const char *word = row->choices; word; word = *word ? word + 1 : NULL) {
		int bytes = (int)strcspn(word, "|");

		used += (size_t)snprintf(right + used, TEXT_BYTES - used, "%s%.*s",
					 word == row->choices ? ": " : ", ", bytes, word);
		word += bytes;
	}
	if (text->preset_text)
		snprintf(right + used, TEXT_BYTES - used, " [default:%c%s]", NO_BREAK,
			 text->preset_text);
}

static bool is_shown(const struct cw_option_row *row, const struct cw_command_text *page,
		     bool is_long)
{
	return cw_option_belongs(row, page) &&
	       (is_long || row->is_common || row->kind == CW_OPTION_HELP);
}

/* The column of the sentences: behind the longest names that fit. */
static unsigned find_column(const struct cw_command_text *page, bool is_long)
{
	unsigned widest = 0;
	char left[LEFT_BYTES];

	for (size_t index = 0; index < cw_option_row_count; index++) {
		unsigned columns;

		if (!is_shown(&cw_option_rows[index], page, is_long))
			continue;
		columns = format_left(&cw_option_rows[index], left);
		if (columns > widest && columns <= LEFT_COLUMNS_MAX)
			widest = columns;
	}
	return INDENT + widest + INDENT;
}

static void put_option(FILE *file, const struct cw_option_row *row,
		       const struct cw_command_text *page, unsigned column, bool is_long)
{
	char left[LEFT_BYTES], right[TEXT_BYTES];
	struct cw_option_text text;
	unsigned columns = format_left(row, left);

	cw_option_text(row, page, &text);
	format_right(row, &text, right);
	if (INDENT + columns + INDENT > column)
		fprintf(file, "%*s%s\n%*s", (int)INDENT, "", left, (int)column, "");
	else
		fprintf(file, "%*s%-*s", (int)INDENT, "", (int)(column - INDENT), left);
	put_wrapped(file, right, column, column);
	if (is_long && text.more) {
		fprintf(file, "%*s", (int)column, "");
		put_wrapped(file, text.more, column, column);
	}
}

static void put_options(FILE *file, const struct cw_command_text *page, bool is_long)
{
	unsigned column = find_column(page, is_long);

	if (!is_long)
		fputs("\nOptions:\n", file);
	for (unsigned group = 0; group < CW_GROUPS; group++) {
		bool has_heading = !is_long;

		for (size_t index = 0; index < cw_option_row_count; index++) {
			const struct cw_option_row *row = &cw_option_rows[index];

			if (row->group != group || !is_shown(row, page, is_long))
				continue;
			if (!has_heading)
				fprintf(file, "\n%s:\n", cw_option_group_names[group]);
			has_heading = true;
			put_option(file, row, page, column, is_long);
		}
	}
}

/* ---- commands ---- */

/* Lines "word\ttext". */
static void put_pairs(FILE *file, const char *heading, const char *pairs, unsigned columns)
{
	const char *line;
	int bytes;

	if (pairs)
		fprintf(file, "\n%s:\n", heading);
	while ((line = next_line(&pairs, &bytes)) != NULL) {
		char right[TEXT_BYTES];
		int word = (int)strcspn(line, "\t");

		snprintf(right, sizeof(right), "%.*s", bytes - word - 1, line + word + 1);
		fprintf(file, "%*s%-*.*s", (int)INDENT, "", (int)columns, word, line);
		put_wrapped(file, right, INDENT + columns, INDENT + columns);
	}
}

static void put_examples(FILE *file, const char *examples)
{
	const char *line;
	int bytes;

	fputs("\nExamples:\n", file);
	while ((line = next_line(&examples, &bytes)) != NULL)
		fprintf(file, "%*s%.*s\n", (int)(*line == '#' ? INDENT : 2 * INDENT), "", bytes,
			line);
}

static void put_sub_commands(FILE *file, const struct cw_command_text *page)
{
	size_t bytes = strlen(page->name);
	bool has_heading = false;

	for (size_t index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *other = &cw_command_texts[index];

		if (strncmp(other->name, page->name, bytes) != 0 || other->name[bytes] != ' ')
			continue;
		if (!has_heading)
			fputs("\nSub-commands:\n", file);
		has_heading = true;
		fprintf(file, "%*s%-*s%s\n", (int)INDENT, "", (int)WORD_COLUMNS,
			other->name + bytes + 1, other->summary);
	}
}

static void put_page(FILE *file, const struct cw_command_text *page, bool is_long)
{
	const char *usages = page->usage, *line, *label = "usage: ";
	int bytes;

	fprintf(file, "capweir %s - %s\n\n", cw_version(), page->summary);
	while ((line = next_line(&usages, &bytes)) != NULL) {
		fprintf(file, "%-7s%.*s\n", label, bytes, line);
		label = "";
	}
	if (is_long) {
		fputc('\n', file);
		put_wrapped(file, page->what, 0, 0);
	}
	put_sub_commands(file, page);
	put_pairs(file, "Commands", page->words, WORD_COLUMNS);
	put_options(file, page, is_long);
	if (is_long) {
		put_examples(file, page->examples);
		put_pairs(file, "Exit status", page->exits, 5);
		fputs("\nManual: man capweir\n", file);
	} else {
		fprintf(file, "\ncapweir %s --help describes all options.\n", page->name);
	}
}

static void put_program(FILE *file, bool is_long)
{
	const char *topic = "";

	fprintf(file,
		"capweir %s - split packets by many filters in one pass, live or from files\n\n"
		"usage: capweir COMMAND [OPTIONS]\n"
		"       capweir -i IFACE | -r FILE -w FILE [OPTIONS] [EXPR]    (as tcpdump)\n",
		cw_version());
	for (size_t index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *page = &cw_command_texts[index];

		if (!page->topic)
			continue;
		if (strcmp(topic, page->topic) != 0)
			fprintf(file, "\n%s:\n", page->topic);
		topic = page->topic;
		fprintf(file, "  %-10s %s\n", page->name, page->summary);
	}
	if (is_long) {
		put_examples(file, "# DNS and the rest of a file\n"
				   "capweir split -r big.pcap -f 'port 53' -w dns.pcap \\\n"
				   "        -f unmatched -w rest.pcap\n"
				   "# as tcpdump\n"
				   "capweir -i eth0 -c 1000 -w out.pcap 'not port 22'");
		put_pairs(file, "Exit status",
			  "0\tcomplete\n"
			  "1\tan operating error, or packets are lost; the report says which\n"
			  "2\tthe command line, the rules or a filter are wrong\n"
			  "3\tthe kernel dropped more packets than --max-drop\n"
			  "130\tstopped by a signal",
			  5);
	}
	fputs("\ncapweir COMMAND -h shows the most used options of a command, capweir COMMAND\n"
	      "--help all of them, capweir --version the versions. Manual: man capweir\n",
	      file);
}

void cw_help_print(FILE *file, const struct cw_command_text *page, bool is_long)
{
	if (page)
		put_page(file, page, is_long);
	else
		put_program(file, is_long);
}

int cw_help_refuse_command(const char *word)
{
	struct cw_near near = {.word = word, .bytes = strlen(word)};
	char meant[CW_NEAR_TEXT_BYTES];

	for (size_t index = 0; index < cw_command_text_count; index++)
		if (cw_command_texts[index].topic)
			cw_near_offer(&near, cw_command_texts[index].name);
	cw_near_offer(&near, "help");
	if (cw_is_capture_name(word))
		return cw_refuse("unknown command '%s'; to read a capture file: capweir -r FILE "
				 "-w FILE, or capweir inspect FILE",
				 word);
	if (cw_near_say(&near, "'", "'", meant, sizeof(meant)))
		return cw_refuse("unknown command '%s';%s", word, meant);
	return cw_refuse("unknown command '%s' (capweir help lists the commands)", word);
}
