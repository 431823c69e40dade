/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The target of an output's name: a new file, a file to replace, a FIFO or device to write
 * to in place, a descriptor of this process. The answer comes from the objects, not from the
 * spelling: "/dev/stdout" is a descriptor because its links lead to one.
 *
 * A path is walked folder by folder on descriptors. Each symbolic link is judged on its descriptor
 * before it is followed, so another user cannot exchange it in between. Any thread; no state.
 */
#ifndef CW_CORE_OUTPUT_TARGET_H
#define CW_CORE_OUTPUT_TARGET_H

#include <stdbool.h>
#include <sys/stat.h>

#include "core/base/error.h"
#include "core/output/access.h"

#define CW_TARGET_LINKS_MAX 8u /* symbolic links in one path */

enum cw_target_kind {
	CW_TARGET_MISSING,    /* nothing yet, in a folder that exists */
	CW_TARGET_FILE,       /* regular file */
	CW_TARGET_STREAM,     /* FIFO or device file */
	CW_TARGET_SINK,       /* /dev/null: takes everything, so several outputs may have it */
	CW_TARGET_DESCRIPTOR, /* descriptor of this process, whatever it leads to */
	CW_TARGET_FOLDER,
	CW_TARGET_SOCKET,
	CW_TARGET_LINK, /* a symbolic link that is not followed: with is_later only */
};

enum cw_target_folders {
	CW_TARGET_FOLDERS_EXIST,    /* a missing folder is an error */
	CW_TARGET_FOLDERS_MADE,     /* folders after fixed_bytes are made */
	CW_TARGET_FOLDERS_MAY_MISS, /* folders after fixed_bytes would be made later */
};

/* A folder that was opened once: names in it lead there, whatever is at its path by now. */
struct cw_place {
	int fd;             /* O_PATH */
	const char *folder; /* its path after links, "" or with a "/" at its end */
};

struct cw_target_query {
	int standard_output; /* descriptor for the path "-" */
	uid_t owner;         /* user that new files belong to: see below */
	bool is_later;       /* name made while running: its last component is not followed */
	enum cw_target_folders folders;
	size_t fixed_bytes; /* leading bytes of the path, up to a "/", whose folders must exist */
	const struct cw_access *access; /* borrows: of folders made; NULL: the defaults */
	/* Stands for the leading fixed_bytes of the path, and the rest must not lead out of it.
	 * NULL: the path starts at "/" or at the current folder, and leads anywhere. */
	const struct cw_place *place;
};

struct cw_target {
	enum cw_target_kind kind;
	int descriptor;     /* CW_TARGET_DESCRIPTOR: its number */
	int folder_fd;      /* O_PATH, owned; -1: none (CW_TARGET_DESCRIPTOR) */
	char *folder;       /* path of folder_fd without links, "" or with a "/" at its end */
	char *base;         /* name in the folder, after links, with missing folders; NULL: none */
	bool is_magic;      /* `base` is a link of procfs, opened by following it */
	struct stat status; /* unless missing */
	struct stat folder_status;
};

/*
 * Finds what `path` stands for. Errors: -ENOENT for a missing folder; -ELOOP for too many links;
 * -EPERM for a link that must not be followed; -EBADF for a number without an inherited descriptor;
 * -EXDEV for a path that leads out of its place; another negative errno. `target` then needs no
 * fini.
 *
 * A link is followed if it belongs to root, to `owner` or to the owner of the folder that it lies
 * in, or if only root and `owner` can write to that folder. In a sticky folder that all users can
 * write to, only the folder's owner's links and those of `owner` are followed, as the kernel does
 * with fs.protected_symlinks.
 */
int cw_target_find(struct cw_target *target, const char *path, const struct cw_target_query *query,
		   struct cw_error *error);

/*
 * Returns 0 if the target may be written, else a negative errno with the reason. Refused: folders;
 * sockets; links that are not followed; FIFOs unless of root, `owner` or this process's user, and
 * in a sticky folder that others can write to unless also of the folder's owner or `owner`; regular
 * files that cw_target_replace refuses.
 */
int cw_target_check(const struct cw_target *target, uid_t owner, const char *path,
		    struct cw_error *error);

/*
 * Returns 0 if a rename may replace this: nothing, or a regular file of `owner` with its owner's
 * write permission, which root heeds too. Else -EISDIR, -EEXIST (not a regular file), -EPERM
 * (another user's) or -EACCES (write-protected).
 */
int cw_target_replace(const struct stat *status, uid_t owner);

/* Returns whether both are the same object of the file system. */
bool cw_target_is_same(const struct stat *left, const struct stat *right);

/* Returns whether this character device is /dev/null. */
bool cw_target_is_null_device(const struct stat *status);

/* "standard output", "a FIFO", ...: for messages. */
const char *cw_target_describe(const struct cw_target *target);
const char *cw_target_describe_status(const struct stat *status);

void cw_target_fini(struct cw_target *target);

#endif
