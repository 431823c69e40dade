/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Confinement of a live capture, whose process parses packets from strangers. It keeps its sockets,
 * its kernel rings and the right to write files; it can neither change its user, run programs nor
 * open network connections.
 *
 *   cw_confine_check()   before anything is opened or written: can the user write its files?
 *   cw_confine_helper()  in the process that compiles filters, at its start
 *   ...                  open sockets and kernel rings
 *   cw_confine()         with one thread; threads started later inherit the confinement
 *
 * No function prints. All look up users, which may read files and query name services.
 */
#ifndef CW_TOOLS_PROCESS_CONFINE_H
#define CW_TOOLS_PROCESS_CONFINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/error.h"

/* Result of cw_confine: all done but the list of system calls; the error's text says why. */
#define CW_CONFINE_NO_LIST 1

struct cw_confine_options {
	/* User to switch to (-Z), borrowed. NULL: "nobody" if the effective user is root, else the
	 * user stays the same. */
	const char *user;
	/* Keep CAP_NET_RAW if present, to reopen an interface that was removed and recreated. */
	bool keep_raw;
	/* Keep CAP_SYS_NICE if present, so that later threads can take a real-time priority. */
	bool keep_nice;
	/* Allow accept() on sockets that are listening already. */
	bool accepts;
};

/*
 * Checks whether cw_confine can switch to its user, and whether that user can create files in each
 * of `folders` (borrowed; relative to the working directory). An entry that is a pipe or a device
 * file is checked for writing. A child process tries it all, so nothing changes here. Needs one
 * thread and no handler for SIGCHLD.
 *
 * Returns 0; -EINVAL for an unknown user; -EPERM if this process may not switch to that user;
 * -EACCES for a folder or pipe that the user cannot write; or another negative errno. `error` (may
 * be NULL) names the cause and the cure.
 */
int cw_confine_check(const struct cw_confine_options *options, const char *const *folders,
		     uint32_t folder_count, struct cw_error *error);

/* Fills the user that cw_confine switches to. Errors as cw_confine_check. */
int cw_confine_find_user(const struct cw_confine_options *options, uid_t *user,
			 struct cw_error *error);

/*
 * Confines this process for good; it must have one thread. Switches to the user and its groups;
 * drops all capabilities but those that the options name (and, as root, those for writing into
 * other users' folders), also for programs run later; makes every system call that capture does not
 * need fail with EPERM.
 *
 * Returns 0; CW_CONFINE_NO_LIST; or a negative errno with `error` (may be NULL). After a failure
 * the process may be partly confined: it should exit.
 */
int cw_confine(const struct cw_confine_options *options, struct cw_error *error);

/*
 * Confines a helper, such as the process that compiles filters: switches to the user (other options
 * are ignored) and drops all capabilities for good. System calls stay unrestricted, because a
 * helper starts processes and may query a resolver. Returns 0 or a negative errno, as cw_confine.
 */
int cw_confine_helper(const struct cw_confine_options *options, struct cw_error *error);

#endif
