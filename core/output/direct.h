/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Direct writing: a regular file's bytes go past the page cache, in blocks of 1 MiB that io_uring
 * writes with O_DIRECT while the next block fills. outfile_write.c decides when.
 *
 *     cw_direct_start(&direct, fd, offset)     from there on; anything refused: write buffered
 *     cw_direct_write(direct, vectors, ...)    copies; full blocks are submitted
 *     cw_direct_flush(direct)                 all of it is with the kernel, the length exact
 *     cw_direct_stop(direct)                   waits, forgets what is not flushed, frees
 *
 * Two blocks a file: one fills, at most one is on its way. There is never a second one, because
 * writes beyond a file's end complete in any order, and a process killed between two of them would
 * leave a hole of zeros; one of 1 MiB at a time is as fast as the disk all the same. So at every
 * instant the file is a prefix of what was taken, and `reached` says how much of it is sure.
 *
 * Built without liburing (direct_none.c), starting is always -ENOSYS. Single owner at a
 * time, any thread; a thread that ends while its block is on its way does no harm.
 */
#ifndef CW_CORE_OUTPUT_DIRECT_H
#define CW_CORE_OUTPUT_DIRECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define CW_DIRECT_BLOCK_BYTES ((size_t)1 << 20)

struct cw_direct;

/* Whether this build can write directly at all. */
bool cw_direct_is_built(void);

/*
 * Write `fd` (borrows it; open for reading and writing, O_DIRECT off) directly from `offset`, which
 * is the file's length. -EOPNOTSUPP: the file system does not take it; -ENOSYS or -EPERM: the
 * kernel has or allows no io_uring; -ENOMEM, -EMFILE and others: not now.
 */
int cw_direct_start(struct cw_direct **direct, int fd, uint64_t offset);

/*
 * Take all of the vectors' bytes (copies). Returns how many were taken; fewer than asked only with
 * *failure set: a block, perhaps of an earlier call, was not written. Failures stay. What is
 * refused only because it is direct is written buffered instead, and so is what a full disk leaves
 * room for.
 */
size_t cw_direct_write(struct cw_direct *direct, const struct iovec *vectors, int count,
		       int *failure);

/* Write what was taken, to the byte; afterwards O_DIRECT is off until the next block. 0 or negative
 * errno, that of a block before it too. */
int cw_direct_flush(struct cw_direct *direct);

/* Bytes of the file, from its start, that the kernel has taken for sure. Grows without waiting. */
uint64_t cw_direct_reached(struct cw_direct *direct);
uint64_t cw_direct_next(const struct cw_direct *direct); /* offset of the next byte to take */

/* Whether a block is on its way. Does not wait. */
bool cw_direct_is_busy(struct cw_direct *direct);

/* The file system refused a block, against what it had said: stop and go on buffered. */
bool cw_direct_is_refused(const struct cw_direct *direct);

/* Wait for the block on its way, forget what was not flushed, free it all (accepts NULL). The
 * descriptor is left with O_DIRECT off. Returns the bytes reached. */
uint64_t cw_direct_stop(struct cw_direct *direct);

#endif
