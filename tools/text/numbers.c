/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>

#include "core/base/base.h"
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
	size_t index;

	for (index = 0; name[index] && index + 1 < bytes; index++)
		clean[index] =
		    (unsigned char)name[index] < ' ' || name[index] == 0x7f ? '?' : name[index];
	clean[index] = '\0';
	return clean;
}

json_t *cw_json_text(const char *value)
{
	json_t *result;
	char clean[4096];
	size_t index;

	if (!value)
		return json_null();
	result = json_string(value);
	if (result)
		return result;
	for (index = 0; value[index] && index + 1 < sizeof(clean); index++)
		clean[index] = (signed char)value[index] < 0 ? '?' : value[index];
	clean[index] = '\0';
	return json_string(clean);
}

int cw_json_print(json_t *whole, size_t flags, const char *what)
{
	int status = CW_EXIT_COMPLETE;

	if (!whole || json_dumpf(whole, stdout, JSON_INDENT(1) | flags) < 0 ||
	    putchar('\n') == EOF || fflush(stdout))
		status = cw_fail("cannot write %sto standard output", what);
	json_decref(whole);
	return status;
}
