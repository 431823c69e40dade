/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filters and sets in print: programs as libpcap prints them, sets of every shape whole in both
 * forms, cut where they are long, and failures told. That the printed program does what the filters
 * do is shown in tests/e2e/test_inspect_filter.py, which runs it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/filter/view.h"
#include "tests/rig/failing_memory.h"
#include "tests/rig/filter_differ.h"
#include "tests/rig/scale.h"

/* ---- one program ---- */

/* What bpf_dump, which writes to standard output only, prints; the caller frees it. */
static char *dump_by_libpcap(const struct cw_filter *filter, int option)
{
	FILE *file = tmpfile();
	struct bpf_program program;
	int saved = dup(STDOUT_FILENO);
	char *text;
	long bytes;

	assert_non_null(file);
	program.bf_insns = (struct bpf_insn *)cw_filter_program(filter, &program.bf_len);
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	bpf_dump(&program, option);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	fseek(file, 0, SEEK_END);
	bytes = ftell(file);
	rewind(file);
	text = calloc((size_t)bytes + 1, 1);
	assert_int_equal(fread(text, 1, (size_t)bytes, file), bytes);
	fclose(file);
	return text;
}

static void check_dumps(const struct cw_filter *filter)
{
	static const enum cw_filter_program_format formats[] = {
	    CW_FILTER_PROGRAM_TEXT, CW_FILTER_PROGRAM_INITIALIZERS, CW_FILTER_PROGRAM_NUMBERS};

	for (int i = 0; i < 3; i++) {
		char *wanted = dump_by_libpcap(filter, i + 1), *text;
		size_t bytes;
		FILE *file = open_memstream(&text, &bytes);

		assert_int_equal(cw_filter_print(filter, file, formats[i]), 0);
		fclose(file);
		assert_string_equal(text, wanted);
		free(text);
		free(wanted);
	}
}

static void programs_are_printed_as_libpcap_prints_them(void **state)
{
	struct random random = {random_seed(__func__)};
	struct bpf_insn program[RANDOM_PROGRAM_MAX];
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = scaled(200, 40); i > 0; i--)
		differ_add_program(&differ, program, random_program(&random, program));
	assert_true(differ_add_expression(&differ, "ip6 protochain 17", false));
	assert_true(differ_add_expression(&differ, "host 10.0.0.1 and port 80", true));
	for (uint32_t i = 0; i < differ.count; i++)
		check_dumps(differ.filters[i]);
	differ_fini(&differ);
}

/* ---- sets ---- */

/* The set in print; the caller frees it. (static: gcc 12 takes the stream's for a dangling one.) */
static char *print(const struct cw_filter_set *set, enum cw_filter_set_format format)
{
	static char *text;
	static size_t bytes;
	FILE *file = open_memstream(&text, &bytes);

	assert_int_equal(cw_filter_set_print(set, file, format), 0);
	fclose(file);
	return text;
}

static uint32_t count_in(const char *text, const char *word)
{
	uint32_t count = 0;

	for (text = strstr(text, word); text; text = strstr(text + 1, word))
		count++;
	return count;
}

static void add_kind(struct differ *differ, struct random *random, const char *kind, uint32_t count)
{
	char expression[SETS_EXPRESSION_BYTES];

	for (uint32_t i = 0; i < count; i++) {
		sets_expression(random, kind, i, expression);
		differ_add_expression(differ, expression, false);
	}
}

/* The nodes that a text says it has. */
static uint32_t count_listed(const char *text)
{
	uint32_t sum = 0;

	for (; (text = strstr(text, " filters, ")) != NULL; text++)
		sum += (uint32_t)atoi(text + strlen(" filters, "));
	return sum;
}

/* Every node, whichever engine runs them. (Some that were made are not reached.) */
static void check_whole(const struct cw_filter_set *set)
{
	struct cw_filter_set_stats stats;
	char *text = print(set, CW_FILTER_SET_FULL), *brief = print(set, CW_FILTER_SET_TEXT);
	char *dot = print(set, CW_FILTER_SET_DOT);
	uint32_t nodes = count_in(text, ": SWITCH on ") + count_in(text, ": FORK, all of");

	cw_filter_set_stats(set, &stats);
	assert_in_range(nodes, stats.step_count / 2, stats.step_count);
	assert_int_equal(nodes, count_listed(text));
	assert_int_equal(count_in(text, "decision program of"), stats.program_count);
	assert_int_equal(count_in(text, " instructions: "), cw_filter_set_size(set));
	assert_int_equal(count_in(text, " more\n"), 0);
	assert_true(strlen(brief) <= strlen(text));
	assert_int_equal(count_in(dot, "subgraph cluster_"), stats.program_count);
	assert_int_equal(count_in(dot, "{"), count_in(dot, "}"));
	assert_int_equal(count_in(dot, "\"") % 2, 0);
	free(text);
	free(brief);
	free(dot);
}

static void sets_of_every_shape_are_printed_whole(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = 0; sets_kinds[i]; i++) {
		add_kind(&differ, &random, sets_kinds[i], scaled(60, 20));
		check_whole(differ_build(&differ, CW_ENGINE_WALKER, CW_FILTER_ALL, NULL, "walker"));
		check_whole(differ_build(&differ, CW_ENGINE_JIT, CW_FILTER_ALL, NULL, "jit"));
		check_whole(
		    differ_build(&differ, CW_ENGINE_SEQUENTIAL, CW_FILTER_ALL, NULL, "apart"));
		differ_clear(&differ);
	}
	differ_fini(&differ);
}

static void random_programs_are_printed_whole(void **state)
{
	struct random random = {random_seed(__func__)};
	struct bpf_insn program[RANDOM_PROGRAM_MAX];
	struct differ differ = {0};

	(void)state;
	for (uint32_t i = scaled(100, 20); i > 0; i--) {
		for (uint32_t count = 1 + random_below(&random, 20); count; count--)
			differ_add_program(&differ, program, random_program(&random, program));
		check_whole(differ_build(&differ, CW_ENGINE_WALKER, CW_FILTER_ALL, NULL, "walker"));
		differ_clear(&differ);
	}
	differ_fini(&differ);
}

static void a_set_of_several_programs_is_printed_with_its_ids(void **state)
{
	struct cw_filter_budget budget = cw_filter_budget_default;
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};
	struct cw_filter_set *set;
	char *text;

	(void)state;
	budget.filters = 2;
	add_kind(&differ, &random, "port", 7);
	set = differ_build(&differ, CW_ENGINE_JIT, CW_FILTER_ALL, &budget, "jit");
	check_whole(set);
	text = print(set, CW_FILTER_SET_TEXT);
	assert_int_equal(count_in(text, "decision program of"), 4);
	for (uint32_t i = 0; i < differ.count; i++) {
		char words[32];

		snprintf(words, sizeof(words), "emit %u\n", DIFFER_ID(i));
		assert_true(strstr(text, words));
	}
	free(text);
	differ_fini(&differ);
}

static void long_things_are_cut_and_counted(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};
	struct cw_filter_set *set;
	char *text, *dot;

	(void)state;
	add_kind(&differ, &random, "not-host", 300);
	set = differ_build(&differ, CW_ENGINE_WALKER, CW_FILTER_ALL, NULL, "walker");
	text = print(set, CW_FILTER_SET_TEXT);
	dot = print(set, CW_FILTER_SET_DOT);
	assert_true(strstr(text, " values or ranges more\n"));
	assert_true(strstr(text, "emit 300 (a bitmap): 0, 3, 6, "));
	assert_true(strstr(text, " and 284 more\n"));
	assert_true(strstr(text, "\nand 250 filters more\n"));
	assert_true(strstr(dot, "and 284 more"));
	assert_true(count_in(text, "\n") < 250 && count_in(dot, "\n") < 500);
	free(text);
	free(dot);
	differ_fini(&differ);
}

static void backslashes_in_expressions_do_not_break_graphs(void **state)
{
	struct cw_filter_set_options options = {.filter = {.linktype = CW_LINKTYPE_ETHERNET}};
	struct cw_filter_set *set;
	char *dot;

	(void)state;
	assert_int_equal(cw_filter_set_new(&set, &options, NULL), 0);
	assert_int_equal(cw_filter_set_add(set, 4, "ip proto \\tcp or\nudp", NULL), 0);
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	dot = print(set, CW_FILTER_SET_DOT);
	assert_true(strstr(dot, "4: ip proto \\\\tcp or udp\\l\""));
	free(dot);
	cw_filter_set_free(set);
}

static void engines_have_names(void **state)
{
	(void)state;
	assert_string_equal(cw_filter_engine_name(CW_ENGINE_AUTO), "auto");
	assert_string_equal(cw_filter_engine_name(CW_ENGINE_JIT), "jit");
	assert_string_equal(cw_filter_engine_name(CW_ENGINE_WALKER), "walker");
	assert_string_equal(cw_filter_engine_name(CW_ENGINE_SEQUENTIAL), "sequential");
	assert_string_equal(cw_filter_engine_name(CW_ENGINE_LIBPCAP), "libpcap");
}

/* ---- failures ---- */

static void a_file_in_error_is_told(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};
	struct cw_filter_set *set;
	FILE *file = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(file);
	setvbuf(file, NULL, _IONBF, 0);
	add_kind(&differ, &random, "host", 5);
	set = differ_build(&differ, CW_ENGINE_AUTO, CW_FILTER_ALL, NULL, "auto");
	assert_int_equal(cw_filter_print(differ.filters[0], file, CW_FILTER_PROGRAM_TEXT), -EIO);
	clearerr(file);
	assert_int_equal(cw_filter_set_print(set, file, CW_FILTER_SET_TEXT), -EIO);
	clearerr(file);
	assert_int_equal(cw_filter_set_print(set, file, CW_FILTER_SET_DOT), -EIO);
	fclose(file);
	differ_fini(&differ);
}

static void without_memory_printing_fails_and_frees_all(void **state)
{
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};
	struct cw_filter_set *set;
	FILE *file = fopen("/dev/null", "w");
	bool is_reached = true;
	uint32_t n, failed = 0;

	(void)state;
	assert_non_null(file);
	setvbuf(file, NULL, _IONBF, 0);
	add_kind(&differ, &random, "mixed", 20);
	set = differ_build(&differ, CW_ENGINE_AUTO, CW_FILTER_ALL, NULL, "auto");
	fails_once = true;
	for (n = 0; is_reached; n++) {
		int result;

		allocations_left = n;
		result = cw_filter_set_print(set, file, CW_FILTER_SET_FULL);
		is_reached = allocations_left > UINT32_MAX / 2;
		allocations_left = UINT32_MAX;
		assert_true(result == 0 || result == -ENOMEM);
		failed += result == -ENOMEM;
	}
	assert_true(n > 20 && failed > 20);
	fclose(file);
	differ_fini(&differ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(programs_are_printed_as_libpcap_prints_them),
	    cmocka_unit_test(sets_of_every_shape_are_printed_whole),
	    cmocka_unit_test(random_programs_are_printed_whole),
	    cmocka_unit_test(a_set_of_several_programs_is_printed_with_its_ids),
	    cmocka_unit_test(long_things_are_cut_and_counted),
	    cmocka_unit_test(backslashes_in_expressions_do_not_break_graphs),
	    cmocka_unit_test(engines_have_names),
	    cmocka_unit_test(a_file_in_error_is_told),
	    cmocka_unit_test(without_memory_printing_fails_and_frees_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
