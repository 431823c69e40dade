/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory around a position in an input: mapped windows that slide over a regular file, or
 * buffers that a stream is unpacked into (unpack.h). It knows no format. Single owner.
 */
#ifndef CW_CORE_SOURCE_MEMORY_H
#define CW_CORE_SOURCE_MEMORY_H

#include <stdbool.h>

#include "core/base/error.h"
#include "core/format/unpack.h"
#include "core/packet/window.h"
#include "core/source/source.h"

struct cw_memory {
	struct cw_window_pool *pool;
	struct cw_window *window; /* current, one reference; or NULL */
	struct cw_unpack *unpack; /* NULL: mapped */
	size_t page_bytes;
	size_t window_bytes;
	size_t buffer_bytes;
	uint64_t file_bytes;    /* regular files: at open */
	uint64_t limit;         /* mapped: where the input ends for us; less once it shrank */
	uint64_t device, inode; /* regular files */
	bool is_regular;
	bool is_at_end; /* stream: all bytes are in the window */
};

/* Of `fd` (takes), called `path` in errors. After a failure fini is due as well. */
int cw_memory_init(struct cw_memory *memory, int fd, const char *path,
		   const struct cw_source_options *options, struct cw_error *error);
void cw_memory_fini(struct cw_memory *memory); /* accepts a zeroed one */

static inline bool cw_memory_is_mapped(const struct cw_memory *memory)
{
	return !memory->unpack;
}

/* What of the window lies behind `position`, and whether the input ends with it. */
const uint8_t *cw_memory_at(const struct cw_memory *memory, uint64_t position, size_t *bytes,
			    bool *is_at_end);

/*
 * Have more behind `position`, for a record of which `needed` bytes should be there: mapped, they
 * are; of a stream, one read's. 0, -EAGAIN: all windows are out, or another negative errno.
 */
int cw_memory_more(struct cw_memory *memory, uint64_t position, size_t needed,
		   struct cw_error *error);

/*
 * Whether the mapped file became shorter than we took it to be. Called after looking at its bytes:
 * what lies beyond its end looked like zeros.
 */
bool cw_memory_has_shrunk(struct cw_memory *memory);
bool cw_memory_has_grown(const struct cw_memory *memory);

#endif
