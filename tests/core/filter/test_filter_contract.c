/* SPDX-License-Identifier: BSD-3-Clause */
/* The contract of a filter set; test_filter_set compares its engines. */
#include <errno.h>

#include "tests/rig/filter_texts.h"

static struct cw_filter_set *new_set(enum cw_filter_mode mode, enum cw_filter_engine engine)
{
	struct cw_filter_set_options options = {ethernet, mode, engine};
	struct cw_filter_set *set = NULL;

	assert_int_equal(cw_filter_set_new(&set, &options, NULL), 0);
	return set;
}

static void set_gives_ids_in_ascending_order(void **state)
{
	struct cw_filter_set *set = new_set(CW_FILTER_ALL, CW_ENGINE_AUTO);
	struct cw_packet packet = {.data = (const uint8_t *)"x", .caplen = 1, .wire_len = 1};
	uint32_t ids[3];

	(void)state;
	assert_int_equal(cw_filter_set_add(set, CW_FILTER_ID_MAX, "len > 0", NULL), 0);
	assert_int_equal(cw_filter_set_add(set, 7, "", NULL), 0);
	assert_int_equal(cw_filter_set_add(set, 5, "tcp and udp", NULL), CW_FILTER_NEVER);
	assert_int_equal(cw_filter_set_size(set), 3);
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	assert_int_equal(cw_filter_set_match(set, &packet, ids), 2);
	assert_int_equal(ids[0], 7);
	assert_int_equal(ids[1], CW_FILTER_ID_MAX);
	packet.flags = CW_PACKET_MALFORMED;
	assert_int_equal(cw_filter_set_match(set, &packet, ids), 0);
	cw_filter_set_free(set);
}

static void first_match_is_the_lowest_id(void **state)
{
	struct cw_filter_set *set = new_set(CW_FILTER_FIRST, CW_ENGINE_AUTO);
	struct cw_packet packet = {.data = (const uint8_t *)"x", .caplen = 1, .wire_len = 1};
	uint32_t id;

	(void)state;
	assert_int_equal(cw_filter_set_add(set, 9, "", NULL), 0);
	assert_int_equal(cw_filter_set_add(set, 3, "len > 0", NULL), 0);
	assert_int_equal(cw_filter_set_add(set, 1, "len > 1", NULL), 0);
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	assert_int_equal(cw_filter_set_match(set, &packet, &id), 1);
	assert_int_equal(id, 3);
	cw_filter_set_free(set);
}

static void set_refuses_what_it_cannot_take(void **state)
{
	struct cw_filter_set *set = new_set(CW_FILTER_ALL, CW_ENGINE_AUTO);
	struct cw_filter *filter = compile("udp", &ethernet);
	struct cw_error error = {0};

	(void)state;
	assert_int_equal(cw_filter_set_add(set, 4, "tcp", &error), 0);
	assert_int_equal(cw_filter_set_add(set, 4, "udp", &error), -EEXIST);
	assert_contains(error.text, "4");
	assert_int_equal(cw_filter_set_add_filter(set, 4, filter, &error), -EEXIST);
	assert_int_equal(cw_filter_set_add(set, CW_FILTER_ID_MAX + 1, "tcp", &error), -EINVAL);
	assert_int_equal(cw_filter_set_add(set, 5, "host foo", &error), -EACCES);
	assert_int_equal(cw_filter_set_add_filter(set, 5, filter, &error), 0);
	assert_int_equal(cw_filter_set_build(set, &error), 0);
	assert_int_equal(cw_filter_set_build(set, &error), -EINVAL);
	assert_int_equal(cw_filter_set_add(set, 6, "tcp", &error), -EINVAL);
	assert_int_equal(cw_filter_set_size(set), 2);
	cw_filter_set_free(set);
	cw_filter_set_free(NULL);
	cw_filter_free(NULL);
}

/* Packets of 0 to 9 bytes; the filter with id i matches those of more than i bytes. */
static void burst_stops_where_ids_might_not_fit(void **state)
{
	struct cw_filter_set *set = new_set(CW_FILTER_ALL, CW_ENGINE_AUTO);
	static const uint8_t data[10];
	struct cw_packet packets[10];
	uint32_t ids[10], ends[10];
	char expression[32];

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		packets[i] = (struct cw_packet){.data = data, .caplen = i, .wire_len = i};
		snprintf(expression, sizeof(expression), "len > %u", i);
		assert_int_equal(cw_filter_set_add(set, i, expression, NULL), 0);
	}
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	assert_int_equal(cw_filter_set_match_burst(set, packets, 10, ids, 9, ends), 0);
	/* 0 + 1 ids, then 9 places are left for up to 10. */
	assert_int_equal(cw_filter_set_match_burst(set, packets, 10, ids, 10, ends), 2);
	assert_int_equal(ends[0], 0);
	assert_int_equal(ends[1], 1);
	assert_int_equal(cw_filter_set_match_burst(set, packets + 9, 1, ids, 10, ends), 1);
	assert_int_equal(ends[0], 9);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(ids[i], i);
	cw_filter_set_free(set);
}

/* A set of `count` filters, bit i of which matches packets of more than i bytes. */
static struct cw_filter_set *set_of_lengths(enum cw_filter_mode mode, enum cw_filter_engine engine,
					    uint32_t count)
{
	struct cw_filter_set *set = new_set(mode, engine);
	char expression[32];

	for (uint32_t i = count; i-- > 0;) { /* ids ascend with the bits, and have gaps */
		snprintf(expression, sizeof(expression), "len > %u", i);
		assert_int_equal(cw_filter_set_add(set, 5 + 7 * i, expression, NULL), 0);
	}
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	return set;
}

static void bits_are_in_the_order_of_ids(void **state)
{
	static const uint8_t data[64];
	struct cw_packet packets[66];
	uint64_t bits[66], expected;

	(void)state;
	for (uint32_t i = 0; i < 65; i++)
		packets[i] = (struct cw_packet){.data = data, .caplen = 1, .wire_len = i};
	packets[65] = packets[64];
	packets[65].flags = CW_PACKET_MALFORMED;
	for (int engine = CW_ENGINE_AUTO; engine <= CW_ENGINE_LIBPCAP; engine++) {
		for (int mode = CW_FILTER_ALL; mode <= CW_FILTER_FIRST; mode++) {
			struct cw_filter_set *set = set_of_lengths(
			    (enum cw_filter_mode)mode, (enum cw_filter_engine)engine, 64);

			assert_true(cw_filter_set_has_bits(set));
			cw_filter_set_match_bits(set, packets, 66, bits);
			for (uint32_t i = 0; i < 65; i++) {
				expected = i == 64 ? UINT64_MAX : (UINT64_C(1) << i) - 1;
				assert_int_equal(bits[i],
						 mode == CW_FILTER_FIRST ? i > 0 : expected);
			}
			assert_int_equal(bits[65], 0);
			cw_filter_set_free(set);
		}
	}
}

static void more_than_64_filters_have_no_bits(void **state)
{
	struct cw_filter_set *set = set_of_lengths(CW_FILTER_ALL, CW_ENGINE_AUTO, 65);

	(void)state;
	assert_false(cw_filter_set_has_bits(set));
	cw_filter_set_free(set);
}

static void empty_set_matches_nothing(void **state)
{
	struct cw_filter_set *set = new_set(CW_FILTER_FIRST, CW_ENGINE_AUTO);
	struct cw_packet packet = {.data = (const uint8_t *)"x", .caplen = 1, .wire_len = 1};
	uint32_t ends[1] = {9};
	uint64_t bits = 9;

	(void)state;
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	assert_true(cw_filter_set_has_bits(set));
	cw_filter_set_match_bits(set, &packet, 1, &bits);
	assert_int_equal(bits, 0);
	assert_int_equal(cw_filter_set_match(set, &packet, NULL), 0);
	assert_int_equal(cw_filter_set_match_burst(set, &packet, 1, NULL, 0, ends), 1);
	assert_int_equal(ends[0], 0);
	cw_filter_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(set_gives_ids_in_ascending_order),
	    cmocka_unit_test(first_match_is_the_lowest_id),
	    cmocka_unit_test(set_refuses_what_it_cannot_take),
	    cmocka_unit_test(burst_stops_where_ids_might_not_fit),
	    cmocka_unit_test(bits_are_in_the_order_of_ids),
	    cmocka_unit_test(more_than_64_filters_have_no_bits),
	    cmocka_unit_test(empty_set_matches_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
