/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One output file: created hidden beside its target, written at offsets, cut, synced, renamed.
 * Every system call is checked and its failure returned. Devices and FIFOs are opened in place and
 * written in sequence. Single owner at a time; no locks.
 */
#ifndef CW_CORE_OUTPUT_OUTFILE_H
#define CW_CORE_OUTPUT_OUTFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/base/error.h"

/* Files that write directly at a time, at 2 MiB and a descriptor each; any more are buffered. */
#define CW_DIRECT_FILES_MAX 16u

struct cw_outfile;

/*
 * What the files of a run share that may write directly, past the page cache. A file does so once
 * it has filled 1 MiB since it was opened, if a place is free; with `is_paced` only one that fills
 * 1 MiB within 250 ms, until it needs more than 1 s. Any thread. There are up to
 * CW_DIRECT_FILES_MAX places. -ENOMEM; free it after the files.
 */
struct cw_direct_share;
int cw_direct_share_new(struct cw_direct_share **share, uint32_t file_count, bool is_paced);
void cw_direct_share_free(struct cw_direct_share *share); /* accepts NULL */

/* Why the first file that had to be written buffered could not go direct (negative errno), or 0. A
 * build without direct writing says -ENOSYS at once. That places ran out is no reason. */
int cw_direct_share_refusal(const struct cw_direct_share *share);

struct cw_pack;

struct cw_outfile_options {
	bool no_clobber;                /* publish fails with -EEXIST when the target exists */
	bool sync;                      /* fdatasync before rename, directory fsync after */
	int standard_output;            /* descriptor to use for the path "-"; else -1 */
	struct cw_direct_share *direct; /* keeps; NULL: always buffered */
	struct cw_pack *pack;           /* keeps; compresses the file (format/pack.h). NULL: none */
	int wake_fd; /* readable when waiting for a FIFO's reader shall end (-EINTR); <= 0: none */
};

/* Only memory: remembers path (copies) and options. No system call that can block. -EINVAL for an
 * empty path and for "-" without standard_output, -EISDIR for one that ends in "/", "." or "..". */
int cw_outfile_new(struct cw_outfile **file, const char *path,
		   const struct cw_outfile_options *options);

/*
 * Create (first time) or reopen (after cw_outfile_evict) it. A regular target, or none: a unique
 * hidden ".NAME.XXXXXX.part" in the same directory, O_EXCL|O_NOFOLLOW|O_CLOEXEC, mode 0600. A
 * reopened file must be the same inode, else -ESTALE. -EMFILE and -ENFILE are returned as such.
 * No effect when it is open.
 *
 * A symbolic link counts as what it leads to when that is a device or FIFO; otherwise publishing
 * replaces the link, never what it leads to. "/dev/stdout", "/dev/stderr" and "/dev/fd/N" are
 * descriptors of this process, written where they stand. A FIFO without reader is waited for;
 * -EINTR when wake_fd becomes readable. Sockets are -ENXIO, folders -EISDIR.
 */
int cw_outfile_open(struct cw_outfile *file, struct cw_error *error);
bool cw_outfile_is_open(const struct cw_outfile *file);
bool cw_outfile_is_seekable(const struct cw_outfile *file); /* regular file; known after open */
bool cw_outfile_was_created(const struct cw_outfile *file);

/*
 * Write all of `vectors` at `offset` (in sequence on what cannot seek). Retries short writes and
 * EINTR. Returns the bytes taken; fewer than asked only with *failure set to a negative errno. The
 * vectors are modified. What was taken is copied or in the kernel's hands: cw_outfile_reached tells
 * which. A failure can be that of bytes taken before; it then stays until they are dropped.
 */
size_t cw_outfile_write(struct cw_outfile *file, struct iovec *vectors, int count, uint64_t offset,
			int *failure);

/* The file's length (of a pipe: the stream's) that the kernel has taken, whatever happens to this
 * process; at a failure, the good prefix. After buffered writes, all of it. Does not wait. */
uint64_t cw_outfile_reached(struct cw_outfile *file);

/* Nothing more is written. A compressed file gets its last frame; before, it has whole ones only,
 * and flushing it does nothing. Others are flushed. 0, or the first failure. */
int cw_outfile_finish(struct cw_outfile *file);

/* Bytes on the disk; cw_outfile_reached counts the content, also of a compressed file. */
uint64_t cw_outfile_file_bytes(struct cw_outfile *file);

/* Wait until the kernel has all that was taken, to the byte. 0, or the first failure. */
int cw_outfile_flush(struct cw_outfile *file);

/* Whether flushing, cutting or closing would wait for a block that is on its way now. */
bool cw_outfile_is_busy(struct cw_outfile *file);

/* Forget what was taken beyond what is reached, and its failure; waits while busy. */
void cw_outfile_drop(struct cw_outfile *file);

/* Read back `bytes` at `offset` of a regular file (flushes it); bytes read, or negative errno. */
int64_t cw_outfile_read(struct cw_outfile *file, void *buffer, size_t bytes, uint64_t offset);

/* Cut a regular file to `bytes`; what was taken beyond them is dropped. */
int cw_outfile_cut(struct cw_outfile *file, uint64_t bytes);

/* Close the descriptor of an idle regular file; the next open reopens it. Flushes it; if that
 * fails, the next write or flush says so. With sync: fdatasync first. Nothing happens to what
 * cannot be reopened. */
int cw_outfile_evict(struct cw_outfile *file);

/* Flush, close and put it under its name: [fdatasync,] close, rename[, directory fsync]. The
 * result of every step counts. On error the data stays in the .part file, whose name `error` says,
 * and publish can be tried again; a failed fdatasync or close stays failed, since the kernel
 * reports lost data once. -EBADF for a file never opened, or already published. */
int cw_outfile_publish(struct cw_outfile *file, struct cw_error *error);

/* Close and remove the .part file, or leave it there with `keep_part`. */
void cw_outfile_discard(struct cw_outfile *file, bool keep_part);

/* Remove a published file again. -ESTALE when it was changed, or its name is another file's by
 * now, which stays; that there is none any more is no error. -EBADF for what was not published, or
 * is no regular file. */
int cw_outfile_remove(struct cw_outfile *file, struct cw_error *error);

/* Bytes that this process may still write where the file is or will be. Opens its folder only. */
int cw_outfile_free_space(const struct cw_outfile *file, uint64_t *bytes);

const char *cw_outfile_path(const struct cw_outfile *file);
const char *cw_outfile_part_path(const struct cw_outfile *file); /* NULL when none */
void cw_outfile_free(struct cw_outfile *file);                   /* accepts NULL */

#endif
