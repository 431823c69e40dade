/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reserving side of the outputs: the place of every record, in sequence order. Two paths with
 * the same result: a whole part at once, output by output, if nothing special happens in the part
 * (whole.c); or record by record, which also begins files, rotates, adds interface blocks, counts
 * records that a file cannot hold, and stops when the pool is empty. Tests compare both
 * (reserve_slowly).
 *
 * Everything here runs in the sequencer's turn: memory and arithmetic, no system call.
 */
#include <errno.h>
#include <stdio.h>

#include "core/base/grow.h"
#include "pipeline/output/blocks.h"
#include "pipeline/output/output_parts.h"

/* ---- files ---- */

static int start_file(struct cw_outputs *outputs, struct cw_output *output,
		      const struct cw_iface *iface, uint64_t ts_ns)
{
	struct cw_file *file;

	cw_output_close_chunk(output);
	if (output->turn.file)
		cw_output_note_end(outputs, output);
	output->turn.file = NULL;
	cw_output_make_space(outputs, output);
	file = output->turn.restart ? output->turn.restart
				    : cw_output_new_file(outputs, output, iface, ts_ns);
	output->turn.restart = NULL;
	if (!file)
		return -ENOMEM;
	if (output->turn.linktype == CW_LINKTYPE_ANY)
		output->turn.linktype = iface->linktype;
	file->linktype = output->turn.linktype;
	file->bytes_max = output->limits.rotate_bytes;
	output->turn.file = file;
	output->turn.shall_rotate = false;
	output->turn.offset = 0;
	output->turn.anchor_offset = 0;
	output->turn.file_records = 0;
	output->turn.file_bytes = 0;
	cw_output_start_period(output, ts_ns);
	return 0;
}

static void write_header(struct cw_outputs *outputs, struct cw_output *output,
			 const struct cw_iface *iface)
{
	uint8_t *header = outputs->turn.block.at;
	size_t bytes =
	    output->format == CW_FORMAT_PCAPNG
		? cw_format_section(cw_iface_section_options(iface), header)
		: cw_format_header(output->turn.format, output->turn.linktype | iface->fcs,
				   cw_output_snaplen_field(outputs, output, output->turn.linktype),
				   header);

	output->turn.fcs = iface->fcs;
	output->turn.file->header_bytes = bytes;
	cw_output_append(outputs, output, header, bytes);
}

/* ---- record by record ---- */

enum placing {
	PLACED,
	LOST,       /* lost or left out, and counted: nothing to copy */
	NO_ROOM,    /* no chunk or piece is free: stop here */
	OVER_SHARE, /* the output holds its share of the pool: the record is lost */
};

/* Fills the preface, whose section and block_end are set. */
static void find_preface(const struct cw_outputs *outputs, const struct cw_output *output,
			 const struct cw_packet *packet, size_t record_bytes,
			 struct cw_preface *preface)
{
	const struct cw_iface *iface = cw_ifaces_at(&outputs->inputs->ifaces, packet->iface);
	bool has_iface =
	    output->format != CW_FORMAT_PCAPNG ||
	    (output->turn.file &&
	     cw_file_find_iface(&output->turn.file->turn, packet->iface) != CW_FILE_IFACE_NONE);

	preface->blocks_bytes = cw_output_blocks_bytes(outputs, output, preface);
	if (output->format == CW_FORMAT_PCAPNG)
		preface->iface_bytes = cw_format_iface_bytes(iface);
	preface->is_new_file =
	    !output->turn.file ||
	    cw_output_needs_rotation(output, 1,
				     record_bytes + (has_iface ? 0 : preface->iface_bytes) +
					 preface->blocks_bytes,
				     packet->ts_ns);
	if (preface->is_new_file)
		preface->blocks_bytes = cw_output_blocks_bytes(outputs, output, preface);
	if (preface->is_new_file)
		preface->header_bytes =
		    output->format == CW_FORMAT_PCAPNG
			? cw_format_section_bytes(cw_iface_section_options(iface))
			: CW_PCAP_HEADER_BYTES;
	else if (has_iface)
		preface->iface_bytes = 0;
}

/* Claims the chunks for `bytes`; for a giant, takes a separate chunk. */
static enum placing make_room(struct cw_outputs *outputs, struct cw_output *output,
			      const struct cw_preface *preface, size_t bytes)
{
	struct cw_chunk_pool *pool = &outputs->pool;
	uint64_t room = preface->is_new_file ? 0 : cw_output_open_room(output);
	uint64_t needed = cw_output_chunks_needed(pool, room, bytes);
	struct cw_chunk *chunk;

	if (needed && cw_output_is_over_share(outputs, output, needed))
		return OVER_SHARE;
	if (bytes <= CW_RECORD_SPLIT_MAX && needed <= pool->chunk_count / 2)
		return cw_chunk_claim(pool, needed) ? PLACED : NO_ROOM;
	if (atomic_load(&pool->has_giant))
		return NO_ROOM;
	chunk = cw_chunk_take_giant(pool, bytes);
	if (!chunk) {
		cw_output_fail(output, -ENOMEM, output->turn.file_count > 0,
			       "no memory for a record larger than half the output memory");
		return LOST;
	}
	cw_output_close_chunk(output);
	outputs->turn.giant = chunk;
	return PLACED;
}

static enum placing lose(struct cw_output *output, const struct cw_packet *packet,
			 uint64_t *counter)
{
	cw_output_note_taken(output, packet);
	if (counter)
		++*counter;
	return LOST;
}

static enum placing lose_to_link_type(struct cw_outputs *outputs, struct cw_output *output,
				      const struct cw_packet *packet)
{
	if (output->turn.lost[CW_LOSS_LINK_TYPE] == 0)
		cw_run_tell(outputs->run, CW_PROBLEM,
			    "rule %s: a pcap file holds one link type; packets of other "
			    "link types are lost. Write .pcapng to keep them",
			    output->rule->name);
	return lose(output, packet, &output->turn.lost[CW_LOSS_LINK_TYPE]);
}

static enum placing lose_to_backlog(struct cw_outputs *outputs, struct cw_output *output,
				    const struct cw_packet *packet)
{
	if (!output->turn.lost[CW_LOSS_BACKLOG])
		cw_run_tell(outputs->run, CW_PROBLEM,
			    "rule %s: the output is slower than its packets; packets that find "
			    "no memory are lost (backlog). Use a faster disk or reader",
			    output->rule->name);
	if (!output->turn.is_over_share)
		cw_output_seal_all(outputs, output);
	output->turn.is_over_share = true;
	return lose(output, packet, &output->turn.lost[CW_LOSS_BACKLOG]);
}

/* Appends the statistics of sections to the file that ends before a record of `section`. */
static enum placing end_file(struct cw_outputs *outputs, struct cw_output *output,
			     const struct cw_section *section)
{
	const struct cw_preface none = {0};
	size_t bytes = 0;
	enum placing room;
	int result = 0;

	if (section != output->blocks.place.section)
		result = cw_output_end_section(output);
	if (!result)
		bytes = cw_output_statistics_bytes(outputs, output);
	if (!bytes)
		return result < 0 ? LOST : PLACED;
	room = make_room(outputs, output, &none, bytes);
	if (room != PLACED)
		return room;
	if (cw_output_take_statistics(outputs, output) < 0)
		return LOST;
	if (outputs->turn.giant)
		cw_output_adopt_chunk(outputs, output, outputs->turn.giant, bytes);
	cw_output_append(outputs, output, outputs->turn.block.at, outputs->turn.block.count);
	if (outputs->turn.giant)
		cw_output_seal_all(outputs, output);
	outputs->turn.giant = NULL;
	return PLACED;
}

/* Begins the file and writes the blocks that the record needs. */
static int write_preface(struct cw_outputs *outputs, struct cw_output *output,
			 const struct cw_packet *packet, const struct cw_iface *iface,
			 const struct cw_preface *preface, size_t bytes)
{
	int result;

	outputs->turn.block.count = 0;
	result = CW_GROW(&outputs->turn.block, preface->header_bytes + preface->iface_bytes);
	if (result < 0) {
		cw_output_fail(output, result, output->turn.file_count > 0,
			       "no memory for the options of a section or interface");
		return result;
	}
	if (preface->is_new_file) {
		result = start_file(outputs, output, iface, packet->ts_ns);
		if (result < 0)
			return result;
	}
	if (outputs->turn.giant) {
		cw_output_adopt_chunk(outputs, output, outputs->turn.giant, bytes);
		outputs->turn.giant = NULL;
	}
	if (preface->is_new_file)
		write_header(outputs, output, iface);
	result = cw_output_write_blocks(outputs, output, preface);
	if (result < 0 || !preface->iface_bytes)
		return result;
	result = cw_file_add_iface(&output->turn.file->turn, packet->iface,
				   output->turn.offset + preface->iface_bytes);
	if (result < 0) {
		cw_output_fail(output, result, output->turn.file_count > 0,
			       "no memory for an interface");
		return result;
	}
	cw_format_iface(iface, output->snaplen == UINT32_MAX ? 0 : output->snaplen,
			outputs->turn.block.at);
	cw_output_append(outputs, output, outputs->turn.block.at, preface->iface_bytes);
	return 0;
}

static void count_truncated_timestamp(struct cw_outputs *outputs, struct cw_output *output,
				      const struct cw_packet *packet)
{
	if (packet->ts_ns % 1000 && !output->odd.timestamps_truncated++)
		cw_run_tell(outputs->run, CW_PROBLEM,
			    "rule %s: timestamps are truncated to microseconds, because finer ones "
			    "came after the file had begun. Use --time-precision ns",
			    output->rule->name);
}

static void count_truncated(struct cw_outputs *outputs, struct cw_output *output,
			    const struct cw_packet *packet)
{
	if (output->is_snaplen_promised && packet->caplen > output->snaplen &&
	    !output->odd.truncated++)
		cw_run_tell(outputs->run, CW_PROBLEM,
			    "rule %s: packets of joined files are truncated to %u bytes, the "
			    "snapshot length that the output's header promises. Give a larger -s, "
			    "or write .pcapng",
			    output->rule->name, output->snaplen);
}

/* Counts what the file's name or header says otherwise of the record. */
static void count_odd(struct cw_outputs *outputs, struct cw_output *output,
		      const struct cw_packet *packet)
{
	const struct cw_iface *iface = cw_ifaces_at(&outputs->inputs->ifaces, packet->iface);

	if (cw_output_is_early(output, packet->ts_ns) && !output->odd.early++ &&
	    !outputs->run->is_live)
		cw_run_tell(outputs->run, CW_WARNING,
			    "rule %s: packets are in files of later periods, because their "
			    "timestamps go backwards. Give the inputs in the order of time",
			    output->rule->name);
	if (output->format != CW_FORMAT_PCAPNG && iface->fcs != output->turn.fcs &&
	    !output->odd.other_fcs++)
		cw_run_tell(outputs->run, CW_WARNING,
			    "rule %s: packets have a frame check sequence of another length than "
			    "their file's header says. Write .pcapng to keep both lengths",
			    output->rule->name);
}

static void place_record(struct cw_outputs *outputs, struct cw_batch *batch, struct cw_tally *tally,
			 const struct cw_packet *packet, size_t record_bytes, bool can_extend)
{
	struct cw_output *output = &outputs->at[tally->output];
	struct cw_piece piece = {.record_count = 1, .next = CW_PIECE_NONE};

	if (output->format == CW_FORMAT_PCAPNG)
		piece.iface = cw_file_find_iface(&output->turn.file->turn, packet->iface);
	else
		piece.iface = output->turn.format;
	if (cw_output_may_truncate_timestamps(output, batch))
		count_truncated_timestamp(outputs, output, packet);
	count_truncated(outputs, output, packet);
	count_odd(outputs, output, packet);
	cw_output_hint_encoding(output,
				cw_encoding(output->turn.format, packet->iface, piece.iface));
	piece.chunk = cw_output_reserve_bytes(outputs, output, record_bytes, NULL, &piece.offset);
	cw_output_note_taken(output, packet);
	output->blocks.left_out_options += outputs->turn.preface.left_out_options;
	output->turn.file_records++;
	output->turn.file_bytes += cw_min_u32(packet->caplen, output->snaplen);
	cw_output_set_anchor(output);
	if (can_extend && output->turn.last_batch == batch && tally->last_piece != CW_PIECE_NONE &&
	    batch->pieces[tally->last_piece].iface == piece.iface) {
		batch->pieces[tally->last_piece].record_count++;
		/* The last chunk waits for this batch's copying, so it is still there to link. */
		if (piece.chunk != tally->last_chunk)
			tally->last_chunk->following = piece.chunk;
	} else {
		cw_batch_append_piece(batch, tally, &piece);
	}
	tally->last_chunk = output->turn.open;
	output->turn.last_batch = batch;
	if (output->turn.file_records == output->limits.rotate_records &&
	    cw_output_has_all_files(output))
		cw_output_stop_run(outputs, output);
}

/* Ends the run, and leaves the packet out, if the packet would begin one file too many. */
static bool ends_run(struct cw_outputs *outputs, struct cw_output *output,
		     const struct cw_packet *packet)
{
	if (!outputs->turn.preface.is_new_file || !cw_output_has_all_files(output))
		return false;
	cw_output_stop_run(outputs, output);
	cw_output_leaves_out(output, packet);
	return true;
}

static enum placing reserve_record(struct cw_outputs *outputs, struct cw_batch *batch,
				   struct cw_tally *tally, const struct cw_packet *packet,
				   bool is_representable)
{
	struct cw_output *output = &outputs->at[tally->output];
	const struct cw_iface *iface = cw_ifaces_at(&outputs->inputs->ifaces, packet->iface);
	struct cw_preface *preface = &outputs->turn.preface;
	size_t record_bytes, bytes;
	enum placing room = PLACED;
	bool is_giant;

	if (output->limits.is_thinned && cw_output_leaves_out(output, packet))
		return LOST;
	if (!is_representable)
		return lose(output, packet, &output->turn.lost[CW_LOSS_UNREPRESENTABLE]);
	if (atomic_load_explicit(&output->shared.failure, memory_order_relaxed))
		return lose(output, packet, NULL);
	if (output->format != CW_FORMAT_PCAPNG && output->turn.linktype != CW_LINKTYPE_ANY &&
	    output->turn.linktype != iface->linktype)
		return lose_to_link_type(outputs, output, packet);
	*preface = (struct cw_preface){.section = batch->span.layout.section,
				       .block_end = batch->span.layout.block_end};
	record_bytes = cw_format_note_record(output->format, packet, output->snaplen,
					     &preface->left_out_options);
	find_preface(outputs, output, packet, record_bytes, preface);
	if (ends_run(outputs, output, packet))
		return LOST;
	if (batch->piece_count == batch->piece_capacity)
		return NO_ROOM;
	bytes = preface->header_bytes + preface->blocks_bytes + preface->iface_bytes + record_bytes;
	if (preface->is_new_file && output->turn.file)
		room = end_file(outputs, output, preface->section);
	if (room == PLACED)
		room = make_room(outputs, output, preface, bytes);
	if (room == NO_ROOM)
		return NO_ROOM;
	if (room == OVER_SHARE)
		return lose_to_backlog(outputs, output, packet);
	output->turn.is_over_share = false;
	is_giant = outputs->turn.giant != NULL;
	if (preface->is_new_file)
		output->turn.format = cw_output_choose_format(outputs, output, batch->has_fine);
	if (room == LOST || write_preface(outputs, output, packet, iface, preface, bytes) < 0) {
		if (outputs->turn.giant) {
			cw_chunk_give_back_any(&outputs->pool, outputs->turn.giant);
			outputs->turn.giant = NULL;
		}
		return lose(output, packet, NULL);
	}
	place_record(outputs, batch, tally, packet, record_bytes,
		     !is_giant && !preface->is_new_file && !preface->iface_bytes &&
			 !preface->blocks_bytes && !tally->ends_in_giant);
	tally->ends_in_giant = is_giant;
	if (is_giant)
		cw_output_seal_all(outputs, output);
	return PLACED;
}

/* Reserves records from the batch's position on until room ends. True: to the part's end. */
static bool reserve_records(struct cw_outputs *outputs, struct cw_batch *batch)
{
	uint32_t match = batch->reserved.match;
	uint32_t index = batch->reserved.packet;

	for (; index < batch->reserved.end; index++) {
		for (; match < batch->ends[index]; match++) {
			uint32_t entry = batch->matches[match];
			uint32_t output = entry & ~CW_MATCH_UNREPRESENTABLE;
			struct cw_tally *tally = &batch->tallies[outputs->turn.tally_of[output]];
			enum placing placing = reserve_record(
			    outputs, batch, tally, &batch->packets[index], entry == output);

			if (placing == NO_ROOM) {
				batch->reserved.packet = index;
				batch->reserved.match = match;
				return false;
			}
			if (placing == LOST)
				batch->matches[match] = CW_MATCH_SKIP;
		}
	}
	batch->reserved.packet = index;
	batch->reserved.match = match;
	return true;
}

static void forget_pieces(struct cw_batch *batch)
{
	batch->piece_count = 0;
	for (uint32_t index = 0; index < batch->tally_count; index++) {
		struct cw_tally *tally = &batch->tallies[index];

		tally->first_piece = tally->last_piece = CW_PIECE_NONE;
		tally->last_chunk = NULL;
		tally->ends_in_giant = false;
	}
}

/* Indexes the tallies of a batch that was not reserved last. */
static void look_at_tallies(struct cw_outputs *outputs, const struct cw_batch *batch)
{
	for (uint32_t index = 0; index < batch->tally_count; index++)
		outputs->turn.tally_of[batch->tallies[index].output] = index;
	outputs->turn.batch = batch;
}

enum cw_reserve cw_outputs_reserve(struct cw_outputs *outputs, struct cw_batch *batch)
{
	bool is_done = true;

	if (batch->is_quick) {
		forget_pieces(batch);
		cw_outputs_reserve_whole(outputs, batch);
		cw_chunk_unclaim(&outputs->pool);
		return CW_RESERVE_DONE;
	}
	cw_outputs_keep_room(outputs);
	cw_outputs_free_space(outputs);
	if (!batch->reserved.is_stretch_open) {
		batch->reserved.copy_packet = batch->reserved.packet;
		batch->reserved.copy_match = batch->reserved.match;
		forget_pieces(batch);
		look_at_tallies(outputs, batch);
		batch->reserved.is_stretch_open = true;
	} else if (outputs->turn.batch != batch) {
		look_at_tallies(outputs, batch);
	}
	if (batch->reserved.packet == batch->part.first && batch->reserved.match == 0 &&
	    batch->reserved.end == batch->part.end &&
	    cw_outputs_can_reserve_whole(outputs, batch)) {
		cw_outputs_reserve_whole(outputs, batch);
		batch->reserved.packet = batch->part.end;
		batch->reserved.match =
		    batch->part.end > batch->part.first ? batch->ends[batch->part.end - 1] : 0;
	} else {
		is_done = reserve_records(outputs, batch);
	}
	cw_chunk_unclaim(&outputs->pool);
	if (is_done)
		return CW_RESERVE_DONE;
	return batch->reserved.match > batch->reserved.copy_match ? CW_RESERVE_SOME
								  : CW_RESERVE_STARVED;
}
