/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool is a stack, because the chunk used last is still in cache. Any thread pushes; only the
 * holder of the turn pops, so there is no ABA problem.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "pipeline/output/chunk.h"

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
	atomic_init(&pool->free_list, NULL);
	atomic_init(&pool->free_count, 0);
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
}

void cw_chunk_make_mark(struct cw_chunk *chunk, enum cw_mark mark, struct cw_file *file,
			uint64_t offset)
{
	*chunk = (struct cw_chunk){.mark = mark, .file = file, .offset = offset};
	make_fresh(chunk);
}

struct cw_chunk *cw_chunk_take(struct cw_chunk_pool *pool)
{
	/* [POOL-1] acquire: the writer is done with the memory. */
	struct cw_chunk *chunk = atomic_load_explicit(&pool->free_list, memory_order_acquire);

	while (chunk &&
	       !atomic_compare_exchange_weak_explicit(&pool->free_list, &chunk, chunk->free_next,
						      memory_order_acquire, memory_order_acquire))
		;
	if (!chunk)
		return NULL;
	atomic_fetch_sub(&pool->free_count, 1);
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
	chunk->free_next = atomic_load_explicit(&pool->free_list, memory_order_relaxed);
	/* [POOL-1] release */
	while (!atomic_compare_exchange_weak_explicit(&pool->free_list, &chunk->free_next, chunk,
						      memory_order_release, memory_order_relaxed))
		;
	/* After the push: the count never exceeds the list. */
	atomic_fetch_add(&pool->free_count, 1);
}

uint32_t cw_chunk_free_count(struct cw_chunk_pool *pool)
{
	return atomic_load(&pool->free_count);
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
