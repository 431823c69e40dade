/* SPDX-License-Identifier: BSD-3-Clause */
/* Parses numbers with suffixes, and describes the numbers that an option or key takes. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/base.h"
#include "pipeline/rules/amount.h"

#define NUMBER_BYTES 32u
#define RANGE_BYTES (2 * NUMBER_BYTES + 16)

struct unit {
	enum cw_amount_kind kind;
	const char *suffix;
	uint64_t unit;
};

/* Larger units first. Of several suffixes for one unit, messages use the first. */
static const struct unit units[] = {
    {CW_COUNT, "G", 1000000000},
    {CW_COUNT, "M", 1000000},
    {CW_COUNT, "k", 1000},
    {CW_SIZE, "TiB", UINT64_C(1) << 40},
    {CW_SIZE, "t", UINT64_C(1) << 40},
    {CW_SIZE, "T", UINT64_C(1) << 40},
    {CW_SIZE, "TB", UINT64_C(1000000000000)},
    {CW_SIZE, "GiB", UINT64_C(1) << 30},
    {CW_SIZE, "g", UINT64_C(1) << 30},
    {CW_SIZE, "G", UINT64_C(1) << 30},
    {CW_SIZE, "GB", UINT64_C(1000000000)},
    {CW_SIZE, "MiB", UINT64_C(1) << 20},
    {CW_SIZE, "m", UINT64_C(1) << 20},
    {CW_SIZE, "M", UINT64_C(1) << 20},
    {CW_SIZE, "MB", 1000000},
    {CW_SIZE, "KiB", 1024},
    {CW_SIZE, "k", 1024},
    {CW_SIZE, "K", 1024},
    {CW_SIZE, "kB", 1000},
    {CW_SIZE, "KB", 1000},
    {CW_SIZE, "B", 1},
    {CW_TIME, "d", 86400 * CW_NS_PER_S},
    {CW_TIME, "h", 3600 * CW_NS_PER_S},
    {CW_TIME, "m", 60 * CW_NS_PER_S},
    {CW_TIME, "s", CW_NS_PER_S},
    {CW_TIME, "ms", CW_NS_PER_S / 1000},
    {CW_TIME, "us", CW_NS_PER_S / 1000000},
};

static uint64_t unit_of(const struct cw_amount *amount, const char *suffix)
{
	if (!*suffix)
		return amount->bare;
	for (size_t i = 0; i < CW_ARRAY_COUNT(units); i++)
		if (units[i].kind == amount->kind && !strcmp(units[i].suffix, suffix))
			return units[i].unit;
	return 0;
}

int cw_amount_parse(const struct cw_amount *amount, const char *text, uint64_t *value)
{
	size_t digits = strspn(text, "0123456789");
	const char *fraction = text + digits;
	bool has_fraction = amount->kind == CW_TIME && *fraction == '.';
	size_t places = has_fraction ? strspn(fraction + 1, "0123456789") : 0;
	uint64_t unit = unit_of(amount, fraction + has_fraction + places);
	uint64_t part = unit;
	uint64_t sum = 0;

	if (!digits || !unit)
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(text[i] - '0'), &sum))
			return -ERANGE;
	if (__builtin_mul_overflow(sum, unit, &sum))
		return -ERANGE;
	for (size_t i = 1; i <= places; i++) {
		part /= 10;
		if (__builtin_add_overflow(sum, part * (uint64_t)(fraction[i] - '0'), &sum))
			return -ERANGE;
	}
	if (sum < amount->least || sum > amount->most)
		return -ERANGE;
	*value = sum;
	return 0;
}

int cw_mode_parse(const struct cw_amount *bits, const char *text, uint32_t *mode)
{
	const char *digits = strncmp(text, "0o", 2) ? text : text + 2;
	size_t count = strspn(digits, "01234567");
	uint64_t value = 0;

	if (!count || digits[count] || count > 6)
		return -EINVAL;
	for (; *digits; digits++)
		value = 8 * value + (uint64_t)(*digits - '0');
	if ((value & bits->least) != bits->least || (value & ~bits->most))
		return -EINVAL;
	*mode = (uint32_t)value;
	return 0;
}

/* Prints the value in the largest unit that divides it. */
static const char *print(enum cw_amount_kind kind, uint64_t value, char text[NUMBER_BYTES])
{
	uint64_t unit = 1;
	const char *suffix = "";

	for (size_t i = 0; value && kind != CW_COUNT && i < CW_ARRAY_COUNT(units); i++) {
		if (units[i].kind != kind || value % units[i].unit)
			continue;
		unit = units[i].unit;
		suffix = units[i].suffix;
		break;
	}
	snprintf(text, NUMBER_BYTES, "%" PRIu64 "%s", value / unit, suffix);
	return text;
}

/* "from A to B", "of at least A", or nothing where only the field's type ends the range. */
static void print_range(const struct cw_amount *amount, char text[RANGE_BYTES])
{
	char least[NUMBER_BYTES], most[NUMBER_BYTES];

	print(amount->kind, amount->least, least);
	if (amount->most < INT64_MAX)
		snprintf(text, RANGE_BYTES, " from %s to %s", least,
			 print(amount->kind, amount->most, most));
	else
		snprintf(text, RANGE_BYTES, "%s%s", amount->least ? " of at least " : "",
			 amount->least ? least : "");
}

const char *cw_amount_describe(const struct cw_amount *amount, char text[CW_AMOUNT_BYTES])
{
	static const struct {
		const char *name;
		const char *suffixes;
	} kinds[] = {
	    [CW_WHOLE] = {"a whole number", NULL},
	    [CW_COUNT] = {"a count", "k, M, G"},
	    [CW_SIZE] = {"a size", "k, m, g, t, KiB, kB, ..."},
	    [CW_TIME] = {"a time", "us, ms, s, m, h, d"},
	};
	char range[RANGE_BYTES], bare[NUMBER_BYTES];
	bool has_unit = amount->kind == CW_SIZE || amount->kind == CW_TIME;
	int bytes;

	print_range(amount, range);
	bytes = snprintf(text, CW_AMOUNT_BYTES, "%s%s", kinds[amount->kind].name, range);
	/* The unit follows the 1. */
	if (kinds[amount->kind].suffixes)
		snprintf(text + bytes, CW_AMOUNT_BYTES - (size_t)bytes, " (%s%s%ssuffixes %s)",
			 has_unit ? "a bare number is in " : "",
			 has_unit ? print(amount->kind, amount->bare, bare) + 1 : "",
			 has_unit ? "; " : "", kinds[amount->kind].suffixes);
	return text;
}
