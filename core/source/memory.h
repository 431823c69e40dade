/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory around a position in an input: mapped windows that slide over a regular file, or
 * buffers for a decompressed stream (unpack.h). Independent of the format. Single owner.
 */
#ifndef CW_CORE_SOURCE_MEMORY_H
#define CW_CORE_SOURCE_MEMORY_H

#include <stdbool.h>

#include "core/base/error.h"
#include "core/format/frames.h"
#include "core/format/unpack.h"
#include "core/packet/window.h"
#include "core/source/source.h"

struct cw_memory {
	struct cw_window_pool *pool;
	struct cw_window *window; /* current window (one reference), or NULL */
	struct cw_unpack *unpack; /* NULL: mapped */
	size_t page_bytes;
	size_t window_bytes;
	size_t buffer_bytes;
	uint64_t file_bytes;      /* regular files: length at open, from `start` */
	uint64_t limit;           /* mapped: bytes usable; less than file_bytes after a shrink */
	uint64_t device, inode;   /* regular files */
	uint64_t start;           /* position of the descriptor at open, bytes */
	struct cw_frames *frames; /* of a .zst file that gives pieces; or NULL */
	struct cw_window_pool *pieces; /* their buffers; NULL before the first one */
	uint32_t pieces_max;
	uint32_t known_frame; /* one that begins where the table says */
	size_t skipped_bytes; /* stream: content to be read over, before the position */
	bool is_regular;
	bool is_at_end; /* stream: the window has all remaining bytes */
};

/* Starts on `fd` (takes); errors name it `path`. Call fini after a failure too. */
int cw_memory_init(struct cw_memory *memory, int fd, const char *path,
		   const struct cw_source_options *options, struct cw_error *error);
void cw_memory_fini(struct cw_memory *memory); /* accepts a zeroed one */

static inline bool cw_memory_is_mapped(const struct cw_memory *memory)
{
	return !memory->unpack;
}

/* Returns the window's bytes from `position`, and fills whether the input ends with them. */
const uint8_t *cw_memory_at(const struct cw_memory *memory, uint64_t position, size_t *bytes,
			    bool *is_at_end);

/*
 * Provides more bytes from `position`, for a record of `needed` bytes: all of them if mapped, those
 * of one read from a stream. Returns 0; -EAGAIN: all windows are leased; or another negative errno.
 */
int cw_memory_more(struct cw_memory *memory, uint64_t position, size_t needed,
		   struct cw_error *error);

/*
 * Reads the frames that hold the bytes from `position` to `to`, and the beginning of the next one,
 * into a buffer (fills `window`, with one reference), for pieces of about `bytes`. The first piece
 * of a row has all frames from one whose beginning is known: if they have their content, the table
 * is right so far. Returns 1; 0: at the end, too far from a known frame, or the file lost them;
 * -EAGAIN: all buffers are leased; -ENOMEM.
 */
int cw_memory_frames(struct cw_memory *memory, uint64_t position, uint64_t to, size_t bytes,
		     bool is_first, struct cw_window **window);
struct cw_packed *cw_memory_packed(struct cw_window *window); /* what the buffer holds */

/* Goes to a position before the window, which is dropped; of frames, to any position that their
 * pieces led to. Returns 0 or a negative errno. */
int cw_memory_go_back(struct cw_memory *memory, uint64_t position);

/*
 * Returns whether the mapped file is shorter than at open. Call it after reading the bytes: those
 * beyond the new end read as zeros.
 */
bool cw_memory_has_shrunk(struct cw_memory *memory);
bool cw_memory_has_grown(const struct cw_memory *memory);

#endif
