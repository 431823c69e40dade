/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hooks: programs that are run for every file that a rule completed (-z, a rule's `hook`). A
 * process of its own starts and watches them, made before there are threads and before the capture
 * gives up its rights: a confined capture cannot start anything. It becomes the same user, keeps no
 * capability and never gets any again, and so do the hooks. No shell: words as they stand, the
 * file's name the last of them. A hook's standard input is empty, its output goes to standard
 * error.
 *
 *   cw_hooks_start()    one thread, nothing confined yet
 *   cw_hooks_run_any()  any thread, when a file has its name
 *   cw_hooks_finish()   waits for all of them
 */
#ifndef CW_TOOLS_PROCESS_HOOKS_H
#define CW_TOOLS_PROCESS_HOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"

#define CW_HOOKS_AT_ONCE 4u         /* more wait for their turn, in the order of the files */
#define CW_HOOKS_WAITING_MAX 65536u /* and more than so many are not run, and count as failed */
#define CW_HOOK_TIME_MS_DEFAULT 60000u
#define CW_HOOK_BYTES_MAX 65536u /* of the words of one, the file's name among them */

struct cw_hooks;

struct cw_hooks_options {
	uint32_t time_ms; /* a hook that takes longer is killed, and what it started; 0 = default */
	int (*on_start)(
	    void *context); /* in the new process; a negative errno refuses; may be NULL */
	void *context;
};

struct cw_hooks_result {
	uint64_t run;    /* files that hooks were asked for */
	uint64_t failed; /* of those, not run, ended badly or killed: each was told */
};

/* 0, or a negative errno. */
int cw_hooks_start(struct cw_hooks **hooks, const struct cw_hooks_options *options,
		   struct cw_error *error);

/* Run `words` (NULL at their end) with `path` behind them, for the rule `name`. Waits only while
 * the other process does not take the request, at most a second; then it counts as failed. */
void cw_hooks_run_any(struct cw_hooks *hooks, const char *name, char *const *words,
		      const char *path);

/* Wait for all hooks; -EINTR when `wake_fd` becomes readable (they run on then), -EPIPE when the
 * process is lost. */
int cw_hooks_finish(struct cw_hooks *hooks, int wake_fd, struct cw_hooks_result *result);

void cw_hooks_free(struct cw_hooks *hooks); /* accepts NULL; what runs, runs on */

/* Whether there is such a program, as execvp would find it. */
bool cw_hooks_has_program(const char *program);

#endif
