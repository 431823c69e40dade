/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chunks: pieces of outputs in memory, from one fixed pool.
 *
 *   taken and reserved into   by whoever holds the sequencer's turn (one thread at a time)
 *   copied into               by workers, in the ranges reserved for them, in parallel
 *   sealed                    by the turn: no further range will be reserved
 *   written, then given back  by the output's one writer, when sealed and wholly copied
 *
 * `pending` counts the bytes reserved but not yet copied, plus one bias while the chunk is open, so
 * it reaches zero exactly once, and whoever brings it there tells the writer.
 */
#ifndef CW_PIPELINE_OUTPUT_CHUNK_H
#define CW_PIPELINE_OUTPUT_CHUNK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/base.h"

#define CW_CHUNK_BYTES_MIN ((size_t)16 << 10)
#define CW_CHUNK_BYTES_MAX ((size_t)256 << 10)
#define CW_CHUNK_OPEN_BIAS (INT64_C(1) << 62)
#define CW_CHUNK_INTACT UINT32_MAX

struct cw_file;

/* A record boundary in a file, and what is before it. */
struct cw_anchor {
	uint64_t offset;
	uint64_t records;
	uint64_t bytes; /* captured */
};

/* What the writer does at a chunk without bytes. */
enum cw_mark {
	CW_MARK_NONE,    /* it is an ordinary chunk */
	CW_MARK_ENDED,   /* publish the file */
	CW_MARK_EXPIRED, /* remove it */
};

struct cw_chunk {
	/* shared; intact_bytes is sequentially consistent: after damage only */
	_Atomic int64_t pending;
	_Atomic uint32_t intact_bytes; /* only this many are good; CW_CHUNK_INTACT = all */
	/* Set by the turn: until the chunk is sealed, `following` until that one is reserved. Read
	 * by workers that copy, while pending > 0, sealed or not; then the writer's. */
	uint32_t used;
	uint32_t capacity; /* of this use: up to the next chunk-sized boundary of the file */
	uint8_t *memory;
	struct cw_file *file;
	uint64_t offset;            /* in the file, of memory[0] */
	struct cw_anchor anchor;    /* the last one known before the chunk's end */
	struct cw_chunk *following; /* the next chunk of a piece that spans several */
	struct cw_chunk *queued;    /* link of the inbox, then of the writer's queue */
	struct cw_chunk *free_next; /* link of the pool */
	enum cw_mark mark;
	bool is_giant; /* allocated for one record larger than the pool's half */
};
/* What copying looks at is together: of a chunk that starts a line, on that line. */
static_assert(offsetof(struct cw_chunk, offset) < CW_CACHE_LINE, "copying needs one line");
CW_ASSERT_BYTES(struct cw_chunk, 104);

struct cw_chunk_pool {
	/* constant */
	size_t chunk_bytes;
	uint32_t chunk_count;
	uint8_t *memory;
	struct cw_chunk *chunks;
	/* called, if it is set, by a writer that has given chunks back, after it accounted for them
	 */
	void (*on_return)(void *context);
	void *context;
	/* sequentially consistent, as is_starved of the sequencer: [STARVE-1] */
	_Alignas(CW_CACHE_LINE) _Atomic uint32_t free_count;
	_Alignas(CW_CACHE_LINE) struct cw_chunk *_Atomic free_list;
	_Atomic bool has_giant;
};
CW_ASSERT_LINE(struct cw_chunk_pool, free_count);
CW_ASSERT_LINE(struct cw_chunk_pool, free_list);
CW_ASSERT_BYTES(struct cw_chunk_pool, 3 * CW_CACHE_LINE);

/* `pool_bytes` in chunks of `chunk_bytes` (a power of two), at least two of them. */
int cw_chunk_pool_init(struct cw_chunk_pool *pool, size_t pool_bytes, size_t chunk_bytes);
void cw_chunk_pool_fini(struct cw_chunk_pool *pool);

/* The turn only. NULL when the pool is empty. */
struct cw_chunk *cw_chunk_take(struct cw_chunk_pool *pool);

/* The turn only: one chunk of `bytes` beside the pool. NULL when one is out already, or no memory.
 */
struct cw_chunk *cw_chunk_take_giant(struct cw_chunk_pool *pool, size_t bytes);

/* The turn only: a mark in the caller's memory that goes the way of a chunk. */
void cw_chunk_make_mark(struct cw_chunk *chunk, enum cw_mark mark, struct cw_file *file,
			uint64_t offset);

/* Any thread. */
void cw_chunk_give_back_any(struct cw_chunk_pool *pool, struct cw_chunk *chunk);

/* Any thread; exact for the turn's "at least", which alone takes. */
uint32_t cw_chunk_free_count(struct cw_chunk_pool *pool);

/* `bytes` of a reserved range are copied. True: the chunk is sealed and complete. Any thread. */
bool cw_chunk_copied(struct cw_chunk *chunk, uint32_t bytes);

/* The turn: whether all that was reserved in it so far is copied. */
bool cw_chunk_is_copied(const struct cw_chunk *chunk);

/* The turn: seal it. True: it is complete already. */
bool cw_chunk_seal(struct cw_chunk *chunk);

#endif
