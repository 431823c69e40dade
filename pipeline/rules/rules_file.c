/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads a YAML rules file, event by event: one function per mapping of the grammar, so that depth
 * is the grammar's and memory is the file's, whatever the file says. Defaults may stand anywhere;
 * they are merged at the end. It is longer than a file should be: a grammar reads best in one.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <yaml.h>

#include "core/packet/packet.h"
#include "pipeline/rules/rules_parts.h"

#define QUOTE_BYTES 64u
#define PRIORITY_MAX 1000000u

/* Which values a rule, or the defaults, gave; also the bits of mapping keys already seen. */
#define SET_FILTER 1u
#define SET_WRITE 2u
#define SET_SNAPLEN 4u
#define SET_ROTATE 8u
#define SET_ROTATE_BYTES 16u
#define SET_ROTATE_PACKETS 32u
#define SET_MODE 64u
#define SET_DEFAULTS 128u
#define SET_RULES 256u
#define SET_ROTATE_EVERY 512u
#define SET_RING_FILES 1024u
#define SET_RING_BYTES 2048u
#define SET_PRIORITY 4096u
#define SET_KEEP 8192u
#define SET_FREE 16384u
#define SET_SAMPLE 32768u
#define SET_LIMIT 65536u
#define SET_LIMIT_PACKETS 131072u
#define SET_LIMIT_BYTES 262144u
#define SET_LIMIT_RATE 524288u
#define SET_HOOK 1048576u

struct key {
	const char *word;
	unsigned bit;
};

struct loader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one, owned */
	struct cw_rules *rules;
	struct cw_rule defaults;
	unsigned defaults_set;
	uint32_t *rule_set; /* SET_ bits of each rule; grows with rules->rules */
	const char *name;   /* of the file, for messages */
	const char *text;
	size_t bytes;
	struct cw_error *error;
};

static unsigned line_of(const struct loader *loader)
{
	return (unsigned)loader->event.start_mark.line + 1;
}

/* `text` for a message: cut, control characters replaced. */
static const char *quote(const char *text, char buffer[QUOTE_BYTES])
{
	size_t bytes = strnlen(text, QUOTE_BYTES - 4);

	memcpy(buffer, text, bytes);
	for (size_t i = 0; i < bytes; i++)
		if ((uint8_t)buffer[i] < 0x20 || buffer[i] == 0x7f)
			buffer[i] = '?';
	strcpy(buffer + bytes, text[bytes] ? "..." : "");
	return buffer;
}

#define refuse(loader, line, ...) refuse_at(loader, line, -EINVAL, __VA_ARGS__)

static int refuse_at(struct loader *loader, unsigned line, int code, const char *format, ...)
    CW_PRINTF(4, 5);

static int refuse_at(struct loader *loader, unsigned line, int code, const char *format, ...)
{
	char text[CW_ERROR_TEXT_BYTES / 2];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return cw_error_set(loader->error, code, "%.400s:%u: %s", loader->name, line, text);
}

static int out_of_memory(struct loader *loader)
{
	return refuse_at(loader, line_of(loader), -ENOMEM, "out of memory");
}

/* libyaml gives scanner errors a line, but decoding errors only an offset. */
static int yaml_failure(struct loader *loader)
{
	const yaml_parser_t *parser = &loader->parser;
	const char *problem = parser->problem ? parser->problem : "it cannot be read";
	unsigned line = (unsigned)parser->problem_mark.line + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return refuse_at(loader, line, -ENOMEM, "out of memory");
	if (parser->error != YAML_READER_ERROR)
		return refuse(loader, line, "not valid YAML: %s", problem);
	line = 1;
	for (size_t i = 0; i < cw_min_size(parser->problem_offset, loader->bytes); i++)
		line += loader->text[i] == '\n';
	return refuse(loader, line, "not UTF-8 text: %s", problem);
}

/* Go to the next event; what no place in the grammar allows is refused here. */
static int advance(struct loader *loader)
{
	yaml_event_t *event = &loader->event;

	yaml_event_delete(event);
	if (!yaml_parser_parse(&loader->parser, event))
		return yaml_failure(loader);
	if (event->type == YAML_ALIAS_EVENT)
		return refuse(loader, line_of(loader),
			      "aliases (*name) are not expanded; write the value out");
	if ((event->type == YAML_SCALAR_EVENT && event->data.scalar.tag) ||
	    (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.tag) ||
	    (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.tag))
		return refuse(loader, line_of(loader), "tags (!name) have no meaning here");
	if (event->type == YAML_SCALAR_EVENT &&
	    strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
		return refuse(loader, line_of(loader), "a NUL character in a text");
	return 0;
}

static const char *scalar(const struct loader *loader)
{
	return (const char *)loader->event.data.scalar.value;
}

static bool is_null(const struct loader *loader)
{
	const char *value = scalar(loader);

	return loader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!value[0] || !strcmp(value, "~") || !strcasecmp(value, "null"));
}

/* The next event must be a scalar with a value. */
static int expect_text(struct loader *loader, const char *what)
{
	int status = advance(loader);

	if (status)
		return status;
	if (loader->event.type != YAML_SCALAR_EVENT)
		return refuse(loader, line_of(loader), "%s must be one text", what);
	if (is_null(loader))
		return refuse(loader, line_of(loader), "%s has no value", what);
	return 0;
}

static int expect_mapping(struct loader *loader, const char *what, const char *like)
{
	int status = advance(loader);

	if (!status && loader->event.type != YAML_MAPPING_START_EVENT)
		status =
		    refuse(loader, line_of(loader), "%s must be a mapping, like %s", what, like);
	return status;
}

/* Changes that make one word of the other; words longer than the buffer are never close. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[17];
	size_t a_bytes = strlen(a);
	size_t b_bytes = strlen(b);

	if (a_bytes > 16 || b_bytes > 16)
		return UINT32_MAX;
	for (unsigned j = 0; j <= b_bytes; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_bytes; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_bytes; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			best = cw_min_u32(best, row[j] + 1);
			best = cw_min_u32(best, row[j - 1] + 1);
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[b_bytes];
}

static int refuse_key(struct loader *loader, const struct key *keys, const char *where)
{
	static const char *const later[] = {
	    "hooks", "sync", "compress", "quota", "direct", "ring", "order",
	};
	char buffer[QUOTE_BYTES];
	char known[192] = "";
	const char *closest = NULL;
	unsigned best = 3; /* further away it is no typing error */

	for (size_t i = 0; i < CW_ARRAY_COUNT(later); i++)
		if (!strcmp(scalar(loader), later[i]))
			return refuse(loader, line_of(loader),
				      "the key '%s' is not in this version", later[i]);
	for (; keys->word; keys++) {
		unsigned changes = distance(scalar(loader), keys->word);

		strcat(strcat(known, known[0] ? ", " : ""), keys->word);
		if (changes < best) {
			best = changes;
			closest = keys->word;
		}
	}
	quote(scalar(loader), buffer);
	if (closest)
		return refuse(loader, line_of(loader), "unknown key '%s' in %s; did you mean '%s'?",
			      buffer, where, closest);
	return refuse(loader, line_of(loader), "unknown key '%s' in %s; there are %s", buffer,
		      where, known);
}

/*
 * The next key of a mapping: 1 with its bit in *bit, 0 at the mapping's end. `seen` remembers the
 * bits of this mapping.
 */
static int next_key(struct loader *loader, const struct key *keys, const char *where,
		    unsigned *seen, unsigned *bit)
{
	int status = advance(loader);

	if (status)
		return status;
	if (loader->event.type == YAML_MAPPING_END_EVENT)
		return 0;
	if (loader->event.type != YAML_SCALAR_EVENT)
		return refuse(loader, line_of(loader), "a key in %s must be a word", where);
	while (keys->word && strcmp(keys->word, scalar(loader)))
		keys++;
	if (!keys->word)
		return -ENOENT;
	if (*seen & keys->bit)
		return refuse(loader, line_of(loader), "the key '%s' is there twice in %s",
			      keys->word, where);
	*seen |= keys->bit;
	*bit = keys->bit;
	return 1;
}

/* Visit a mapping's keys; `value` reads the value of the key whose bit it is given. */
static int read_mapping(struct loader *loader, const struct key *keys, const char *where,
			struct cw_rule *rule, unsigned *set,
			int (*value)(struct loader *, unsigned, struct cw_rule *, unsigned *))
{
	unsigned seen = 0;
	unsigned bit = 0;
	int status;

	while ((status = next_key(loader, keys, where, &seen, &bit)) == 1) {
		status = value(loader, bit, rule, set);
		if (status)
			return status;
	}
	return status == -ENOENT ? refuse_key(loader, keys, where) : status;
}

static int read_size(struct loader *loader, const char *what, bool is_bytes, uint64_t limit,
		     uint64_t *result)
{
	char buffer[QUOTE_BYTES];
	int status = expect_text(loader, what);

	if (status)
		return status;
	status = cw_parse_size(scalar(loader), result);
	if (!is_bytes && scalar(loader)[strspn(scalar(loader), "0123456789")])
		status = -EINVAL;
	quote(scalar(loader), buffer);
	if (status == -ERANGE || (!status && *result > limit))
		return refuse(loader, line_of(loader), "%s: %s is too much; it can be 0 to %llu",
			      what, buffer, (unsigned long long)limit);
	if (status && is_bytes)
		return refuse(loader, line_of(loader),
			      "%s: '%s' is no size; write it like 500MB or 1GiB", what, buffer);
	if (status)
		return refuse(loader, line_of(loader), "%s: '%s' is no whole number", what, buffer);
	return 0;
}

static int read_duration(struct loader *loader, const char *what, uint64_t *ns)
{
	char buffer[QUOTE_BYTES];
	int status = expect_text(loader, what);

	if (status)
		return status;
	status = cw_parse_duration(scalar(loader), ns);
	if (!status && *ns <= INT64_MAX)
		return 0;
	quote(scalar(loader), buffer);
	if (status != -EINVAL)
		return refuse(loader, line_of(loader), "%s: %s is too long", what, buffer);
	return refuse(loader, line_of(loader),
		      "%s: '%s' is no duration; write it like 10m, 1h or 30s", what, buffer);
}

static int rotate_value(struct loader *loader, unsigned bit, struct cw_rule *rule, unsigned *set)
{
	*set |= bit;
	if (bit == SET_ROTATE_BYTES)
		return read_size(loader, "size", true, INT64_MAX, &rule->rotate_bytes);
	if (bit == SET_ROTATE_EVERY)
		return read_duration(loader, "every", &rule->rotate_every_ns);
	if (bit == SET_RING_FILES)
		return read_size(loader, "files", false, INT64_MAX, &rule->ring_files);
	if (bit == SET_RING_BYTES)
		return read_size(loader, "total", true, INT64_MAX, &rule->ring_bytes);
	return read_size(loader, "packets", false, INT64_MAX, &rule->rotate_packets);
}

static int read_rotate(struct loader *loader, struct cw_rule *rule, unsigned *set)
{
	static const struct key keys[] = {
	    {"size", SET_ROTATE_BYTES},  {"packets", SET_ROTATE_PACKETS},
	    {"every", SET_ROTATE_EVERY}, {"files", SET_RING_FILES},
	    {"total", SET_RING_BYTES},   {NULL, 0}};
	int status = expect_mapping(loader, "rotate", "{size: 1GiB}");

	return status ? status : read_mapping(loader, keys, "rotate", rule, set, rotate_value);
}

static int limit_value(struct loader *loader, unsigned bit, struct cw_rule *rule, unsigned *set)
{
	*set |= bit;
	if (bit == SET_LIMIT_BYTES)
		return read_size(loader, "bytes", true, INT64_MAX, &rule->limit_bytes);
	if (bit == SET_LIMIT_RATE)
		return read_size(loader, "rate", false, INT64_MAX, &rule->limit_rate);
	return read_size(loader, "packets", false, INT64_MAX, &rule->limit_packets);
}

static int read_limit(struct loader *loader, struct cw_rule *rule, unsigned *set)
{
	static const struct key keys[] = {{"packets", SET_LIMIT_PACKETS},
					  {"bytes", SET_LIMIT_BYTES},
					  {"rate", SET_LIMIT_RATE},
					  {NULL, 0}};
	int status = expect_mapping(loader, "limit", "{packets: 1000}");

	return status ? status : read_mapping(loader, keys, "limit", rule, set, limit_value);
}

static int read_sample(struct loader *loader, struct cw_rule *rule)
{
	char buffer[QUOTE_BYTES];
	int status = expect_text(loader, "sample");

	if (status)
		return status;
	if (!strncmp(scalar(loader), "1/", 2) && scalar(loader)[2] &&
	    !scalar(loader)[2 + strspn(scalar(loader) + 2, "0123456789")] &&
	    !cw_parse_size(scalar(loader) + 2, &rule->sample_every) && rule->sample_every)
		return 0;
	return refuse(loader, line_of(loader), "sample: '%s' is no sample; write it like 1/100",
		      quote(scalar(loader), buffer));
}

/* One word, or a list of them. */
static int read_hook(struct loader *loader, struct cw_rule *rule)
{
	char *words[CW_HOOK_WORDS_MAX + 1] = {NULL};
	unsigned line;
	uint32_t count = 0;
	bool is_list;
	int status = advance(loader);

	line = line_of(loader);
	is_list = !status && loader->event.type == YAML_SEQUENCE_START_EVENT;
	if (is_list)
		status = advance(loader);
	while (!status && loader->event.type == YAML_SCALAR_EVENT && count < CW_HOOK_WORDS_MAX) {
		words[count] = strdup(scalar(loader));
		if (!words[count++])
			status = out_of_memory(loader);
		if (!status && !is_list)
			break;
		if (!status)
			status = advance(loader);
	}
	if (!status &&
	    ((is_list && loader->event.type != YAML_SEQUENCE_END_EVENT) || !count || !words[0][0]))
		status = refuse(loader, line,
				"hook must be a program, or a list like [gzip, -9] of it and its "
				"arguments, at most %u",
				CW_HOOK_WORDS_MAX);
	if (!status && cw_rule_set_hook(rule, words))
		status = out_of_memory(loader);
	for (uint32_t i = 0; i < count; i++)
		free(words[i]);
	return status;
}

/* The current scalar is an expression: keep it, and where it stands. */
static int take_filter(struct loader *loader, struct cw_rule *rule)
{
	const yaml_event_t *event = &loader->event;
	bool is_block = event->data.scalar.style == YAML_LITERAL_SCALAR_STYLE ||
			event->data.scalar.style == YAML_FOLDED_SCALAR_STYLE;

	if (is_null(loader))
		return refuse(loader, line_of(loader),
			      "rule %s has no filter; write '' to take all packets", rule->name);
	rule->filter_line = line_of(loader) + is_block; /* below its "|" or ">" */
	if (cw_rule_is_unmatched(scalar(loader))) {
		rule->kind = CW_RULE_UNMATCHED;
		return 0;
	}
	rule->filter = strdup(scalar(loader));
	return rule->filter ? 0 : out_of_memory(loader);
}

static int rule_value(struct loader *loader, unsigned bit, struct cw_rule *rule, unsigned *set)
{
	uint64_t number;
	int status;

	*set |= bit;
	switch (bit) {
	case SET_FILTER:
		status = advance(loader);
		if (status)
			return status;
		if (loader->event.type != YAML_SCALAR_EVENT)
			return refuse(loader, line_of(loader), "filter must be one text");
		return take_filter(loader, rule);
	case SET_WRITE:
		status = expect_text(loader, "write");
		if (status)
			return status;
		rule->write = strdup(scalar(loader));
		return rule->write ? 0 : out_of_memory(loader);
	case SET_SNAPLEN:
		status = read_size(loader, "snaplen", false, CW_CAPLEN_MAX, &number);
		if (!status)
			rule->snaplen = (uint32_t)number;
		return status;
	case SET_SAMPLE:
		return read_sample(loader, rule);
	case SET_HOOK:
		return read_hook(loader, rule);
	case SET_LIMIT:
		return read_limit(loader, rule, set);
	case SET_PRIORITY:
		status = read_size(loader, "priority", false, PRIORITY_MAX, &number);
		if (!status)
			rule->priority = (uint32_t)number;
		return status;
	default:
		return read_rotate(loader, rule, set);
	}
}

static int read_defaults(struct loader *loader)
{
	static const struct key keys[] = {{"write", SET_WRITE},   {"snaplen", SET_SNAPLEN},
					  {"rotate", SET_ROTATE}, {"priority", SET_PRIORITY},
					  {"sample", SET_SAMPLE}, {"limit", SET_LIMIT},
					  {"hook", SET_HOOK},     {NULL, 0}};
	int status = expect_mapping(loader, "defaults", "{write: '{rule}.pcap'}");

	return status ? status
		      : read_mapping(loader, keys, "defaults", &loader->defaults,
				     &loader->defaults_set, rule_value);
}

/* The current scalar is a rule's name: add the rule. Room for its SET_ bits grows alongside. */
static struct cw_rule *new_rule(struct loader *loader)
{
	uint32_t count = loader->rules->count;
	struct cw_rule *rule;
	uint32_t *grown;

	if (!(count & (count - 1))) {
		size_t capacity = count ? 2 * (size_t)count : 1;

		grown = realloc(loader->rule_set, capacity * sizeof(*grown));
		if (!grown)
			return NULL;
		loader->rule_set = grown;
	}
	rule = cw_rules_append(loader->rules);
	if (!rule)
		return NULL;
	loader->rule_set[count] = 0;
	rule->line = line_of(loader);
	rule->name = strdup(scalar(loader));
	return rule->name ? rule : NULL;
}

static int read_rule(struct loader *loader)
{
	static const struct key keys[] = {
	    {"filter", SET_FILTER}, {"write", SET_WRITE},       {"snaplen", SET_SNAPLEN},
	    {"rotate", SET_ROTATE}, {"priority", SET_PRIORITY}, {"sample", SET_SAMPLE},
	    {"limit", SET_LIMIT},   {"hook", SET_HOOK},         {NULL, 0}};
	char buffer[QUOTE_BYTES];
	const char *fault = cw_rule_name_fault(scalar(loader));
	struct cw_rule *rule;
	unsigned set = 0;
	int status;

	if (fault)
		return refuse(loader, line_of(loader), "rule name '%s': %s",
			      quote(scalar(loader), buffer), fault);
	if (loader->rules->count >= CW_RULES_MAX)
		return refuse_at(loader, line_of(loader), -E2BIG, "there are more than %u rules",
				 CW_RULES_MAX);
	rule = new_rule(loader);
	if (!rule)
		return out_of_memory(loader);
	status = advance(loader);
	if (status)
		return status;
	if (loader->event.type == YAML_SCALAR_EVENT)
		return take_filter(loader, rule);
	if (loader->event.type != YAML_MAPPING_START_EVENT)
		return refuse(loader, line_of(loader),
			      "rule %s must be an expression or a mapping, like {filter: port 53}",
			      rule->name);
	snprintf(buffer, sizeof(buffer), "rule %.50s", rule->name);
	status = read_mapping(loader, keys, buffer, rule, &set, rule_value);
	loader->rule_set[loader->rules->count - 1] = set;
	if (!status && !(set & SET_FILTER))
		status = refuse(loader, rule->line,
				"rule %s has no filter; add filter: to it ('' takes all packets)",
				rule->name);
	return status;
}

static int read_rules(struct loader *loader)
{
	unsigned line;
	int status = expect_mapping(loader, "rules", "{dns: port 53}");

	line = line_of(loader);
	while (!status) {
		status = advance(loader);
		if (status)
			break;
		if (loader->event.type == YAML_MAPPING_END_EVENT)
			break;
		if (loader->event.type != YAML_SCALAR_EVENT)
			status = refuse(loader, line_of(loader), "a rule's name must be a word");
		else
			status = read_rule(loader);
	}
	if (!status && !loader->rules->count)
		status = refuse(loader, line, "rules is empty; add one, like dns: port 53");
	return status;
}

static int read_mode(struct loader *loader)
{
	char buffer[QUOTE_BYTES];
	int status = expect_text(loader, "mode");

	if (status)
		return status;
	if (!strcmp(scalar(loader), "all"))
		loader->rules->mode = CW_FILTER_ALL;
	else if (!strcmp(scalar(loader), "first"))
		loader->rules->mode = CW_FILTER_FIRST;
	else
		return refuse(loader, line_of(loader),
			      "mode: '%s' is unknown; it can be all or first",
			      quote(scalar(loader), buffer));
	return 0;
}

static int keep_value(struct loader *loader, unsigned bit, struct cw_rule *rule, unsigned *set)
{
	struct cw_rules *rules = loader->rules;

	(void)rule;
	*set |= bit;
	if (bit == SET_FREE)
		return read_size(loader, "free", true, INT64_MAX, &rules->free_bytes);
	return read_size(loader, "total", true, INT64_MAX, &rules->total_bytes);
}

static int read_keep(struct loader *loader)
{
	static const struct key keys[] = {{"total", SET_RING_BYTES}, {"free", SET_FREE}, {NULL, 0}};
	unsigned set = 0;
	int status = expect_mapping(loader, "keep", "{total: 1TiB, free: 10GiB}");

	return status ? status : read_mapping(loader, keys, "keep", NULL, &set, keep_value);
}

static int top_value(struct loader *loader, unsigned bit, struct cw_rule *rule, unsigned *set)
{
	(void)rule;
	*set |= bit;
	if (bit == SET_MODE)
		return read_mode(loader);
	if (bit == SET_KEEP)
		return read_keep(loader);
	return bit == SET_DEFAULTS ? read_defaults(loader) : read_rules(loader);
}

static int read_document(struct loader *loader)
{
	static const struct key keys[] = {{"mode", SET_MODE},
					  {"defaults", SET_DEFAULTS},
					  {"rules", SET_RULES},
					  {"keep", SET_KEEP},
					  {NULL, 0}};
	unsigned set = 0;
	int status = advance(loader); /* the stream's start */

	if (!status)
		status = advance(loader);
	if (status)
		return status;
	if (loader->event.type == YAML_STREAM_END_EVENT)
		return refuse(loader, 1, "the file is empty; write rules: {dns: port 53}");
	status = expect_mapping(loader, "the file", "rules: {dns: port 53}");
	if (!status)
		status = read_mapping(loader, keys, "the file", NULL, &set, top_value);
	if (status)
		return status;
	if (!(set & SET_RULES))
		return refuse(loader, 1, "there is no key 'rules'; write rules: {dns: port 53}");
	status = advance(loader); /* the document's end */
	if (!status)
		status = advance(loader);
	if (!status && loader->event.type != YAML_STREAM_END_EVENT)
		status = refuse(loader, line_of(loader), "a second document; a file has one");
	return status;
}

static int merge_defaults(struct loader *loader)
{
	const struct cw_rule *defaults = &loader->defaults;

	for (uint32_t i = 0; i < loader->rules->count; i++) {
		struct cw_rule *rule = &loader->rules->rules[i];
		unsigned set = loader->rule_set[i];

		if (!rule->write && !defaults->write)
			return refuse(loader, rule->line,
				      "rule %s has no write; add write: to it or to defaults, like "
				      "'{rule}.pcap'",
				      rule->name);
		if (!rule->write)
			rule->write = strdup(defaults->write);
		if (!rule->write)
			return out_of_memory(loader);
		if (!rule->hook && defaults->hook && cw_rule_set_hook(rule, defaults->hook))
			return out_of_memory(loader);
		if (!(set & SET_SNAPLEN))
			rule->snaplen = defaults->snaplen;
		if (!(set & SET_ROTATE_BYTES))
			rule->rotate_bytes = defaults->rotate_bytes;
		if (!(set & SET_ROTATE_PACKETS))
			rule->rotate_packets = defaults->rotate_packets;
		if (!(set & SET_ROTATE_EVERY))
			rule->rotate_every_ns = defaults->rotate_every_ns;
		if (!(set & SET_RING_FILES))
			rule->ring_files = defaults->ring_files;
		if (!(set & SET_RING_BYTES))
			rule->ring_bytes = defaults->ring_bytes;
		if (!(set & SET_PRIORITY))
			rule->priority = defaults->priority;
		if (!(set & SET_SAMPLE))
			rule->sample_every = defaults->sample_every;
		if (!(set & SET_LIMIT_PACKETS))
			rule->limit_packets = defaults->limit_packets;
		if (!(set & SET_LIMIT_BYTES))
			rule->limit_bytes = defaults->limit_bytes;
		if (!(set & SET_LIMIT_RATE))
			rule->limit_rate = defaults->limit_rate;
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

static int check_unique(struct loader *loader)
{
	struct cw_rules *rules = loader->rules;
	const struct cw_rule **sorted = malloc(rules->count * sizeof(*sorted));
	const struct cw_rule *again = NULL; /* the first in the file that is there already */
	const struct cw_rule *before = NULL;
	const struct cw_rule *unmatched = NULL;
	int status = 0;

	if (!sorted)
		return out_of_memory(loader);
	for (uint32_t i = 0; i < rules->count; i++)
		sorted[i] = &rules->rules[i];
	qsort(sorted, rules->count, sizeof(*sorted), compare_names);
	for (uint32_t i = 1; i < rules->count; i++)
		if (!strcmp(sorted[i - 1]->name, sorted[i]->name) &&
		    (!again || sorted[i] < again)) {
			again = sorted[i];
			before = sorted[i - 1];
		}
	free(sorted);
	if (again)
		return refuse(loader, again->line, "rule %s is there already, in line %u",
			      again->name, before->line);
	for (uint32_t i = 0; !status && i < rules->count; i++) {
		if (rules->rules[i].kind != CW_RULE_UNMATCHED)
			continue;
		if (unmatched)
			status = refuse(loader, rules->rules[i].line,
					"rules %s and %s are both 'unmatched'; there can be one",
					unmatched->name, rules->rules[i].name);
		unmatched = &rules->rules[i];
	}
	return status;
}

int cw_rules_parse(struct cw_rules *rules, const char *text, size_t bytes, const char *name,
		   struct cw_error *error)
{
	struct loader loader = {
	    .rules = rules, .name = name, .text = text, .bytes = bytes, .error = error};
	int status;

	*rules = (struct cw_rules){0};
	if (bytes > CW_RULES_FILE_BYTES_MAX)
		return cw_error_set(error, -EFBIG, "%.400s: larger than %zu MiB", name,
				    CW_RULES_FILE_BYTES_MAX >> 20);
	rules->path = strdup(name);
	if (!rules->path || !yaml_parser_initialize(&loader.parser)) {
		cw_rules_fini(rules);
		return cw_error_set_errno(error, -ENOMEM, "%.400s", name);
	}
	yaml_parser_set_input_string(&loader.parser, (const unsigned char *)text, bytes);
	status = read_document(&loader);
	if (!status)
		status = check_unique(&loader);
	if (!status)
		status = merge_defaults(&loader);
	yaml_event_delete(&loader.event);
	yaml_parser_delete(&loader.parser);
	free(loader.rule_set);
	cw_rule_fini(&loader.defaults);
	if (status)
		cw_rules_fini(rules);
	return status;
}
