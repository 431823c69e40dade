/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reserving a whole part at once, output by output, if nothing special happens in the part: the
 * drafts of a quick batch, or places for a careful one. Runs in the sequencer's turn.
 */
#include "pipeline/output/output_parts.h"

/* Returns whether packets of the part, from a joined file, may exceed what the header promises. */
static bool may_break_promise(const struct cw_output *output, const struct cw_batch *batch)
{
	return output->is_snaplen_promised &&
	       (batch->span.layout.is_pcapng || batch->span.layout.caplen_cut > output->snaplen);
}

/* Returns whether the tally's records all follow the output's last record directly. */
static bool is_plain(const struct cw_output *output, const struct cw_batch *batch,
		     const struct cw_tally *tally)
{
	if (!output->turn.file || output->turn.shall_rotate ||
	    !cw_block_place_has(&output->blocks.place, batch->span.layout.section,
				batch->span.layout.block_end))
		return false;
	if (!output->turn.file_records || cw_output_may_truncate_timestamps(output, batch) ||
	    may_break_promise(output, batch) ||
	    cw_output_needs_rotation(output, tally->record_count, tally->record_bytes,
				     batch->part.latest_ns) ||
	    cw_output_is_early(output, batch->part.earliest_ns))
		return false;
	if (output->format == CW_FORMAT_PCAPNG)
		return batch->part.has_one_iface &&
		       cw_file_find_iface(&output->turn.file->turn, batch->part.iface) !=
			   CW_FILE_IFACE_NONE;
	return batch->part.has_one_link_field &&
	       (output->turn.linktype | output->turn.fcs) == batch->part.link_field;
}

/* Returns how the output's file has the part's records; the part is plain for the output. */
static uint64_t find_encoding(const struct cw_output *output, const struct cw_batch *batch)
{
	return cw_encoding(output->turn.format, batch->part.iface,
			   output->format == CW_FORMAT_PCAPNG
			       ? cw_file_find_iface(&output->turn.file->turn, batch->part.iface)
			       : 0);
}

bool cw_outputs_can_reserve_whole(struct cw_outputs *outputs, const struct cw_batch *batch)
{
	uint64_t needed = 0, chunks, share;

	if (outputs->run->options.sizes.reserve_slowly || batch->part.has_unrepresentable ||
	    batch->part.has_giant || batch->part.is_cut_short ||
	    batch->tally_count > batch->piece_capacity)
		return false;
	for (uint32_t index = 0; index < batch->tally_count; index++) {
		const struct cw_tally *tally = &batch->tallies[index];
		const struct cw_output *output = &outputs->at[tally->output];
		bool has_chunks = batch->is_quick && batch->draft_of[index].first;

		if (output->limits.is_thinned)
			return false;
		if (atomic_load_explicit(&output->shared.failure, memory_order_relaxed))
			continue;
		if (!is_plain(output, batch, tally) ||
		    (batch->is_quick && tally->encoding != find_encoding(output, batch)))
			return false;
		chunks = has_chunks
			     ? 0
			     : cw_output_chunks_needed(&outputs->pool, cw_output_open_room(output),
						       tally->record_bytes);
		/* Chunks of drafts are not free any more, and leave others partly empty: from half
		 * of its share on, the output's records are copied. */
		share = has_chunks
			    ? atomic_load_explicit(&output->shared.chunks_out, memory_order_relaxed)
			    : chunks;
		if ((share || has_chunks) && cw_output_is_over_share(outputs, output, share))
			return false;
		needed += chunks;
	}
	return cw_chunk_claim(&outputs->pool, needed);
}

bool cw_outputs_can_adopt(struct cw_outputs *outputs, const struct cw_batch *batch)
{
	cw_outputs_keep_room(outputs);
	cw_outputs_free_space(outputs);
	return cw_outputs_can_reserve_whole(outputs, batch);
}

static void reserve_piece(struct cw_outputs *outputs, struct cw_output *output,
			  struct cw_batch *batch, struct cw_tally *tally)
{
	struct cw_piece piece = {.record_count = tally->record_count, .next = CW_PIECE_NONE};

	if (output->format == CW_FORMAT_PCAPNG)
		piece.iface = cw_file_find_iface(&output->turn.file->turn, batch->part.iface);
	else
		piece.iface = output->turn.format;
	piece.chunk =
	    cw_output_reserve_bytes(outputs, output, tally->record_bytes, NULL, &piece.offset);
	output->turn.last_batch = batch;
	output->turn.file_records += tally->record_count;
	output->turn.file_bytes += tally->data_bytes;
	cw_output_set_anchor(output);
	cw_batch_append_piece(batch, tally, &piece);
}

void cw_outputs_reserve_whole(struct cw_outputs *outputs, struct cw_batch *batch)
{
	for (uint32_t index = 0; index < batch->tally_count; index++) {
		struct cw_tally *tally = &batch->tallies[index];
		struct cw_output *output = &outputs->at[tally->output];

		output->turn.matched += tally->record_count;
		output->turn.matched_bytes += tally->data_bytes;
		if (atomic_load_explicit(&output->shared.failure, memory_order_relaxed))
			continue; /* lost: the copying worker finds no piece and skips them */
		output->blocks.left_out_options += tally->left_out_options;
		if (batch->is_quick && batch->draft_of[index].first) {
			cw_output_adopt_draft(outputs, output, &batch->draft_of[index]);
			output->turn.last_batch = NULL;
			continue;
		}
		cw_output_hint_encoding(output, find_encoding(output, batch));
		reserve_piece(outputs, output, batch, tally);
	}
}
