/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What live capture gives up once it has what it needs. A process that parses what strangers sent
 * holds its sockets and rings, and can write files; it cannot become anybody, run anything, or talk
 * to anybody.
 *
 *   cw_confine_check()   before anything is opened or written: will the user be able to write?
 *   cw_confine_helper()  in the process that compiles filters, when it is started
 *   ...                  open sockets and rings
 *   cw_confine()         while there is one thread; those that are started later inherit all of it
 *
 * None prints. All look users up, which may read files and ask name services.
 */
#ifndef CW_TOOLS_PROCESS_CONFINE_H
#define CW_TOOLS_PROCESS_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"

/* cw_confine did all but the list of system calls, and the error's text says why. */
#define CW_CONFINE_NO_LIST 1

struct cw_confine_options {
	/* Whom to become (-Z). NULL: "nobody" when the effective user is root, else stay the same.
	 * Borrowed. */
	const char *user;
	/* Keep CAP_NET_RAW where it is there: to open a device again that was made anew. */
	bool keep_raw;
	/* Likewise CAP_SYS_NICE: threads started later may take a real-time priority. */
	bool keep_nice;
	/* Connections to a socket that is there are taken. */
	bool accepts;
};

/*
 * Whether cw_confine can become its user, and whether that user can make files in each of `folders`
 * (borrowed; relative ones count from the working directory), or write to it where it is no folder
 * but a pipe or device. Changes nothing: a child process tries it. One thread, no handler for
 * SIGCHLD.
 *
 * 0; -EINVAL for an unknown user; -EPERM for one that this process may not become; -EACCES for a
 * folder or pipe that the user cannot write; or the negative errno of what else is wrong with a
 * folder or
 * failed on the way. `error` (may be NULL) says which and what to do.
 */
int cw_confine_check(const struct cw_confine_options *options, const char *const *folders,
		     uint32_t folder_count, struct cw_error *error);

/*
 * Become the user with its groups; keep of all capabilities those that the options name (and, as
 * root, those to write into anybody's folders); never get any again, whatever is run; from now on
 * fail with EPERM in every system call that capture does not need. None of it can be undone. The
 * process must have one thread.
 *
 * 0; CW_CONFINE_NO_LIST; or a negative errno, and `error` (may be NULL) says of what. After a
 * failure the process may be confined in part: it should end.
 */
int cw_confine(const struct cw_confine_options *options, struct cw_error *error);

/*
 * The same for a process that helps, such as the one that compiles filters: become the user (the
 * other options do not count), keep no capability, never get any again. System calls are not
 * confined: it starts processes, and may ask a resolver. 0 or a negative errno, as cw_confine.
 */
int cw_confine_helper(const struct cw_confine_options *options, struct cw_error *error);

#endif
