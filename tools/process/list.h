/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists of system calls: rows that a process is held to (seccomp), translated to instructions for
 * the kernel without any allocation.
 *
 * The rows of a call are tried in order; the first whose tests all hold decides. A call without
 * such a row gets the verdict of the list. A refused call fails with an errno and does not kill the
 * process, which would lose packets taken from the kernel and not yet in their files.
 *
 * Tests see the low 32 bits of an argument: the kernel looks at no more of any argument tested.
 */
#ifndef CW_TOOLS_PROCESS_LIST_H
#define CW_TOOLS_PROCESS_LIST_H

#include <stdbool.h>
#include <stdint.h>

#define CW_LIST_ROWS_MAX 320u
#define CW_LIST_TESTS 2u
#define CW_LIST_INSTRUCTIONS_MAX 1024u
#define CW_LIST_WHOLE UINT32_MAX /* mask: all 32 bits */

struct sock_filter;

struct cw_list_test {
	uint32_t argument; /* 0 to 5 */
	uint32_t mask;     /* 0: no test */
	uint32_t value;    /* of the masked argument */
};

struct cw_list_row {
	int call; /* SYS_...; CW_CALL_NONE: this architecture lacks the call */
	struct cw_list_test tests[CW_LIST_TESTS];
	int refusal; /* errno; 0: allowed */
};

struct cw_list {
	const struct cw_list_row *rows; /* in any order, but for rows of one call */
	uint32_t count;
	int refusal; /* errno of all other calls; 0: allowed */
};

/*
 * What the processes may do; lists.c says why.
 *
 * cw_list_capture   a live capture
 * cw_list_split     rows to add to the list of the capture: a split with another user
 * cw_list_opener    the process that opens the files of a live capture
 * cw_list_compiler  the process that compiles filters
 * cw_list_resolver  rows to add to the list of the compiler: host names
 * cw_list_hooks     the process that runs hooks, and each hook: a list of refusals
 */
extern const struct cw_list cw_list_capture, cw_list_split, cw_list_opener, cw_list_compiler,
    cw_list_resolver, cw_list_hooks;

/*
 * Translates a list and `more` rows (may be NULL), which follow those of the list. Calls of other
 * architectures and of x32 are refused. Returns the number of instructions in `at`, or -E2BIG.
 */
int cw_list_build(const struct cw_list *list, const struct cw_list_row *more, uint32_t more_count,
		  struct sock_filter *at, uint32_t room);

/* Whether the rows fit this architecture, and the kernel has seccomp. */
bool cw_list_can_load(void);

/* Holds this process, which must have one thread and no_new_privs, to the list for good. Returns 0
 * or a negative errno. */
int cw_list_load(const struct cw_list *list, const struct cw_list_row *more, uint32_t more_count);

#endif
