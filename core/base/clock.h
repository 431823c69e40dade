/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clocks in nanoseconds.
 */
#ifndef CW_CORE_BASE_CLOCK_H
#define CW_CORE_BASE_CLOCK_H

#include <time.h>

#include "core/base/base.h"

static inline uint64_t cw_clock_ns(clockid_t clock)
{
	struct timespec now = {0};

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * CW_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* The monotonic clock: never goes backwards. For durations and deadlines. */
static inline uint64_t cw_now_ns(void)
{
	return cw_clock_ns(CLOCK_MONOTONIC);
}

/* The wall clock: nanoseconds since 1970. Can be set. For timestamps. */
static inline uint64_t cw_wall_ns(void)
{
	return cw_clock_ns(CLOCK_REALTIME);
}

#endif
