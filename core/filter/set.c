/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many filters, matched together: the front of the engines. programs.c divides the filters into
 * decision programs and a sequential tier; the ids of both are merged in ascending order.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/filter/engine/collect.h"
#include "core/filter/set.h"

#define FILTERS_FIRST 16u   /* filters a new set has room for; the room doubles */
#define PREFETCH_PACKETS 8u /* packets that a burst prefetches ahead */
#define PREFETCH_BYTES 64u  /* offset of the second prefetched line, where headers end */
#define OFTEN 4u            /* with a match in 4 packets, branches on it are mispredicted */

int cw_filter_set_new(struct cw_filter_set **set, const struct cw_filter_set_options *options,
		      struct cw_error *error)
{
	*set = calloc(1, sizeof(**set));
	if (!*set)
		return cw_error_set(error, -ENOMEM, "cannot make a set of filters: out of memory");
	(*set)->options = *options;
	(*set)->budget = cw_filter_budget_default;
	return 0;
}

static int grow_entries(struct cw_filter_set *set)
{
	size_t capacity = set->capacity ? 2 * set->capacity : FILTERS_FIRST;
	struct cw_set_entry *entries = realloc(set->entries, capacity * sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	set->entries = entries;
	set->capacity = capacity;
	return 0;
}

static int grow_ids(struct cw_filter_set *set, uint32_t id)
{
	size_t words = set->ids_seen_words ? set->ids_seen_words : FILTERS_FIRST;
	uint32_t *seen;

	while (words <= id / 32)
		words *= 2;
	seen = realloc(set->ids_seen, words * sizeof(*seen));
	if (!seen)
		return -ENOMEM;
	memset(seen + set->ids_seen_words, 0, (words - set->ids_seen_words) * sizeof(*seen));
	set->ids_seen = seen;
	set->ids_seen_words = words;
	return 0;
}

/* Make room for `id`; refuses an id that cannot be added. */
static int reserve(struct cw_filter_set *set, uint32_t id, struct cw_error *error)
{
	if (set->is_built)
		return cw_error_set(error, -EINVAL,
				    "cannot add filter %u: the set is already built", id);
	if (id > CW_FILTER_ID_MAX)
		return cw_error_set(error, -EINVAL, "filter id %u is too large; the limit is %u",
				    id, CW_FILTER_ID_MAX);
	if ((id / 32 >= set->ids_seen_words && grow_ids(set, id)) ||
	    (set->count == set->capacity && grow_entries(set)))
		return cw_error_set(error, -ENOMEM, "cannot make a set of filters: out of memory");
	if (set->ids_seen[id / 32] >> (id % 32) & 1)
		return cw_error_set(error, -EEXIST, "filter id %u is used twice", id);
	return 0;
}

static void append(struct cw_filter_set *set, uint32_t id, struct cw_filter *filter)
{
	set->entries[set->count++] = (struct cw_set_entry){.id = id, .filter = filter};
	set->ids_seen[id / 32] |= UINT32_C(1) << (id % 32);
}

int cw_filter_set_add(struct cw_filter_set *set, uint32_t id, const char *expression,
		      struct cw_error *error)
{
	struct cw_filter *filter;
	int result = reserve(set, id, error);

	if (result)
		return result;
	result = cw_filter_compile(&filter, expression, &set->options.filter, error);
	if (result < 0)
		return result;
	append(set, id, filter);
	return result;
}

int cw_filter_set_add_filter(struct cw_filter_set *set, uint32_t id, struct cw_filter *filter,
			     struct cw_error *error)
{
	int result = reserve(set, id, error);

	if (result)
		return result;
	append(set, id, filter);
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct cw_set_entry *left = a;
	const struct cw_set_entry *right = b;

	return left->id < right->id ? -1 : left->id > right->id;
}

/* ---- building ---- */

void cw_filter_set_budget(struct cw_filter_set *set, const struct cw_filter_budget *budget)
{
	set->budget = *budget;
}

int cw_filter_set_build(struct cw_filter_set *set, struct cw_error *error)
{
	uint64_t start_ns = cw_now_ns();
	int result;

	if (set->is_built)
		return cw_error_set(error, -EINVAL, "the set of filters is already built");
	if (set->count)
		qsort(set->entries, set->count, sizeof(*set->entries), by_id);
	free(set->ids_seen);
	set->ids_seen = NULL;
	set->is_built = true;
	result = cw_set_build_programs(set);
	set->build_ns = cw_now_ns() - start_ns;
	if (result)
		return cw_error_set(error, result, "cannot join %zu filters: out of memory",
				    set->count);
	return 0;
}

/* ---- matching ---- */

static uint32_t match_entry(const struct cw_filter_set *set, const struct cw_set_entry *entry,
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

/* Fills the ids of a program's matching filters, ascending; returns their number. */
static size_t match_program(const struct cw_set_program *program, enum cw_filter_mode mode,
			    const struct cw_packet *packet, uint32_t *ids)
{
	const struct cw_decision *decision = &program->decision;
	uint32_t events[CW_EVENTS_ROOM];
	uint64_t bits;

	if (!decision->event_bits)
		return cw_collect(decision, events, cw_find_events(decision, packet, events), mode,
				  program->ids, ids);
	bits = cw_find_bits(decision, packet);
	return cw_collect_bits(mode == CW_FILTER_FIRST ? bits & (0 - bits) : bits, program->ids,
			       decision->filter_count, ids);
}

/* Insert `id` into `count` ascending ids, searching from the end, its likely place. */
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

	for (size_t i = 0; i < set->program_count; i++)
		found += match_program(&set->programs[i], CW_FILTER_ALL, packet, ids + found);
	joint = found;
	for (size_t i = 0; i < set->apart_count; i++) {
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

	for (size_t i = 0; i < set->program_count && !found; i++)
		found = match_program(&set->programs[i], CW_FILTER_FIRST, packet, id);
	for (size_t i = 0; i < set->apart_count && !(found && set->apart[i]->id > *id); i++) {
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

	if (packet->flags & CW_PACKET_MALFORMED)
		return 0;
	for (size_t i = 0; i < set->count && found < wanted; i++)
		if (cw_filter_match_libpcap(set->entries[i].filter, packet->data, packet->caplen,
					    packet->wire_len))
			ids[found++] = set->entries[i].id;
	return found;
}

uint32_t cw_filter_set_reach(const struct cw_filter_set *set)
{
	uint32_t reach = 0;

	for (size_t i = 0; i < set->count; i++) {
		uint32_t each = cw_filter_reach(set->entries[i].filter);

		reach = each > reach ? each : reach;
	}
	return reach;
}

static void prefetch(const struct cw_packet *packet)
{
	__builtin_prefetch(packet->data);
	__builtin_prefetch(packet->data + PREFETCH_BYTES);
}

/* The most ids that one packet can match. */
static size_t ids_max_of(const struct cw_filter_set *set)
{
	return set->options.mode == CW_FILTER_FIRST ? cw_min_size(set->count, 1) : set->count;
}

/* As cw_filter_set_match_burst, for the common set that is one program. */
static size_t match_burst_joint(const struct cw_filter_set *set, const struct cw_packet *packets,
				size_t count, uint32_t *ids, size_t ids_capacity, uint32_t *ends)
{
	const struct cw_set_program *program = &set->programs[0];
	const struct cw_decision *decision = &program->decision;
	enum cw_filter_mode mode = set->options.mode;
	uint32_t few = decision->owners ? 0 : mode == CW_FILTER_FIRST ? 1 : 2;
	uint32_t events[CW_EVENTS_ROOM];
	size_t ids_max = ids_max_of(set);
	size_t used = 0;
	size_t i;

	events[0] = events[1] = 0;
	for (i = 0; i < count && ids_capacity - used >= ids_max; i++) {
		const struct cw_packet *packet = &packets[i];
		uint32_t event_count, found;

		if (i + PREFETCH_PACKETS < count)
			prefetch(packet + PREFETCH_PACKETS);
		if (cw_unlikely(packet->flags & CW_PACKET_MALFORMED))
			event_count = 0;
		else
			event_count = cw_find_events(decision, packet, events);
		if (used <= i / OFTEN && event_count == 0) {
			ends[i] = (uint32_t)used;
			continue;
		}
		found = CW_NONE;
		if (cw_likely(event_count <= few))
			found = cw_collect_two(events, event_count, program->ids, ids + used);
		if (cw_unlikely(found == CW_NONE))
			found = (uint32_t)cw_collect(decision, events, event_count, mode,
						     program->ids, ids + used);
		used += found;
		ends[i] = (uint32_t)used;
	}
	return i;
}

/* As match_burst_joint, for a program with bits. */
static size_t match_burst_bits(const struct cw_filter_set *set, const struct cw_packet *packets,
			       size_t count, uint32_t *ids, size_t ids_capacity, uint32_t *ends)
{
	const struct cw_set_program *program = &set->programs[0];
	bool is_first = set->options.mode == CW_FILTER_FIRST;
	size_t ids_max = ids_max_of(set);
	size_t used = 0;
	size_t i;

	for (i = 0; i < count && ids_capacity - used >= ids_max; i++) {
		const struct cw_packet *packet = &packets[i];
		uint64_t bits = 0;

		if (i + PREFETCH_PACKETS < count)
			prefetch(packet + PREFETCH_PACKETS);
		if (cw_likely(!(packet->flags & CW_PACKET_MALFORMED)))
			bits = cw_find_bits(&program->decision, packet);
		if (used > i / OFTEN || bits) {
			bits = is_first ? bits & (0 - bits) : bits;
			used += cw_list_bits(bits, program->ids, program->decision.filter_count,
					     ids + used);
		}
		ends[i] = (uint32_t)used;
	}
	return i;
}

size_t cw_filter_set_match_burst(const struct cw_filter_set *set, const struct cw_packet *packets,
				 size_t count, uint32_t *ids, size_t ids_capacity, uint32_t *ends)
{
	size_t ids_max = ids_max_of(set);
	size_t used = 0;
	size_t i;

	if (ids_max == 0) {
		memset(ends, 0, count * sizeof(*ends));
		return count;
	}
	for (i = 0; i < count && i < PREFETCH_PACKETS; i++)
		prefetch(&packets[i]);
	if (set->program_count == 1 && set->apart_count == 0)
		return (set->programs[0].decision.event_bits
			    ? match_burst_bits
			    : match_burst_joint)(set, packets, count, ids, ids_capacity, ends);
	for (i = 0; i < count && ids_capacity - used >= ids_max; i++) {
		if (i + PREFETCH_PACKETS < count)
			prefetch(&packets[i + PREFETCH_PACKETS]);
		used += cw_filter_set_match(set, &packets[i], ids + used);
		ends[i] = (uint32_t)used;
	}
	return i;
}

/* ---- matching to bits ---- */

static uint64_t program_bits(const struct cw_set_program *program, const struct cw_packet *packet)
{
	static const uint32_t places[CW_BITS_MAX] = {
	    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
	    22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
	    44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
	const struct cw_decision *decision = &program->decision;
	uint32_t events[CW_EVENTS_ROOM], found[CW_BITS_MAX];
	uint64_t bits = 0;
	size_t count;

	if (decision->event_bits)
		return cw_find_bits(decision, packet);
	count = cw_collect(decision, events, cw_find_events(decision, packet, events),
			   CW_FILTER_ALL, places, found);
	for (size_t i = 0; i < count; i++)
		bits |= UINT64_C(1) << found[i];
	return bits;
}

/* The bits of a packet that is not malformed, with any set. */
static uint64_t match_bits(const struct cw_filter_set *set, const struct cw_packet *packet)
{
	uint64_t bits = 0, bit;

	for (size_t i = 0; i < set->program_count; i++)
		bits |= program_bits(&set->programs[i], packet) << set->programs[i].first;
	for (size_t i = 0; i < set->apart_count; i++) {
		bit = UINT64_C(1) << (set->apart[i] - set->entries);
		if (set->options.mode == CW_FILTER_FIRST && bits & (bit - 1))
			break;
		if (match_entry(set, set->apart[i], packet))
			bits |= bit;
	}
	return bits;
}

void cw_filter_set_match_bits(const struct cw_filter_set *set, const struct cw_packet *packets,
			      size_t count, uint64_t *bits)
{
	const struct cw_decision *joint = NULL;

	if (set->program_count == 1 && set->apart_count == 0 &&
	    set->programs[0].decision.event_bits)
		joint = &set->programs[0].decision;
	for (size_t i = 0; i < count && i < PREFETCH_PACKETS; i++)
		prefetch(&packets[i]);
	for (size_t i = 0; i < count; i++) {
		uint64_t found = 0;

		if (i + PREFETCH_PACKETS < count)
			prefetch(&packets[i + PREFETCH_PACKETS]);
		if (cw_likely(!(packets[i].flags & CW_PACKET_MALFORMED)))
			found =
			    joint ? cw_find_bits(joint, &packets[i]) : match_bits(set, &packets[i]);
		bits[i] = set->options.mode == CW_FILTER_FIRST ? found & (0 - found) : found;
	}
}

bool cw_filter_set_has_bits(const struct cw_filter_set *set)
{
	return set->count <= CW_BITS_MAX;
}

size_t cw_filter_set_size(const struct cw_filter_set *set)
{
	return set->count;
}

static enum cw_filter_engine engine_of(const struct cw_filter_set *set,
				       const struct cw_set_entry *entry)
{
	if (entry->is_joint)
		return entry->has_code ? CW_ENGINE_JIT : CW_ENGINE_WALKER;
	return set->options.engine == CW_ENGINE_LIBPCAP ? CW_ENGINE_LIBPCAP : CW_ENGINE_SEQUENTIAL;
}

enum cw_filter_engine cw_filter_set_engine(const struct cw_filter_set *set, uint32_t id)
{
	struct cw_set_entry wanted = {.id = id};
	const struct cw_set_entry *entry =
	    set->count ? bsearch(&wanted, set->entries, set->count, sizeof(wanted), by_id) : NULL;

	return entry ? engine_of(set, entry) : CW_ENGINE_AUTO;
}

const struct cw_filter *cw_filter_set_at(const struct cw_filter_set *set, size_t index,
					 uint32_t *id)
{
	if (index >= set->count)
		return NULL;
	*id = set->entries[index].id;
	return set->entries[index].filter;
}

int cw_filter_set_decision(const struct cw_filter_set *set, size_t index,
			   struct cw_decision *decision, const uint32_t **ids)
{
	const struct cw_set_program *program;
	struct cw_bpf *bpfs;
	int *unjoined_reasons;
	uint32_t count, i;
	int result = -ENOMEM;

	if (index >= set->program_count)
		return -ENOENT;
	program = &set->programs[index];
	*ids = program->ids;
	count = program->decision.filter_count;
	bpfs = calloc(count, sizeof(*bpfs));
	unjoined_reasons = calloc(count, sizeof(*unjoined_reasons));
	for (i = 0; bpfs && i < count; i++)
		bpfs[i] = *cw_filter_bpf(set->entries[program->first + i].filter);
	if (bpfs && unjoined_reasons)
		result =
		    cw_decision_build(decision, bpfs, count, &program->options, unjoined_reasons);
	free(bpfs);
	free(unjoined_reasons);
	return result;
}

const char *cw_filter_engine_name(enum cw_filter_engine engine)
{
	static const char *const names[] = {
	    [CW_ENGINE_AUTO] = "auto",       [CW_ENGINE_JIT] = "jit",
	    [CW_ENGINE_WALKER] = "walker",   [CW_ENGINE_SEQUENTIAL] = "sequential",
	    [CW_ENGINE_LIBPCAP] = "libpcap",
	};

	return names[engine];
}

void cw_filter_set_stats(const struct cw_filter_set *set, struct cw_filter_set_stats *stats)
{
	*stats = (struct cw_filter_set_stats){
	    .engine =
		set->options.engine == CW_ENGINE_LIBPCAP ? CW_ENGINE_LIBPCAP : CW_ENGINE_SEQUENTIAL,
	    .joint_count = set->count - set->apart_count,
	    .apart_count = set->apart_count,
	    .program_count = set->program_count,
	    .is_code_over_budget = set->is_code_over_budget,
	    .build_ns = set->build_ns,
	};
	for (size_t i = 0; i < set->count; i++) {
		stats->loop_count += set->entries[i].unjoined_reason == -ELOOP;
		stats->over_budget_count += set->entries[i].unjoined_reason == -E2BIG;
		if (set->entries[i].is_joint)
			stats->engine = engine_of(set, &set->entries[i]);
	}
	for (size_t i = 0; i < set->program_count; i++) {
		const struct cw_set_program *program = &set->programs[i];

		stats->step_count += program->decision.step_count;
		stats->code_bytes += program->decision.jit_bytes;
		stats->joint_bytes += cw_decision_bytes(&program->decision) +
				      program->decision.filter_count * sizeof(*program->ids);
	}
	stats->bytes = stats->joint_bytes + sizeof(*set) + set->capacity * sizeof(*set->entries) +
		       set->program_count * sizeof(*set->programs);
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	stats->bytes += set->count * sizeof(*set->apart);
	for (size_t i = 0; i < set->count; i++)
		stats->bytes += cw_filter_bytes(set->entries[i].filter);
}

void cw_filter_set_free(struct cw_filter_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->program_count; i++) {
		cw_decision_fini(&set->programs[i].decision);
		free(set->programs[i].ids);
	}
	for (size_t i = 0; i < set->count; i++)
		cw_filter_free(set->entries[i].filter);
	CW_FREE_ALL(set->programs, set->apart, set->entries, set->ids_seen, set);
}
