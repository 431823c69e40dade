/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of frame sizes that ends a .zst file, and frames that several threads decompress. The
 * table is a skippable frame, as described in zstd's contrib/seekable_format.
 *
 * The table is not trusted: it says where frames may begin. Who has decompressed all frames up to a
 * place, each to the content that the table promises, knows that a frame begins there.
 */
#ifndef CW_CORE_FORMAT_FRAMES_H
#define CW_CORE_FORMAT_FRAMES_H

#include "core/format/segment.h"

#define CW_FRAMES_CONTENT_MAX ((size_t)4 << 20)   /* of a frame; a table with a larger one is odd */
#define CW_FRAMES_AHEAD_BYTES ((size_t)128 << 10) /* content after a piece: for its last record */
#define CW_FRAMES_NEXT_BYTES (CW_FRAMES_AHEAD_BYTES + 64) /* packed bytes that hold them */

struct cw_frames_place {
	uint64_t packed_at; /* offset in the file */
	uint64_t plain_at;  /* offset in the content */
};

struct cw_frames {
	uint32_t count;
	struct cw_frames_place
	    places[]; /* where each frame begins; after them, where the last ends */
};

/* Returns the table of a file; the caller frees it. NULL: none, an odd one, or no memory. An odd
 * one does not tile the file, or has frames above the maximum. */
struct cw_frames *cw_frames_read(int fd, uint64_t file_bytes);

/* Returns the number of the frame that holds byte `plain_at` of the content; `count` after it. */
uint32_t cw_frames_find(const struct cw_frames *frames, uint64_t plain_at);

/* The bytes of a piece before it is unpacked. It lies in the memory of the piece's lease. */
struct cw_packed {
	const struct cw_frames_place *places; /* of its frames, and where the last ends */
	uint32_t count;
	const uint8_t *packed;
	size_t packed_bytes; /* of the frames */
	size_t next_bytes;   /* after them: the beginning of the next frame */
	uint8_t *plain;      /* room for plain_bytes and ahead_bytes */
	size_t plain_bytes;  /* of the frames, as the table says */
	size_t ahead_bytes; /* most content of the next frame, but not all: its end is not proven */
	size_t skipped;     /* of them, before the segment's `from` */
};

/* A thread's memory for decompressing. */
struct cw_unpacker;

struct cw_unpacker *cw_unpacker_new(void);           /* NULL: ENOMEM */
void cw_unpacker_free(struct cw_unpacker *unpacker); /* accepts NULL */

/*
 * Unpacks a segment that is packed, once: fills the span's data and bytes. If its frames are not
 * exactly the content that the table promises, the span is empty: a walk stops at `from`, and the
 * parser, which reads the file as a stream, says what is wrong.
 */
void cw_segment_unpack(struct cw_segment *segment, struct cw_unpacker *unpacker);

/* Return the bytes of a file's table of frames; write the table. `sizes` holds a pair per frame:
 * packed bytes, plain bytes. */
size_t cw_frames_table_bytes(uint32_t frame_count);
void cw_frames_table(const uint32_t *sizes, uint32_t frame_count, uint8_t *table);

#endif
