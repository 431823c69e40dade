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

/* What a message calls the option: "-B" on the command line, "buffer-size" in a file. */
static const char *name_of(const struct cw_option_row *row, const struct cw_option_value *value,
			   char name[NAME_BYTES])
{
	if (value->is_setting)
		snprintf(name, NAME_BYTES, "%s", row->name);
	else if (row->letter)
		snprintf(name, NAME_BYTES, "-%c", row->letter);
	else
		snprintf(name, NAME_BYTES, "--%s", row->name);
	return name;
}

static int parse(const char *option, const char *text, const struct cw_amount *amount,
		 uint64_t *number, struct cw_error *error)
{
	char range[CW_AMOUNT_BYTES];

	if (cw_amount_parse(amount, text, number) == 0)
		return 0;
	return cw_error_set(error, -EINVAL, "%s takes %s, not '%s'", option,
			    cw_amount_describe(amount, range), text);
}

int cw_option_number(const char *option, const char *text, uint64_t least, uint64_t most,
		     uint64_t *number, struct cw_error *error)
{
	const struct cw_amount amount = {CW_COUNT, 1, least, most};

	return parse(option, text, &amount, number, error);
}

static int choose(const struct cw_option_row *row, const struct cw_option_value *value, int *choice,
		  struct cw_error *error)
{
	const char *words = row->choices ? row->choices : row->argument, *text = value->text;
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
	return cw_error_set(error, -EINVAL, "%s takes %s, not '%s'", name_of(row, value, name),
			    list, text);
}

static int no_memory(struct cw_error *error)
{
	return cw_error_set(error, -ENOMEM, "out of memory");
}

int cw_option_take(struct cw_arguments *arguments, const struct cw_option_row *row,
		   const struct cw_option_value *value, struct cw_error *error)
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
		*(const char **)to = value->text;
		break;
	case CW_OPTION_WORDS:
		if (cw_words_add(to, value->text) < 0)
			result = no_memory(error);
		break;
	case CW_OPTION_CHOICE:
		result = choose(row, value, to, error);
		break;
	case CW_OPTION_AMOUNT:
		result = parse(name_of(row, value, name), value->text, &row->amount, to, error);
		break;
	case CW_OPTION_MS:
		result = parse(name_of(row, value, name), value->text, &row->amount, to, error);
		if (result == 0)
			*(uint64_t *)to = (*(uint64_t *)to + NS_PER_MS / 2) / NS_PER_MS;
		break;
	case CW_OPTION_OWN:
		result = row->take(arguments, row, value, error);
		break;
	}
	return result;
}

/* Sets the period of a file, aligned to multiples or counted from its first packet. */
static int take_period(struct cw_rules_arguments *rules, const char *option, const char *text,
		       bool is_aligned, struct cw_error *error)
{
	const struct cw_amount amount = PERIOD;
	uint64_t ns;
	int result = parse(option, text, &amount, &ns, error);

	if (result)
		return result;
	if (rules->rotate_every_ns)
		return cw_error_set(
		    error, -EINVAL,
		    "-G, -b duration: and -b interval: exclude each other: give one of them");
	rules->rotate_every_ns = ns;
	rules->is_rotate_aligned = is_aligned;
	return 0;
}

int cw_option_take_period(struct cw_arguments *arguments, const struct cw_option_row *row,
			  const struct cw_option_value *value, struct cw_error *error)
{
	char option[NAME_BYTES];

	return take_period(&arguments->rules, name_of(row, value, option), value->text, false,
			   error);
}

int cw_option_take_ring(struct cw_arguments *arguments, const struct cw_option_row *row,
			const struct cw_option_value *value, struct cw_error *error)
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
	char name[NAME_BYTES], option[2 * NAME_BYTES];
	const char *text = value->text;

	name_of(row, value, name);
	for (size_t i = 0; i < CW_ARRAY_COUNT(keys); i++) {
		size_t bytes = strlen(keys[i].key);

		if (strncmp(text, keys[i].key, bytes) != 0)
			continue;
		snprintf(option, sizeof(option), "%s %s", name, keys[i].key);
		if (keys[i].amount.kind == CW_TIME)
			return take_period(rules, option, text + bytes, keys[i].key[0] == 'i',
					   error);
		return parse(option, text + bytes, &keys[i].amount, keys[i].to, error);
	}
	for (size_t i = 0; i < CW_ARRAY_COUNT(later); i++) {
		if (strncmp(text, later[i], strlen(later[i])) == 0)
			return cw_error_set(error, -EINVAL, "%s %s is not in this version", name,
					    text);
	}
	return cw_error_set(
	    error, -EINVAL,
	    "%s takes filesize:, packets:, duration:, interval: or files: and a number, "
	    "not '%s'",
	    name, text);
}

int cw_option_take_autostop(struct cw_arguments *arguments, const struct cw_option_row *row,
			    const struct cw_option_value *value, struct cw_error *error)
{
	const struct {
		const char *key;
		struct cw_amount amount;
		uint64_t *to;
	} keys[] = {
	    {"duration:",
	     {CW_TIME, CW_NS_PER_S, NS_PER_MS, UINT64_C(366) * 86400 * CW_NS_PER_S},
	     &arguments->live.duration_ms},
	    {"filesize:", {CW_SIZE, 1000, 1, UINT64_MAX}, &arguments->rules.stop_bytes},
	    {"packets:", {CW_COUNT, 1, 1, UINT64_MAX}, &arguments->output.packet_count},
	    {"files:", {CW_COUNT, 1, 1, UINT32_MAX}, &arguments->rules.stop_files},
	};
	char name[NAME_BYTES], option[2 * NAME_BYTES];
	int result;

	name_of(row, value, name);
	for (size_t i = 0; i < CW_ARRAY_COUNT(keys); i++) {
		size_t bytes = strlen(keys[i].key);

		if (strncmp(value->text, keys[i].key, bytes) != 0)
			continue;
		snprintf(option, sizeof(option), "%s %s", name, keys[i].key);
		result = parse(option, value->text + bytes, &keys[i].amount, keys[i].to, error);
		if (result == 0 && keys[i].amount.kind == CW_TIME)
			*keys[i].to = (*keys[i].to + NS_PER_MS / 2) / NS_PER_MS;
		return result;
	}
	return cw_error_set(error, -EINVAL,
			    "%s takes duration:, filesize:, packets: or files: and a number, not "
			    "'%s'",
			    name, value->text);
}

int cw_option_take_mode(struct cw_arguments *arguments, const struct cw_option_row *row,
			const struct cw_option_value *value, struct cw_error *error)
{
	char name[NAME_BYTES];

	if (cw_mode_parse(&row->amount, value->text, (uint32_t *)((char *)arguments + row->to)) ==
	    0)
		return 0;
	return cw_error_set(error, -EINVAL, "%s takes an octal mode from %04o to %04o, not '%s'",
			    name_of(row, value, name), (unsigned)row->amount.least,
			    (unsigned)row->amount.most, value->text);
}

int cw_option_take_verify(struct cw_arguments *arguments, const struct cw_option_row *row,
			  const struct cw_option_value *value, struct cw_error *error)
{
	uint64_t *every = &arguments->filter.verify_every;
	char name[NAME_BYTES], option[2 * NAME_BYTES];
	const char *text = value->text;

	*every = VERIFY_EVERY_DEFAULT;
	if (!text)
		return 0;
	snprintf(option, sizeof(option), "%s=1/", name_of(row, value, name));
	if (strncmp(text, "1/", 2) == 0)
		return cw_option_number(option, text + 2, 1, UINT32_MAX, every, error);
	return cw_error_set(error, -EINVAL, "%s takes 1/N, such as 1/%u, not '%s'", name,
			    VERIFY_EVERY_DEFAULT, text);
}

int cw_option_take_chunk(struct cw_arguments *arguments, const struct cw_option_row *row,
			 const struct cw_option_value *value, struct cw_error *error)
{
	uint64_t *bytes = &arguments->output.chunk_bytes;
	char name[NAME_BYTES];
	int result = parse(name_of(row, value, name), value->text, &row->amount, bytes, error);

	if (result || !(*bytes & (*bytes - 1)))
		return result;
	return cw_error_set(error, -EINVAL, "%s takes a power of two", name);
}

int cw_option_take_list(struct cw_arguments *arguments, const struct cw_option_row *row,
			const struct cw_option_value *value, struct cw_error *error)
{
	const char *text = value->text;
	FILE *file = strcmp(text, "-") == 0 ? stdin : fopen(text, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t bytes;
	int result = 0;

	if (!file)
		return cw_error_set(error, -EIO, "-V %s: %s", text, strerror(errno));
	if (cw_words_add((struct cw_words *)((char *)arguments + row->to), text) < 0)
		result = no_memory(error);
	while (result == 0 && (bytes = getline(&line, &room, file)) > 0) {
		if (strlen(line) < (size_t)bytes) {
			result = cw_error_set(error, -EINVAL,
					      "-V %s: has NUL bytes: write one name a line, as "
					      "find -print does",
					      text);
			break;
		}
		line[strcspn(line, "\r\n")] = '\0';
		if (!*line)
			continue;
		if (cw_words_add(&arguments->inputs, line) < 0 ||
		    cw_words_add(&arguments->owned, line) < 0) {
			result = no_memory(error);
			break;
		}
		line = NULL; /* the next name gets separate memory */
		room = 0;
	}
	if (result == 0 && ferror(file))
		result = cw_error_set(error, -EIO, "-V %s: %s", text, strerror(errno));
	free(line);
	if (file != stdin)
		fclose(file);
	return result;
}

int cw_option_take_speed(struct cw_arguments *arguments, const struct cw_option_row *row,
			 const struct cw_option_value *value, struct cw_error *error)
{
	double *factor = &arguments->send.speed;
	const char *text = value->text;
	char *end;

	(void)row;
	*factor = strtod(text, &end);
	if (text[0] >= '0' && text[0] <= '9' && !*end && *factor >= 0.001 && *factor <= 1e6)
		return 0;
	return cw_error_set(error, -EINVAL,
			    "--speed takes a factor from 0.001 to 1000000, not '%s'", text);
}
