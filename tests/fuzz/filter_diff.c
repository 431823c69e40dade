/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Holds filter sets against libpcap for as long as it is told to:
 *
 *	filter_diff SECONDS [SEED [KIND]]
 *
 * KIND is "program" (random programs) or a kind of tests/filter_sets.h; without it all take turns.
 * Each turn makes a set, builds it for every engine and mode, with the default budgets and with
 * tiny ones, and matches generated and mutated packets that end at a guard page. Prints the seed of
 * a turn that fails, and exits 1.
 */
#include <time.h>

#include "tests/filter_differ.h"

#define PACKETS_PER_TURN 300u
#define FILTERS_MAX 40u

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void add_filters(struct differ *differ, struct random *random, const char *kind)
{
	uint32_t count =
	    1 + random_below(random, random_is(random, 8) ? 8 * FILTERS_MAX : FILTERS_MAX);
	bool unoptimized = random_is(random, 4);
	uint32_t i;

	for (i = 0; i < count; i++) {
		struct bpf_insn program[RANDOM_PROGRAM_MAX];
		char expression[SETS_EXPRESSION_BYTES];

		if (strcmp(kind, "program") == 0) {
			differ_add_program(differ, program, random_program(random, program));
			continue;
		}
		sets_expression(random, random_is(random, 50) ? "random" : kind, i, expression);
		differ_add_expression(differ, expression, unoptimized);
	}
}

/* One set; false when anything differs. */
static bool turn(struct differ *differ, const struct guarded *guarded, uint64_t seed,
		 const char *kind)
{
	struct random random = {seed};
	struct cw_filter_budget tiny = differ_tiny(&random);
	bool result = true;
	uint32_t i;

	add_filters(differ, &random, kind);
	differ_build(differ, CW_ENGINE_WALKER, CW_FILTER_ALL, NULL, "walker");
	differ_build(differ, CW_ENGINE_WALKER, CW_FILTER_FIRST, NULL, "walker");
	differ_build(differ, CW_ENGINE_WALKER, CW_FILTER_ALL, &tiny, "walker, tiny budget");
	differ_build(differ, CW_ENGINE_JIT, CW_FILTER_ALL, NULL, "jit");
	differ_build(differ, CW_ENGINE_JIT, CW_FILTER_FIRST, &tiny, "jit, tiny budget");
	differ_build(differ, CW_ENGINE_AUTO, CW_FILTER_ALL, NULL, "auto");
	for (i = 0; i < PACKETS_PER_TURN && result; i++) {
		uint8_t bytes[RANDOM_PACKET_MAX];
		uint32_t length = sets_packet(&random, bytes);
		struct cw_packet packet = {
		    .wire_len = random_is(&random, 4) ? random_below(&random, 2000) : length};

		packet.caplen = random_mutate(&random, bytes, length);
		packet.data = guarded_copy(guarded, bytes, packet.caplen);
		result = differ_check(differ, &packet);
	}
	if (!result)
		fprintf(stderr, "failed: kind %s, seed %llu\n", kind, (unsigned long long)seed);
	differ_clear(differ);
	return result;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 5;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	const char *only = argc > 3 ? argv[3] : NULL;
	double start = now_s();
	struct differ differ = {0};
	struct guarded guarded;
	uint32_t place = 0;
	uint64_t turns = 0;
	bool result = true;

	guarded_init(&guarded);
	do {
		const char *kind = only ? only : place % 2 ? "program" : sets_kinds[place / 2];

		result = turn(&differ, &guarded, seed + turns++, kind);
		place = sets_kinds[(place + 1) / 2] ? place + 1 : 0;
	} while (result && now_s() - start < seconds);
	printf("%llu sets, %llu program x packet x engine checks, %llu matches, first seed %llu\n",
	       (unsigned long long)turns, (unsigned long long)differ.checks,
	       (unsigned long long)differ.matches, (unsigned long long)seed);
	differ_fini(&differ);
	guarded_fini(&guarded);
	return result ? 0 : 1;
}
