/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Confinement of the processes of a live capture, one of which parses packets from strangers. That
 * process keeps its sockets, its kernel rings and the descriptors that it has; it can neither open
 * a file, change its user, run programs nor open network connections. Its helpers keep less.
 *
 *   cw_confine()  in each helper at its start; in the capture once its sockets and kernel rings are
 *                 open. Threads started later inherit the confinement.
 *
 * No function prints. All look up users, which may read files and query name services.
 */
#ifndef CW_TOOLS_PROCESS_CONFINE_H
#define CW_TOOLS_PROCESS_CONFINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/error.h"

/* Results of cw_confine: all done but the list of system calls, or the limits on files. The error's
 * text says why. */
#define CW_CONFINE_NO_LIST 1
#define CW_CONFINE_NO_LANDLOCK 2

enum cw_confine_role {
	CW_CONFINE_CAPTURE,  /* a live capture, which asks the opener for its files */
	CW_CONFINE_SPLIT,    /* a split with another user, which opens its files itself */
	CW_CONFINE_OPENER,   /* opens the files of a live capture; its user stays the same */
	CW_CONFINE_COMPILER, /* compiles filters: reads names of services, starts its workers */
	CW_CONFINE_HOOKS,    /* starts programs, which inherit what is refused to it */
};

struct cw_landlock_rule;

struct cw_confine_options {
	enum cw_confine_role role;
	/* User to switch to (-Z), borrowed. NULL: "capweir" where it exists, else "nobody", if the
	 * effective user is root; else the user stays the same. */
	const char *user;
	/* A capture: keep CAP_NET_RAW if present, to reopen an interface that was removed and
	 * recreated. */
	bool keep_raw;
	/* A capture: keep CAP_SYS_NICE if present, so that later threads can take a real-time
	 * priority. */
	bool keep_nice;
	/* A capture: allow accept() on sockets that are listening already. */
	bool accepts;
	/* A capture: allow signals to the process that compiles filters. 0: there is none. */
	pid_t compiler;
	/* A split that root starts: groups to join, borrowed, so that files can be given to
	 * them. */
	const gid_t *groups;
	uint32_t group_count;
	/* An opener: the folders and files that it may write. */
	const struct cw_landlock_rule *files;
	uint32_t file_count;
	/* Hooks: keep CAP_SETUID and CAP_SETGID if present, so that hooks run as other users. */
	bool keep_ids;
	/* A compiler: allow queries of name servers, and reading of all files. */
	bool resolves;
};

/* Fills the user that cw_confine switches to. Returns 0; -EINVAL for an unknown user; -EPERM if
 * this process may not switch to that user; or another negative errno. `error` names the cause and
 * the cure. */
int cw_confine_find_user(const struct cw_confine_options *options, uid_t *user,
			 struct cw_error *error);

/*
 * Confines this process for good; it must have one thread. Switches to the user and its groups;
 * drops all capabilities but those that the options name (and, for a split as root, those for
 * writing into other users' folders), also for programs run later; forbids other processes of the
 * user to trace it; makes every system call that the role does not need fail with EPERM, and every
 * opening of a file that the role does not need with EACCES.
 *
 * Returns 0; CW_CONFINE_NO_LIST; CW_CONFINE_NO_LANDLOCK; or a negative errno with `error` (may be
 * NULL). After a failure the process may be partly confined: it should exit.
 */
int cw_confine(const struct cw_confine_options *options, struct cw_error *error);

#endif
