/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/base/text.h"

#include <stdbool.h>
#include <stddef.h>

#define DELETE 0x7f
#define C1_LEAD 0xc2 /* U+0080 to U+009F are 0xc2 and a byte below C1_END */
#define C1_END 0xa0

/* Bytes of characters by their first byte, with the range of the second (RFC 3629). */
static const struct {
	unsigned char first, last, low, high;
	size_t bytes;
} kinds[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Returns the bytes of the UTF-8 character at `at`, 0 if there is none. */
static size_t character_bytes(const unsigned char *at)
{
	size_t bytes = 0;

	if (*at < 0x80)
		return 1;
	for (size_t index = 0; index < sizeof(kinds) / sizeof(*kinds); index++) {
		if (*at >= kinds[index].first && *at <= kinds[index].last &&
		    at[1] >= kinds[index].low && at[1] <= kinds[index].high)
			bytes = kinds[index].bytes;
	}
	for (size_t index = 2; index < bytes; index++) {
		if (at[index] < 0x80 || at[index] > 0xbf)
			return 0;
	}
	return bytes;
}

static bool is_control(const unsigned char *at)
{
	return (*at < ' ' && *at != '\n') || *at == DELETE || (*at == C1_LEAD && at[1] < C1_END);
}

static void clean(unsigned char *at, bool keeps_controls)
{
	while (*at) {
		size_t bytes = character_bytes(at);

		if (bytes && (keeps_controls || !is_control(at))) {
			at += bytes;
			continue;
		}
		do
			*at++ = '?';
		while (bytes > 1 && --bytes);
	}
}

void cw_text_clean(char *text)
{
	clean((unsigned char *)text, false);
}

void cw_text_make_utf8(char *text)
{
	clean((unsigned char *)text, true);
}
