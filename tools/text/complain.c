/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/text.h"
#include "core/filter/text/explain.h"
#include "tools/text/complain.h"

#define LINE_BYTES 2048u /* longer texts take memory; without any they end after these */

static struct {
	void (*take)(void *context, const char *text); /* NULL: texts are printed */
	void *context;
} taker;

static size_t count_lines(const char *text)
{
	size_t count = 0;

	while ((text = strchr(text, '\n')) != NULL) {
		count++;
		text++;
	}
	return count;
}

/* Returns a byte that the text does not have, 0: none. */
static char find_mark(const char *text)
{
	for (int mark = 1; mark < ' '; mark++)
		if (mark != '\n' && !strchr(text, mark))
			return (char)mark;
	return 0;
}

/* Returns the explanation of a filter at the end of a message: its two indented lines, the second
 * with a caret (core/filter/text/explain.h). Without one, the text's end. */
static const char *find_explanation(const char *text)
{
	static const char indent[] = "\n" CW_EXPLANATION_INDENT;
	const char *end = text + strlen(text), *caret = strrchr(text, '\n'), *first;

	first = caret ? memrchr(text, '\n', (size_t)(caret - text)) : NULL;
	if (!first || strncmp(first, indent, strlen(indent)) != 0 ||
	    strncmp(caret, indent, strlen(indent)) != 0)
		return end;
	return caret[1 + strspn(caret + 1, " ")] == '^' ? first : end;
}

/*
 * Replaces the newlines that are neither of the format nor of a message's explanation, so that no
 * name begins a line. `text` is formatted again, with a mark in place of the format's newlines.
 */
static void join_lines(char *text, size_t bytes, bool is_message, const char *format,
		       va_list arguments)
{
	char mark = find_mark(text);
	char *marked = mark ? strdup(format) : NULL;
	const char *kept;

	if (marked) {
		for (char *at = marked; (at = strchr(at, '\n')) != NULL;)
			*at = mark;
		vsnprintf(text, bytes, marked, arguments);
	}
	kept = is_message ? find_explanation(text) : text + strlen(text);
	for (char *at = text; *at; at++) {
		if (*at == '\n' && at < kept)
			*at = '?';
		else if (mark && *at == mark)
			*at = '\n';
	}
	free(marked);
}

/* Prints `before`, the cleaned text and `after` with one call, so that lines of several threads and
 * processes do not mix. */
static void print(FILE *file, const char *before, const char *after, const char *format,
		  va_list arguments)
{
	size_t start = strlen(before), bytes = LINE_BYTES;
	char line[LINE_BYTES], *text = line;
	va_list again, third;
	int length;

	va_copy(again, arguments);
	va_copy(third, arguments);
	length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (length < 0)
		length = 0;
	if (start + (size_t)length + strlen(after) >= bytes) {
		bytes = start + (size_t)length + strlen(after) + 1;
		text = malloc(bytes);
		if (!text) {
			text = line;
			bytes = LINE_BYTES;
		}
	}
	memcpy(text, before, start);
	bytes -= start + strlen(after);
	vsnprintf(text + start, bytes, format, arguments);
	if (count_lines(text + start) > count_lines(format))
		join_lines(text + start, bytes, start > 0, format, third);
	va_end(third);
	cw_text_clean(text + start);
	if (file == stderr && taker.take) {
		taker.take(taker.context, text + start);
	} else {
		strcat(text, after);
		fputs(text, file);
	}
	if (text != line)
		free(text);
}

void cw_print(FILE *file, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(file, "", "", format, arguments);
	va_end(arguments);
}

void cw_complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(stderr, "capweir: ", "\n", format, arguments);
	va_end(arguments);
}

void cw_complain_to(void (*take)(void *context, const char *text), void *context)
{
	taker.take = take;
	taker.context = context;
}

void cw_complain_over_progress(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(stderr, CW_CLEAR_LINE "capweir: ", "\n", format, arguments);
	va_end(arguments);
}

int cw_complain_no_memory(void)
{
	cw_complain("out of memory");
	return CW_EXIT_PROBLEM;
}

int cw_check_messages(void)
{
	int flags = fcntl(STDERR_FILENO, F_GETFL);

	if (!ferror(stderr) || (flags & O_ACCMODE) == O_RDONLY)
		return CW_EXIT_COMPLETE;
	return CW_EXIT_PROBLEM;
}

int cw_flush_output(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return CW_EXIT_COMPLETE;
	cw_complain("cannot write to standard output");
	return CW_EXIT_PROBLEM;
}
