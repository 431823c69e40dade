/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Growing arrays, and a hash index of their elements. If an allocation fails, the functions return
 * -ENOMEM and leave the array or index as it was.
 */
#ifndef CW_CORE_BASE_GROW_H
#define CW_CORE_BASE_GROW_H

#include <errno.h>
#include <stdlib.h>

#include "core/base/base.h"

#define CW_NONE UINT32_MAX

/*
 * Makes room for `count` elements of `bytes` each in *array, which has room for *capacity. Returns
 * 0 or -ENOMEM. Use it through CW_GROW.
 */
static inline int cw_grow(void **array, uint32_t *capacity, uint64_t count, size_t bytes)
{
	uint64_t wanted = *capacity ? *capacity : 16;
	void *grown;

	if (cw_likely(count <= *capacity))
		return 0;
	while (wanted < count)
		wanted *= 2;
	if (wanted > UINT32_MAX / 2)
		return -ENOMEM;
	grown = realloc(*array, wanted * bytes);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*capacity = (uint32_t)wanted;
	return 0;
}

/* Makes room for `more` elements after the present ones, as in CW_GROW(list, 1). `list` points to a
 * struct with the members at, count and capacity. Returns 0 or -ENOMEM. */
#define CW_GROW(list, more)                                                                \
	cw_grow((void **)&(list)->at, &(list)->capacity, (uint64_t)(list)->count + (more), \
		sizeof(*(list)->at))

/* Frees the array. The list is then empty and can grow again. */
#define CW_GROWN_FINI(list) \
	(free((list)->at), (list)->at = NULL, (list)->count = (list)->capacity = 0)

static inline void cw_free_all(void *const *pointers, size_t count)
{
	while (count-- > 0)
		free(pointers[count]);
}

/* Frees each of these pointers. */
#define CW_FREE_ALL(...) \
	cw_free_all((void *[]){__VA_ARGS__}, CW_ARRAY_COUNT(((void *[]){__VA_ARGS__})))

struct cw_u32s {
	uint32_t *at;
	uint32_t count;
	uint32_t capacity;
};

/*
 * Index: from a hash to the numbers of the elements that have that hash. Open addressing, linear
 * probing, at most half full. The caller compares the candidates:
 *
 *	uint32_t cursor = hash, found;
 *
 *	while ((found = cw_index_next(&index, hash, &cursor)) != CW_NONE)
 *		if (equal(found, wanted))
 *			return found;
 */
struct cw_index_slot {
	uint32_t hash;
	uint32_t number; /* number of the element; CW_NONE: free slot */
};

struct cw_index {
	struct cw_index_slot *slots;
	uint32_t size;  /* number of slots: a power of two, or 0 */
	uint32_t count; /* number of slots in use */
};

static inline uint32_t cw_index_next(const struct cw_index *index, uint32_t hash, uint32_t *cursor)
{
	if (index->size == 0)
		return CW_NONE;
	for (;;) {
		const struct cw_index_slot *slot = &index->slots[(*cursor)++ & (index->size - 1)];

		if (slot->number == CW_NONE || slot->hash == hash)
			return slot->number;
	}
}

static inline void cw_index_put(struct cw_index *index, uint32_t hash, uint32_t number)
{
	uint32_t at = hash & (index->size - 1);

	while (index->slots[at].number != CW_NONE)
		at = (at + 1) & (index->size - 1);
	index->slots[at] = (struct cw_index_slot){hash, number};
}

/* Adds an element under its hash. Returns 0 or -ENOMEM. */
static inline int cw_index_add(struct cw_index *index, uint32_t hash, uint32_t number)
{
	if (2 * (index->count + 1) > index->size) {
		struct cw_index larger = {.size = index->size ? 2 * index->size : 64};

		larger.slots = malloc(larger.size * sizeof(*larger.slots));
		if (!larger.slots)
			return -ENOMEM;
		memset(larger.slots, 0xff, larger.size * sizeof(*larger.slots));
		for (uint32_t i = 0; i < index->size; i++)
			if (index->slots[i].number != CW_NONE)
				cw_index_put(&larger, index->slots[i].hash, index->slots[i].number);
		larger.count = index->count;
		free(index->slots);
		*index = larger;
	}
	cw_index_put(index, hash, number);
	index->count++;
	return 0;
}

static inline void cw_index_clear(struct cw_index *index)
{
	if (index->count)
		memset(index->slots, 0xff, index->size * sizeof(*index->slots));
	index->count = 0;
}

static inline void cw_index_fini(struct cw_index *index)
{
	free(index->slots);
	*index = (struct cw_index){0};
}

/* Returns the hash of 32-bit words: one multiply and one fold a word. `seed` chains calls. */
static inline uint32_t cw_hash_u32s(const uint32_t *words, size_t count, uint32_t seed)
{
	uint64_t hash = seed + UINT64_C(0x9e3779b97f4a7c15) * (count + 1);

	for (size_t i = 0; i < count; i++) {
		hash = (hash ^ words[i]) * UINT64_C(0xff51afd7ed558ccd);
		hash ^= hash >> 32;
	}
	return (uint32_t)(hash ^ hash >> 17);
}

/* Returns the hash of bytes at any alignment. */
static inline uint32_t cw_hash_bytes(const void *bytes, size_t count, uint32_t seed)
{
	const uint8_t *from = bytes;

	for (; count;) {
		uint32_t words[16] = {0};
		size_t taken = cw_min_size(count, sizeof(words));

		memcpy(words, from, taken);
		seed = cw_hash_u32s(words, (taken + 3) / 4, seed ^ (uint32_t)taken);
		from += taken;
		count -= taken;
	}
	return seed;
}

#endif
