/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hooks: programs that run after each completed file (-z, a rule's `hook`). A separate process
 * starts and watches them, because a confined capture cannot start programs. That process is forked
 * while the capture has one thread and its privileges. It knows the commands from the rules in
 * memory, and after a reload from the rules file: no request holds a command. In a live capture the
 * process that opens files tells it of each published file (core/output/opener_hooks.c), the
 * capture cannot. Hooks run as the user that the files belong to, without capabilities. There is no
 * shell: the words are passed unchanged, with the file's name as the last one. Standard input of a
 * hook is empty, its output goes to standard error.
 *
 *   cw_hooks_start()      one thread, not confined yet
 *   cw_hooks_add()        no opener: names the hook of an output
 *   cw_hooks_run_any()    no opener: any thread, once a file has its final name
 *   cw_hooks_leave()      the opener has the socket of cw_hooks_socket now
 *   cw_hooks_count_any()  any thread, for each file whose hook the opener asked for
 *   cw_hooks_finish()     waits for all hooks
 *   cw_hooks_kill()       ends that wait soon
 */
#ifndef CW_TOOLS_PROCESS_HOOKS_H
#define CW_TOOLS_PROCESS_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

#define CW_HOOKS_AT_ONCE 4u         /* running hooks; others wait, in order of files */
#define CW_HOOKS_WAITING_MAX 65536u /* waiting hooks; further ones count as failed */
#define CW_HOOK_TIME_MS_DEFAULT 60000u
#define CW_HOOK_BYTES_MAX 65536u /* bytes of one request: all words and the file's name */
#define CW_HOOK_PATH_BYTES 4098u /* part of these: the longest file name with "./" and NUL */

struct cw_hooks;
struct cw_hooks_table;
struct cw_opener_owner;

struct cw_hooks_options {
	uint32_t time_ms; /* time limit; then the hook's process group is killed; 0: default */
	/* called in the new process; a negative errno refuses the start; may be NULL: then hooks
	 * keep all rights of this process */
	int (*on_start)(void *context);
	/* Called in the new process: calls cw_hooks_table_add for each rule with a hook, of the
	 * start's rules (fd -1) or of the rules file that `fd` leads to (takes it). Returns 0 or a
	 * negative errno: the rules file cannot be read or trusted. */
	int (*load)(void *context, int fd, struct cw_hooks_table *table);
	void *context;
	/* Borrow until cw_hooks_start returns. Hooks run as `user`; NULL: as the owner of files,
	 * but as the user of this process if files are root's; NULL: always as that user. */
	const struct cw_opener_owner *owner;
	const struct cw_opener_owner *user;
};

struct cw_hooks_result {
	uint64_t run;    /* hooks requested, one per file */
	uint64_t failed; /* of these, hooks not run, failed or killed; each was reported */
};

/* Returns 0 or a negative errno. */
int cw_hooks_start(struct cw_hooks **hooks, const struct cw_hooks_options *options,
		   struct cw_error *error);

/* Adds the command of the rule `name`. Returns 0 or -ENOMEM. */
int cw_hooks_table_add(struct cw_hooks_table *table, const char *name, char *const *words);

/* Without an opener: from now on these are the hooks of the output. Returns 0 or a negative errno.
 */
int cw_hooks_add(struct cw_hooks *hooks, uint32_t output, const char *name);

/* Without an opener: requests the hook of the output's rule `name` for the file. Waits at most 1 s
 * for room in the socket; after that the hook counts as failed. */
void cw_hooks_run_any(struct cw_hooks *hooks, uint32_t output, const char *name, const char *path);

/* Counts a hook that the opener asked for; `failure` (negative errno): in vain, which is reported.
 */
void cw_hooks_count_any(struct cw_hooks *hooks, const char *name, const char *path, int failure);

/* Returns the socket for requests, to be given to the opener; then closes it in this process. */
int cw_hooks_socket(const struct cw_hooks *hooks);
void cw_hooks_leave(struct cw_hooks *hooks);

/* Waits for all hooks; no more may be requested. Returns -EINTR if `wake_fd` becomes readable:
 * call again, hooks go on. Returns -EPIPE if the process that runs hooks has died. */
int cw_hooks_finish(struct cw_hooks *hooks, int wake_fd, struct cw_hooks_result *result);

/* Between two calls of cw_hooks_finish: kills the running hooks and drops the waiting ones. All of
 * them are reported, and count as failed. */
void cw_hooks_kill(struct cw_hooks *hooks);

void cw_hooks_free(struct cw_hooks *hooks); /* accepts NULL; running hooks keep running */

/* Returns the bytes of a request for the command `words` and the longest file name; over
 * CW_HOOK_BYTES_MAX the hook cannot be run. */
size_t cw_hooks_request_bytes(const char *name, char *const *words);

/* Returns whether execvp would find the program. */
bool cw_hooks_has_program(const char *program);

#endif
