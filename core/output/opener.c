/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose rights an opener has, and the folders that it may reach. opener_outputs.c has the outputs,
 * opener_files.c their files.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/output/opener_parts.h"

#define PARENTS_MAX 64 /* folders between an output's and an allowed one */

/* ---- rights ---- */

/* Acts with these rights. Returns whether the process can. */
static bool act(const struct cw_opener *opener, bool is_root)
{
	const struct cw_opener_owner *owner = &opener->owner;
	const uid_t user = is_root ? opener->root : owner->user;
	const gid_t group = is_root ? opener->root_group : owner->group;

	if (setgroups(is_root ? (size_t)opener->root_group_count : owner->group_count,
		      is_root ? opener->root_groups : owner->groups))
		return false;
	setfsgid(group);
	setfsuid(user);
	return setfsuid((uid_t)-1) == (int)user && setfsgid((gid_t)-1) == (int)group;
}

/* Ends the process if it cannot: files would belong to somebody else. */
void cw_opener_become(struct cw_opener *opener, bool is_root)
{
	if (!opener->has_owner || opener->is_root == is_root)
		return;
	if (!act(opener, is_root))
		abort();
	opener->is_root = is_root;
}

uid_t cw_opener_owner(const struct cw_opener *opener, bool is_roots)
{
	return is_roots || !opener->has_owner ? opener->root : opener->owner.user;
}

static int keep_own_groups(struct cw_opener *opener)
{
	int count = getgroups(0, NULL);

	if (count < 0)
		return -errno;
	opener->root_groups = calloc((size_t)count + 1, sizeof(gid_t));
	if (!opener->root_groups)
		return -ENOMEM;
	opener->root_group_count = getgroups(count, opener->root_groups);
	return opener->root_group_count < 0 ? -errno : 0;
}

int cw_opener_new(struct cw_opener **result, const struct cw_opener_owner *owner)
{
	struct cw_opener *opener = calloc(1, sizeof(*opener));
	int failure = opener ? 0 : -ENOMEM;

	*result = NULL;
	if (!failure) {
		opener->root = geteuid();
		opener->root_group = getegid();
		opener->is_root = true;
		opener->hooks.socket = -1;
		failure = keep_own_groups(opener);
	}
	if (failure) {
		if (opener)
			free(opener->root_groups);
		free(opener);
		return failure;
	}
	if (owner && owner->user != opener->root) {
		opener->owner = *owner;
		/* A container may lack the right or the user: then all files are root's. */
		opener->has_owner = act(opener, false);
		if (!act(opener, true) && opener->has_owner)
			abort();
	}
	*result = opener;
	return 0;
}

/* ---- folders ---- */

static bool is_known(const struct cw_opener *opener, const struct stat *status, int *fd)
{
	for (uint32_t i = 0; i < opener->folders.count; i++) {
		const struct folder *folder = &opener->folders.at[i];

		if (folder->device == status->st_dev && folder->inode == status->st_ino) {
			*fd = folder->fd;
			return true;
		}
	}
	return false;
}

int cw_opener_keep(struct cw_opener *opener, int fd, const struct stat *status, int *kept)
{
	if (is_known(opener, status, kept)) {
		close(fd);
		return 0;
	}
	if (opener->folders.count == CW_OPENER_FOLDERS_MAX || CW_GROW(&opener->folders, 1)) {
		close(fd);
		return -ENOMEM;
	}
	opener->folders.at[opener->folders.count++] =
	    (struct folder){.fd = fd,
			    .use = S_ISDIR(status->st_mode) ? CW_OPENER_OUTPUTS : CW_OPENER_STREAM,
			    .device = status->st_dev,
			    .inode = status->st_ino};
	*kept = fd;
	return 0;
}

static int stat_fd(int fd, struct stat *status)
{
	return fstatat(fd, "", status, AT_EMPTY_PATH) ? -errno : 0;
}

bool cw_opener_knows(const struct cw_opener *opener, const struct stat *status)
{
	int fd;

	return is_known(opener, status, &fd);
}

int cw_opener_lies_within(const struct cw_opener *opener, int folder_fd, int *allowed_fd)
{
	struct stat status, parent;
	int fd = openat(folder_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 ? -errno : stat_fd(fd, &status);

	for (int i = 0; result == 0 && i < PARENTS_MAX; i++) {
		int up;

		if (is_known(opener, &status, allowed_fd)) {
			result = i + 1;
			break;
		}
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		result = up < 0 ? -errno : stat_fd(up, &parent);
		if (up < 0)
			break;
		close(fd);
		fd = up;
		if (result == 0 && cw_target_is_same(&status, &parent))
			break; /* the root folder */
		status = parent;
	}
	if (fd >= 0)
		close(fd);
	return result;
}

int cw_opener_may_write(int fd)
{
	struct stat status;
	uid_t user;
	int result;

	if (!syscall(SYS_faccessat2, fd, ".", W_OK | X_OK, AT_EACCESS))
		return 0;
	if (errno != ENOSYS)
		return -errno;
	/* Before Linux 5.8 no call asks with these rights: what the mode says to owner and others.
	 */
	result = stat_fd(fd, &status);
	if (result)
		return result;
	user = (uid_t)setfsuid((uid_t)-1);
	if (user == (uid_t)-1)
		user = geteuid(); /* the service's list of system calls refuses it */
	if (!user || (status.st_mode & (status.st_uid == user ? S_IWUSR : S_IWOTH)))
		return 0;
	return -EACCES;
}

/* Finds the folder that a path names, as the process acts now. Its text is "" for ".". */
static int find_folder(const struct cw_opener *opener, const char *path, size_t bytes,
		       struct cw_target *target, struct cw_error *error)
{
	const struct cw_target_query query = {.standard_output = -1,
					      .owner = cw_opener_owner(opener, opener->is_root)};
	char *folder;
	int result;

	if (asprintf(&folder, "%.*s.", (int)bytes, path) < 0)
		return cw_error_set(error, -ENOMEM, "no memory");
	result = cw_target_find(target, folder, &query, error);
	free(folder);
	return result;
}

int cw_opener_find_writable(struct cw_opener *opener, const char *path, size_t bytes,
			    struct cw_target *target, struct cw_error *error)
{
	int result;

	for (int is_root = !opener->has_owner;; is_root = 1) {
		cw_opener_become(opener, is_root);
		result = find_folder(opener, path, bytes, target, error);
		if (result == 0) {
			result = cw_opener_may_write(target->folder_fd);
			if (result == 0)
				return 0;
			cw_error_set_errno(error, result, "cannot write to the folder %.*s",
					   bytes ? (int)bytes : 1, bytes ? path : ".");
			cw_target_fini(target);
		}
		if (is_root || (result != -EACCES && result != -EPERM))
			return result;
	}
}

int cw_opener_allow(struct cw_opener *opener, const char *path, struct cw_error *error)
{
	struct cw_target target;
	char *folder;
	int kept, result;

	if (asprintf(&folder, "%s/", path) < 0)
		return cw_error_set(error, -ENOMEM, "no memory");
	cw_opener_become(opener, true);
	result = find_folder(opener, folder, strlen(folder), &target, error);
	free(folder);
	if (result)
		return result;
	result = cw_opener_keep(opener, target.folder_fd, &target.folder_status, &kept);
	target.folder_fd = -1;
	cw_target_fini(&target);
	return result ? cw_error_set(error, result, "too many folders") : 0;
}

void cw_opener_see(const struct cw_opener *opener,
		   void (*see)(void *context, int fd, enum cw_opener_use use), void *context)
{
	for (uint32_t i = 0; i < opener->folders.count; i++)
		see(context, opener->folders.at[i].fd, opener->folders.at[i].use);
	for (uint32_t i = 0; i < opener->others.count; i++)
		see(context, opener->others.at[i].fd, opener->others.at[i].use);
}

/* ---- the rules and the control socket ---- */

/* Keeps the folder of a path open, for whoever confines this process. */
static int keep_folder_of(struct cw_opener *opener, const char *path, enum cw_opener_use use)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd;

	if (!folder || CW_GROW(&opener->others, 1)) {
		free(folder);
		return -ENOMEM;
	}
	fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (fd < 0)
		return -errno;
	opener->others.at[opener->others.count++] = (struct folder){.fd = fd, .use = use};
	return 0;
}

int cw_opener_set_rules(struct cw_opener *opener, const char *path, struct cw_error *error)
{
	char *target = realpath(path, NULL); /* where links lead now */
	int result = target ? 0 : -errno;

	cw_opener_become(opener, true);
	opener->rules = strdup(path);
	if (result == 0)
		result = opener->rules ? keep_folder_of(opener, path, CW_OPENER_READS) : -ENOMEM;
	if (result == 0 && target)
		result = keep_folder_of(opener, target, CW_OPENER_READS);
	free(target);
	return result
		   ? cw_error_set_errno(error, result, "cannot examine the rules file %.400s", path)
		   : 0;
}

int cw_opener_rules(struct cw_opener *opener, int *fd, struct cw_error *error)
{
	struct stat status;
	int result;

	if (!opener->rules)
		return -EINVAL;
	cw_opener_become(opener, true);
	*fd = open(opener->rules, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*fd < 0)
		return cw_error_set_errno(error, -errno, "cannot %s the rules file %.400s",
					  errno == ENOENT ? "find" : "open", opener->rules);
	if (fstat(*fd, &status) || !S_ISREG(status.st_mode))
		result = cw_error_set(error, -EINVAL,
				      "%.400s is not a regular file: it cannot be read again",
				      opener->rules);
	else
		result = cw_opener_pass_rules(opener, &status, error);
	if (result == 0)
		return 0;
	close(*fd);
	*fd = -1;
	return result;
}

int cw_opener_set_socket(struct cw_opener *opener, const char *path, struct cw_error *error)
{
	int result = stat(path, &opener->socket_status) ? -errno : 0;

	opener->socket = strdup(path);
	if (result == 0)
		result = opener->socket ? keep_folder_of(opener, path, CW_OPENER_REMOVES) : -ENOMEM;
	return result
		   ? cw_error_set_errno(error, result, "cannot examine the control socket %s", path)
		   : 0;
}

void cw_opener_remove_socket(struct cw_opener *opener)
{
	const char *slash, *base;
	struct stat status;

	if (!opener->socket)
		return;
	slash = strrchr(opener->socket, '/');
	base = slash ? slash + 1 : opener->socket;
	cw_opener_become(opener, true);
	/* In the folder of the start: another may be at its path by now. */
	for (uint32_t i = 0; i < opener->others.count; i++) {
		const struct folder *folder = &opener->others.at[i];

		if (folder->use == CW_OPENER_REMOVES &&
		    !fstatat(folder->fd, base, &status, AT_SYMLINK_NOFOLLOW) &&
		    cw_target_is_same(&status, &opener->socket_status))
			(void)unlinkat(folder->fd, base, 0); /* else the next run removes it */
	}
}

bool cw_opener_is_capture(int folder_fd, const char *base)
{
	static const char starts[][5] = {"\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1", /* pcap */
					 "\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1", /* in ns */
					 "\x0a\x0d\x0d\x0a", "\x28\xb5\x2f\xfd"};
	char start[4];
	ssize_t bytes;
	int fd = openat(folder_fd, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return false;
	do
		bytes = read(fd, start, sizeof(start));
	while (bytes < 0 && errno == EINTR);
	close(fd);
	for (size_t i = 0; bytes == sizeof(start) && i < CW_ARRAY_COUNT(starts); i++) {
		if (!memcmp(start, starts[i], sizeof(start)))
			return true;
	}
	return bytes == 0;
}

void cw_opener_close_list(struct cw_opener *opener)
{
	/* Capabilities that are set from here on hold for root only. */
	cw_opener_become(opener, true);
	opener->is_closed = true;
}
