/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a packet's events or bits to ids: the inline part for most packets, used by set.c. The rest
 * is cw_collect of decision.h.
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

/* Run the program, as machine code or walked; as cw_walk. */
static inline uint32_t cw_find_events(const struct cw_decision *decision,
				      const struct cw_packet *packet, uint32_t *events)
{
	if (decision->jit)
		return cw_jit_run(decision, packet->data, packet->caplen, packet->wire_len, events);
	return cw_walk(decision, packet->data, packet->caplen, packet->wire_len, events);
}

/* Walk a program with event_bits. */
uint64_t cw_walk_bits(const struct cw_decision *decision, const struct cw_packet *packet);

/* Run a program with event_bits; returns the matching filters, for FIRST perhaps more than one. */
static inline uint64_t cw_find_bits(const struct cw_decision *decision,
				    const struct cw_packet *packet)
{
	if (cw_likely(decision->jit != NULL))
		return cw_jit_run_bits(decision, packet->data, packet->caplen, packet->wire_len);
	return cw_walk_bits(decision, packet);
}

/* As cw_collect, of filters as bits, `filter_count` of them in the program. */
size_t cw_collect_bits(uint64_t bits, const uint32_t *ids_of, uint32_t filter_count, uint32_t *ids);

/* As cw_collect_bits: up to two filters, by far most packets, cost no branch. */
static inline size_t cw_list_bits(uint64_t bits, const uint32_t *ids_of, uint32_t filter_count,
				  uint32_t *ids)
{
	uint64_t last = UINT64_C(1) << (filter_count - 1); /* for a place that does not count */
	uint64_t rest = bits & (bits - 1);

	if (cw_unlikely(rest & (rest - 1)))
		return cw_collect_bits(bits, ids_of, filter_count, ids);
	ids[rest != 0] = ids_of[__builtin_ctzll(rest | last)];
	ids[0] = ids_of[__builtin_ctzll(bits | last)];
	return (size_t)(bits != 0) + (size_t)(rest != 0);
}

#endif
