/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"
#include "core/base/noted.h"
#include "core/base/text.h"
#include "tools/text/complain.h"
#include "tools/text/numbers.h"

const char *cw_format_count(uint64_t number, char buffer[CW_NUMBER_BYTES])
{
	char digits[CW_NUMBER_BYTES];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);
	char *to = buffer;

	for (int index = 0; index < length; index++) {
		if (index && (length - index) % 3 == 0)
			*to++ = ',';
		*to++ = digits[index];
	}
	*to = '\0';
	return buffer;
}

const char *cw_format_bytes(uint64_t bytes, char buffer[CW_NUMBER_BYTES])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double)bytes;
	size_t unit = 0;

	for (; value >= 999.5 && unit + 1 < CW_ARRAY_COUNT(units); unit++)
		value /= 1000;
	snprintf(buffer, CW_NUMBER_BYTES, unit && value < 99.95 ? "%.1f %s" : "%.0f %s", value,
		 units[unit]);
	return buffer;
}

const char *cw_format_printable(const char *name, char *clean, size_t bytes)
{
	snprintf(clean, bytes, "%s", name);
	cw_text_clean(clean);
	for (char *at = clean; (at = strchr(at, '\n'));)
		*at = '?';
	return clean;
}

void cw_json_begin(void)
{
	json_set_alloc_funcs(cw_noted_malloc, free);
}

json_t *cw_json_text(const char *value)
{
	json_t *result;
	char *clean;

	if (!value)
		return json_null();
	result = json_string(value);
	if (result)
		return result;
	clean = cw_noted_utf8(value);
	result = clean ? json_string(clean) : NULL;
	free(clean);
	return result;
}

/* Prints JSON; escapes DEL and C1 characters, which a terminal would obey. */
static void put_json(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		if (*at == 0x7f)
			fputs("\\u007f", stdout);
		else if (*at == 0xc2 && at[1] < 0xa0)
			fprintf(stdout, "\\u00%02x", *++at);
		else
			putchar(*at);
	}
	putchar('\n');
}

int cw_json_print(json_t *whole, size_t flags, const char *what)
{
	char *text = whole ? json_dumps(whole, flags) : NULL;
	int status = CW_EXIT_COMPLETE;

	if (cw_noted_failure() || !text) {
		status = cw_fail("cannot write %sto standard output: out of memory", what);
	} else {
		put_json(text);
		if (fflush(stdout) || ferror(stdout))
			status = cw_fail("cannot write %sto standard output", what);
	}
	free(text);
	json_decref(whole);
	return status;
}
