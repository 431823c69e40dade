/* SPDX-License-Identifier: BSD-3-Clause */
/* Converts an option's text into its field, by the kind of the value. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"
#include "tools/options/values.h"

#define NAME_BYTES 40u
#define CHOICES_BYTES 128u
#define NS_PER_MS (CW_NS_PER_S / 1000)
#define PERIOD                                                                         \
	{                                                                              \
		CW_TIME, CW_NS_PER_S, NS_PER_MS, UINT64_C(36600) * 86400 * CW_NS_PER_S \
	}
#define VERIFY_EVERY_DEFAULT 100u /* at 1 in 100, 8 rules cost 1 or 2 ns a packet */

static const char *name_of(const struct cw_option_row *row, char name[NAME_BYTES])
{
	if (row->letter)
		snprintf(name, NAME_BYTES, "-%c", row->letter);
	else
		snprintf(name, NAME_BYTES, "--%s", row->name);
	return name;
}

static int parse(const char *option, const char *text, const struct cw_amount *amount,
		 uint64_t *value)
{
	char range[CW_AMOUNT_BYTES];

	if (cw_amount_parse(amount, text, value) == 0)
		return 0;
	return cw_refuse("%s takes %s, not '%s'", option, cw_amount_describe(amount, range), text);
}

int cw_option_number(const char *option, const char *text, uint64_t least, uint64_t most,
		     uint64_t *number)
{
	const struct cw_amount amount = {CW_COUNT, 1, least, most};

	return parse(option, text, &amount, number);
}

static int choose(const struct cw_option_row *row, const char *text, int *choice)
{
	const char *words = row->choices ? row->choices : row->argument;
	char name[NAME_BYTES], list[CHOICES_BYTES] = "";
	size_t bytes, used = 0;
	int number = row->first;

	for (const char *word = words;; word += bytes + 1, number++) {
		bytes = strcspn(word, "|");
		if (strlen(text) == bytes && memcmp(word, text, bytes) == 0) {
			*choice = number;
			return 0;
		}
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%.*s",
					 word == words ? ""
					 : word[bytes] ? ", "
						       : " or ",
					 (int)bytes, word);
		assert(used < sizeof(list));
		if (!word[bytes])
			break;
	}
	return cw_refuse("%s takes %s, not '%s'", name_of(row, name), list, text);
}

int cw_option_take(struct cw_arguments *arguments, const struct cw_option_row *row,
		   const char *text)
{
	void *to = (char *)arguments + row->to;
	char name[NAME_BYTES];
	int result = 0;

	switch (row->kind) {
	case CW_OPTION_NOTHING:
	case CW_OPTION_HELP:
		break;
	case CW_OPTION_FLAG:
		*(bool *)to = true;
		break;
	case CW_OPTION_TALLY:
		++*(uint64_t *)to;
		break;
	case CW_OPTION_WORD:
		*(const char **)to = text;
		break;
	case CW_OPTION_WORDS:
		if (cw_words_add(to, text) < 0)
			result = cw_complain_no_memory();
		break;
	case CW_OPTION_CHOICE:
		result = choose(row, text, to);
		break;
	case CW_OPTION_AMOUNT:
		result = parse(name_of(row, name), text, &row->amount, to);
		break;
	case CW_OPTION_MS:
		result = parse(name_of(row, name), text, &row->amount, to);
		if (result == 0)
			*(uint64_t *)to = (*(uint64_t *)to + NS_PER_MS / 2) / NS_PER_MS;
		break;
	case CW_OPTION_OWN:
		result = row->take(arguments, row, text);
		break;
	}
	return result;
}

/* Sets the period of a file, aligned to multiples or counted from its first packet. */
static int take_period(struct cw_rules_arguments *rules, const char *option, const char *text,
		       bool is_aligned)
{
	const struct cw_amount amount = PERIOD;
	uint64_t ns;
	int result = parse(option, text, &amount, &ns);

	if (result)
		return result;
	if (rules->rotate_every_ns)
		return cw_refuse(
		    "-G, -b duration: and -b interval: exclude each other: give one of them");
	rules->rotate_every_ns = ns;
	rules->is_rotate_aligned = is_aligned;
	return 0;
}

int cw_option_take_period(struct cw_arguments *arguments, const struct cw_option_row *row,
			  const char *text)
{
	(void)row;
	return take_period(&arguments->rules, "-G", text, false);
}

int cw_option_take_ring(struct cw_arguments *arguments, const struct cw_option_row *row,
			const char *text)
{
	static const char *const later[] = {"printname:", "nametimenum:"};
	struct cw_rules_arguments *rules = &arguments->rules;
	const struct {
		const char *key;
		struct cw_amount amount;
		uint64_t *to;
	} keys[] = {
	    {"filesize:", {CW_SIZE, 1000, 1, UINT64_MAX}, &rules->rotate_bytes},
	    {"packets:", {CW_COUNT, 1, 1, UINT64_MAX}, &rules->rotate_packets},
	    {"files:", {CW_COUNT, 1, 1, INT64_MAX}, &rules->ring_files},
	    {.key = "duration:", PERIOD},
	    {.key = "interval:", PERIOD},
	};
	char option[NAME_BYTES];

	(void)row;
	for (size_t i = 0; i < CW_ARRAY_COUNT(keys); i++) {
		size_t bytes = strlen(keys[i].key);

		if (strncmp(text, keys[i].key, bytes) != 0)
			continue;
		snprintf(option, sizeof(option), "-b %s", keys[i].key);
		if (keys[i].amount.kind == CW_TIME)
			return take_period(rules, option, text + bytes, keys[i].key[0] == 'i');
		return parse(option, text + bytes, &keys[i].amount, keys[i].to);
	}
	for (size_t i = 0; i < CW_ARRAY_COUNT(later); i++) {
		if (strncmp(text, later[i], strlen(later[i])) == 0)
			return cw_refuse("-b %s is not in this version", text);
	}
	return cw_refuse(
	    "-b takes filesize:, packets:, duration:, interval: or files: and a number, "
	    "not '%s'",
	    text);
}

int cw_option_take_verify(struct cw_arguments *arguments, const struct cw_option_row *row,
			  const char *text)
{
	uint64_t *every = &arguments->filter.verify_every;

	(void)row;
	*every = VERIFY_EVERY_DEFAULT;
	if (!text)
		return 0;
	if (strncmp(text, "1/", 2) == 0)
		return cw_option_number("--verify-filters=1/", text + 2, 1, UINT32_MAX, every);
	return cw_refuse("--verify-filters takes 1/N, such as 1/%u, not '%s'", VERIFY_EVERY_DEFAULT,
			 text);
}

int cw_option_take_chunk(struct cw_arguments *arguments, const struct cw_option_row *row,
			 const char *text)
{
	uint64_t *bytes = &arguments->output.chunk_bytes;
	int result = parse("--chunk-size", text, &row->amount, bytes);

	if (result || !(*bytes & (*bytes - 1)))
		return result;
	return cw_refuse("--chunk-size takes a power of two");
}

int cw_option_take_list(struct cw_arguments *arguments, const struct cw_option_row *row,
			const char *text)
{
	FILE *file = strcmp(text, "-") == 0 ? stdin : fopen(text, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t bytes;
	int result = 0;

	if (!file) {
		cw_complain("-V %s: %s", text, strerror(errno));
		return CW_EXIT_PROBLEM;
	}
	if (cw_words_add((struct cw_words *)((char *)arguments + row->to), text) < 0)
		result = cw_complain_no_memory();
	while (result == 0 && (bytes = getline(&line, &room, file)) > 0) {
		if (strlen(line) < (size_t)bytes) {
			result = cw_refuse("-V %s: has NUL bytes: write one name a line, as "
					   "find -print does",
					   text);
			break;
		}
		line[strcspn(line, "\r\n")] = '\0';
		if (!*line)
			continue;
		if (cw_words_add(&arguments->inputs, line) < 0 ||
		    cw_words_add(&arguments->owned, line) < 0) {
			result = cw_complain_no_memory();
			break;
		}
		line = NULL; /* the next name gets separate memory */
		room = 0;
	}
	if (result == 0 && ferror(file)) {
		cw_complain("-V %s: %s", text, strerror(errno));
		result = CW_EXIT_PROBLEM;
	}
	free(line);
	if (file != stdin)
		fclose(file);
	return result;
}

int cw_option_take_speed(struct cw_arguments *arguments, const struct cw_option_row *row,
			 const char *text)
{
	double *factor = &arguments->send.speed;
	char *end;

	(void)row;
	*factor = strtod(text, &end);
	if (text[0] >= '0' && text[0] <= '9' && !*end && *factor >= 0.001 && *factor <= 1e6)
		return 0;
	return cw_refuse("--speed takes a factor from 0.001 to 1000000, not '%s'", text);
}
