/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/grow.h"
#include "core/output/entry.h"
#include "core/output/ring_list.h"

#define MAGIC "capweir-ring 1\t"
#define PID_BYTES 20
#define LINE_BYTES_MAX (PATH_MAX + 2 * CW_ENTRY_NAME_BYTES)
#define LIST_BYTES_MAX ((uint64_t)256 << 20)
#define LONG_BYTES ((uint64_t)64 << 10)
#define LONG_LINES 4u /* lines for each file that the list names */
#define ROOM_LINES 3u /* lines to come for a .part file */
#define ROOM_STEP ((uint64_t)16 << 10)
#define OPEN_TRIES_MAX 100

struct cw_ring_text {
	char *at;
	uint32_t count;
	uint32_t capacity;
};

int64_t cw_ring_time_ns(const struct timespec *time)
{
	return (int64_t)time->tv_sec * (int64_t)CW_NS_PER_S + time->tv_nsec;
}

/* ---- lines to write ---- */

static int add(struct cw_ring_text *text, const char *line, size_t bytes)
{
	if (CW_GROW(text, bytes))
		return -ENOMEM;
	memcpy(text->at + text->count, line, bytes);
	text->count += (uint32_t)bytes;
	return 0;
}

/* Fills the line's bytes of a file. Returns their number, or -ENAMETOOLONG. */
static int format_file(char line[LINE_BYTES_MAX], const struct cw_ring_file *file)
{
	int bytes;

	if (file->is_complete)
		bytes = snprintf(line, LINE_BYTES_MAX,
				 "file\t%s\t%" PRIu64 "\t%" PRId64 "\t%" PRIu64 "\t%s\n",
				 file->name, file->bytes, file->mtime_ns, file->content_bytes,
				 file->hidden ? file->hidden : "-");
	else
		bytes = snprintf(line, LINE_BYTES_MAX, "part\t%s\t%s\n", file->hidden, file->name);
	return bytes < (int)LINE_BYTES_MAX ? bytes : -ENAMETOOLONG;
}

static int write_all(int fd, const char *from, size_t bytes, uint64_t offset)
{
	while (bytes) {
		ssize_t done = pwrite(fd, from, bytes, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		from += done;
		bytes -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

/* Appends one line. A line that fails is overwritten by the next one, and has no end before. */
static int append(struct cw_ring_list *list, const char *line, int bytes, bool is_synced)
{
	int failure = bytes < 0 ? bytes : 0;

	if (!failure)
		failure = write_all(list->fd, line, (size_t)bytes, list->bytes);
	if (!failure && is_synced && list->sync && cw_entry_sync(list->fd, fdatasync))
		failure = -errno;
	if (failure)
		return failure;
	list->bytes += (uint64_t)bytes;
	list->line_count++;
	return 0;
}

/* Reserves room on the disk for the lines to come of all .part files, so that a disk that became
 * full lets complete files get their names. Nothing, where the file system cannot. */
static int reserve(struct cw_ring_list *list, int line_bytes)
{
	uint64_t wanted =
	    list->bytes + (list->part_count + 1) * ROOM_LINES * (uint64_t)(line_bytes + 64);
	int status;

	if (wanted <= list->reserved_bytes)
		return 0;
	wanted += ROOM_STEP;
	do
		status = fallocate(list->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)wanted);
	while (status && errno == EINTR);
	if (status && (errno == ENOSPC || errno == EDQUOT))
		return -errno;
	list->reserved_bytes = wanted;
	return 0;
}

static bool has_bad_name(const char *name)
{
	return !*name || strpbrk(name, "\t\n");
}

int cw_ring_list_part(struct cw_ring_list *list, const char *hidden, const char *name)
{
	const struct cw_ring_file file = {.name = (char *)(uintptr_t)name,
					  .hidden = (char *)(uintptr_t)hidden};
	char line[LINE_BYTES_MAX];
	int bytes = has_bad_name(name) ? -EINVAL : format_file(line, &file);
	int failure = bytes < 0 ? bytes : reserve(list, bytes);

	if (!failure)
		failure = append(list, line, bytes, true);
	if (!failure) {
		list->live_count++;
		list->part_count++;
	}
	return failure;
}

int cw_ring_list_file(struct cw_ring_list *list, const struct cw_ring_file *file)
{
	char line[LINE_BYTES_MAX];
	int failure =
	    has_bad_name(file->name) ? -EINVAL : append(list, line, format_file(line, file), true);

	if (!failure && file->hidden)
		list->part_count -= list->part_count != 0;
	else if (!failure)
		list->live_count++;
	return failure;
}

int cw_ring_list_gone(struct cw_ring_list *list, const char *name, bool is_part)
{
	char line[LINE_BYTES_MAX];
	int bytes = snprintf(line, sizeof(line), "gone\t%s\n", name);
	int failure = bytes < (int)sizeof(line) ? append(list, line, bytes, false) : -ENAMETOOLONG;

	if (failure)
		return failure;
	list->live_count -= list->live_count != 0;
	if (is_part)
		list->part_count -= list->part_count != 0;
	return 0;
}

bool cw_ring_list_is_long(const struct cw_ring_list *list)
{
	return list->bytes > LONG_BYTES && list->line_count > LONG_LINES * (list->live_count + 1);
}

/* ---- lines read ---- */

static uint64_t count_parts(const struct cw_ring_files *files)
{
	uint64_t count = 0;

	for (uint32_t index = 0; index < files->count; index++)
		count += !files->at[index].is_complete;
	return count;
}

/* Reads the whole list into memory, with a NUL. */
static int load(const struct cw_ring_list *list, char **result)
{
	char *text = malloc((size_t)list->bytes + 1);
	size_t filled = 0;

	*result = text;
	if (!text)
		return -ENOMEM;
	while (filled < list->bytes) {
		ssize_t done =
		    pread(list->fd, text + filled, (size_t)list->bytes - filled, (off_t)filled);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		filled += (size_t)done;
	}
	text[filled] = '\0';
	return 0;
}

int cw_ring_list_read(struct cw_ring_list *list, struct cw_ring_files *files)
{
	char *text;
	int failure = load(list, &text);

	*files = (struct cw_ring_files){0};
	if (!failure)
		failure = cw_ring_files_parse(files, text, (size_t)list->bytes, &list->line_count,
					      &list->next);
	free(text);
	if (failure)
		return failure;
	list->live_count = files->count;
	list->part_count = count_parts(files);
	return 0;
}

/* ---- the list's file ---- */

static int add_header(const struct cw_ring_list *list, struct cw_ring_text *text)
{
	char pid[PID_BYTES + 1];

	snprintf(pid, sizeof(pid), "%-*ld", PID_BYTES, (long)getpid());
	return add(text, MAGIC, sizeof(MAGIC) - 1) || add(text, pid, PID_BYTES) ||
		       add(text, "\t", 1) || add(text, list->of, strlen(list->of)) ||
		       add(text, "\n", 1)
		   ? -ENOMEM
		   : 0;
}

static int make_text(const struct cw_ring_list *list, const struct cw_ring_files *files,
		     uint64_t next, struct cw_ring_text *text)
{
	char line[LINE_BYTES_MAX];
	int failure = add_header(list, text);

	if (!failure && next) {
		int bytes = snprintf(line, sizeof(line), "next\t%" PRIu64 "\n", next);

		failure = add(text, line, (size_t)bytes);
	}
	for (uint32_t index = 0; index < files->count && !failure; index++) {
		int bytes = format_file(line, &files->at[index]);

		failure = bytes < 0 ? bytes : add(text, line, (size_t)bytes);
	}
	return failure;
}

/* Writes a new list file, locked, and gives it the list's name. Takes over its descriptor. */
static int install(struct cw_ring_list *list, const char *name, int fd,
		   const struct cw_ring_text *text)
{
	const struct cw_folder *folder = &list->folder;
	int failure = cw_entry_lock(fd);

	if (!failure)
		failure = write_all(fd, text->at, text->count, 0);
	if (!failure && list->sync && cw_entry_sync(fd, fdatasync))
		failure = -errno;
	if (!failure)
		failure = folder->ops->rename(folder, name, list->name, true);
	if (failure) {
		(void)folder->ops->remove(folder, name);
		close(fd);
		return failure;
	}
	if (list->sync)
		(void)folder->ops->sync(folder); /* else the old list may come back */
	close(list->fd);
	list->fd = fd;
	list->bytes = list->reserved_bytes = text->count;
	return 0;
}

int cw_ring_list_replace(struct cw_ring_list *list, const struct cw_ring_files *files,
			 uint64_t next)
{
	const struct cw_folder *folder = &list->folder;
	struct cw_ring_text text = {0};
	char name[CW_ENTRY_NAME_BYTES];
	int failure = make_text(list, files, next, &text);
	int fd = -1;

	if (!failure) {
		/* A killed run may have left one: nobody else has it, because the list is locked.
		 */
		snprintf(name, sizeof(name), "%.240s.new", list->name);
		(void)folder->ops->remove(folder, name);
		fd = folder->ops->open(folder, name, CW_FOLDER_NEW);
		failure = fd < 0 ? fd : install(list, name, fd, &text);
	}
	free(text.at);
	if (failure)
		return failure;
	list->next = next;
	list->line_count = files->count + (next != 0);
	list->live_count = files->count;
	list->part_count = count_parts(files);
	return 0;
}

int cw_ring_list_rewrite(struct cw_ring_list *list, uint64_t next)
{
	struct cw_ring_files files;
	int failure = cw_ring_list_read(list, &files);

	if (failure)
		return failure;
	failure = cw_ring_list_replace(list, &files, next > list->next ? next : list->next);
	cw_ring_files_fini(&files);
	return failure;
}

/* ---- opening ---- */

/* Returns -EBUSY and the reason, with the PID that the header names. */
static int tell_busy(const struct cw_ring_list *list, struct cw_error *error)
{
	char header[sizeof(MAGIC) + PID_BYTES] = "";
	long pid = 0;

	if (pread(list->fd, header, sizeof(header) - 1, 0) > 0 &&
	    !strncmp(header, MAGIC, sizeof(MAGIC) - 1))
		pid = strtol(header + sizeof(MAGIC) - 1, NULL, 10);
	return cw_error_set(error, -EBUSY,
			    "the file ring of %s is in use by the run with PID %ld: end that run, "
			    "or choose another name",
			    list->of, pid);
}

static int refuse_list(const struct cw_ring_list *list, struct cw_error *error)
{
	return cw_error_set(error, -EINVAL,
			    "%s is not a list that the files' owner made: remove it, or choose "
			    "another output name",
			    list->name);
}

/* Locks the open list. Returns 1: a run that wrote the list anew has renamed another file over it.
 */
static int lock_list(const struct cw_ring_list *list, struct cw_error *error)
{
	const struct cw_folder *folder = &list->folder;
	int failure = cw_entry_lock(list->fd);
	struct stat ours, named;

	if (failure == -EBUSY)
		return tell_busy(list, error);
	if (failure)
		return cw_error_set_errno(error, failure, "cannot lock %s", list->name);
	if (fstat(list->fd, &ours))
		return cw_error_set_errno(error, -errno, "cannot examine %s", list->name);
	if (folder->ops->status(folder, list->name, &named) || named.st_ino != ours.st_ino ||
	    named.st_dev != ours.st_dev)
		return 1;
	if (!S_ISREG(ours.st_mode) || ours.st_nlink != 1 || ours.st_uid != folder->owner ||
	    (uint64_t)ours.st_size > LIST_BYTES_MAX)
		return refuse_list(list, error);
	return 0;
}

/* Finds the end of the last whole line. */
static int find_end(struct cw_ring_list *list, char **text)
{
	struct stat status;
	const char *end;
	int failure;

	if (fstat(list->fd, &status))
		return -errno;
	list->bytes = (uint64_t)status.st_size;
	failure = load(list, text);
	if (failure)
		return failure;
	end = memrchr(*text, '\n', (size_t)list->bytes);
	list->bytes = end ? (uint64_t)(end + 1 - *text) : 0;
	list->reserved_bytes = list->bytes;
	return 0;
}

/* Writes the header of an empty list. A torn one has no end, so the next run begins again. */
static int begin(struct cw_ring_list *list)
{
	struct cw_ring_text text = {0};
	int failure = add_header(list, &text);

	if (!failure && ftruncate(list->fd, 0))
		failure = -errno;
	if (!failure)
		failure = write_all(list->fd, text.at, text.count, 0);
	if (!failure && list->sync && cw_entry_sync(list->fd, fdatasync))
		failure = -errno;
	if (!failure && list->sync)
		failure = list->folder.ops->sync(&list->folder);
	if (!failure)
		list->bytes = list->reserved_bytes = text.count;
	free(text.at);
	return failure;
}

/* Checks the header and enters this process there, or begins an empty list. */
static int take_header(struct cw_ring_list *list, char *text, struct cw_error *error)
{
	const size_t pid_at = sizeof(MAGIC) - 1, of_at = pid_at + PID_BYTES + 1;
	char *end = text && list->bytes ? memchr(text, '\n', (size_t)list->bytes) : NULL;
	char pid[PID_BYTES + 1];
	int failure;

	if (!end || !text[0]) { /* new, or what a crash of the system left */
		failure = begin(list);
		return failure ? cw_error_set_errno(error, failure, "cannot write %s", list->name)
			       : 0;
	}
	*end = '\0';
	if (strncmp(text, MAGIC, pid_at) != 0 || (size_t)(end - text) < of_at)
		return cw_error_set(error, -EINVAL,
				    "%s is not a list that this version reads: remove it, or "
				    "choose another output name",
				    list->name);
	if (strcmp(text + of_at, list->of) != 0)
		return cw_error_set(error, -EINVAL,
				    "%s is the list of the file ring %s, not of %s: choose another "
				    "output name",
				    list->name, text + of_at, list->of);
	snprintf(pid, sizeof(pid), "%-*ld", PID_BYTES, (long)getpid());
	failure = write_all(list->fd, pid, PID_BYTES, pid_at);
	if (!failure && ftruncate(list->fd, (off_t)list->bytes))
		failure = -errno;
	return failure ? cw_error_set_errno(error, failure, "cannot write %s", list->name) : 0;
}

/* Opens and locks the file that has the list's name. */
static int open_list(struct cw_ring_list *list, struct cw_error *error)
{
	const struct cw_folder *folder = &list->folder;
	int status = list->name && list->of ? 1 : -ENOMEM;

	for (int i = 0; i < OPEN_TRIES_MAX && status == 1; i++) {
		list->fd = folder->ops->open(folder, list->name, CW_FOLDER_CREATE);
		if (list->fd == -EPERM)
			return refuse_list(list, error);
		if (list->fd < 0)
			return cw_error_set_errno(error, list->fd, "cannot open the list %s",
						  list->name);
		status = lock_list(list, error);
		if (status == 1) {
			close(list->fd);
			list->fd = -1;
		}
	}
	if (status == 1 || status == -ENOMEM)
		return cw_error_set_errno(error, status == 1 ? -EBUSY : -ENOMEM,
					  "cannot open the list");
	return status;
}

int cw_ring_list_open(struct cw_ring_list *list, const struct cw_folder *folder, const char *name,
		      const char *of, bool sync, struct cw_error *error)
{
	char *text = NULL;
	int status;

	*list = (struct cw_ring_list){.folder = *folder, .fd = -1, .sync = sync};
	list->name = strdup(name);
	list->of = strdup(of);
	status = open_list(list, error);
	if (!status) {
		status = find_end(list, &text);
		if (status)
			cw_error_set_errno(error, status, "cannot read %s", name);
	}
	if (!status)
		status = take_header(list, text, error);
	free(text);
	if (status)
		cw_ring_list_close(list);
	return status;
}

void cw_ring_list_close(struct cw_ring_list *list)
{
	cw_folder_close(&list->folder);
	if (list->name && list->fd >= 0)
		close(list->fd);
	free(list->name);
	free(list->of);
	*list = (struct cw_ring_list){.fd = -1};
}
