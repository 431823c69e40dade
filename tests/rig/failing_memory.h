/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that runs out when told to; malloc, calloc, realloc and aligned_alloc are wrapped. */
#ifndef CW_TESTS_RIG_FAILING_MEMORY_H
#define CW_TESTS_RIG_FAILING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static uint32_t allocations_left = UINT32_MAX; /* until one fails */
static bool fails_once;                        /* and later ones do not */

static inline bool may_allocate(void)
{
	if (allocations_left == UINT32_MAX)
		return true;
	if (allocations_left == 0) {
		if (fails_once)
			allocations_left = UINT32_MAX - 1;
		return false;
	}
	allocations_left--;
	return true;
}

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes)
{
	return may_allocate() ? __real_malloc(bytes) : NULL;
}

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
	return may_allocate() ? __real_calloc(count, bytes) : NULL;
}

void *__real_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes)
{
	return may_allocate() ? __real_realloc(memory, bytes) : NULL;
}

void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	return may_allocate() ? __real_aligned_alloc(alignment, bytes) : NULL;
}

#endif
