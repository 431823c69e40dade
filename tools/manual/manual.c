/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * manual page < capweir.1.in: the manual, with what stands in the option table put in where the
 * text says @SYNOPSIS@, @COMMANDS@ and @OPTIONS@. manual bash | zsh | fish: completions from the
 * same table. Run when capweir is built; not installed.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"
#include "tools/options/table.h"

#define NAME_BYTES 32u
#define LINE_BYTES 4096u
#define CHOICE_BYTES 128u

/* The word behind "capweir" in its usage. */
static const char *command_name(const struct cw_command_text *text, char *name)
{
	sscanf(text->usage, "capweir %31s", name);
	return name;
}

static bool belongs(const struct cw_option_row *row, const struct cw_command_text *text)
{
	return row->help && (row->commands & (unsigned)text->command);
}

/* The command's first sentence, as the list of commands has it; without its stop. */
static size_t first_sentence_bytes(const char *what)
{
	const char *stop = strstr(what, ". ");
	const char *line = strstr(what, ".\n");
	size_t bytes = strlen(what);

	if (line && (!stop || line < stop))
		stop = line;
	if (stop)
		return (size_t)(stop - what);
	return bytes && what[bytes - 1] == '.' ? bytes - 1 : bytes;
}

/* ---- the page ---- */

/* roff takes some characters for itself; a text never begins a line here. */
static void put_roff(const char *text, size_t bytes)
{
	for (; bytes; text++, bytes--) {
		if (*text == '-')
			fputs("\\-", stdout);
		else if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '\n')
			putchar(' ');
		else
			putchar(*text);
	}
}

static void put_words(const char *text)
{
	put_roff(text, strlen(text));
}

/* Each line of a usage is one way to call it. */
static void put_usage(const char *usage)
{
	while (*usage) {
		size_t bytes = strcspn(usage, "\n");

		fputs(".B capweir\n", stdout);
		usage += strlen("capweir");
		bytes -= strlen("capweir");
		while (bytes && *usage == ' ') {
			usage++;
			bytes--;
		}
		put_roff(usage, bytes);
		fputs("\n.br\n", stdout);
		usage += bytes;
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
	char name[NAME_BYTES];

	for (size_t index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *text = &cw_command_texts[index];

		printf(".TP\n.B %s\n", command_name(text, name));
		put_words(text->what);
		putchar('\n');
	}
}

static void put_option(const struct cw_option_row *row)
{
	char name[NAME_BYTES];
	const char *comma = "";

	fputs(".TP\n", stdout);
	if (row->letter)
		printf("\\fB\\-%c\\fR, ", row->letter);
	fputs("\\fB\\-\\-", stdout);
	put_words(row->name);
	fputs("\\fR", stdout);
	if (row->argument) {
		fputs(cw_option_is_optional(row) ? "\\fI" : " \\fI", stdout);
		put_words(row->argument);
		fputs("\\fR", stdout);
	}
	putchar('\n');
	put_words(row->help);
	fputs("\n(", stdout);
	for (size_t index = 0; index < cw_command_text_count; index++) {
		if (!belongs(row, &cw_command_texts[index]))
			continue;
		printf("%s\\fB%s\\fR", comma, command_name(&cw_command_texts[index], name));
		comma = ", ";
	}
	puts(")");
}

static void put_options(void)
{
	for (size_t index = 0; index < cw_option_row_count; index++) {
		if (cw_option_rows[index].help)
			put_option(&cw_option_rows[index]);
	}
}

static int page(void)
{
	char line[LINE_BYTES];

	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "@SYNOPSIS@\n") == 0)
			put_synopsis();
		else if (strcmp(line, "@COMMANDS@\n") == 0)
			put_commands();
		else if (strcmp(line, "@OPTIONS@\n") == 0)
			put_options();
		else if (strcmp(line, "@VERSION@\n") == 0)
			printf(".TH CAPWEIR 1 \"\" \"capweir %s\"\n", CW_VERSION);
		else
			fputs(line, stdout);
	}
	return ferror(stdin) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- completions ---- */

/* The words to choose from, where the argument is "one|other"; "" otherwise. */
static const char *choices(const struct cw_option_row *row, char *words)
{
	const char *at = row->argument;
	size_t bytes = 0;

	words[0] = '\0';
	if (!at || !strchr(at, '|'))
		return words;
	for (; *at && bytes + 1 < CHOICE_BYTES; at++) {
		if (*at != '|' && !islower((unsigned char)*at))
			continue; /* "LIST" in "auto|LIST" */
		words[bytes++] = *at == '|' ? ' ' : *at;
	}
	while (bytes && words[bytes - 1] == ' ')
		bytes--;
	words[bytes] = '\0';
	return words;
}

static bool takes_file(const struct cw_option_row *row)
{
	return row->argument &&
	       (strcmp(row->argument, "FILE") == 0 || strcmp(row->argument, "DIR") == 0);
}

static bool takes_device(const struct cw_option_row *row)
{
	return row->argument && strcmp(row->argument, "DEV") == 0;
}

/* How a shell is told what an argument may be; `choices` stand around the words. */
struct value_texts {
	const char *file, *device, *choices[2], *other;
};

static void put_value(const struct cw_option_row *row, const struct value_texts *texts)
{
	char words[CHOICE_BYTES];

	if (takes_file(row))
		fputs(texts->file, stdout);
	else if (takes_device(row))
		fputs(texts->device, stdout);
	else if (*choices(row, words))
		printf("%s%s%s", texts->choices[0], words, texts->choices[1]);
	else
		fputs(texts->other, stdout);
}

static void put_names(const struct cw_command_text *text)
{
	for (size_t index = 0; index < cw_option_row_count; index++) {
		const struct cw_option_row *row = &cw_option_rows[index];

		if (!belongs(row, text))
			continue;
		if (row->letter)
			printf(" -%c", row->letter);
		printf(" --%s", row->name);
	}
}

static void put_pattern(const struct cw_option_row *row)
{
	if (row->letter)
		printf("\t-%c | --%s) ", row->letter, row->name);
	else
		printf("\t--%s) ", row->name);
}

static int bash(void)
{
	static const struct value_texts texts = {
	    "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\")); ",
	    "COMPREPLY=($(compgen -W \"$(cd /sys/class/net && echo *)\" -- \"$word\")); ",
	    {"COMPREPLY=($(compgen -W '", "' -- \"$word\")); "},
	    ""};
	char name[NAME_BYTES];

	puts("# bash completion of capweir\n"
	     "_capweir() {\n"
	     "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} options= "
	     "commands=\n"
	     "\tCOMPREPLY=()\n"
	     "\tcase $before in");
	for (size_t index = 0; index < cw_option_row_count; index++) {
		const struct cw_option_row *row = &cw_option_rows[index];

		if (!row->help || !row->argument || cw_option_is_optional(row))
			continue;
		put_pattern(row);
		put_value(row, &texts);
		puts("return ;;");
	}
	fputs("\tesac\n\tcase ${COMP_WORDS[1]} in\n", stdout);
	for (size_t index = 0; index < cw_command_text_count; index++) {
		printf("\t%s) options='", command_name(&cw_command_texts[index], name));
		put_names(&cw_command_texts[index]);
		puts("' ;;");
	}
	puts("\tesac");
	fputs("\tcommands='", stdout);
	for (size_t index = 0; index < cw_command_text_count; index++)
		printf("%s%s", index ? " " : "", command_name(&cw_command_texts[index], name));
	puts("'\n"
	     "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	     "\t\tCOMPREPLY=($(compgen -W \"$commands --help --version\" -- \"$word\"))\n"
	     "\telif [ \"${word#-}\" != \"$word\" ]; then\n"
	     "\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
	     "\telse\n"
	     "\t\tcompopt -o filenames\n"
	     "\t\tCOMPREPLY=($(compgen -f -- \"$word\"))\n"
	     "\tfi\n"
	     "}\n"
	     "complete -F _capweir capweir");
	return EXIT_SUCCESS;
}

/* A text between single quotes; each of `special` gets a backslash. */
static void put_quoted(const char *text, size_t bytes, const char *special)
{
	for (; bytes; text++, bytes--) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (*text == '\n')
			putchar(' ');
		else if (strchr(special, *text))
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

static void put_zsh_option(const struct cw_option_row *row)
{
	static const struct value_texts texts = {":_files", ":_net_interfaces", {":(", ")"}, ": "};

	if (row->letter)
		printf("\t\t\t{-%c,--%s}'", row->letter, row->name);
	else
		printf("\t\t\t'--%s%s", row->name, cw_option_is_optional(row) ? "=-" : "");
	putchar('[');
	put_quoted(row->help, strlen(row->help), "[]:\\");
	putchar(']');
	if (row->argument) {
		printf("%s:", cw_option_is_optional(row) ? ":" : "");
		put_quoted(row->argument, strlen(row->argument), "[]:\\");
		put_value(row, &texts);
	}
	puts("' \\");
}

static int zsh(void)
{
	char name[NAME_BYTES];
	size_t index, row;

	puts("#compdef capweir\n"
	     "# zsh completion of capweir\n"
	     "_capweir() {\n"
	     "\tlocal -a commands=(");
	for (index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *text = &cw_command_texts[index];

		printf("\t\t'%s:", command_name(text, name));
		put_quoted(text->what, first_sentence_bytes(text->what), ":\\");
		puts("'");
	}
	puts("\t)\n"
	     "\tif (( CURRENT == 2 )); then\n"
	     "\t\t_describe command commands\n"
	     "\t\treturn\n"
	     "\tfi\n"
	     "\tlocal command=$words[2]\n"
	     "\tshift words\n"
	     "\t(( CURRENT-- ))\n"
	     "\tcase $command in");
	for (index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *text = &cw_command_texts[index];

		printf("\t%s)\n\t\t_arguments -s \\\n", command_name(text, name));
		for (row = 0; row < cw_option_row_count; row++) {
			if (belongs(&cw_option_rows[row], text))
				put_zsh_option(&cw_option_rows[row]);
		}
		puts("\t\t\t'*:file:_files'\n\t\t;;");
	}
	puts("\tesac\n}\n_capweir \"$@\"");
	return EXIT_SUCCESS;
}

static void put_fish(const char *text, size_t bytes)
{
	for (; bytes; text++, bytes--) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text == '\n' ? ' ' : *text);
	}
}

static void put_fish_option(const struct cw_option_row *row, const char *name)
{
	static const struct value_texts texts = {
	    " -r -F", " -x -a '(command ls /sys/class/net)'", {" -x -a '", "'"}, " -x"};

	printf("complete -c capweir -n '__fish_seen_subcommand_from %s' -l %s", name, row->name);
	if (row->letter)
		printf(" -s %c", row->letter);
	if (row->argument && !cw_option_is_optional(row))
		put_value(row, &texts);
	fputs(" -d '", stdout);
	put_fish(row->help, strlen(row->help));
	puts("'");
}

static int fish(void)
{
	char name[NAME_BYTES];
	size_t index, row;

	puts("# fish completion of capweir");
	for (index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *text = &cw_command_texts[index];

		printf("complete -c capweir -n __fish_use_subcommand -f -a %s -d '",
		       command_name(text, name));
		put_fish(text->what, first_sentence_bytes(text->what));
		puts("'");
		for (row = 0; row < cw_option_row_count; row++) {
			if (belongs(&cw_option_rows[row], text))
				put_fish_option(&cw_option_rows[row], name);
		}
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *word;
		int (*put)(void);
	} kinds[] = {{"page", page}, {"bash", bash}, {"zsh", zsh}, {"fish", fish}};

	for (size_t index = 0; argc == 2 && index < CW_ARRAY_COUNT(kinds); index++) {
		if (strcmp(argv[1], kinds[index].word) == 0) {
			int result = kinds[index].put();

			return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : result;
		}
	}
	fputs("usage: manual page|bash|zsh|fish\n", stderr);
	return 2;
}
