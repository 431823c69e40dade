/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filters against bpf_filter of libpcap, packet by packet: expressions, random programs, programs
 * that nobody would write.
 */
#include "datasets/traffic.h"
#include "tests/rig/filter_random.h"
#include "tests/rig/filter_reference.h"
#include "tests/rig/filter_texts.h"

/* ---- helpers ---- */

static uint32_t oracle(const struct cw_filter *filter, const uint8_t *data, uint32_t caplen,
		       uint32_t wire_len)
{
	uint32_t count;
	const struct bpf_insn *program = cw_filter_program(filter, &count);

	return reference_filter(program, count, data, caplen, wire_len);
}

/* ---- equality with bpf_filter ---- */

struct stage {
	struct random random;
	struct guarded guarded;
	struct cw_traffic *traffic;
	uint64_t checks;
	uint64_t matches;
};

static void stage_init(struct stage *stage, const char *test)
{
	*stage = (struct stage){.random = {random_seed(test)}};
	guarded_init(&stage->guarded);
	assert_int_equal(cw_traffic_open(&stage->traffic, "mix", stage->random.state, NULL), 0);
}

static void stage_fini(struct stage *stage)
{
	printf("%llu checks, %llu matches\n", (unsigned long long)stage->checks,
	       (unsigned long long)stage->matches);
	cw_traffic_close(stage->traffic);
	guarded_fini(&stage->guarded);
}

/* The next generated packet, mutated, in front of the guard page. */
static struct cw_packet next_packet(struct stage *stage)
{
	uint8_t bytes[CW_TRAFFIC_CAPLEN_MAX];
	struct cw_packet packet;

	cw_traffic_next(stage->traffic, &packet);
	memcpy(bytes, packet.data, packet.caplen);
	packet.caplen = random_mutate(&stage->random, bytes, packet.caplen);
	packet.data = guarded_copy(&stage->guarded, bytes, packet.caplen);
	return packet;
}

static void check_packet(struct stage *stage, const struct cw_filter *filter,
			 const struct cw_packet *packet)
{
	uint32_t expected = oracle(filter, packet->data, packet->caplen, packet->wire_len);
	uint32_t got = cw_filter_match(filter, packet->data, packet->caplen, packet->wire_len);

	stage->checks++;
	stage->matches += expected != 0;
	if (got != expected)
		fail_msg("\"%s\" gives %u, not %u, on %u bytes", cw_filter_expression(filter), got,
			 expected, packet->caplen);
}

static void check_expression(const char *expression, void *context)
{
	struct stage *stage = context;
	struct cw_filter_options options = ethernet;
	uint32_t optimized;

	for (optimized = 0; optimized < 2; optimized++) {
		struct cw_filter *filter;

		options.unoptimized = !optimized;
		filter = compile(expression, &options);
		for (uint32_t i = 0; i < PACKET_COUNT; i++) {
			struct cw_packet packet = next_packet(stage);

			check_packet(stage, filter, &packet);
		}
		cw_filter_free(filter);
	}
}

static void expressions_match_as_in_libpcap(void **state)
{
	struct stage stage;

	(void)state;
	stage_init(&stage, __func__);
	for_expressions(check_expression, &stage);
	stage_fini(&stage);
}

static void random_programs_match_as_in_libpcap(void **state)
{
	struct bpf_insn program[RANDOM_PROGRAM_MAX];
	struct stage stage;

	(void)state;
	stage_init(&stage, __func__);
	for (uint32_t i = 0; i < PROGRAM_COUNT; i++) {
		uint32_t count = random_program(&stage.random, program);
		struct cw_filter *filter = NULL;
		struct cw_error error = {0};

		assert_true(bpf_validate(program, (int)count));
		if (cw_filter_from_program(&filter, program, count, &error))
			fail_msg("%s", error.text);
		for (uint32_t n = 0; n < 20; n++) {
			struct cw_packet packet = next_packet(&stage);

			check_packet(&stage, filter, &packet);
		}
		cw_filter_free(filter);
	}
	stage_fini(&stage);
}

/* An authentication header from which libpcap's own interpreter never comes back. */
static void protochain_that_libpcap_never_ends_ends(void **state)
{
	struct cw_filter *filter = compile("ip6 protochain 6", &ethernet);
	uint8_t packet[128] = {[12] = 0x86, [13] = 0xdd, [14] = 0x60, [20] = 51};

	(void)state;
	for (uint32_t i = 14; i < sizeof(packet); i++)
		packet[i] = i % 4 == 2 ? 51 : 1; /* X = 12, and there 51 and 1 again */
	for (uint32_t bytes = 0; bytes <= sizeof(packet); bytes++)
		assert_int_equal(cw_filter_match_libpcap(filter, packet, bytes, bytes),
				 cw_filter_match(filter, packet, bytes, bytes));
	cw_filter_free(filter);
}

/* Authentication headers at each of the 256 places that X = (length + 2) * 4 can name, that lead
 * from one to another all over the packet; the one before the last has `last` as its next header.
 */
static void lay_turns(struct random *random, uint8_t packet[1046], uint8_t last,
		      bool is_permutation)
{
	uint8_t order[256] = {0};
	uint32_t i;

	memset(packet, 0, 1046);
	memcpy(packet + 12, "\x86\xdd\x60", 3);
	packet[20] = 51;
	for (i = 0; i < 256; i++) {
		uint32_t other = random_below(random, i + 1);

		order[i] = order[other];
		order[other] = (uint8_t)i;
	}
	for (i = 0; i < 256; i++) { /* next header and length of the place */
		uint32_t at = 14 + 8 + 4 * (uint32_t)order[i];
		uint32_t to = is_permutation ? (i + 1) % 256 : random_below(random, 256);

		packet[at] = random_is(random, 40) && !is_permutation ? 0 : 51;
		packet[at + 1] = order[to];
	}
	packet[14 + 8 + 4 * (uint32_t)order[random_below(random, 256)]] = last;
}

static void protochain_that_turns_back_ends_where_libpcap_does(void **state)
{
	struct cw_filter *filter = compile("ip6 protochain 6", &ethernet);
	uint8_t packet[1046];
	uint32_t matches = 0, misses = 0, seed;

	(void)state;
	for (seed = 0; seed < 1000; seed++) {
		struct random random = {.state = seed};
		bool is_permutation = seed % 2, is_match;

		lay_turns(&random, packet, seed % 5 ? 6 : 51, is_permutation);
		is_match = oracle(filter, packet, sizeof(packet), sizeof(packet)) != 0;
		assert_int_equal(
		    is_match, cw_filter_match(filter, packet, sizeof(packet), sizeof(packet)) != 0);
		if (is_permutation) /* it comes by everywhere */
			assert_int_equal(is_match, seed % 5 != 0);
		matches += is_match;
		misses += !is_match;
	}
	assert_true(matches > 300);
	assert_true(misses > 300);
	cw_filter_free(filter);
}

/* A tower of hop-by-hop headers as long as a packet can be. */
static void protochain_follows_as_many_headers_as_fit(void **state)
{
	struct cw_filter *filter = compile("ip6 protochain 17", &ethernet);
	uint32_t bytes = CW_CAPLEN_MAX;
	uint8_t *data = calloc(1, bytes);
	uint32_t at;

	(void)state;
	assert_non_null(data);
	memcpy(data + 12, "\x86\xdd\x60", 3); /* hop-by-hop is next header 0 */
	for (at = 54; at + 8 < bytes; at += 8)
		;
	data[at - 8] = 17;
	assert_true(oracle(filter, data, bytes, bytes));
	assert_true(cw_filter_match(filter, data, bytes, bytes));
	data[at - 8] = 0;
	assert_false(cw_filter_match(filter, data, bytes, bytes));
	free(data);
	cw_filter_free(filter);
}

static void endless_loop_ends_without_a_match(void **state)
{
	const struct bpf_insn loop[] = {BPF_STMT(BPF_LD | BPF_IMM, 1),
					BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX - 1),
					BPF_STMT(BPF_RET | BPF_K, 1)};
	uint8_t byte = 0;
	struct cw_filter *filter = NULL;

	(void)state;
	assert_int_equal(cw_filter_from_program(&filter, loop, 3, NULL), 0);
	assert_int_equal(cw_filter_match(filter, &byte, 1, 1), 0);
	cw_filter_free(filter);
}

static void scratch_memory_starts_as_zero(void **state)
{
	const struct bpf_insn program[] = {BPF_STMT(BPF_LDX | BPF_MEM, 15),
					   BPF_STMT(BPF_MISC | BPF_TXA, 0),
					   BPF_STMT(BPF_RET | BPF_A, 0)};
	struct cw_filter *filter = NULL;

	(void)state;
	assert_int_equal(cw_filter_from_program(&filter, program, 3, NULL), 0);
	assert_int_equal(cw_filter_match(filter, NULL, 0, 0), 0);
	cw_filter_free(filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(expressions_match_as_in_libpcap),
	    cmocka_unit_test(random_programs_match_as_in_libpcap),
	    cmocka_unit_test(protochain_follows_as_many_headers_as_fit),
	    cmocka_unit_test(protochain_that_libpcap_never_ends_ends),
	    cmocka_unit_test(protochain_that_turns_back_ends_where_libpcap_does),
	    cmocka_unit_test(endless_loop_ends_without_a_match),
	    cmocka_unit_test(scratch_memory_starts_as_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
