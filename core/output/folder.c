/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/output/entry.h"
#include "core/output/folder.h"

/* Opens the folder of a name, and fills the name in it. Returns its descriptor, which `leave`
 * closes, or a negative errno. */
static int enter(const struct cw_folder *folder, const char *name, const char **base)
{
	const char *slash = strrchr(name, '/');
	char path[PATH_MAX];
	int fd;

	*base = slash ? slash + 1 : name;
	if (!slash)
		return folder->fd;
	if (snprintf(path, sizeof(path), "%.*s", (int)(slash - name), name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	do
		fd = cw_entry_open_below(folder->fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : fd;
}

/* Returns the result. */
static int leave(const struct cw_folder *folder, int fd, int result)
{
	if (fd != folder->fd)
		close(fd);
	return result;
}

static int status_here(const struct cw_folder *folder, const char *name, struct stat *status)
{
	const char *base;
	int fd = enter(folder, name, &base);

	if (fd < 0)
		return fd;
	return leave(folder, fd,
		     fstatat(fd, base, status, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) ? -errno : 0);
}

static int open_here(const struct cw_folder *folder, const char *name, enum cw_folder_access access)
{
	static const int flags[] = {[CW_FOLDER_EXISTING] = 0,
				    [CW_FOLDER_CREATE] = O_CREAT,
				    [CW_FOLDER_NEW] = O_CREAT | O_EXCL};
	const char *base;
	int folder_fd = enter(folder, name, &base);
	struct stat status;
	int fd, failure = 0;

	if (folder_fd < 0)
		return folder_fd;
	do
		fd = openat(folder_fd, base,
			    O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags[access], 0600);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return leave(folder, folder_fd, -errno);
	leave(folder, folder_fd, 0);
	if (fstat(fd, &status))
		failure = -errno;
	else if (!S_ISREG(status.st_mode) || status.st_nlink > 1 || status.st_uid != folder->owner)
		failure = -EPERM;
	if (!failure)
		return fd;
	close(fd);
	return failure;
}

static int rename_here(const struct cw_folder *folder, const char *from, const char *to,
		       bool replaces)
{
	const char *slash = strrchr(from, '/');
	const size_t bytes = slash ? (size_t)(slash + 1 - from) : 0;
	const char *base;
	int fd, result;

	if (strncmp(from, to, bytes) != 0 || strchr(to + bytes, '/'))
		return -EXDEV;
	fd = enter(folder, from, &base);
	if (fd < 0)
		return fd;
	if (!replaces)
		result = cw_entry_rename_new(fd, base, to + bytes);
	else
		result = renameat(fd, base, fd, to + bytes) ? -errno : 0;
	return leave(folder, fd, result);
}

static int remove_here(const struct cw_folder *folder, const char *name)
{
	const char *base;
	int fd = enter(folder, name, &base);

	if (fd < 0)
		return fd;
	return leave(folder, fd, unlinkat(fd, base, 0) ? -errno : 0);
}

static int names_here(const struct cw_folder *folder, const char *below)
{
	int fd;

	do
		fd = cw_entry_open_below(folder->fd, *below ? below : ".",
					 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : fd;
}

static int sync_here(const struct cw_folder *folder)
{
	int fd = names_here(folder, ""); /* fsync needs O_RDONLY */
	int result;

	if (fd < 0)
		return fd;
	result = cw_entry_sync(fd, fsync) ? -errno : 0;
	close(fd);
	return result;
}

const struct cw_folder_ops cw_folder_here = {.status = status_here,
					     .open = open_here,
					     .rename = rename_here,
					     .remove = remove_here,
					     .sync = sync_here,
					     .names = names_here};

int cw_folder_open(struct cw_folder *folder, const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*folder = (struct cw_folder){.ops = &cw_folder_here, .owner = geteuid(), .fd = fd};
	return 0;
}

void cw_folder_close(struct cw_folder *folder)
{
	if (folder->ops && folder->fd >= 0)
		close(folder->fd);
	*folder = (struct cw_folder){.fd = -1};
}
