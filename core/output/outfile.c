/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Output files: hidden .part files that are renamed when complete; device files, FIFOs and
 * inherited descriptors are written in place. An output needs one descriptor, and none while it is
 * evicted. Names are in entry.c, writing in outfile_write.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/output/outfile_pack.h"

#define PART_TRIES_MAX 100
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

int cw_outfile_close_fd(struct cw_outfile *file)
{
	int fd = file->fd;

	file->fd = -1;
	if (fd < 0 || file->entry.kind == CW_ENTRY_BORROWED)
		return 0;
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

/* Opens the file for the first time. The failure's reason is in `error` if it has a code. */
static int open_first(struct cw_outfile *file, struct cw_error *error)
{
	const struct cw_entries *entries = entries_of(file);
	int tries = 0;

	while (tries < PART_TRIES_MAX) {
		int status = cw_entry_choose(&file->entry);

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

int cw_outfile_open(struct cw_outfile *file, struct cw_error *error)
{
	const struct cw_entries *entries = entries_of(file);
	struct cw_entry *entry = &file->entry;
	struct cw_error reason = {0};
	int status;

	if (file->fd >= 0)
		return 0;
	if (file->was_created && entry->kind != CW_ENTRY_REGULAR)
		return cw_error_set(error, -EBADF, "cannot reopen %s: it was closed for good",
				    entry->path);
	status = file->was_created
		     ? entries->ops->reopen(entries->context, entry, &file->fd, &reason)
		     : open_first(file, &reason);
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

static int publish_part(struct cw_outfile *file, struct cw_error *error)
{
	const struct cw_entries *entries = entries_of(file);
	struct cw_entry_outcome outcome = {.step = "finish writing"};
	struct cw_entry *entry = &file->entry;
	int status;

	stop_direct(file);
	status = file->write_failure;
	if (!status && file->fd >= 0)
		status = cw_outfile_finish(file);
	if (!status)
		status = sync_and_close(file);
	if (!status) /* after the close, so that one free descriptor suffices */
		status = entries->ops->publish(entries->context, entry, &outcome);
	if (status)
		return cw_error_set(error, status, "cannot %s %s: %s%s; the data is in %s",
				    outcome.step, entry->path, outcome.obstacle ? "it is " : "",
				    outcome.obstacle ? outcome.obstacle : strerror(-status),
				    entry->part_path);
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

int cw_outfile_discard(struct cw_outfile *file, bool keep_part)
{
	const struct cw_entries *entries = entries_of(file);

	cw_outfile_drop(file);
	cw_outfile_close_fd(file);
	if (file->entry.kind != CW_ENTRY_REGULAR || !file->entry.has_part || keep_part)
		return 0;
	return entries->ops->discard(entries->context, &file->entry);
}

int cw_outfile_remove(struct cw_outfile *file, struct cw_error *error)
{
	const struct cw_entries *entries = entries_of(file);

	if (file->entry.kind != CW_ENTRY_PUBLISHED || !file->entry.inode)
		return cw_error_set(error, -EBADF, "cannot remove %s: it is not a complete file",
				    file->entry.path);
	return entries->ops->remove(entries->context, &file->entry, error);
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
