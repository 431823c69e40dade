/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One output file: created hidden in its target's folder, written at offsets, truncated, synced,
 * renamed. Every system call's failure is returned. Device files and FIFOs are opened in place and
 * written in sequence. Single owner at a time; no locks.
 */
#ifndef CW_CORE_OUTPUT_OUTFILE_H
#define CW_CORE_OUTPUT_OUTFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "core/base/error.h"
#include "core/output/access.h"

/* Most files that write directly at a time, at 2 MiB each; others are buffered. */
#define CW_DIRECT_FILES_MAX 16u

struct cw_outfile;

/*
 * Places for the files of a run that write directly, past the page cache: up to
 * CW_DIRECT_FILES_MAX, each with a descriptor; fewer where descriptors or memory are short. Make it
 * before the process gives up its right to make io_urings. A file takes a free place when it has
 * filled 1 MiB since it was opened. With `is_paced`, it must fill 1 MiB within 250 ms, and gives
 * the place back when it needs more than 1 s. Any thread. Returns 0 or -ENOMEM. Free it after the
 * files.
 */
struct cw_direct_share;
int cw_direct_share_new(struct cw_direct_share **share, uint32_t file_count, bool is_paced);
void cw_direct_share_free(struct cw_direct_share *share); /* accepts NULL */

/* Returns 0, or why there are no places or the first refused file could not write directly
 * (negative errno; -ENOSYS: not in this build or kernel). A lack of free places does not count. */
int cw_direct_share_refusal(const struct cw_direct_share *share);

struct cw_pack;
struct cw_entries;
struct cw_ring_file;

/*
 * How a file that belongs to a file ring tells the ring's list what it is about to do
 * (ring_list.h). All but `number` return 0 or a negative errno, and are called by any thread.
 * `name` is the path after fixed_bytes.
 */
struct cw_listing {
	int (*note_part)(void *context, const char *hidden, const char *name);
	int (*note_file)(void *context, const struct cw_ring_file *file);
	int (*note_gone)(void *context, const char *name, bool is_part);
	/* Fills `result` (PATH_MAX bytes) with another name for `path`. Negative: it is too long */
	int (*number)(const char *path, unsigned long long number, char *result);
	void *context;
};
struct cw_place;

struct cw_outfile_options {
	bool is_later;                  /* name made while running: regular files, no link */
	struct cw_access access;        /* modes and group of the file and of folders made */
	bool makes_folders;             /* missing folders after fixed_bytes are made */
	size_t fixed_bytes;             /* leading bytes of the path whose folders exist */
	bool no_clobber;                /* publish fails with -EEXIST if the target exists */
	bool sync;                      /* fdatasync before the rename, directory fsync after it */
	const struct cw_place *place;   /* keeps; folder of the fixed_bytes (target.h), or NULL */
	int standard_output;            /* descriptor for the path "-"; else -1 */
	struct cw_direct_share *direct; /* keeps; NULL: always buffered */
	struct cw_pack *pack;           /* keeps; compresses the file (format/pack.h). NULL: none */
	/* keeps; opens, renames and removes the file (entry.h). NULL: this process does */
	const struct cw_entries *entries;
	/* keeps; of the file's ring: no file is replaced, another name is chosen. NULL: none */
	const struct cw_listing *listing;
	uint32_t output;   /* its number at `entries`, if another process has them */
	bool is_removable; /* cw_outfile_remove may be called once the file is published */
	int wake_fd;       /* readable: stop waiting for a FIFO's reader (-ECANCELED); <= 0: none */
};

/* Creates the object from path and options (copies); never blocks. Returns 0 or -ENOMEM; -EINVAL:
 * an empty path, or "-" without standard_output; -EISDIR: a path that ends in "/", "." or "..". */
int cw_outfile_new(struct cw_outfile **file, const char *path,
		   const struct cw_outfile_options *options);

/*
 * Creates the file (first time) or reopens it (after cw_outfile_evict). For a regular or missing
 * target, creates a unique hidden ".NAME.XXXXXX.part" in the same directory with
 * O_EXCL|O_NOFOLLOW|O_CLOEXEC and mode 0600, and locks it while it is open. A reopened file must
 * have the same inode, and must not be shorter, else -ESTALE. -EMFILE and -ENFILE are returned
 * unchanged. Does nothing if the file is open.
 *
 * Symbolic links are followed, and targets refused, as target.h says for files of the effective
 * user: the .part file is made where the links lead. Descriptors of this process ("/dev/stdout",
 * "/dev/fd/N") are written from their current offset. Waits for the reader of a FIFO; -ECANCELED if
 * wake_fd becomes readable. Sockets give -ENXIO, folders -EISDIR. With `is_later`, nothing but a
 * regular file is ever written: publishing fails if something else has the name. With
 * `makes_folders`, makes missing folders, for this user only.
 */
int cw_outfile_open(struct cw_outfile *file, struct cw_error *error);
bool cw_outfile_is_open(const struct cw_outfile *file);
bool cw_outfile_is_seekable(const struct cw_outfile *file); /* regular file; known after open */
bool cw_outfile_was_created(const struct cw_outfile *file);

/* Returns whether the file has its name, also if publishing it returned a failure. */
bool cw_outfile_is_published(const struct cw_outfile *file);

/* Returns 0, or why the process that runs hooks was not told of the published file (-errno). */
int cw_outfile_hook_failure(const struct cw_outfile *file);

/* Returns what a published, complete file lacks, as "its folder was not synced"; NULL: nothing. */
const char *cw_outfile_flaw(const struct cw_outfile *file);

/*
 * Writes all of `vectors` at `offset` (in sequence if the file cannot seek). Retries short writes
 * and EINTR. Modifies the vectors. Returns the bytes taken; fewer than all only with *failure set
 * to a negative errno. Bytes taken are copied; cw_outfile_reached returns how many the kernel has.
 * A failure may concern bytes taken earlier; it then stays until they are dropped.
 */
size_t cw_outfile_write(struct cw_outfile *file, struct iovec *vectors, int count, uint64_t offset,
			int *failure);

/* Returns the file's length (pipe: the stream's) that the kernel has, even if this process ends;
 * after a failure, the good prefix; after buffered writes, all bytes taken. Does not wait. */
uint64_t cw_outfile_reached(struct cw_outfile *file);

/* Ends the content. A compressed file gets its last, perhaps short frame: until then it has full
 * frames only and flushing does nothing. Other files are flushed. Returns 0 or the failure. */
int cw_outfile_finish(struct cw_outfile *file);

/* Returns the bytes on the disk. cw_outfile_reached counts the content, also if compressed. */
uint64_t cw_outfile_file_bytes(struct cw_outfile *file);

/* Waits until the kernel has all bytes taken. Returns 0 or the first failure. */
int cw_outfile_flush(struct cw_outfile *file);

/* Returns whether flushing, truncating or closing would wait for a block in flight. */
bool cw_outfile_is_busy(struct cw_outfile *file);

/* Drops the bytes taken beyond those reached, and their failure. Waits while busy. */
void cw_outfile_drop(struct cw_outfile *file);

/* Reads `bytes` at `offset` of a regular file, after flushing. Returns the bytes read or -errno. */
int64_t cw_outfile_read(struct cw_outfile *file, void *buffer, size_t bytes, uint64_t offset);

/* Truncates a regular file to `bytes`, and drops the bytes taken beyond. Returns 0 or -errno. */
int cw_outfile_cut(struct cw_outfile *file, uint64_t bytes);

/* Closes the descriptor of an idle regular file; the next open reopens it. Flushes it first; if
 * that fails, the next write or flush returns the failure. With sync: fdatasync first. Does nothing
 * to files that cannot be reopened. */
int cw_outfile_evict(struct cw_outfile *file);

/* Flushes and publishes the file: [fdatasync,] close, rename[, directory fsync]. A failure of any
 * step is returned. The data then stays in the .part file, which `error` names, and publishing can
 * be tried again; a failed fdatasync or close stays failed, because the kernel reports lost data
 * only once. A file that has the name by now is replaced only if cw_target_replace allows that;
 * with a listing, the file gets a numbered name instead, and cw_outfile_path changes. A failure
 * after the rename, and a seek table that is missing, are returned too: see
 * cw_outfile_is_published and cw_outfile_flaw. -EBADF for a file never opened, or already
 * published. */
int cw_outfile_publish(struct cw_outfile *file, struct cw_error *error);

/*
 * Creates the object of a file that an earlier run published, to be removed perhaps: `status` is
 * the file's. Returns 0 or a negative errno as cw_outfile_new; -ESTALE: it is not that file.
 */
int cw_outfile_adopt(struct cw_outfile **file, const char *path, const struct stat *status,
		     const struct cw_outfile_options *options);

/* Enters a published regular file in the list of a ring that began after it. Does nothing to a file
 * that has a list. Returns 0 or a negative errno. */
int cw_outfile_enlist(struct cw_outfile *file, const struct cw_listing *listing);

/* Closes and removes the .part file; with `keep_part`, only closes it. Returns 0, or a negative
 * errno if the .part file stays. */
int cw_outfile_discard(struct cw_outfile *file, bool keep_part);

/* Removes a published file, and folders that `makes_folders` could have made if they are empty now.
 * -ESTALE if the file changed, or if another file has its name: that file
 * stays. A missing file is not an error. -EBADF for a file not published or not regular. */
int cw_outfile_remove(struct cw_outfile *file, struct cw_error *error);

/* Fills the free bytes that this process may use in the file's folder. Returns 0 or -errno. */
int cw_outfile_free_space(const struct cw_outfile *file, uint64_t *bytes);

/* Changes at most while the file is published. */
const char *cw_outfile_path(const struct cw_outfile *file);
const char *cw_outfile_part_path(const struct cw_outfile *file); /* NULL when none */
void cw_outfile_free(struct cw_outfile *file);                   /* accepts NULL */

#endif
