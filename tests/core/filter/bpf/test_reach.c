/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reach of a program: its result on a packet is the result on the packet's first bytes, as many
 * as the reach says. Random programs, random expressions and those of tests/data on random packets,
 * which end at an unreadable page.
 */
#include "core/filter/bpf/bpf.h"
#include "core/filter/filter.h"
#include "tests/rig/failing_memory.h"
#include "tests/rig/filter_random.h"
#include "tests/rig/filter_sets.h"
#include "tests/rig/filter_texts.h"

#define FILTERS PROGRAM_COUNT
#define PACKETS_EACH 20u

struct stage {
	struct random random;
	struct guarded guarded;
	uint64_t cut;   /* packets truncated */
	uint64_t taken; /* matches among them */
	uint64_t tight; /* packets whose result needs the last byte of the reach */
};

static uint32_t match(struct stage *stage, const struct cw_filter *filter, const uint8_t *bytes,
		      uint32_t caplen, uint32_t wire_len)
{
	return cw_filter_match(filter, guarded_copy(&stage->guarded, bytes, caplen), caplen,
			       wire_len);
}

static void check_filter(struct stage *stage, const struct cw_filter *filter)
{
	uint32_t reach = cw_filter_reach(filter);

	for (uint32_t i = 0; i < PACKETS_EACH; i++) {
		uint8_t bytes[RANDOM_PACKET_MAX];
		uint32_t length = sets_packet(&stage->random, bytes);
		uint32_t caplen = random_mutate(&stage->random, bytes, length);
		uint32_t result = match(stage, filter, bytes, caplen, length);

		if (caplen <= reach)
			continue;
		assert_int_equal(match(stage, filter, bytes, reach, length), result);
		stage->cut++;
		stage->taken += result != 0;
		stage->tight += reach && match(stage, filter, bytes, reach - 1, length) != result;
	}
}

static void stage_init(struct stage *stage, const char *test)
{
	*stage = (struct stage){.random = {random_seed(test)}};
	guarded_init(&stage->guarded);
}

/* The test means something: packets were truncated, and a byte less would have been too little. */
static void stage_fini(struct stage *stage, uint64_t least)
{
	printf("%llu packets truncated, %llu match, %llu need every byte of the reach\n",
	       (unsigned long long)stage->cut, (unsigned long long)stage->taken,
	       (unsigned long long)stage->tight);
	assert_true(stage->cut > least);
	assert_true(stage->taken > least / 10);
	assert_true(stage->tight > least / 100);
	guarded_fini(&stage->guarded);
}

static void random_filters_need_no_more_than_their_reach(void **state)
{
	struct stage stage;

	(void)state;
	stage_init(&stage, __func__);
	for (uint32_t number = 0; number < FILTERS; number++) {
		struct cw_filter_options options = {.linktype = CW_LINKTYPE_ETHERNET,
						    .unoptimized = random_is(&stage.random, 3)};
		char expression[SETS_EXPRESSION_BYTES];
		struct bpf_insn program[RANDOM_PROGRAM_MAX];
		struct cw_filter *filter = NULL;

		if (number % 8) {
			uint32_t count = random_program(&stage.random, program);

			assert_int_equal(cw_filter_from_program(&filter, program, count, NULL), 0);
		} else {
			sets_expression(&stage.random, "random", number, expression);
			if (cw_filter_compile(&filter, expression, &options, NULL) < 0)
				continue;
		}
		check_filter(&stage, filter);
		cw_filter_free(filter);
	}
	stage_fini(&stage, FILTERS);
}

static void check_expression(const char *expression, void *context)
{
	struct cw_filter *filter = compile(expression, &ethernet);

	check_filter(context, filter);
	cw_filter_free(filter);
}

static void known_expressions_need_no_more_than_their_reach(void **state)
{
	struct stage stage;

	(void)state;
	stage_init(&stage, __func__);
	for_expressions(check_expression, &stage);
	stage_fini(&stage, 500);
}

static void reach_is_the_end_of_the_farthest_load(void **state)
{
	static const struct {
		const char *expression;
		uint32_t reach;
	} cases[] = {
	    {"", 0},
	    {"greater 1000", 0},
	    {"ip", 14},
	    {"ip and udp port 53", 14 + 60 + 4},
	    {"ip6 and udp port 53", 14 + 40 + 4},
	    {"ip[150:4] = 1", 14 + 150 + 4},
	    {"udp[130:4] = 1", 14 + 60 + 130 + 4},
	    {"ether[ether[20] & 7] = 1", 21},
	    {"ether[2 * ether[20:2]:2] = 1", 2 * 65535 + 2},
	    {"ether[ether[20] - 3] = 1", UINT32_MAX}, /* the difference can wrap around */
	    {"ether[len - 1] = 1", UINT32_MAX},
	    {"ip protochain 6", UINT32_MAX},
	};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		struct cw_filter *filter = compile(cases[i].expression, &ethernet);

		if (cw_filter_reach(filter) != cases[i].reach)
			fail_msg("%s: reach %u, not %u", cases[i].expression,
				 cw_filter_reach(filter), cases[i].reach);
		cw_filter_free(filter);
	}
}

static void reach_of_a_set_is_that_of_the_farthest_filter(void **state)
{
	static const char *const expressions[] = {"ip", "ip[150:4] = 1", "udp port 53"};
	const struct cw_filter_set_options options = {.filter = ethernet};
	struct cw_filter_set *set;

	(void)state;
	assert_int_equal(cw_filter_set_new(&set, &options, NULL), 0);
	assert_int_equal(cw_filter_set_reach(set), 0);
	for (uint32_t i = 0; i < CW_ARRAY_COUNT(expressions); i++)
		assert_int_equal(cw_filter_set_add(set, i, expressions[i], NULL), 0);
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	assert_int_equal(cw_filter_set_reach(set), 14 + 150 + 4);
	cw_filter_set_free(set);
}

static void reach_without_memory_is_everything(void **state)
{
	struct cw_filter *filter = compile("ip", &ethernet);

	(void)state;
	allocations_left = 0;
	fails_once = true;
	assert_int_equal(cw_filter_reach(filter), UINT32_MAX);
	assert_int_equal(cw_filter_reach(filter), 14);
	cw_filter_free(filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_filters_need_no_more_than_their_reach),
	    cmocka_unit_test(known_expressions_need_no_more_than_their_reach),
	    cmocka_unit_test(reach_is_the_end_of_the_farthest_load),
	    cmocka_unit_test(reach_of_a_set_is_that_of_the_farthest_filter),
	    cmocka_unit_test(reach_without_memory_is_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
