/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a packet's events to ids: the inline part for most packets, used by set.c. cw_collect of
 * decision.h does the rest.
 */
#ifndef CW_CORE_FILTER_ENGINE_COLLECT_H
#define CW_CORE_FILTER_ENGINE_COLLECT_H

#include "core/filter/engine/decision.h"

/* All bits or none, to choose without a branch; the compiler would turn ?: into one here. */
static inline uint32_t cw_mask_if(bool condition)
{
	return 0u - (uint32_t)condition;
}

/*
 * Turn zero to two events (`count`; both can be read) into ids, for a program whose parts are its
 * filters: by far most packets. Number and order of the events are unpredictable and cost no
 * branch. Returns the number of ids, and writes one more; CW_NONE: events of another kind.
 */
static inline uint32_t cw_collect_two(const uint32_t events[2], uint32_t count,
				      const uint32_t *ids_of, uint32_t *ids)
{
	uint32_t one = events[0] & cw_mask_if(count > 0) & ~CW_REF_EVENT;
	uint32_t two =
	    (events[1] & cw_mask_if(count > 1) & ~CW_REF_EVENT) | (one & cw_mask_if(count < 2));
	uint32_t swap = (one ^ two) & cw_mask_if(one > two);

	if (cw_unlikely((one | two) > CW_EVENT_MASK))
		return CW_NONE;
	ids[0] = ids_of[one ^ swap];
	ids[one != two] = ids_of[two ^ swap];
	return (uint32_t)(count > 0) + (uint32_t)(one != two);
}

#endif
