/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "tools/text/complain.h"

void cw_complain(const char *format, ...)
{
	va_list arguments;

	fputs("capweir: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

int cw_complain_no_memory(void)
{
	cw_complain("out of memory");
	return CW_EXIT_PROBLEM;
}

int cw_flush_output(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return CW_EXIT_COMPLETE;
	cw_complain("cannot write to standard output");
	return CW_EXIT_PROBLEM;
}
