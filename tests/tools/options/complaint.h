/* SPDX-License-Identifier: BSD-3-Clause */
/* The last complaint, kept instead of printed (linked with --wrap=cw_complain). */
#ifndef CW_TESTS_TOOLS_OPTIONS_COMPLAINT_H
#define CW_TESTS_TOOLS_OPTIONS_COMPLAINT_H

#include <stdarg.h>
#include <stdio.h>

static char complaint[512];

void __wrap_cw_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

void __wrap_cw_complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(complaint, sizeof(complaint), format, arguments);
	va_end(arguments);
}

#endif
