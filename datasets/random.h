/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator's randomness: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
 * generators", OOPSLA 2014). One 64-bit word of state, integers only, the same on every machine.
 */
#ifndef CW_DATASETS_RANDOM_H
#define CW_DATASETS_RANDOM_H

#include "core/base/base.h"

struct cw_random {
	uint64_t state; /* any value is a valid seed */
};

static inline uint64_t cw_random_next(struct cw_random *random)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Returns 0 .. limit - 1. Scales instead of dividing: a division would cost more than the draw. */
static inline uint32_t cw_random_below(struct cw_random *random, uint32_t limit)
{
	return (uint32_t)(((cw_random_next(random) >> 32) * limit) >> 32);
}

#endif
