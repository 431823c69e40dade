/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The names that a misspelt word may mean: "did you mean 'size'?".
 *
 *	struct cw_near near = {.word = "sise", .bytes = 4};
 *	cw_near_offer(&near, "size");              each known name
 *	cw_near_say(&near, "'", "'", text, sizeof(text));
 */
#ifndef CW_CORE_BASE_NEAR_H
#define CW_CORE_BASE_NEAR_H

#include <stddef.h>
#include <stdint.h>

#define CW_NEAR_NAMES_MAX 8u /* most candidates; further ones are dropped */
#define CW_NEAR_TEXT_BYTES 96u

struct cw_near {
	const char *word;
	size_t bytes; /* bytes of the word, which need not end with a NUL */
	uint32_t count;
	const char *names[CW_NEAR_NAMES_MAX]; /* borrows */
	uint32_t costs[CW_NEAR_NAMES_MAX];
};

/* Adds the name if it is near to the word; ignores case. */
void cw_near_offer(struct cw_near *near, const char *name);

/*
 * Writes " did you mean 'a', 'b' or 'c'?" with the nearest names, each between `before` and
 * `after`; an empty text if no name is near, or if the word is itself a name. Returns its length.
 */
size_t cw_near_say(const struct cw_near *near, const char *before, const char *after, char *text,
		   size_t room);

#endif
