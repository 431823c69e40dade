/* SPDX-License-Identifier: BSD-3-Clause */
/* Formats error records. Never allocates, never prints. */
#include <stdarg.h>
#include <stdio.h>

#include "core/base/error.h"

#undef cw_error_set /* macros under clang's analyser */
#undef cw_error_set_errno

int cw_error_set(struct cw_error *error, int code, const char *format, ...)
{
	va_list arguments;

	if (!error)
		return code;
	error->code = code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return code;
}

int cw_error_set_errno(struct cw_error *error, int code, const char *format, ...)
{
	va_list arguments;
	size_t used;

	if (!error)
		return code;
	error->code = code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	used = strlen(error->text);
	snprintf(error->text + used, sizeof(error->text) - used, ": %s", strerror(-code));
	return code;
}

int cw_error_prefix(struct cw_error *error, const char *format, ...)
{
	char text[CW_ERROR_TEXT_BYTES];
	va_list arguments;
	size_t used;

	if (!error)
		return 0;
	memcpy(text, error->text, sizeof(text));
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	used = strlen(error->text);
	snprintf(error->text + used, sizeof(error->text) - used, ": %s", text);
	return error->code;
}
