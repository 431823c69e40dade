/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Direct writing with liburing, which only this file uses. A block starts at a multiple of the
 * alignment and ends at a multiple of its size, so only a file's first block may be shorter.
 *
 * Bytes are copied once more in user space. The copy takes 0.03 of the 0.11 CPU-s/GB that
 * bench/peers/direct_write.c measures (buffered: 0.19, without the kernel's writeback), because the
 * chunk is still in the processor's cache. Writing straight from chunks would hold them until the
 * disk is done, and the chunk pool would wait for outputs that no thread is about to write. Blocks
 * of 2 MiB take 0.08, of 512 KiB 0.17. IOSQE_ASYNC or several blocks in flight gain nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "core/base/base.h"
#include "core/output/direct.h"

#define ALIGN_BYTES_LEAST 4096u /* a page, and no less than any disk's block */
#define ALIGN_BYTES_MAX 65536u
#define RING_ENTRIES 2u
#define BLOCK_COUNT 2u
/* Both blocks share one huge page, if available, which the kernel pins in one step. */
#define MEMORY_BYTES (BLOCK_COUNT * CW_DIRECT_BLOCK_BYTES)
/* A flush writes fewer bytes than this through the page cache: a disk access costs more. */
#define SETTLE_BYTES_LEAST ((size_t)64 << 10)

struct block {
	uint8_t *memory;
	uint64_t start; /* file offset, aligned */
	size_t used;    /* bytes filled */
};

struct cw_direct_ring {
	struct io_uring uring;
	bool is_spoilt;
};

struct cw_direct {
	struct cw_direct_ring *ring; /* borrowed */
	int fd;
	bool has_flag; /* O_DIRECT is set on fd */
	bool is_refused;
	bool is_busy;      /* the other block (not blocks[filling]) is in flight */
	size_t busy_bytes; /* bytes in flight */
	int failure;       /* first failure; permanent */
	uint32_t align_bytes;
	uint64_t reached; /* bytes of the file that the kernel certainly has */
	struct block blocks[BLOCK_COUNT];
	uint32_t filling; /* index of the block that fills */
	uint8_t *memory;
};

/* ---- rings ---- */

/*
 * Requests in an io_uring are no system calls, so no list of system calls covers them: the ring
 * itself is restricted. liburing 2.3 has no functions for this.
 */
static int restrict_ring(const struct io_uring *uring)
{
	static const struct io_uring_restriction allowed[] = {
	    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE},
	    /* Newer kernels refuse other registrations only if one is named. This one only asks. */
	    {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_PROBE},
	};

	if (syscall(SYS_io_uring_register, uring->ring_fd, IORING_REGISTER_RESTRICTIONS, allowed,
		    CW_ARRAY_COUNT(allowed)) < 0 ||
	    syscall(SYS_io_uring_register, uring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) <
		0)
		return -errno;
	return 0;
}

int cw_direct_ring_new(struct cw_direct_ring **result)
{
	struct cw_direct_ring *ring = calloc(1, sizeof(*ring));
	int failure;

	*result = NULL;
	if (!ring)
		return -ENOMEM;
	failure = io_uring_queue_init(RING_ENTRIES, &ring->uring, IORING_SETUP_R_DISABLED);
	if (failure)
		goto free_ring;
	failure = restrict_ring(&ring->uring);
	if (failure)
		goto exit_ring;
	*result = ring;
	return 0;
exit_ring:
	io_uring_queue_exit(&ring->uring);
free_ring:
	free(ring);
	return failure == -EINVAL ? -ENOSYS : failure; /* before Linux 5.10: no restrictions */
}

void cw_direct_ring_free(struct cw_direct_ring *ring)
{
	if (!ring)
		return;
	io_uring_queue_exit(&ring->uring);
	free(ring);
}

bool cw_direct_ring_is_spoilt(const struct cw_direct_ring *ring)
{
	return ring->is_spoilt;
}

/* ---- start ---- */

/* Returns the alignment that the file needs, or a negative errno. */
static int64_t find_align_bytes(int fd)
{
	uint32_t align_bytes = ALIGN_BYTES_LEAST;
	struct statx status;
	struct statfs system;

	/* These accept O_DIRECT but still copy into the page cache. */
	if (fstatfs(fd, &system))
		return -errno;
	if (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC)
		return -EOPNOTSUPP;
	/* If the kernel or the file system does not report it, the first write decides. */
	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) ||
	    !(status.stx_mask & STATX_DIOALIGN))
		return align_bytes;
	if (!status.stx_dio_offset_align || !status.stx_dio_mem_align)
		return -EOPNOTSUPP;
	while (align_bytes < status.stx_dio_offset_align || align_bytes < status.stx_dio_mem_align)
		align_bytes *= 2;
	return align_bytes <= ALIGN_BYTES_MAX ? (int64_t)align_bytes : -EOPNOTSUPP;
}

static int set_flag(struct cw_direct *direct, bool has_flag)
{
	int flags;

	if (direct->has_flag == has_flag)
		return 0;
	flags = fcntl(direct->fd, F_GETFL);
	if (flags < 0 ||
	    fcntl(direct->fd, F_SETFL, has_flag ? flags | O_DIRECT : flags & ~O_DIRECT) < 0)
		return -errno;
	direct->has_flag = has_flag;
	return 0;
}

/* Prepares the block that holds `offset`, and reads its bytes before `offset` from the file. */
static int fill_first(struct cw_direct *direct, uint64_t offset)
{
	struct block *block = &direct->blocks[0];

	block->start = offset & ~(uint64_t)(direct->align_bytes - 1);
	block->used = (size_t)(offset - block->start);
	for (size_t done = 0; done < block->used;) {
		ssize_t got = pread(direct->fd, block->memory + done, block->used - done,
				    (off_t)(block->start + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		done += (size_t)got;
	}
	return 0;
}

int cw_direct_start(struct cw_direct **result, struct cw_direct_ring *ring, int fd, uint64_t offset)
{
	int64_t align_bytes = find_align_bytes(fd);
	struct cw_direct *direct;
	int failure;

	*result = NULL;
	if (align_bytes < 0)
		return (int)align_bytes;
	direct = calloc(1, sizeof(*direct));
	if (!direct)
		return -ENOMEM;
	direct->ring = ring;
	direct->fd = fd;
	direct->align_bytes = (uint32_t)align_bytes;
	direct->reached = offset;
	failure = -ENOMEM;
	direct->memory = aligned_alloc(MEMORY_BYTES, MEMORY_BYTES);
	if (!direct->memory)
		goto free_direct;
	(void)madvise(direct->memory, MEMORY_BYTES, MADV_HUGEPAGE); /* small pages work too */
	for (size_t index = 0; index < BLOCK_COUNT; index++)
		direct->blocks[index].memory = direct->memory + index * CW_DIRECT_BLOCK_BYTES;
	failure = fill_first(direct, offset);
	if (failure)
		goto free_memory;
	failure = set_flag(direct, true);
	if (failure == -EINVAL)
		failure = -EOPNOTSUPP;
	if (failure)
		goto free_memory;
	*result = direct;
	return 0;
free_memory:
	free(direct->memory);
free_direct:
	free(direct);
	return failure;
}

/* ---- one block ---- */

static void raise_reached(struct cw_direct *direct, uint64_t offset)
{
	/* Never lowered: a block may start with bytes that the file already has. */
	if (offset > direct->reached)
		direct->reached = offset;
}

/* Writes through the page cache, up to the first failure. */
static int write_buffered(struct cw_direct *direct, const uint8_t *bytes, size_t count,
			  uint64_t offset)
{
	struct iovec rest;

	direct->failure = set_flag(direct, false);
	while (!direct->failure && count) {
		ssize_t done;

		rest.iov_base = (void *)(uintptr_t)bytes;
		rest.iov_len = count;
		done = pwritev(direct->fd, &rest, 1, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) { /* 0: no progress without a reason; would loop forever */
			direct->failure = done < 0 ? -errno : -EIO;
			break;
		}
		bytes += done;
		count -= (size_t)done;
		offset += (size_t)done;
		raise_reached(direct, offset);
	}
	return direct->failure;
}

/*
 * Handles the result of writing `bytes` of a block. Writes the rest buffered if that may work: a
 * full disk may have room for a part, and a write that the kernel cancelled (its thread ended) was
 * not tried.
 */
static int finish_write(struct cw_direct *direct, const struct block *block, size_t bytes,
			int result)
{
	size_t done = result > 0 ? (size_t)result : 0;

	raise_reached(direct, block->start + done);
	if (done >= bytes)
		return 0;
	switch (result < 0 ? -result : 0) {
	case EINVAL:
	case EOPNOTSUPP:
	case ENOSYS:
		direct->is_refused = true;
		break;
	case 0: /* short write: the next call returns the reason */
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case EAGAIN:
	case EBUSY:
	case EINTR:
	case ECANCELED:
		break;
	default:
		direct->failure = result;
		return result;
	}
	return write_buffered(direct, block->memory + done, bytes - done, block->start + done);
}

/* Handles the result of the block in flight, if it has arrived; with `waits`, waits for it. */
static int complete(struct cw_direct *direct, bool waits)
{
	const struct block *block = &direct->blocks[direct->filling ^ 1];
	const struct timespec pause = {.tv_nsec = 1000000};
	struct io_uring *uring = &direct->ring->uring;
	struct io_uring_cqe *entry;
	bool can_wait = waits;
	int result;

	if (!direct->is_busy)
		return direct->failure;
	for (;;) {
		result =
		    can_wait ? io_uring_wait_cqe(uring, &entry) : io_uring_peek_cqe(uring, &entry);
		if (result == 0)
			break;
		if (result == -EINTR)
			continue;
		if (!waits)
			return 0;
		/* Nothing may be written or truncated while the kernel may still write the block.
		 * Its result reaches shared memory without a call that can fail. */
		can_wait = false;
		nanosleep(&pause, NULL);
	}
	direct->is_busy = false;
	result = entry->res;
	io_uring_cqe_seen(uring, entry);
	return finish_write(direct, block, direct->busy_bytes, result);
}

/* Submits the first `bytes` (aligned) of the filling block; from here the other block fills. */
static int submit(struct cw_direct *direct, size_t bytes)
{
	struct block *block = &direct->blocks[direct->filling];
	struct block *next = &direct->blocks[direct->filling ^ 1];
	int result = direct->is_refused ? -EOPNOTSUPP : set_flag(direct, true);

	next->start = block->start + bytes;
	next->used = block->used - bytes;
	memcpy(next->memory, block->memory + bytes, next->used);
	direct->filling ^= 1;
	if (result == 0) {
		struct io_uring *uring = &direct->ring->uring;
		struct io_uring_sqe *entry = io_uring_get_sqe(uring); /* never NULL: none pends */

		io_uring_prep_write(entry, direct->fd, block->memory, (unsigned)bytes,
				    block->start);
		do
			result = io_uring_submit(uring);
		while (result == -EINTR);
		direct->ring->is_spoilt = result != 1; /* a leftover must never be submitted */
	}
	if (result == 1) {
		direct->is_busy = true;
		direct->busy_bytes = bytes;
		return 0;
	}
	direct->is_refused = true;
	return write_buffered(direct, block->memory, bytes, block->start);
}

/* ---- the stream ---- */

static size_t room(const struct block *block)
{
	return CW_DIRECT_BLOCK_BYTES - (size_t)(block->start % CW_DIRECT_BLOCK_BYTES) - block->used;
}

size_t cw_direct_write(struct cw_direct *direct, const struct iovec *vectors, int count,
		       int *failure)
{
	size_t total = 0;

	*failure = complete(direct, false);
	for (int index = 0; index < count && !*failure; index++) {
		const uint8_t *bytes = vectors[index].iov_base;
		size_t left = vectors[index].iov_len;

		while (left && !*failure) {
			struct block *block = &direct->blocks[direct->filling];
			size_t step = cw_min_size(left, room(block));

			memcpy(block->memory + block->used, bytes, step);
			block->used += step;
			bytes += step;
			left -= step;
			total += step;
			if (room(block))
				continue;
			*failure = complete(direct, true);
			if (!*failure)
				*failure = submit(direct, block->used);
		}
	}
	return total;
}

int cw_direct_flush(struct cw_direct *direct)
{
	struct block *block;
	size_t before;

	if (complete(direct, true))
		return direct->failure;
	block = &direct->blocks[direct->filling];
	if (block->start + block->used > direct->reached) {
		size_t aligned = block->used & ~(size_t)(direct->align_bytes - 1);

		if (aligned >= SETTLE_BYTES_LEAST && !direct->is_refused &&
		    (submit(direct, aligned) || complete(direct, true)))
			return direct->failure;
		block = &direct->blocks[direct->filling];
		before = (size_t)(direct->reached - block->start);
		if (write_buffered(direct, block->memory + before, block->used - before,
				   direct->reached))
			return direct->failure;
	}
	direct->failure = set_flag(direct, false);
	return direct->failure;
}

uint64_t cw_direct_reached(struct cw_direct *direct)
{
	complete(direct, false);
	return direct->reached;
}

uint64_t cw_direct_next(const struct cw_direct *direct)
{
	const struct block *block = &direct->blocks[direct->filling];

	return block->start + block->used;
}

bool cw_direct_is_busy(struct cw_direct *direct)
{
	complete(direct, false);
	return direct->is_busy;
}

bool cw_direct_is_refused(const struct cw_direct *direct)
{
	return direct->is_refused;
}

uint64_t cw_direct_stop(struct cw_direct *direct)
{
	uint64_t reached;

	if (!direct)
		return 0;
	complete(direct, true);
	(void)set_flag(direct, false);
	reached = direct->reached;
	free(direct->memory);
	free(direct);
	return reached;
}
