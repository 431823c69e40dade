/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wraps ck_ring. This file alone is compiled without ThreadSanitizer instrumentation: Concurrency
 * Kit synchronises in inline assembly that the sanitizer cannot see. The two annotations below
 * declare the one ordering that the ring gives, [RING-1].
 */
#include <errno.h>
#include <stdlib.h>

#include <ck_ring.h>

#include "core/base/base.h"
#include "pipeline/threads/ring.h"

#if defined(CW_TSAN)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define annotate_acquire(address) __tsan_acquire(address)
#define annotate_release(address) __tsan_release(address)
#else
#define annotate_acquire(address) ((void)(address))
#define annotate_release(address) ((void)(address))
#endif

struct cw_ring {
	ck_ring_t ring;
	ck_ring_buffer_t *buffer;
};
static_assert(CK_MD_CACHELINE % CW_CACHE_LINE == 0, "a ck line is a multiple of our line");
CW_ASSERT_LINE(struct cw_ring, ring.c_head); /* consumers */
CW_ASSERT_LINE(struct cw_ring, ring.p_tail); /* the producer */
CW_ASSERT_LINE(struct cw_ring, ring.size);   /* constant from here on */

int cw_ring_new(struct cw_ring **result, size_t capacity)
{
	struct cw_ring *ring;
	unsigned int size = 4;

	/* A ck_ring holds one entry fewer than its size. */
	while (size <= capacity)
		size *= 2;
	ring = aligned_alloc(CK_MD_CACHELINE, (sizeof(*ring) + CK_MD_CACHELINE - 1) /
						  CK_MD_CACHELINE * CK_MD_CACHELINE);
	if (!ring)
		return -ENOMEM;
	ring->buffer = calloc(size, sizeof(*ring->buffer));
	if (!ring->buffer) {
		free(ring);
		return -ENOMEM;
	}
	ck_ring_init(&ring->ring, size);
	*result = ring;
	return 0;
}

void cw_ring_free(struct cw_ring *ring)
{
	if (!ring)
		return;
	free(ring->buffer);
	free(ring);
}

bool cw_ring_push_spmc(struct cw_ring *ring, void *item)
{
	annotate_release(ring); /* [RING-1] release */
	return ck_ring_enqueue_spmc(&ring->ring, ring->buffer, item);
}

void *cw_ring_pop_spmc(struct cw_ring *ring)
{
	void *item;

	if (!ck_ring_dequeue_spmc(&ring->ring, ring->buffer, &item))
		return NULL;
	annotate_acquire(ring); /* [RING-1] acquire */
	return item;
}
