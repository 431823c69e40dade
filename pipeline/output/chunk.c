/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool is a stack, because the chunk used last is still in cache. Any thread pushes and pops.
 * The number of pops beside the top tells a top that came back from one that never left (ABA).
 *
 * Who pops has counted a free chunk as gone before, and who pushes counts it after. So the count
 * never exceeds the stack, and a pop always finds a chunk.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "pipeline/output/chunk.h"

#define ONE_LENT (UINT64_C(1) << 32)
#define ONE_POP (UINT64_C(1) << 32)
#define POPS (~(ONE_POP - 1))

/* ---- the stack ---- */

static void push(struct cw_chunk_pool *pool, struct cw_chunk *chunk)
{
	uint64_t top = atomic_load_explicit(&pool->free_list, memory_order_relaxed);
	uint32_t link = (uint32_t)(chunk - pool->chunks) + 1;

	do
		/* Relaxed: the release publishes the link. */
		atomic_store_explicit(&chunk->free_next, (uint32_t)top, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&pool->free_list, &top, (top & POPS) | link,
						      memory_order_release, /* [POOL-1] */
						      memory_order_relaxed));
}

/* The caller has counted a free chunk as gone. */
static struct cw_chunk *pop(struct cw_chunk_pool *pool)
{
	uint64_t top = atomic_load_explicit(&pool->free_list, memory_order_acquire); /* [POOL-1] */
	struct cw_chunk *chunk;
	uint64_t next;

	do {
		chunk = &pool->chunks[(uint32_t)top - 1];
		/* Relaxed: if another thread has popped the chunk, and even pushed it again, the
		 * number of pops differs, and the exchange fails. */
		next = atomic_load_explicit(&chunk->free_next, memory_order_relaxed);
		next |= (top & POPS) + ONE_POP;
		/* [POOL-1] acquire: the last user is done with the memory. */
	} while (!atomic_compare_exchange_weak_explicit(
	    &pool->free_list, &top, next, memory_order_acquire, memory_order_acquire));
	return chunk;
}

/* ---- the pool ---- */

int cw_chunk_pool_init(struct cw_chunk_pool *pool, size_t pool_bytes, size_t chunk_bytes)
{
	pool->chunk_bytes = chunk_bytes;
	pool->chunk_count = (uint32_t)(pool_bytes / chunk_bytes);
	if (pool->chunk_count < 2)
		pool->chunk_count = 2;
	pool->chunks = calloc(pool->chunk_count, sizeof(*pool->chunks));
	if (!pool->chunks)
		return -ENOMEM;
	pool->memory = mmap(NULL, pool->chunk_count * chunk_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pool->memory == MAP_FAILED) {
		free(pool->chunks);
		pool->chunks = NULL;
		return -ENOMEM;
	}
	pool->claimed_count = 0;
	atomic_init(&pool->free_list, 0);
	atomic_init(&pool->counts, 0);
	atomic_init(&pool->has_giant, false);
	for (uint32_t index = pool->chunk_count; index-- > 0;) {
		pool->chunks[index].memory = pool->memory + index * chunk_bytes;
		cw_chunk_give_back_any(pool, &pool->chunks[index]);
	}
	return 0;
}

void cw_chunk_pool_fini(struct cw_chunk_pool *pool)
{
	if (!pool->chunks)
		return;
	munmap(pool->memory, pool->chunk_count * pool->chunk_bytes);
	free(pool->chunks);
	pool->chunks = NULL;
}

static void make_fresh(struct cw_chunk *chunk)
{
	atomic_store_explicit(&chunk->pending, CW_CHUNK_OPEN_BIAS, memory_order_relaxed);
	atomic_store_explicit(&chunk->intact_bytes, CW_CHUNK_INTACT, memory_order_relaxed);
	chunk->used = 0;
	chunk->following = NULL;
	chunk->queued = NULL;
	chunk->is_flushed = false;
}

void cw_chunk_make_mark(struct cw_chunk *chunk, enum cw_mark mark, struct cw_file *file,
			uint64_t offset)
{
	*chunk = (struct cw_chunk){.mark = mark, .file = file, .offset = offset};
	make_fresh(chunk);
}

bool cw_chunk_claim(struct cw_chunk_pool *pool, uint64_t count)
{
	uint64_t counts = atomic_load(&pool->counts);

	if (count <= pool->claimed_count)
		return true;
	count -= pool->claimed_count;
	do {
		if (count > (uint32_t)counts)
			return false;
	} while (!atomic_compare_exchange_weak(&pool->counts, &counts, counts - count));
	pool->claimed_count += (uint32_t)count;
	return true;
}

void cw_chunk_unclaim(struct cw_chunk_pool *pool)
{
	if (pool->claimed_count)
		atomic_fetch_add(&pool->counts, pool->claimed_count);
	pool->claimed_count = 0;
}

struct cw_chunk *cw_chunk_take(struct cw_chunk_pool *pool)
{
	struct cw_chunk *chunk;

	if (!cw_chunk_claim(pool, 1))
		return NULL;
	pool->claimed_count--;
	chunk = pop(pool);
	make_fresh(chunk);
	return chunk;
}

struct cw_chunk *cw_chunk_take_giant(struct cw_chunk_pool *pool, size_t bytes)
{
	struct cw_chunk *chunk;

	if (atomic_load(&pool->has_giant))
		return NULL;
	chunk = calloc(1, sizeof(*chunk));
	if (!chunk)
		return NULL;
	chunk->memory = malloc(bytes);
	if (!chunk->memory) {
		free(chunk);
		return NULL;
	}
	chunk->is_giant = true;
	atomic_store(&pool->has_giant, true);
	make_fresh(chunk);
	return chunk;
}

void cw_chunk_give_back_any(struct cw_chunk_pool *pool, struct cw_chunk *chunk)
{
	if (chunk->mark)
		return;
	if (chunk->is_giant) {
		free(chunk->memory);
		free(chunk);
		atomic_store(&pool->has_giant, false);
		return;
	}
	push(pool, chunk);
	atomic_fetch_add(&pool->counts, 1);
}

struct cw_chunk *cw_chunk_lend_any(struct cw_chunk_pool *pool)
{
	uint64_t counts = atomic_load(&pool->counts);
	struct cw_chunk *chunk;

	do {
		if (counts / ONE_LENT + 2 > (uint32_t)counts)
			return NULL; /* more would be lent than are free then */
	} while (!atomic_compare_exchange_weak(&pool->counts, &counts, counts + ONE_LENT - 1));
	chunk = pop(pool);
	make_fresh(chunk);
	return chunk;
}

void cw_chunk_return_any(struct cw_chunk_pool *pool, struct cw_chunk *chunk)
{
	push(pool, chunk);
	atomic_fetch_sub(&pool->counts, ONE_LENT - 1);
}

void cw_chunk_adopt(struct cw_chunk_pool *pool)
{
	atomic_fetch_sub(&pool->counts, ONE_LENT);
}

uint32_t cw_chunk_free_count(const struct cw_chunk_pool *pool)
{
	return (uint32_t)atomic_load(&pool->counts);
}

uint32_t cw_chunk_lent_count(const struct cw_chunk_pool *pool)
{
	return (uint32_t)(atomic_load(&pool->counts) / ONE_LENT);
}

uint32_t cw_chunk_held_count(const struct cw_chunk_pool *pool)
{
	uint64_t counts = atomic_load(&pool->counts);

	return pool->chunk_count - (uint32_t)counts - (uint32_t)(counts / ONE_LENT);
}

static bool subtract_pending(struct cw_chunk *chunk, int64_t amount)
{
	/* [CHUNK-1] release: the bytes copied here; acquire: those of other threads. */
	return atomic_fetch_sub_explicit(&chunk->pending, amount, memory_order_acq_rel) == amount;
}

bool cw_chunk_copied(struct cw_chunk *chunk, uint32_t bytes)
{
	return subtract_pending(chunk, bytes);
}

bool cw_chunk_is_copied(const struct cw_chunk *chunk)
{
	/* Relaxed: a hint; sealing and writing order the bytes. */
	return atomic_load_explicit(&chunk->pending, memory_order_relaxed) == CW_CHUNK_OPEN_BIAS;
}

bool cw_chunk_seal(struct cw_chunk *chunk)
{
	return subtract_pending(chunk, CW_CHUNK_OPEN_BIAS);
}
