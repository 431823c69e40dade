/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes, opens, renames and removes output files: a hidden .part file where the name leads, or what
 * is there, in place. Directories are open only for a moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/output/entry.h"
#include "core/output/target.h"

#define FOLDER_TRIES_MAX 10

int cw_entry_init(struct cw_entry *entry, const char *path,
		  const struct cw_outfile_options *options)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	*entry = (struct cw_entry){.options = options, .handle = CW_ENTRY_NO_HANDLE};
	if (!path[0])
		return -EINVAL;
	if (!base[0] || !strcmp(base, ".") || !strcmp(base, ".."))
		return -EISDIR;
	entry->path = strdup(path);
	entry->directory = slash ? strndup(path, (size_t)(base - path)) : strdup(".");
	entry->base = strdup(base);
	return entry->path && entry->directory && entry->base ? 0 : -ENOMEM;
}

void cw_entry_fini(struct cw_entry *entry)
{
	free(entry->path);
	free(entry->directory);
	free(entry->base);
	free(entry->part_path);
	*entry = (struct cw_entry){0};
}

int cw_entry_set_path(struct cw_entry *entry, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *whole = strdup(path);
	char *base = strdup(slash ? slash + 1 : path);

	if (!whole || !base) {
		free(whole);
		free(base);
		return -ENOMEM;
	}
	free(entry->path);
	free(entry->base);
	entry->path = whole;
	entry->base = base;
	return 0;
}

int cw_entry_choose(struct cw_entry *entry)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	uint8_t random[CW_ENTRY_RANDOM_CHARS];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	for (size_t i = 0; i < CW_ENTRY_RANDOM_CHARS; i++)
		entry->random[i] = letters[random[i] % (sizeof(letters) - 1)];
	return 0;
}

void cw_entry_hidden_name(const char *base, const char *random, char name[CW_ENTRY_NAME_BYTES])
{
	/* A long name is truncated. */
	int bytes = (int)cw_min_size(strlen(base), NAME_MAX - CW_ENTRY_EXTRA_BYTES);

	snprintf(name, CW_ENTRY_NAME_BYTES, ".%.*s.%s.part", bytes, base, random);
}

bool cw_entry_has_inode(const struct cw_entry *entry, const struct stat *status)
{
	return S_ISREG(status->st_mode) && status->st_dev == entry->device &&
	       status->st_ino == entry->inode;
}

int cw_entry_sync(int fd, int (*sync)(int fd))
{
	int status;

	do
		status = sync(fd);
	while (status && errno == EINTR);
	return status;
}

int cw_entry_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

void cw_entry_unlock(int fd)
{
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	(void)fcntl(fd, F_OFD_SETLK, &lock);
}

/* Returns the folder's path from its place on; without a place, its path. */
static const char *directory_in_place(const struct cw_entry *entry)
{
	const struct cw_place *place = entry->options->place;
	const char *path = entry->directory + (place ? strlen(place->folder) : 0);

	return *path ? path : ".";
}

/* As cw_entry_open_below, folder by folder. */
static int open_step_by_step(int folder_fd, const char *path, int flags)
{
	char rest[PATH_MAX], *next;
	int fd = folder_fd;

	if (snprintf(rest, sizeof(rest), "%s", path) >= (int)sizeof(rest) || path[0] == '/') {
		errno = EXDEV;
		return -1;
	}
	for (char *name = strtok_r(rest, "/", &next); name; name = strtok_r(NULL, "/", &next)) {
		const int how = next[strspn(next, "/")] ? O_PATH | O_DIRECTORY | O_CLOEXEC : flags;
		int entered = -1;

		if (!strcmp(name, ".."))
			errno = EXDEV;
		else
			entered = openat(fd, name, how | O_NOFOLLOW);
		if (fd != folder_fd)
			close(fd);
		fd = entered;
		if (fd < 0)
			break;
	}
	return fd;
}

int cw_entry_open_below(int folder_fd, const char *path, int flags)
{
	const struct open_how how = {.flags = (unsigned)flags,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
						RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, folder_fd, path, &how, sizeof(how));

	/* Before Linux 5.6; a container's list of calls that does not know it. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = open_step_by_step(folder_fd, path, flags);
	return fd;
}

/* Opens the entry's folder for the access (O_PATH or O_RDONLY). Returns its descriptor or -errno.
 */
int cw_entry_open_directory(const struct cw_entry *entry, int access)
{
	const struct cw_place *place = entry->options->place;
	const char *path = directory_in_place(entry);
	int fd;

	access |= O_DIRECTORY | O_CLOEXEC;
	do
		fd = place ? cw_entry_open_below(place->fd, path, access) : open(path, access);
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : fd;
}

/* ---- opening ---- */

static int create_part(struct cw_entry *entry, int directory_fd, int *fd)
{
	const struct cw_access *access = &entry->options->access;
	struct stat status;
	int failure;

	cw_entry_hidden_name(entry->base, entry->random, entry->part_name);
	do
		*fd = openat(directory_fd, entry->part_name,
			     O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	while (*fd < 0 && errno == EINTR);
	if (*fd < 0)
		return errno == EEXIST ? CW_ENTRY_TAKEN : -errno;
	failure = fstat(*fd, &status) ? -errno : cw_access_apply(access, access->file_mode, *fd);
	if (failure) {
		close(*fd);
		*fd = -1;
		unlinkat(directory_fd, entry->part_name, 0);
		return failure;
	}
	entry->kind = CW_ENTRY_REGULAR;
	entry->has_part = true;
	entry->device = status.st_dev;
	entry->inode = status.st_ino;
	return 0;
}

/*
 * Opens a device file or FIFO. Non-blocking at first, because opening a FIFO would otherwise wait
 * for its reader and could not be interrupted. Writing then blocks as usual.
 */
static int open_in_place(struct cw_entry *entry, const struct cw_target *target, int *result)
{
	const int flags =
	    O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK | (target->is_magic ? 0 : O_NOFOLLOW);
	struct stat status;
	int failure;
	int fd;

	do
		fd = openat(target->folder_fd, target->base, flags);
	while (fd < 0 && errno == EINTR);
	if (fd < 0 && errno == ENXIO && S_ISFIFO(target->status.st_mode))
		return CW_ENTRY_NO_READER;
	if (fd < 0)
		return errno == ELOOP ? -ESTALE : -errno;
	if (fstat(fd, &status) || !cw_target_is_same(&status, &target->status)) {
		close(fd);
		return -ESTALE; /* replaced by another file: never write to that */
	}
	if (fcntl(fd, F_SETFL, 0)) {
		failure = -errno;
		close(fd);
		return failure;
	}
	*result = fd;
	entry->kind = CW_ENTRY_IN_PLACE;
	return 0;
}

/* Uses the caller's standard output, or a duplicate of a descriptor that this process has: opening
 * it by name would start at the file's beginning. */
static int open_descriptor(struct cw_entry *entry, const struct cw_target *target, int *fd)
{
	if (!strcmp(entry->path, "-")) {
		*fd = target->descriptor;
		entry->kind = CW_ENTRY_BORROWED;
		return 0;
	}
	*fd = fcntl(target->descriptor, F_DUPFD_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	entry->kind = CW_ENTRY_IN_PLACE;
	return 0;
}

/* Takes over the folder and the name in it, after links, from the target. */
static int take_place(struct cw_entry *entry, struct cw_target *target)
{
	size_t prefix = strlen(target->folder);
	char *part_path = malloc(prefix + CW_ENTRY_NAME_BYTES);

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
	free(entry->part_path);
	free(entry->directory);
	free(entry->base);
	entry->part_path = part_path;
	entry->part_name = part_path + prefix;
	entry->directory = target->folder;
	entry->base = target->base;
	target->folder = target->base = NULL;
	return 0;
}

static int open_target(struct cw_entry *entry, uid_t owner, int *fd, struct cw_error *error)
{
	const struct cw_target_query query = {.standard_output = entry->options->standard_output,
					      .owner = owner,
					      .is_later = entry->options->is_later,
					      .folders = entry->options->makes_folders
							     ? CW_TARGET_FOLDERS_MADE
							     : CW_TARGET_FOLDERS_EXIST,
					      .fixed_bytes = entry->options->fixed_bytes,
					      .access = &entry->options->access,
					      .place = entry->options->place};
	struct cw_target target;
	int status = cw_target_find(&target, entry->path, &query, error);

	if (status)
		return status;
	/* A name made while running is for a regular file. What is in its way makes publishing
	 * fail, not opening: the packets are then kept under the temporary name. */
	if (!query.is_later)
		status = cw_target_check(&target, query.owner, entry->path, error);
	else if (target.kind == CW_TARGET_DESCRIPTOR)
		status = cw_error_set(error, -EEXIST, "%s is there already",
				      cw_target_describe(&target));
	if (status)
		goto out;
	if (target.kind == CW_TARGET_DESCRIPTOR) {
		status = open_descriptor(entry, &target, fd);
	} else if (query.is_later || target.kind == CW_TARGET_MISSING ||
		   target.kind == CW_TARGET_FILE) {
		status = take_place(entry, &target);
		if (!status)
			status = create_part(entry, target.folder_fd, fd);
	} else {
		status = open_in_place(entry, &target, fd);
	}
out:
	cw_target_fini(&target);
	return status;
}

static int open_here(void *context, struct cw_entry *entry, int *fd, struct cw_error *error)
{
	const uid_t *owner = context;
	int status = 0;

	for (int i = 0; i < FOLDER_TRIES_MAX; i++) {
		error->code = 0;
		status = open_target(entry, owner ? *owner : geteuid(), fd, error);
		/* Another output may have removed the folder, which was empty until now. */
		if (status != -ENOENT || !entry->options->makes_folders)
			break;
	}
	return status;
}

static int reopen_part(const struct cw_entry *entry, int directory_fd, int *result)
{
	struct stat status;
	int failure;
	int fd;

	do
		fd = openat(directory_fd, entry->part_name,
			    O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == EISDIR || errno == ENXIO
			   ? -ESTALE
			   : -errno;
	failure = fstat(fd, &status) ? -errno : 0;
	if (!failure && !cw_entry_has_inode(entry, &status))
		failure = -ESTALE;
	if (failure)
		close(fd);
	else
		*result = fd;
	return failure;
}

static int reopen_here(void *context, struct cw_entry *entry, int *fd, struct cw_error *error)
{
	int directory_fd = cw_entry_open_directory(entry, O_PATH);
	int status;

	(void)context;
	if (directory_fd < 0)
		return cw_error_set_errno(error, directory_fd, "cannot open the folder %s",
					  entry->directory);
	status = reopen_part(entry, directory_fd, fd);
	close(directory_fd);
	return status;
}

/* ---- publishing ---- */

int cw_entry_rename_new(int folder_fd, const char *from, const char *to)
{
	if (!renameat2(folder_fd, from, folder_fd, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (linkat(folder_fd, from, folder_fd, to, 0))
		return -errno;
	return unlinkat(folder_fd, from, 0) ? -errno : 0;
}

static int rename_part(struct cw_entry *entry, int directory_fd, mode_t *obstacle)
{
	const bool never_replaces = entry->options->no_clobber || entry->options->listing;
	struct stat status, there;
	int failure = 0;

	if (fstatat(directory_fd, entry->part_name, &status, AT_SYMLINK_NOFOLLOW) ||
	    !cw_entry_has_inode(entry, &status))
		return -ESTALE;
	entry->published_bytes = status.st_size;
	entry->published_time = status.st_mtim;
	if (!never_replaces && !fstatat(directory_fd, entry->base, &there, AT_SYMLINK_NOFOLLOW))
		failure = cw_target_replace(&there, status.st_uid);
	if (failure && !S_ISREG(there.st_mode))
		*obstacle = there.st_mode & S_IFMT;
	if (failure)
		return failure;
	if (never_replaces)
		failure = cw_entry_rename_new(directory_fd, entry->part_name, entry->base);
	else if (renameat(directory_fd, entry->part_name, directory_fd, entry->base))
		failure = -errno;
	return failure;
}

static int publish_here(void *context, struct cw_entry *entry, struct cw_entry_outcome *outcome)
{
	/* fsync needs O_RDONLY. */
	int directory_fd = cw_entry_open_directory(entry, entry->options->sync ? O_RDONLY : O_PATH);
	int status;

	(void)context;
	*outcome = (struct cw_entry_outcome){.step = "open the folder of"};
	if (directory_fd < 0)
		return directory_fd;
	outcome->step = "rename to";
	status = rename_part(entry, directory_fd, &outcome->obstacle);
	if (!status) {
		entry->has_part = false;
		entry->kind = CW_ENTRY_PUBLISHED;
		if (entry->options->sync && cw_entry_sync(directory_fd, fsync))
			outcome->sync_failure = -errno;
	}
	close(directory_fd);
	return status;
}

/* ---- removing ---- */

static int discard_here(void *context, struct cw_entry *entry)
{
	int directory_fd = cw_entry_open_directory(entry, O_PATH);
	struct stat status;
	int failure = 0;

	(void)context;
	if (directory_fd < 0)
		return directory_fd;
	/* Remove only the file created here: another file may have its name by now. */
	if (fstatat(directory_fd, entry->part_name, &status, AT_SYMLINK_NOFOLLOW))
		failure = errno == ENOENT ? 0 : -errno;
	else if (cw_entry_has_inode(entry, &status) && unlinkat(directory_fd, entry->part_name, 0))
		failure = -errno;
	if (!failure)
		entry->has_part = false;
	close(directory_fd);
	return failure;
}

/* Returns whether the file is as published. Another file may have the same inode number by now. */
static bool is_as_published(const struct cw_entry *entry, const struct stat *status)
{
	return cw_entry_has_inode(entry, status) && status->st_size == entry->published_bytes &&
	       status->st_mtim.tv_sec == entry->published_time.tv_sec &&
	       status->st_mtim.tv_nsec == entry->published_time.tv_nsec;
}

/* Removes an empty folder in its place, where no link is followed; without a place, at its path. */
static int remove_folder(const struct cw_place *place, const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];
	int result, fd;

	if (!place || !slash)
		return unlinkat(place ? place->fd : AT_FDCWD, path, AT_REMOVEDIR);
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	fd = cw_entry_open_below(place->fd, parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	result = unlinkat(fd, slash + 1, AT_REMOVEDIR);
	close(fd);
	return result;
}

/* Removes the empty folders of a file whose name makes folders, the innermost first. Leaves them
 * alone if links, "." or ".." led there: then the path does not say which folders were made. */
static void remove_folders(const struct cw_entry *entry)
{
	const char *made = entry->path + entry->options->fixed_bytes;
	const char *slash = strrchr(made, '/');
	size_t made_bytes = slash ? (size_t)(slash - made) + 1 : 0;
	const struct cw_place *place = entry->options->place;
	size_t place_bytes = place ? strlen(place->folder) : 0;
	size_t bytes = strlen(entry->directory);
	char path[PATH_MAX];

	if (!entry->options->makes_folders || bytes >= sizeof(path) || bytes < made_bytes ||
	    memcmp(entry->directory + bytes - made_bytes, made, made_bytes) != 0)
		return;
	memcpy(path, entry->directory, bytes);
	while (made_bytes) {
		path[bytes - 1] = '\0'; /* its last "/" */
		if (remove_folder(place, path + place_bytes))
			return; /* not empty, most likely */
		do {
			bytes--;
			made_bytes--;
		} while (made_bytes && path[bytes - 1] != '/');
	}
}

static int remove_here(void *context, struct cw_entry *entry, struct cw_error *error)
{
	int directory_fd = cw_entry_open_directory(entry, O_PATH);
	struct stat status;
	int failure;

	(void)context;
	if (directory_fd < 0)
		return cw_error_set_errno(error, directory_fd, "cannot open the folder %s",
					  entry->directory);
	/* Remove only the file written here: another file may have its name by now. */
	if (fstatat(directory_fd, entry->base, &status, AT_SYMLINK_NOFOLLOW))
		failure = -errno;
	else
		failure = is_as_published(entry, &status) ? 0 : -ESTALE;
	if (!failure && unlinkat(directory_fd, entry->base, 0))
		failure = -errno;
	close(directory_fd);
	if (!failure)
		remove_folders(entry);
	if (!failure || failure == -ENOENT)
		return 0;
	if (failure == -ESTALE)
		return cw_error_set(error, failure,
				    "cannot remove %s: it was replaced or changed by another "
				    "program",
				    entry->path);
	return cw_error_set_errno(error, failure, "cannot remove %s", entry->path);
}

static int free_space_here(void *context, const struct cw_entry *entry, uint64_t *bytes)
{
	struct statvfs space;
	char fixed[PATH_MAX];

	(void)context;
	*bytes = 0;
	if (entry->options->place) {
		if (fstatvfs(entry->options->place->fd, &space))
			return -errno;
	} else if (statvfs(entry->directory, &space)) {
		if (errno != ENOENT || !entry->options->makes_folders)
			return -errno;
		snprintf(fixed, sizeof(fixed), "%.*s.", (int)entry->options->fixed_bytes,
			 entry->path);
		if (statvfs(fixed, &space)) /* the folder is not made yet */
			return -errno;
	}
	*bytes = (uint64_t)space.f_bavail * space.f_frsize;
	return 0;
}

static const struct cw_entry_ops here = {.open = open_here,
					 .reopen = reopen_here,
					 .publish = publish_here,
					 .discard = discard_here,
					 .remove = remove_here,
					 .free_space = free_space_here};

const struct cw_entries cw_entries_here = {.ops = &here};
