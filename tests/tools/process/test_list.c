/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of system calls: what their instructions decide, compared with a walk over the rows. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/base.h"
#include "tools/process/calls.h"
#include "tools/process/list.h"

#define CALLS 600 /* more than any kernel has */
#define ARCH (CW_CALL_ARCH ? CW_CALL_ARCH : 1u)
#define VALUES 6u
#if defined(CW_SANITIZED)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

static const struct cw_list_row added[] = {
    {SYS_kill, {{0, CW_LIST_WHOLE, 77}}, 0},
    {SYS_ptrace, {{0, 0xff, 3}, {1, 0xf0, 0x10}}, EXDEV},
    {SYS_read, {{0, CW_LIST_WHOLE, 5}}, EXDEV}, /* after a row without tests: never asked */
    {.call = CW_CALL_NONE, .refusal = EXDEV},
};

static const struct {
	const char *name;
	const struct cw_list *list;
	const struct cw_list_row *more;
	uint32_t more_count;
} cases[] = {
    {"capture", &cw_list_capture, NULL, 0},
    {"capture and more rows", &cw_list_capture, added, CW_ARRAY_COUNT(added)},
    {"opener", &cw_list_opener, NULL, 0},
    {"compiler", &cw_list_compiler, NULL, 0},
    {"hooks", &cw_list_hooks, NULL, 0},
    {"hooks and more rows", &cw_list_hooks, added, CW_ARRAY_COUNT(added)},
    {"split's rows", &cw_list_split, NULL, 0},
};

static bool fails_malloc;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return fails_malloc ? NULL : __real_malloc(size);
}

/* ---- the kernel's way ---- */

static uint32_t evaluate(const struct sock_filter *at, uint32_t count,
			 const struct seccomp_data *data)
{
	uint32_t value = 0;

	for (uint32_t i = 0; i < count; i++) {
		bool is_so = false;

		switch (at[i].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(at[i].k % 4 == 0 && at[i].k < sizeof(*data));
			memcpy(&value, (const uint8_t *)data + at[i].k, sizeof(value));
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			value &= at[i].k;
			continue;
		case BPF_RET | BPF_K:
			return at[i].k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			is_so = value == at[i].k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			is_so = value >= at[i].k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			is_so = value > at[i].k;
			break;
		default:
			fail_msg("instruction %u has the code %#x", i, at[i].code);
		}
		i += is_so ? at[i].jt : at[i].jf;
	}
	fail_msg("the instructions have no end");
	return 0;
}

/* ---- the slow way ---- */

static const struct cw_list_row *find_row(const struct cw_list_row *rows, uint32_t count,
					  const struct seccomp_data *data)
{
	for (uint32_t i = 0; i < count; i++) {
		bool is_so = rows[i].call == data->nr && rows[i].call != CW_CALL_NONE;

		for (uint32_t j = 0; j < CW_LIST_TESTS; j++) {
			const struct cw_list_test *test = &rows[i].tests[j];

			is_so &= !test->mask ||
				 ((uint32_t)data->args[test->argument] & test->mask) == test->value;
		}
		if (is_so)
			return &rows[i];
	}
	return NULL;
}

static uint32_t verdict(int refusal)
{
	return refusal ? SECCOMP_RET_ERRNO | (uint32_t)refusal : SECCOMP_RET_ALLOW;
}

static uint32_t expected(size_t which, const struct seccomp_data *data)
{
	const struct cw_list *list = cases[which].list;
	const struct cw_list_row *row = find_row(list->rows, list->count, data);

	if (!row)
		row = find_row(cases[which].more, cases[which].more_count, data);
	return verdict(row ? row->refusal : list->refusal);
}

/* ---- comparisons ---- */

static uint32_t build(size_t which, struct sock_filter *at)
{
	int count = cw_list_build(cases[which].list, cases[which].more, cases[which].more_count, at,
				  CW_LIST_INSTRUCTIONS_MAX);

	assert_true(count > 0);
	return (uint32_t)count;
}

/* A value at an edge of a test; the high word of an argument does not count. */
static uint64_t edge(const struct cw_list_test *test, uint32_t which)
{
	const uint32_t values[VALUES] = {test->value,
					 test->value ^ (test->mask & (0u - test->mask)),
					 test->value | ~test->mask,
					 ~test->value,
					 0,
					 UINT32_MAX};

	return (uint64_t)values[which] | (which & 1 ? UINT64_C(0xdead) << 32 : 0);
}

static void compare(size_t which, const struct sock_filter *at, uint32_t count,
		    const struct seccomp_data *data)
{
	uint32_t got = evaluate(at, count, data), wanted = expected(which, data);

	if (got != wanted)
		fail_msg("%s: call %d (%#llx, %#llx, %#llx): %#x, not %#x", cases[which].name,
			 data->nr, (unsigned long long)data->args[0],
			 (unsigned long long)data->args[1], (unsigned long long)data->args[2], got,
			 wanted);
}

static void compare_row(size_t which, const struct cw_list_row *row, const struct sock_filter *at,
			uint32_t count)
{
	struct seccomp_data data = {.nr = row->call, .arch = ARCH};

	if (row->call == CW_CALL_NONE)
		return;
	for (uint32_t i = 0; i < VALUES * VALUES; i++) {
		data.args[row->tests[1].argument] = edge(&row->tests[1], i / VALUES);
		data.args[row->tests[0].argument] = edge(&row->tests[0], i % VALUES);
		compare(which, at, count, &data);
	}
}

static void instructions_decide_as_the_rows(void **state)
{
	struct sock_filter at[CW_LIST_INSTRUCTIONS_MAX];

	(void)state;
	for (size_t which = 0; which < CW_ARRAY_COUNT(cases); which++) {
		const struct cw_list *list = cases[which].list;
		uint32_t count = build(which, at);

		for (int call = 0; call < CALLS; call++)
			compare(which, at, count, &(struct seccomp_data){.nr = call, .arch = ARCH});
		for (uint32_t i = 0; i < list->count; i++)
			compare_row(which, &list->rows[i], at, count);
		for (uint32_t i = 0; i < cases[which].more_count; i++)
			compare_row(which, &cases[which].more[i], at, count);
	}
}

static void calls_of_other_architectures_are_refused(void **state)
{
	struct sock_filter at[CW_LIST_INSTRUCTIONS_MAX];

	(void)state;
	for (size_t which = 0; which < CW_ARRAY_COUNT(cases); which++) {
		uint32_t count = build(which, at);

		for (int call = 0; call < CALLS; call++) {
			struct seccomp_data data = {.nr = call, .arch = AUDIT_ARCH_I386};

			assert_int_equal(evaluate(at, count, &data), verdict(EPERM));
			data = (struct seccomp_data){.nr = call | 0x40000000, .arch = ARCH};
			assert_int_equal(evaluate(at, count, &data), verdict(EPERM));
		}
		assert_int_equal(
		    evaluate(at, count, &(struct seccomp_data){.nr = -1, .arch = ARCH}),
		    verdict(EPERM));
	}
}

static void memory_is_never_writable_and_executable(void **state)
{
	struct sock_filter at[CW_LIST_INSTRUCTIONS_MAX];
	static const int calls[] = {SYS_mmap, SYS_mprotect, SYS_pkey_mprotect};

	(void)state;
	for (size_t which = 0; cases[which].list != &cw_list_hooks; which++) {
		uint32_t count = build(which, at);

		for (size_t i = 0; i < CW_ARRAY_COUNT(calls); i++) {
			struct seccomp_data data = {.nr = calls[i], .arch = ARCH};

			data.args[2] = PROT_READ | PROT_WRITE | PROT_EXEC;
			assert_int_equal(evaluate(at, count, &data), verdict(EPERM));
			data.args[2] = PROT_READ | PROT_WRITE;
			if (calls[i] != SYS_pkey_mprotect)
				assert_int_equal(evaluate(at, count, &data), SECCOMP_RET_ALLOW);
		}
	}
}

static void a_list_that_does_not_fit_is_refused(void **state)
{
	struct sock_filter at[CW_LIST_INSTRUCTIONS_MAX];
	static struct cw_list_row rows[CW_LIST_ROWS_MAX + 1];
	struct cw_list list = {.rows = rows, .count = CW_LIST_ROWS_MAX + 1};
	int count = (int)build(0, at);

	(void)state;
	assert_int_equal(cw_list_build(&cw_list_capture, NULL, 0, at, (uint32_t)count), count);
	assert_int_equal(cw_list_build(&cw_list_capture, NULL, 0, at, (uint32_t)count - 1), -E2BIG);
	assert_int_equal(cw_list_build(&cw_list_capture, NULL, 0, at, 0), -E2BIG);
	assert_int_equal(cw_list_build(&list, NULL, 0, at, CW_ARRAY_COUNT(at)), -E2BIG);
	assert_int_equal(
	    cw_list_build(&cw_list_capture, rows, CW_LIST_ROWS_MAX, at, CW_ARRAY_COUNT(at)),
	    -E2BIG);
	/* One call with more tests than a jump is long. */
	for (uint32_t i = 0; i < CW_LIST_ROWS_MAX; i++)
		rows[i] = (struct cw_list_row){SYS_read, {{0, CW_LIST_WHOLE, i}}, 0};
	list.count = 100;
	assert_int_equal(cw_list_build(&list, NULL, 0, at, CW_ARRAY_COUNT(at)), -E2BIG);
}

/* ---- the kernel ---- */

/* What an outer list says to seccomp(2), where it is not allowed. */
static const struct cw_list_row no_seccomp[] = {{.call = SYS_seccomp, .refusal = EPERM}};
static const struct cw_list_row old_seccomp[] = {
    {.call = SYS_seccomp, .refusal = ENOSYS},
};
static const struct cw_list_row no_flags[] = {
    {SYS_seccomp, {{1, CW_LIST_WHOLE, SECCOMP_FILTER_FLAG_SPEC_ALLOW}}, EINVAL},
};

/* A child's: loads a list within an outer one, without memory. */
static int load(const struct cw_list_row *outer)
{
	const struct cw_list outer_list = {.rows = outer, .count = 1};
	int result, fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    (outer && cw_list_load(&outer_list, NULL, 0) != 0))
		return 199;
	fails_malloc = true;
	result = cw_list_load(&cw_list_capture, added, CW_ARRAY_COUNT(added));
	fails_malloc = false;
	if (result)
		return -result;
	fd = socket(AF_INET6, SOCK_DGRAM, 0);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 || errno != EPERM)
		return 200;
	if (syscall(SYS_ptrace, 0x103, 0x10, 0, 0) >= 0 || errno != EXDEV)
		return 201;
	return 0;
}

static void load_within(const struct cw_list_row *outer)
{
	int status;
	pid_t pid;

	if (IS_SANITIZED || !cw_list_can_load()) {
		print_message("skipped: no seccomp here, or sanitizers, which make more calls\n");
		skip();
	}
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(load(outer));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_list_needs_no_memory(void **state)
{
	(void)state;
	load_within(NULL);
}

static void a_list_loads_without_the_younger_call(void **state)
{
	(void)state;
	load_within(no_seccomp);
	load_within(old_seccomp);
}

static void a_list_loads_without_the_younger_flag(void **state)
{
	(void)state;
	load_within(no_flags);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(instructions_decide_as_the_rows),
	    cmocka_unit_test(calls_of_other_architectures_are_refused),
	    cmocka_unit_test(memory_is_never_writable_and_executable),
	    cmocka_unit_test(a_list_that_does_not_fit_is_refused),
	    cmocka_unit_test(a_list_needs_no_memory),
	    cmocka_unit_test(a_list_loads_without_the_younger_call),
	    cmocka_unit_test(a_list_loads_without_the_younger_flag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
