/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The chunks that an output keeps between reserving and writing: the open one, and full ones
 * gathered until they are worth a write. Runs in the sequencer's turn; a sealed chunk belongs to
 * the writer (write.c).
 */
#include "pipeline/output/output_parts.h"

static void hold(struct cw_output *output, struct cw_chunk *chunk)
{
	chunk->queued = NULL;
	if (output->turn.held_last)
		output->turn.held_last->queued = chunk;
	else
		output->turn.held_first = chunk;
	output->turn.held_last = chunk;
	output->turn.held_bytes += chunk->used;
}

void cw_output_close_chunk(struct cw_output *output)
{
	if (!output->turn.open)
		return;
	/* Closed before its end: the next record must begin a new piece. */
	if (output->turn.open->used < output->turn.open->capacity)
		output->turn.last_batch = NULL;
	hold(output, output->turn.open);
	output->turn.open = NULL;
}

void cw_output_hold_mark(struct cw_outputs *outputs, struct cw_output *output,
			 struct cw_chunk *mark)
{
	atomic_fetch_add_explicit(&outputs->run->live_chunks, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&output->shared.chunks_out, 1, memory_order_relaxed);
	outputs->turn.kept_chunks++;
	hold(output, mark);
}

/* Gives the oldest held chunk to the writer. True: the chunk is complete already. */
static bool seal_oldest(struct cw_outputs *outputs, struct cw_output *output)
{
	struct cw_chunk *chunk = output->turn.held_first;

	output->turn.held_first = chunk->queued;
	if (!output->turn.held_first)
		output->turn.held_last = NULL;
	output->turn.held_bytes -= chunk->used;
	outputs->turn.kept_chunks--;
	chunk->queued = atomic_load_explicit(&output->shared.inbox, memory_order_relaxed);
	/* [INBOX-1] release: the chunk's fields. Pushed before sealing: the thread that completes
	 * the chunk, here or a copying worker, can rely on the writer finding it. */
	while (!atomic_compare_exchange_weak_explicit(&output->shared.inbox, &chunk->queued, chunk,
						      memory_order_release, memory_order_relaxed))
		;
	return cw_chunk_seal(chunk);
}

void cw_output_seal_all(struct cw_outputs *outputs, struct cw_output *output)
{
	bool is_any_complete = false;

	if (cw_output_open_room(output))
		output->turn.open->is_flushed = true;
	cw_output_close_chunk(output);
	while (output->turn.held_first)
		is_any_complete |= seal_oldest(outputs, output);
	if (is_any_complete)
		cw_output_kick(outputs, output);
}

void cw_output_chunk_full(struct cw_outputs *outputs, struct cw_output *output)
{
	size_t gather_bytes = outputs->run->options.sizes.gather_bytes;
	bool is_any_complete = false;

	cw_output_close_chunk(output);
	if (output->turn.held_bytes < gather_bytes && outputs->pool.chunk_bytes < gather_bytes)
		return;
	while (output->turn.held_first && (outputs->pool.chunk_bytes >= gather_bytes ||
					   cw_chunk_is_copied(output->turn.held_first)))
		is_any_complete |= seal_oldest(outputs, output);
	if (is_any_complete)
		cw_output_kick(outputs, output);
}

/* ---- making room, and the end ---- */

/* Returns the bytes that the output keeps and the writer does not have yet. */
static uint64_t unsealed_bytes(const struct cw_output *output)
{
	return output->turn.held_bytes + (output->turn.open ? output->turn.open->used : 0);
}

void cw_outputs_flush_fullest(struct cw_outputs *outputs)
{
	uint64_t fullest = 0;

	for (uint32_t index = 0; index < outputs->count; index++) {
		uint64_t bytes = unsealed_bytes(&outputs->at[index]);

		fullest = bytes > fullest ? bytes : fullest;
	}
	for (uint32_t index = 0; index < outputs->count && fullest; index++) {
		struct cw_output *output = &outputs->at[index];

		if (unsealed_bytes(output) >= (fullest + 1) / 2)
			cw_output_seal_all(outputs, output);
	}
}

void cw_outputs_flush_batch(struct cw_outputs *outputs, const struct cw_batch *batch)
{
	for (uint32_t index = 0; index < batch->tally_count; index++)
		cw_output_seal_all(outputs, &outputs->at[batch->tallies[index].output]);
}

void cw_outputs_flush_all(struct cw_outputs *outputs)
{
	for (uint32_t index = 0; index < outputs->count; index++)
		cw_output_seal_all(outputs, &outputs->at[index]);
}

/*
 * Returns whether to send gathered chunks now, so that copying need not stop: a quarter of the pool
 * is left at most, and the writers have less than an eighth of it.
 */
static bool is_short_of_chunks(struct cw_outputs *outputs)
{
	uint32_t count = outputs->pool.chunk_count;
	uint32_t held = cw_chunk_held_count(&outputs->pool);

	return cw_chunk_free_count(&outputs->pool) < count - count / 4 * 3 &&
	       held - cw_min_u32(held, outputs->turn.kept_chunks) < count / 8;
}

void cw_outputs_keep_room(struct cw_outputs *outputs)
{
	if (is_short_of_chunks(outputs))
		cw_outputs_flush_fullest(outputs);
}

void cw_output_set_anchor(struct cw_output *output)
{
	output->turn.anchor_offset = output->turn.offset;
	if (!output->turn.open)
		return;
	output->turn.open->anchor = (struct cw_anchor){
	    output->turn.offset, output->turn.file_records, output->turn.file_bytes};
}

void cw_output_adopt_chunk(struct cw_outputs *outputs, struct cw_output *output,
			   struct cw_chunk *chunk, size_t capacity)
{
	atomic_fetch_add_explicit(&outputs->run->live_chunks, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&output->shared.chunks_out, 1, memory_order_relaxed);
	outputs->turn.kept_chunks++;
	chunk->capacity = (uint32_t)capacity;
	chunk->file = output->turn.file;
	chunk->offset = output->turn.offset;
	chunk->anchor = (struct cw_anchor){output->turn.anchor_offset, output->turn.file_records,
					   output->turn.file_bytes};
	output->turn.open = chunk;
}

uint64_t cw_output_chunks_needed(const struct cw_chunk_pool *pool, uint64_t room, uint64_t bytes)
{
	return bytes <= room ? 0 : (bytes - room + pool->chunk_bytes - 1) / pool->chunk_bytes;
}

struct cw_chunk *cw_output_reserve_bytes(struct cw_outputs *outputs, struct cw_output *output,
					 uint64_t bytes, const uint8_t *from, uint32_t *start)
{
	struct cw_chunk *first = NULL;
	struct cw_chunk *previous = NULL;

	while (bytes) {
		struct cw_chunk *chunk;
		uint32_t part;

		if (output->turn.open && cw_output_open_room(output) == 0)
			cw_output_chunk_full(outputs, output);
		if (!output->turn.open) {
			chunk = cw_chunk_take(&outputs->pool);
			cw_output_adopt_chunk(outputs, output, chunk, outputs->pool.chunk_bytes);
		}
		chunk = output->turn.open;
		part = (uint32_t)cw_min_size(bytes, cw_output_open_room(output));
		if (from) {
			memcpy(chunk->memory + chunk->used, from, part);
			from += part;
		} else {
			/* Relaxed: handing on the batch orders this before any copying. */
			atomic_fetch_add_explicit(&chunk->pending, part, memory_order_relaxed);
			if (previous)
				previous->following = chunk;
			previous = chunk;
		}
		if (!first) {
			first = chunk;
			*start = chunk->used;
		}
		chunk->used += part;
		output->turn.offset += part;
		bytes -= part;
	}
	return first;
}

void cw_output_append(struct cw_outputs *outputs, struct cw_output *output, const uint8_t *from,
		      size_t bytes)
{
	uint32_t start;

	cw_output_reserve_bytes(outputs, output, bytes, from, &start);
	cw_output_set_anchor(output);
}

void cw_output_adopt_draft(struct cw_outputs *outputs, struct cw_output *output,
			   struct cw_draft *draft)
{
	while (draft->first) {
		struct cw_chunk *chunk = draft->first;
		const struct cw_anchor own = chunk->anchor;

		draft->first = chunk->queued;
		if (output->turn.open)
			cw_output_chunk_full(outputs, output);
		cw_chunk_adopt(&outputs->pool);
		cw_output_adopt_chunk(outputs, output, chunk, outputs->pool.chunk_bytes);
		output->turn.offset += chunk->used;
		output->turn.file_records += own.records;
		output->turn.file_bytes += own.bytes;
		cw_output_set_anchor(output);
	}
	draft->last = NULL;
}
