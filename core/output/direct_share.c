/* SPDX-License-Identifier: BSD-3-Clause */
/* The places for files that write directly, each with its ring, and the reason of the first
 * refusal. */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "core/output/outfile_parts.h"

/* Rings get at most one of so many descriptors: the files need the others. */
#define DESCRIPTORS_PER_RING 4

static_assert(CW_DIRECT_FILES_MAX <= 32, "a bit for each place");

static uint32_t count_places(uint32_t file_count)
{
	uint32_t count = cw_min_u32(file_count, CW_DIRECT_FILES_MAX);
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur / DESCRIPTORS_PER_RING < count)
		count = (uint32_t)limit.rlim_cur / DESCRIPTORS_PER_RING;
	return count;
}

int cw_direct_share_new(struct cw_direct_share **result, uint32_t file_count, bool is_paced)
{
	struct cw_direct_share *share = calloc(1, sizeof(*share));
	uint32_t count = count_places(file_count), free_places = 0, place;
	int failure = -EMFILE;

	*result = share;
	if (!share)
		return -ENOMEM;
	share->is_paced = is_paced;
	for (place = 0; place < count; place++) {
		failure = cw_direct_ring_new(&share->rings[place]);
		if (failure)
			break; /* fewer places */
		free_places |= UINT32_C(1) << place;
	}
	atomic_init(&share->free_places, free_places);
	atomic_init(&share->refusal, free_places ? 0 : failure);
	return 0;
}

void cw_direct_share_free(struct cw_direct_share *share)
{
	if (!share)
		return;
	for (uint32_t place = 0; place < CW_DIRECT_FILES_MAX; place++)
		cw_direct_ring_free(share->rings[place]);
	free(share);
}

int cw_direct_share_refusal(const struct cw_direct_share *share)
{
	/* Relaxed: only a number. */
	return atomic_load_explicit(&share->refusal, memory_order_relaxed);
}

bool cw_direct_share_take_any(struct cw_direct_share *share, uint32_t *place)
{
	/* Relaxed: the exchange decides. */
	uint32_t free_places = atomic_load_explicit(&share->free_places, memory_order_relaxed);

	do {
		if (!free_places)
			return false;
		*place = (uint32_t)__builtin_ctz(free_places);
	} while (!atomic_compare_exchange_weak_explicit(/* [DIRECT-1] */
							&share->free_places, &free_places,
							free_places & ~(UINT32_C(1) << *place),
							memory_order_acquire,
							memory_order_relaxed));
	return true;
}

void cw_direct_share_give_back_any(struct cw_direct_share *share, uint32_t place)
{
	if (!cw_direct_ring_is_spoilt(share->rings[place]))
		atomic_fetch_or_explicit(&share->free_places, UINT32_C(1) << place,
					 memory_order_release); /* [DIRECT-1] */
}

void cw_direct_share_refuse_any(struct cw_direct_share *share, int failure)
{
	int none = 0;

	/* Relaxed: only a number. */
	atomic_compare_exchange_strong_explicit(&share->refusal, &none, failure,
						memory_order_relaxed, memory_order_relaxed);
}
