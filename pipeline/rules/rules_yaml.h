/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The base of the reader of rules files: YAML events, mappings of known keys, errors with file and
 * line. Private to the reader of rules files. Functions that return a status return 0, or a
 * negative errno with the error filled.
 */
#ifndef CW_PIPELINE_RULES_RULES_YAML_H
#define CW_PIPELINE_RULES_RULES_YAML_H

#include <errno.h>
#include <yaml.h>

#include "pipeline/rules/amount.h"
#include "pipeline/rules/rules_parts.h"

#define CW_QUOTE_BYTES 64u

struct cw_rules_reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current event; owned */
	struct cw_rules *rules;
	struct cw_rule defaults;
	const char *name; /* of the file, for messages */
	const char *text;
	size_t bytes;
	size_t found_at;     /* offset of the line that cw_rules_find_line found last */
	unsigned found_line; /* number of that line; 0: none */
	struct cw_error *error;
	/* Called for each fault that can be skipped; NULL: the first fault ends the reading. */
	void (*found)(void *context, const char *text);
	void *context;
	uint32_t faults;      /* skipped so far */
	uint32_t event_count; /* events read */
	uint32_t depth;       /* mappings and lists around the current event */
	bool is_broken;       /* nothing can be read after the last fault */
};

/* A place before a key. */
struct cw_rules_place {
	uint32_t key; /* number of the event that the key begins with */
	uint32_t depth;
};

/* A key of a mapping. `read` reads its value; NULL: the value is a number in `object`. */
struct cw_rules_key {
	const char *word; /* NULL: the table's end */
	int (*read)(struct cw_rules_reader *reader, const struct cw_rules_key *key, void *object);
	struct cw_amount amount;
	size_t offset; /* of the number in a struct cw_rule or cw_rules */
	size_t bytes;  /* of the number, 4 or 8; 0: the key has none */
};

static inline unsigned cw_rules_line(const struct cw_rules_reader *reader)
{
	return (unsigned)reader->event.start_mark.line + 1;
}

static inline struct cw_rules_place cw_rules_here(const struct cw_rules_reader *reader)
{
	return (struct cw_rules_place){reader->event_count + 1, reader->depth};
}

/* Returns the current scalar's text. */
static inline const char *cw_rules_scalar(const struct cw_rules_reader *reader)
{
	return (const char *)reader->event.data.scalar.value;
}

/* Fills the error: "FILE:LINE: " and the text. Returns `code`. */
int cw_rules_refuse_as(struct cw_rules_reader *reader, unsigned line, int code, const char *format,
		       ...) CW_PRINTF(4, 5);
#define cw_rules_refuse_at(reader, line, ...) cw_rules_refuse_as(reader, line, -EINVAL, __VA_ARGS__)
#define cw_rules_refuse(reader, ...) cw_rules_refuse_at(reader, cw_rules_line(reader), __VA_ARGS__)
int cw_rules_out_of_memory(struct cw_rules_reader *reader);

/* Returns `buffer` with `text` for a message: shortened, control characters replaced. */
const char *cw_rules_quote(const char *text, char buffer[CW_QUOTE_BYTES]);

/* Fills the text of a line of the file, counted from 1, and returns its bytes without the newline.
 * Fast for rising lines. */
size_t cw_rules_find_line(struct cw_rules_reader *reader, unsigned line, const char **text);

/* Reads the file that the fields name, text, bytes, rules and error describe (rules_file.c). */
int cw_rules_read(struct cw_rules_reader *reader);

/* Reports the fault with this status, if faults are skipped. Returns 0, or the status if reading
 * ends here. */
int cw_rules_report(struct cw_rules_reader *reader, int status);

/* Reports the fault and reads on to the end of the value whose key was read at `place`. Returns as
 * cw_rules_report. */
int cw_rules_skip(struct cw_rules_reader *reader, int status, struct cw_rules_place place);

/* Reads the next event. */
int cw_rules_advance(struct cw_rules_reader *reader);
bool cw_rules_is_null(const struct cw_rules_reader *reader);

/* Read the next event, which must be a scalar with a value; or a mapping's start. */
int cw_rules_expect_text(struct cw_rules_reader *reader, const char *what);
int cw_rules_expect_mapping(struct cw_rules_reader *reader, const char *what, const char *like);

/* Reads the values of a mapping, whose start is the current event; messages call it `where`. */
int cw_rules_read_mapping(struct cw_rules_reader *reader, const struct cw_rules_key *keys,
			  const char *where, void *object);

/* Read `file_mode` and `folder_mode` into the key's number of a rule; `group` into the rule
 * (rules_access.c). */
int cw_rules_read_mode(struct cw_rules_reader *reader, const struct cw_rules_key *key,
		       void *object);
int cw_rules_read_group(struct cw_rules_reader *reader, const struct cw_rules_key *key,
			void *object);

/* Reads the mapping `capture:` (rules_settings.c). */
int cw_rules_read_settings(struct cw_rules_reader *reader, const struct cw_rules_key *key,
			   void *object);

#endif
