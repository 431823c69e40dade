/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames: pieces of an output's stream, compressed each by itself. A frame is CW_PACK_FRAME_BYTES
 * of the stream (the last one shorter), at one level, so that the bytes of a file depend on its
 * content only. Frames of one file can be compressed by several threads at once:
 *
 *   the file's owner takes a frame, fills it, and submits it; or runs it itself
 *   any thread runs it (cw_pack_run_any); of several that try, one does
 *   the owner waits for it, writes what came of it, and gives it back
 *
 * Format: RFC 8878; at the end of a file a skippable frame with the table of the frames' sizes, as
 * zstd's contrib/seekable_format describes it, so that readers can begin anywhere.
 */
#ifndef CW_CORE_FORMAT_PACK_H
#define CW_CORE_FORMAT_PACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CW_PACK_FRAME_BYTES ((size_t)1 << 20)
#define CW_PACK_LEVEL 3

enum cw_frame_state {
	CW_FRAME_FREE,
	CW_FRAME_FILLING, /* the owner's */
	CW_FRAME_WAITING, /* submitted: whoever gets it to RUNNING compresses it */
	CW_FRAME_RUNNING,
	CW_FRAME_DONE, /* the owner's again */
};

struct cw_frame {
	_Atomic uint32_t state; /* enum cw_frame_state */
	struct cw_pack *pack;
	uint8_t *plain;  /* CW_PACK_FRAME_BYTES */
	uint8_t *packed; /* from compressing until it is given back or compressed again */
	size_t plain_bytes;
	size_t packed_bytes;
	int failure; /* of compressing: negative errno */
};

/* The frames of a run: a fixed number, whose memory is taken when they are used first. */
struct cw_pack;

struct cw_pack_options {
	uint32_t file_count;  /* that are written at a time: each is sure of one frame */
	uint32_t extra_count; /* more of them, to be on their way meanwhile */
	uint32_t in_flight;   /* of one file, at most; at least 1 */
	void (*on_submit)(void *context); /* a frame waits to be run; may be NULL */
	void *context;
};

int cw_pack_new(struct cw_pack **pack, const struct cw_pack_options *options);
void cw_pack_free(struct cw_pack *pack); /* accepts NULL; nobody may run a frame any more */
const struct cw_pack_options *cw_pack_options(const struct cw_pack *pack);

/* A file that has a frame already asks for one more of the extra ones, before it takes it; and
 * gives that right back, not always with the same frame. Any thread. */
bool cw_pack_take_extra_any(struct cw_pack *pack);
void cw_pack_give_extra_back_any(struct cw_pack *pack, uint32_t count);

/* A frame to fill; NULL: no memory. Any thread. */
struct cw_frame *cw_pack_take_any(struct cw_pack *pack);
void cw_pack_give_back_any(struct cw_frame *frame);

/* Compress a frame that waits. False: there is none. Any thread. */
bool cw_pack_run_any(struct cw_pack *pack);

/* The owner: hand the filled frame to whoever comes; wait until it is done, running it if nobody
 * did; whether that would be at once. */
void cw_pack_submit(struct cw_frame *frame);
void cw_pack_wait(struct cw_frame *frame);
bool cw_pack_is_done(const struct cw_frame *frame);

/* The owner: a done frame is filled again. Relaxed: nobody else acts on either state. */
static inline void cw_pack_refill(struct cw_frame *frame)
{
	atomic_store_explicit(&frame->state, CW_FRAME_FILLING, memory_order_relaxed);
}

/* Decompress one frame into `plain` (CW_PACK_FRAME_BYTES of room): bytes, or -EBADMSG. */
int64_t cw_pack_unpack(const uint8_t *packed, size_t packed_bytes, uint8_t *plain);

/* The table of a file's frames: bytes it takes, and itself. `sizes` are pairs, packed and plain. */
size_t cw_pack_table_bytes(uint32_t frame_count);
void cw_pack_table(const uint32_t *sizes, uint32_t frame_count, uint8_t *table);

#endif
