/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes the bytes of an output file: buffered, with system calls; directly (direct.h), perhaps
 * with a block in flight after a call; or compressed (outfile_pack.h). A file writes directly when
 * it has filled a block since it was opened, fast enough if paced, and a place is free. It returns
 * to buffered writing when it becomes slow, is evicted or truncated, or the file system refuses.
 */
#include <errno.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/output/outfile_pack.h"

/* A paced file starts direct writing if it fills a block within the first time, and stops if it
 * needs more than the second. */
#define PACE_NS_DIRECT UINT64_C(250000000)
#define PACE_NS_BUFFERED UINT64_C(1000000000)

/* ---- buffered or direct ---- */

static void refuse(struct cw_outfile *file, int failure)
{
	file->is_refused = true;
	cw_direct_share_refuse_any(file->options.direct, failure);
}

static void leave_direct(struct cw_outfile *file)
{
	if (!file->direct)
		return;
	file->reached = cw_direct_stop(file->direct);
	file->direct = NULL;
	file->pace_bytes = 0;
	file->pace_ns = 0;
	file->is_fast = false;
	cw_direct_share_give_back_any(file->options.direct, file->direct_place);
}

/* Measures how fast the file fills a block. */
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
	struct cw_direct_share *share = file->options.direct;
	int failure;

	if (!cw_direct_share_take_any(share, &file->direct_place))
		return;
	failure =
	    cw_direct_start(&file->direct, share->rings[file->direct_place], file->fd, offset);
	if (!failure)
		return;
	cw_direct_share_give_back_any(share, file->direct_place);
	/* Memory may be available later: the next block tries again. */
	file->is_fast = false;
	if (failure != -ENOMEM && failure != -EAGAIN)
		refuse(file, failure);
}

/* Chooses between buffered and direct before bytes are written at `offset`. */
static void choose_way(struct cw_outfile *file, uint64_t offset)
{
	if (file->direct && cw_direct_is_refused(file->direct))
		refuse(file, -EOPNOTSUPP);
	if (file->direct &&
	    (file->is_refused || !file->is_fast || cw_direct_next(file->direct) != offset)) {
		file->write_failure = cw_direct_flush(file->direct);
		if (!file->write_failure)
			leave_direct(file);
	}
	if (!file->direct && file->is_fast && !file->is_refused && offset == file->reached)
		try_direct(file, offset);
}

/* ---- writing ---- */

size_t cw_outfile_write(struct cw_outfile *file, struct iovec *vectors, int count, uint64_t offset,
			int *failure)
{
	bool may_be_direct = file->options.direct && file->entry.kind == CW_ENTRY_REGULAR;
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
	return file->options.pack ? cw_outfile_pack_finish(file) : cw_outfile_flush(file);
}

uint64_t cw_outfile_file_bytes(struct cw_outfile *file)
{
	return file->options.pack ? cw_outfile_pack_file_bytes(file) : cw_outfile_reached(file);
}

int cw_outfile_flush(struct cw_outfile *file)
{
	if (file->direct && !file->write_failure)
		file->write_failure = cw_direct_flush(file->direct);
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

int64_t cw_outfile_read(struct cw_outfile *file, void *buffer, size_t bytes, uint64_t offset)
{
	if (file->options.pack)
		return cw_outfile_pack_read(file, buffer, bytes, offset);
	if (file->fd >= 0 && file->entry.kind == CW_ENTRY_REGULAR)
		(void)cw_outfile_flush(file); /* after a failure, only the written bytes are read */
	return cw_outfile_read_plain(file, buffer, bytes, offset);
}

int cw_outfile_cut(struct cw_outfile *file, uint64_t bytes)
{
	int status;

	if (file->fd < 0)
		return -EBADF;
	if (file->entry.kind != CW_ENTRY_REGULAR)
		return -ESPIPE;
	if (bytes > INT64_MAX)
		return -EFBIG;
	if (file->options.pack)
		return cw_outfile_pack_cut(file, bytes);
	if (bytes > cw_outfile_reached(file))
		(void)cw_outfile_flush(file);
	cw_outfile_drop(file);
	status = cw_outfile_truncate(file, bytes);
	if (status == 0)
		file->reached = bytes;
	return status;
}
