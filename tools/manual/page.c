/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * page < NAME.SECTION.md: the manual page in Markdown, with the version in its title, without the
 * links between pages, and with the option table's contents where a line is @SYNOPSIS@, @COMMANDS@
 * or @OPTIONS@. Run when capweir is built; not installed.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"
#include "tools/options/table.h"

#define LINE_BYTES 4096u

/* Markdown takes some characters for itself. */
static void put_text(const char *text, size_t bytes)
{
	for (; bytes; text++, bytes--) {
		if (strchr("\\`*_[]<>|", *text))
			putchar('\\');
		putchar(*text == '\n' ? ' ' : *text);
	}
}

static void put_words(const char *text)
{
	put_text(text, strlen(text));
}

/* Each line of a usage is one way to call the command. */
static void put_usage(const char *usage)
{
	while (*usage) {
		size_t bytes = strcspn(usage, "\n");

		usage += strlen("capweir");
		fputs("**capweir**", stdout);
		put_text(usage, bytes - strlen("capweir"));
		puts("  "); /* a line break */
		usage += bytes - strlen("capweir");
		usage += strspn(usage, "\n ");
	}
}

static void put_synopsis(void)
{
	for (size_t index = 0; index < cw_command_text_count; index++)
		put_usage(cw_command_texts[index].usage);
}

static void put_commands(void)
{
	for (size_t index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *text = &cw_command_texts[index];

		printf("**%s**\n: ", text->name);
		put_words(text->what);
		puts("\n");
	}
}

static void put_sentences(const struct cw_option_row *row, const struct cw_option_text *text)
{
	put_words(text->help);
	if (row->choices) {
		fputs(": ", stdout);
		put_words(row->choices);
	}
	if (text->preset_text) {
		fputs(" \\[default: ", stdout);
		put_words(text->preset_text);
		fputs("\\]", stdout);
	}
	fputs(". ", stdout);
	if (text->more) {
		put_words(text->more);
		putchar(' ');
	}
}

static bool is_same(const struct cw_option_text *a, const struct cw_option_text *b)
{
	return a->help == b->help && a->more == b->more && a->preset_text == b->preset_text;
}

/* Where a command's help says something else, that; commands with the same text stand together. */
static void put_differences(const struct cw_option_row *row)
{
	const struct cw_option_text usual = {row->help, row->more, row->preset_text};
	struct cw_option_text last = usual;

	for (size_t index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *page = &cw_command_texts[index];
		struct cw_option_text text;

		if (!cw_option_belongs(row, page))
			continue;
		cw_option_text(row, page, &text);
		if (!is_same(&text, &usual) && !is_same(&text, &last)) {
			printf("%s: ", page->name);
			put_sentences(row, &text);
		}
		last = text;
	}
}

static void put_option(const struct cw_option_row *row)
{
	/* Help begins with a small letter, as it stands in a column; here it is a sentence. */
	const struct cw_option_text text = {row->help + 1, row->more, row->preset_text};
	const char *comma = "";

	if (row->letter)
		printf("**-%c**, ", row->letter);
	printf("**--%s**", row->name);
	if (row->argument) {
		fputs(cw_option_is_optional(row) ? "*" : " *", stdout);
		put_words(row->argument);
		putchar('*');
	}
	fputs("\n: ", stdout);
	putchar(toupper((unsigned char)row->help[0]));
	put_sentences(row, &text);
	put_differences(row);
	putchar('(');
	for (size_t index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *page = &cw_command_texts[index];

		if (!page->topic || !(row->commands & ~row->unlisted & page->command))
			continue;
		printf("%s%s", comma, page->name);
		comma = ", ";
	}
	puts(")\n");
}

static void put_options(void)
{
	for (unsigned group = 0; group < CW_GROUPS; group++) {
		printf("### %s\n\n", cw_option_group_names[group]);
		for (size_t index = 0; index < cw_option_row_count; index++)
			if (cw_option_rows[index].help && cw_option_rows[index].group == group)
				put_option(&cw_option_rows[index]);
	}
}

/* The first line, "# NAME SECTION"; the converter wants a date and a source after them. */
static void put_title(char *line)
{
	line[strcspn(line, "\n")] = '\0';
	printf("%s \"\" \"capweir %s\"\n", line, CW_VERSION);
}

/* "[text](NAME.SECTION.md)" becomes its text: in a terminal there is no link to follow. */
static void put_line(const char *line)
{
	while (*line) {
		size_t text = line[0] == '[' ? strcspn(line + 1, "[]") : 0;
		size_t target = text && !strncmp(line + 1 + text, "](", 2)
				    ? strcspn(line + 3 + text, ")\n")
				    : 0;

		if (target > 3 && !strncmp(line + text + target, ".md)", 4)) {
			fwrite(line + 1, 1, text, stdout);
			line += text + target + 4;
		} else {
			putchar(*line++);
		}
	}
}

/* "- **term**: text" is a list in the repository, and a term with its definition in a terminal. */
static void put_definition(const char *line, const char *colon)
{
	fwrite(line + 2, 1, (size_t)(colon - line) - 2, stdout);
	putchar('\n');
	put_line(colon);
}

static void put_text_line(const char *line)
{
	const char *colon = strncmp(line, "- *", 3) == 0 ? strstr(line, ": ") : NULL;

	if (colon)
		put_definition(line, colon);
	else
		put_line(line);
}

int main(void)
{
	char line[LINE_BYTES];

	if (fgets(line, sizeof(line), stdin))
		put_title(line);
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "@SYNOPSIS@\n") == 0)
			put_synopsis();
		else if (strcmp(line, "@COMMANDS@\n") == 0)
			put_commands();
		else if (strcmp(line, "@OPTIONS@\n") == 0)
			put_options();
		else
			put_text_line(line);
	}
	return fflush(stdout) || ferror(stdout) || ferror(stdin) ? EXIT_FAILURE : EXIT_SUCCESS;
}
