/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Skips damage in a capture file: from the damaged record to the next place that begins a chain of
 * plausible records (boundary.h). For pcapfile.c.
 */
#ifndef CW_CORE_FORMAT_RESYNC_H
#define CW_CORE_FORMAT_RESYNC_H

#include "core/format/boundary.h"

/* Starts to search after the first byte of the damage at the position, described by `error`. */
void cw_resync_start(struct cw_pcapfile *file, struct cw_pcapfile_step *step,
		     const struct cw_error *error);

/*
 * Searches in the bytes of `shown` after those that `step` consumed, and consumes what is skipped.
 * Returns 0 at a place where reading continues; CW_PCAPFILE_MORE; or -EBADMSG with the damage in
 * `error`: no such place follows.
 */
int cw_resync_search(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		     struct cw_pcapfile_step *step, struct cw_error *error);

/*
 * Returns whether the complete record of `bytes` bytes at the start of `shown`, which is not
 * plausible in itself, is one by the records after it.
 */
enum cw_boundary_result cw_resync_confirm(const struct cw_pcapfile *file,
					  const struct cw_pcapfile_shown *shown, size_t bytes,
					  size_t *needed);

#endif
