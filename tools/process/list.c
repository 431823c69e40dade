/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Translates rows to instructions. Neighbouring calls with the same verdict are one range, of four
 * instructions; jumps stay within a range or a call, so no list is too long for them. Linux 5.11
 * and later keep the verdicts that depend on no argument in a bitmap: the order costs nothing.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/base/base.h"
#include "tools/process/calls.h"
#include "tools/process/list.h"

#define X32_BIT UINT32_C(0x40000000) /* of an x86-64 call with 32-bit pointers */
#define JUMP_MAX 255u                /* instructions */
#define LOW_WORD (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4u : 0u) /* offset in an argument */

#define LOAD (BPF_LD | BPF_W | BPF_ABS)
#define AND (BPF_ALU | BPF_AND | BPF_K)
#define IF_EQUAL (BPF_JMP | BPF_JEQ | BPF_K)
#define IF_LEAST (BPF_JMP | BPF_JGE | BPF_K)
#define IF_ABOVE (BPF_JMP | BPF_JGT | BPF_K)

struct program {
	struct sock_filter *at;
	uint32_t room;
	uint32_t count; /* may exceed `room`; those are not stored */
	bool is_far;    /* a jump was too long */
};

/* ---- instructions ---- */

static void put(struct program *program, unsigned code, uint32_t constant, uint32_t jump_true,
		uint32_t jump_false)
{
	if (jump_true > JUMP_MAX || jump_false > JUMP_MAX)
		program->is_far = true;
	else if (program->count < program->room)
		program->at[program->count] = (struct sock_filter){
		    (uint16_t)code, (uint8_t)jump_true, (uint8_t)jump_false, constant};
	program->count++;
}

static void put_verdict(struct program *program, int refusal)
{
	put(program, BPF_RET | BPF_K,
	    refusal ? SECCOMP_RET_ERRNO | (uint32_t)refusal : SECCOMP_RET_ALLOW, 0, 0);
}

/* Refuses what only looks like a call of these rows. */
static void put_start(struct program *program)
{
	put(program, LOAD, offsetof(struct seccomp_data, arch), 0, 0);
	put(program, IF_EQUAL, CW_CALL_ARCH, 1, 0);
	put_verdict(program, EPERM);
	put(program, LOAD, offsetof(struct seccomp_data, nr), 0, 0);
	put(program, IF_LEAST, X32_BIT, 0, 1);
	put_verdict(program, EPERM);
}

static void put_range(struct program *program, int low, int high, int refusal, int otherwise)
{
	put(program, IF_ABOVE, (uint32_t)high, 3, 0);
	put(program, IF_LEAST, (uint32_t)low, 0, 1);
	put_verdict(program, refusal);
	put_verdict(program, otherwise);
}

static uint32_t test_length(const struct cw_list_test *test)
{
	if (!test->mask)
		return 0;
	return test->mask == CW_LIST_WHOLE ? 2 : 3;
}

/* Instructions of the tests from `from` on, and of the verdict. */
static uint32_t row_length(const struct cw_list_row *row, uint32_t from)
{
	uint32_t length = 1;

	for (uint32_t i = from; i < CW_LIST_TESTS; i++)
		length += test_length(&row->tests[i]);
	return length;
}

static void put_row(struct program *program, const struct cw_list_row *row)
{
	for (uint32_t i = 0; i < CW_LIST_TESTS; i++) {
		const struct cw_list_test *test = &row->tests[i];

		if (!test->mask)
			continue;
		put(program, LOAD,
		    (uint32_t)offsetof(struct seccomp_data, args) + test->argument * 8 + LOW_WORD,
		    0, 0);
		if (test->mask != CW_LIST_WHOLE)
			put(program, AND, test->mask, 0, 0);
		put(program, IF_EQUAL, test->value, 0, row_length(row, i + 1));
	}
	put_verdict(program, row->refusal);
}

static void put_call(struct program *program, const struct cw_list_row *const *rows, uint32_t count,
		     int otherwise)
{
	uint32_t length = 1;

	for (uint32_t i = 0; i < count; i++)
		length += row_length(rows[i], 0);
	put(program, IF_EQUAL, (uint32_t)rows[0]->call, 0, length);
	for (uint32_t i = 0; i < count; i++)
		put_row(program, rows[i]);
	put_verdict(program, otherwise);
}

/* ---- rows ---- */

static bool is_plain(const struct cw_list_row *row)
{
	return row_length(row, 0) == 1;
}

/* Sorts rows by call; those of one call keep their order. Returns the new count. */
static uint32_t insert_rows(const struct cw_list_row **sorted, uint32_t sorted_count,
			    const struct cw_list_row *rows, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = sorted_count;

		if (rows[i].call == CW_CALL_NONE)
			continue;
		for (; at > 0 && sorted[at - 1]->call > rows[i].call; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = &rows[i];
		sorted_count++;
	}
	return sorted_count;
}

/* Rows of the first call. */
static uint32_t count_call(const struct cw_list_row *const *rows, uint32_t count)
{
	uint32_t same = 1;

	while (same < count && rows[same]->call == rows[0]->call)
		same++;
	return same;
}

/* Rows of the neighbouring calls that have the verdict of the first, whatever their arguments. */
static uint32_t count_range(const struct cw_list_row *const *rows, uint32_t count)
{
	uint32_t taken = count_call(rows, count);

	while (taken < count && rows[taken]->call == rows[taken - 1]->call + 1 &&
	       is_plain(rows[taken]) && rows[taken]->refusal == rows[0]->refusal)
		taken += count_call(rows + taken, count - taken);
	return taken;
}

int cw_list_build(const struct cw_list *list, const struct cw_list_row *more, uint32_t more_count,
		  struct sock_filter *at, uint32_t room)
{
	const struct cw_list_row *rows[CW_LIST_ROWS_MAX];
	struct program program = {.at = at, .room = room};
	uint32_t count, taken;

	if (list->count + more_count > CW_LIST_ROWS_MAX)
		return -E2BIG;
	count = insert_rows(rows, 0, list->rows, list->count);
	count = insert_rows(rows, count, more, more_count);
	put_start(&program);
	for (uint32_t i = 0; i < count; i += taken) {
		if (is_plain(rows[i])) {
			taken = count_range(rows + i, count - i);
			put_range(&program, rows[i]->call, rows[i + taken - 1]->call,
				  rows[i]->refusal, list->refusal);
		} else {
			taken = count_call(rows + i, count - i);
			put_call(&program, rows + i, taken, list->refusal);
		}
	}
	put_verdict(&program, list->refusal);
	return program.is_far || program.count > room ? -E2BIG : (int)program.count;
}

/* ---- the kernel ---- */

bool cw_list_can_load(void)
{
	return CW_CALL_ARCH && prctl(PR_GET_SECCOMP) >= 0;
}

int cw_list_load(const struct cw_list *list, const struct cw_list_row *more, uint32_t more_count)
{
	struct sock_filter instructions[CW_LIST_INSTRUCTIONS_MAX];
	struct sock_fprog program = {.filter = instructions};
	int count =
	    cw_list_build(list, more, more_count, instructions, CW_ARRAY_COUNT(instructions));
	long result;

	if (count < 0)
		return count;
	program.len = (uint16_t)count;
	/* Without this flag, kernels before 5.16 slow every store of a process with a list; those
	 * before 4.17 do not know the flag. */
	result =
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
	if (result < 0 && errno == EINVAL)
		result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
	/* An outer list may lack seccomp(2), which is the younger of the two. */
	if (result < 0 && (errno == EPERM || errno == ENOSYS))
		result = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
	return result < 0 ? -errno : 0;
}
