/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs from outside: what is unsafe is refused by its instruction. */
#include <errno.h>

#include "core/filter/bpf/bpf.h"
#include "core/filter/filter.h"
#include "tests/rig/filter_random.h"
#include "tests/rig/run_tests.h"

static void unsafe_program_is_refused_by_instruction(void **state)
{
	static const struct {
		struct bpf_insn program[3];
		uint32_t count;
		const char *text;
	} cases[] = {
	    {{BPF_STMT(BPF_LD | BPF_IMM, 1)}, 1, "instruction 0 is the last"},
	    {{BPF_STMT(BPF_RET | BPF_K, 1)}, 0, "no instructions"},
	    {{BPF_STMT(BPF_LD | BPF_MEM, 16), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "scratch"},
	    {{BPF_STMT(BPF_STX, 99), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "scratch"},
	    {{BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "zero"},
	    {{BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "zero"},
	    {{BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "31 bits"},
	    {{BPF_STMT(0xffff, 0), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "instruction 0 (code 0xffff"},
	    {{BPF_STMT(BPF_RET | BPF_X, 0), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "unknown code"},
	    {{BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "jumps out"},
	    {{BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX - 2), BPF_STMT(BPF_RET | BPF_K, 1)},
	     2,
	     "jumps out"},
	    {{BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), BPF_STMT(BPF_RET | BPF_K, 1)},
	     2,
	     "jumps out"},
	    {{BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 255, 0), BPF_STMT(BPF_RET | BPF_K, 1)},
	     2,
	     "jumps out"},
	};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		struct cw_filter *filter = NULL;
		struct cw_error error = {0};

		assert_int_equal(
		    cw_filter_from_program(&filter, cases[i].program, cases[i].count, &error),
		    -EINVAL);
		assert_contains(error.text, cases[i].text);
	}
}

static void too_long_program_is_refused(void **state)
{
	const uint32_t count = CW_FILTER_INSTRUCTIONS_MAX + 1;
	struct bpf_insn *program = calloc(count, sizeof(*program));
	struct cw_filter *filter = NULL;
	struct cw_error error = {0};

	(void)state;
	assert_non_null(program);
	program[count - 1].code = program[count - 2].code = BPF_RET | BPF_K;
	assert_int_equal(cw_filter_from_program(&filter, program, count, &error), -E2BIG);
	assert_contains(error.text, "1000000");
	assert_int_equal(cw_filter_from_program(&filter, program, count - 1, &error), 0);
	cw_filter_free(filter);
	free(program);
}

#define STORE(word) BPF_STMT(BPF_ST, word)
#define LOAD(word) BPF_STMT(BPF_LD | BPF_MEM, word)
#define LOAD_X(word) BPF_STMT(BPF_LDX | BPF_MEM, word)
#define IF(yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, yes, no)
#define GOTO(distance) BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)(distance))
#define ACCEPT BPF_STMT(BPF_RET | BPF_K, 1)

static void read_of_a_word_not_set_on_every_path_is_found(void **state)
{
	static const struct {
		struct bpf_insn program[8];
		int reads_unset;
	} cases[] = {
	    {{LOAD(0), ACCEPT}, 1},
	    {{LOAD_X(15), ACCEPT}, 1},
	    {{STORE(0), LOAD(0), ACCEPT}, 0},
	    {{STORE(1), LOAD(0), ACCEPT}, 1},
	    {{BPF_STMT(BPF_STX, 15), LOAD_X(15), ACCEPT}, 0},
	    {{LOAD(0), STORE(0), ACCEPT}, 1},
	    {{IF(0, 1), STORE(0), LOAD(0), ACCEPT}, 1},
	    {{IF(0, 2), STORE(0), GOTO(1), STORE(0), LOAD(0), ACCEPT}, 0},
	    {{IF(0, 2), STORE(0), GOTO(1), STORE(1), LOAD(0), ACCEPT}, 1},
	    {{ACCEPT, LOAD(0), ACCEPT}, 0}, /* never reached */
	    {{GOTO(1), LOAD(0), ACCEPT}, 0},
	    {{STORE(0), IF(0, 1), GOTO(-2), LOAD(0), ACCEPT}, 0},
	    /* the loop comes back to the read with word 1 unset on the first round only */
	    {{GOTO(2), STORE(1), GOTO(1), IF(0, 2), LOAD(1), GOTO(-5), ACCEPT, ACCEPT}, 1},
	    /* set before the loop, and read in the loop */
	    {{STORE(1), GOTO(1), GOTO(1), IF(0, 2), LOAD(1), GOTO(-4), ACCEPT, ACCEPT}, 0},
	};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		uint32_t backward_count, count = CW_ARRAY_COUNT(cases[i].program);
		struct cw_error error = {0};

		while (!cases[i].program[count - 1].code)
			count--;
		if (cw_filter_verify(cases[i].program, count, &backward_count, &error))
			fail_msg("case %zu: %s", i, error.text);
		if (cw_filter_reads_unset(cases[i].program, count) != cases[i].reads_unset)
			fail_msg("case %zu", i);
	}
}

/* Any bytes as a program: refused, or run without harm and equal to libpcap. */
static void random_bytes_as_a_program_do_no_harm(void **state)
{
	struct random random = {random_seed(__func__)};
	uint8_t data[64];
	uint32_t accepted = 0;

	(void)state;
	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random_u64(&random);
	for (uint32_t i = 0; i < 200000; i++) {
		struct bpf_insn program[6];
		uint32_t count = 1 + random_below(&random, CW_ARRAY_COUNT(program));
		struct cw_filter *filter = NULL;

		for (uint32_t n = 0; n < count; n++)
			program[n] = (struct bpf_insn){.code = (uint16_t)random_below(&random, 256),
						       .jt = (uint8_t)random_below(&random, 4),
						       .jf = (uint8_t)random_below(&random, 4),
						       .k = random_constant(&random)};
		if (cw_filter_from_program(&filter, program, count, NULL))
			continue;
		accepted++;
		cw_filter_match(filter, data, sizeof(data), sizeof(data));
		cw_filter_free(filter);
	}
	printf("%u of 200000 accepted\n", accepted);
	assert_true(accepted > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(unsafe_program_is_refused_by_instruction),
	    cmocka_unit_test(too_long_program_is_refused),
	    cmocka_unit_test(read_of_a_word_not_set_on_every_path_is_found),
	    cmocka_unit_test(random_bytes_as_a_program_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
