/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <string.h>

#include "core/base/base.h"
#include "core/base/near.h"
#include "tools/options/strangers.h"

#define LIST_BYTES 128u

/* Options of tcpdump and dumpcap, and how the sentence about them ends. */
static const struct {
	const char *letters;
	const char *names; /* between spaces */
	const char *advice;
} strangers[] = {
    {"evSKAxXNuH#", " number absolute-tcp-sequence-numbers dont-verify-checksums ",
     "changes how tcpdump prints packets; capweir prints none: leave it out"},
    {"ETMm", " print ", "is for printing; capweir does not print packets: -w - | tcpdump -r -"},
    {"I", " monitor-mode ", "is not in this version"},
    {"", " version ", "goes without a command: capweir --version"},
};

const struct cw_option_alias cw_option_aliases[] = {
    {'l', NULL, "packet-buffered", NULL},
    {0, "snapshot-length", "snaplen", NULL},
    {0, "time-stamp-precision", "time-precision", "micro=us nano=ns"},
    {0, "micro", "time-precision", "us"},
    {0, "nano", "time-precision", "ns"},
    {0, "immediate-mode", "block-timeout", "1"},
    /* for printing: they change nothing, as -n */
    {'e', NULL, "numeric", NULL},
    {'v', NULL, "numeric", NULL},
    {'S', "absolute-tcp-sequence-numbers", "numeric", NULL},
    {'K', "dont-verify-checksums", "numeric", NULL},
    {'A', NULL, "numeric", NULL},
    {'x', NULL, "numeric", NULL},
    {'X', NULL, "numeric", NULL},
    {'N', NULL, "numeric", NULL},
    {'u', NULL, "numeric", NULL},
    {'H', NULL, "numeric", NULL},
    {'#', "number", "numeric", NULL},
};

const size_t cw_option_alias_count = CW_ARRAY_COUNT(cw_option_aliases);
static_assert(CW_ARRAY_COUNT(cw_option_aliases) <= CW_OPTION_ALIASES_MAX, "raise the limit");

const struct cw_option_row *cw_option_of_alias(const struct cw_option_alias *alias)
{
	for (size_t index = 0; index < cw_option_row_count; index++)
		if (strcmp(cw_option_rows[index].name, alias->of) == 0)
			return &cw_option_rows[index];
	assert(false); /* tests compare the tables */
	return NULL;
}

/* Whether the alias translates given values, "theirs=ours ...". */
static bool is_translated(const struct cw_option_alias *alias)
{
	return alias->value && strchr(alias->value, '=');
}

bool cw_option_alias_has_value(const struct cw_option_alias *alias)
{
	return cw_option_of_alias(alias)->argument && (!alias->value || is_translated(alias));
}

const char *cw_option_alias_value(const struct cw_option_alias *alias, const char *given,
				  char text[CW_SPELLING_BYTES])
{
	size_t bytes;

	if (!is_translated(alias))
		return alias->value ? alias->value : given;
	bytes = strlen(given);
	for (const char *at = alias->value; at; at = strchr(at, ' ')) {
		at += *at == ' ';
		if (strncmp(at, given, bytes) != 0 || at[bytes] != '=')
			continue;
		at += bytes + 1;
		snprintf(text, CW_SPELLING_BYTES, "%.*s", (int)strcspn(at, " "), at);
		return text;
	}
	return given;
}

const char *cw_option_spell(const struct cw_option_row *row, bool is_long,
			    char text[CW_SPELLING_BYTES])
{
	if (is_long)
		snprintf(text, CW_SPELLING_BYTES, "--%s", row->name);
	else
		snprintf(text, CW_SPELLING_BYTES, "-%c", row->letter);
	return text;
}

bool cw_is_capture_name(const char *word)
{
	static const char *const ends[] = {".pcap",     ".pcapng",    ".cap",       ".pcap.gz",
					   ".pcap.zst", ".pcapng.gz", ".pcapng.zst"};
	size_t bytes = strlen(word);

	for (size_t index = 0; index < CW_ARRAY_COUNT(ends); index++) {
		size_t end = strlen(ends[index]);

		if (bytes > end && strcmp(word + bytes - end, ends[index]) == 0)
			return !strpbrk(word, " ");
	}
	return false;
}

static const char *name_of(const struct cw_command_text *page)
{
	return page ? page->name : "";
}

int cw_option_refuse_letter(char letter, const struct cw_command_text *page)
{
	for (size_t index = 0; index < CW_ARRAY_COUNT(strangers); index++)
		if (strchr(strangers[index].letters, letter))
			return cw_refuse("-%c %s", letter, strangers[index].advice);
	return cw_refuse("unknown option -%c (capweir %s%s--help lists the options)", letter,
			 name_of(page), page ? " " : "");
}

/* Whether `names` has the word, given with "--" and perhaps "=VALUE". */
static bool is_listed(const char *names, const char *word, size_t bytes)
{
	for (const char *at = names; (at = strchr(at, ' ')) != NULL; at++)
		if (strncmp(at + 1, word, bytes) == 0 && at[1 + bytes] == ' ')
			return true;
	return false;
}

/* The names that begin with the word, "--a, --b"; how many they are. */
static unsigned list_begun(const char *word, size_t bytes, char list[LIST_BYTES])
{
	unsigned count = 0;
	size_t used = 0;

	list[0] = '\0';
	for (size_t index = 0; index < cw_option_row_count; index++) {
		const char *name = cw_option_rows[index].name;

		if (strncmp(name, word, bytes) != 0)
			continue;
		if (used < LIST_BYTES)
			used += (size_t)snprintf(list + used, LIST_BYTES - used, "%s--%s",
						 count ? ", " : "", name);
		count++;
	}
	return count;
}

int cw_option_refuse_name(const char *word, unsigned command, const struct cw_command_text *page)
{
	const char *name = word + strlen("--");
	size_t bytes = strcspn(name, "=");
	struct cw_near near = {.word = name, .bytes = bytes};
	char meant[CW_NEAR_TEXT_BYTES], list[LIST_BYTES];

	for (size_t index = 0; index < CW_ARRAY_COUNT(strangers); index++)
		if (is_listed(strangers[index].names, name, bytes))
			return cw_refuse("--%.*s %s", (int)bytes, name, strangers[index].advice);
	if (bytes && list_begun(name, bytes, list) > 1)
		return cw_refuse("--%.*s may be each of %s", (int)bytes, name, list);
	for (size_t index = 0; index < cw_option_row_count; index++)
		if (cw_option_rows[index].commands & command)
			cw_near_offer(&near, cw_option_rows[index].name);
	if (cw_near_say(&near, "--", "", meant, sizeof(meant)))
		return cw_refuse("unknown option --%.*s;%s", (int)bytes, name, meant);
	return cw_refuse("unknown option --%.*s (capweir %s%s--help lists the options)", (int)bytes,
			 name, name_of(page), page ? " " : "");
}

/* "; then what to do instead", or nothing. */
static const char *habit_of(const struct cw_option_row *row, const char **separator)
{
	*separator = row->habit ? "; " : "";
	return row->habit ? row->habit : "";
}

int cw_option_refuse_other(const struct cw_option_row *row, bool is_long,
			   const struct cw_command_text *page)
{
	char spelling[CW_SPELLING_BYTES], list[LIST_BYTES] = "";
	const char *separator, *habit = habit_of(row, &separator);
	size_t used = 0;

	for (size_t index = 0; index < cw_command_text_count && used < LIST_BYTES; index++) {
		const struct cw_command_text *other = &cw_command_texts[index];

		if (other->topic && (row->commands & other->command))
			used += (size_t)snprintf(list + used, LIST_BYTES - used, "%s%s",
						 used ? ", " : "", other->name);
	}
	return cw_refuse("%s does not belong to %s, but to: %s%s%s",
			 cw_option_spell(row, is_long, spelling),
			 page ? page->name : "split and capture", list, separator, habit);
}

int cw_option_refuse_value(const struct cw_option_row *row, bool is_long, const char *eaten)
{
	char spelling[CW_SPELLING_BYTES];
	const char *separator, *habit = habit_of(row, &separator);

	cw_option_spell(row, is_long, spelling);
	return cw_refuse("%s needs a value%s%s%s (%s %s: %s)%s%s", spelling, eaten ? ", but '" : "",
			 eaten ? eaten : "", eaten ? "' is an option" : "", spelling, row->argument,
			 row->help ? row->help : row->name, separator, habit);
}
