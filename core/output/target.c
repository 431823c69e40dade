/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Walks a path to an output's target. openat2(2) could refuse links, but not judge them, and a
 * confined capture may not call it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/output/target.h"

struct walk {
	const struct cw_target_query *query;
	struct cw_target *target;
	struct cw_error *error;
	int fd; /* folder reached, O_PATH */
	unsigned link_count;
	size_t made_bytes; /* bytes at the end of `rest` whose missing folders are no error */
	size_t walked_bytes;
	char walked[PATH_MAX]; /* path of the folder reached, "" or with a "/" at its end */
	char *at;              /* in `rest` */
	char rest[PATH_MAX];   /* path from that folder on */
};

/* ---- judgement ---- */

/* fstat() of a descriptor with O_PATH. */
static int stat_fd(int fd, struct stat *status)
{
	return fstatat(fd, "", status, AT_EMPTY_PATH);
}

static bool is_sticky_for_all(const struct stat *folder)
{
	return (folder->st_mode & S_ISVTX) && (folder->st_mode & S_IWOTH);
}

static bool may_follow(const struct stat *link, const struct stat *folder, uid_t owner)
{
	const bool is_closed = !(folder->st_mode & (S_IWGRP | S_IWOTH)) &&
			       (folder->st_uid == 0 || folder->st_uid == owner);

	if (link->st_uid == owner || link->st_uid == folder->st_uid)
		return true;
	return !is_sticky_for_all(folder) && (link->st_uid == 0 || is_closed);
}

static bool may_open_fifo(const struct stat *fifo, const struct stat *folder, uid_t owner)
{
	const bool is_sticky =
	    (folder->st_mode & S_ISVTX) && (folder->st_mode & (S_IWGRP | S_IWOTH));

	if (fifo->st_uid == owner || fifo->st_uid == geteuid())
		return true;
	return fifo->st_uid == 0 && (!is_sticky || folder->st_uid == 0);
}

int cw_target_replace(const struct stat *status, uid_t owner)
{
	if (S_ISDIR(status->st_mode))
		return -EISDIR;
	if (!S_ISREG(status->st_mode))
		return -EEXIST;
	if (status->st_uid != owner)
		return -EPERM;
	return status->st_mode & S_IWUSR ? 0 : -EACCES;
}

bool cw_target_is_same(const struct stat *left, const struct stat *right)
{
	return left->st_dev == right->st_dev && left->st_ino == right->st_ino;
}

bool cw_target_is_null_device(const struct stat *status)
{
	return S_ISCHR(status->st_mode) && status->st_rdev == makedev(1, 3);
}

/* Fills `name` with a user's name, or with its number. */
static const char *user_name(uid_t user, char name[64])
{
	struct passwd entry, *found = NULL;
	char memory[2048];

	if (getpwuid_r(user, &entry, memory, sizeof(memory), &found) || !found)
		snprintf(name, 64, "user %u", (unsigned)user);
	else
		snprintf(name, 64, "%s", found->pw_name);
	return name;
}

/* ---- the walk ---- */

static int open_path(int fd, const char *name, int flags)
{
	int opened;

	do
		opened = openat(fd, name, O_PATH | O_CLOEXEC | flags);
	while (opened < 0 && errno == EINTR);
	return opened < 0 ? -errno : opened;
}

static void reach(struct walk *walk, int fd)
{
	if (walk->fd >= 0)
		close(walk->fd);
	walk->fd = fd;
}

static int refuse_way_out(struct walk *walk)
{
	return cw_error_set(walk->error, -EXDEV, "its path leads out of the folder %s",
			    walk->query->place->folder[0] ? walk->query->place->folder : ".");
}

/* Starts the path in its place. */
static int start_in_place(struct walk *walk)
{
	const struct cw_place *place = walk->query->place;
	size_t bytes = strlen(place->folder);
	int fd = open_path(place->fd, ".", O_DIRECTORY);

	if (fd < 0)
		return cw_error_set_errno(walk->error, fd, "cannot open the folder %s",
					  place->folder);
	reach(walk, fd);
	if (bytes >= sizeof(walk->walked))
		return cw_error_set(walk->error, -ENAMETOOLONG, "its path is too long");
	memcpy(walk->walked, place->folder, bytes + 1);
	walk->walked_bytes = bytes;
	walk->at = walk->rest + walk->query->fixed_bytes;
	return 0;
}

/* Starts the path at "/" or at the current folder. */
static int start(struct walk *walk, const char *path)
{
	bool is_absolute = *path == '/';
	int fd;

	if (walk->query->place)
		return refuse_way_out(walk);
	fd = open_path(AT_FDCWD, is_absolute ? "/" : ".", O_DIRECTORY);
	if (fd < 0)
		return cw_error_set_errno(walk->error, fd, "cannot open the folder %s of %s",
					  is_absolute ? "/" : ".", path);
	reach(walk, fd);
	walk->walked_bytes = is_absolute;
	memcpy(walk->walked, "/", 2);
	walk->walked[walk->walked_bytes] = '\0';
	return 0;
}

/* Makes the opened folder the one reached. */
static int enter(struct walk *walk, int fd, const char *name)
{
	size_t bytes = strlen(name);

	if (walk->walked_bytes + bytes + 2 > sizeof(walk->walked)) {
		close(fd);
		return cw_error_set(walk->error, -ENAMETOOLONG, "its path is too long");
	}
	reach(walk, fd);
	memcpy(walk->walked + walk->walked_bytes, name, bytes);
	memcpy(walk->walked + walk->walked_bytes + bytes, "/", 2);
	walk->walked_bytes += bytes + 1;
	return 0;
}

static bool is_on_procfs(int fd)
{
	struct statfs system;

	return fstatfs(fd, &system) == 0 && system.f_type == PROC_SUPER_MAGIC;
}

static int judge_link(struct walk *walk, const char *name, const struct stat *link)
{
	struct stat folder;
	char user[64];

	if (++walk->link_count > CW_TARGET_LINKS_MAX)
		return cw_error_set(walk->error, -ELOOP,
				    "more than %u symbolic links lead to %s%s: name the file "
				    "itself",
				    CW_TARGET_LINKS_MAX, walk->walked, name);
	if (stat_fd(walk->fd, &folder))
		return cw_error_set_errno(walk->error, -errno, "cannot examine the folder %s",
					  walk->walked);
	if (!may_follow(link, &folder, walk->query->owner))
		return cw_error_set(walk->error, -EPERM,
				    "%s%s is a symbolic link of %s in a folder that others can "
				    "write to: name the file itself",
				    walk->walked, name, user_name(link->st_uid, user));
	return 0;
}

/* Puts the text of a link before the rest of the path. */
static int substitute(struct walk *walk, int link_fd)
{
	char text[PATH_MAX];
	ssize_t bytes = readlinkat(link_fd, "", text, sizeof(text));
	size_t rest_bytes = strlen(walk->at) + 1;

	walk->made_bytes = cw_min_size(walk->made_bytes, rest_bytes - 1);
	if (bytes < 0)
		return cw_error_set_errno(walk->error, -errno, "cannot read a symbolic link");
	if ((size_t)bytes + 1 + rest_bytes > sizeof(walk->rest))
		return cw_error_set(walk->error, -ENAMETOOLONG,
				    "its path is too long after symbolic links");
	memmove(walk->rest + bytes + (rest_bytes > 1), walk->at, rest_bytes);
	memcpy(walk->rest, text, (size_t)bytes);
	if (rest_bytes > 1)
		walk->rest[bytes] = '/';
	walk->at = walk->rest;
	return text[0] == '/' ? start(walk, text) : 0;
}

/* Follows a link. Links of procfs are the kernel's: their text need not be a path from here. */
static int follow(struct walk *walk, const char *name)
{
	int link_fd = open_path(walk->fd, name, O_NOFOLLOW);
	struct stat link;
	int result;

	if (link_fd < 0)
		return cw_error_set_errno(walk->error, link_fd, "cannot examine %s%s", walk->walked,
					  name);
	if (stat_fd(link_fd, &link))
		result = cw_error_set_errno(walk->error, -errno, "cannot examine %s%s",
					    walk->walked, name);
	else if (!S_ISLNK(link.st_mode))
		result =
		    cw_error_set(walk->error, -ENOTDIR, "%s%s is not a folder", walk->walked, name);
	else
		result = judge_link(walk, name, &link);
	if (result == 0)
		result = substitute(walk, link_fd);
	close(link_fd);
	return result;
}

/* Gives a folder just made the mode and group of the query. Another user's, who may have put it in
 * its place, stays as it is. */
static int give_access(const struct walk *walk, const char *name)
{
	const struct cw_access *access = walk->query->access;
	struct stat status;
	int result, fd;

	if (!access || (!access->folder_mode && !access->has_group))
		return 0;
	fd = openat(walk->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	result = fstat(fd, &status) ? -errno : 0;
	if (result == 0 && status.st_uid == walk->query->owner)
		result = cw_access_apply(access, access->folder_mode, fd);
	close(fd);
	return result;
}

/* Opens a folder without following a link. One that is missing is made if the query says so, for
 * this user only until it has its mode, which does not depend on the umask. */
static int open_folder(const struct walk *walk, const char *name, bool is_made)
{
	int fd = open_path(walk->fd, name, O_DIRECTORY | O_NOFOLLOW);

	if (fd != -ENOENT || !is_made || walk->query->folders != CW_TARGET_FOLDERS_MADE)
		return fd;
	if (mkdirat(walk->fd, name, S_IRWXU) == 0) {
		int result = give_access(walk, name);

		if (result < 0) {
			unlinkat(walk->fd, name, AT_REMOVEDIR);
			return result;
		}
	} else if (errno != EEXIST) {
		return -errno;
	}
	return open_path(walk->fd, name, O_DIRECTORY | O_NOFOLLOW);
}

/* Ends the walk at a folder that is made later: the rest of the path becomes the name. */
static int take_missing(struct walk *walk, const char *name)
{
	walk->target->kind = CW_TARGET_MISSING;
	if (asprintf(&walk->target->base, "%s/%s", name, walk->at) >= 0)
		return 0;
	walk->target->base = NULL;
	return cw_error_set_errno(walk->error, -ENOMEM, "cannot examine %s", name);
}

/* Returns 0 once the target is known, 1 before. */
static int enter_folder(struct walk *walk, const char *name, bool is_made)
{
	int result, fd;

	if (walk->query->place && !strcmp(name, ".."))
		return refuse_way_out(walk);
	fd = open_folder(walk, name, is_made);
	if (fd == -ENOTDIR && is_on_procfs(walk->fd))
		fd = open_path(walk->fd, name, O_DIRECTORY);
	else if (fd == -ENOTDIR) {
		result = follow(walk, name);
		return result ? result : 1;
	}
	if (fd == -ENOENT && is_made && walk->query->folders == CW_TARGET_FOLDERS_MAY_MISS)
		return take_missing(walk, name);
	if (fd == -ENOENT)
		return cw_error_set(walk->error, fd,
				    "the folder %s%s does not exist; create it first", walk->walked,
				    name);
	if (fd < 0)
		return cw_error_set_errno(walk->error, fd, "cannot open the folder %s%s",
					  walk->walked, name);
	result = enter(walk, fd, name);
	return result ? result : 1;
}

/* ---- the last component ---- */

/* Returns whether the folder reached has this process's descriptors, of all threads. */
static bool has_own_descriptors(int fd)
{
	struct stat folder, own;

	if (!is_on_procfs(fd) || stat_fd(fd, &folder))
		return false;
	return (!stat("/proc/self/fd", &own) && cw_target_is_same(&folder, &own)) ||
	       (!stat("/proc/thread-self/fd", &own) && cw_target_is_same(&folder, &own));
}

/*
 * Takes a descriptor by its number. Only inherited ones: they came through execve() without
 * FD_CLOEXEC, while everything that this process opens itself has that flag.
 */
static int take_descriptor(struct walk *walk, const char *number)
{
	struct cw_target *target = walk->target;
	int flags;

	target->kind = CW_TARGET_DESCRIPTOR;
	target->descriptor = strlen(number) > 6 ? INT_MAX : atoi(number);
	flags = fcntl(target->descriptor, F_GETFD);
	if (flags < 0 || (flags & FD_CLOEXEC) || fstat(target->descriptor, &target->status))
		return cw_error_set(walk->error, -EBADF, "descriptor %s is not open", number);
	flags = fcntl(target->descriptor, F_GETFL);
	if ((flags & O_ACCMODE) == O_RDONLY)
		return cw_error_set(walk->error, -EBADF, "descriptor %s is open for reading only",
				    number);
	return 0;
}

static enum cw_target_kind kind_of(const struct stat *status)
{
	if (S_ISREG(status->st_mode))
		return CW_TARGET_FILE;
	if (S_ISDIR(status->st_mode))
		return CW_TARGET_FOLDER;
	if (S_ISSOCK(status->st_mode))
		return CW_TARGET_SOCKET;
	if (S_ISLNK(status->st_mode))
		return CW_TARGET_LINK;
	if (cw_target_is_null_device(status))
		return CW_TARGET_SINK;
	return CW_TARGET_STREAM;
}

/* Classifies the last component. Returns 0; 1 after following a link: walk on. */
static int take_last(struct walk *walk, const char *name)
{
	struct cw_target *target = walk->target;
	struct stat *status = &target->status;
	int result;

	if (strspn(name, "0123456789") == strlen(name) && has_own_descriptors(walk->fd))
		return take_descriptor(walk, name);
	target->base = strdup(name);
	if (!target->base)
		return cw_error_set_errno(walk->error, -ENOMEM, "cannot examine %s", name);
	if (fstatat(walk->fd, name, status, AT_SYMLINK_NOFOLLOW)) {
		if (errno != ENOENT)
			return cw_error_set_errno(walk->error, -errno, "cannot examine %s%s",
						  walk->walked, name);
		target->kind = CW_TARGET_MISSING;
		return 0;
	}
	target->kind = kind_of(status);
	if (!S_ISLNK(status->st_mode))
		return 0;
	if (is_on_procfs(walk->fd)) { /* a descriptor of another process: a stream, or refused */
		target->is_magic = true;
		if (fstatat(walk->fd, name, status, 0))
			return cw_error_set_errno(walk->error, -errno, "cannot examine %s%s",
						  walk->walked, name);
		target->kind = kind_of(status);
		return 0;
	}
	if (walk->query->is_later)
		return 0;
	free(target->base);
	target->base = NULL;
	result = follow(walk, name);
	return result ? result : 1;
}

/* Takes the next component. Returns 0 once the target is known, 1 before. */
static int take_step(struct walk *walk)
{
	char *name = walk->at + strspn(walk->at, "/");
	char *end = name + strcspn(name, "/");
	bool is_folder = *end == '/' || !strcmp(name, ".") || !strcmp(name, "..") || !*name;
	bool is_last = !end[strspn(end, "/")];
	bool is_made = strlen(name) <= walk->made_bytes;
	int result = 1;

	if (*end)
		*end++ = '\0';
	walk->at = end;
	if (!is_folder)
		return take_last(walk, name);
	if (*name && strcmp(name, ".") != 0)
		result = enter_folder(walk, name, is_made);
	if (result <= 0 || !is_last || *walk->at)
		return result;
	walk->target->kind = CW_TARGET_FOLDER;
	return stat_fd(walk->fd, &walk->target->status)
		   ? cw_error_set_errno(walk->error, -errno, "cannot examine the folder %s",
					walk->walked)
		   : 0;
}

static int find(struct walk *walk, const char *path)
{
	struct cw_target *target = walk->target;
	size_t bytes = strlen(path);
	int result;

	if (bytes >= sizeof(walk->rest))
		return cw_error_set(walk->error, -ENAMETOOLONG, "its path is too long");
	memcpy(walk->rest, path, bytes + 1);
	walk->at = walk->rest;
	walk->made_bytes = walk->query->folders == CW_TARGET_FOLDERS_EXIST
			       ? 0
			       : bytes - cw_min_size(bytes, walk->query->fixed_bytes);
	result = walk->query->place ? start_in_place(walk) : start(walk, path);
	if (result == 0) {
		do
			result = take_step(walk);
		while (result == 1);
	}
	if (result < 0 || target->kind == CW_TARGET_DESCRIPTOR)
		return result;
	target->folder = strdup(walk->walked);
	if (!target->folder || stat_fd(walk->fd, &target->folder_status))
		return cw_error_set_errno(walk->error, target->folder ? -errno : -ENOMEM,
					  "cannot examine the folder of %s", path);
	target->folder_fd = walk->fd;
	walk->fd = -1;
	return 0;
}

int cw_target_find(struct cw_target *target, const char *path, const struct cw_target_query *query,
		   struct cw_error *error)
{
	struct walk walk;
	int result;

	*target = (struct cw_target){.folder_fd = -1, .descriptor = -1};
	if (!strcmp(path, "-")) {
		target->kind = CW_TARGET_DESCRIPTOR;
		target->descriptor = query->standard_output;
		return fstat(target->descriptor, &target->status)
			   ? cw_error_set_errno(error, -errno, "standard output")
			   : 0;
	}
	walk.query = query;
	walk.target = target;
	walk.error = error;
	walk.fd = -1;
	walk.link_count = 0;
	result = find(&walk, path);
	if (walk.fd >= 0)
		close(walk.fd);
	if (result < 0)
		cw_target_fini(target);
	return result;
}

/* ---- what may be written ---- */

/* Returns what keeps a rename from replacing the file, or NULL. */
static const char *obstacle(const struct cw_target *target)
{
	struct statx more;

	if (statx(target->folder_fd, target->base, AT_SYMLINK_NOFOLLOW, 0, &more))
		return NULL;
	if (more.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return "is a mount point";
	if (more.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND))
		return "is protected by its attributes (lsattr shows them)";
	return NULL;
}

static int check_file(const struct cw_target *target, uid_t owner, const char *path,
		      struct cw_error *error)
{
	int result = cw_target_replace(&target->status, owner);
	const char *cause = result ? NULL : obstacle(target);
	char theirs[64], ours[64];

	if (target->is_magic)
		return cw_error_set(error, -EPERM,
				    "%s is a file that another process has open: name the file "
				    "itself",
				    path);
	if (result == -EPERM)
		return cw_error_set(error, result,
				    "%s exists and belongs to %s, not to %s: remove it, or choose "
				    "another name",
				    path, user_name(target->status.st_uid, theirs),
				    user_name(owner, ours));
	if (result == -EACCES)
		return cw_error_set(error, result,
				    "%s exists and is write-protected: remove it, or choose "
				    "another name",
				    path);
	if (cause)
		return cw_error_set(error, -EBUSY, "%s %s: choose another name", path, cause);
	return result;
}

int cw_target_check(const struct cw_target *target, uid_t owner, const char *path,
		    struct cw_error *error)
{
	char user[64];

	switch (target->kind) {
	case CW_TARGET_FOLDER:
		return cw_error_set(error, -EISDIR, "%s is a folder: add a file name", path);
	case CW_TARGET_SOCKET:
		return cw_error_set(error, -ENXIO, "%s is a socket: choose another name", path);
	case CW_TARGET_LINK:
		return cw_error_set(error, -ELOOP, "%s is a symbolic link", path);
	case CW_TARGET_FILE:
		return check_file(target, owner, path, error);
	case CW_TARGET_STREAM:
		if (!S_ISFIFO(target->status.st_mode) ||
		    may_open_fifo(&target->status, &target->folder_status, owner))
			return 0;
		return cw_error_set(
		    error, -EPERM,
		    "%s is a FIFO of %s: make a separate FIFO, or choose another name", path,
		    user_name(target->status.st_uid, user));
	default:
		return 0;
	}
}

const char *cw_target_describe(const struct cw_target *target)
{
	if (target->kind == CW_TARGET_DESCRIPTOR)
		return target->descriptor == STDOUT_FILENO ? "standard output" : "a descriptor";
	if (target->kind == CW_TARGET_FOLDER)
		return "a folder";
	if (target->kind == CW_TARGET_SOCKET)
		return "a socket";
	if (target->kind == CW_TARGET_LINK)
		return "a symbolic link";
	if (target->kind == CW_TARGET_FILE || target->kind == CW_TARGET_MISSING)
		return "a file";
	return S_ISFIFO(target->status.st_mode) ? "a FIFO" : "a device file";
}

const char *cw_target_describe_status(const struct stat *status)
{
	const struct cw_target target = {.kind = kind_of(status), .status = *status};

	return cw_target_describe(&target);
}

void cw_target_fini(struct cw_target *target)
{
	if (target->folder_fd >= 0)
		close(target->folder_fd);
	free(target->folder);
	free(target->base);
	*target = (struct cw_target){.folder_fd = -1, .descriptor = -1};
}
