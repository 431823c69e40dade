/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Results of compiling, by expression and options: reloading a rules file costs only its new
 * expressions. Bounded: results that nobody has asked for recently are forgotten.
 */
#ifndef CW_CORE_FILTER_TEXT_CACHE_H
#define CW_CORE_FILTER_TEXT_CACHE_H

#include "core/filter/text/translate.h"
#include "core/base/grow.h"

struct cw_cached {
	/* key */
	char *expression; /* NULL: entry moved to the young generation */
	uint32_t linktype;
	uint32_t snaplen;
	uint32_t netmask;
	bool is_swapped;
	bool unoptimized;
	/* value */
	int result; /* of cw_filter_translate */
	int code;   /* code of the error */
	char *text; /* text of the error; NULL: none */
	struct cw_bpf translation;
};

/*
 * Results are added to the young generation. When that is full, the old generation is forgotten and
 * the young one becomes the old one. A result found in the old generation moves to the young one.
 */
struct cw_cache_generation {
	struct cw_cached *at;
	uint32_t count;
	uint32_t capacity;
	struct cw_index index;
	size_t bytes;
};

struct cw_filter_cache {
	struct cw_cache_generation young;
	struct cw_cache_generation old;
	uint32_t generation_entries; /* most entries of one generation */
	size_t generation_bytes;     /* most bytes of one generation */
};

/* Start with limits of `entries` results and about `bytes` of memory. */
void cw_filter_cache_init(struct cw_filter_cache *cache, uint32_t entries, size_t bytes);

/* The cached result, borrowed until the cache's next use, or NULL. */
const struct cw_cached *cw_filter_cache_find(struct cw_filter_cache *cache, const char *expression,
					     const struct cw_filter_options *options);

/* Remember a result (copies; the error may be without text). The caller has looked it up and
 * missed. A result that does not fit is silently not cached. */
void cw_filter_cache_add(struct cw_filter_cache *cache, const char *expression,
			 const struct cw_filter_options *options, int result,
			 const struct cw_bpf *translation, const struct cw_error *error);

void cw_filter_cache_fini(struct cw_filter_cache *cache);

#endif
