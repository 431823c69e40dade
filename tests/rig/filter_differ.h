/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Holds sets of filters against libpcap: whatever the engine, the mode and the budgets, the ids
 * (and bits) that a set gives are those of the filters for which bpf_filter does not return 0.
 */
#ifndef CW_TESTS_RIG_FILTER_DIFFER_H
#define CW_TESTS_RIG_FILTER_DIFFER_H

#include "core/filter/set.h"
#include "core/packet/linktype.h"
#include "tests/rig/filter_reference.h"
#include "tests/rig/filter_sets.h"

#define DIFFER_SETS_MAX 12u
#define DIFFER_BURST 24u /* packets checked together: more than the sets fetch ahead */

struct differ {
	const struct cw_filter_options *options; /* of expressions; NULL: for Ethernet */
	struct cw_filter **filters;              /* id = 3 * place, so that ids have gaps */
	uint32_t count;
	uint32_t capacity;
	struct cw_filter_set *sets[DIFFER_SETS_MAX];
	enum cw_filter_mode modes[DIFFER_SETS_MAX];
	char names[DIFFER_SETS_MAX][64];
	uint32_t set_count;
	uint32_t *expected, *got;      /* ids of a burst */
	size_t ends[DIFFER_BURST];     /* of each packet's in `expected` */
	uint32_t firsts[DIFFER_BURST]; /* what is expected of the mode that finds one */
	uint64_t pairs;                /* programs times packets */
	uint64_t checks;               /* pairs times sets, each matched alone and in bursts */
	uint64_t matches;              /* of the oracle */
};

#define DIFFER_ID(place) (3 * (place))

/* Takes the filter. */
static inline void differ_add(struct differ *differ, struct cw_filter *filter)
{
	if (differ->count == differ->capacity) {
		differ->capacity = differ->capacity ? 2 * differ->capacity : 64;
		differ->filters =
		    realloc(differ->filters, differ->capacity * sizeof(*differ->filters));
		differ->expected = realloc(differ->expected, DIFFER_BURST * differ->capacity *
								 sizeof(*differ->expected));
		differ->got =
		    realloc(differ->got, DIFFER_BURST * differ->capacity * sizeof(*differ->got));
		if (!differ->filters || !differ->expected || !differ->got)
			abort();
	}
	differ->filters[differ->count++] = filter;
}

/* false when libpcap refuses the expression (random ones can be wrong). */
static inline bool differ_add_expression(struct differ *differ, const char *expression,
					 bool unoptimized)
{
	struct cw_filter_options options = {.linktype = CW_LINKTYPE_ETHERNET};
	struct cw_filter *filter;

	if (differ->options)
		options = *differ->options;
	options.unoptimized = unoptimized;
	if (cw_filter_compile(&filter, expression, &options, NULL) < 0)
		return false;
	differ_add(differ, filter);
	return true;
}

static inline void differ_add_program(struct differ *differ, const struct bpf_insn *program,
				      uint32_t count)
{
	struct cw_filter *filter;

	if (cw_filter_from_program(&filter, program, count, NULL))
		abort();
	differ_add(differ, filter);
}

/* Add copies of all filters so far to the set. */
static inline void differ_fill(const struct differ *differ, struct cw_filter_set *set)
{
	uint32_t i;

	for (i = differ->count; i-- > 0;) { /* in any order */
		uint32_t count;
		const struct bpf_insn *program = cw_filter_program(differ->filters[i], &count);
		struct cw_filter *copy;

		if (cw_filter_from_program(&copy, program, count, NULL) ||
		    cw_filter_set_add_filter(set, DIFFER_ID(i), copy, NULL))
			abort();
	}
}

/* A set of all filters so far, with this engine; budget NULL = the default. */
static inline struct cw_filter_set *
differ_build(struct differ *differ, enum cw_filter_engine engine, enum cw_filter_mode mode,
	     const struct cw_filter_budget *budget, const char *name)
{
	struct cw_filter_set_options options = {
	    .filter = {.linktype = CW_LINKTYPE_ETHERNET}, .mode = mode, .engine = engine};
	struct cw_filter_set *set;
	struct cw_error error;

	if (differ->set_count == DIFFER_SETS_MAX || cw_filter_set_new(&set, &options, NULL))
		abort();
	if (budget)
		cw_filter_set_budget(set, budget);
	differ_fill(differ, set);
	if (cw_filter_set_build(set, &error)) {
		fprintf(stderr, "%s: %s\n", name, error.text);
		abort();
	}
	snprintf(differ->names[differ->set_count], sizeof(differ->names[0]), "%s%s", name,
		 mode == CW_FILTER_FIRST ? ", first" : "");
	differ->modes[differ->set_count] = mode;
	differ->sets[differ->set_count++] = set;
	return set;
}

/* Budgets at which something has to give. */
static inline struct cw_filter_budget differ_tiny(struct random *random)
{
	struct cw_filter_budget budget = cw_filter_budget_default;

	switch (random_below(random, 5)) {
	case 0:
		budget.states = 1 + random_below(random, 30);
		break;
	case 1:
		budget.diagram_nodes = random_below(random, 30);
		budget.diagram_edges = 1 + random_below(random, 200);
		break;
	case 2:
		budget.joint_per_input = 0;
		budget.joint_extra = random_below(random, 2000);
		break;
	case 3:
		budget.filters = 1 + random_below(random, 5);
		break;
	default:
		budget.code_bytes = random_below(random, 8192);
		break;
	}
	return budget;
}

struct differ_ids {
	const uint32_t *at;
	size_t count;
};

/* Say where the ids found differ from those expected; returns false. */
static inline bool differ_report(const struct differ *differ, uint32_t set, const char *way,
				 struct differ_ids got, struct differ_ids expected,
				 const struct cw_packet *packet)
{
	size_t at = 0;

	while (at < got.count && at < expected.count && got.at[at] == expected.at[at])
		at++;
	fprintf(stderr, "%s%s of %u filters: %zu ids, not %zu, on %u bytes; from place %zu on: ",
		differ->names[set], way, differ->count, got.count, expected.count, packet->caplen,
		at);
	fprintf(stderr, "got %lld, expected %lld", at < got.count ? (long long)got.at[at] : -1,
		at < expected.count ? (long long)expected.at[at] : -1);
	if (at < expected.count && expected.at[at] / 3 < differ->count)
		fprintf(stderr, " (\"%s\")",
			cw_filter_expression(differ->filters[expected.at[at] / 3]));
	if (at < got.count && got.at[at] / 3 < differ->count)
		fprintf(stderr, " (\"%s\")", cw_filter_expression(differ->filters[got.at[at] / 3]));
	fprintf(stderr, "\n");
	return false;
}

/* Let libpcap say what matches. */
static inline void differ_expect(struct differ *differ, const struct cw_packet *packets,
				 uint32_t count)
{
	size_t used = 0;
	uint32_t i, place;

	for (place = 0; place < count; place++) {
		const struct cw_packet *packet = &packets[place];
		size_t start = used;

		for (i = 0; i < differ->count && !(packet->flags & CW_PACKET_MALFORMED); i++) {
			uint32_t length;
			const struct bpf_insn *program =
			    cw_filter_program(differ->filters[i], &length);

			if (reference_filter(program, length, packet->data, packet->caplen,
					     packet->wire_len))
				differ->expected[used++] = DIFFER_ID(i);
		}
		differ->ends[place] = used;
		differ->firsts[place] = used > start ? differ->expected[start] : UINT32_MAX;
	}
	differ->pairs += (uint64_t)differ->count * count;
	differ->matches += used;
}

/* Whether these are the ids of packet `place` of the burst. */
static inline bool differ_compare(const struct differ *differ, uint32_t set, const char *way,
				  const struct cw_packet *packets, uint32_t place,
				  struct differ_ids got)
{
	size_t start = place ? differ->ends[place - 1] : 0;
	struct differ_ids expected = {differ->expected + start, differ->ends[place] - start};

	if (differ->modes[set] == CW_FILTER_FIRST)
		expected =
		    (struct differ_ids){&differ->firsts[place], cw_min_size(expected.count, 1)};
	if (got.count == expected.count &&
	    (!got.count || !memcmp(got.at, expected.at, got.count * sizeof(*got.at))))
		return true;
	return differ_report(differ, set, way, got, expected, &packets[place]);
}

/* As the pipeline does it: with room that does not last for the whole burst, more or less often. */
static inline bool differ_check_burst(struct differ *differ, uint32_t set,
				      const struct cw_packet *packets, uint32_t count)
{
	size_t size = cw_filter_set_size(differ->sets[set]);
	size_t room = size + packets[0].caplen % (DIFFER_BURST * size - size + 1);
	uint32_t ends[DIFFER_BURST];
	uint32_t done = 0, i;
	bool result = true;

	while (done < count) {
		size_t step = cw_filter_set_match_burst(differ->sets[set], packets + done,
							count - done, differ->got, room, ends);

		if (step == 0) {
			fprintf(stderr, "%s: a burst makes no progress\n", differ->names[set]);
			return false;
		}
		for (i = 0; i < step; i++) {
			uint32_t start = i ? ends[i - 1] : 0;

			result &= differ_compare(
			    differ, set, ", burst", packets, done + i,
			    (struct differ_ids){differ->got + start, ends[i] - start});
		}
		done += (uint32_t)step;
	}
	return result;
}

/* Small sets: the same in bits. Adding a filter appends a place, so places are bits. */
static inline bool differ_check_bits(struct differ *differ, uint32_t set,
				     const struct cw_packet *packets, uint32_t count)
{
	uint64_t bits[DIFFER_BURST];
	bool result = true;

	if (!cw_filter_set_has_bits(differ->sets[set]))
		return true;
	cw_filter_set_match_bits(differ->sets[set], packets, count, bits);
	for (uint32_t i = 0; i < count; i++) {
		size_t found = 0;

		for (; bits[i]; bits[i] &= bits[i] - 1)
			differ->got[found++] = DIFFER_ID((uint32_t)__builtin_ctzll(bits[i]));
		result &= differ_compare(differ, set, ", bits", packets, i,
					 (struct differ_ids){differ->got, found});
	}
	return result;
}

/* Whether all sets agree with libpcap on these packets (at most DIFFER_BURST), one by one, together
 * and as bits. */
static inline bool differ_check_packets(struct differ *differ, const struct cw_packet *packets,
					uint32_t count)
{
	bool result = true;
	uint32_t set, i;

	if (differ->count == 0) /* libpcap refused them all */
		return true;
	differ_expect(differ, packets, count);
	for (set = 0; set < differ->set_count; set++) {
		for (i = 0; i < count; i++) {
			size_t found =
			    cw_filter_set_match(differ->sets[set], &packets[i], differ->got);

			result &= differ_compare(differ, set, "", packets, i,
						 (struct differ_ids){differ->got, found});
		}
		result &= differ_check_burst(differ, set, packets, count);
		result &= differ_check_bits(differ, set, packets, count);
		differ->checks += (uint64_t)differ->count * count;
	}
	return result;
}

static inline bool differ_check(struct differ *differ, const struct cw_packet *packet)
{
	return differ_check_packets(differ, packet, 1);
}

/* Packets to be checked together, each in front of a guard page of its own. */
struct differ_burst {
	struct guarded pages[DIFFER_BURST];
	struct cw_packet packets[DIFFER_BURST];
	uint32_t count;
};

static inline void differ_burst_init(struct differ_burst *burst)
{
	uint32_t i;

	burst->count = 0;
	for (i = 0; i < DIFFER_BURST; i++)
		guarded_init(&burst->pages[i]);
}

static inline void differ_burst_fini(struct differ_burst *burst)
{
	uint32_t i;

	for (i = 0; i < DIFFER_BURST; i++)
		guarded_fini(&burst->pages[i]);
}

/* Check what has been added, and forget it. */
static inline bool differ_burst_check(struct differ *differ, struct differ_burst *burst)
{
	uint32_t count = burst->count;

	burst->count = 0;
	return count == 0 || differ_check_packets(differ, burst->packets, count);
}

/* Copies the packet, unless it is larger than a page (then borrows it until it is checked). True:
 * the burst is full. */
static inline bool differ_burst_put(struct differ_burst *burst, const struct cw_packet *packet)
{
	const struct guarded *page = &burst->pages[burst->count];
	struct cw_packet *copy = &burst->packets[burst->count++];

	*copy = *packet;
	if (packet->caplen <= page->page_bytes)
		copy->data = guarded_copy(page, packet->data, packet->caplen);
	return burst->count == DIFFER_BURST;
}

/* Put it, and check a burst that is full. */
static inline bool differ_burst_add(struct differ *differ, struct differ_burst *burst,
				    const struct cw_packet *packet)
{
	return !differ_burst_put(burst, packet) || differ_burst_check(differ, burst);
}

static inline void differ_drop_sets(struct differ *differ)
{
	while (differ->set_count)
		cw_filter_set_free(differ->sets[--differ->set_count]);
}

/* Keeps the counters. */
static inline void differ_clear(struct differ *differ)
{
	differ_drop_sets(differ);
	while (differ->count)
		cw_filter_free(differ->filters[--differ->count]);
}

static inline void differ_fini(struct differ *differ)
{
	differ_clear(differ);
	free(differ->filters);
	free(differ->expected);
	free(differ->got);
}

#endif
