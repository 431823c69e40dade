/* SPDX-License-Identifier: BSD-3-Clause */
/* The edit distance between names, with a swap of two letters as the cheapest slip. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/base.h"
#include "core/base/near.h"

#define WORD_BYTES_MAX 24u
#define SHORT_BYTES 3u /* a word this short is near to many: substitutions do not count */
#define LONG_BYTES 8u  /* a word from this length on may have two slips */
#define NAMES_SAID_MAX 3u

#define COST_SWAP 1u  /* two letters swapped: the most common slip */
#define COST_SKIP 2u  /* a letter too many or too few */
#define COST_OTHER 3u /* another letter */
#define COST_MAX COST_OTHER
#define COST_MAX_LONG (COST_OTHER + COST_SKIP)

static uint32_t least(uint32_t a, uint32_t b, uint32_t c)
{
	return cw_min_u32(cw_min_u32(a, b), c);
}

static bool is_same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Returns the cost of the slips that turn `name` into `word`; UINT32_MAX: too long to compare. */
static uint32_t cost_between(const char *word, size_t bytes, const char *name)
{
	uint32_t rows[3][WORD_BYTES_MAX + 1];
	size_t name_bytes = strlen(name);
	size_t i, j;

	if (bytes > WORD_BYTES_MAX || name_bytes > WORD_BYTES_MAX)
		return UINT32_MAX;
	for (j = 0; j <= name_bytes; j++)
		rows[0][j] = (uint32_t)j * COST_SKIP;
	for (i = 1; i <= bytes; i++) {
		uint32_t *row = rows[i % 3], *above = rows[(i - 1) % 3];

		row[0] = (uint32_t)i * COST_SKIP;
		for (j = 1; j <= name_bytes; j++) {
			uint32_t other = is_same(word[i - 1], name[j - 1]) ? 0 : COST_OTHER;

			row[j] = least(above[j] + COST_SKIP, row[j - 1] + COST_SKIP,
				       above[j - 1] + other);
			if (i > 1 && j > 1 && is_same(word[i - 1], name[j - 2]) &&
			    is_same(word[i - 2], name[j - 1]))
				row[j] = cw_min_u32(row[j], rows[(i + 1) % 3][j - 2] + COST_SWAP);
		}
	}
	return rows[bytes % 3][name_bytes];
}

static uint32_t cost_max(size_t bytes)
{
	return bytes <= SHORT_BYTES ? COST_OTHER - 1
	       : bytes < LONG_BYTES ? COST_MAX
				    : COST_MAX_LONG;
}

void cw_near_offer(struct cw_near *near, const char *name)
{
	uint32_t cost = cost_between(near->word, near->bytes, name);

	if (cost > cost_max(near->bytes) || near->count == CW_NEAR_NAMES_MAX)
		return;
	near->names[near->count] = name;
	near->costs[near->count++] = cost;
}

size_t cw_near_say(const struct cw_near *near, const char *before, const char *after, char *text,
		   size_t room)
{
	const char *meant[NAMES_SAID_MAX];
	uint32_t best = UINT32_MAX, count = 0, index;
	size_t used = 0;

	text[0] = '\0';
	for (index = 0; index < near->count; index++)
		best = cw_min_u32(best, near->costs[index]);
	if (best == 0)
		return 0;
	for (index = 0; index < near->count && count < NAMES_SAID_MAX; index++)
		if (near->costs[index] <= best + 1)
			meant[count++] = near->names[index];
	for (index = 0; index < count && used < room; index++)
		used +=
		    (size_t)snprintf(text + used, room - used, "%s%s%s%s%s",
				     index == 0           ? " did you mean "
				     : index + 1 == count ? " or "
							  : ", ",
				     before, meant[index], after, index + 1 == count ? "?" : "");
	return used < room ? used : room - 1;
}
