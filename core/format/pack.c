/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames that several threads compress in parallel, and their zstd contexts. No locks: a frame's
 * state and a context's slot change by compare and exchange. Ordering: [PACK-1] a frame is free;
 * [PACK-2] a frame waits to be run; [PACK-3] a frame is done; [PACK-4] a context is in its slot.
 * The counters are relaxed: no data depends on them.
 */
#include "core/format/pack.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include <zstd.h>

#include "core/base/base.h"

#define CONTEXTS 64u /* contexts kept for reuse; further threads create one per frame */

struct cw_pack {
	struct cw_pack_options options;
	struct cw_frame *frames;
	uint32_t frame_count;
	_Atomic int64_t extra_left;
	_Atomic uint32_t waiting_count; /* hint: submitted frames that no thread has taken */
	ZSTD_CCtx *_Atomic contexts[CONTEXTS];
};

int cw_pack_new(struct cw_pack **result, const struct cw_pack_options *options)
{
	struct cw_pack *pack = calloc(1, sizeof(*pack));

	*result = NULL;
	if (!pack)
		return -ENOMEM;
	pack->options = *options;
	pack->frame_count = options->file_count + options->extra_count;
	atomic_init(&pack->extra_left, options->extra_count);
	pack->frames = calloc(pack->frame_count, sizeof(*pack->frames));
	if (!pack->frames) {
		free(pack);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < pack->frame_count; i++)
		pack->frames[i].pack = pack;
	*result = pack;
	return 0;
}

void cw_pack_free(struct cw_pack *pack)
{
	if (!pack)
		return;
	for (uint32_t i = 0; i < pack->frame_count; i++) {
		free(pack->frames[i].plain);
		free(pack->frames[i].packed);
	}
	for (uint32_t i = 0; i < CONTEXTS; i++)
		/* Relaxed: the owners have waited for every frame. */
		ZSTD_freeCCtx(atomic_load_explicit(&pack->contexts[i], memory_order_relaxed));
	free(pack->frames);
	free(pack);
}

const struct cw_pack_options *cw_pack_options(const struct cw_pack *pack)
{
	return &pack->options;
}

bool cw_pack_take_extra_any(struct cw_pack *pack)
{
	/* Relaxed, both: only a number. */
	if (atomic_fetch_sub_explicit(&pack->extra_left, 1, memory_order_relaxed) > 0)
		return true;
	atomic_fetch_add_explicit(&pack->extra_left, 1, memory_order_relaxed);
	return false;
}

void cw_pack_give_extra_back_any(struct cw_pack *pack, uint32_t count)
{
	/* Relaxed: only a number. */
	atomic_fetch_add_explicit(&pack->extra_left, count, memory_order_relaxed);
}

struct cw_frame *cw_pack_take_any(struct cw_pack *pack)
{
	for (uint32_t i = 0; i < pack->frame_count; i++) {
		struct cw_frame *frame = &pack->frames[i];
		uint32_t expected = CW_FRAME_FREE;

		if (!atomic_compare_exchange_strong_explicit(&frame->state, &expected,
							     CW_FRAME_FILLING,
							     memory_order_acquire, /* [PACK-1] */
							     memory_order_relaxed))
			continue;
		if (!frame->plain)
			frame->plain = malloc(CW_PACK_FRAME_BYTES);
		frame->plain_bytes = frame->packed_bytes = 0;
		frame->failure = 0;
		if (frame->plain)
			return frame;
		atomic_store_explicit(&frame->state, CW_FRAME_FREE, memory_order_release);
		return NULL; /* [PACK-1] */
	}
	return NULL;
}

void cw_pack_give_back_any(struct cw_frame *frame)
{
	free(frame->packed);
	frame->packed = NULL;
	/* [PACK-1] release */
	atomic_store_explicit(&frame->state, CW_FRAME_FREE, memory_order_release);
}

static ZSTD_CCtx *take_context(struct cw_pack *pack)
{
	for (uint32_t i = 0; i < CONTEXTS; i++) {
		/* Relaxed: only decides whether to try. */
		ZSTD_CCtx *context = atomic_load_explicit(&pack->contexts[i], memory_order_relaxed);

		/* [PACK-4] acquire */
		if (context && atomic_compare_exchange_strong_explicit(&pack->contexts[i], &context,
								       NULL, memory_order_acquire,
								       memory_order_relaxed))
			return context;
	}
	return ZSTD_createCCtx();
}

static void keep_context(struct cw_pack *pack, ZSTD_CCtx *context)
{
	for (uint32_t i = 0; i < CONTEXTS; i++) {
		ZSTD_CCtx *none = NULL;

		/* [PACK-4] release */
		if (atomic_compare_exchange_strong_explicit(&pack->contexts[i], &none, context,
							    memory_order_release,
							    memory_order_relaxed))
			return;
	}
	ZSTD_freeCCtx(context);
}

static void compress(struct cw_frame *frame)
{
	ZSTD_CCtx *context = take_context(frame->pack);
	size_t result;

	frame->failure = CW_PACK_FAILED; /* the room suffices, so only memory can be missing */
	free(frame->packed);
	frame->packed = malloc(ZSTD_COMPRESSBOUND(CW_PACK_FRAME_BYTES));
	if (!context || !frame->packed) {
		ZSTD_freeCCtx(context);
		return;
	}
	ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, CW_PACK_LEVEL);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	result = ZSTD_compress2(context, frame->packed, ZSTD_COMPRESSBOUND(CW_PACK_FRAME_BYTES),
				frame->plain, frame->plain_bytes);
	keep_context(frame->pack, context);
	if (ZSTD_isError(result))
		return;
	frame->packed_bytes = result;
	frame->failure = 0;
}

/* Compresses the frame if it waits. Returns false if it does not or another thread took it. */
static bool run(struct cw_frame *frame)
{
	uint32_t expected = CW_FRAME_WAITING;

	/* [PACK-2] acquire: this thread sees the frame's plain bytes. */
	if (!atomic_compare_exchange_strong_explicit(&frame->state, &expected, CW_FRAME_RUNNING,
						     memory_order_acquire, memory_order_relaxed))
		return false;
	atomic_fetch_sub_explicit(&frame->pack->waiting_count, 1, memory_order_relaxed);
	compress(frame);
	/* [PACK-3] release */
	atomic_store_explicit(&frame->state, CW_FRAME_DONE, memory_order_release);
	return true;
}

bool cw_pack_run_any(struct cw_pack *pack)
{
	/* Relaxed: the owner runs a frame that is missed here. */
	if (!atomic_load_explicit(&pack->waiting_count, memory_order_relaxed))
		return false;
	for (uint32_t i = 0; i < pack->frame_count; i++)
		if (run(&pack->frames[i]))
			return true;
	return false;
}

void cw_pack_submit(struct cw_frame *frame)
{
	const struct cw_pack_options *options = &frame->pack->options;

	/* Relaxed: on_submit orders its wake-up itself. */
	atomic_fetch_add_explicit(&frame->pack->waiting_count, 1, memory_order_relaxed);
	/* [PACK-2] release */
	atomic_store_explicit(&frame->state, CW_FRAME_WAITING, memory_order_release);
	if (options->on_submit)
		options->on_submit(options->context);
}

void cw_pack_wait(struct cw_frame *frame)
{
	run(frame);
	while (!cw_pack_is_done(frame)) /* a few ms at most: another thread is compressing it */
		sched_yield();
}

bool cw_pack_is_done(const struct cw_frame *frame)
{
	/* [PACK-3] acquire */
	return atomic_load_explicit(&frame->state, memory_order_acquire) == CW_FRAME_DONE;
}

int64_t cw_pack_unpack(const uint8_t *packed, size_t packed_bytes, uint8_t *plain)
{
	size_t bytes = ZSTD_decompress(plain, CW_PACK_FRAME_BYTES, packed, packed_bytes);

	return ZSTD_isError(bytes) ? -EBADMSG : (int64_t)bytes;
}
