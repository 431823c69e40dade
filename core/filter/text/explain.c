/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shows a reader where a filter is wrong: the expression's line again, with a caret under its first
 * bad token and the keywords that may have been meant. The place is read from the message, which
 * may come from the process that compiles.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/near.h"
#include "core/filter/text/explain.h"
#include "core/filter/text/names.h"

#define SHOWN_BYTES 72u /* part of the expression shown around the place */

long cw_filter_place(const char *expression, const char *message)
{
	static const char column[] = "(column ", end[] = ", at its end";
	size_t length = strlen(expression);
	const char *found = NULL, *next;
	unsigned long place;

	/* The last match counts: the expression, quoted earlier, may contain such words. */
	for (next = strstr(message, column); next; next = strstr(next + 1, column))
		found = next;
	if (found) {
		place = strtoul(found + strlen(column), NULL, 10);
		return place >= 1 && place <= length ? (long)place - 1 : -1;
	}
	while (length && isspace((unsigned char)expression[length - 1]))
		length--;
	return strstr(message, end) ? (long)length : -1;
}

/* Append the keywords that are near to the word. */
static void suggest(const char *word, size_t length, char *buffer, size_t room)
{
	struct cw_near near = {.word = word, .bytes = length};
	const char *keyword;

	for (size_t index = 0; (keyword = cw_filter_keyword(index)) != NULL; index++)
		cw_near_offer(&near, keyword);
	cw_near_say(&near, "\"", "\"", buffer, room);
}

bool cw_filter_explain(const char *expression, const char *message, char *buffer, size_t room)
{
	long place = cw_filter_place(expression, message);
	struct cw_filter_tokens tokens = {.next = expression};
	struct cw_filter_token token = {0};
	size_t first, start, length, index, used, caret;

	buffer[0] = '\0';
	if (place < 0 || room < 3 * SHOWN_BYTES)
		return false;
	while (cw_filter_token_next(&tokens, &token) && token.text - expression < place)
		;
	length = token.text && token.text - expression == place ? token.length : 1;
	for (first = (size_t)place; first > 0 && expression[first - 1] != '\n';)
		first--;
	start = (size_t)place - first > SHOWN_BYTES / 2 ? (size_t)place - SHOWN_BYTES / 2 : first;
	used = (size_t)snprintf(buffer, room, "\n" CW_EXPLANATION_INDENT "%s",
				start > first ? "..." : "");
	caret = (size_t)place - start + (start > first ? 3 : 0);
	for (index = start; index < start + SHOWN_BYTES && !strchr("\n", expression[index]);
	     index++)
		buffer[used++] =
		    (char)(iscntrl((unsigned char)expression[index]) ? ' ' : expression[index]);
	used += (size_t)snprintf(buffer + used, room - used, "%s\n" CW_EXPLANATION_INDENT "%*s^",
				 strchr("\n", expression[index]) ? "" : "...", (int)caret, "");
	for (index = 1; index < length && index < SHOWN_BYTES / 2 && used + 1 < room; index++)
		buffer[used++] = '~';
	buffer[used] = '\0';
	if (used >= room - 1)
		return true;
	if (isspace((unsigned char)expression[place]) || expression[place] == '\0')
		snprintf(buffer + used, room - used, " something is missing here");
	else
		suggest(expression + place, length, buffer + used, room - used);
	return true;
}
