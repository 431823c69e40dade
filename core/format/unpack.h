/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads the plain bytes of a descriptor, decompressing gzip or zstd, which it recognises by the
 * first bytes. Reads in sequence, so pipes work. Waits for bytes and for a wake descriptor at the
 * same time. Single owner.
 */
#ifndef CW_CORE_FORMAT_UNPACK_H
#define CW_CORE_FORMAT_UNPACK_H

#include "core/base/error.h"

enum cw_packing {
	CW_PACKING_NONE,
	CW_PACKING_GZIP,
	CW_PACKING_ZSTD,
};

#define CW_PACKING_MAGIC_BYTES 4

struct cw_unpack;

/* Returns the compression by a file's first bytes; CW_PACKING_NONE for fewer than 4. */
enum cw_packing cw_packing_of(const uint8_t *magic, size_t bytes);

/* Creates a reader; reads nothing. Borrows both descriptors; wake_fd -1: none. NULL: ENOMEM. */
struct cw_unpack *cw_unpack_new(int fd, int wake_fd);

/*
 * Reads the next bytes: at least one, at most `room` (> 0). Returns their number; 0 at the end;
 * -EINTR if wake_fd is readable; -EBADMSG for damaged or truncated compressed data;
 * -EPROTONOSUPPORT for a zstd window that is too large; -ETIME after cw_unpack_set_idle's time, and
 * the next call continues; or read's errors.
 */
int64_t cw_unpack_read(struct cw_unpack *unpack, uint8_t *to, size_t room, struct cw_error *error);

/* Starts again at byte `at` of a regular .zst file, where a frame begins. Returns 0 or lseek's
 * error.
 */
int cw_unpack_restart(struct cw_unpack *unpack, uint64_t at);

/* Sets the longest wait for input, ms; -1, as at first: no limit. */
void cw_unpack_set_idle(struct cw_unpack *unpack, int idle_ms);

enum cw_packing cw_unpack_packing(const struct cw_unpack *unpack); /* known after the first read */
uint64_t cw_unpack_consumed(const struct cw_unpack *unpack);       /* compressed bytes used */
void cw_unpack_free(struct cw_unpack *unpack);                     /* accepts NULL */

#endif
