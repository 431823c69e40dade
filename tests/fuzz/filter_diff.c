/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compares filter sets with libpcap:
 *
 *	filter_diff SECONDS [SEED [KIND [PAIRS]]]
 *
 * Runs for SECONDS and until PAIRS (program, packet) were compared. KIND is "program" (random
 * programs) or a kind of tests/rig/filter_sets.h; by default, or with "all", programs and the kinds
 * take turns. Each turn makes a set, optimised or not, builds the set for every engine and mode,
 * with default and with tiny budgets, and matches generated and mutated packets that end at a guard
 * page, alone and in bursts. If a turn fails, prints its seed and exits 1.
 */

#include "core/base/clock.h"
#include "tests/rig/filter_differ.h"

#define PACKETS_PER_TURN 2400u /* matching takes about as long as building */
#define FILTERS_MAX 40u

static double now_s(void)
{
	return (double)cw_now_ns() * 1e-9;
}

/* An expression whose program has a loop, which is rare in the other kinds. */
static void loop_expression(struct random *random, char expression[SETS_EXPRESSION_BYTES])
{
	static const char *const forms[] = {"ip protochain %u",
					    "ip6 protochain %u",
					    "protochain %u",
					    "not ip6 protochain %u",
					    "ip6 protochain %u and greater 70",
					    "ip protochain %u or ip6 protochain 60"};
	static const uint32_t protocols[] = {6, 17, 58, 59, 60, 51, 132};

	snprintf(expression, SETS_EXPRESSION_BYTES, forms[random_below(random, 6)],
		 protocols[random_below(random, CW_ARRAY_COUNT(protocols))]);
}

static void add_filters(struct differ *differ, struct random *random, const char *kind)
{
	uint32_t count =
	    1 + random_below(random, random_is(random, 8) ? 8 * FILTERS_MAX : FILTERS_MAX);
	bool unoptimized = random_is(random, 4);
	bool loops = random_is(random, 6);
	uint32_t i;

	for (i = 0; i < count; i++) {
		struct bpf_insn program[RANDOM_PROGRAM_MAX];
		char expression[SETS_EXPRESSION_BYTES];

		if (strcmp(kind, "program") == 0) {
			differ_add_program(differ, program, random_program(random, program));
			continue;
		}
		if (loops && random_is(random, 4))
			loop_expression(random, expression);
		else
			sets_expression(random, random_is(random, 50) ? "random" : kind, i,
					expression);
		differ_add_expression(differ, expression, unoptimized);
	}
}

static void build_all(struct differ *differ, struct random *random)
{
	static const enum cw_filter_mode modes[] = {CW_FILTER_ALL, CW_FILTER_FIRST};
	struct cw_filter_budget tiny = differ_tiny(random), tinier = differ_tiny(random);

	for (uint32_t i = 0; i < CW_ARRAY_COUNT(modes); i++) {
		differ_build(differ, CW_ENGINE_SEQUENTIAL, modes[i], NULL, "sequential");
		differ_build(differ, CW_ENGINE_WALKER, modes[i], NULL, "walker");
		differ_build(differ, CW_ENGINE_JIT, modes[i], NULL, "jit");
	}
	/* One random mode each is enough here. */
	differ_build(differ, CW_ENGINE_AUTO, modes[random_below(random, 2)], NULL, "auto");
	differ_build(differ, CW_ENGINE_LIBPCAP, modes[random_below(random, 2)], NULL, "libpcap");
	differ_build(differ, CW_ENGINE_WALKER, modes[random_below(random, 2)], &tiny,
		     "walker, tiny budget");
	differ_build(differ, CW_ENGINE_JIT, modes[random_below(random, 2)], &tinier,
		     "jit, tiny budget");
}

/* IPv6 with a chain of extension headers for loops; the last may be truncated. Authentication
 * headers (51) are left out: libpcap takes the next offset from a wrong place, which may repeat for
 * ever, and its interpreter has no limit. */
static uint32_t make_chain(struct random *random, uint8_t bytes[RANDOM_PACKET_MAX])
{
	static const uint8_t links[] = {0, 43, 60, 44};
	static const uint8_t ends[] = {6, 17, 58, 59, 132};
	uint32_t at = 14 + 40, next = 14 + 6;
	uint32_t left = random_below(random, 12);

	memset(bytes, 0, RANDOM_PACKET_MAX);
	bytes[12] = 0x86;
	bytes[13] = 0xdd;
	bytes[14] = 0x60;
	while (left-- && at + 40 < RANDOM_PACKET_MAX) {
		uint8_t link = links[random_below(random, CW_ARRAY_COUNT(links))];
		uint8_t length = (uint8_t)random_below(random, 3);

		bytes[next] = link;
		next = at;
		bytes[at + 1] = length;
		at += (length + 1u) * 8;
	}
	bytes[next] = ends[random_below(random, CW_ARRAY_COUNT(ends))];
	return at + random_below(random, RANDOM_PACKET_MAX - at);
}

static void make_packet(struct random *random, uint8_t bytes[RANDOM_PACKET_MAX],
			struct cw_packet *packet)
{
	uint32_t length =
	    random_is(random, 10) ? make_chain(random, bytes) : sets_packet(random, bytes);

	*packet = (struct cw_packet){
	    .data = bytes,
	    .wire_len = random_is(random, 4) ? random_below(random, 2000) : length,
	    .flags = random_is(random, 200) ? CW_PACKET_MALFORMED : 0,
	};
	packet->caplen = random_mutate(random, bytes, length);
}

/* Compares one set; returns false if anything differs. */
static bool turn(struct differ *differ, struct differ_burst *burst, uint64_t seed, const char *kind)
{
	struct random random = {seed};
	bool result = true;
	uint32_t i;

	add_filters(differ, &random, kind);
	build_all(differ, &random);
	for (i = 0; i < PACKETS_PER_TURN && result; i++) {
		uint8_t bytes[RANDOM_PACKET_MAX];
		struct cw_packet packet;

		make_packet(&random, bytes, &packet);
		result = differ_burst_add(differ, burst, &packet);
	}
	result &= differ_burst_check(differ, burst);
	if (!result)
		fprintf(stderr, "failed: kind %s, seed %llu\n", kind, (unsigned long long)seed);
	differ_clear(differ);
	return result;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 5;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	const char *only = argc > 3 && strcmp(argv[3], "all") != 0 ? argv[3] : NULL;
	uint64_t pairs = argc > 4 ? strtoull(argv[4], NULL, 0) : 0;
	double start = now_s();
	struct differ differ = {0};
	struct differ_burst burst;
	uint32_t place = 0;
	uint64_t turns = 0;
	bool result = true;

	differ_burst_init(&burst);
	do {
		const char *kind = only ? only : place % 2 ? "program" : sets_kinds[place / 2];

		result = turn(&differ, &burst, seed + turns++, kind);
		place = sets_kinds[(place + 1) / 2] ? place + 1 : 0;
	} while (result && (now_s() - start < seconds || differ.pairs < pairs));
	printf("%llu sets, %llu program x packet pairs, %llu checks of them by engines and modes, "
	       "%llu matches, %s; first seed %llu, %.0f s\n",
	       (unsigned long long)turns, (unsigned long long)differ.pairs,
	       (unsigned long long)differ.checks, (unsigned long long)differ.matches,
	       result ? "no difference" : "DIFFERENCES", (unsigned long long)seed, now_s() - start);
	differ_fini(&differ);
	differ_burst_fini(&burst);
	return result ? 0 : 1;
}
