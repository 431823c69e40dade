/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chunks: pieces of output files in memory, from one fixed pool.
 *
 *   taken and reserved into   by the holder of the sequencer's turn (one thread at a time)
 *   copied into               by workers in parallel, each in its reserved ranges
 *   sealed                    by the turn: no further range will be reserved
 *   written, then given back  by the output's one writer, once sealed and completely copied
 *
 * `pending` counts the bytes reserved and not yet copied, plus one bias while the chunk is open. It
 * reaches zero exactly once; the thread that brings it there notifies the writer.
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

/* A record boundary in a file, with the records and captured bytes before it. */
struct cw_anchor {
	uint64_t offset;
	uint64_t records;
	uint64_t bytes; /* captured */
};

/* The writer's action at a chunk without bytes. */
enum cw_mark {
	CW_MARK_NONE,    /* none: an ordinary chunk */
	CW_MARK_ENDED,   /* publish the file */
	CW_MARK_EXPIRED, /* remove the file */
};

struct cw_chunk {
	/* shared; intact_bytes is sequentially consistent: used after damage only */
	_Atomic int64_t pending;
	_Atomic uint32_t intact_bytes; /* undamaged bytes; CW_CHUNK_INTACT = all */
	/* Set by the turn until the chunk is sealed (`following`: until that chunk is reserved).
	 * Read by copying workers while pending > 0, then by the writer. */
	uint32_t used;
	uint32_t capacity; /* bytes up to the next chunk-sized boundary of the file */
	uint8_t *memory;
	struct cw_file *file;
	uint64_t offset;            /* of memory[0] in the file */
	struct cw_anchor anchor;    /* the last known before the chunk's end */
	struct cw_chunk *following; /* the next chunk of a piece that spans several */
	struct cw_chunk *queued;    /* link of the inbox, then of the writer's queue */
	struct cw_chunk *free_next; /* link of the pool */
	enum cw_mark mark;
	bool is_giant; /* allocated for one record larger than half the pool */
};
/* The fields that copying reads share one line, if the chunk starts a line. */
static_assert(offsetof(struct cw_chunk, offset) < CW_CACHE_LINE, "copying needs one line");
CW_ASSERT_BYTES(struct cw_chunk, 104);

struct cw_chunk_pool {
	/* constant */
	size_t chunk_bytes;
	uint32_t chunk_count;
	uint8_t *memory;
	struct cw_chunk *chunks;
	/* called by a writer after it has given chunks back and counted them; may be NULL */
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

/* Makes a pool of `pool_bytes` in chunks of `chunk_bytes` (a power of two), at least two chunks. */
int cw_chunk_pool_init(struct cw_chunk_pool *pool, size_t pool_bytes, size_t chunk_bytes);
void cw_chunk_pool_fini(struct cw_chunk_pool *pool);

/* The turn only. NULL: the pool is empty. */
struct cw_chunk *cw_chunk_take(struct cw_chunk_pool *pool);

/* The turn only: allocates one chunk of `bytes` beside the pool. NULL: one is out already, or no
 * memory. */
struct cw_chunk *cw_chunk_take_giant(struct cw_chunk_pool *pool, size_t bytes);

/* The turn only: makes a mark, in the caller's memory, that is queued like a chunk. */
void cw_chunk_make_mark(struct cw_chunk *chunk, enum cw_mark mark, struct cw_file *file,
			uint64_t offset);

/* Any thread. */
void cw_chunk_give_back_any(struct cw_chunk_pool *pool, struct cw_chunk *chunk);

/* Any thread; a lower bound for the turn, which alone takes chunks. */
uint32_t cw_chunk_free_count(struct cw_chunk_pool *pool);

/* Notes that `bytes` of a reserved range are copied. True: the chunk is sealed and complete. Any
 * thread. */
bool cw_chunk_copied(struct cw_chunk *chunk, uint32_t bytes);

/* The turn: returns whether every byte reserved so far is copied. */
bool cw_chunk_is_copied(const struct cw_chunk *chunk);

/* The turn: seals the chunk. True: it is complete already. */
bool cw_chunk_seal(struct cw_chunk *chunk);

#endif
