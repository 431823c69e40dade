/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * completions bash | zsh | fish: the shell's completions, from the tables of options and commands.
 * Run when capweir is built; not installed. A page is a command, a command with its sub-command
 * ("bench ring"), "" (nothing typed yet), "-" (tcpdump's line), "help" or "help bench".
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"
#include "tools/options/table.h"

#define LIMITS "filesize: packets: duration: interval: files:" /* of -b */
#define LEVELS "note warning problem"                          /* of control log */

enum value {
	VALUE_NONE,
	VALUE_FILE,
	VALUE_FOLDER,
	VALUE_IFACE,
	VALUE_LIMIT,
	VALUE_CHOICE,
	VALUE_LIST, /* of choices, with commas; a single one outside bench */
	VALUE_ANY
};

static enum value value_of(const struct cw_option_row *row)
{
	static const struct {
		const char *argument;
		enum value value;
	} values[] = {{"FILE", VALUE_FILE},  {"RULES", VALUE_FILE},  {"PATH", VALUE_FILE},
		      {"DIR", VALUE_FOLDER}, {"IFACE", VALUE_IFACE}, {"KEY:N", VALUE_LIMIT}};

	if (!row->argument || cw_option_is_optional(row))
		return VALUE_NONE;
	for (size_t index = 0; index < CW_ARRAY_COUNT(values); index++)
		if (strcmp(row->argument, values[index].argument) == 0)
			return values[index].value;
	if (!cw_option_choices(row))
		return VALUE_ANY;
	return row->kind == CW_OPTION_WORD && row->commands & CW_BENCH ? VALUE_LIST : VALUE_CHOICE;
}

static bool is_repeatable(const struct cw_option_row *row)
{
	return row->kind == CW_OPTION_WORDS || row->kind == CW_OPTION_TALLY ||
	       value_of(row) == VALUE_LIMIT;
}

/* Whether the words after the page's name are files. */
static bool takes_files(const struct cw_command_text *page)
{
	const char *rest = page->usage + strlen("capweir ") + strlen(page->name);

	return strncmp(rest, " FILE", 5) == 0 || strncmp(rest, " [FILE", 6) == 0 ||
	       strncmp(rest, " RULES", 6) == 0;
}

static bool is_on_tcpdumps_line(const struct cw_option_row *row)
{
	return row->help && (row->commands & (CW_SPLIT | CW_CAPTURE));
}

/* The sub-command's name, if the page is one of a sub-command of `command`. */
static const char *sub_name(const struct cw_command_text *page,
			    const struct cw_command_text *command)
{
	size_t bytes = strlen(command->name);

	return strncmp(page->name, command->name, bytes) == 0 && page->name[bytes] == ' '
		   ? page->name + bytes + 1
		   : NULL;
}

static bool has_subs(const struct cw_command_text *command)
{
	for (size_t index = 0; index < cw_command_text_count; index++)
		if (sub_name(&cw_command_texts[index], command))
			return true;
	return false;
}

/* ---- lists of words, a space before each ---- */

static void put_commands(void)
{
	for (size_t index = 0; index < cw_command_text_count; index++)
		if (cw_command_texts[index].topic)
			printf(" %s", cw_command_texts[index].name);
}

static void put_subs(const struct cw_command_text *command)
{
	for (size_t index = 0; index < cw_command_text_count; index++) {
		const char *name = sub_name(&cw_command_texts[index], command);

		if (name)
			printf(" %s", name);
	}
}

/* The first words of the page's lines. */
static void put_words(const struct cw_command_text *page)
{
	for (const char *line = page->words; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		printf(" %.*s", (int)strcspn(line, " \t"), line);
	}
}

/* The choices; "LIST" in "auto|LIST" is not one. */
static void put_choices(const struct cw_option_row *row)
{
	for (const char *word = cw_option_choices(row); word; word = *word ? word + 1 : NULL) {
		int bytes = (int)strcspn(word, "|");

		if (islower((unsigned char)*word))
			printf(" %.*s", bytes, word);
		word += bytes;
	}
}

static void put_names(const struct cw_option_row *row)
{
	if (row->letter)
		printf(" -%c", row->letter);
	printf(" --%s", row->name);
}

/* ---- bash ---- */

static void put_bash_value(const struct cw_option_row *row)
{
	static const char limits[] = " compopt -o nospace; _capweir_offer -W '" LIMITS "' ;;";
	static const char *const offers[] = {
	    [VALUE_FILE] = " _capweir_offer -f ;;",
	    [VALUE_FOLDER] = " _capweir_offer -d ;;",
	    [VALUE_IFACE] = " _capweir_offer -W \"any $(cd /sys/class/net && echo *)\" ;;",
	    [VALUE_LIMIT] = limits,
	    [VALUE_ANY] = " ;;"};
	enum value value = value_of(row);

	if (!row->help || value == VALUE_NONE)
		return;
	putchar('\t');
	if (row->letter)
		printf("-%c | ", row->letter);
	printf("--%s)", row->name);
	if (offers[value]) {
		puts(offers[value]);
		return;
	}
	fputs(value == VALUE_LIST ? " _capweir_list '" : " _capweir_offer -W '", stdout);
	put_choices(row);
	puts("' ;;");
}

static void put_bash_page(const struct cw_command_text *page)
{
	printf("\t'%s')\n\t\toptions='", page->name);
	for (size_t index = 0; index < cw_option_row_count; index++)
		if (cw_option_belongs(&cw_option_rows[index], page))
			put_names(&cw_option_rows[index]);
	puts("'");
	if (page->words || has_subs(page)) {
		fputs("\t\twords='", stdout);
		put_words(page);
		put_subs(page);
		puts("'");
	}
	if (takes_files(page))
		puts("\t\tfiles=1");
	puts("\t\t;;");
}

/* The page of what was typed so far. */
static void put_bash_find_page(void)
{
	puts("\t[ \"$COMP_CWORD\" -eq 1 ] || page=${COMP_WORDS[1]}\n"
	     "\tcase $page in -*) page=- ;; esac\n"
	     "\t[ \"$COMP_CWORD\" -le 2 ] || case \"$page ${COMP_WORDS[2]}\" in");
	for (size_t index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *page = &cw_command_texts[index];

		if (!page->topic)
			printf("\t'%s') page='%s' ;;\n", page->name, page->name);
		else if (has_subs(page))
			printf("\t'help %s') page='help %s' ;;\n", page->name, page->name);
	}
	puts("\tesac");
}

/* What each page offers. */
static void put_bash_pages(void)
{
	fputs("\tcase $page in\n"
	      "\t'' | -)\n\t\toptions='",
	      stdout);
	for (size_t index = 0; index < cw_option_row_count; index++)
		if (is_on_tcpdumps_line(&cw_option_rows[index]))
			put_names(&cw_option_rows[index]);
	fputs("'\n\t\t[ \"$page\" ] || options+=' --version' words='help", stdout);
	put_commands();
	puts("'\n\t\t;;");
	fputs("\thelp)\n\t\t[ \"$COMP_CWORD\" -gt 2 ] || words='", stdout);
	put_commands();
	puts("'\n\t\t;;");
	for (size_t index = 0; index < cw_command_text_count; index++)
		put_bash_page(&cw_command_texts[index]);
	for (size_t index = 0; index < cw_command_text_count; index++) {
		if (!has_subs(&cw_command_texts[index]))
			continue;
		printf("\t'help %s')\n\t\twords='", cw_command_texts[index].name);
		put_subs(&cw_command_texts[index]);
		puts("'\n\t\t;;");
	}
	puts("\tesac");
}

static void bash(void)
{
	puts("# bash completion of capweir\n"
	     "_capweir_offer() {\n"
	     "\t[ \"$1\" = -W ] || compopt -o filenames\n"
	     "\tmapfile -t COMPREPLY < <(compgen \"$@\" -- \"$word\")\n"
	     "}\n"
	     "_capweir_list() {\n"
	     "\tlocal begun=\n"
	     "\tcase $page,$word in bench*,*,*) begun=${word%,*}, ;; esac\n"
	     "\tword=${word#\"$begun\"}\n"
	     "\t_capweir_offer -W \"$1\" -P \"$begun\"\n"
	     "}\n"
	     "_capweir() {\n"
	     "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} page= "
	     "options= words= files= given\n"
	     "\tCOMPREPLY=()\n"
	     "\t# --name=value is three words here\n"
	     "\tif [ \"$word\" = = ]; then\n"
	     "\t\tword=\n"
	     "\telif [ \"$before\" = = ]; then\n"
	     "\t\tbefore=${COMP_WORDS[COMP_CWORD - 2]}\n"
	     "\tfi");
	put_bash_find_page();
	puts("\tcase $before in");
	for (size_t index = 0; index < cw_option_row_count; index++)
		put_bash_value(&cw_option_rows[index]);
	puts("\t*) false ;;\n\tesac && return");
	put_bash_pages();
	puts("\tif [ \"$page\" = control ]; then\n"
	     "\t\tfor given in \"${COMP_WORDS[@]:2:COMP_CWORD-2}\"; do\n"
	     "\t\t\tcase \" $words \" in *\" $given \"*) words= ;; esac\n"
	     "\t\t\t[ \"$given\" = log ] && words='" LEVELS "'\n"
	     "\t\tdone\n"
	     "\tfi\n"
	     "\tcase $word in\n"
	     "\t-*) _capweir_offer -W \"$options\" ;;\n"
	     "\t*)\n"
	     "\t\t[ -z \"$files\" ] || _capweir_offer -f\n"
	     "\t\t[ -z \"$words\" ] || COMPREPLY+=($(compgen -W \"$words\" -- \"$word\"))\n"
	     "\t\t;;\n"
	     "\tesac\n"
	     "}\n"
	     "complete -F _capweir capweir");
}

/* ---- zsh ---- */

/* A text between single quotes; each of `special` gets a backslash. */
static void put_quoted(const char *text, const char *special)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (strchr(special, *text))
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

static void put_zsh_value(const struct cw_option_row *row)
{
	putchar(':');
	put_quoted(row->argument, "[]:\\");
	switch (value_of(row)) {
	case VALUE_FILE:
		fputs(":_files", stdout);
		break;
	case VALUE_FOLDER:
		fputs(":_files -/", stdout);
		break;
	case VALUE_IFACE:
		fputs(":_capweir_interfaces", stdout);
		break;
	case VALUE_LIMIT:
		fputs(":_capweir_limits", stdout);
		break;
	case VALUE_CHOICE:
		fputs(":(", stdout);
		put_choices(row);
		putchar(')');
		break;
	case VALUE_LIST:
		fputs(": _capweir_list", stdout);
		put_choices(row);
		break;
	default:
		fputs(": ", stdout);
	}
}

/* `page`: NULL on tcpdump's line. */
static void put_zsh_option(const struct cw_option_row *row, const struct cw_command_text *page)
{
	bool is_optional = cw_option_is_optional(row);
	struct cw_option_text text = {.help = row->help};

	if (page)
		cw_option_text(row, page, &text);
	fputs("\t\t", stdout);
	if (is_repeatable(row))
		fputs("'*'", stdout);
	else if (row->letter)
		printf("'(-%c --%s)'", row->letter, row->name);
	if (row->letter)
		printf("{-%c%s,--%s%s}'[", row->letter, row->argument ? "+" : "", row->name,
		       row->argument ? "=" : "");
	else
		printf("'--%s%s[", row->name, is_optional ? "=-" : row->argument ? "=" : "");
	put_quoted(text.help, "[]:\\");
	putchar(']');
	if (row->argument && is_optional)
		putchar(':');
	if (row->argument)
		put_zsh_value(row);
	puts("' \\");
}

/* Elements "name:summary" of an array, of commands (NULL) or of a command's sub-commands. */
static void put_zsh_list(const char *array, const struct cw_command_text *command)
{
	printf("\tlocal -a %s=(\n", array);
	for (size_t index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *page = &cw_command_texts[index];
		const char *name = command       ? sub_name(page, command)
				   : page->topic ? page->name
						 : NULL;

		if (!name)
			continue;
		printf("\t\t'%s:", name);
		put_quoted(page->summary, ":\\");
		puts("'");
	}
	puts("\t)");
}

static void put_zsh_page(const struct cw_command_text *page)
{
	printf("\t'%s')\n\t\t_arguments -s \\\n", page->name);
	for (size_t index = 0; index < cw_option_row_count; index++)
		if (cw_option_belongs(&cw_option_rows[index], page))
			put_zsh_option(&cw_option_rows[index], page);
	if (page->words) {
		fputs("\t\t'1:command:(", stdout);
		put_words(page);
		puts(")' '2:argument:_capweir_levels' \\");
	} else if (has_subs(page)) {
		printf("\t\t'1:sub-command: _capweir_subs %s%s' \\\n", page->name,
		       takes_files(page) ? " files" : "");
	}
	puts(takes_files(page) ? "\t\t'*:file:_files'\n\t\t;;" : "\t\t'*: : '\n\t\t;;");
}

/* Functions that the pages call. */
static void put_zsh_helpers(void)
{
	puts("#compdef capweir\n"
	     "# zsh completion of capweir\n"
	     "_capweir_interfaces() { compadd any /sys/class/net/*(N:t) }\n"
	     "_capweir_limits() { compadd -S '' -- " LIMITS " }\n"
	     "_capweir_levels() { (( ! $words[(I)log] )) || compadd " LEVELS " }\n"
	     "_capweir_list() {\n"
	     "\tif [[ $page = bench* ]]; then _sequence compadd - $@; else compadd $@; fi\n"
	     "}\n"
	     "_capweir_commands() {");
	put_zsh_list("commands", NULL);
	puts("\t[[ $1 = all ]] && commands+=('help:show the help of a command')\n"
	     "\t_describe command commands\n"
	     "}\n"
	     "_capweir_subs() {\n"
	     "\tcase $1 in");
	for (size_t index = 0; index < cw_command_text_count; index++) {
		if (!has_subs(&cw_command_texts[index]))
			continue;
		printf("\t%s)\n", cw_command_texts[index].name);
		put_zsh_list("subs", &cw_command_texts[index]);
		puts("\t_describe sub-command subs\n\t;;");
	}
	puts("\tesac\n"
	     "\t[[ $2 != files ]] || _files\n"
	     "}");
}

static void zsh(void)
{
	put_zsh_helpers();
	puts("_capweir() {\n"
	     "\tlocal page=$words[2]\n"
	     "\tif (( CURRENT == 2 )) && [[ $page != -* ]]; then\n"
	     "\t\t_capweir_commands all\n"
	     "\t\treturn\n"
	     "\tfi\n"
	     "\tif [[ $page = help ]]; then\n"
	     "\t\t(( CURRENT == 3 )) && _capweir_commands\n"
	     "\t\t(( CURRENT == 4 )) && _capweir_subs $words[3]\n"
	     "\t\treturn\n"
	     "\tfi\n"
	     "\tif [[ $page = -* ]]; then\n"
	     "\t\t_arguments -s \\");
	for (size_t index = 0; index < cw_option_row_count; index++)
		if (is_on_tcpdumps_line(&cw_option_rows[index]))
			put_zsh_option(&cw_option_rows[index], NULL);
	puts("\t\t'(- *)--version[print the versions]' \\\n"
	     "\t\t'*: : '\n"
	     "\t\treturn\n"
	     "\tfi\n"
	     "\tshift words\n"
	     "\t(( CURRENT-- ))\n"
	     "\tif (( CURRENT > 2 )); then\n"
	     "\t\tcase \"$page $words[2]\" in");
	for (size_t index = 0; index < cw_command_text_count; index++)
		if (!cw_command_texts[index].topic)
			printf(
			    "\t\t'%s') page=\"$page $words[2]\"; shift words; (( CURRENT-- )) ;;\n",
			    cw_command_texts[index].name);
	puts("\t\tesac\n"
	     "\tfi\n"
	     "\tcase $page in");
	for (size_t index = 0; index < cw_command_text_count; index++)
		put_zsh_page(&cw_command_texts[index]);
	puts("\tesac\n}\n_capweir \"$@\"");
}

/* ---- fish ---- */

static void put_fish_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
}

/* One line for all pages on which the option has this text; `first` is the first of them. */
static void put_fish_option(const struct cw_option_row *row, size_t first)
{
	static const char limits[] = " -x -a '" LIMITS "'";
	static const char *const offers[] = {
	    [VALUE_NONE] = "",
	    [VALUE_FILE] = " -r -F",
	    [VALUE_FOLDER] = " -x -a '(__fish_complete_directories)'",
	    [VALUE_IFACE] = " -x -a 'any (command ls /sys/class/net)'",
	    [VALUE_LIMIT] = limits,
	    [VALUE_ANY] = " -x"};
	struct cw_option_text text, other;
	enum value value = value_of(row);

	cw_option_text(row, &cw_command_texts[first], &text);
	fputs("complete -c capweir -n '__capweir_on", stdout);
	if (is_on_tcpdumps_line(row) && (cw_command_texts[first].command & (CW_SPLIT | CW_CAPTURE)))
		fputs(" \"\" -", stdout);
	for (size_t index = first; index < cw_command_text_count; index++) {
		cw_option_text(row, &cw_command_texts[index], &other);
		if (cw_option_belongs(row, &cw_command_texts[index]) && other.help == text.help)
			printf(" \"%s\"", cw_command_texts[index].name);
	}
	printf("' -l %s", row->name);
	if (row->letter)
		printf(" -s %c", row->letter);
	if (offers[value]) {
		fputs(offers[value], stdout);
	} else {
		fputs(value == VALUE_LIST ? " -x -a '(__capweir_list" : " -x -a '", stdout);
		put_choices(row);
		fputs(value == VALUE_LIST ? ")'" : "'", stdout);
	}
	fputs(" -d '", stdout);
	put_fish_text(text.help);
	puts("'");
}

static void put_fish_options(const struct cw_option_row *row)
{
	for (size_t first = 0; first < cw_command_text_count; first++) {
		struct cw_option_text text, other;
		bool is_new = cw_option_belongs(row, &cw_command_texts[first]);

		cw_option_text(row, &cw_command_texts[first], &text);
		for (size_t index = 0; index < first && is_new; index++) {
			cw_option_text(row, &cw_command_texts[index], &other);
			is_new = !cw_option_belongs(row, &cw_command_texts[index]) ||
				 other.help != text.help;
		}
		if (is_new)
			put_fish_option(row, first);
	}
}

static void put_fish_word(const char *pages, const char *word, const char *summary)
{
	printf("complete -c capweir -n '__capweir_on %s' -a %s -d '", pages, word);
	put_fish_text(summary);
	puts("'");
}

static void put_fish_page(const struct cw_command_text *page)
{
	char pages[80];

	if (page->topic)
		put_fish_word("\"\" help", page->name, page->summary);
	for (size_t index = 0; index < cw_command_text_count; index++) {
		const char *name = sub_name(&cw_command_texts[index], page);

		snprintf(pages, sizeof(pages), "%s \"help %s\"", page->name, page->name);
		if (name)
			put_fish_word(pages, name, cw_command_texts[index].summary);
	}
	if (takes_files(page))
		printf("complete -c capweir -n '__capweir_on \"%s\"' -F\n", page->name);
	if (page->words) {
		printf("complete -c capweir -n '__capweir_on %s; and not "
		       "__fish_seen_subcommand_from",
		       page->name);
		put_words(page);
		fputs("' -a '", stdout);
		put_words(page);
		printf("'\ncomplete -c capweir -n '__capweir_on %s; and "
		       "__fish_seen_subcommand_from log' -a '" LEVELS "'\n",
		       page->name);
	}
}

static void fish(void)
{
	fputs("# fish completion of capweir\n"
	      "function __capweir_on\n"
	      "\tset -l words (commandline -opc)\n"
	      "\tset -l page $words[2]\n"
	      "\tstring match -q -- '-*' $page; and set page -\n"
	      "\tcontains -- \"$words[2] $words[3]\"",
	      stdout);
	for (size_t index = 0; index < cw_command_text_count; index++) {
		const struct cw_command_text *page = &cw_command_texts[index];

		if (!page->topic)
			printf(" '%s'", page->name);
		else if (has_subs(page))
			printf(" 'help %s'", page->name);
	}
	puts("; and set page \"$words[2] $words[3]\"\n"
	     "\tcontains -- \"$page\" $argv\n"
	     "end\n"
	     "function __capweir_list\n"
	     "\tset -l word (string replace -r '^--[a-z-]+=' '' -- (commandline -ct))\n"
	     "\tset -l begun (string match -r '^.*,' -- $word)\n"
	     "\tset -q begun[1]; and __capweir_on 'bench split'; or set begun ''\n"
	     "\tprintf '%s\\n' $begun$argv\n"
	     "end\n"
	     "complete -c capweir -f\n"
	     "complete -c capweir -n '__capweir_on \"\"' -l version -d 'print the versions'");
	put_fish_word("\"\"", "help", "show the help of a command");
	for (size_t index = 0; index < cw_command_text_count; index++)
		put_fish_page(&cw_command_texts[index]);
	for (size_t index = 0; index < cw_option_row_count; index++)
		if (cw_option_rows[index].help)
			put_fish_options(&cw_option_rows[index]);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *word;
		void (*put)(void);
	} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

	for (size_t index = 0; argc == 2 && index < CW_ARRAY_COUNT(shells); index++) {
		if (strcmp(argv[1], shells[index].word) != 0)
			continue;
		shells[index].put();
		return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	fputs("usage: completions bash|zsh|fish\n", stderr);
	return 2;
}
