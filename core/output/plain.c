/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes and reads plain bytes of an output file with system calls, until all are done. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "core/output/outfile_parts.h"

#define VECTORS_MAX 1024 /* IOV_MAX on Linux */

/* Writes once. Returns the bytes that the kernel took, or a negative errno. */
static ssize_t write_once(struct cw_outfile *file, const struct iovec *vectors, int count,
			  uint64_t offset)
{
	struct pollfd writable = {.fd = file->fd, .events = POLLOUT};
	ssize_t done;

	if (count > VECTORS_MAX)
		count = VECTORS_MAX;
	if (file->entry.kind == CW_ENTRY_REGULAR)
		done = pwritev(file->fd, vectors, count, (off_t)offset);
	else
		done = writev(file->fd, vectors, count);
	if (done > 0)
		return done;
	if (done == 0)
		return -EIO; /* no progress without a reason: would loop forever */
	if (errno == EINTR)
		return 0;
	if (errno != EAGAIN)
		return -errno;
	/* An inherited descriptor may be non-blocking and must not be changed. */
	if (poll(&writable, 1, -1) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

size_t cw_outfile_write_plain(struct cw_outfile *file, struct iovec *vectors, int count,
			      uint64_t offset, int *failure)
{
	size_t total = 0;

	*failure = 0;
	while (!*failure) {
		ssize_t done;

		while (count > 0 && vectors->iov_len == 0) {
			vectors++;
			count--;
		}
		if (count <= 0)
			break;
		if (offset > INT64_MAX - total) {
			*failure = -EFBIG;
			break;
		}
		done = write_once(file, vectors, count, offset + total);
		if (done < 0) {
			*failure = (int)done;
			break;
		}
		total += (size_t)done;
		for (size_t left = (size_t)done; left > 0;) {
			size_t step = cw_min_size(left, vectors->iov_len);

			vectors->iov_base = (char *)vectors->iov_base + step;
			vectors->iov_len -= step;
			left -= step;
			if (vectors->iov_len == 0) {
				vectors++;
				count--;
			}
		}
	}
	if (total && offset + total > file->reached)
		file->reached = offset + total;
	return total;
}

int64_t cw_outfile_read_plain(struct cw_outfile *file, void *buffer, size_t bytes, uint64_t offset)
{
	size_t total = 0;

	if (file->fd < 0)
		return -EBADF;
	if (file->entry.kind != CW_ENTRY_REGULAR)
		return -ESPIPE;
	if (offset > INT64_MAX || bytes > INT64_MAX - offset)
		return -EINVAL;
	while (total < bytes) {
		ssize_t done =
		    pread(file->fd, (char *)buffer + total, bytes - total, (off_t)(offset + total));

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (done == 0)
			break;
		total += (size_t)done;
	}
	return (int64_t)total;
}

int cw_outfile_truncate(struct cw_outfile *file, uint64_t bytes)
{
	int status;

	do
		status = ftruncate(file->fd, (off_t)bytes);
	while (status && errno == EINTR);
	return status ? -errno : 0;
}
