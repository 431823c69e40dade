/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filter sets against libpcap's bpf_filter: expressions of all kinds, sets of many shapes, random
 * programs; all engines, both modes, budgets at which the building has to give way; generated
 * packets in front of a guard page. tests/fuzz/filter_diff.c does the same for hours, and
 * test_filter_exact.c with real packets and large sets.
 */
#include <stdlib.h>

#include "tests/rig/differ_tests.h"
#include "tests/rig/failing_memory.h"
#include "tests/rig/scale.h"

#define EXPRESSIONS_PATH CW_ROOT "/tests/data/expressions.txt"

/* ---- calls that can be made to fail (linked with --wrap) ---- */

static bool refuse_code;

int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);

int __wrap_memfd_create(const char *name, unsigned flags)
{
	if (!refuse_code)
		return __real_memfd_create(name, flags);
	errno = EPERM; /* as a list of system calls has it */
	return -1;
}

static void add_data_file(struct differ *differ, bool unoptimized)
{
	FILE *file = fopen(EXPRESSIONS_PATH, "r");
	char line[SETS_EXPRESSION_BYTES];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '#')
			assert_true(differ_add_expression(differ, line, unoptimized));
	}
	fclose(file);
}

static void add_set(struct differ *differ, struct random *random, const char *kind, uint32_t count)
{
	char expression[SETS_EXPRESSION_BYTES];
	uint32_t i;

	for (i = 0; i < count; i++) {
		sets_expression(random, kind, i, expression);
		differ_add_expression(differ, expression, false);
	}
}

/* All matches with every engine first, so that sets[JOINT_WALKER] is the walker's. */
#define JOINT_WALKER 2u
#define JOINT_JIT 3u
#define JOINT_AUTO 4u

static void build_all(struct differ *differ, const struct cw_filter_budget *budget)
{
	static const enum cw_filter_mode modes[] = {CW_FILTER_ALL, CW_FILTER_FIRST};

	for (uint32_t i = 0; i < CW_ARRAY_COUNT(modes); i++) {
		differ_build(differ, CW_ENGINE_LIBPCAP, modes[i], budget, "libpcap");
		differ_build(differ, CW_ENGINE_SEQUENTIAL, modes[i], budget, "sequential");
		differ_build(differ, CW_ENGINE_WALKER, modes[i], budget, "walker");
		differ_build(differ, CW_ENGINE_JIT, modes[i], budget, "jit");
		differ_build(differ, CW_ENGINE_AUTO, modes[i], budget, "auto");
	}
}

/* Generated packets, some mutated. */
static void check_packets(struct differ *differ, struct random *random, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		uint8_t bytes[RANDOM_PACKET_MAX];
		struct cw_packet packet = {.data = bytes, .wire_len = sets_packet(random, bytes)};

		packet.caplen = random_mutate(random, bytes, packet.wire_len);
		assert_true(differ_burst_add(differ, &burst, &packet));
	}
	assert_true(differ_burst_check(differ, &burst));
}

static void finish(struct differ *differ)
{
	printf("%llu pairs, %llu checks, %llu matches\n", (unsigned long long)differ->pairs,
	       (unsigned long long)differ->checks, (unsigned long long)differ->matches);
	differ_fini(differ);
}

static void expressions_of_all_kinds_are_joined_exactly(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};

	(void)state;
	for (uint32_t unoptimized = 0; unoptimized < 2; unoptimized++) {
		add_data_file(&differ, unoptimized);
		build_all(&differ, NULL);
		check_packets(&differ, &random, scaled(3000, 0));
		differ_clear(&differ);
	}
	finish(&differ);
}

static void sets_of_every_shape_are_joined_exactly(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = 0; sets_kinds[i]; i++) {
		add_set(&differ, &random, sets_kinds[i], scaled(200, 40));
		build_all(&differ, NULL);
		check_packets(&differ, &random, scaled(250, 100));
		differ_clear(&differ);
	}
	finish(&differ);
}

static void expressions_of_many_alternatives_are_joined_exactly(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = 0; sets_single_kinds[i]; i++) {
		for (uint32_t count = 5; count <= 80; count *= 4) {
			char text[80 * SETS_ALTERNATIVE_BYTES];

			sets_alternatives(&random, sets_single_kinds[i], count, text);
			assert_true(differ_add_expression(&differ, text, count > 20));
		}
		build_all(&differ, NULL);
		check_packets(&differ, &random, scaled(1000, 300));
		differ_clear(&differ);
	}
	assert_true(differ.matches > 0);
	finish(&differ);
}

static void few_filters_are_matched_exactly(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = scaled(400, 80); i > 0; i--) {
		const char *kind =
		    sets_kinds[random_below(&random, CW_ARRAY_COUNT(sets_kinds) - 1)];

		add_set(&differ, &random, kind, 1 + random_below(&random, 5));
		if (differ.count == 0)
			continue;
		build_all(&differ, NULL);
		check_packets(&differ, &random, 50);
		differ_clear(&differ);
	}
	finish(&differ);
}

static void random_programs_are_joined_exactly(void **state)
{
	struct random random = {random_seed(__func__)};
	struct bpf_insn program[RANDOM_PROGRAM_MAX];
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = scaled(150, 30); i > 0; i--) {
		uint32_t count = 1 + random_below(&random, 30);

		while (count--)
			differ_add_program(&differ, program, random_program(&random, program));
		build_all(&differ, NULL);
		check_packets(&differ, &random, 100);
		differ_clear(&differ);
	}
	finish(&differ);
}

static void tiny_budgets_change_the_engine_not_the_result(void **state)
{
	struct random random = {random_seed(__func__)};
	struct cw_filter_set_stats stats;
	struct differ differ = {0};
	size_t apart = 0, programs = 0;
	uint32_t budgets = scaled(120, 48);

	(void)state;
	for (uint32_t i = 0; i < budgets; i++) {
		struct cw_filter_budget budget = differ_tiny(&random);

		add_set(&differ, &random, sets_kinds[i % (CW_ARRAY_COUNT(sets_kinds) - 1)], 60);
		build_all(&differ, &budget);
		cw_filter_set_stats(differ.sets[JOINT_WALKER], &stats);
		assert_int_equal(stats.joint_count + stats.apart_count, differ.count);
		apart += stats.over_budget_count > 0;
		programs += stats.program_count > 1;
		check_packets(&differ, &random, 60);
		differ_clear(&differ);
	}
	assert_true(apart > 0 && programs > 0);
	finish(&differ);
}

/* What --verify-filters compares with: the programs of a set, whatever its engine. */
static void a_set_can_be_matched_by_libpcap(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};

	(void)state;
	add_set(&differ, &random, "mixed", 100);
	add_data_file(&differ, false);
	build_all(&differ, NULL);
	for (uint32_t i = scaled(500, 100); i > 0; i--) {
		uint8_t bytes[RANDOM_PACKET_MAX];
		struct cw_packet packet = {.data = bytes, .wire_len = sets_packet(&random, bytes)};

		packet.caplen = random_mutate(&random, bytes, packet.wire_len);
		packet.flags = i % 50 == 0 ? CW_PACKET_MALFORMED : 0;
		differ_expect(&differ, &packet, 1);
		for (uint32_t set = 0; set < differ.set_count; set++) {
			size_t found =
			    cw_filter_set_match_libpcap(differ.sets[set], &packet, differ.got);

			assert_true(differ_compare(&differ, set, ", libpcap", &packet, 0,
						   (struct differ_ids){differ.got, found}));
		}
	}
	finish(&differ);
}

/* ---- statistics ---- */

static void stats_tell_the_engine_of_each_filter(void **state)
{
	struct random random = {random_seed(__func__)};
	struct cw_filter_set_stats stats;
	struct cw_filter_set *set;
	struct differ differ = {0};

	(void)state;
	add_set(&differ, &random, "host", 10);
	assert_true(differ_add_expression(&differ, "ip6 protochain 17", false));
	set = differ_build(&differ, CW_ENGINE_WALKER, CW_FILTER_ALL, NULL, "walker");
	cw_filter_set_stats(set, &stats);
	assert_int_equal(stats.engine, CW_ENGINE_WALKER);
	assert_int_equal(stats.joint_count, 10);
	assert_int_equal(stats.apart_count, 1);
	assert_int_equal(stats.loop_count, 1);
	assert_int_equal(stats.over_budget_count, 0);
	assert_int_equal(stats.program_count, 1);
	assert_true(stats.step_count > 10 && stats.bytes > 0 && stats.build_ns > 0);
	assert_int_equal(cw_filter_set_engine(set, DIFFER_ID(0)), CW_ENGINE_WALKER);
	assert_int_equal(cw_filter_set_engine(set, DIFFER_ID(10)), CW_ENGINE_SEQUENTIAL);
	assert_int_equal(cw_filter_set_engine(set, 1), CW_ENGINE_AUTO);
	differ_fini(&differ);
}

/* What is promised to users of many filters. */
static void thousand_hosts_take_little_memory(void **state)
{
	struct random random = {random_seed(__func__)};
	static const char *const kinds[] = {"host", "port", "net"};
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = 0; i < CW_ARRAY_COUNT(kinds); i++) {
		struct cw_filter_set_stats stats;
		struct cw_filter_set *set;

		add_set(&differ, &random, kinds[i], 1000);
		set = differ_build(&differ, CW_ENGINE_AUTO, CW_FILTER_ALL, NULL, "auto");
		cw_filter_set_stats(set, &stats);
		assert_int_equal(stats.program_count, 1);
		assert_in_range(stats.joint_bytes / differ.count, 1, i == 2 ? 400 : 200);
		differ_clear(&differ);
	}
	differ_fini(&differ);
}

/* ---- failures ---- */

static void where_code_is_forbidden_programs_are_walked(void **state)
{
	struct random random = {random_seed(__func__)};
	struct cw_filter_set_stats stats;
	struct differ differ = {0};

	(void)state;
	refuse_code = true;
	add_set(&differ, &random, "mixed", 3);
	build_all(&differ, NULL);
	cw_filter_set_stats(differ.sets[JOINT_JIT], &stats);
	assert_int_equal(stats.engine, CW_ENGINE_WALKER);
	cw_filter_set_stats(differ.sets[JOINT_AUTO],
			    &stats); /* AUTO: three filters are not worth it */
	assert_int_equal(stats.engine, CW_ENGINE_SEQUENTIAL);
	check_packets(&differ, &random, scaled(500, 100));
	differ_drop_sets(&differ);
	add_set(&differ, &random, "mixed", 30);
	build_all(&differ, NULL);
	cw_filter_set_stats(differ.sets[JOINT_AUTO], &stats);
	assert_int_equal(stats.engine, CW_ENGINE_WALKER);
	assert_int_equal(stats.code_bytes, 0);
	check_packets(&differ, &random, scaled(500, 100));
	refuse_code = false;
	finish(&differ);
}

/* Let the n-th allocation fail, alone or with all after it, for every n that there is. */
static uint32_t fail_each_allocation(const struct differ *differ, enum cw_filter_mode mode,
				     uint32_t diagram_nodes)
{
	struct cw_filter_set_options options = {.filter = {.linktype = CW_LINKTYPE_ETHERNET},
						.mode = mode};
	struct cw_filter_budget budget = cw_filter_budget_default;
	bool is_reached = true;
	uint32_t n;

	budget.diagram_nodes = diagram_nodes;
	for (n = 0; is_reached; n++) {
		struct cw_filter_set *set;
		struct cw_error error = {0};
		int result;

		assert_int_equal(cw_filter_set_new(&set, &options, NULL), 0);
		cw_filter_set_budget(set, &budget);
		differ_fill(differ, set);
		allocations_left = n;
		result = cw_filter_set_build(set, &error);
		is_reached = allocations_left == 0 || allocations_left > UINT32_MAX / 2;
		allocations_left = UINT32_MAX;
		/* 0: there was no memory for code, or to give memory back. */
		assert_true(result == 0 || (result == -ENOMEM && error.code == -ENOMEM));
		cw_filter_set_free(set);
	}
	return n;
}

static void without_memory_building_fails_and_frees_all(void **state)
{
	static const char *const expressions[] = {
	    "host 10.0.0.1 and port 80", "not host 10.0.0.2",   "tcp[tcpflags] & tcp-syn != 0",
	    "ip[2:2] - ip[0] = 5",       "net 10.0.0.0/9",      "ip6 protochain 6",
	    "portrange 5-900",           "not net 10.1.0.0/16", "ip[0] % ip[9] = 2",
	    "not host 10.0.0.3",         "not host 10.0.0.4"};
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = 0; i < CW_ARRAY_COUNT(expressions); i++)
		assert_true(differ_add_expression(&differ, expressions[i], false));
	for (uint32_t i = 0; i < 4; i++) {
		enum cw_filter_mode mode = i % 2 ? CW_FILTER_FIRST : CW_FILTER_ALL;
		uint32_t nodes = i < 2 ? 20000 : 12; /* few: some have no diagram */

		fails_once = true;
		printf("%u allocations\n", fail_each_allocation(&differ, mode, nodes));
		fails_once = false;
		assert_true(fail_each_allocation(&differ, mode, nodes) > 100);
	}
	differ_fini(&differ);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(expressions_of_all_kinds_are_joined_exactly),
	    cmocka_unit_test(sets_of_every_shape_are_joined_exactly),
	    cmocka_unit_test(expressions_of_many_alternatives_are_joined_exactly),
	    cmocka_unit_test(few_filters_are_matched_exactly),
	    cmocka_unit_test(random_programs_are_joined_exactly),
	    cmocka_unit_test(tiny_budgets_change_the_engine_not_the_result),
	    cmocka_unit_test(a_set_can_be_matched_by_libpcap),
	    cmocka_unit_test(stats_tell_the_engine_of_each_filter),
	    cmocka_unit_test(thousand_hosts_take_little_memory),
	    cmocka_unit_test(where_code_is_forbidden_programs_are_walked),
	    cmocka_unit_test(without_memory_building_fails_and_frees_all),
	};

	return RUN_TESTS(0, tests, open_burst, close_burst, argc, argv);
}
