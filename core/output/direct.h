/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Direct writing: a regular file's bytes bypass the page cache, in blocks of 1 MiB that io_uring
 * writes with O_DIRECT while the next block fills. outfile_write.c decides when to write directly.
 *
 *     cw_direct_start(&direct, fd, offset)     starts at offset; if it fails, write buffered
 *     cw_direct_write(direct, vectors, ...)    copies the bytes; submits full blocks
 *     cw_direct_flush(direct)                  returns when the kernel has all bytes
 *     cw_direct_stop(direct)                   waits, drops unflushed bytes, frees
 *
 * Each file has two blocks: one fills, at most one is in flight. A second one in flight could leave
 * a hole of zeros after a kill, because writes beyond a file's end complete in any order. One block
 * of 1 MiB at a time is as fast as the disk. So the file is at all times a prefix of the bytes
 * taken, and `reached` is the length that is certain.
 *
 * In a build without liburing (direct_none.c), starting returns -ENOSYS. Single owner at a time,
 * any thread. A thread may end while its block is in flight.
 */
#ifndef CW_CORE_OUTPUT_DIRECT_H
#define CW_CORE_OUTPUT_DIRECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define CW_DIRECT_BLOCK_BYTES ((size_t)1 << 20)

struct cw_direct;

/* Returns whether this build can write directly. */
bool cw_direct_is_built(void);

/*
 * Starts to write `fd` (borrows; open for reading and writing, O_DIRECT off) directly from
 * `offset`, the file's length. Returns 0; -EOPNOTSUPP: the file system does not support it; -ENOSYS
 * or -EPERM: io_uring is missing or not permitted; -ENOMEM, -EMFILE and others: try later.
 */
int cw_direct_start(struct cw_direct **direct, int fd, uint64_t offset);

/*
 * Takes the bytes of the vectors (copies). Returns the number of bytes taken; fewer than all only
 * with *failure set: a block, perhaps of an earlier call, was not written. Failures are permanent.
 * If the file system refuses a direct block, or the disk is full, the block is written buffered, as
 * far as there is room.
 */
size_t cw_direct_write(struct cw_direct *direct, const struct iovec *vectors, int count,
		       int *failure);

/* Writes all bytes taken so far. O_DIRECT is then off until the next block. Returns 0 or a negative
 * errno, also of an earlier block. */
int cw_direct_flush(struct cw_direct *direct);

/* Returns the bytes from the file's start that the kernel certainly has. Does not wait. */
uint64_t cw_direct_reached(struct cw_direct *direct);
uint64_t cw_direct_next(const struct cw_direct *direct); /* offset of the next byte to take */

/* Returns whether a block is in flight. Does not wait. */
bool cw_direct_is_busy(struct cw_direct *direct);

/* Returns whether the file system refused a block after accepting O_DIRECT. If so, stop and
 * continue buffered. */
bool cw_direct_is_refused(const struct cw_direct *direct);

/* Waits for the block in flight, drops unflushed bytes, frees everything (accepts NULL). Leaves the
 * descriptor with O_DIRECT off. Returns the bytes reached. */
uint64_t cw_direct_stop(struct cw_direct *direct);

#endif
