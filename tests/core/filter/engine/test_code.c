/* SPDX-License-Identifier: BSD-3-Clause */
/* Machine code of filters: the memory it is in, and what its branches look like. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/filter/engine/code.h"
#include "tests/rig/filter_differ.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif
#define MDWE_REFUSE_GAIN 1ul /* no memory may become executable */

static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
static const uint8_t answer[] = {0xf3, 0x0f, 0x1e, 0xfa, 0xb8, 42, 0, 0, 0, 0xc3};

/* ---- calls that can be made to fail (linked with --wrap) ---- */

static const char *fail_call = "";
static int fail_errno;
static unsigned fail_count; /* that fail in a row */

static bool fails_now(const char *call)
{
	if (strcmp(call, fail_call) || !fail_count)
		return false;
	fail_count--;
	errno = fail_errno;
	return true;
}

static void fail_next(const char *call, int code, unsigned count)
{
	fail_call = call;
	fail_errno = code;
	fail_count = count;
}

int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags)
{
	return fails_now("memfd_create") ? -1 : __real_memfd_create(name, flags);
}

/* "short": half of it is written. */
ssize_t __real_pwrite(int fd, const void *bytes, size_t count, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
	if (fails_now("pwrite"))
		return -1;
	return __real_pwrite(fd, bytes, fails_now("short") ? count / 2 : count, offset);
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
	va_list list;
	long argument;

	va_start(list, command);
	argument = va_arg(list, long);
	va_end(list);
	return command == F_ADD_SEALS && fails_now("fcntl") ? -1
							    : __real_fcntl(fd, command, argument);
}

void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	if (protection & PROT_EXEC && fails_now("mmap"))
		return MAP_FAILED;
	return __real_mmap(at, bytes, protection, flags, fd, offset);
}

/* ---- what the process has ---- */

static unsigned count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* Mappings of code: their number, and the start and length of the last one. */
static unsigned find_code(uint8_t **at, size_t *bytes)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned count = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		uintptr_t start, end;
		char access[5];

		if (!strstr(line, "/memfd:cw-filter"))
			continue;
		assert_int_equal(
		    sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &start, &end, access), 3);
		assert_string_equal(access, "r-xs");
		memcpy(at, &start, sizeof(start)); /* an integer is no pointer to the linters */
		*bytes = end - start;
		count++;
	}
	fclose(maps);
	return count;
}

static unsigned count_code(void)
{
	uint8_t *at;
	size_t bytes;

	return find_code(&at, &bytes);
}

static int call(void *at)
{
	int (*function)(void);

	memcpy(&function, &at, sizeof(function));
	return function();
}

static void run_answer(void)
{
	void *at = NULL;

	assert_int_equal(cw_code_install(answer, sizeof(answer), &at), 0);
	assert_int_equal(count_code(), 1);
	assert_int_equal(call(at), 42);
	munmap(at, sizeof(answer));
}

/* ---- tests ---- */

static void code_runs_and_can_never_be_written(void **state)
{
	unsigned descriptors = count_descriptors();
	void *at = NULL;

	(void)state;
	assert_int_equal(cw_code_install(answer, sizeof(answer), &at), 0);
	assert_int_equal(count_descriptors(), descriptors);
	assert_int_equal(call(at), 42);
	assert_int_equal(mprotect(at, sizeof(answer), PROT_READ | PROT_WRITE), -1);
	assert_int_equal(errno, EACCES);
	munmap(at, sizeof(answer));
	assert_int_equal(count_code(), 0);
}

static void what_fails_is_returned_and_leaves_nothing(void **state)
{
	static const struct {
		const char *call;
		int code;
		unsigned count;
		int result;
	} cases[] = {{"memfd_create", EMFILE, 1, -EMFILE}, {"memfd_create", EINVAL, 2, -EINVAL},
		     {"pwrite", ENOSPC, 1, -ENOSPC},       {"short", 0, 1, -ENOSPC},
		     {"fcntl", EPERM, 1, -EPERM},          {"mmap", EACCES, 1, -EACCES}};
	unsigned descriptors = count_descriptors();

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		void *at = NULL;

		fail_next(cases[i].call, cases[i].code, cases[i].count);
		assert_int_equal(cw_code_install(answer, sizeof(answer), &at), cases[i].result);
		assert_int_equal(fail_count, 0);
		assert_null(at);
		assert_int_equal(count_descriptors(), descriptors);
		assert_int_equal(count_code(), 0);
	}
}

static void an_older_kernel_runs_code_too(void **state)
{
	(void)state;
	fail_next("memfd_create", EINVAL, 1); /* it does not know MFD_NOEXEC_SEAL */
	run_answer();
	assert_int_equal(fail_count, 0);
}

static void a_limit_on_file_sizes_raises_no_signal(void **state)
{
	struct rlimit before, small;
	void *at = NULL;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = sizeof(answer) - 1;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(cw_code_install(answer, sizeof(answer), &at), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_null(at);
}

/* In a child, since the refusal holds for the rest of a process. */
static void code_runs_where_no_memory_may_become_executable(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		void *memory, *at = NULL;

		if (prctl(PR_SET_MDWE, MDWE_REFUSE_GAIN, 0, 0, 0))
			_exit(77);
		memory =
		    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED || !mprotect(memory, 4096, PROT_READ | PROT_EXEC) ||
		    cw_code_install(answer, sizeof(answer), &at) || call(at) != 42)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: this kernel has no PR_SET_MDWE\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The entry is the one target of a tracked branch; jumps through tables are not tracked. */
static void programs_run_where_branches_are_tracked(void **state)
{
	static const uint8_t jump_r11[] = {0x41, 0xff, 0xe3};
	struct random random = {random_seed(__func__)};
	struct differ differ = {0};
	unsigned jumps = 0;
	size_t bytes;
	uint8_t *at;

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		char expression[SETS_EXPRESSION_BYTES];

		sets_expression(&random, "mixed", i, expression);
		differ_add_expression(&differ, expression, false);
	}
	differ_build(&differ, CW_ENGINE_JIT, CW_FILTER_ALL, NULL, "jit");
	assert_int_equal(find_code(&at, &bytes), 1);
	assert_memory_equal(at, endbr64, sizeof(endbr64));
	for (size_t i = 1; i + sizeof(jump_r11) <= bytes; i++) {
		if (memcmp(at + i, jump_r11, sizeof(jump_r11)))
			continue;
		assert_int_equal(at[i - 1], 0x3e);
		jumps++;
	}
	assert_true(jumps > 0);
	differ_drop_sets(&differ);
	assert_int_equal(count_code(), 0);
	differ_build(&differ, CW_ENGINE_JIT, CW_FILTER_FIRST, NULL, "jit");
	assert_int_equal(find_code(&at, &bytes), 1);
	assert_memory_equal(at, endbr64, sizeof(endbr64));
	differ_fini(&differ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(code_runs_and_can_never_be_written),
	    cmocka_unit_test(what_fails_is_returned_and_leaves_nothing),
	    cmocka_unit_test(an_older_kernel_runs_code_too),
	    cmocka_unit_test(a_limit_on_file_sizes_raises_no_signal),
	    cmocka_unit_test(code_runs_where_no_memory_may_become_executable),
	    cmocka_unit_test(programs_run_where_branches_are_tracked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
