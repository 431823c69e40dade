/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An output file that compresses its bytes: outfile_write.c's third way. Offsets are those of the
 * plain stream; the disk has complete frames. "Reached" counts the plain bytes that any program can
 * read back from the disk, also after a truncation.
 */
#ifndef CW_CORE_OUTPUT_OUTFILE_PACK_H
#define CW_CORE_OUTPUT_OUTFILE_PACK_H

#include "core/output/outfile_parts.h"
#include "core/format/pack.h"

size_t cw_outfile_pack_write(struct cw_outfile *file, const struct iovec *vectors, int count,
			     uint64_t offset, int *failure);
uint64_t cw_outfile_pack_reached(const struct cw_outfile *file);

/* Writes the last frame, which may be short, and the table. Returns 0 or the first failure. */
int cw_outfile_pack_finish(struct cw_outfile *file);

/* Do the same as cw_outfile_drop, _read and _cut. */
void cw_outfile_pack_drop(struct cw_outfile *file);
int64_t cw_outfile_pack_read(struct cw_outfile *file, uint8_t *buffer, size_t bytes,
			     uint64_t offset);
int cw_outfile_pack_cut(struct cw_outfile *file, uint64_t bytes);

/* Returns the bytes on the disk. */
uint64_t cw_outfile_pack_file_bytes(const struct cw_outfile *file);

void cw_outfile_pack_free(struct cw_outfile *file);

#endif
