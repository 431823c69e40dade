/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of an output file: written buffered, call by call, or handed to the direct writer
 * (direct.h), which has some of them on the way after a call, or compressed
 * (outfile_pack.h). Here is decided which: a file
 * goes direct when it has filled a block since it was opened, fast enough where that is asked, and
 * a place is free; it goes back when it becomes slow, is evicted or cut, or when the file system
 * says no.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/output/outfile_pack.h"

#define VECTORS_MAX 1024 /* IOV_MAX on Linux */
/* A paced file goes direct if it fills a block within the first, back if it needs the second. */
#define PACE_NS_DIRECT UINT64_C(250000000)
#define PACE_NS_BUFFERED UINT64_C(1000000000)

/* ---- what the files share ---- */

int cw_direct_share_new(struct cw_direct_share **result, uint32_t file_count, bool is_paced)
{
	struct cw_direct_share *share = calloc(1, sizeof(*share));

	*result = share;
	if (!share)
		return -ENOMEM;
	share->is_paced = is_paced;
	atomic_init(&share->free_count, (int32_t)cw_min_u32(file_count, CW_DIRECT_FILES_MAX));
	atomic_init(&share->refusal, cw_direct_is_built() ? 0 : -ENOSYS);
	return 0;
}

void cw_direct_share_free(struct cw_direct_share *share)
{
	free(share);
}

int cw_direct_share_refusal(const struct cw_direct_share *share)
{
	return atomic_load_explicit(&share->refusal, memory_order_relaxed);
}

static bool take_place(struct cw_direct_share *share)
{
	if (atomic_fetch_sub_explicit(&share->free_count, 1, memory_order_relaxed) > 0)
		return true;
	atomic_fetch_add_explicit(&share->free_count, 1, memory_order_relaxed);
	return false;
}

static void give_place_back(struct cw_direct_share *share)
{
	atomic_fetch_add_explicit(&share->free_count, 1, memory_order_relaxed);
}

static void refuse(struct cw_outfile *file, int failure)
{
	int none = 0;

	file->is_refused = true;
	atomic_compare_exchange_strong_explicit(&file->options.direct->refusal, &none, failure,
						memory_order_relaxed, memory_order_relaxed);
}

/* ---- buffered or direct ---- */

static void leave_direct(struct cw_outfile *file)
{
	if (!file->direct)
		return;
	file->reached = cw_direct_stop(file->direct);
	file->direct = NULL;
	file->pace_bytes = 0;
	file->pace_ns = 0;
	file->is_fast = false;
	give_place_back(file->options.direct);
}

/* How fast the file fills a block. */
static void note_pace(struct cw_outfile *file, size_t bytes)
{
	uint64_t now;

	file->pace_bytes += bytes;
	if (file->pace_ns && file->pace_bytes < CW_DIRECT_BLOCK_BYTES)
		return;
	now = cw_now_ns();
	if (file->pace_bytes >= CW_DIRECT_BLOCK_BYTES) {
		file->is_fast =
		    !file->options.direct->is_paced || !file->pace_ns ||
		    now - file->pace_ns <= (file->direct ? PACE_NS_BUFFERED : PACE_NS_DIRECT);
		file->pace_bytes = 0;
	}
	file->pace_ns = now;
}

static void try_direct(struct cw_outfile *file, uint64_t offset)
{
	int failure;

	if (!take_place(file->options.direct))
		return;
	failure = cw_direct_start(&file->direct, file->fd, offset);
	if (!failure)
		return;
	give_place_back(file->options.direct);
	/* What may be there later is tried again with the next block. */
	file->is_fast = false;
	if (failure != -EMFILE && failure != -ENFILE && failure != -ENOMEM && failure != -EAGAIN)
		refuse(file, failure);
}

/* Before bytes are written at `offset`: by which way. */
static void choose_way(struct cw_outfile *file, uint64_t offset)
{
	if (file->direct && cw_direct_is_refused(file->direct))
		refuse(file, -EOPNOTSUPP);
	if (file->direct &&
	    (file->is_refused || !file->is_fast || cw_direct_next(file->direct) != offset)) {
		file->write_failure = cw_direct_settle(file->direct);
		if (!file->write_failure)
			leave_direct(file);
	}
	if (!file->direct && file->is_fast && !file->is_refused && offset == file->reached)
		try_direct(file, offset);
}

/* ---- writing ---- */

/* Bytes that the kernel takes in one call, or negative errno. */
static ssize_t write_once(struct cw_outfile *file, const struct iovec *vectors, int count,
			  uint64_t offset)
{
	struct pollfd writable = {.fd = file->fd, .events = POLLOUT};
	ssize_t done;

	if (count > VECTORS_MAX)
		count = VECTORS_MAX;
	if (file->kind == TARGET_REGULAR)
		done = pwritev(file->fd, vectors, count, (off_t)offset);
	else
		done = writev(file->fd, vectors, count);
	if (done > 0)
		return done;
	if (done == 0)
		return -EIO; /* no progress and no reason: never loop on it */
	if (errno == EINTR)
		return 0;
	if (errno != EAGAIN)
		return -errno;
	/* An inherited descriptor may be non-blocking; it is not ours to change. */
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

size_t cw_outfile_write(struct cw_outfile *file, struct iovec *vectors, int count, uint64_t offset,
			int *failure)
{
	bool may_be_direct = file->options.direct && file->kind == TARGET_REGULAR;
	size_t total;

	*failure = file->fd < 0 ? -EBADF : 0;
	if (*failure)
		return 0;
	if (file->options.pack)
		return cw_outfile_pack_write(file, vectors, count, offset, failure);
	if (may_be_direct && !file->write_failure)
		choose_way(file, offset);
	*failure = file->write_failure;
	if (*failure)
		return 0;
	if (file->direct) {
		total = cw_direct_write(file->direct, vectors, count, failure);
		file->write_failure = *failure;
	} else {
		total = cw_outfile_write_plain(file, vectors, count, offset, failure);
	}
	if (may_be_direct)
		note_pace(file, total);
	return total;
}

int cw_outfile_finish(struct cw_outfile *file)
{
	return file->options.pack ? cw_outfile_pack_finish(file) : cw_outfile_settle(file);
}

uint64_t cw_outfile_file_bytes(struct cw_outfile *file)
{
	return file->options.pack ? cw_outfile_pack_file_bytes(file) : cw_outfile_reached(file);
}

int cw_outfile_settle(struct cw_outfile *file)
{
	if (file->direct && !file->write_failure)
		file->write_failure = cw_direct_settle(file->direct);
	return file->write_failure;
}

uint64_t cw_outfile_reached(struct cw_outfile *file)
{
	if (file->options.pack)
		return cw_outfile_pack_reached(file);
	return file->direct ? cw_direct_reached(file->direct) : file->reached;
}

bool cw_outfile_is_busy(struct cw_outfile *file)
{
	return file->direct && cw_direct_is_busy(file->direct);
}

void cw_outfile_drop(struct cw_outfile *file)
{
	cw_outfile_pack_drop(file);
	leave_direct(file);
	file->write_failure = 0;
}

int64_t cw_outfile_read_plain(struct cw_outfile *file, void *buffer, size_t bytes, uint64_t offset)
{
	size_t total = 0;

	if (file->fd < 0)
		return -EBADF;
	if (file->kind != TARGET_REGULAR)
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

int64_t cw_outfile_read(struct cw_outfile *file, void *buffer, size_t bytes, uint64_t offset)
{
	if (file->options.pack)
		return cw_outfile_pack_read(file, buffer, bytes, offset);
	if (file->fd >= 0 && file->kind == TARGET_REGULAR)
		(void)cw_outfile_settle(
		    file); /* what cannot be written cannot be read: fewer bytes */
	return cw_outfile_read_plain(file, buffer, bytes, offset);
}

int cw_outfile_cut(struct cw_outfile *file, uint64_t bytes)
{
	int status;

	if (file->fd < 0)
		return -EBADF;
	if (file->kind != TARGET_REGULAR)
		return -ESPIPE;
	if (bytes > INT64_MAX)
		return -EFBIG;
	if (file->options.pack)
		return cw_outfile_pack_cut(file, bytes);
	if (bytes > cw_outfile_reached(file))
		(void)cw_outfile_settle(file);
	cw_outfile_drop(file);
	do
		status = ftruncate(file->fd, (off_t)bytes);
	while (status && errno == EINTR);
	if (status)
		return -errno;
	file->reached = bytes;
	return 0;
}
