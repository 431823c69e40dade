/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets that do not join well, within the set's budget; and what is left out where only the first
 * match is wanted. Against libpcap, as in test_filter_set.c.
 */
#include <stdlib.h>

#include "tests/rig/differ_tests.h"
#include "tests/rig/scale.h"

static const char *const hard_kinds[] = {"bits", "sums", "checks", "ranges", "random"};

static void add_set(struct differ *differ, struct random *random, const char *kind, uint32_t count)
{
	char expression[SETS_EXPRESSION_BYTES];
	uint32_t i;

	for (i = 0; i < count; i++) {
		sets_expression(random, kind, i, expression);
		differ_add_expression(differ, expression, false);
	}
}

static void build_all(struct differ *differ, const struct cw_filter_budget *budget)
{
	differ_build(differ, CW_ENGINE_JIT, CW_FILTER_ALL, budget, "jit");
	differ_build(differ, CW_ENGINE_WALKER, CW_FILTER_ALL, budget, "walker");
	differ_build(differ, CW_ENGINE_JIT, CW_FILTER_FIRST, budget, "jit");
	differ_build(differ, CW_ENGINE_WALKER, CW_FILTER_FIRST, budget, "walker");
}

static void make_packet(struct random *random, uint8_t bytes[RANDOM_PACKET_MAX],
			struct cw_packet *packet)
{
	*packet = (struct cw_packet){.data = bytes, .wire_len = sets_packet(random, bytes)};
	packet->caplen = random_mutate(random, bytes, packet->wire_len);
}

static void check_packets(struct differ *differ, struct random *random, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		uint8_t bytes[RANDOM_PACKET_MAX];
		struct cw_packet packet;

		make_packet(random, bytes, &packet);
		assert_true(differ_burst_add(differ, &burst, &packet));
	}
	assert_true(differ_burst_check(differ, &burst));
}

/* ---- the budget ---- */

static void sets_that_join_badly_are_one_program(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = 0; i < CW_ARRAY_COUNT(hard_kinds); i++) {
		add_set(&differ, &random, hard_kinds[i], scaled(600, 120));
		build_all(&differ, NULL);
		for (uint32_t set = 0; set < differ.set_count; set++) {
			struct cw_filter_set_stats stats;

			cw_filter_set_stats(differ.sets[set], &stats);
			printf("%s, %s: %zu B a filter\n", hard_kinds[i], differ.names[set],
			       stats.joint_bytes / differ.count);
			assert_int_equal(stats.program_count, 1);
			assert_in_range(stats.apart_count, 0, differ.count / 20);
			assert_in_range(stats.joint_bytes / differ.count, 1, 12000);
		}
		check_packets(&differ, &random, scaled(200, 50));
		differ_clear(&differ);
	}
	differ_fini(&differ);
}

/* Where joining ends early, and pairs go on alone, after more or less of it. */
static void joining_that_ends_anywhere_is_exact(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};
	uint32_t rounds = scaled(60, 15); /* each kind with few and many filters */

	(void)state;
	for (uint32_t i = 0; i < rounds; i++) {
		struct cw_filter_budget budget = cw_filter_budget_default;

		add_set(&differ, &random, hard_kinds[i % CW_ARRAY_COUNT(hard_kinds)],
			i % 3 ? 60 : scaled(250, 120));
		budget.joint_per_input = 0;
		budget.joint_extra = 2000u << random_below(&random, 8);
		build_all(&differ, &budget);
		check_packets(&differ, &random, scaled(100, 50));
		differ_clear(&differ);
	}
	differ_fini(&differ);
}

/* What one program takes, the next does not have. */
static void budgets_are_those_of_the_set(void **state)
{
	struct random random = {random_seed(__func__)};
	struct cw_filter_budget budget = cw_filter_budget_default;
	struct cw_filter_set_stats stats;
	struct differ differ = {0};
	size_t code_bytes;

	(void)state;
	add_set(&differ, &random, "mixed", 200);
	budget.filters = 20;
	build_all(&differ, &budget);
	cw_filter_set_stats(differ.sets[0], &stats);
	assert_int_equal(stats.program_count, 10);
	code_bytes = stats.code_bytes;
	differ_drop_sets(&differ);
	budget.code_bytes = (uint32_t)(code_bytes / 2);
	build_all(&differ, &budget);
	cw_filter_set_stats(differ.sets[0], &stats);
	assert_in_range(stats.code_bytes, code_bytes ? 1 : 0, code_bytes / 2);
	assert_int_equal(stats.program_count, 10); /* some are walked */
	check_packets(&differ, &random, 300);
	differ_drop_sets(&differ);
	budget.joint_max = 1500;
	build_all(&differ, &budget);
	cw_filter_set_stats(differ.sets[0], &stats);
	assert_in_range(stats.over_budget_count, 20, differ.count - 20);
	assert_int_equal(stats.over_budget_count, stats.apart_count);
	check_packets(&differ, &random, 300);
	differ_fini(&differ);
}

/* Their diagrams are too large: as code they are part of the program, else run apart. */
static void filters_without_a_diagram_are_matched_exactly(void **state)
{
	struct random random = {random_seed(__func__)};
	struct cw_filter_budget budget = cw_filter_budget_default;
	struct differ differ = {0};
	uint32_t rounds = scaled(40, 24); /* each kind */

	(void)state;
	for (uint32_t i = 0; i < rounds; i++) {
		struct cw_filter_set_stats jit, walker;

		add_set(&differ, &random, sets_kinds[i % (CW_ARRAY_COUNT(sets_kinds) - 1)],
			scaled(40, 15));
		add_set(&differ, &random, "random", scaled(10, 5));
		budget.diagram_nodes = random_below(&random, 8);
		build_all(&differ, &budget);
		cw_filter_set_stats(differ.sets[0], &jit);
		cw_filter_set_stats(differ.sets[1], &walker);
		if (jit.engine == CW_ENGINE_JIT)
			assert_in_range(jit.over_budget_count, 0, 3);
		assert_in_range(walker.over_budget_count, jit.over_budget_count, differ.count);
		check_packets(&differ, &random, 100);
		differ_clear(&differ);
	}
	differ_fini(&differ);
}

static void bytes_are_all_that_a_set_holds(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};

	(void)state;
	add_set(&differ, &random, "host", 100);
	assert_true(differ_add_expression(&differ, "ip6 protochain 17", false));
	build_all(&differ, NULL);
	for (uint32_t set = 0; set < differ.set_count; set++) {
		struct cw_filter_set_stats stats;
		size_t programs = 0;

		for (uint32_t i = 0; i < differ.count; i++) {
			uint32_t length;

			cw_filter_program(differ.filters[i], &length);
			programs += length * sizeof(struct bpf_insn);
		}
		cw_filter_set_stats(differ.sets[set], &stats);
		assert_in_range(stats.code_bytes, 0, stats.joint_bytes);
		assert_in_range(stats.bytes, stats.joint_bytes + programs, 2000 * differ.count);
	}
	differ_fini(&differ);
}

/* ---- the first match ---- */

/* Events of all packets, walked; as code it has to be as many. */
static uint64_t count_events(const struct differ *differ, enum cw_filter_mode mode, uint64_t seed)
{
	struct cw_build_options options = {.mode = mode, .budget = cw_filter_budget_default};
	int *unjoined_reason = calloc(differ->count, sizeof(*unjoined_reason));
	struct cw_bpf *programs = calloc(differ->count, sizeof(*programs));
	struct random random = {seed};
	struct cw_decision walked, code;
	uint32_t events[CW_EVENTS_ROOM];
	uint64_t sum = 0;
	bool has_code;

	assert_non_null(unjoined_reason);
	assert_non_null(programs);
	for (uint32_t i = 0; i < differ->count; i++)
		programs[i] = *cw_filter_bpf(differ->filters[i]);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(cw_decision_build(i ? &code : &walked, programs, differ->count,
						   &options, unjoined_reason),
				 0);
	has_code = cw_jit_build(&code, options.budget.code_bytes) == 0;
	for (uint32_t i = 0; i < 500; i++) {
		uint8_t bytes[RANDOM_PACKET_MAX];
		struct cw_packet packet;
		uint32_t count;

		make_packet(&random, bytes, &packet);
		count = cw_walk(&walked, bytes, packet.caplen, packet.wire_len, events);
		if (has_code)
			assert_int_equal(
			    cw_jit_run(&code, bytes, packet.caplen, packet.wire_len, events),
			    count);
		sum += count;
	}
	cw_decision_fini(&walked);
	cw_decision_fini(&code);
	free(unjoined_reason);
	free(programs);
	return sum;
}

static void behind_a_filter_that_takes_all_nothing_is_looked_at(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};

	(void)state;
	assert_true(differ_add_expression(&differ, "", false));
	add_set(&differ, &random, "mixed", 300);
	build_all(&differ, NULL);
	for (uint32_t set = 0; set < differ.set_count; set++) {
		struct cw_filter_set_stats stats;

		cw_filter_set_stats(differ.sets[set], &stats);
		if (differ.modes[set] == CW_FILTER_FIRST)
			assert_int_equal(stats.step_count, 0);
		else
			assert_in_range(stats.step_count, 300, UINT32_MAX);
	}
	check_packets(&differ, &random, 300);
	assert_in_range(count_events(&differ, CW_FILTER_FIRST, 1), 500, 500);
	differ_fini(&differ);
}

/* Sets in which the same packet is some filter's in many places. */
static void forks_end_where_the_first_match_is_found(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = 0; i < CW_ARRAY_COUNT(hard_kinds); i++) {
		uint64_t all, first;

		add_set(&differ, &random, hard_kinds[i], 400);
		all = count_events(&differ, CW_FILTER_ALL, i);
		first = count_events(&differ, CW_FILTER_FIRST, i);
		printf("%s: %llu events of all, %llu of the first\n", hard_kinds[i],
		       (unsigned long long)all, (unsigned long long)first);
		assert_in_range(first, 1, strcmp(hard_kinds[i], "ranges") ? all / 2 : all - 1);
		differ_clear(&differ);
	}
	differ_fini(&differ);
}

/* Parts that are taken back must not end the search. */
static void filters_that_are_taken_back_are_not_found(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = scaled(30, 6); i > 0; i--) {
		for (uint32_t n = 0; n < 80; n++) {
			static const char *const forms[] = {
			    "not host 10.0.0.%u",
			    "not (host 10.0.0.%u and port %u)",
			    "not net 10.0.0.%u/31 and not port %u",
			    "not (src host 10.0.0.%u or dst port %u)",
			    "not (portrange %u-%u) or host 10.0.0.9",
			};
			char expression[SETS_EXPRESSION_BYTES];
			uint32_t low = random_below(&random, 100);

			snprintf(expression, sizeof(expression),
				 forms[random_below(&random, i % 2 ? 2 : 5)], low & ~1u,
				 low + random_below(&random, 9));
			differ_add_expression(&differ, expression, false);
		}
		build_all(&differ, NULL);
		for (uint32_t n = scaled(400, 200); n > 0; n--) {
			uint8_t bytes[RANDOM_PACKET_MAX];
			struct cw_packet packet = {.data = bytes};

			packet.wire_len = sets_packet(&random, bytes);
			sets_put16(bytes + 12, 0x800);
			bytes[14] = 0x45;
			for (uint32_t at = 26; at <= 30; at += 4)
				sets_put32(bytes + at, 0x0a000000 | random_below(&random, 100));
			for (uint32_t at = 34; at <= 36; at += 2)
				sets_put16(bytes + at, random_below(&random, 100));
			packet.caplen =
			    random_is(&random, 4) ? random_below(&random, 60) : packet.wire_len;
			assert_true(differ_burst_add(&differ, &burst, &packet));
		}
		assert_true(differ_burst_check(&differ, &burst));
		differ_clear(&differ);
	}
	differ_fini(&differ);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sets_that_join_badly_are_one_program),
	    cmocka_unit_test(joining_that_ends_anywhere_is_exact),
	    cmocka_unit_test(budgets_are_those_of_the_set),
	    cmocka_unit_test(filters_without_a_diagram_are_matched_exactly),
	    cmocka_unit_test(bytes_are_all_that_a_set_holds),
	    cmocka_unit_test(behind_a_filter_that_takes_all_nothing_is_looked_at),
	    cmocka_unit_test(forks_end_where_the_first_match_is_found),
	    cmocka_unit_test(filters_that_are_taken_back_are_not_found),
	};

	return RUN_TESTS(0, tests, open_burst, close_burst, argc, argv);
}
