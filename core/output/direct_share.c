/* SPDX-License-Identifier: BSD-3-Clause */
/* The places for files that write directly, and the reason of the first refusal. */
#include <errno.h>
#include <stdlib.h>

#include "core/output/outfile_parts.h"

int cw_direct_share_new(struct cw_direct_share **result, uint32_t file_count, bool is_paced)
{
	struct cw_direct_share *share = calloc(1, sizeof(*share));

	*result = share;
	if (!share)
		return -ENOMEM;
	share->is_paced = is_paced;
	atomic_init(&share->free_count, (int32_t)cw_min_u32(file_count, CW_DIRECT_FILES_MAX));
	atomic_init(&share->refusal, cw_direct_is_built() ? 0 : -ENOSYS);
	return 0;
}

void cw_direct_share_free(struct cw_direct_share *share)
{
	free(share);
}

int cw_direct_share_refusal(const struct cw_direct_share *share)
{
	/* Relaxed: only a number. */
	return atomic_load_explicit(&share->refusal, memory_order_relaxed);
}

bool cw_direct_share_take_any(struct cw_direct_share *share)
{
	/* Relaxed, both: only a number. */
	if (atomic_fetch_sub_explicit(&share->free_count, 1, memory_order_relaxed) > 0)
		return true;
	atomic_fetch_add_explicit(&share->free_count, 1, memory_order_relaxed);
	return false;
}

void cw_direct_share_give_back_any(struct cw_direct_share *share)
{
	/* Relaxed: only a number. */
	atomic_fetch_add_explicit(&share->free_count, 1, memory_order_relaxed);
}

void cw_direct_share_refuse_any(struct cw_direct_share *share, int failure)
{
	int none = 0;

	/* Relaxed: only a number. */
	atomic_compare_exchange_strong_explicit(&share->refusal, &none, failure,
						memory_order_relaxed, memory_order_relaxed);
}
