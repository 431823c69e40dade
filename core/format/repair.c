/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds the last record boundary with the usual parser: if it asks for bytes beyond the file's end,
 * the rest is the torn tail. It is shown the end only to judge the zeros before it. Reads with
 * pread, so a file that shrinks meanwhile gives an error and not a signal. One ftruncate shortens
 * the file; ftruncate is atomic: after a crash the file has its old or its new length.
 */
#include "core/format/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/format/pcapfile.h"
#include "core/format/unpack.h"

#define BUFFER_BYTES ((size_t)4 << 20)
#define SPAN_BYTES ((size_t)1 << 20)

struct repairer {
	int fd;
	struct stat status; /* the file's status when it was opened */
	uint64_t file_bytes;
	struct cw_ifaces ifaces;
	struct cw_pcapfile file;
	uint8_t *buffer;
	size_t capacity;
	uint64_t start; /* file offset of buffer[0] */
	size_t filled;  /* bytes in the buffer */
};

/* Reads exactly `bytes` at `offset`. Returns -EBUSY if the file is shorter than when opened. */
static int read_at(const struct repairer *repairer, uint8_t *to, size_t bytes, uint64_t offset)
{
	while (bytes) {
		ssize_t done = pread(repairer->fd, to, bytes, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (done == 0)
			return -EBUSY;
		to += done;
		bytes -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

/* Returns -EBUSY if the file's writer, or another repair, has it locked. The lock lasts until the
 * file is closed. */
static int lock_file(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES))
		return 0; /* without locks, nothing is known */
	return -EBUSY;
}

static int open_file(struct repairer *repairer, const char *path, bool dry_run,
		     struct cw_error *error)
{
	bool is_busy = false;

	/* O_NONBLOCK: opening a FIFO must not block; it is refused below. */
	repairer->fd = open(path, (dry_run ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_CLOEXEC |
				      O_NOCTTY | O_NONBLOCK);
	if (repairer->fd < 0 && errno == ELOOP)
		return cw_error_set(error, -ELOOP,
				    "cannot repair %s: it is a symbolic link. Name its target",
				    path);
	if (repairer->fd < 0)
		return cw_error_set_errno(error, -errno, "cannot open %s", path);
	if (fstat(repairer->fd, &repairer->status))
		return cw_error_set_errno(error, -errno, "cannot read the status of %s", path);
	if (!S_ISREG(repairer->status.st_mode))
		return cw_error_set(error, -EINVAL, "cannot repair %s: it is not a regular file",
				    path);
	repairer->file_bytes = (uint64_t)repairer->status.st_size;
	/* The kernel refuses the lease while another program has the file open: it may still be
	 * growing. Without leases, or without permission for them, nothing is known. */
	if (!dry_run && fcntl(repairer->fd, F_SETLEASE, F_WRLCK) == 0)
		fcntl(repairer->fd, F_SETLEASE, F_UNLCK);
	else if (!dry_run && (errno == EAGAIN || errno == EBUSY))
		is_busy = true;
	if (is_busy || (!dry_run && lock_file(repairer->fd)))
		return cw_error_set(error, -EBUSY,
				    "cannot repair %s: another program has it open and may still "
				    "write. Try again when that program has ended",
				    path);
	return 0;
}

/* Reads at least `needed` bytes from the parser's position. Returns 1 if the file ends before. */
static int fill(struct repairer *repairer, size_t needed)
{
	uint64_t position = repairer->file.offset;
	size_t kept = (size_t)(repairer->start + repairer->filled - position);
	size_t more;
	int result;

	if (needed > repairer->file_bytes - position)
		return 1;
	memmove(repairer->buffer, repairer->buffer + (position - repairer->start), kept);
	repairer->start = position;
	repairer->filled = kept;
	if (needed > repairer->capacity) {
		uint8_t *grown = realloc(repairer->buffer, needed);

		if (!grown)
			return -ENOMEM;
		repairer->buffer = grown;
		repairer->capacity = needed;
	}
	more = cw_min_size(repairer->file_bytes - position, repairer->capacity) - kept;
	result = read_at(repairer, repairer->buffer + kept, more, position + kept);
	repairer->filled += more;
	return result;
}

/* Walks to the last record boundary. Returns 0 if the file ends within what follows it; otherwise
 * the parser's error. */
static int walk(struct repairer *repairer, uint64_t *packets, size_t *needed,
		struct cw_error *error)
{
	const struct cw_pcapfile_limits limits = {SPAN_BYTES, UINT32_MAX};
	struct cw_pcapfile *file = &repairer->file;
	struct cw_pcapfile_step step;
	bool is_at_end = false;

	for (;;) {
		size_t used = (size_t)(file->offset - repairer->start);
		const struct cw_pcapfile_shown shown = {repairer->buffer + used,
							repairer->filled - used, is_at_end};
		int result = cw_pcapfile_scan(file, &shown, &limits, &step, error);

		*needed = step.needed;
		if (result < 0)
			return is_at_end ? 0 : result;
		*packets += step.span.record_count;
		if (result != CW_PCAPFILE_MORE)
			continue;
		result = fill(repairer, step.needed);
		if (result > 0 && file->zero_bytes) {
			is_at_end = true;
			result = fill(repairer, (size_t)(repairer->file_bytes - file->offset));
		}
		if (result < 0)
			return cw_error_set_errno(error, result, "cannot read the file");
		if (result > 0)
			return 0;
	}
}

/* Returns whether the file has only zeros from `from` on. */
static bool ends_in_zeros(const struct repairer *repairer, uint64_t from)
{
	uint8_t *buffer = repairer->buffer;
	uint64_t end = repairer->file_bytes;

	while (end > from) {
		size_t bytes = cw_min_size(end - from, repairer->capacity);

		end -= bytes;
		if (read_at(repairer, buffer, bytes, end) || buffer[0] ||
		    memcmp(buffer, buffer + 1, bytes - 1) != 0)
			return false;
	}
	return true;
}

/* Returns whether the pcapng block at the parser's position has a valid length, and the file has
 * only zeros from the block's trailer, or from before it, to its end. */
static bool is_block_torn_by_zeros(const struct repairer *repairer)
{
	const struct cw_pcapfile *file = &repairer->file;
	uint64_t left = repairer->file_bytes - file->offset;
	uint8_t head[8];
	uint32_t length;

	if (file->format != CW_PCAPFILE_PCAPNG || left < CW_PCAPNG_BLOCK_BYTES_MIN ||
	    read_at(repairer, head, sizeof(head), file->offset))
		return false;
	length = cw_load_u32(head + 4, file->layout.is_swapped);
	return length >= CW_PCAPNG_BLOCK_BYTES_MIN && length % 4 == 0 && length <= left &&
	       ends_in_zeros(repairer, file->offset + length - 4);
}

/* Returns whether the first header is complete. Without it there is nothing to keep. */
static bool has_header(const struct cw_pcapfile *file)
{
	return file->first_format == CW_PCAPFILE_PCAP ||
	       (file->first_format == CW_PCAPFILE_PCAPNG && file->section_count);
}

/* Describes the bytes after the last boundary. Returns an error if they are not a torn tail. */
static int judge_tail(const struct repairer *repairer, int result, size_t needed,
		      struct cw_repair *repair, struct cw_error *error)
{
	uint64_t at = repairer->file.offset - repairer->file.zero_bytes;
	uint64_t left = repairer->file_bytes - at;

	if (!has_header(&repairer->file))
		return result < 0 ? result
				  : cw_error_set(error, -EBADMSG,
						 "cannot repair: %" PRIu64 " bytes are too few for "
						 "a capture file header",
						 repairer->file_bytes);
	repair->kept_bytes = at;
	if (!left)
		return 0;
	if (result == 0 && ends_in_zeros(repairer, at)) {
		snprintf(repair->torn, sizeof(repair->torn), "zeros");
	} else if (result == 0) {
		snprintf(repair->torn, sizeof(repair->torn), "a record that wants %zu bytes",
			 needed);
	} else if (is_block_torn_by_zeros(repairer)) {
		snprintf(repair->torn, sizeof(repair->torn), "a record that ends in zeros");
	} else {
		const struct cw_error damage = *error; /* cw_error_set overwrites its text */

		repair->kept_bytes = repairer->file_bytes;
		cw_error_set(
		    error, result,
		    "%s; %" PRIu64
		    " bytes follow, so this is not a truncated tail. The file is unchanged. "
		    "Use capweir split --resync to extract the records before and after the damage",
		    damage.text, left);
		return result;
	}
	return 0;
}

/* Truncates the file, unless it has changed since it was opened. */
static int cut(const struct repairer *repairer, struct cw_repair *repair, struct cw_error *error)
{
	const struct stat *before = &repairer->status;
	struct stat now;
	int status;

	if (fstat(repairer->fd, &now))
		return cw_error_set_errno(error, -errno, "cannot read the file's status");
	if (now.st_size != before->st_size || now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != before->st_mtim.tv_nsec)
		return cw_error_set(error, -EBUSY,
				    "cannot repair: another program changed the file meanwhile. "
				    "Try again when that program has ended");
	do
		status = ftruncate(repairer->fd, (off_t)repair->kept_bytes);
	while (status && errno == EINTR);
	if (status)
		return cw_error_set_errno(error, -errno, "cannot truncate the file");
	repair->is_cut = true;
	do
		status = fsync(repairer->fd);
	while (status && errno == EINTR);
	if (status)
		return cw_error_set_errno(error, -errno,
					  "the file is truncated, but perhaps not on the disk");
	return 0;
}

static int repair_open_file(struct repairer *repairer, bool dry_run, struct cw_repair *repair,
			    struct cw_error *error)
{
	size_t needed = 0;
	int result;

	repair->file_bytes = repair->kept_bytes = repairer->file_bytes;
	repairer->capacity = BUFFER_BYTES;
	repairer->buffer = malloc(repairer->capacity);
	if (!repairer->buffer)
		return cw_error_set_errno(error, -ENOMEM, "cannot read the file");
	if (repairer->file_bytes >= CW_PACKING_MAGIC_BYTES &&
	    read_at(repairer, repairer->buffer, CW_PACKING_MAGIC_BYTES, 0) == 0 &&
	    cw_packing_of(repairer->buffer, CW_PACKING_MAGIC_BYTES) != CW_PACKING_NONE)
		return cw_error_set(
		    error, -EPROTONOSUPPORT,
		    "cannot repair a compressed file. Use capweir split to extract its "
		    "complete records");
	cw_pcapfile_init(&repairer->file, &repairer->ifaces, 0, CW_LINKTYPE_ANY);
	result = walk(repairer, &repair->packets, &needed, error);
	if (result < 0 && result != -EBADMSG)
		return result;
	repair->format = repairer->file.first_format == CW_PCAPFILE_PCAPNG ? "pcapng" : "pcap";
	result = judge_tail(repairer, result, needed, repair, error);
	if (result == 0 && repair->kept_bytes < repair->file_bytes && !dry_run)
		result = cut(repairer, repair, error);
	return result;
}

int cw_repair_file(const char *path, bool dry_run, struct cw_repair *repair, struct cw_error *error)
{
	struct repairer repairer = {.fd = -1};
	struct cw_error local = {0};
	int result;

	*repair = (struct cw_repair){.format = ""};
	cw_ifaces_init(&repairer.ifaces);
	result = open_file(&repairer, path, dry_run, &local);
	if (result == 0) {
		result = repair_open_file(&repairer, dry_run, repair, &local);
		if (result < 0)
			cw_error_prefix(&local, "%s", path);
	}
	if (result < 0 && error)
		*error = local;
	cw_ifaces_fini(&repairer.ifaces);
	free(repairer.buffer);
	if (repairer.fd >= 0)
		close(repairer.fd);
	return result;
}

int cw_repair_fd(int fd, struct cw_repair *repair, struct cw_error *error)
{
	struct repairer repairer = {.fd = fd};
	int result;

	*repair = (struct cw_repair){.format = ""};
	if (fstat(fd, &repairer.status))
		return cw_error_set_errno(error, -errno, "cannot read the file's status");
	repairer.file_bytes = (uint64_t)repairer.status.st_size;
	cw_ifaces_init(&repairer.ifaces);
	result = repair_open_file(&repairer, false, repair, error);
	cw_ifaces_fini(&repairer.ifaces);
	free(repairer.buffer);
	return result;
}
