/* SPDX-License-Identifier: BSD-3-Clause */
/* Opens an output file: a hidden .part file where the name leads, or what is there, in place. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/output/outfile_parts.h"
#include "core/output/target.h"

#define PART_RANDOM_CHARS 6
#define PART_EXTRA_BYTES (sizeof("..XXXXXX.part") - 1)
#define PART_TRIES_MAX 100
#define FIFO_RETRY_MS 50
#define FOLDER_TRIES_MAX 10

static int part_name_random(struct cw_outfile *file)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	uint8_t random[PART_RANDOM_CHARS];
	char suffix[PART_RANDOM_CHARS + 1] = "";
	/* A long name is truncated, so that the .part file's name is within NAME_MAX. */
	int bytes = (int)cw_min_size(strlen(file->base), NAME_MAX - PART_EXTRA_BYTES);

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	for (size_t i = 0; i < PART_RANDOM_CHARS; i++)
		suffix[i] = letters[random[i] % (sizeof(letters) - 1)];
	sprintf(file->part_name, ".%.*s.%s.part", bytes, file->base, suffix);
	return 0;
}

static int create_part(struct cw_outfile *file, int directory_fd)
{
	struct stat status;

	for (int i = 0; i < PART_TRIES_MAX; i++) {
		int failure = part_name_random(file);

		if (failure)
			return failure;
		file->fd = openat(directory_fd, file->part_name,
				  O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (file->fd >= 0)
			break;
		if (errno != EEXIST && errno != EINTR)
			return -errno;
	}
	if (file->fd < 0)
		return -EEXIST;
	if (fstat(file->fd, &status)) {
		int failure = -errno;

		cw_outfile_close_fd(file);
		unlinkat(directory_fd, file->part_name, 0);
		return failure;
	}
	file->kind = TARGET_REGULAR;
	file->has_part = true;
	file->device = status.st_dev;
	file->inode = status.st_ino;
	return 0;
}

static int reopen_part(struct cw_outfile *file, int directory_fd)
{
	struct stat status;
	int failure;
	int fd;

	do
		fd = openat(directory_fd, file->part_name,
			    O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == EISDIR || errno == ENXIO
			   ? -ESTALE
			   : -errno;
	failure = fstat(fd, &status) ? -errno : 0;
	if (!failure && !cw_outfile_has_inode(file, &status))
		failure = -ESTALE;
	if (failure)
		close(fd);
	else
		file->fd = fd;
	return failure;
}

/* Waits FIFO_RETRY_MS for a FIFO's reader. Returns -ECANCELED if wake_fd becomes readable. */
static int wait_for_reader(const struct cw_outfile *file)
{
	struct pollfd wake = {.fd = file->options.wake_fd, .events = POLLIN};
	int count = poll(&wake, file->options.wake_fd > 0, FIFO_RETRY_MS);

	if (count < 0 && errno != EINTR)
		return -errno;
	return count > 0 ? -ECANCELED : 0;
}

/*
 * Opens a device file or FIFO. Non-blocking at first, because opening a FIFO would otherwise wait
 * for its reader and could not be interrupted. Writing then blocks as usual.
 */
static int open_in_place(struct cw_outfile *file, const struct cw_target *target)
{
	const int flags =
	    O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK | (target->is_magic ? 0 : O_NOFOLLOW);
	struct stat status;
	int failure;
	int fd;

	for (;;) {
		fd = openat(target->folder_fd, target->base, flags);
		if (fd >= 0)
			break;
		if (errno == EINTR)
			continue;
		if (errno != ENXIO || !S_ISFIFO(target->status.st_mode))
			return errno == ELOOP ? -ESTALE : -errno;
		failure = wait_for_reader(file);
		if (failure)
			return failure;
	}
	if (fstat(fd, &status) || !cw_target_is_same(&status, &target->status)) {
		close(fd);
		return -ESTALE; /* replaced by another file: never write to that */
	}
	if (fcntl(fd, F_SETFL, 0)) {
		failure = -errno;
		close(fd);
		return failure;
	}
	file->fd = fd;
	file->kind = TARGET_IN_PLACE;
	return 0;
}

/* Uses the caller's standard output, or a duplicate of a descriptor that this process has: opening
 * it by name would start at the file's beginning. */
static int open_descriptor(struct cw_outfile *file, const struct cw_target *target)
{
	if (!strcmp(file->path, "-")) {
		file->fd = target->descriptor;
		file->kind = TARGET_BORROWED;
		return 0;
	}
	file->fd = fcntl(target->descriptor, F_DUPFD_CLOEXEC, 0);
	if (file->fd < 0)
		return -errno;
	file->kind = TARGET_IN_PLACE;
	return 0;
}

/* Takes over the folder and the name in it, after links, from the target. */
static int take_place(struct cw_outfile *file, struct cw_target *target)
{
	size_t prefix = strlen(target->folder);
	char *part_path = malloc(prefix + strlen(target->base) + PART_EXTRA_BYTES + 1);

	if (!part_path)
		return -ENOMEM;
	if (!prefix) {
		free(target->folder);
		target->folder = strdup(".");
		if (!target->folder) {
			free(part_path);
			return -ENOMEM;
		}
	}
	memcpy(part_path, target->folder, prefix);
	free(file->part_path);
	free(file->directory);
	free(file->base);
	file->part_path = part_path;
	file->part_name = part_path + prefix;
	file->directory = target->folder;
	file->base = target->base;
	target->folder = target->base = NULL;
	return 0;
}

/* Opens the file for the first time. The failure's reason is in `error` if it has a code. */
static int open_first(struct cw_outfile *file, struct cw_error *error)
{
	const struct cw_target_query query = {.standard_output = file->options.standard_output,
					      .owner = geteuid(),
					      .is_later = file->options.is_later,
					      .folders = file->options.makes_folders
							     ? CW_TARGET_FOLDERS_MADE
							     : CW_TARGET_FOLDERS_EXIST,
					      .fixed_bytes = file->options.fixed_bytes};
	struct cw_target target;
	int status = cw_target_find(&target, file->path, &query, error);

	if (status)
		return status;
	/* A name made while running is for a regular file. What is in its way makes publishing
	 * fail, not opening: the packets are then kept under the temporary name. */
	if (!query.is_later)
		status = cw_target_check(&target, query.owner, file->path, error);
	else if (target.kind == CW_TARGET_DESCRIPTOR)
		status = cw_error_set(error, -EEXIST, "%s is there already",
				      cw_target_describe(&target));
	if (status)
		goto out;
	if (target.kind == CW_TARGET_DESCRIPTOR) {
		status = open_descriptor(file, &target);
	} else if (query.is_later || target.kind == CW_TARGET_MISSING ||
		   target.kind == CW_TARGET_FILE) {
		status = take_place(file, &target);
		if (!status)
			status = create_part(file, target.folder_fd);
	} else {
		status = open_in_place(file, &target);
	}
out:
	cw_target_fini(&target);
	return status;
}

static int reopen(struct cw_outfile *file, struct cw_error *error)
{
	int directory_fd = cw_outfile_open_directory(file, O_PATH);
	int status;

	if (directory_fd < 0)
		return cw_error_set_errno(error, directory_fd, "cannot open the folder %s",
					  file->directory);
	status = reopen_part(file, directory_fd);
	close(directory_fd);
	return status;
}

int cw_outfile_open(struct cw_outfile *file, struct cw_error *error)
{
	struct cw_error reason = {0};
	int status = 0;

	if (file->fd >= 0)
		return 0;
	if (file->was_created && file->kind != TARGET_REGULAR)
		return cw_error_set(error, -EBADF, "cannot reopen %s: it was closed for good",
				    file->path);
	for (int i = 0; i < FOLDER_TRIES_MAX; i++) {
		reason.code = 0;
		status = file->was_created ? reopen(file, &reason) : open_first(file, &reason);
		/* Another output may have removed the folder, which was empty until now. */
		if (status != -ENOENT || file->was_created || !file->options.makes_folders)
			break;
	}
	if (status && reason.code)
		return cw_error_set(error, status, "cannot open %s: %s", file->path, reason.text);
	if (status == -ESTALE)
		return cw_error_set(error, status, "cannot open %s: %s was replaced or removed",
				    file->path, file->has_part ? file->part_path : "it");
	if (status)
		return cw_error_set_errno(error, status, "cannot open %s for writing", file->path);
	file->was_created = true;
	return 0;
}
