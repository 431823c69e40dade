/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the events of a packet to ids, for most packets: inline, for set.c. The rest is
 * cw_collect of decision.h.
 */
#ifndef CW_CORE_FILTER_ENGINE_COLLECT_H
#define CW_CORE_FILTER_ENGINE_COLLECT_H

#include "core/filter/engine/decision.h"

/* All bits, or none: for choosing without a branch, which the compiler would make of ?: here. */
static inline uint32_t cw_mask_if(bool condition)
{
	return 0u - (uint32_t)condition;
}

/*
 * The ids of no, one or two events (0 .. 2 = count; two can be read) of a program whose parts are
 * its filters: most packets by far. Their number and order cost no branch, as nobody foresees them.
 * Returns how many there are, and writes one more; or CW_NONE where events are of another kind.
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
