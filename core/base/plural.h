/* SPDX-License-Identifier: BSD-3-Clause */
/* The plural of nouns in messages: printf("%u file%s", count, cw_plural(count)). */
#ifndef CW_CORE_BASE_PLURAL_H
#define CW_CORE_BASE_PLURAL_H

#include <stdint.h>

/* Returns how a noun ends after this count. */
static inline const char *cw_plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

#endif
