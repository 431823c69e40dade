/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads a YAML rules file, event by event, with one table of keys and one function per mapping of
 * the grammar. So the grammar bounds the depth and the file's size the memory, for any file.
 * Defaults may come anywhere in the file; they are merged at the end.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/packet/packet.h"
#include "pipeline/rules/rules_yaml.h"

#define PRIORITY_MAX 1000000u
#define EVERY_NS_MAX (UINT64_C(106751) * 86400 * CW_NS_PER_S) /* days: below INT64_MAX */

#define NUMBER(type, field) offsetof(struct type, field), sizeof(((struct type *)NULL)->field)
#define COUNT                             \
	{                                 \
		CW_COUNT, 1, 0, INT64_MAX \
	}
#define SIZE                             \
	{                                \
		CW_SIZE, 1, 0, INT64_MAX \
	}

static const struct cw_rules_key rotate_keys[] = {
    {"size", NULL, SIZE, NUMBER(cw_rule, rotate_bytes)},
    {"packets", NULL, COUNT, NUMBER(cw_rule, rotate_packets)},
    {"every", NULL, {CW_TIME, CW_NS_PER_S, 0, EVERY_NS_MAX}, NUMBER(cw_rule, rotate_every_ns)},
    {"files", NULL, COUNT, NUMBER(cw_rule, ring_files)},
    {"total", NULL, SIZE, NUMBER(cw_rule, ring_bytes)},
    {0}};

static const struct cw_rules_key limit_keys[] = {
    {"packets", NULL, COUNT, NUMBER(cw_rule, limit_packets)},
    {"bytes", NULL, SIZE, NUMBER(cw_rule, limit_bytes)},
    {"rate", NULL, COUNT, NUMBER(cw_rule, limit_rate)},
    {0}};

static const struct cw_rules_key keep_keys[] = {
    {"total", NULL, SIZE, NUMBER(cw_rules, total_bytes)},
    {"free", NULL, SIZE, NUMBER(cw_rules, free_bytes)},
    {0}};

static int read_rotate(struct cw_rules_reader *reader, const struct cw_rules_key *key, void *object)
{
	int status = cw_rules_expect_mapping(reader, key->word, "{size: 1GiB}");

	return status ? status : cw_rules_read_mapping(reader, rotate_keys, key->word, object);
}

static int read_limit(struct cw_rules_reader *reader, const struct cw_rules_key *key, void *object)
{
	int status = cw_rules_expect_mapping(reader, key->word, "{packets: 1000}");

	return status ? status : cw_rules_read_mapping(reader, limit_keys, key->word, object);
}

static int read_keep(struct cw_rules_reader *reader, const struct cw_rules_key *key, void *object)
{
	int status = cw_rules_expect_mapping(reader, key->word, "{total: 1TiB, free: 10GiB}");

	(void)object;
	return status ? status : cw_rules_read_mapping(reader, keep_keys, key->word, reader->rules);
}

static int read_sample(struct cw_rules_reader *reader, const struct cw_rules_key *key, void *object)
{
	struct cw_rule *rule = object;
	char buffer[CW_QUOTE_BYTES];
	int status = cw_rules_expect_text(reader, key->word);

	if (status)
		return status;
	if (!strncmp(cw_rules_scalar(reader), "1/", 2) &&
	    !cw_amount_parse(&key->amount, cw_rules_scalar(reader) + 2, &rule->sample_every))
		return 0;
	return cw_rules_refuse(reader, "sample: '%s' is not a sample; write it like 1/100",
			       cw_rules_quote(cw_rules_scalar(reader), buffer));
}

static int read_secrets(struct cw_rules_reader *reader, const struct cw_rules_key *key,
			void *object)
{
	struct cw_rule *rule = object;
	char buffer[CW_QUOTE_BYTES];
	int status = cw_rules_expect_text(reader, key->word);

	if (status)
		return status;
	rule->discards_secrets = !strcmp(cw_rules_scalar(reader), "drop");
	if (rule->discards_secrets || !strcmp(cw_rules_scalar(reader), "keep"))
		return 0;
	return cw_rules_refuse(reader, "secrets: '%s' is unknown; use keep or drop",
			       cw_rules_quote(cw_rules_scalar(reader), buffer));
}

static int read_write(struct cw_rules_reader *reader, const struct cw_rules_key *key, void *object)
{
	struct cw_rule *rule = object;
	int status = cw_rules_expect_text(reader, key->word);

	if (status)
		return status;
	rule->write = strdup(cw_rules_scalar(reader));
	return rule->write ? 0 : cw_rules_out_of_memory(reader);
}

/* One word, or a list of them. */
static int read_hook(struct cw_rules_reader *reader, const struct cw_rules_key *key, void *object)
{
	struct cw_rule *rule = object;
	char *words[CW_HOOK_WORDS_MAX + 1] = {NULL};
	unsigned line;
	uint32_t count = 0;
	bool is_list;
	int status = cw_rules_advance(reader);

	(void)key;
	line = cw_rules_line(reader);
	is_list = !status && reader->event.type == YAML_SEQUENCE_START_EVENT;
	if (is_list)
		status = cw_rules_advance(reader);
	while (!status && reader->event.type == YAML_SCALAR_EVENT && count < CW_HOOK_WORDS_MAX) {
		words[count] = strdup(cw_rules_scalar(reader));
		if (!words[count++])
			status = cw_rules_out_of_memory(reader);
		if (!status && !is_list)
			break;
		if (!status)
			status = cw_rules_advance(reader);
	}
	if (!status && ((is_list && reader->event.type != YAML_SEQUENCE_END_EVENT) || !words[0] ||
			!words[0][0]))
		status = cw_rules_refuse_at(reader, line,
					    "hook must be a program, or a list of it and its "
					    "arguments, like [gzip, -9], of at most %u words",
					    CW_HOOK_WORDS_MAX);
	if (!status && cw_rule_set_hook(rule, words))
		status = cw_rules_out_of_memory(reader);
	for (uint32_t i = 0; i < count; i++)
		free(words[i]);
	return status;
}

static bool is_blank(char character)
{
	return character == ' ' || character == '\t' || character == '\r';
}

/*
 * Keeps a folded filter with the line breaks that it has in the file, so that messages can show the
 * line of a fault. If the lines do not fit the filter (blank lines, which fold), keeps it as one
 * line.
 */
static int keep_line_breaks(struct cw_rules_reader *reader, struct cw_rule *rule)
{
	unsigned line = rule->filter_line;
	size_t used = 0, bytes = strlen(rule->filter);

	rule->filter_lines = strdup(rule->filter);
	if (!rule->filter_lines)
		return cw_rules_out_of_memory(reader);
	for (; used < bytes; line++) {
		const char *text;
		size_t count = cw_rules_find_line(reader, line, &text);

		for (; count && is_blank(*text); text++)
			count--;
		while (count && is_blank(text[count - 1]))
			count--;
		if (count > bytes - used || memcmp(rule->filter + used, text, count) != 0 ||
		    !strchr(" \n", rule->filter[used + count]))
			break;
		used += count;
		if (used < bytes)
			rule->filter_lines[used++] = '\n';
		while (is_blank(rule->filter[used]))
			used++;
	}
	for (size_t at = 0; used < bytes && at + 1 < bytes; at++)
		if (rule->filter_lines[at] == '\n')
			rule->filter_lines[at] = ' ';
	return 0;
}

/* Takes the current scalar as the rule's filter, with its line. */
static int take_filter(struct cw_rules_reader *reader, struct cw_rule *rule)
{
	const yaml_event_t *event = &reader->event;
	bool is_folded = event->data.scalar.style == YAML_FOLDED_SCALAR_STYLE;
	bool is_literal = event->data.scalar.style == YAML_LITERAL_SCALAR_STYLE;
	bool is_block = is_folded || is_literal;

	if (cw_rules_is_null(reader))
		return cw_rules_refuse(
		    reader, "rule %s has no filter; write '' to take all packets", rule->name);
	rule->filter_line = cw_rules_line(reader) + is_block; /* after the line of "|" or ">" */
	rule->filter = strdup(cw_rules_scalar(reader));
	if (!rule->filter)
		return cw_rules_out_of_memory(reader);
	if (is_literal) /* others have lost their line breaks, so a comment would not end */
		cw_filter_blank_comments(rule->filter);
	if (cw_rule_is_unmatched(rule->filter)) {
		rule->kind = CW_RULE_UNMATCHED;
		free(rule->filter);
		rule->filter = NULL;
		return 0;
	}
	return is_folded ? keep_line_breaks(reader, rule) : 0;
}

static int read_filter(struct cw_rules_reader *reader, const struct cw_rules_key *key, void *object)
{
	int status = cw_rules_advance(reader);

	if (status)
		return status;
	if (reader->event.type != YAML_SCALAR_EVENT)
		return cw_rules_refuse(reader, "%s must be a single value", key->word);
	return take_filter(reader, object);
}

static const struct cw_rules_key rule_keys[] = {
    {.word = "filter", .read = read_filter},
    {.word = "write", .read = read_write},
    {"snaplen", NULL, {CW_SIZE, 1, 0, CW_CAPLEN_MAX}, NUMBER(cw_rule, snaplen)},
    {.word = "rotate", .read = read_rotate},
    {"secrets", read_secrets, {CW_COUNT, 1, 0, 1}, NUMBER(cw_rule, discards_secrets)},
    {"priority", NULL, {CW_WHOLE, 1, 0, PRIORITY_MAX}, NUMBER(cw_rule, priority)},
    {"sample", read_sample, {CW_COUNT, 1, 1, INT64_MAX}, NUMBER(cw_rule, sample_every)},
    {.word = "limit", .read = read_limit},
    {"file_mode", cw_rules_read_mode, CW_FILE_MODES, NUMBER(cw_rule, access.file_mode)},
    {"folder_mode", cw_rules_read_mode, CW_FOLDER_MODES, NUMBER(cw_rule, access.folder_mode)},
    {.word = "group", .read = cw_rules_read_group},
    {.word = "hook", .read = read_hook},
    {0}};
static const struct cw_rules_key *const defaults_keys = rule_keys + 1; /* no filter */
static const struct cw_rules_key *const number_keys[] = {rule_keys, rotate_keys, limit_keys, NULL};

/* Sets the numbers to all ones, which no range allows, to mark those that no key gives. */
static void unset_numbers(struct cw_rule *rule)
{
	const struct cw_rules_key *const *tables = number_keys;

	for (; *tables; tables++)
		for (const struct cw_rules_key *key = *tables; key->word; key++)
			memset((char *)rule + key->offset, 0xff, key->bytes);
}

static int read_defaults(struct cw_rules_reader *reader, const struct cw_rules_key *key,
			 void *object)
{
	int status = cw_rules_expect_mapping(reader, key->word, "{write: '{rule}.pcap'}");

	(void)object;
	return status ? status
		      : cw_rules_read_mapping(reader, defaults_keys, key->word, &reader->defaults);
}

/* Adds the rule that the current scalar names. */
static struct cw_rule *new_rule(struct cw_rules_reader *reader)
{
	struct cw_rule *rule = cw_rules_append(reader->rules);

	if (!rule)
		return NULL;
	unset_numbers(rule);
	rule->line = cw_rules_line(reader);
	rule->name = strdup(cw_rules_scalar(reader));
	return rule->name ? rule : NULL;
}

static int read_rule(struct cw_rules_reader *reader)
{
	char buffer[CW_QUOTE_BYTES];
	const char *fault = cw_rule_name_fault(cw_rules_scalar(reader));
	struct cw_rule *rule;
	int status;

	if (fault)
		return cw_rules_refuse(reader, "rule name '%s': %s",
				       cw_rules_quote(cw_rules_scalar(reader), buffer), fault);
	if (reader->rules->count >= CW_RULES_MAX)
		return cw_rules_refuse_as(reader, cw_rules_line(reader), -E2BIG,
					  "there are more than %u rules", CW_RULES_MAX);
	rule = new_rule(reader);
	if (!rule)
		return cw_rules_out_of_memory(reader);
	status = cw_rules_advance(reader);
	if (status)
		return status;
	if (reader->event.type == YAML_SCALAR_EVENT)
		return take_filter(reader, rule);
	if (reader->event.type != YAML_MAPPING_START_EVENT)
		return cw_rules_refuse(
		    reader, "rule %s must be an expression or a mapping, like {filter: port 53}",
		    rule->name);
	snprintf(buffer, sizeof(buffer), "rule %.50s", rule->name);
	status = cw_rules_read_mapping(reader, rule_keys, buffer, rule);
	if (!status && !rule->filter && rule->kind != CW_RULE_UNMATCHED)
		status = cw_rules_refuse_at(
		    reader, rule->line,
		    "rule %s has no filter; add filter: to it ('' takes all packets)", rule->name);
	return status;
}

static void drop_rule(struct cw_rules *rules, uint32_t index)
{
	struct cw_rule *rule = &rules->rules[index];

	cw_rule_fini(rule);
	memmove(rule, rule + 1, (--rules->count - index) * sizeof(*rule));
}

static int read_rules(struct cw_rules_reader *reader, const struct cw_rules_key *key, void *object)
{
	unsigned line;
	int status = cw_rules_expect_mapping(reader, "rules", "{dns: port 53}");

	(void)key;
	(void)object;
	line = cw_rules_line(reader);
	while (!status) {
		struct cw_rules_place place = cw_rules_here(reader);
		uint32_t faults = reader->faults, count = reader->rules->count;

		status = cw_rules_advance(reader);
		if (!status && reader->event.type == YAML_MAPPING_END_EVENT)
			break;
		if (!status && reader->event.type != YAML_SCALAR_EVENT)
			status = cw_rules_refuse(reader, "a rule's name must be a word");
		else if (!status)
			status = read_rule(reader);
		if (status)
			status = cw_rules_skip(reader, status, place);
		if (reader->faults > faults && reader->rules->count > count)
			drop_rule(reader->rules, count);
	}
	if (!status && !reader->rules->count && !reader->faults)
		status =
		    cw_rules_refuse_at(reader, line, "no rules; add a rule, like dns: port 53");
	return status;
}

static int read_mode(struct cw_rules_reader *reader, const struct cw_rules_key *key, void *object)
{
	char buffer[CW_QUOTE_BYTES];
	int status = cw_rules_expect_text(reader, key->word);

	(void)object;
	if (status)
		return status;
	if (!strcmp(cw_rules_scalar(reader), "all"))
		reader->rules->mode = CW_FILTER_ALL;
	else if (!strcmp(cw_rules_scalar(reader), "first"))
		reader->rules->mode = CW_FILTER_FIRST;
	else
		return cw_rules_refuse(reader, "mode: '%s' is unknown; use all or first",
				       cw_rules_quote(cw_rules_scalar(reader), buffer));
	return 0;
}

static int read_document(struct cw_rules_reader *reader)
{
	static const struct cw_rules_key keys[] = {
	    {.word = "mode", .read = read_mode},
	    {.word = "defaults", .read = read_defaults},
	    {.word = "rules", .read = read_rules},
	    {.word = "keep", .read = read_keep},
	    {.word = "capture", .read = cw_rules_read_settings},
	    {0}};
	int status = cw_rules_advance(reader); /* the stream's start */

	if (!status)
		status = cw_rules_advance(reader);
	if (status)
		return status;
	if (reader->event.type == YAML_STREAM_END_EVENT)
		return cw_rules_refuse_at(reader, 1,
					  "the file is empty; write rules: {dns: port 53}");
	status = cw_rules_expect_mapping(reader, "the file", "rules: {dns: port 53}");
	if (!status)
		status = cw_rules_read_mapping(reader, keys, "the file", NULL);
	if (status)
		return status;
	if (!reader->rules->count && !reader->faults)
		return cw_rules_refuse_at(reader, 1, "no rules; add the key rules: {dns: port 53}");
	status = cw_rules_advance(reader); /* the document's end */
	if (!status)
		status = cw_rules_advance(reader);
	if (!status && reader->event.type != YAML_STREAM_END_EVENT)
		status = cw_rules_refuse(reader, "a second document; remove the line with ---");
	return status;
}

/* ---- after the file is read ---- */

/* Gives a rule the numbers that its keys did not give. */
static void merge_numbers(struct cw_rule *rule, const struct cw_rule *defaults)
{
	const struct cw_rules_key *const *tables = number_keys;
	static const uint64_t unset = UINT64_MAX;

	for (; *tables; tables++)
		for (const struct cw_rules_key *key = *tables; key->word; key++) {
			char *at = (char *)rule + key->offset;

			if (key->bytes && !memcmp(at, &unset, key->bytes))
				memcpy(at, (const char *)defaults + key->offset, key->bytes);
		}
}

static int refuse_no_output(struct cw_rules_reader *reader, const struct cw_rule *rule)
{
	int status = cw_rules_refuse_at(reader, rule->line,
					"rule %s has no output; add write: '%s.pcapng' to it, or "
					"for all rules defaults: {write: '{rule}.pcapng'}",
					rule->name, rule->name);

	return cw_rules_report(reader, status);
}

/* Completes the rules from the defaults. */
static int merge_defaults(struct cw_rules_reader *reader)
{
	const struct cw_rule *defaults = &reader->defaults;
	bool is_partial = reader->faults > 0;

	for (uint32_t i = 0; i < reader->rules->count; i++) {
		struct cw_rule *rule = &reader->rules->rules[i];

		if (!rule->write && !defaults->write) {
			/* After other faults the output may be among what was skipped. */
			int status = is_partial ? 0 : refuse_no_output(reader, rule);

			if (status)
				return status;
			drop_rule(reader->rules, i--);
			continue;
		}
		if (!rule->write)
			rule->write = strdup(defaults->write);
		if (!rule->write)
			return cw_rules_out_of_memory(reader);
		if (!rule->group && defaults->group) {
			rule->group = strdup(defaults->group);
			if (!rule->group)
				return cw_rules_out_of_memory(reader);
		}
		if (!rule->hook && defaults->hook && cw_rule_set_hook(rule, defaults->hook))
			return cw_rules_out_of_memory(reader);
		merge_numbers(rule, defaults);
	}
	return 0;
}

static int compare_names(const void *left, const void *right)
{
	const struct cw_rule *a = *(const struct cw_rule *const *)left;
	const struct cw_rule *b = *(const struct cw_rule *const *)right;
	int order = strcmp(a->name, b->name);

	return order ? order : a < b ? -1 : a > b;
}

/* Refuses duplicate names, and a second rule `unmatched`. */
static int check_unique(struct cw_rules_reader *reader)
{
	struct cw_rules *rules = reader->rules;
	const struct cw_rule **sorted = malloc(rules->count * sizeof(struct cw_rule *));
	const struct cw_rule *again = NULL; /* the file's first duplicate */
	const struct cw_rule *before = NULL;
	const struct cw_rule *unmatched = NULL;
	int status = 0;

	if (!sorted)
		return cw_rules_out_of_memory(reader);
	for (uint32_t i = 0; i < rules->count; i++)
		sorted[i] = &rules->rules[i];
	qsort(sorted, rules->count, sizeof(struct cw_rule *), compare_names);
	for (uint32_t i = 1; i < rules->count; i++)
		if (!strcmp(sorted[i - 1]->name, sorted[i]->name) &&
		    (!again || sorted[i] < again)) {
			again = sorted[i];
			before = sorted[i - 1];
		}
	free(sorted);
	if (again)
		return cw_rules_refuse_at(reader, again->line,
					  "rule %s is already defined in line %u; rename one",
					  again->name, before->line);
	for (uint32_t i = 0; !status && i < rules->count; i++) {
		if (rules->rules[i].kind != CW_RULE_UNMATCHED)
			continue;
		if (unmatched)
			status = cw_rules_refuse_at(
			    reader, rules->rules[i].line,
			    "rules %s and %s are both 'unmatched'; only one rule can be",
			    unmatched->name, rules->rules[i].name);
		unmatched = &rules->rules[i];
	}
	return status;
}

int cw_rules_read(struct cw_rules_reader *reader)
{
	struct cw_rules *rules = reader->rules;
	int status;

	*rules = (struct cw_rules){0};
	if (reader->bytes > CW_RULES_FILE_BYTES_MAX)
		return cw_error_set(reader->error, -EFBIG,
				    "%.400s: a rules file has at most %zu MiB", reader->name,
				    CW_RULES_FILE_BYTES_MAX >> 20);
	rules->path = strdup(reader->name);
	if (!rules->path || !yaml_parser_initialize(&reader->parser)) {
		cw_rules_fini(rules);
		return cw_error_set_errno(reader->error, -ENOMEM, "%.400s", reader->name);
	}
	yaml_parser_set_input_string(&reader->parser, (const unsigned char *)reader->text,
				     reader->bytes);
	status = read_document(reader);
	if (!status)
		status = cw_rules_report(reader, check_unique(reader));
	if (!status)
		status = merge_defaults(reader);
	yaml_event_delete(&reader->event);
	yaml_parser_delete(&reader->parser);
	cw_rule_fini(&reader->defaults);
	if (status)
		cw_rules_fini(rules);
	return status;
}

int cw_rules_parse(struct cw_rules *rules, const char *text, size_t bytes, const char *name,
		   struct cw_error *error)
{
	struct cw_rules_reader reader = {
	    .rules = rules, .name = name, .text = text, .bytes = bytes, .error = error};

	return cw_rules_read(&reader);
}

int cw_rules_parse_sound(struct cw_rules *rules, const char *text, size_t bytes,
			 void (*found)(void *context, const char *fault), void *context)
{
	struct cw_error error = {0};
	struct cw_rules_reader reader = {.rules = rules,
					 .name = "text",
					 .text = text,
					 .bytes = bytes,
					 .error = &error,
					 .found = found,
					 .context = context};
	int status = cw_rules_read(&reader);

	if (status < 0)
		found(context, error.text);
	return status < 0 ? status : (int)reader.faults;
}
