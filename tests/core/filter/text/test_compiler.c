/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that compiles filters: it gives what compiling here gives, remembers what it gave,
 * and takes messages of any length, of any content and at any pace.
 */
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/filter/text/cache.h"
#include "core/filter/text/helper.h"
#include "tests/rig/filter_sets.h"
#include "tests/core/filter/text/compiler_rig.h"
#include "tests/rig/scale.h"

/* ---- helpers ---- */

/* Compile both ways; all that comes of it is equal. Returns cw_filter_compile's result. */
static int compare(struct cw_filter_compiler *compiler, const char *expression,
		   struct cw_filter_options options)
{
	struct cw_filter *here = NULL, *there = NULL;
	struct cw_error error_here = {0}, error_there = {0};
	uint32_t count_here, count_there;
	int result = cw_filter_compile(&here, expression, &options, &error_here);

	options.compiler = compiler;
	assert_int_equal(cw_filter_compile(&there, expression, &options, &error_there), result);
	assert_string_equal(error_there.text, error_here.text);
	assert_int_equal(error_there.code, error_here.code);
	if (result >= 0) {
		const struct bpf_insn *program_here = cw_filter_program(here, &count_here);
		const struct bpf_insn *program_there = cw_filter_program(there, &count_there);

		assert_int_equal(count_there, count_here);
		assert_memory_equal(program_there, program_here,
				    count_here * sizeof(*program_here));
		assert_string_equal(cw_filter_expression(there), expression);
	} else {
		assert_null(there);
	}
	cw_filter_free(here);
	cw_filter_free(there);
	return result;
}

/* ---- equal to compiling here ---- */

static const struct cw_filter_options options_of_all_kinds[] = {
    {.linktype = CW_LINKTYPE_ETHERNET},
    {.linktype = CW_LINKTYPE_ETHERNET, .unoptimized = true},
    {.linktype = CW_LINKTYPE_ETHERNET, .snaplen = 96},
    {.linktype = CW_LINKTYPE_RAW},
    {.linktype = 113},                     /* LINUX_SLL */
    {.linktype = 0, .is_swapped = true},   /* NULL */
    {.linktype = 105, .unoptimized = true} /* IEEE802_11 */
};

static void helper_gives_what_compiling_here_gives(void **state)
{
	struct cw_filter_compiler *compiler = start(NULL);
	struct random random = {20261123};
	char expression[SETS_EXPRESSION_BYTES];
	uint32_t good = 0, bad = 0, all, count = scaled(PER_KIND, 5);
	size_t option, kind;

	(void)state;
	print_message("seed %" PRIu64 "\n", random.state);
	for (option = 0; option < CW_ARRAY_COUNT(options_of_all_kinds); option++) {
		for (kind = 0; sets_kinds[kind]; kind++) {
			for (uint32_t i = 0; i < count; i++) {
				sets_expression(&random, sets_kinds[kind], i, expression);
				if (compare(compiler, expression, options_of_all_kinds[option]) < 0)
					bad++;
				else
					good++;
			}
		}
	}
	print_message("%u programs and %u errors are equal\n", good, bad);
	all = good + bad;
	assert_true(good > all / 2 && bad > all / 200);
	cw_filter_compiler_free(compiler);
}

static void errors_are_those_of_compiling_here(void **state)
{
	static const char *const wrong[] = {"tcp and",
					    "nonsense",
					    "host 300.1.1.1",
					    "port 99999",
					    "(tcp or udp",
					    "tcp port 80 or udp porrt 53",
					    "ip[99",
					    "wlan type mgt",
					    "ether host 1:2",
					    "tcp and udp and ip6 and arp and",
					    "host nowhere.invalid",
					    "vlan 9999",
					    "len / 0 = 1",
					    "\x01\xff"};
	struct cw_filter_compiler *compiler = start(NULL);
	char *long_one = or_hosts(150);
	size_t i, option;

	(void)state;
	for (option = 0; option < CW_ARRAY_COUNT(options_of_all_kinds); option++)
		for (i = 0; i < CW_ARRAY_COUNT(wrong); i++)
			compare(compiler, wrong[i], options_of_all_kinds[option]);
	assert_int_equal(compare(compiler, "tcp and", options_of_all_kinds[0]), -EINVAL);
	assert_int_equal(compare(compiler, "host nowhere.invalid", options_of_all_kinds[0]),
			 -EACCES);
	assert_int_equal(compare(compiler, "tcp and udp", options_of_all_kinds[0]),
			 CW_FILTER_NEVER);
	assert_int_equal(compare(compiler, "", options_of_all_kinds[0]), 0);
	assert_int_equal(compare(compiler, long_one, options_of_all_kinds[1]), 0);
	free(long_one);
	cw_filter_compiler_free(compiler);
}

static void sets_compile_with_it(void **state)
{
	struct cw_filter_compiler *compiler = start(NULL);
	const struct cw_filter_set_options options = {
	    .filter = {.linktype = CW_LINKTYPE_ETHERNET, .compiler = compiler}};
	struct cw_filter_compiler_stats stats;
	struct cw_filter_set *set;
	uint32_t i;

	(void)state;
	assert_int_equal(cw_filter_set_new(&set, &options, NULL), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(cw_filter_set_add(set, i, i ? "udp" : "tcp", NULL), 0);
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	cw_filter_compiler_stats(compiler, &stats);
	assert_int_equal(stats.compiled_count, 2);
	assert_int_equal(stats.cached_count, 1);
	cw_filter_set_free(set);
	cw_filter_compiler_free(compiler);
}

/* ---- messages ---- */

static void impossible_messages_are_refused(void **state)
{
	const struct cw_helper_answer_head wrong[] = {
	    {.result = 0, .count = CW_FILTER_INSTRUCTIONS_MAX + 1},
	    {.result = 0, .count = 0},
	    {.result = -EINVAL, .count = 1},
	    {.result = -EINVAL, .text_bytes = CW_ERROR_TEXT_BYTES},
	    {.result = -EINVAL, .stop = CW_STOP_COUNT},
	    {.result = 0, .count = 1, .first_stop = CW_STOP_COUNT},
	    {.result = CW_FILTER_UNOPTIMIZED + 1, .count = 1}};
	const struct cw_helper_answer_head cut = {.result = 0, .count = 2};
	struct cw_helper_answer answer;
	uint64_t soon_ns;
	int sockets[2];
	size_t i;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	for (i = 0; i < CW_ARRAY_COUNT(wrong); i++) {
		assert_int_equal(
		    cw_wire_send(sockets[0], &wrong[i], sizeof(wrong[i]), CW_HELPER_FOREVER), 0);
		assert_int_equal(cw_wire_receive_answer(sockets[1], -1, &answer, CW_HELPER_FOREVER),
				 -EPROTO);
	}
	soon_ns = cw_now_ns() + 20000000;
	assert_int_equal(cw_wire_receive_answer(sockets[1], -1, &answer, soon_ns), -ETIMEDOUT);
	assert_int_equal(cw_wire_send(sockets[0], &cut, sizeof(cut), CW_HELPER_FOREVER), 0);
	close(sockets[0]);
	assert_int_equal(cw_wire_receive_answer(sockets[1], -1, &answer, CW_HELPER_FOREVER),
			 -EPIPE);
	assert_null(answer.translation.at);
	assert_int_equal(cw_wire_send(sockets[1], &cut, sizeof(cut), CW_HELPER_FOREVER), -EPIPE);
	close(sockets[1]);
}

/* Larger than what sockets hold: it goes over in many pieces, while the other side reads. */
static void long_messages_arrive_whole(void **state)
{
	const uint32_t count = 300000;
	struct cw_helper_answer answer = {.head = {.count = count, .text_bytes = 5}};
	struct bpf_insn *program = calloc(count, sizeof(*program));
	struct cw_helper_answer got;
	int sockets[2], small = 4096, status;
	pid_t sender;
	uint32_t i;

	(void)state;
	assert_non_null(program);
	for (i = 0; i < count; i++)
		program[i].k = i * 2654435761u;
	answer.translation = (struct cw_bpf){.at = program, .count = count};
	memcpy(answer.text, "words", 6);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	setsockopt(sockets[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	/* Nobody reads: the deadline ends it. */
	assert_int_equal(cw_wire_send_answer(sockets[0], &answer, cw_now_ns() + 20000000),
			 -ETIMEDOUT);
	close(sockets[0]);
	close(sockets[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	setsockopt(sockets[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	sender = fork();
	assert_true(sender >= 0);
	if (sender == 0)
		_exit(cw_wire_send_answer(sockets[0], &answer, CW_HELPER_FOREVER) ? 1 : 0);
	close(sockets[0]);
	assert_int_equal(cw_wire_receive_answer(sockets[1], -1, &got, CW_HELPER_FOREVER), 0);
	assert_int_equal(got.head.count, count);
	assert_memory_equal(got.translation.at, program, count * sizeof(*program));
	assert_string_equal(got.text, "words");
	assert_int_equal(waitpid(sender, &status, 0), sender);
	assert_int_equal(status, 0);
	close(sockets[1]);
	cw_bpf_fini(&got.translation);
	free(program);
}

/* ---- cache ---- */

static void what_was_compiled_is_remembered(void **state)
{
	static const char *const expressions[] = {"tcp port 80", "tcp and udp", "tcp and"};
	struct cw_filter_compiler *compiler = start(NULL);
	const struct cw_filter_options resolving = {.linktype = CW_LINKTYPE_ETHERNET,
						    .resolve_names = true};
	const size_t different = CW_ARRAY_COUNT(options_of_all_kinds);
	struct cw_filter_compiler_stats stats;
	size_t round, option, i;

	(void)state;
	for (round = 0; round < 3; round++)
		for (option = 0; option < different; option++)
			for (i = 0; i < CW_ARRAY_COUNT(expressions); i++)
				compare(compiler, expressions[i], options_of_all_kinds[option]);
	cw_filter_compiler_stats(compiler, &stats);
	assert_int_equal(stats.compiled_count, 3 * different);
	assert_int_equal(stats.cached_count, 2 * 3 * different);
	compare(compiler, "tcp port 80", resolving);
	compare(compiler, "tcp port 80", resolving);
	cw_filter_compiler_stats(compiler, &stats);
	assert_int_equal(stats.compiled_count, 3 * different + 2);
	cw_filter_compiler_free(compiler);
}

static void cache_is_bounded(void **state)
{
	static const struct cw_filter_options options = {.linktype = CW_LINKTYPE_ETHERNET};
	static const size_t generation_bytes[] = {SIZE_MAX / 2, 1000, 1};
	struct bpf_insn program[4] = {{0}};
	const struct cw_bpf translation = {.at = program, .count = 4};
	struct cw_filter_cache cache;
	char expression[32];
	uint32_t i;
	size_t k;

	(void)state;
	for (k = 0; k < CW_ARRAY_COUNT(generation_bytes); k++) {
		cw_filter_cache_init(&cache, 20, 2 * generation_bytes[k]);
		for (i = 0; i < 1000; i++) {
			const struct cw_cached *found;

			/* One that is asked for again and again stays. */
			found = cw_filter_cache_find(&cache, "popular", &options);
			assert_true(found || i == 0 || k == 2);
			if (!found)
				cw_filter_cache_add(&cache, "popular", &options, 0, &translation,
						    &(struct cw_error){0});
			snprintf(expression, sizeof(expression), "port %u", i);
			assert_null(cw_filter_cache_find(&cache, expression, &options));
			program[0].k = i;
			cw_filter_cache_add(&cache, expression, &options, 1, &translation,
					    &(struct cw_error){.text = "a text"});
			found = cw_filter_cache_find(&cache, expression, &options);
			assert_true((found != NULL) == (k != 2));
			if (found) {
				assert_int_equal(found->translation.at[0].k, i);
				assert_int_equal(found->result, 1);
				assert_string_equal(found->text, "a text");
			}
			assert_true(cache.young.count <= 10 && cache.old.count <= 10);
			assert_true(cache.young.bytes <= generation_bytes[k]);
		}
		cw_filter_cache_fini(&cache);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(helper_gives_what_compiling_here_gives),
	    cmocka_unit_test(errors_are_those_of_compiling_here),
	    cmocka_unit_test(sets_compile_with_it),
	    cmocka_unit_test(impossible_messages_are_refused),
	    cmocka_unit_test(long_messages_arrive_whole),
	    cmocka_unit_test(what_was_compiled_is_remembered),
	    cmocka_unit_test(cache_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
