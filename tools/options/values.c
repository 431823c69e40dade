/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/pipeline.h"
#include "tools/options/values.h"

#define PERIOD_MS_MAX (UINT64_C(86400) * 1000 * 366 * 100)

int cw_option_number(const char *option, const char *text, uint64_t least, uint64_t most,
		     uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || *number < least || *number > most) {
		cw_complain("%s takes a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'",
			    option, least, most, text);
		return CW_EXIT_USAGE;
	}
	return 0;
}

int cw_option_bytes(const char *option, const char *text, uint64_t least, uint64_t most,
		    uint64_t *bytes)
{
	if (cw_parse_size(text, bytes) < 0 || *bytes < least || *bytes > most) {
		cw_complain("%s takes a size from %" PRIu64 " to %" PRIu64
			    " bytes, such as 64MiB, not '%s'",
			    option, least, most, text);
		return CW_EXIT_USAGE;
	}
	return 0;
}

/* A positive number of seconds, with a fraction or without. */
int cw_option_seconds(const char *option, const char *text, uint64_t most_ms, uint64_t *ms)
{
	char *end;
	double seconds = strtod(text, &end);

	/* Written like this it is also false for what is not a number. */
	if (text[0] >= '0' && text[0] <= '9' && !*end && seconds >= 0.001 &&
	    seconds <= (double)most_ms / 1000) {
		*ms = (uint64_t)(seconds * 1000 + 0.5);
		return 0;
	}
	cw_complain("%s takes seconds from 0.001 to %" PRIu64 ", not '%s'", option, most_ms / 1000,
		    text);
	return CW_EXIT_USAGE;
}

int cw_option_factor(const char *option, const char *text, double *factor)
{
	char *end;

	*factor = strtod(text, &end);
	if (text[0] >= '0' && text[0] <= '9' && !*end && *factor >= 0.001 && *factor <= 1e6)
		return 0;
	cw_complain("%s takes a factor from 0.001 to 1000000, not '%s'", option, text);
	return CW_EXIT_USAGE;
}

/* tcpdump's -C: a number of millions of bytes, or with k, m or g of KiB, MiB or GiB. */
int cw_option_file_size(const char *text, uint64_t *bytes)
{
	static const struct {
		char letter;
		uint64_t unit;
	} units[] = {{'\0', 1000000},
		     {'k', UINT64_C(1) << 10},
		     {'m', UINT64_C(1) << 20},
		     {'g', UINT64_C(1) << 30}};
	char *end;
	uint64_t number;
	size_t index;

	errno = 0;
	number = strtoull(text, &end, 10);
	for (index = 0; index < CW_ARRAY_COUNT(units); index++) {
		if (end == text || text[0] == '-' || errno || number == 0 ||
		    (*end | 0x20) != (units[index].letter | 0x20) || (*end && end[1]) ||
		    number > UINT64_MAX / units[index].unit)
			continue;
		*bytes = number * units[index].unit;
		return 0;
	}
	cw_complain("-C takes millions of bytes, or a number with k, m or g, not '%s'", text);
	return CW_EXIT_USAGE;
}

int cw_option_period(struct cw_arguments *arguments, const char *option, const char *text,
		     bool is_aligned)
{
	uint64_t ms = 0;
	int result = cw_option_seconds(option, text, PERIOD_MS_MAX, &ms);

	if (result)
		return result;
	if (arguments->rotate_every_ns) {
		cw_complain("-G, -b duration: and -b interval: are one thing: give one of them");
		return CW_EXIT_USAGE;
	}
	arguments->rotate_every_ns = ms * (CW_NS_PER_S / 1000);
	arguments->is_rotate_aligned = is_aligned;
	return 0;
}

int cw_option_ring(struct cw_arguments *arguments, const char *text)
{
	int result;

	if (strncmp(text, "filesize:", 9) == 0) {
		result = cw_option_number("-b filesize:", text + 9, 1, UINT64_MAX / 1000,
					  &arguments->rotate_bytes);
		arguments->rotate_bytes *= 1000;
		return result;
	}
	if (strncmp(text, "packets:", 8) == 0)
		return cw_option_number("-b packets:", text + 8, 1, UINT64_MAX,
					&arguments->rotate_packets);
	if (strncmp(text, "duration:", 9) == 0)
		return cw_option_period(arguments, "-b duration:", text + 9, false);
	if (strncmp(text, "interval:", 9) == 0)
		return cw_option_period(arguments, "-b interval:", text + 9, true);
	if (strncmp(text, "files:", 6) == 0)
		return cw_option_number("-b files:", text + 6, 1, INT64_MAX,
					&arguments->ring_files);
	if (strncmp(text, "printname:", 10) == 0 || strncmp(text, "nametimenum:", 12) == 0)
		cw_complain("-b %s is not in this version", text);
	else
		cw_complain(
		    "-b takes filesize:, packets:, duration:, interval: or files: and a number, "
		    "not '%s'",
		    text);
	return CW_EXIT_USAGE;
}

/* What --verify-filters may be given: one packet in N. NULL: it was not. */
int cw_option_verify(const char *text, uint64_t *every)
{
	*every = CW_VERIFY_EVERY_DEFAULT;
	if (!text)
		return 0;
	if (strncmp(text, "1/", 2) == 0)
		return cw_option_number("--verify-filters=1/", text + 2, 1, UINT32_MAX, every);
	cw_complain("--verify-filters takes 1/N, such as 1/%u, not '%s'", CW_VERIFY_EVERY_DEFAULT,
		    text);
	return CW_EXIT_USAGE;
}

int cw_option_choose(const char *option, const char *text, const char *first, const char *second,
		     int *choice)
{
	*choice = strcmp(text, first) == 0 ? 1 : strcmp(text, second) == 0 ? 2 : 0;
	if (*choice)
		return 0;
	cw_complain("%s takes %s or %s, not '%s'", option, first, second, text);
	return CW_EXIT_USAGE;
}

int cw_option_direct(const char *text, int *mode)
{
	static const char *const names[] = {"auto", "on", "off"}; /* as enum cw_direct_mode */

	for (*mode = CW_DIRECT_AUTO; *mode <= CW_DIRECT_OFF; ++*mode) {
		if (strcmp(text, names[*mode]) == 0)
			return 0;
	}
	cw_complain("--direct takes auto, on or off, not '%s'", text);
	return CW_EXIT_USAGE;
}
