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
 *
 * Workers also borrow chunks, for records whose place in a file is not known yet (draft.h):
 *
 *   lent                      to a worker; at most as many as are free then
 *   adopted                   by the turn, which gives the chunk its place in a file; or
 *   returned                  by a worker
 *
 * So at most half of the pool is ever lent, and what outputs give back is enough for the batch in
 * line.
 */
#ifndef CW_PIPELINE_OUTPUT_CHUNK_H
#define CW_PIPELINE_OUTPUT_CHUNK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/base.h"

#define CW_CHUNK_BYTES_MIN ((size_t)16 << 10)
#define CW_CHUNK_BYTES_MAX ((size_t)64 << 10)
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
	uint32_t capacity; /* bytes */
	uint8_t *memory;
	struct cw_file *file;
	uint64_t offset; /* of memory[0] in the file */
	/* The last known before the chunk's end. Of a draft: without its offset, the chunk's own
	 * records and bytes. */
	struct cw_anchor anchor;
	struct cw_chunk *following; /* the next chunk of a piece that spans several */
	struct cw_chunk *queued;    /* link of a draft, the inbox, then the writer's queue */
	_Atomic uint32_t free_next; /* link of the pool: index of the next chunk + 1; 0: none */
	enum cw_mark mark;
	bool is_giant;   /* allocated for one record larger than half the pool */
	bool is_flushed; /* sent before it was full, to have its bytes in the file now */
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
	/* called by a thread after it has given chunks back and counted them; may be NULL */
	void (*on_return)(void *context);
	void *context;
	/* owner: the turn */
	uint32_t claimed_count; /* free chunks that only the turn may take */
	/* Lent chunks in the high half, and free ones that nobody claimed in the low half.
	 * Sequentially consistent, as is_starved of the sequencer: [STARVE-1] */
	_Alignas(CW_CACHE_LINE) _Atomic uint64_t counts;
	/* Number of pops in the high half, and the first free chunk's index + 1 in the low half. */
	_Alignas(CW_CACHE_LINE) _Atomic uint64_t free_list;
	_Atomic bool has_giant;
};
CW_ASSERT_LINE(struct cw_chunk_pool, counts);
CW_ASSERT_LINE(struct cw_chunk_pool, free_list);
CW_ASSERT_BYTES(struct cw_chunk_pool, 3 * CW_CACHE_LINE);

/* Makes a pool of `pool_bytes` in chunks of `chunk_bytes` (a power of two), at least two chunks. */
int cw_chunk_pool_init(struct cw_chunk_pool *pool, size_t pool_bytes, size_t chunk_bytes);
void cw_chunk_pool_fini(struct cw_chunk_pool *pool);

/* The turn only: makes sure that the next `count` calls of cw_chunk_take find a chunk, though
 * workers borrow meanwhile. False: fewer are free. */
bool cw_chunk_claim(struct cw_chunk_pool *pool, uint64_t count);

/* The turn only: gives up what was claimed and not taken. */
void cw_chunk_unclaim(struct cw_chunk_pool *pool);

/* The turn only. NULL: no chunk is claimed or free. */
struct cw_chunk *cw_chunk_take(struct cw_chunk_pool *pool);

/* The turn only: allocates one chunk of `bytes` beside the pool. NULL: one is out already, or no
 * memory. */
struct cw_chunk *cw_chunk_take_giant(struct cw_chunk_pool *pool, size_t bytes);

/* The turn only: makes a mark, in the caller's memory, that is queued like a chunk. */
void cw_chunk_make_mark(struct cw_chunk *chunk, enum cw_mark mark, struct cw_file *file,
			uint64_t offset);

/* Any thread. */
void cw_chunk_give_back_any(struct cw_chunk_pool *pool, struct cw_chunk *chunk);

/* Any worker: borrows a chunk. NULL: as many chunks are lent as are free. */
struct cw_chunk *cw_chunk_lend_any(struct cw_chunk_pool *pool);

/* Any thread: returns a lent chunk. The caller then calls on_return: a batch may wait for it. */
void cw_chunk_return_any(struct cw_chunk_pool *pool, struct cw_chunk *chunk);

/* The turn only: a lent chunk becomes one that the turn took. */
void cw_chunk_adopt(struct cw_chunk_pool *pool);

/* Any thread, for a number to show or a decision that need not be exact. */
uint32_t cw_chunk_free_count(const struct cw_chunk_pool *pool);
uint32_t cw_chunk_lent_count(const struct cw_chunk_pool *pool);

/* As these; returns the chunks that outputs hold. */
uint32_t cw_chunk_held_count(const struct cw_chunk_pool *pool);

/* Notes that `bytes` of a reserved range are copied. True: the chunk is sealed and complete. Any
 * thread. */
bool cw_chunk_copied(struct cw_chunk *chunk, uint32_t bytes);

/* The turn: returns whether every byte reserved so far is copied. */
bool cw_chunk_is_copied(const struct cw_chunk *chunk);

/* The turn: seals the chunk. True: it is complete already. */
bool cw_chunk_seal(struct cw_chunk *chunk);

#endif
