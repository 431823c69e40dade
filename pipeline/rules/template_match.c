/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks whether a template can give a path, and with which number. Walks the template's parts from
 * the path's beginning, and from its end up to {seq}, with the set of places in the path that are
 * reached; so the work is bounded for any template.
 */
#include <ctype.h>
#include <stdlib.h>

#include "pipeline/rules/template.h"

#define WORD_BITS 64u
#define TIME_BYTES_MAX 255u                     /* of one conversion, as cw_template_expand */
#define NUMBER_MAX UINT64_C(999999999999999999) /* higher numbers do not count as such */

/* Places between the characters of a path. */
struct places {
	uint64_t words[CW_TEMPLATE_PATH_BYTES / WORD_BITS];
};

struct matcher {
	const struct cw_template *name;
	const char *rule;
	const char *path;
	uint32_t bytes;
};

static void reach(struct places *places, uint32_t at)
{
	places->words[at / WORD_BITS] |= UINT64_C(1) << (at % WORD_BITS);
}

static bool is_reached(const struct places *places, uint32_t at)
{
	return places->words[at / WORD_BITS] >> (at % WORD_BITS) & 1;
}

static bool is_value(char character)
{
	return isascii(character) &&
	       (isalnum(character) || (character && strchr("_-.+@:", character)));
}

static bool is_time_text(char character)
{
	return (uint8_t)character >= 0x20 && character != 0x7f && character != '/';
}

static bool is_number(char character)
{
	return isdigit((uint8_t)character);
}

/* Reaches the ends of 1 to `most` characters of a kind, from `at` on; of `least` to `most`. */
static void reach_many(const struct matcher *matcher, uint32_t at, bool (*is_kind)(char),
		       uint32_t least, uint32_t most, struct places *ends)
{
	for (uint32_t end = at; end - at <= most; end++) {
		if (end - at >= least)
			reach(ends, end);
		if (end == matcher->bytes || !is_kind(matcher->path[end]))
			return;
	}
}

static void reach_text(const struct matcher *matcher, uint32_t at, const char *text, size_t bytes,
		       struct places *ends)
{
	if (bytes <= matcher->bytes - at && !memcmp(matcher->path + at, text, bytes))
		reach(ends, at + (uint32_t)bytes);
}

static void reach_time(const struct matcher *matcher, uint32_t at, const char *conversion,
		       struct places *ends)
{
	const char *shape = cw_template_conversion_shape(conversion);
	uint32_t end = at;

	if (!strcmp(conversion, "%s")) {
		reach_many(matcher, at, is_number, 1, CW_NUMBER_WIDTH_MAX, ends);
		return;
	}
	if (!shape) {
		reach_many(matcher, at, is_time_text, 1, TIME_BYTES_MAX, ends);
		return;
	}
	for (; *shape; shape++, end++)
		if (end == matcher->bytes ||
		    (*shape == '0' ? !is_number(matcher->path[end]) : matcher->path[end] != *shape))
			return;
	reach(ends, end);
}

/* Adds the places where the part can end if it begins at `at`. */
static void reach_ends(const struct matcher *matcher, const struct cw_part *part, uint32_t at,
		       struct places *ends)
{
	const char *text = matcher->name->text + part->offset;
	char value[CW_TEMPLATE_VALUE_BYTES_MAX + 1];

	switch (part->kind) {
	case CW_PART_TEXT:
		reach_text(matcher, at, text, part->bytes, ends);
		break;
	case CW_PART_RULE:
		reach_text(matcher, at, value, cw_template_value(matcher->rule, "unknown", value),
			   ends);
		break;
	case CW_PART_IFACE:
		reach_many(matcher, at, is_value, 1, CW_TEMPLATE_VALUE_BYTES_MAX, ends);
		break;
	case CW_PART_SEQ:
		reach_many(matcher, at, is_number, part->width ? part->width : 1,
			   CW_NUMBER_WIDTH_MAX, ends);
		break;
	case CW_PART_TIME:
		reach_time(matcher, at, text, ends);
		break;
	}
}

/* Moves the places over the part. Returns whether any is left. */
static bool step(const struct matcher *matcher, const struct cw_part *part, struct places *places)
{
	struct places ends = {0};
	bool is_any = false;

	for (uint32_t at = 0; at <= matcher->bytes; at++)
		if (is_reached(places, at))
			reach_ends(matcher, part, at, &ends);
	*places = ends;
	for (uint32_t word = 0; word < CW_ARRAY_COUNT(ends.words) && !is_any; word++)
		is_any = ends.words[word] != 0;
	return is_any;
}

/* Moves the places backwards over the part. */
static void step_back(const struct matcher *matcher, const struct cw_part *part,
		      struct places *places)
{
	struct places starts = {0};

	for (uint32_t at = 0; at <= matcher->bytes; at++) {
		struct places ends = {0};
		uint64_t common = 0;

		reach_ends(matcher, part, at, &ends);
		for (uint32_t word = 0; word < CW_ARRAY_COUNT(ends.words); word++)
			common |= ends.words[word] & places->words[word];
		if (common)
			reach(&starts, at);
	}
	*places = starts;
}

/* Returns the digits' value; 0 if it is too large for a number. */
static uint64_t value_of(const char *digits, uint32_t count)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < count; i++) {
		value = 10 * value + (uint64_t)(digits[i] - '0');
		if (value > NUMBER_MAX)
			return 0;
	}
	return value;
}

/* Returns the highest number from one of `starts` to one of `ends`. */
static uint64_t highest_number(const struct matcher *matcher, const struct cw_part *part,
			       const struct places *starts, const struct places *ends)
{
	uint64_t highest = 0;

	for (uint32_t at = 0; at < matcher->bytes; at++) {
		struct places reached = {0};

		if (!is_reached(starts, at))
			continue;
		reach_ends(matcher, part, at, &reached);
		for (uint32_t end = at + 1; end <= matcher->bytes; end++) {
			uint64_t value = 0;

			if (is_reached(&reached, end) && is_reached(ends, end))
				value = value_of(matcher->path + at, end - at);
			highest = highest > value ? highest : value;
		}
	}
	return highest;
}

/* Returns whether the path is one of the template, without an added number. */
static bool match(const struct matcher *matcher, uint64_t *seq)
{
	const struct cw_template *name = matcher->name;
	struct places places = {{1}}, starts, ends = {0};
	uint32_t seq_at = UINT32_MAX;

	*seq = 0;
	for (uint32_t i = 0; i < name->part_count; i++) {
		if (seq_at == UINT32_MAX && name->parts[i].kind == CW_PART_SEQ) {
			seq_at = i;
			starts = places;
		}
		if (!step(matcher, &name->parts[i], &places))
			return false;
	}
	if (!is_reached(&places, matcher->bytes))
		return false;
	if (seq_at == UINT32_MAX)
		return true;
	reach(&ends, matcher->bytes);
	for (uint32_t i = name->part_count; i > seq_at + 1; i--)
		step_back(matcher, &name->parts[i - 1], &ends);
	*seq = highest_number(matcher, &name->parts[seq_at], &starts, &ends);
	return true;
}

/* Fills `plain` with the path without the number that cw_template_numbered added; false: none. */
static bool take_number(const char *path, char *plain, uint64_t *number)
{
	const char *slash = strrchr(path, '/');
	const char *dot = slash ? slash + 1 : path;

	while ((dot = strchr(dot, '.')) != NULL) {
		uint32_t digits = (uint32_t)strspn(dot + 1, "0123456789");
		size_t head = (size_t)(dot - path);

		if (digits && (dot[1 + digits] == '.' || !dot[1 + digits])) {
			memcpy(plain, path, head);
			strcpy(plain + head, dot + 1 + digits);
			*number = value_of(dot + 1, digits);
			if (cw_template_extension(plain) == plain + head)
				return true;
		}
		dot++;
	}
	return false;
}

bool cw_template_match(const struct cw_template *name, const char *rule, const char *path,
		       uint64_t *number)
{
	struct matcher matcher = {name, rule, path,
				  (uint32_t)strnlen(path, CW_TEMPLATE_PATH_BYTES)};
	char plain[CW_TEMPLATE_PATH_BYTES];
	uint64_t added, seq;
	bool is_plain;

	*number = 0;
	if (matcher.bytes == CW_TEMPLATE_PATH_BYTES)
		return false;
	is_plain = match(&matcher, number);
	if (!take_number(path, plain, &added))
		return is_plain;
	matcher.path = plain;
	matcher.bytes = (uint32_t)strlen(plain);
	if (!match(&matcher, &seq))
		return is_plain;
	if (!name->has_kind[CW_PART_SEQ])
		*number = added;
	else if (seq > *number)
		*number = seq;
	return true;
}

bool cw_template_match_folder(const struct cw_template *name, const char *rule, const char *folder)
{
	const struct matcher matcher = {name, rule, folder,
					(uint32_t)strnlen(folder, CW_TEMPLATE_PATH_BYTES)};
	struct places places = {{1}};

	if (matcher.bytes == CW_TEMPLATE_PATH_BYTES)
		return false;
	for (uint32_t i = 0; i < name->part_count; i++) {
		const struct cw_part *part = &name->parts[i];

		/* Only text has a "/", so the folder's end is within text or at its end. */
		for (uint32_t at = 0; part->kind == CW_PART_TEXT && at < matcher.bytes; at++)
			if (is_reached(&places, at) && matcher.bytes - at <= part->bytes &&
			    !memcmp(folder + at, name->text + part->offset, matcher.bytes - at))
				return true;
		if (!step(&matcher, part, &places))
			return false;
	}
	return false;
}

size_t cw_template_prefix(const struct cw_template *name, const char *rule, char *prefix)
{
	size_t used = 0;

	for (uint32_t i = 0; i < name->part_count; i++) {
		const struct cw_part *part = &name->parts[i];
		const char *text = name->text + part->offset;
		char value[CW_TEMPLATE_VALUE_BYTES_MAX + 1];
		size_t bytes = part->bytes;

		if (part->kind == CW_PART_RULE) {
			bytes = cw_template_value(rule, "unknown", value);
			text = value;
		} else if (part->kind != CW_PART_TEXT) {
			break;
		}
		bytes = cw_min_size(bytes, CW_TEMPLATE_PATH_BYTES - 1 - used);
		memcpy(prefix + used, text, bytes);
		used += bytes;
	}
	prefix[used] = 0;
	return used;
}
