/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Direct writing: a regular file's bytes bypass the page cache, in blocks of 1 MiB that io_uring
 * writes with O_DIRECT while the next block fills. outfile_write.c decides when to write directly.
 *
 *     cw_direct_ring_new(&ring)                early; one file at a time uses it
 *     cw_direct_start(&direct, ring, fd, at)   starts at offset `at`; if it fails, write buffered
 *     cw_direct_write(direct, vectors, ...)    copies the bytes; submits full blocks
 *     cw_direct_flush(direct)                  returns when the kernel has all bytes
 *     cw_direct_stop(direct)                   waits, drops unflushed bytes, frees
 *
 * Each file has two blocks: one fills, at most one is in flight. A second one in flight could leave
 * a hole of zeros after a kill, because writes beyond a file's end complete in any order. One block
 * of 1 MiB at a time is as fast as the disk. So the file is at all times a prefix of the bytes
 * taken, and `reached` is the length that is certain.
 *
 * In a build without liburing (direct_none.c), no ring can be made. Single owner at a time, any
 * thread. A thread may end while its block is in flight.
 */
#ifndef CW_CORE_OUTPUT_DIRECT_H
#define CW_CORE_OUTPUT_DIRECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define CW_DIRECT_BLOCK_BYTES ((size_t)1 << 20)

struct cw_direct;

/*
 * An io_uring. The kernel takes nothing through it but writes to descriptors that are open. It is
 * made before the process gives up its right to make one, and works after that; not in a child.
 */
struct cw_direct_ring;

/* Returns 0; -ENOSYS: this build or kernel has no io_uring that can be restricted; -EPERM: not
 * permitted; -ENOMEM, -EMFILE and others. */
int cw_direct_ring_new(struct cw_direct_ring **ring);
void cw_direct_ring_free(struct cw_direct_ring *ring); /* accepts NULL */

/* Returns whether the ring holds a request that was not submitted: no other file may use it. */
bool cw_direct_ring_is_spoilt(const struct cw_direct_ring *ring);

/*
 * Starts to write `fd` (borrows; open for reading and writing, O_DIRECT off) directly from
 * `offset`, the file's length, by the ring (borrows). Returns 0; -EOPNOTSUPP: the file system does
 * not support it; -ENOMEM and others: try later.
 */
int cw_direct_start(struct cw_direct **direct, struct cw_direct_ring *ring, int fd,
		    uint64_t offset);

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
