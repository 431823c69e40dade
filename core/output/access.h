/* SPDX-License-Identifier: BSD-3-Clause */
/* Modes and group of new files and folders, whatever the umask. */
#ifndef CW_CORE_OUTPUT_ACCESS_H
#define CW_CORE_OUTPUT_ACCESS_H

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

/* All zero: 0600 and 0700, as far as the umask allows them, and the process's group. */
struct cw_access {
	mode_t file_mode;   /* 0: not given */
	mode_t folder_mode; /* 0: not given */
	gid_t group;
	bool has_group;
};

/* Gives the open file or folder the group and the mode, which may be 0. Returns 0 or a negative
 * errno. */
static inline int cw_access_apply(const struct cw_access *access, mode_t mode, int fd)
{
	if (access->has_group && fchown(fd, (uid_t)-1, access->group))
		return -errno;
	return mode && fchmod(fd, mode) ? -errno : 0;
}

#endif
