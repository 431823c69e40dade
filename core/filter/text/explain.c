/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a filter is wrong, for a reader: the expression once more with a caret under its first bad
 * token, and the keywords that may have been meant. The place is read back from the message, which
 * may come from the process that compiles.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/filter/text/explain.h"
#include "core/filter/text/names.h"

#define SHOWN_BYTES 72u /* of the expression, around the place */
#define WORD_BYTES_MAX 24u
#define COST_MAX 3u
#define MEANT_MAX 3u

#define COST_SWAP 1u /* of two letters; the commonest slip */
#define COST_SKIP 2u /* a letter too much or too few */
#define COST_OTHER 3u

/* Where the message says that the expression goes wrong; -1: it does not say. */
static long place_of(const char *expression, const char *message)
{
	static const char column[] = "(column ", end[] = ", at its end";
	size_t length = strlen(expression);
	const char *found = NULL, *next;
	unsigned long place;

	/* The last one: the expression may have such words in it, and is quoted before. */
	for (next = strstr(message, column); next; next = strstr(next + 1, column))
		found = next;
	if (found) {
		place = strtoul(found + strlen(column), NULL, 10);
		return place >= 1 && place <= length ? (long)place - 1 : -1;
	}
	return strstr(message, end) ? (long)length : -1;
}

static uint32_t least(uint32_t a, uint32_t b, uint32_t c)
{
	return cw_min_u32(cw_min_u32(a, b), c);
}

/* What the slips cost that make one word of the other. */
static uint32_t cost_between(const char *word, size_t length, const char *other)
{
	uint32_t rows[3][WORD_BYTES_MAX + 1];
	size_t other_length = strlen(other);
	size_t i, j;

	if (length > WORD_BYTES_MAX || other_length > WORD_BYTES_MAX)
		return UINT32_MAX;
	for (j = 0; j <= other_length; j++)
		rows[0][j] = (uint32_t)j * COST_SKIP;
	for (i = 1; i <= length; i++) {
		uint32_t *row = rows[i % 3], *above = rows[(i - 1) % 3];

		row[0] = (uint32_t)i * COST_SKIP;
		for (j = 1; j <= other_length; j++) {
			bool is_same = tolower((unsigned char)word[i - 1]) == other[j - 1];

			row[j] = least(above[j] + COST_SKIP, row[j - 1] + COST_SKIP,
				       above[j - 1] + (is_same ? 0 : COST_OTHER));
			if (i > 1 && j > 1 && word[i - 1] == other[j - 2] &&
			    word[i - 2] == other[j - 1])
				row[j] = cw_min_u32(row[j], rows[(i + 1) % 3][j - 2] + COST_SWAP);
		}
	}
	return rows[length % 3][other_length];
}

/* Append "; did you mean a or b?" where keywords are near to the word. */
static size_t suggest(const char *word, size_t length, char *buffer, size_t room)
{
	const char *keyword, *meant[MEANT_MAX];
	uint32_t best = COST_MAX;
	uint32_t count = 0, at;
	size_t index, used = 0;

	for (index = 0; (keyword = cw_filter_keyword(index)) != NULL; index++)
		best = cw_min_u32(best, cost_between(word, length, keyword));
	if (best == 0)
		return 0; /* a keyword, in the wrong place */
	for (index = 0; (keyword = cw_filter_keyword(index)) != NULL && count < MEANT_MAX;
	     index++) {
		uint32_t cost = cost_between(word, length, keyword);

		/* A word of three letters is near to many: only swaps and skips count there. */
		if (cost <= best + 1 && cost <= COST_MAX && (length > 3 || cost < COST_OTHER))
			meant[count++] = keyword;
	}
	for (at = 0; at < count && used < room; at++)
		used += (size_t)snprintf(buffer + used, room - used, "%s\"%s\"%s",
					 at == 0           ? " did you mean "
					 : at + 1 == count ? " or "
							   : ", ",
					 meant[at], at + 1 == count ? "?" : "");
	return used;
}

bool cw_filter_explain(const char *expression, const char *message, char *buffer, size_t room)
{
	long place = place_of(expression, message);
	struct cw_filter_tokens tokens = {.next = expression};
	struct cw_filter_token token = {0};
	size_t start, length, index, used, caret;

	buffer[0] = '\0';
	if (place < 0 || room < 3 * SHOWN_BYTES)
		return false;
	while (cw_filter_token_next(&tokens, &token) && token.text - expression < place)
		;
	length = token.text && token.text - expression == place ? token.length : 1;
	start = (size_t)place > SHOWN_BYTES / 2 ? (size_t)place - SHOWN_BYTES / 2 : 0;
	used = (size_t)snprintf(buffer, room, "\n    %s", start ? "..." : "");
	caret = (size_t)place - start + (start ? 3 : 0);
	for (index = start; index < start + SHOWN_BYTES && expression[index]; index++)
		buffer[used++] =
		    (char)(iscntrl((unsigned char)expression[index]) ? ' ' : expression[index]);
	used += (size_t)snprintf(buffer + used, room - used, "%s\n    %*s^",
				 expression[index] ? "..." : "", (int)caret, "");
	for (index = 1; index < length && index < SHOWN_BYTES / 2 && used + 1 < room; index++)
		buffer[used++] = '~';
	buffer[used] = '\0';
	if (used >= room - 1)
		return true;
	if (expression[place] == '\0')
		snprintf(buffer + used, room - used, " something is missing here");
	else
		suggest(expression + place, length, buffer + used, room - used);
	return true;
}
