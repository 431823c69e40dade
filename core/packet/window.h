/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory that a source's spans lie in: mapped pieces of a file, or buffers that a stream is
 * read into. A pool belongs to one source; it counts its windows and outlives it until the last one
 * came back. Making windows is the owner's; giving them back (cw_lease_give_back) is any thread's.
 *
 * One SIGBUS handler exists in the process, for mapped windows only: where a file shrank beneath a
 * window it puts zeros and marks the window. Other addresses go to the handler that was there.
 */
#ifndef CW_CORE_PACKET_WINDOW_H
#define CW_CORE_PACKET_WINDOW_H

#include "core/base/error.h"
#include "core/packet/packet.h"

#define CW_WINDOWS_MAPPED_MAX 4096u /* in the process */

struct cw_window_pool;

/* A pool of at most `windows_max` windows; takes `fd`, closes it with the last. NULL: ENOMEM. */
struct cw_window_pool *cw_window_pool_new(int fd, uint32_t windows_max, size_t buffer_bytes);
int cw_window_pool_fd(const struct cw_window_pool *pool);
void cw_window_pool_drop(struct cw_window_pool *pool); /* accepts NULL */

/*
 * Both give a window with one reference, the caller's.
 * -EAGAIN: the pool has as many as it may; -ENOSPC: the process has; -ENOMEM; mmap's errors.
 * map: `offset` is a multiple of the page size. buffer: at least `bytes`, of which window->bytes =
 * 0 are filled; data may be written by the owner beyond what it has handed out.
 */
int cw_window_map(struct cw_window_pool *pool, uint64_t offset, size_t bytes,
		  struct cw_window **window);
int cw_window_buffer(struct cw_window_pool *pool, uint64_t offset, size_t bytes,
		     struct cw_window **window);

/* Of a buffer: its memory, to write to, and how much there is. */
uint8_t *cw_window_room(struct cw_window *window, size_t *capacity);

void cw_window_take(struct cw_window *window);
void cw_window_drop(struct cw_window *window); /* accepts NULL */
/* Whether the caller holds the only reference. */
bool cw_window_is_exclusive(const struct cw_window *window);

#endif
