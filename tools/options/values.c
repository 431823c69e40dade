/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "pipeline/pipeline.h"
#include "pipeline/rules/amount.h"
#include "tools/options/values.h"

#define NS_PER_MS (CW_NS_PER_S / 1000)
#define PERIOD_MS_MAX (UINT64_C(86400) * 1000 * 366 * 100)

int cw_option_amount(const char *option, const char *text, const struct cw_amount *amount,
		     uint64_t *value)
{
	char range[CW_AMOUNT_BYTES];

	if (cw_amount_parse(amount, text, value) == 0)
		return 0;
	cw_complain("%s takes %s, not '%s'", option, cw_amount_describe(amount, range), text);
	return CW_EXIT_USAGE;
}

int cw_option_number(const char *option, const char *text, uint64_t least, uint64_t most,
		     uint64_t *number)
{
	const struct cw_amount amount = {CW_COUNT, 1, least, most};

	return cw_option_amount(option, text, &amount, number);
}

int cw_option_bytes(const char *option, const char *text, uint64_t bare, uint64_t least,
		    uint64_t most, uint64_t *bytes)
{
	const struct cw_amount amount = {CW_SIZE, bare, least, most};

	return cw_option_amount(option, text, &amount, bytes);
}

int cw_option_ms(const char *option, const char *text, uint64_t bare_ns, uint64_t most_ms,
		 uint64_t *ms)
{
	const struct cw_amount amount = {CW_TIME, bare_ns, NS_PER_MS, most_ms * NS_PER_MS};
	uint64_t ns = 0;
	int result = cw_option_amount(option, text, &amount, &ns);

	*ms = (ns + NS_PER_MS / 2) / NS_PER_MS;
	return result;
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

int cw_option_period(struct cw_arguments *arguments, const char *option, const char *text,
		     bool is_aligned)
{
	uint64_t ms = 0;
	int result = cw_option_ms(option, text, CW_NS_PER_S, PERIOD_MS_MAX, &ms);

	if (result)
		return result;
	if (arguments->rotate_every_ns) {
		cw_complain("-G, -b duration: and -b interval: are one thing: give one of them");
		return CW_EXIT_USAGE;
	}
	arguments->rotate_every_ns = ms * NS_PER_MS;
	arguments->is_rotate_aligned = is_aligned;
	return 0;
}

int cw_option_ring(struct cw_arguments *arguments, const char *text)
{
	if (strncmp(text, "filesize:", 9) == 0)
		return cw_option_bytes("-b filesize:", text + 9, 1000, 1, UINT64_MAX,
				       &arguments->rotate_bytes);
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
