/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames: pieces of an output's stream, each compressed separately. A frame holds
 * CW_PACK_FRAME_BYTES of the stream (the last frame may hold less), always at the same level, so a
 * file's bytes depend on its content only. Several threads can compress frames of one file at once:
 *
 *   the file's owner takes a frame, fills it, and submits it
 *   any thread runs the frame (cw_pack_run_any); if several try, exactly one compresses it
 *   the owner waits for the frame, writes the packed bytes, and gives the frame back
 *
 * Format: RFC 8878. A table of frame sizes ends the file (frames.h), so readers can start at any
 * frame.
 */
#ifndef CW_CORE_FORMAT_PACK_H
#define CW_CORE_FORMAT_PACK_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CW_PACK_FRAME_BYTES ((size_t)1 << 20)
#define CW_PACK_LEVEL 3
/* Compression failed: memory is missing. No system call for files returns this errno. */
#define CW_PACK_FAILED (-ENOBUFS)

enum cw_frame_state {
	CW_FRAME_FREE,
	CW_FRAME_FILLING, /* belongs to the owner */
	CW_FRAME_WAITING, /* submitted; the thread that sets RUNNING compresses it */
	CW_FRAME_RUNNING,
	CW_FRAME_DONE, /* belongs to the owner again */
};

struct cw_frame {
	_Atomic uint32_t state; /* enum cw_frame_state */
	struct cw_pack *pack;
	uint8_t *plain;  /* plain bytes; room for CW_PACK_FRAME_BYTES */
	uint8_t *packed; /* compressed bytes, until the frame is given back or compressed again */
	size_t plain_bytes;
	size_t packed_bytes;
	int failure; /* result of compressing: 0 or CW_PACK_FAILED */
};

/* The frames of a run: a fixed number. A frame's memory is allocated at its first use. */
struct cw_pack;

struct cw_pack_options {
	uint32_t file_count;  /* files written at a time; each is guaranteed one frame */
	uint32_t extra_count; /* further frames, shared by all files */
	uint32_t in_flight;   /* most frames of one file at a time; at least 1 */
	void (*on_submit)(void *context); /* called when a frame was submitted; may be NULL */
	void *context;
};

int cw_pack_new(struct cw_pack **pack, const struct cw_pack_options *options);
void cw_pack_free(struct cw_pack *pack); /* accepts NULL; no thread may be running a frame */
const struct cw_pack_options *cw_pack_options(const struct cw_pack *pack);

/* Reserve one of the extra frames, or give `count` reservations back. A file that already has a
 * frame calls this before it takes another. A reservation is not tied to a frame. Any thread. */
bool cw_pack_take_extra_any(struct cw_pack *pack);
void cw_pack_give_extra_back_any(struct cw_pack *pack, uint32_t count);

/* Returns a frame to fill, or NULL without memory. Any thread. */
struct cw_frame *cw_pack_take_any(struct cw_pack *pack);
void cw_pack_give_back_any(struct cw_frame *frame);

/* Compresses one waiting frame. Returns false if no frame waits. Any thread. */
bool cw_pack_run_any(struct cw_pack *pack);

/* For the owner: submit the filled frame; wait until the frame is done, compressing it here if no
 * other thread has started; return whether the frame is done. */
void cw_pack_submit(struct cw_frame *frame);
void cw_pack_wait(struct cw_frame *frame);
bool cw_pack_is_done(const struct cw_frame *frame);

/* For the owner: continues to fill a done frame. Relaxed: no other thread acts on either state. */
static inline void cw_pack_refill(struct cw_frame *frame)
{
	atomic_store_explicit(&frame->state, CW_FRAME_FILLING, memory_order_relaxed);
}

/* Decompresses one frame into `plain` (CW_PACK_FRAME_BYTES of room). Returns bytes or -EBADMSG. */
int64_t cw_pack_unpack(const uint8_t *packed, size_t packed_bytes, uint8_t *plain);

#endif
