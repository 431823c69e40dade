/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that runs hooks, for its sources: hooks_runner.c; hooks_table.c, its commands; and
 * hooks.c, which starts it.
 *
 * It has two sockets. On the one, which the capture keeps, a message is a single byte. The other
 * one takes requests (enum cw_hook_call).
 */
#ifndef CW_TOOLS_PROCESS_HOOKS_PARTS_H
#define CW_TOOLS_PROCESS_HOOKS_PARTS_H

#include "core/base/grow.h"
#include "tools/process/hooks.h"

#define CW_HOOKS_LAST 1 /* no more requests: the reply is the number of failed hooks */
#define CW_HOOKS_KILL 2 /* later: kill the hooks */

/* A rule's name, then its command: NUL-terminated words. */
struct cw_hook_words {
	size_t bytes;
	char words[];
};

struct cw_hooks_table {
	struct cw_hook_words **at; /* NULL in outputs: none */
	uint32_t count, capacity;
};

/* By rule: sorts after the last cw_hooks_table_add, then finds. NULL: the rule has no hook. */
void cw_hooks_table_sort(struct cw_hooks_table *table);
const struct cw_hook_words *cw_hooks_table_find(const struct cw_hooks_table *table,
						const char *name);

/* By output: copies the words, or forgets the output (NULL). */
void cw_hooks_table_set(struct cw_hooks_table *outputs, uint32_t output,
			const struct cw_hook_words *words);
const struct cw_hook_words *cw_hooks_table_get(const struct cw_hooks_table *outputs,
					       uint32_t output);
void cw_hooks_table_fini(struct cw_hooks_table *table);

/* Main function of the process that runs hooks, with its ends of the sockets. Its first message is
 * 0, or the negative errno of a failed start. */
_Noreturn void cw_hooks_main(int fd, int requests_fd, const struct cw_hooks_options *options);

#endif
