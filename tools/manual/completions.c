/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * completions bash | zsh | fish: the shell's completions, from the option table. Run when capweir
 * is built; not installed.
 */
#include <ctype.h>
#include <stdlib.h>

#include "core/base/base.h"
#include "tools/manual/manual.h"

#define CHOICE_BYTES 128u

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
	return row->argument && strcmp(row->argument, "IFACE") == 0;
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

		if (!cw_command_has(text, row))
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
	char name[CW_COMMAND_NAME_BYTES];

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
		if (!cw_command_texts[index].topic)
			continue;
		printf("\t%s) options='", cw_command_name(&cw_command_texts[index], name));
		put_names(&cw_command_texts[index]);
		puts("' ;;");
	}
	puts("\tesac");
	fputs("\tcommands='", stdout);
	for (size_t index = 0; index < cw_command_text_count; index++)
		if (cw_command_texts[index].topic)
			printf("%s%s", index ? " " : "",
			       cw_command_name(&cw_command_texts[index], name));
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
	char name[CW_COMMAND_NAME_BYTES];
	size_t index, row;

	puts("#compdef capweir\n"
	     "# zsh completion of capweir\n"
	     "_capweir() {\n"
	     "\tlocal -a commands=(");
	for (index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *text = &cw_command_texts[index];

		if (!text->topic)
			continue;
		printf("\t\t'%s:", cw_command_name(text, name));
		put_quoted(text->summary, strlen(text->summary), ":\\");
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

		if (!text->topic)
			continue;
		printf("\t%s)\n\t\t_arguments -s \\\n", cw_command_name(text, name));
		for (row = 0; row < cw_option_row_count; row++) {
			if (cw_command_has(text, &cw_option_rows[row]))
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
	char name[CW_COMMAND_NAME_BYTES];
	size_t index, row;

	puts("# fish completion of capweir");
	for (index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *text = &cw_command_texts[index];

		if (!text->topic)
			continue;
		printf("complete -c capweir -n __fish_use_subcommand -f -a %s -d '",
		       cw_command_name(text, name));
		put_fish(text->summary, strlen(text->summary));
		puts("'");
		for (row = 0; row < cw_option_row_count; row++) {
			if (cw_command_has(text, &cw_option_rows[row]))
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
	} kinds[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

	for (size_t index = 0; argc == 2 && index < CW_ARRAY_COUNT(kinds); index++) {
		if (strcmp(argv[1], kinds[index].word) == 0) {
			int result = kinds[index].put();

			return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : result;
		}
	}
	fputs("usage: completions bash|zsh|fish\n", stderr);
	return 2;
}
