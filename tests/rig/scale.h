/* SPDX-License-Identifier: BSD-3-Clause */
/* How much of its work a test does: all of it by default, a share in sanitizer builds. */
#ifndef CW_TESTS_RIG_SCALE_H
#define CW_TESTS_RIG_SCALE_H

#include <stdint.h>
#include <stdlib.h>

static inline double scale(void)
{
	const char *text = getenv("CAPWEIR_TEST_SCALE");

	return text ? atof(text) : 1;
}

/* Returns `count` times CAPWEIR_TEST_SCALE, but not less than `least`. */
static inline uint32_t scaled(uint32_t count, uint32_t least)
{
	uint32_t result = (uint32_t)(count * scale());

	return result < least ? least : result;
}

#endif
