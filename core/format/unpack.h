/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The plain bytes behind a descriptor: as they are, or out of gzip or zstd, told by the first
 * bytes. Reads in sequence, so pipes do; waits for bytes and for a wake descriptor together. Single
 * owner.
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

/* What the first bytes of a file say (fewer than 4: none). */
enum cw_packing cw_packing_of(const uint8_t *magic, size_t bytes);

/* Reads nothing yet. Borrows both descriptors; wake_fd -1 = none. NULL: ENOMEM. */
struct cw_unpack *cw_unpack_new(int fd, int wake_fd);

/*
 * The next bytes, at most `room` (> 0), at least one. Returns their number; 0 at the end; -EINTR
 * when wake_fd is readable; -EBADMSG for packed data that is damaged or cut short; -EPROTONOSUPPORT
 * for a zstd window that is too large; read's errors.
 */
int64_t cw_unpack_read(struct cw_unpack *unpack, uint8_t *to, size_t room, struct cw_error *error);

enum cw_packing cw_unpack_packing(const struct cw_unpack *unpack); /* known after the first read */
uint64_t cw_unpack_consumed(const struct cw_unpack *unpack);       /* packed bytes used */
void cw_unpack_free(struct cw_unpack *unpack);                     /* accepts NULL */

#endif
