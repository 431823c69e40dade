/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Output files: hidden .part files that are renamed when complete; device files, FIFOs and
 * inherited descriptors are written in place. An output needs one descriptor, and none while it is
 * evicted. Names are in entry.c, writing in outfile_write.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/output/outfile_pack.h"
#include "core/output/ring_list.h"
#include "core/output/target.h"

#define PART_TRIES_MAX 100
#define NAME_TRIES_MAX 100
#define FIFO_RETRY_MS 50

static const struct cw_entries *entries_of(const struct cw_outfile *file)
{
	return file->options.entries ? file->options.entries : &cw_entries_here;
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
	status = cw_entry_init(&file->entry, path, &file->options);
	if (!status && !strcmp(path, "-") && options->standard_output < 0)
		status = -EINVAL;
	if (status) {
		cw_outfile_free(file);
		return status;
	}
	*result = file;
	return 0;
}

int cw_outfile_adopt(struct cw_outfile **result, const char *path, const struct stat *status,
		     const struct cw_outfile_options *options)
{
	int failure = cw_outfile_new(result, path, options);
	const struct cw_entries *entries;
	struct cw_entry *entry;

	if (failure)
		return failure;
	(*result)->was_created = true;
	entries = entries_of(*result);
	entry = &(*result)->entry;
	entry->kind = CW_ENTRY_PUBLISHED;
	entry->device = status->st_dev;
	entry->inode = status->st_ino;
	entry->published_bytes = status->st_size;
	entry->published_time = status->st_mtim;
	if (entries->ops->adopt)
		failure = entries->ops->adopt(entries->context, entry);
	if (failure) {
		cw_outfile_free(*result);
		*result = NULL;
	}
	return failure;
}

/* Returns the file's name below the folder of its ring's list. */
static const char *listed_name(const struct cw_outfile *file)
{
	return file->entry.path + file->options.fixed_bytes;
}

int cw_outfile_close_fd(struct cw_outfile *file)
{
	int fd = file->fd;

	file->fd = -1;
	if (fd < 0 || file->entry.kind == CW_ENTRY_BORROWED)
		return 0;
	if (file->entry.kind == CW_ENTRY_REGULAR)
		cw_entry_unlock(fd);
	if (close(fd) && errno != EINTR) /* on Linux, EINTR means closed */
		return -errno;
	return 0;
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

/* Enters the .part file that is about to be made in the list of its ring. */
static int list_part(const struct cw_outfile *file)
{
	const struct cw_listing *listing = file->options.listing;
	char hidden[CW_ENTRY_NAME_BYTES];

	if (!listing)
		return 0;
	cw_entry_hidden_name(file->entry.base, file->entry.random, hidden);
	return listing->note_part(listing->context, hidden, listed_name(file));
}

/* Opens the file for the first time. The failure's reason is in `error` if it has a code. */
static int open_first(struct cw_outfile *file, struct cw_error *error)
{
	const struct cw_entries *entries = entries_of(file);
	int tries = 0;

	while (tries < PART_TRIES_MAX) {
		int status = cw_entry_choose(&file->entry);

		if (!status)
			status = list_part(file);
		if (!status)
			status =
			    entries->ops->open(entries->context, &file->entry, &file->fd, error);
		if (status == CW_ENTRY_NO_READER)
			status = wait_for_reader(file);
		else if (status == CW_ENTRY_TAKEN)
			tries++;
		else
			return status;
		if (status < 0)
			return status;
	}
	return -EEXIST;
}

/* Opens the .part file again. */
static int reopen(struct cw_outfile *file, struct cw_error *error)
{
	const struct cw_entries *entries = entries_of(file);
	struct stat status;
	int failure = entries->ops->reopen(entries->context, &file->entry, &file->fd, error);

	if (failure)
		return failure;
	if (fstat(file->fd, &status))
		failure = -errno;
	else if ((uint64_t)status.st_size < cw_outfile_file_bytes(file))
		failure = -ESTALE; /* capweir repair truncated it, most likely */
	if (failure)
		cw_outfile_close_fd(file);
	return failure;
}

int cw_outfile_open(struct cw_outfile *file, struct cw_error *error)
{
	struct cw_entry *entry = &file->entry;
	struct cw_error reason = {0};
	int status;

	if (file->fd >= 0)
		return 0;
	if (file->was_created && entry->kind != CW_ENTRY_REGULAR)
		return cw_error_set(error, -EBADF, "cannot reopen %s: it was closed for good",
				    entry->path);
	status = file->was_created ? reopen(file, &reason) : open_first(file, &reason);
	/* Where there are no locks, nothing is known of other writers, as before. */
	if (!status && entry->kind == CW_ENTRY_REGULAR && cw_entry_lock(file->fd) == -EBUSY) {
		cw_outfile_close_fd(file);
		status = -ESTALE;
	}
	if (status && reason.code)
		return cw_error_set(error, status, "cannot open %s: %s", entry->path, reason.text);
	if (status == -ESTALE)
		return cw_error_set(error, status, "cannot open %s: %s was replaced or removed",
				    entry->path, entry->has_part ? entry->part_path : "it");
	if (status)
		return cw_error_set_errno(error, status, "cannot open %s for writing", entry->path);
	file->was_created = true;
	return 0;
}

bool cw_outfile_is_open(const struct cw_outfile *file)
{
	return file->fd >= 0;
}

bool cw_outfile_is_seekable(const struct cw_outfile *file)
{
	return file->entry.kind == CW_ENTRY_REGULAR;
}

bool cw_outfile_is_published(const struct cw_outfile *file)
{
	return file->entry.kind == CW_ENTRY_PUBLISHED;
}

int cw_outfile_hook_failure(const struct cw_outfile *file)
{
	return file->hook_failure;
}

const char *cw_outfile_flaw(const struct cw_outfile *file)
{
	return file->flaw;
}

bool cw_outfile_was_created(const struct cw_outfile *file)
{
	return file->was_created;
}

/* Makes the last system calls on an open .part file, and keeps their failure. */
static int sync_and_close(struct cw_outfile *file)
{
	int failure = 0;
	int status;

	if (file->fd < 0)
		return file->close_failure;
	if (file->options.sync && file->entry.kind == CW_ENTRY_REGULAR &&
	    cw_entry_sync(file->fd, fdatasync))
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
	if (file->fd < 0 || file->entry.kind != CW_ENTRY_REGULAR)
		return 0;
	stop_direct(file);
	return sync_and_close(file);
}

/* Notes length and time of the complete file for the list of its ring. */
static int note_status(struct cw_outfile *file)
{
	struct cw_entry *entry = &file->entry;
	struct stat status;

	if (!file->options.listing || file->fd < 0)
		return 0; /* noted when the file was closed */
	if (fstat(file->fd, &status))
		return -errno;
	entry->published_bytes = status.st_size;
	entry->published_time = status.st_mtim;
	return 0;
}

/* Gives the file its name. A file of a ring replaces none: it gets another name instead, which the
 * list has before. */
static int name_part(struct cw_outfile *file, struct cw_entry_outcome *outcome)
{
	const struct cw_entries *entries = entries_of(file);
	const struct cw_listing *listing = file->options.listing;
	struct cw_entry *entry = &file->entry;
	char path[PATH_MAX], numbered[PATH_MAX];
	int status = 0;

	snprintf(path, sizeof(path), "%s", entry->path);
	for (unsigned number = 1; number <= NAME_TRIES_MAX; number++) {
		const struct cw_ring_file listed = {.name = (char *)(uintptr_t)listed_name(file),
						    .hidden = entry->part_name,
						    .is_complete = true,
						    .bytes = (uint64_t)entry->published_bytes,
						    .mtime_ns =
							cw_ring_time_ns(&entry->published_time),
						    .content_bytes = cw_outfile_reached(file)};

		outcome->step = "enter in the list of its file ring";
		status = listing ? listing->note_file(listing->context, &listed) : 0;
		if (!status)
			status = entries->ops->publish(entries->context, entry, outcome);
		if (!listing || (status != -EEXIST && status != -EISDIR))
			break;
		if (listing->number(path, number, numbered) < 0)
			break;
		if (cw_entry_set_path(entry, numbered))
			return -ENOMEM;
	}
	return status;
}

int cw_outfile_enlist(struct cw_outfile *file, const struct cw_listing *listing)
{
	const struct cw_entry *entry = &file->entry;
	const struct cw_ring_file listed = {.name = (char *)(uintptr_t)listed_name(file),
					    .is_complete = true,
					    .bytes = (uint64_t)entry->published_bytes,
					    .mtime_ns = cw_ring_time_ns(&entry->published_time),
					    .content_bytes = cw_outfile_reached(file)};
	int status;

	if (file->options.listing)
		return 0;
	status = listing->note_file(listing->context, &listed);
	if (!status)
		file->options.listing = listing;
	return status;
}

/* Returns the reason of a failed publication. */
static const char *reason_of(int failure)
{
	return failure == -ESRCH ? CW_ENTRY_ENDED : strerror(-failure);
}

static int publish_part(struct cw_outfile *file, struct cw_error *error)
{
	struct cw_entry_outcome outcome = {.step = "finish writing"};
	struct cw_entry *entry = &file->entry;
	struct stat obstacle = {0};
	int status;

	stop_direct(file);
	status = file->write_failure;
	if (!status && file->fd >= 0)
		status = cw_outfile_finish(file);
	if (!status)
		status = note_status(file);
	if (!status)
		status = sync_and_close(file);
	if (!status) /* after the close, so that one free descriptor suffices */
		status = name_part(file, &outcome);
	obstacle.st_mode = outcome.obstacle;
	if (status)
		return cw_error_set(error, status, "cannot %s %s: %s%s; the data is in %s",
				    outcome.step, entry->path, outcome.obstacle ? "it is " : "",
				    outcome.obstacle ? cw_target_describe_status(&obstacle)
						     : reason_of(status),
				    entry->part_path);
	file->hook_failure = outcome.hook_failure;
	if (outcome.sync_failure) {
		file->flaw = "its folder was not synced";
		file->flaw_failure = outcome.sync_failure;
	}
	return file->flaw ? cw_error_set_errno(error, file->flaw_failure, "%s is complete, but %s",
					       entry->path, file->flaw)
			  : 0;
}

int cw_outfile_publish(struct cw_outfile *file, struct cw_error *error)
{
	int status;

	if (!file->was_created || file->entry.kind == CW_ENTRY_PUBLISHED)
		return cw_error_set(error, -EBADF, "cannot publish %s: it is not open",
				    file->entry.path);
	if (file->entry.kind == CW_ENTRY_REGULAR)
		return publish_part(file, error);
	status = sync_and_close(file);
	file->entry.kind = CW_ENTRY_PUBLISHED;
	if (status)
		cw_error_set_errno(error, status, "cannot close %s", file->entry.path);
	return status;
}

/* Enters that a file is gone in the list of its ring. If that fails, a later run finds out. */
static void list_gone(const struct cw_outfile *file, const char *name, bool is_part)
{
	const struct cw_listing *listing = file->options.listing;

	if (listing)
		(void)listing->note_gone(listing->context, name, is_part);
}

int cw_outfile_discard(struct cw_outfile *file, bool keep_part)
{
	const struct cw_entries *entries = entries_of(file);
	int failure;

	cw_outfile_drop(file);
	cw_outfile_close_fd(file);
	if (file->entry.kind != CW_ENTRY_REGULAR || !file->entry.has_part || keep_part)
		return 0;
	failure = entries->ops->discard(entries->context, &file->entry);
	if (!failure)
		list_gone(file, file->entry.part_name, true);
	return failure;
}

int cw_outfile_remove(struct cw_outfile *file, struct cw_error *error)
{
	const struct cw_entries *entries = entries_of(file);
	int failure;

	if (file->entry.kind != CW_ENTRY_PUBLISHED || !file->entry.inode)
		return cw_error_set(error, -EBADF, "cannot remove %s: it is not a complete file",
				    file->entry.path);
	failure = entries->ops->remove(entries->context, &file->entry, error);
	if (!failure || failure == -ESTALE)
		list_gone(file, listed_name(file), false);
	return failure;
}

int cw_outfile_free_space(const struct cw_outfile *file, uint64_t *bytes)
{
	const struct cw_entries *entries = entries_of(file);

	return entries->ops->free_space(entries->context, &file->entry, bytes);
}

const char *cw_outfile_path(const struct cw_outfile *file)
{
	return file->entry.path;
}

const char *cw_outfile_part_path(const struct cw_outfile *file)
{
	return file->entry.has_part ? file->entry.part_path : NULL;
}

void cw_outfile_free(struct cw_outfile *file)
{
	if (!file)
		return;
	cw_outfile_drop(file);
	cw_outfile_pack_free(file);
	cw_outfile_close_fd(file);
	cw_entry_fini(&file->entry);
	free(file);
}
