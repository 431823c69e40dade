/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader's base: YAML events, mappings of known keys, numbers, errors with file and line. */
#include <stdarg.h>
#include <stdio.h>

#include "core/base/near.h"
#include "pipeline/rules/rules_yaml.h"

const char *cw_rules_quote(const char *text, char buffer[CW_QUOTE_BYTES])
{
	size_t bytes = strnlen(text, CW_QUOTE_BYTES - 4);

	memcpy(buffer, text, bytes);
	for (size_t i = 0; i < bytes; i++)
		if ((uint8_t)buffer[i] < 0x20 || buffer[i] == 0x7f)
			buffer[i] = '?';
	strcpy(buffer + bytes, text[bytes] ? "..." : "");
	return buffer;
}

int cw_rules_refuse_as(struct cw_rules_reader *reader, unsigned line, int code, const char *format,
		       ...)
{
	char text[CW_ERROR_TEXT_BYTES / 2];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return cw_error_set(reader->error, code, "%.400s:%u: %s", reader->name, line, text);
}

int cw_rules_out_of_memory(struct cw_rules_reader *reader)
{
	return cw_rules_refuse_as(reader, cw_rules_line(reader), -ENOMEM, "out of memory");
}

size_t cw_rules_find_line(struct cw_rules_reader *reader, unsigned line, const char **text)
{
	const char *end = reader->text + reader->bytes, *newline;

	if (!reader->found_line || line < reader->found_line) {
		reader->found_line = 1;
		reader->found_at = 0;
	}
	*text = reader->text + reader->found_at;
	while ((newline = memchr(*text, '\n', (size_t)(end - *text))) != NULL &&
	       reader->found_line < line) {
		*text = newline + 1;
		reader->found_line++;
	}
	reader->found_at = (size_t)(*text - reader->text);
	if (reader->found_line < line)
		*text = end;
	return (size_t)((newline ? newline : end) - *text);
}

/* The mistakes that libyaml's words stand for. */
static const struct fault {
	const char *problem; /* libyaml's words */
	bool is_at_context;  /* the mistake is where the value began, not where it was noticed */
	const char *cause, *cure;
} faults[] = {
    {"did not find expected ',' or '}'", true, "'{' without its '}'",
     "add ',' or '}', or quotes around a value with braces, like '{rule}.pcap'"},
    {"did not find expected ',' or ']'", true, "'[' without its ']'", "add ',' or ']'"},
    {"found unexpected end of stream", true, "a quote that is not closed", "add the other quote"},
    {"could not find expected ':'", true, "a key without ':'", "write KEY: VALUE"},
    {"mapping values are not allowed in this context", false,
     "': ' inside a value, or wrong indentation",
     "put quotes around the value, or indent the key like the keys above it"},
    {"did not find expected key", false, "wrong indentation, or a value that needs quotes",
     "indent the key like the keys above it; quote values with braces, like '{rule}.pcap'"},
    {"block sequence entries are not allowed in this context", false,
     "a list where one value is expected", "remove the '-'"},
    {"found character that cannot start any token", false, "a value that begins with %, @ or `",
     "put quotes around it, like '%Y.pcap'"},
};

/* Refuses a syntax error at `line` with its cause and cure, if known; else with libyaml's words. */
static int refuse_syntax(struct cw_rules_reader *reader, unsigned line, const char *problem)
{
	unsigned began = (unsigned)reader->parser.context_mark.line + 1;
	const char *text;
	size_t bytes = cw_rules_find_line(reader, line, &text), index;

	for (index = 0; index < bytes && (text[index] == ' ' || text[index] == '\t'); index++)
		if (text[index] == '\t')
			return cw_rules_refuse_at(reader, line,
						  "not valid YAML: a tab in the indentation; "
						  "indent with spaces");
	for (index = 0; index < CW_ARRAY_COUNT(faults); index++) {
		const struct fault *fault = &faults[index];

		if (strcmp(problem, fault->problem) != 0)
			continue;
		if (fault->is_at_context && began < line)
			return cw_rules_refuse_at(reader, began,
						  "not valid YAML: %s (noticed in line %u); %s",
						  fault->cause, line, fault->cure);
		return cw_rules_refuse_at(reader, line, "not valid YAML: %s; %s", fault->cause,
					  fault->cure);
	}
	return cw_rules_refuse_at(reader, line, "not valid YAML: %s", problem);
}

/* libyaml gives syntax errors a line, but decoding errors only an offset. */
static int yaml_failure(struct cw_rules_reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	const char *problem = parser->problem ? parser->problem : "it cannot be read";
	unsigned line = (unsigned)parser->problem_mark.line + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return cw_rules_refuse_as(reader, line, -ENOMEM, "out of memory");
	if (parser->error != YAML_READER_ERROR)
		return refuse_syntax(reader, line, problem);
	line = 1;
	for (size_t i = 0; i < cw_min_size(parser->problem_offset, reader->bytes); i++)
		line += reader->text[i] == '\n';
	return cw_rules_refuse_at(reader, line, "not UTF-8 text: %s", problem);
}

/* Refuses events that no place in the grammar allows. */
int cw_rules_advance(struct cw_rules_reader *reader)
{
	yaml_event_t *event = &reader->event;

	yaml_event_delete(event);
	if (!yaml_parser_parse(&reader->parser, event)) {
		reader->is_broken = true;
		return yaml_failure(reader);
	}
	reader->event_count++;
	reader->depth +=
	    event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT;
	reader->depth -=
	    event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT;
	if (event->type == YAML_ALIAS_EVENT)
		return cw_rules_refuse(reader,
				       "aliases (*name) are not expanded; write the value out");
	if ((event->type == YAML_SCALAR_EVENT && event->data.scalar.tag) ||
	    (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.tag) ||
	    (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.tag))
		return cw_rules_refuse(reader, "tags (!name) are not supported; remove the tag");
	if (event->type == YAML_SCALAR_EVENT &&
	    strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
		return cw_rules_refuse(reader, "a value contains a NUL character");
	return 0;
}

int cw_rules_report(struct cw_rules_reader *reader, int status)
{
	if (!reader->found || status != -EINVAL || reader->is_broken)
		return status;
	if (reader->faults == CW_RULES_FAULTS_MAX) {
		reader->is_broken = true;
		return cw_error_set(reader->error, status,
				    "%.400s: there are more faults than these %u", reader->name,
				    reader->faults);
	}
	reader->faults++;
	reader->found(reader->context, reader->error->text);
	return 0;
}

/* Reads events, faulty or not, until no more mappings and lists are around. */
static int leave(struct cw_rules_reader *reader, uint32_t depth)
{
	int status = 0;

	while (status == 0 && reader->depth > depth) {
		status = cw_rules_advance(reader);
		if (status == -EINVAL && !reader->is_broken)
			status = 0;
	}
	return status;
}

int cw_rules_skip(struct cw_rules_reader *reader, int status, struct cw_rules_place place)
{
	bool is_at_key = reader->event_count == place.key;

	status = cw_rules_report(reader, status);
	if (!status)
		status = leave(reader, place.depth);
	if (status || !is_at_key)
		return status;
	status = cw_rules_advance(reader); /* the key's value */
	if (status == -EINVAL && !reader->is_broken)
		status = 0;
	return status ? status : leave(reader, place.depth);
}

bool cw_rules_is_null(const struct cw_rules_reader *reader)
{
	const char *value = cw_rules_scalar(reader);

	return reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!value[0] || !strcmp(value, "~") || !strcasecmp(value, "null"));
}

int cw_rules_expect_text(struct cw_rules_reader *reader, const char *what)
{
	int status = cw_rules_advance(reader);

	if (status)
		return status;
	if (reader->event.type != YAML_SCALAR_EVENT)
		return cw_rules_refuse(reader, "%s must be a single value%s", what,
				       reader->event.type == YAML_MAPPING_START_EVENT
					   ? "; quote a value with braces, like '{rule}.pcap'"
					   : "");
	if (cw_rules_is_null(reader))
		return cw_rules_refuse(reader, "%s has no value", what);
	return 0;
}

int cw_rules_expect_mapping(struct cw_rules_reader *reader, const char *what, const char *like)
{
	int status = cw_rules_advance(reader);

	if (!status && reader->event.type != YAML_MAPPING_START_EVENT)
		status = cw_rules_refuse(reader, "%s must be a mapping, like %s", what, like);
	return status;
}

static int refuse_key(struct cw_rules_reader *reader, const struct cw_rules_key *keys,
		      const char *where)
{
	static const char *const later[] = {
	    "hooks", "sync", "compress", "quota", "direct", "ring", "order",
	};
	const char *key = cw_rules_scalar(reader);
	struct cw_near near = {.word = key, .bytes = strlen(key)};
	char buffer[CW_QUOTE_BYTES], meant[CW_NEAR_TEXT_BYTES];
	char known[192] = "";

	for (size_t i = 0; i < CW_ARRAY_COUNT(later); i++)
		if (!strcmp(key, later[i]))
			return cw_rules_refuse(reader, "the key '%s' is not in this version",
					       later[i]);
	for (; keys->word; keys++) {
		strcat(strcat(known, known[0] ? ", " : ""), keys->word);
		cw_near_offer(&near, keys->word);
	}
	cw_rules_quote(key, buffer);
	if (cw_near_say(&near, "'", "'", meant, sizeof(meant)))
		return cw_rules_refuse(reader, "unknown key '%s' in %s;%s", buffer, where, meant);
	return cw_rules_refuse(reader, "unknown key '%s' in %s; the keys are %s", buffer, where,
			       known);
}

/*
 * Reads the next key of a mapping: 1 with its row in *found, 0 at the mapping's end, -ENOENT:
 * unknown key. `seen` has a bit for each row read before.
 */
static int next_key(struct cw_rules_reader *reader, const struct cw_rules_key *keys,
		    const char *where, unsigned *seen, const struct cw_rules_key **found)
{
	const struct cw_rules_key *key = keys;
	unsigned bit;
	int status = cw_rules_advance(reader);

	if (status)
		return status;
	if (reader->event.type == YAML_MAPPING_END_EVENT)
		return 0;
	if (reader->event.type != YAML_SCALAR_EVENT)
		return cw_rules_refuse(reader, "a key in %s must be a word", where);
	while (key->word && strcmp(key->word, cw_rules_scalar(reader)) != 0)
		key++;
	if (!key->word)
		return -ENOENT;
	bit = 1u << (key - keys);
	if (*seen & bit)
		return cw_rules_refuse(reader, "duplicate key '%s' in %s", key->word, where);
	*seen |= bit;
	*found = key;
	return 1;
}

static int read_number(struct cw_rules_reader *reader, const struct cw_rules_key *key, void *object)
{
	char buffer[CW_QUOTE_BYTES], range[CW_AMOUNT_BYTES];
	void *at = (char *)object + key->offset;
	uint64_t value;
	int status = cw_rules_expect_text(reader, key->word);

	if (status)
		return status;
	if (cw_amount_parse(&key->amount, cw_rules_scalar(reader), &value))
		return cw_rules_refuse(reader, "%s takes %s, not '%s'", key->word,
				       cw_amount_describe(&key->amount, range),
				       cw_rules_quote(cw_rules_scalar(reader), buffer));
	if (key->bytes == sizeof(uint32_t))
		*(uint32_t *)at = (uint32_t)value;
	else
		*(uint64_t *)at = value;
	return 0;
}

int cw_rules_read_mapping(struct cw_rules_reader *reader, const struct cw_rules_key *keys,
			  const char *where, void *object)
{
	const struct cw_rules_key *key = keys;
	unsigned seen = 0;
	int status;

	do {
		struct cw_rules_place place = cw_rules_here(reader);

		status = next_key(reader, keys, where, &seen, &key);
		if (!status)
			return 0;
		if (status == 1)
			status = (key->read ? key->read : read_number)(reader, key, object);
		else if (status == -ENOENT)
			status = refuse_key(reader, keys, where);
		if (status)
			status = cw_rules_skip(reader, status, place);
	} while (!status);
	return status;
}
