/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/text.h"
#include "tools/text/complain.h"

#define LINE_BYTES 2048u /* longer texts take memory; without any they end after these */

/* Prints `before`, the cleaned text and `after` with one call, so that lines of several threads and
 * processes do not mix. */
static void print(FILE *file, const char *before, const char *after, const char *format,
		  va_list arguments)
{
	size_t start = strlen(before), bytes = LINE_BYTES;
	char line[LINE_BYTES], *text = line;
	va_list again;
	int length;

	va_copy(again, arguments);
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
	vsnprintf(text + start, bytes - start - strlen(after), format, arguments);
	cw_text_clean(text + start);
	strcat(text, after);
	fputs(text, file);
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
