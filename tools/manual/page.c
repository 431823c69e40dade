/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * page < NAME.SECTION.md: the manual page in Markdown, with the version in its title, without the
 * links between pages, and with the option table's contents where a line is @SYNOPSIS@, @COMMANDS@
 * or @OPTIONS@. Run when capweir is built; not installed.
 */
#include <stdlib.h>

#include "core/base/base.h"
#include "tools/manual/manual.h"

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
	char name[CW_COMMAND_NAME_BYTES];

	for (size_t index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *text = &cw_command_texts[index];

		printf("**%s**\n: ", cw_command_name(text, name));
		put_words(text->what);
		puts("\n");
	}
}

static void put_option(const struct cw_option_row *row)
{
	char name[CW_COMMAND_NAME_BYTES];
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
	put_words(row->help);
	fputs(" (", stdout);
	for (size_t index = 0; index < cw_command_text_count; index++) {
		if (!cw_command_has(&cw_command_texts[index], row))
			continue;
		printf("%s%s", comma, cw_command_name(&cw_command_texts[index], name));
		comma = ", ";
	}
	puts(")\n");
}

static void put_options(void)
{
	for (size_t index = 0; index < cw_option_row_count; index++) {
		if (cw_option_rows[index].help)
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
			put_line(line);
	}
	return fflush(stdout) || ferror(stdout) || ferror(stdin) ? EXIT_FAILURE : EXIT_SUCCESS;
}
