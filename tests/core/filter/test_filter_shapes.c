/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the engines of filter sets do for speed only, each against libpcap or the slow way: bursts,
 * code that entries of a table share, hash tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/filter/passes/passes.h"
#include "tests/rig/filter_differ.h"
#include "tests/rig/scale.h"

#define BURST_MAX 64u
#define FILTERS_OF_BURST 150u
#define SHAPE_FILTERS 60u

static struct guarded guarded;

static void add_set(struct differ *differ, struct random *random, const char *kind, uint32_t count)
{
	char expression[SETS_EXPRESSION_BYTES];
	uint32_t i;

	for (i = 0; i < count; i++) {
		sets_expression(random, kind, i, expression);
		differ_add_expression(differ, expression, false);
	}
}

/* Returns the one that is machine code where it can be. */
static const struct cw_filter_set *build_all(struct differ *differ)
{
	differ_build(differ, CW_ENGINE_WALKER, CW_FILTER_ALL, NULL, "walker");
	differ_build(differ, CW_ENGINE_WALKER, CW_FILTER_FIRST, NULL, "walker");
	differ_build(differ, CW_ENGINE_JIT, CW_FILTER_FIRST, NULL, "jit");
	return differ_build(differ, CW_ENGINE_JIT, CW_FILTER_ALL, NULL, "jit");
}

/* Packets that stay where they are, for bursts. */
static uint32_t make_burst(struct random *random, struct cw_packet *packets, uint8_t *memory)
{
	uint32_t count = 1 + random_below(random, BURST_MAX), i;

	for (i = 0; i < count; i++) {
		uint8_t *data = memory + (size_t)i * RANDOM_PACKET_MAX;
		uint32_t bytes = sets_packet(random, data);

		packets[i] =
		    (struct cw_packet){.data = data,
				       .wire_len = bytes,
				       .caplen = random_mutate(random, data, bytes),
				       .flags = random_is(random, 50) ? CW_PACKET_MALFORMED : 0};
	}
	return count;
}

static void check_burst(const struct cw_filter_set *set, const struct cw_packet *packets,
			uint32_t count, size_t ids_capacity)
{
	uint32_t ends[BURST_MAX], one[FILTERS_OF_BURST];
	uint32_t *ids = malloc(ids_capacity * sizeof(*ids));
	uint32_t done = 0, i;

	assert_non_null(ids);
	while (done < count) {
		uint32_t some = (uint32_t)cw_filter_set_match_burst(
		    set, packets + done, count - done, ids, ids_capacity, ends);
		uint32_t first = 0;

		assert_in_range(some, 1, count - done);
		for (i = 0; i < some; i++) {
			size_t found = cw_filter_set_match(set, &packets[done + i], one);

			assert_int_equal(ends[i] - first, found);
			assert_memory_equal(ids + first, one, found * sizeof(*one));
			first = ends[i];
		}
		done += some;
	}
	free(ids);
}

/* Bursts have a way of their own for packets with few events. */
static void bursts_match_as_packets_do_one_by_one(void **state)
{
	static uint8_t memory[BURST_MAX * RANDOM_PACKET_MAX];
	static struct cw_packet packets[BURST_MAX];
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = 0; i < 3 * (CW_ARRAY_COUNT(sets_kinds) - 1); i++) {
		uint32_t filters = i % 3 ? 1 + random_below(&random, 8) : FILTERS_OF_BURST;

		add_set(&differ, &random, sets_kinds[i / 3], filters);
		build_all(&differ);
		for (uint32_t n = scaled(20, 5); n > 0; n--) {
			uint32_t count = make_burst(&random, packets, memory);
			size_t room = differ.count * (1 + random_below(&random, BURST_MAX));

			for (uint32_t set = 0; set < differ.set_count; set++)
				check_burst(differ.sets[set], packets, count, room);
		}
		differ_clear(&differ);
	}
	differ_fini(&differ);
}

/* Packets between hosts and ports of which many are some filter's. */
static void check_near_packets(struct differ *differ, struct random *random, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint8_t bytes[RANDOM_PACKET_MAX];
		struct cw_packet packet = {.wire_len = sets_packet(random, bytes)};

		sets_put16(bytes + 12, 0x800);
		bytes[14] = (uint8_t)(0x40 | (random_is(random, 8) ? random_below(random, 16) : 5));
		bytes[20] = bytes[21] = 0;
		bytes[22] = (uint8_t)random_below(random, SHAPE_FILTERS);
		bytes[23] = random_is(random, 4) ? 17 : 6;
		for (uint32_t at = 26; at <= 30; at += 4)
			sets_put32(bytes + at,
				   0x0a000000 | random_below(random, SHAPE_FILTERS + 20));
		for (uint32_t at = 34; at <= 36; at += 2)
			sets_put16(bytes + at, random_below(random, SHAPE_FILTERS + 20));
		packet.caplen = random_is(random, 4) ? random_below(random, 60) : packet.wire_len;
		packet.data = guarded_copy(&guarded, bytes, packet.caplen);
		assert_true(differ_check(differ, &packet));
	}
}

/* A host and one or two numbers, ascending. */
static const char *const shapes[] = {
    "host 10.0.0.%u and port %u",
    "src host 10.0.0.%u and not port %u",
    "dst host 10.0.0.%u and not src port %u",
    "src host 10.0.0.%u and src port %u and dst port %u",
    "src host 10.0.0.%u and src port %u and not dst port %u",
    "host 10.0.0.%u and tcp portrange %u-%u",
    "src host 10.0.0.%u and tcp and not dst portrange %u-%u",
    "src host 10.0.0.%u and ip[8] = %u",
    "src host 10.0.0.%u and ip[8] > %u and dst port %u",
    "src host 10.0.0.%u and ip[6:2] & 0x1ffe = %u",
};

/* Entries of a table that differ in constants only are data; with one code for all. */
static void entries_of_one_shape_share_their_code_exactly(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = 0; i < 2 * CW_ARRAY_COUNT(shapes); i++) {
		char others[SHAPE_FILTERS * 32] = "ip";
		struct cw_filter_set_stats stats;
		const struct cw_filter_set *set;

		for (uint32_t n = 0; n < SHAPE_FILTERS; n++) {
			uint32_t low = random_below(&random, SHAPE_FILTERS);
			char expression[SETS_EXPRESSION_BYTES];
			size_t used = strlen(others);

			snprintf(expression, sizeof(expression), shapes[i / 2], n, low,
				 low + random_below(&random, 9));
			assert_true(differ_add_expression(&differ, expression, false));
			snprintf(others + used, sizeof(others) - used,
				 " and not src host 10.0.0.%u", n);
		}
		if (i % 2) /* the tables lead elsewhere where they have no entry */
			assert_true(differ_add_expression(&differ, others, false));
		set = build_all(&differ);
		check_near_packets(&differ, &random, scaled(2000, 400));
		cw_filter_set_stats(set, &stats);
		if (i % 2 == 0) /* more than 100 if each had code of its own */
			assert_in_range(stats.code_bytes / differ.count, 0, 80);
		differ_clear(&differ);
	}
	differ_fini(&differ);
}

/* ---- a joint graph by hand ---- */

static uint32_t add_node(struct cw_joint *joint, struct cw_joint_node node)
{
	assert_int_equal(CW_GROW(joint, 1), 0);
	joint->at[joint->count] = node;
	return joint->count++;
}

static uint32_t add_leaf(struct cw_joint *joint, uint32_t part)
{
	assert_int_equal(CW_GROW(&joint->words, 1), 0);
	joint->words.at[joint->words.count] = part;
	return add_node(joint, (struct cw_joint_node){.kind = CW_JOINT_LEAF,
						      .emit_first = joint->words.count++,
						      .emit_count = 1});
}

static void add_edge(struct cw_joint *joint, uint32_t start, uint32_t to)
{
	assert_int_equal(CW_GROW(&joint->edges, 1), 0);
	joint->edges.at[joint->edges.count++] = (struct cw_edge){start, to};
}

/* Source addresses, three of four with a port that emits, the others taking a part back. */
static void make_joint(struct cw_build *build)
{
	uint32_t address = cw_expr_load(build, 4, 26, CW_NONE);
	uint32_t port = cw_expr_load(build, 2, 34, CW_NONE), ends[SHAPE_FILTERS], i;
	struct cw_joint *joint = &build->joint;
	struct cw_joint_node table = {.kind = CW_JOINT_SWITCH, .var = address};

	add_node(joint, (struct cw_joint_node){.kind = CW_JOINT_LEAF});
	assert_int_equal(CW_GROW(&joint->owners, SHAPE_FILTERS), 0);
	assert_int_equal(CW_GROW(&joint->parents, SHAPE_FILTERS), 0);
	for (i = 0; i < SHAPE_FILTERS; i++) {
		struct cw_joint_node question = {.kind = CW_JOINT_SWITCH, .var = port, .count = 3};

		joint->owners.at[joint->owners.count++] = i;
		joint->parents.at[joint->parents.count++] = CW_NONE;
		ends[i] = add_leaf(joint, i % 4 ? i : i | CW_PART_EXCLUDE);
		if (i % 4 == 0)
			continue;
		question.first = joint->edges.count;
		add_edge(joint, 0, 0);
		add_edge(joint, 1 + i, ends[i]);
		add_edge(joint, 2 + i, 0);
		ends[i] = add_node(joint, question);
	}
	table.first = joint->edges.count;
	table.count = SHAPE_FILTERS + 2;
	add_edge(joint, 0, 0);
	for (i = 0; i < SHAPE_FILTERS; i++)
		add_edge(joint, 0x0a000000 + i, ends[i]);
	add_edge(joint, 0x0a000000 + i, 0);
	joint->root = add_node(joint, table);
	joint->has_excludes = true;
}

/* Code against the walker. */
static void entries_that_take_back_stand_beside_rows(void **state)
{
	struct random random = {random_seed(__func__)};
	struct cw_decision walked, code;
	uint32_t events[CW_EVENTS_ROOM], expected[CW_EVENTS_ROOM];
	uint32_t taken_back = 0;

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct cw_build build = {.filter_count = SHAPE_FILTERS};

		make_joint(&build);
		cw_lower(&build, i ? &code : &walked);
		assert_int_equal(build.failure, 0);
		cw_build_fini(&build);
	}
	if (cw_jit_build(&code, UINT32_MAX))
		print_message("no machine code here\n");
	for (uint32_t i = 0; i < 5000; i++) {
		uint8_t bytes[64] = {0};
		uint32_t caplen = random_is(&random, 4) ? random_below(&random, 64) : 64, count;
		const uint8_t *data;

		sets_put32(bytes + 26, 0x0a000000 | random_below(&random, SHAPE_FILTERS + 9));
		sets_put16(bytes + 34, random_is(&random, 2)
					   ? 1u + bytes[29]
					   : random_below(&random, SHAPE_FILTERS));
		data = guarded_copy(&guarded, bytes, caplen);
		count = cw_walk(&walked, data, caplen, 64, expected);
		taken_back += count && expected[0] & CW_EVENT_EXCLUDE;
		if (!code.jit)
			continue;
		assert_int_equal(cw_jit_run(&code, data, caplen, 64, events), count);
		assert_memory_equal(events, expected, count * sizeof(*events));
	}
	assert_in_range(taken_back, 500, 5000);
	cw_decision_fini(&walked);
	cw_decision_fini(&code);
}

/* All in the bucket of key 0, where no one multiplier divides them: a search tree then. */
static void hosts_chosen_against_the_hash_are_joined_exactly(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};
	uint32_t inverse = 1, hosts[200];

	(void)state;
	for (uint32_t i = 0; i < 5; i++) /* Newton: of the multiplier, modulo 2^32 */
		inverse *= 2 - CW_HASH_MULTIPLIER * inverse;
	assert_int_equal(CW_HASH_MULTIPLIER * inverse, 1);
	for (uint32_t i = 0; i < CW_ARRAY_COUNT(hosts); i++) {
		char expression[SETS_EXPRESSION_BYTES];

		hosts[i] = random_below(&random, 1u << 20) * inverse;
		snprintf(expression, sizeof(expression), "host " HOST_FORMAT,
			 HOST_ARGUMENTS(hosts[i]));
		differ_add_expression(&differ, expression, false);
	}
	build_all(&differ);
	for (uint32_t i = 0; i < 400; i++) {
		uint8_t bytes[RANDOM_PACKET_MAX];
		struct cw_packet packet = {.wire_len = sets_packet(&random, bytes)};

		sets_put16(bytes + 12, 0x800);
		for (uint32_t at = 26; at <= 30; at += 4)
			sets_put32(bytes + at, random_is(&random, 2)
						   ? hosts[random_below(&random, 200)]
						   : random_below(&random, 1u << 20) * inverse);
		packet.caplen = packet.wire_len;
		packet.data = guarded_copy(&guarded, bytes, packet.caplen);
		assert_true(differ_check(&differ, &packet));
	}
	assert_in_range(differ.matches, 100, UINT32_MAX);
	differ_fini(&differ);
}

static int open_guarded(void **state)
{
	(void)state;
	guarded_init(&guarded);
	return 0;
}

static int close_guarded(void **state)
{
	(void)state;
	guarded_fini(&guarded);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bursts_match_as_packets_do_one_by_one),
	    cmocka_unit_test(entries_of_one_shape_share_their_code_exactly),
	    cmocka_unit_test(entries_that_take_back_stand_beside_rows),
	    cmocka_unit_test(hosts_chosen_against_the_hash_are_joined_exactly),
	};

	return cmocka_run_group_tests(tests, open_guarded, close_guarded);
}
