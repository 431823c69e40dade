/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two hash tables, one young and one old: nearly "forget the least recently used", without lists to
 * keep in order.
 */
#include "core/filter/text/cache.h"

static uint32_t hash_key(const struct cw_cached *key)
{
	const uint32_t words[] = {key->linktype, key->snaplen, key->netmask,
				  (uint32_t)(key->is_swapped + 2 * key->unoptimized)};

	return cw_hash_bytes(key->expression, strlen(key->expression), cw_hash_u32s(words, 4, 0));
}

static bool has_key(const struct cw_cached *cached, const struct cw_cached *key)
{
	return cached->expression && cached->linktype == key->linktype &&
	       cached->snaplen == key->snaplen && cached->netmask == key->netmask &&
	       cached->is_swapped == key->is_swapped && cached->unoptimized == key->unoptimized &&
	       strcmp(cached->expression, key->expression) == 0;
}

/* Borrows the expression. */
static struct cw_cached make_key(const char *expression, const struct cw_filter_options *options)
{
	return (struct cw_cached){.expression = (char *)(uintptr_t)expression,
				  .linktype = options->linktype,
				  .snaplen = options->snaplen ? options->snaplen : CW_CAPLEN_MAX,
				  .netmask = options->netmask,
				  .is_swapped = options->is_swapped,
				  .unoptimized = options->unoptimized};
}

static size_t bytes_of(const struct cw_cached *cached)
{
	return sizeof(*cached) + strlen(cached->expression) + 1 +
	       (cached->text ? strlen(cached->text) + 1 : 0) +
	       cached->translation.count * sizeof(*cached->translation.at);
}

static void free_cached(struct cw_cached *cached)
{
	free(cached->expression);
	free(cached->text);
	cw_bpf_fini(&cached->translation);
}

static void free_generation(struct cw_cache_generation *generation)
{
	for (uint32_t i = 0; i < generation->count; i++)
		free_cached(&generation->at[i]);
	free(generation->at);
	cw_index_fini(&generation->index);
	*generation = (struct cw_cache_generation){0};
}

static struct cw_cached *find_in(const struct cw_cache_generation *generation,
				 const struct cw_cached *key, uint32_t hash)
{
	uint32_t cursor = hash, found;

	while ((found = cw_index_next(&generation->index, hash, &cursor)) != CW_NONE)
		if (has_key(&generation->at[found], key))
			return &generation->at[found];
	return NULL;
}

/* Takes `cached`; frees it if it does not fit. Returns its place or NULL. */
static struct cw_cached *add_young(struct cw_filter_cache *cache, struct cw_cached cached)
{
	struct cw_cache_generation *young = &cache->young;
	size_t bytes = bytes_of(&cached);

	if (bytes > cache->generation_bytes) {
		free_cached(&cached);
		return NULL;
	}
	if (young->count >= cache->generation_entries ||
	    young->bytes + bytes > cache->generation_bytes) {
		free_generation(&cache->old);
		cache->old = *young;
		*young = (struct cw_cache_generation){0};
	}
	if (CW_GROW(young, 1) || cw_index_add(&young->index, hash_key(&cached), young->count)) {
		free_cached(&cached);
		return NULL;
	}
	young->bytes += bytes;
	young->at[young->count] = cached;
	return &young->at[young->count++];
}

void cw_filter_cache_init(struct cw_filter_cache *cache, uint32_t entries, size_t bytes)
{
	*cache = (struct cw_filter_cache){.generation_entries = entries < 2 ? 1 : entries / 2,
					  .generation_bytes = bytes / 2};
}

const struct cw_cached *cw_filter_cache_find(struct cw_filter_cache *cache, const char *expression,
					     const struct cw_filter_options *options)
{
	const struct cw_cached key = make_key(expression, options);
	uint32_t hash = hash_key(&key);
	struct cw_cached *found = find_in(&cache->young, &key, hash);
	struct cw_cached moved;

	if (found)
		return found;
	found = find_in(&cache->old, &key, hash);
	if (!found)
		return NULL;
	moved = *found;
	*found = (struct cw_cached){0};
	return add_young(cache, moved);
}

void cw_filter_cache_add(struct cw_filter_cache *cache, const char *expression,
			 const struct cw_filter_options *options, int result,
			 const struct cw_bpf *translation, const struct cw_error *error)
{
	struct cw_cached cached = make_key(expression, options);

	cached.result = result;
	cached.code = error->code;
	cached.expression = strdup(expression);
	if (error->text[0])
		cached.text = strdup(error->text);
	if (cw_bpf_copy(&cached.translation, translation->at, translation->count) ||
	    !cached.expression || (error->text[0] && !cached.text)) {
		free_cached(&cached);
		return;
	}
	add_young(cache, cached);
}

void cw_filter_cache_fini(struct cw_filter_cache *cache)
{
	free_generation(&cache->young);
	free_generation(&cache->old);
}
