/* SPDX-License-Identifier: BSD-3-Clause */
/* Matching one packet, or a burst of them, with a built set. */
#include "core/filter_collect.h"
#include "core/filter_set_parts.h"

#define PREFETCH_PACKETS 8u /* a burst asks for memory so far ahead */
#define PREFETCH_BYTES 64u  /* and for the line behind, where headers end */
#define OFTEN 4u            /* a match in so many packets is not foreseen */

static uint32_t match_entry(const struct cw_filter_set *set, const struct cw_filter_entry *entry,
			    const struct cw_packet *packet)
{
	const struct cw_filter *filter = entry->filter;

	if (set->options.engine == CW_ENGINE_LIBPCAP)
		return cw_filter_match_libpcap(filter, packet->data, packet->caplen,
					       packet->wire_len);
	if (!cw_filter_meets(entry->required, entry->requirement_count, packet->data,
			     packet->caplen))
		return 0;
	return cw_filter_match(filter, packet->data, packet->caplen, packet->wire_len);
}

static inline uint32_t find_events(const struct cw_decision *decision,
				   const struct cw_packet *packet, uint32_t *events)
{
	if (decision->jit)
		return cw_jit_run(decision, packet->data, packet->caplen, packet->wire_len, events);
	return cw_walk(decision, packet->data, packet->caplen, packet->wire_len, events);
}

/* The ids of a program's filters that match; ascending. */
static size_t match_program(const struct cw_filter_program *program, enum cw_filter_mode mode,
			    const struct cw_packet *packet, uint32_t *ids)
{
	uint32_t room[1 + CW_EVENTS_ROOM];
	uint32_t *events = room + 1;
	uint32_t count;

	room[0] = CW_EVENT_NONE;
	count = find_events(&program->decision, packet, events);
	return cw_collect(&program->decision, events, count, mode, program->ids, ids);
}

/* Put `id` in its place among the `count` ids, the largest of which are the likely place. */
static void insert_id(uint32_t *ids, size_t count, uint32_t id)
{
	size_t at = count;

	while (at > 0 && ids[at - 1] > id)
		at--;
	memmove(&ids[at + 1], &ids[at], (count - at) * sizeof(*ids));
	ids[at] = id;
}

static size_t match_all(const struct cw_filter_set *set, const struct cw_packet *packet,
			uint32_t *ids)
{
	size_t found = 0, joint;
	size_t i;

	for (i = 0; i < set->program_count; i++)
		found += match_program(&set->programs[i], CW_FILTER_ALL, packet, ids + found);
	joint = found;
	for (i = 0; i < set->apart_count; i++) {
		if (!match_entry(set, set->apart[i], packet))
			continue;
		if (joint)
			insert_id(ids, found, set->apart[i]->id);
		else
			ids[found] = set->apart[i]->id;
		found++;
	}
	return found;
}

static size_t match_first(const struct cw_filter_set *set, const struct cw_packet *packet,
			  uint32_t *id)
{
	size_t found = 0;
	size_t i;

	for (i = 0; i < set->program_count && !found; i++)
		found = match_program(&set->programs[i], CW_FILTER_FIRST, packet, id);
	for (i = 0; i < set->apart_count && !(found && set->apart[i]->id > *id); i++) {
		if (!match_entry(set, set->apart[i], packet))
			continue;
		*id = set->apart[i]->id;
		return 1;
	}
	return found;
}

size_t cw_filter_set_match(const struct cw_filter_set *set, const struct cw_packet *packet,
			   uint32_t *ids)
{
	if (cw_unlikely(packet->flags & CW_PACKET_MALFORMED))
		return 0;
	if (set->options.mode == CW_FILTER_FIRST)
		return match_first(set, packet, ids);
	return match_all(set, packet, ids);
}

size_t cw_filter_set_match_libpcap(const struct cw_filter_set *set, const struct cw_packet *packet,
				   uint32_t *ids)
{
	size_t wanted = set->options.mode == CW_FILTER_FIRST ? 1 : set->count;
	size_t found = 0;
	size_t i;

	if (packet->flags & CW_PACKET_MALFORMED)
		return 0;
	for (i = 0; i < set->count && found < wanted; i++)
		if (cw_filter_match_libpcap(set->entries[i].filter, packet->data, packet->caplen,
					    packet->wire_len))
			ids[found++] = set->entries[i].id;
	return found;
}

static void prefetch(const struct cw_packet *packet)
{
	__builtin_prefetch(packet->data);
	__builtin_prefetch(packet->data + PREFETCH_BYTES);
}

/* The common case without detours: one program. As cw_filter_set_match_burst. */
static size_t match_burst_joint(const struct cw_filter_set *set, const struct cw_packet *packets,
				size_t count, uint32_t *ids, size_t ids_capacity, uint32_t *ends)
{
	const struct cw_filter_program *program = &set->programs[0];
	const struct cw_decision *decision = &program->decision;
	uint32_t few = decision->owners ? 0 : 2;
	uint32_t room[1 + CW_EVENTS_ROOM];
	uint32_t *events = room + 1;
	size_t used = 0;
	size_t i;

	room[0] = CW_EVENT_NONE;
	events[0] = events[1] = 0;
	for (i = 0; i < count && ids_capacity - used >= set->count; i++) {
		const struct cw_packet *packet = &packets[i];
		uint32_t event_count, found;

		if (i + PREFETCH_PACKETS < count)
			prefetch(packet + PREFETCH_PACKETS);
		if (cw_unlikely(packet->flags & CW_PACKET_MALFORMED))
			event_count = 0;
		else
			event_count = find_events(decision, packet, events);
		if (used <= i / OFTEN && event_count == 0) {
			ends[i] = (uint32_t)used;
			continue;
		}
		found = CW_NONE;
		if (cw_likely(event_count <= few))
			found = cw_collect_two(events, event_count, program->ids, ids + used);
		if (cw_unlikely(found == CW_NONE))
			found = (uint32_t)cw_collect(decision, events, event_count, CW_FILTER_ALL,
						     program->ids, ids + used);
		used += found;
		ends[i] = (uint32_t)used;
	}
	return i;
}

/* Likewise where only the lowest id is asked for. */
static size_t match_burst_first(const struct cw_filter_set *set, const struct cw_packet *packets,
				size_t count, uint32_t *ids, size_t ids_capacity, uint32_t *ends)
{
	const struct cw_filter_program *program = &set->programs[0];
	const struct cw_decision *decision = &program->decision;
	uint32_t room[1 + CW_EVENTS_ROOM];
	uint32_t *events = room + 1;
	size_t used = 0;
	size_t i;

	room[0] = CW_EVENT_NONE;
	for (i = 0; i < count && used < ids_capacity; i++) {
		const struct cw_packet *packet = &packets[i];

		if (i + PREFETCH_PACKETS < count)
			prefetch(packet + PREFETCH_PACKETS);
		if (!cw_unlikely(packet->flags & CW_PACKET_MALFORMED))
			used += cw_collect(decision, events, find_events(decision, packet, events),
					   CW_FILTER_FIRST, program->ids, ids + used);
		ends[i] = (uint32_t)used;
	}
	return i;
}

size_t cw_filter_set_match_burst(const struct cw_filter_set *set, const struct cw_packet *packets,
				 size_t count, uint32_t *ids, size_t ids_capacity, uint32_t *ends)
{
	size_t ids_max =
	    set->options.mode == CW_FILTER_FIRST ? cw_min_size(set->count, 1) : set->count;
	size_t used = 0;
	size_t i;

	if (ids_max == 0) {
		memset(ends, 0, count * sizeof(*ends));
		return count;
	}
	for (i = 0; i < count && i < PREFETCH_PACKETS; i++)
		prefetch(&packets[i]);
	if (set->program_count == 1 && set->apart_count == 0)
		return (set->options.mode == CW_FILTER_ALL ? match_burst_joint : match_burst_first)(
		    set, packets, count, ids, ids_capacity, ends);
	for (i = 0; i < count && ids_capacity - used >= ids_max; i++) {
		if (i + PREFETCH_PACKETS < count)
			prefetch(&packets[i + PREFETCH_PACKETS]);
		used += cw_filter_set_match(set, &packets[i], ids + used);
		ends[i] = (uint32_t)used;
	}
	return i;
}
