/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of a source's spans: mapped pieces of a file, or buffers for a stream. A pool belongs
 * to one source; it counts its windows and lives until the source is gone and the last window is
 * back. Only the owner makes windows; any thread gives them back (cw_lease_give_back).
 *
 * The process has one SIGBUS handler, for mapped windows only: if a mapped file shrinks, it puts
 * zeros and marks the window. Faults at other addresses go to the previous handler.
 */
#ifndef CW_CORE_PACKET_WINDOW_H
#define CW_CORE_PACKET_WINDOW_H

#include "core/base/error.h"
#include "core/packet/packet.h"

#define CW_WINDOWS_MAPPED_MAX 4096u /* most mapped windows of the process */

struct cw_window_pool;

/* Make a pool of at most `windows_max` windows; takes `fd`, and closes it with the last window.
 * NULL: ENOMEM. */
struct cw_window_pool *cw_window_pool_new(int fd, uint32_t windows_max, size_t buffer_bytes);
int cw_window_pool_fd(const struct cw_window_pool *pool);
void cw_window_pool_drop(struct cw_window_pool *pool); /* accepts NULL */

/*
 * Make a window with one reference, the caller's. -EAGAIN: the pool is full; -ENOSPC: the process's
 * table is full; -ENOMEM; mmap's errors. map: `offset` is a multiple of the page size. buffer: room
 * for at least `bytes`, window->bytes = 0 of them filled; the owner may write beyond the bytes that
 * it has handed out.
 */
int cw_window_map(struct cw_window_pool *pool, uint64_t offset, size_t bytes,
		  struct cw_window **window);
int cw_window_buffer(struct cw_window_pool *pool, uint64_t offset, size_t bytes,
		     struct cw_window **window);

/* The writable memory of a buffer, *capacity bytes (fills). */
uint8_t *cw_window_room(struct cw_window *window, size_t *capacity);

void cw_window_take(struct cw_window *window);
void cw_window_drop(struct cw_window *window); /* accepts NULL */
/* Whether the caller holds the only reference. */
bool cw_window_is_exclusive(const struct cw_window *window);

#endif
