/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Output files: hidden .part files that are renamed when complete; device files, FIFOs and
 * inherited descriptors are written in place. Directories are open only for a moment: an output
 * needs one descriptor, and none while it is evicted. Opening is in outfile_open.c, writing in
 * outfile_write.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/output/outfile_pack.h"
#include "core/output/target.h"

/* Names the folder and the file in it. Links are followed when the file is opened. */
static int split_path(struct cw_outfile *file, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	if (!path[0])
		return -EINVAL;
	if (!base[0] || !strcmp(base, ".") || !strcmp(base, ".."))
		return -EISDIR;
	file->path = strdup(path);
	file->directory = slash ? strndup(path, (size_t)(base - path)) : strdup(".");
	file->base = strdup(base);
	return file->path && file->directory && file->base ? 0 : -ENOMEM;
}

int cw_outfile_new(struct cw_outfile **result, const char *path,
		   const struct cw_outfile_options *options)
{
	struct cw_outfile *file = calloc(1, sizeof(*file));
	int status;

	*result = NULL;
	if (!file)
		return -ENOMEM;
	file->fd = -1;
	file->options = *options;
	status = split_path(file, path);
	if (!status && !strcmp(path, "-") && options->standard_output < 0)
		status = -EINVAL;
	if (status) {
		cw_outfile_free(file);
		return status;
	}
	*result = file;
	return 0;
}

int cw_outfile_close_fd(struct cw_outfile *file)
{
	int fd = file->fd;

	file->fd = -1;
	if (fd < 0 || file->kind == TARGET_BORROWED)
		return 0;
	if (close(fd) && errno != EINTR) /* on Linux, EINTR means closed */
		return -errno;
	return 0;
}

int cw_outfile_open_directory(const struct cw_outfile *file, int access)
{
	int fd;

	do
		fd = open(file->directory, access | O_DIRECTORY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

bool cw_outfile_has_inode(const struct cw_outfile *file, const struct stat *status)
{
	return S_ISREG(status->st_mode) && status->st_dev == file->device &&
	       status->st_ino == file->inode;
}

bool cw_outfile_is_open(const struct cw_outfile *file)
{
	return file->fd >= 0;
}

bool cw_outfile_is_seekable(const struct cw_outfile *file)
{
	return file->kind == TARGET_REGULAR;
}

bool cw_outfile_is_published(const struct cw_outfile *file)
{
	return file->kind == TARGET_PUBLISHED;
}

const char *cw_outfile_flaw(const struct cw_outfile *file)
{
	return file->flaw;
}

bool cw_outfile_was_created(const struct cw_outfile *file)
{
	return file->was_created;
}

/* Calls fsync or fdatasync until no signal interrupts the call. */
static int sync_fd(int fd, int (*sync)(int fd))
{
	int status;

	do
		status = sync(fd);
	while (status && errno == EINTR);
	return status;
}

/* Makes the last system calls on an open .part file, and keeps their failure. */
static int sync_and_close(struct cw_outfile *file)
{
	int failure = 0;
	int status;

	if (file->fd < 0)
		return file->close_failure;
	if (file->options.sync && file->kind == TARGET_REGULAR && sync_fd(file->fd, fdatasync))
		failure = -errno;
	status = cw_outfile_close_fd(file);
	if (!failure)
		failure = status;
	if (!file->close_failure)
		file->close_failure = failure;
	return file->close_failure;
}

/* Stops writing directly, and keeps the direct writer's failure. */
static void stop_direct(struct cw_outfile *file)
{
	int failure = cw_outfile_flush(file);

	if (file->options.pack)
		return; /* its frames continue when the file is reopened */
	cw_outfile_drop(file);
	file->write_failure = failure;
}

int cw_outfile_evict(struct cw_outfile *file)
{
	if (file->fd < 0 || file->kind != TARGET_REGULAR)
		return 0;
	stop_direct(file);
	return sync_and_close(file);
}

/* Renames without replacing, even if the file system lacks RENAME_NOREPLACE. */
static int rename_new(const struct cw_outfile *file, int directory_fd)
{
	if (!renameat2(directory_fd, file->part_name, directory_fd, file->base, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (linkat(directory_fd, file->part_name, directory_fd, file->base, 0))
		return -errno;
	return unlinkat(directory_fd, file->part_name, 0) ? -errno : 0;
}

/* Fills *obstacle, or leaves it alone, if something that cannot be replaced has the name. */
static int rename_part(struct cw_outfile *file, int directory_fd, const char **obstacle)
{
	struct stat status, there;
	int failure = 0;

	if (fstatat(directory_fd, file->part_name, &status, AT_SYMLINK_NOFOLLOW) ||
	    !cw_outfile_has_inode(file, &status))
		return -ESTALE;
	file->published_bytes = status.st_size;
	file->published_time = status.st_mtim;
	if (!file->options.no_clobber &&
	    !fstatat(directory_fd, file->base, &there, AT_SYMLINK_NOFOLLOW))
		failure = cw_target_replace(&there, status.st_uid);
	if (failure && !S_ISREG(there.st_mode))
		*obstacle = cw_target_describe_status(&there);
	if (failure)
		return failure;
	if (file->options.no_clobber)
		failure = rename_new(file, directory_fd);
	else if (renameat(directory_fd, file->part_name, directory_fd, file->base))
		failure = -errno;
	return failure;
}

static int publish_part(struct cw_outfile *file, struct cw_error *error)
{
	const char *step = "finish writing", *obstacle = NULL;
	int directory_fd;
	int status;

	stop_direct(file);
	status = file->write_failure;
	if (!status && file->fd >= 0)
		status = cw_outfile_finish(file);
	if (!status)
		status = sync_and_close(file);
	if (status)
		goto failed;
	/* After the close, so that one free descriptor suffices. fsync needs O_RDONLY. */
	step = "open the folder of";
	directory_fd = cw_outfile_open_directory(file, file->options.sync ? O_RDONLY : O_PATH);
	status = directory_fd;
	if (status < 0)
		goto failed;
	step = "rename to";
	status = rename_part(file, directory_fd, &obstacle);
	if (!status) {
		file->has_part = false;
		file->kind = TARGET_PUBLISHED;
		if (file->options.sync && sync_fd(directory_fd, fsync)) {
			file->flaw = "its folder was not synced";
			file->flaw_failure = -errno;
		}
		close(directory_fd);
		return file->flaw
			   ? cw_error_set_errno(error, file->flaw_failure, "%s is complete, but %s",
						file->path, file->flaw)
			   : 0;
	}
	close(directory_fd);
failed:
	return cw_error_set(error, status, "cannot %s %s: %s%s; the data is in %s", step,
			    file->path, obstacle ? "it is " : "",
			    obstacle ? obstacle : strerror(-status), file->part_path);
}

int cw_outfile_publish(struct cw_outfile *file, struct cw_error *error)
{
	int status;

	if (!file->was_created || file->kind == TARGET_PUBLISHED)
		return cw_error_set(error, -EBADF, "cannot publish %s: it is not open", file->path);
	if (file->kind == TARGET_REGULAR)
		return publish_part(file, error);
	status = sync_and_close(file);
	file->kind = TARGET_PUBLISHED;
	if (status)
		cw_error_set_errno(error, status, "cannot close %s", file->path);
	return status;
}

int cw_outfile_discard(struct cw_outfile *file, bool keep_part)
{
	struct stat status;
	int directory_fd;
	int failure = 0;

	cw_outfile_drop(file);
	cw_outfile_close_fd(file);
	if (file->kind != TARGET_REGULAR || !file->has_part || keep_part)
		return 0;
	directory_fd = cw_outfile_open_directory(file, O_PATH);
	if (directory_fd < 0)
		return directory_fd;
	/* Remove only the file created here: another file may have its name by now. */
	if (fstatat(directory_fd, file->part_name, &status, AT_SYMLINK_NOFOLLOW))
		failure = errno == ENOENT ? 0 : -errno;
	else if (cw_outfile_has_inode(file, &status) && unlinkat(directory_fd, file->part_name, 0))
		failure = -errno;
	if (!failure)
		file->has_part = false;
	close(directory_fd);
	return failure;
}

/* Returns whether the file is as published. Another file may have the same inode number by now. */
static bool is_as_published(const struct cw_outfile *file, const struct stat *status)
{
	return cw_outfile_has_inode(file, status) && status->st_size == file->published_bytes &&
	       status->st_mtim.tv_sec == file->published_time.tv_sec &&
	       status->st_mtim.tv_nsec == file->published_time.tv_nsec;
}

/* Removes the empty folders of a file whose name makes folders, the innermost first. Leaves them
 * alone if links, "." or ".." led there: then the path does not say which folders were made. */
static void remove_folders(const struct cw_outfile *file)
{
	const char *made = file->path + file->options.fixed_bytes;
	const char *slash = strrchr(made, '/');
	size_t made_bytes = slash ? (size_t)(slash - made) + 1 : 0;
	size_t bytes = strlen(file->directory);
	char path[PATH_MAX];

	if (!file->options.makes_folders || bytes >= sizeof(path) || bytes < made_bytes ||
	    memcmp(file->directory + bytes - made_bytes, made, made_bytes) != 0)
		return;
	memcpy(path, file->directory, bytes);
	while (made_bytes) {
		path[bytes - 1] = '\0'; /* its last "/" */
		if (unlinkat(AT_FDCWD, path, AT_REMOVEDIR))
			return; /* not empty, most likely */
		do {
			bytes--;
			made_bytes--;
		} while (made_bytes && path[bytes - 1] != '/');
	}
}

int cw_outfile_remove(struct cw_outfile *file, struct cw_error *error)
{
	struct stat status;
	int directory_fd, failure;

	if (file->kind != TARGET_PUBLISHED || !file->inode)
		return cw_error_set(error, -EBADF, "cannot remove %s: it is not a complete file",
				    file->path);
	directory_fd = cw_outfile_open_directory(file, O_PATH);
	if (directory_fd < 0)
		return cw_error_set_errno(error, directory_fd, "cannot open the folder %s",
					  file->directory);
	/* Remove only the file written here: another file may have its name by now. */
	if (fstatat(directory_fd, file->base, &status, AT_SYMLINK_NOFOLLOW))
		failure = -errno;
	else
		failure = is_as_published(file, &status) ? 0 : -ESTALE;
	if (!failure && unlinkat(directory_fd, file->base, 0))
		failure = -errno;
	close(directory_fd);
	if (!failure)
		remove_folders(file);
	if (!failure || failure == -ENOENT)
		return 0;
	if (failure == -ESTALE)
		return cw_error_set(error, failure,
				    "cannot remove %s: it was replaced or changed by another "
				    "program",
				    file->path);
	return cw_error_set_errno(error, failure, "cannot remove %s", file->path);
}

int cw_outfile_free_space(const struct cw_outfile *file, uint64_t *bytes)
{
	struct statvfs space;
	char fixed[PATH_MAX];

	*bytes = 0;
	if (statvfs(file->directory, &space)) {
		if (errno != ENOENT || !file->options.makes_folders)
			return -errno;
		snprintf(fixed, sizeof(fixed), "%.*s.", (int)file->options.fixed_bytes, file->path);
		if (statvfs(fixed, &space)) /* the folder is not made yet */
			return -errno;
	}
	*bytes = (uint64_t)space.f_bavail * space.f_frsize;
	return 0;
}

const char *cw_outfile_path(const struct cw_outfile *file)
{
	return file->path;
}

const char *cw_outfile_part_path(const struct cw_outfile *file)
{
	return file->has_part ? file->part_path : NULL;
}

void cw_outfile_free(struct cw_outfile *file)
{
	if (!file)
		return;
	cw_outfile_drop(file);
	cw_outfile_pack_free(file);
	cw_outfile_close_fd(file);
	free(file->path);
	free(file->directory);
	free(file->base);
	free(file->part_path);
	free(file);
}
