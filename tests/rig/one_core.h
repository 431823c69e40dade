/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One processor for senders and for the timers of kernel rings. The kernel looks for room in a
 * ring without a lock: when the timer hands a block over on one processor, a packet that comes on
 * another may find no room, and is dropped. On the same processor each waits for the other.
 */
#ifndef CW_TESTS_RIG_ONE_CORE_H
#define CW_TESTS_RIG_ONE_CORE_H

#include <sched.h>

/* Stay on a processor; the first allowed one for -1. Fills `before`. */
static inline void one_core_enter(cpu_set_t *before, int core)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof(*before), before) < 0) {
		CPU_ZERO(before);
		return;
	}
	for (int i = 0; core < 0 && i < CPU_SETSIZE; i++)
		if (CPU_ISSET((size_t)i, before))
			core = i;
	CPU_SET((size_t)core, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
}

static inline void one_core_leave(const cpu_set_t *before)
{
	(void)sched_setaffinity(0, sizeof(*before), before);
}

#endif
