/* SPDX-License-Identifier: BSD-3-Clause */
/* Modes and group of new files and folders, whatever the umask. */
#ifndef CW_CORE_OUTPUT_ACCESS_H
#define CW_CORE_OUTPUT_ACCESS_H

#include <errno.h>
#include <stdbool.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

/* All zero: 0600 and 0700, as far as the umask allows them, and the process's group. */
struct cw_access {
	mode_t file_mode;   /* 0: not given */
	mode_t folder_mode; /* 0: not given */
	gid_t group;
	bool has_group;
};

/* Gives the file the group, also one that its owner is not in, if this process acts for the owner
 * and has the right itself. Returns 0 or a negative errno. */
static inline int cw_access_give_group(int fd, gid_t group)
{
	int failure = fchown(fd, (uid_t)-1, group) ? -errno : 0;
	int owner;

	if (failure != -EPERM)
		return failure;
	owner = setfsuid(geteuid());
	failure = fchown(fd, (uid_t)-1, group) ? -errno : 0;
	setfsuid((uid_t)owner);
	return failure;
}

/* Gives the open file or folder, which this process made, the group and the mode, which may be 0.
 * Returns 0 or a negative errno. */
static inline int cw_access_apply(const struct cw_access *access, mode_t mode, int fd)
{
	int failure = access->has_group ? cw_access_give_group(fd, access->group) : 0;

	if (failure)
		return failure;
	return mode && fchmod(fd, mode) ? -errno : 0;
}

#endif
