/* SPDX-License-Identifier: BSD-3-Clause */
/* Comparing and measuring sets: differences are found and told apart, figures are what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/filter/measure.h"
#include "core/packet/linktype.h"
#include "tests/rig/filter_sets.h"

#define PACKETS 200u

static struct cw_packet packets[PACKETS];
static uint8_t memory[PACKETS][RANDOM_PACKET_MAX];

static int make_packets(void **state)
{
	struct random random = {random_seed(__func__)};

	(void)state;
	for (uint32_t i = 0; i < PACKETS; i++) {
		uint32_t bytes = sets_packet(&random, memory[i]);

		packets[i] =
		    (struct cw_packet){.data = memory[i], .caplen = bytes, .wire_len = bytes};
	}
	return 0;
}

/* A set of these filters, the ids in steps of 10; NULL at the end. */
static struct cw_filter_set *make_set(enum cw_filter_engine engine, enum cw_filter_mode mode,
				      const char *const *expressions)
{
	struct cw_filter_set_options options = {
	    .filter = {.linktype = CW_LINKTYPE_ETHERNET}, .mode = mode, .engine = engine};
	struct cw_filter_set *set;

	assert_int_equal(cw_filter_set_new(&set, &options, NULL), 0);
	for (uint32_t i = 0; expressions[i]; i++)
		assert_true(cw_filter_set_add(set, 10 * i, expressions[i], NULL) >= 0);
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	return set;
}

static void equal_sets_agree(void **state)
{
	static const char *const expressions[] = {"tcp", "not port 80", "udp", "vlan", NULL};
	struct cw_filter_difference differences[3];

	(void)state;
	for (int mode = CW_FILTER_ALL; mode <= CW_FILTER_FIRST; mode++) {
		const struct cw_filter_set *sets[] = {
		    make_set(CW_ENGINE_LIBPCAP, (enum cw_filter_mode)mode, expressions),
		    make_set(CW_ENGINE_WALKER, (enum cw_filter_mode)mode, expressions),
		    make_set(CW_ENGINE_JIT, (enum cw_filter_mode)mode, expressions)};

		memset(differences, 0xff, sizeof(differences));
		assert_int_equal(cw_filter_compare(sets, 3, packets, PACKETS, differences), 0);
		for (uint32_t i = 0; i < 3; i++) {
			assert_false(differences[i].is_different);
			cw_filter_set_free((struct cw_filter_set *)sets[i]);
		}
	}
}

/* One filter is replaced by one that also takes packet 150, or takes it no more. */
static void check_difference(const char *usual, const char *other, bool is_missing)
{
	const char *const expected[] = {"tcp", usual, "udp", NULL};
	const char *const wrong[] = {"tcp", other, "udp", NULL};
	struct cw_filter_difference differences[3];
	const struct cw_filter_set *sets[] = {make_set(CW_ENGINE_LIBPCAP, CW_FILTER_ALL, expected),
					      make_set(CW_ENGINE_JIT, CW_FILTER_ALL, wrong),
					      make_set(CW_ENGINE_WALKER, CW_FILTER_ALL, expected)};

	assert_int_equal(cw_filter_compare(sets, 3, packets, PACKETS, differences), 0);
	assert_true(differences[1].is_different);
	assert_int_equal(differences[1].packet, 150);
	assert_int_equal(differences[1].id, 10);
	assert_int_equal(differences[1].is_missing, is_missing);
	assert_false(differences[0].is_different || differences[2].is_different);
	/* Not among those before it. */
	assert_int_equal(cw_filter_compare(sets, 3, packets, 150, differences), 0);
	assert_false(differences[1].is_different);
	for (uint32_t i = 0; i < 3; i++)
		cw_filter_set_free((struct cw_filter_set *)sets[i]);
}

static void the_first_difference_is_found(void **state)
{
	uint8_t saved[4];

	(void)state;
	memcpy(saved, memory[150], sizeof(saved));
	memcpy(memory[150], "\xde\xad\xbe\xef", 4);
	check_difference("ether[0:4] = 0xdeadbeef", "ether[0:4] = 0xdeadbeee", true);
	check_difference("ether[0:4] = 0xdeadbeee", "ether[0:4] = 0xdeadbeef", false);
	memcpy(memory[150], saved, sizeof(saved));
}

static void figures_are_what_they_say(void **state)
{
	static const char *const expressions[] = {"tcp or not tcp", "greater 1", NULL};
	const struct cw_filter_set *sets[] = {
	    make_set(CW_ENGINE_LIBPCAP, CW_FILTER_ALL, expressions),
	    make_set(CW_ENGINE_WALKER, CW_FILTER_ALL, expressions)};
	struct cw_filter_run runs[] = {{.set = sets[0], .packet_count = 50},
				       {.set = sets[1], .packet_count = PACKETS}};

	(void)state;
	assert_int_equal(cw_filter_measure(runs, 2, packets, 11), 0);
	for (uint32_t i = 0; i < 2; i++) {
		assert_true(runs[i].ns_min > 0 && runs[i].ns_min <= runs[i].ns);
		assert_true(runs[i].ns <= runs[i].ns_max);
		assert_true(runs[i].matches == 2.0);
		assert_true(runs[i].ratio > 0);
	}
	assert_true(runs[0].ratio == 1.0);
	for (uint32_t i = 0; i < 2; i++)
		cw_filter_set_free((struct cw_filter_set *)sets[i]);
}

/* Sets whose passes are a script: a pass after one of another set takes long. */
#define FAKE_PASSES 1000u

static struct {
	struct cw_filter_run *passes[FAKE_PASSES];
	size_t count;
} fake;

static double fake_pass(struct cw_filter_run *run, uint64_t *matches)
{
	bool is_first = !fake.count || fake.passes[fake.count - 1] != run;

	assert_true(fake.count < FAKE_PASSES);
	fake.passes[fake.count++] = run;
	*matches += PACKETS;
	return is_first ? 1e9 : 1e6;
}

/* Measures three such sets in four rounds. */
static void measure_fakes(struct cw_filter_run runs[3])
{
	static const char *const expressions[] = {"tcp", NULL};
	struct cw_filter_set *set = make_set(CW_ENGINE_WALKER, CW_FILTER_ALL, expressions);

	for (uint32_t i = 0; i < 3; i++)
		runs[i] =
		    (struct cw_filter_run){.set = set, .packet_count = PACKETS, .pass = fake_pass};
	fake.count = 0;
	assert_int_equal(cw_filter_measure(runs, 3, packets, 4), 0);
	cw_filter_set_free(set);
}

static void the_first_pass_after_another_set_is_not_measured(void **state)
{
	struct cw_filter_run runs[3];

	(void)state;
	measure_fakes(runs);
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(runs[i].ns == 1e6 / PACKETS);
		assert_true(runs[i].ns_min == runs[i].ns && runs[i].ns_max == runs[i].ns);
		assert_true(runs[i].ratio == 1.0 && runs[i].matches == 1.0);
	}
}

static void every_round_begins_with_another_set(void **state)
{
	struct cw_filter_run runs[3], *order[12];
	size_t count = 0;

	(void)state;
	measure_fakes(runs);
	for (size_t i = 0; i < fake.count; i++)
		if (!i || fake.passes[i] != fake.passes[i - 1]) {
			assert_true(count < 12);
			order[count++] = fake.passes[i];
		}
	assert_int_equal(count, 12);
	for (size_t i = 0; i < count; i++)
		assert_ptr_equal(order[i], runs + (i / 3 + i) % 3);
}

static void as_many_packets_as_there_is_time_for(void **state)
{
	static const char *const expressions[] = {"tcp", NULL};
	struct cw_filter_set *set = make_set(CW_ENGINE_LIBPCAP, CW_FILTER_ALL, expressions);

	(void)state;
	assert_int_equal(cw_filter_affordable(set, packets, PACKETS, 1e12), PACKETS);
	assert_int_equal(cw_filter_affordable(set, packets, PACKETS, 0), 50);
	assert_int_equal(cw_filter_affordable(set, packets, 7, 0), 7);
	cw_filter_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(equal_sets_agree),
	    cmocka_unit_test(the_first_difference_is_found),
	    cmocka_unit_test(figures_are_what_they_say),
	    cmocka_unit_test(the_first_pass_after_another_set_is_not_measured),
	    cmocka_unit_test(every_round_begins_with_another_set),
	    cmocka_unit_test(as_many_packets_as_there_is_time_for),
	};

	return cmocka_run_group_tests(tests, make_packets, NULL);
}
