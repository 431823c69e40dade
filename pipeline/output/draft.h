/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drafts: records that a worker encodes before their place in a file is known. A batch has one
 * draft an output, and drafts borrow chunks of the pool:
 *
 *   cw_drafts_begin                      once a batch
 *   cw_draft_room, cw_draft_add          for each record, in order
 *   cw_draft_finish                      for each draft, before the batch waits for the turn
 *   cw_output_adopt_draft                in the turn: the chunks become the output's
 *   cw_drafts_drop                       at the end, adopted or not: returns what is still lent
 *
 * The first bytes of a draft lie in a slot: many slots share a borrowed chunk. A draft that
 * outgrows its slot moves to a larger one, then to a chunk of its own, and continues in further
 * chunks; no record spans two. If the output has few records, most of a chunk would be empty, so a
 * draft in a slot, or with less than half a chunk, is small: it has no chunk to adopt, but
 * `slot_used` bytes at `slot`, which the caller copies to a reserved place. So two adopted chunks
 * that follow each other hold more than one chunk of bytes, and a single one at least half of that.
 *
 * The holder of the batch owns its drafts. A zeroed draft is empty.
 */
#ifndef CW_PIPELINE_OUTPUT_DRAFT_H
#define CW_PIPELINE_OUTPUT_DRAFT_H

#include "pipeline/output/chunk.h"
#include "pipeline/run/batch.h"

/* Bytes after the room, in the same chunk or slot, that a copy may overwrite. */
#define CW_DRAFT_SLACK ((size_t)64)

/* Fills `drafts` for a batch whose records go to at most `output_count` outputs. Borrows nothing.
 */
void cw_drafts_begin(struct cw_drafts *drafts, struct cw_chunk_pool *pool, uint32_t output_count);

/* For cw_draft_room: moves the draft to a larger room. */
uint8_t *cw_draft_grow(struct cw_drafts *drafts, struct cw_draft *draft, size_t bytes);

/*
 * Returns the place of the next record, with room for `bytes` and CW_DRAFT_SLACK after them; the
 * caller writes the record there and calls cw_draft_add. NULL: no chunk to borrow, or the record is
 * longer than a chunk less the slack; drop the drafts then.
 */
static inline uint8_t *cw_draft_room(struct cw_drafts *drafts, struct cw_draft *draft, size_t bytes)
{
	if (cw_likely(bytes <= (size_t)(draft->end - draft->to)))
		return draft->to;
	return cw_draft_grow(drafts, draft, bytes);
}

/* Adds the record written at draft->to: `bytes`, of which `data_bytes` are captured ones. */
static inline void cw_draft_add(struct cw_draft *draft, size_t bytes, uint32_t data_bytes)
{
	draft->to += bytes;
	draft->record_count++;
	draft->data_bytes += data_bytes;
}

void cw_draft_finish(const struct cw_drafts *drafts, struct cw_draft *draft);

/* Returns what the batch has borrowed and no output adopted; empties the drafts. Calls on_return of
 * the pool if that was any chunk. */
void cw_drafts_drop(struct cw_drafts *drafts, struct cw_draft *at, uint32_t count);

#endif
