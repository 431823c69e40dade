/* SPDX-License-Identifier: BSD-3-Clause */
/* Drafts: slots, growing, and what goes back. */
#include "pipeline/output/draft.h"

#include <string.h>

#define SLOT_BYTES_MIN 256u
#define SLOT_BYTES_MAX 4096u
#define SLOT_GROWTH 4u
#define FEW_BYTES ((size_t)1 << 20) /* with fewer bytes, each output may have a chunk at once */

void cw_drafts_begin(struct cw_drafts *drafts, struct cw_chunk_pool *pool, uint32_t output_count)
{
	size_t bytes = pool->chunk_bytes / (output_count ? output_count : 1);

	bytes = cw_min_size(bytes, SLOT_BYTES_MAX) & ~(CW_DRAFT_SLACK - 1);
	if (bytes < SLOT_BYTES_MIN)
		bytes = SLOT_BYTES_MIN;
	*drafts = (struct cw_drafts){
	    .pool = pool, .slot_bytes = (uint32_t)bytes, .slot_bytes_max = (uint32_t)bytes};
	/* Of many outputs, most have few records in a batch: a chunk for each would be too much. */
	if (output_count * pool->chunk_bytes > FEW_BYTES && bytes < pool->chunk_bytes / 4)
		drafts->slot_bytes_max = (uint32_t)pool->chunk_bytes / 4;
}

/* Returns a slot of `bytes`; NULL: no chunk to borrow. */
static uint8_t *take_slot(struct cw_drafts *drafts, uint32_t bytes)
{
	struct cw_chunk *chunk = drafts->slots;

	if (!chunk || drafts->pool->chunk_bytes - chunk->used < bytes) {
		chunk = cw_chunk_lend_any(drafts->pool);
		if (!chunk)
			return NULL;
		chunk->queued = drafts->slots;
		drafts->slots = chunk;
	}
	chunk->used += bytes;
	return chunk->memory + chunk->used - bytes;
}

/* Ends the room in the draft's last chunk. */
static void end_chunk(struct cw_draft *draft)
{
	draft->last->used = (uint32_t)(draft->to - draft->slot);
	draft->last->anchor =
	    (struct cw_anchor){.records = draft->record_count, .bytes = draft->data_bytes};
	draft->record_count = 0;
	draft->data_bytes = 0;
}

static void use_room(struct cw_draft *draft, uint8_t *slot, size_t bytes, size_t used)
{
	if (used)
		memcpy(slot, draft->slot, used);
	draft->slot = slot;
	draft->to = slot + used;
	draft->end = slot + bytes - CW_DRAFT_SLACK;
}

/* Moves the draft from its slot, if any, to one with room for `bytes` more. False: that would be
 * too large, or no chunk is left to borrow. */
static bool move_to_slot(struct cw_drafts *drafts, struct cw_draft *draft, size_t used,
			 size_t bytes)
{
	size_t slot_bytes = drafts->slot_bytes;
	uint8_t *slot;

	while (slot_bytes < used + bytes + CW_DRAFT_SLACK)
		slot_bytes *= SLOT_GROWTH;
	if (slot_bytes > drafts->slot_bytes_max)
		return false;
	slot = take_slot(drafts, (uint32_t)slot_bytes);
	if (slot)
		use_room(draft, slot, slot_bytes, used);
	return slot != NULL;
}

uint8_t *cw_draft_grow(struct cw_drafts *drafts, struct cw_draft *draft, size_t bytes)
{
	size_t chunk_bytes = drafts->pool->chunk_bytes;
	size_t used = (size_t)(draft->to - draft->slot);
	struct cw_chunk *chunk;

	if (bytes > chunk_bytes - CW_DRAFT_SLACK)
		return NULL;
	if (!draft->last && move_to_slot(drafts, draft, used, bytes))
		return draft->to;
	do { /* twice if the record does not fit after what moves from the slot */
		chunk = cw_chunk_lend_any(drafts->pool);
		if (!chunk)
			return NULL;
		if (draft->last) {
			end_chunk(draft);
			draft->last->queued = chunk;
			used = 0;
		} else {
			draft->first = chunk;
		}
		draft->last = chunk;
		use_room(draft, chunk->memory, chunk_bytes, used);
	} while (bytes > (size_t)(draft->end - draft->to));
	return draft->to;
}

void cw_draft_finish(const struct cw_drafts *drafts, struct cw_draft *draft)
{
	size_t used = (size_t)(draft->to - draft->slot);

	if (draft->last)
		end_chunk(draft);
	if (draft->first && (draft->first != draft->last || used >= drafts->pool->chunk_bytes / 2))
		return;
	draft->small = draft->first;
	draft->first = draft->last = NULL;
	draft->slot_used = (uint32_t)used;
}

/* Returns a list of lent chunks. */
static bool return_chunks(struct cw_chunk_pool *pool, struct cw_chunk *chunk)
{
	bool is_any = chunk != NULL;

	while (chunk) {
		struct cw_chunk *next = chunk->queued;

		cw_chunk_return_any(pool, chunk);
		chunk = next;
	}
	return is_any;
}

void cw_drafts_drop(struct cw_drafts *drafts, struct cw_draft *at, uint32_t count)
{
	struct cw_chunk_pool *pool = drafts->pool;
	bool is_any = return_chunks(pool, drafts->slots);

	drafts->slots = NULL;
	for (uint32_t index = 0; index < count; index++) {
		is_any |= return_chunks(pool, at[index].first);
		is_any |= return_chunks(pool, at[index].small);
		at[index] = (struct cw_draft){0};
	}
	if (is_any && pool->on_return)
		pool->on_return(pool->context);
}
