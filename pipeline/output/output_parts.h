/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions that the files of this wing share. */
#ifndef CW_PIPELINE_OUTPUT_OUTPUT_PARTS_H
#define CW_PIPELINE_OUTPUT_OUTPUT_PARTS_H

#include "pipeline/output/outputs.h"

/* ---- the reserving side: the turn only ---- */

/* Returns whether the rule's sample or limits leave the packet out; counts it if so. (limits.c) */
bool cw_output_leaves_out(struct cw_output *output, const struct cw_packet *packet);

/* Returns whether the output has begun the last file that its rule lets it begin. */
bool cw_output_has_all_files(const struct cw_output *output);

/* Ends the run when the last file of such an output is complete; leaves out its later packets. */
void cw_output_stop_run(struct cw_outputs *outputs, struct cw_output *output);

/* Counts a matched packet that is not left out: to be written, or lost. */
void cw_output_note_taken(struct cw_output *output, const struct cw_packet *packet);

/* Starts the period of a file whose first packet has this timestamp. (rotate.c) */
void cw_output_start_period(struct cw_output *output, uint64_t ts_ns);

/* Returns whether the timestamp lies before the period of the output's file. */
bool cw_output_is_early(const struct cw_output *output, uint64_t ts_ns);
/* Returns whether the file ends before these records and bytes, the latest at `latest_ns`. */
bool cw_output_needs_rotation(const struct cw_output *output, uint64_t records, uint64_t bytes,
			      uint64_t latest_ns);

/* Returns the packets that neither reached a file or pipe nor are counted as lost or left out; no
 * chunk of the output may be out. (retry.c) */
uint64_t cw_output_unwritten(const struct cw_output *output);

/* Frees a file that no chunk, mark or list refers to. (output.c) */
void cw_output_free_file(struct cw_file *file);

/* Adds the file being filled to the ended files that the output keeps. (expire.c) */
void cw_output_note_end(struct cw_outputs *outputs, struct cw_output *output);

/* Expires the oldest files, so that the file about to begin fits the limits of its rule and of all
 * rules. */
void cw_output_make_space(struct cw_outputs *outputs, struct cw_output *output);

/* Expires old files if a writer found too little free space on a disk. */
void cw_outputs_free_space(struct cw_outputs *outputs);

/* Ends the file being filled, which must have records: it is published once written, and the next
 * record opens another file. */
void cw_output_end_file(struct cw_outputs *outputs, struct cw_output *output);

/* Live: ends the file if its period is over. */
void cw_output_rotate_by_clock(struct cw_outputs *outputs, struct cw_output *output);

/* The open chunk, which the next bytes of the file go to. (gather.c) */

static inline uint64_t cw_output_open_room(const struct cw_output *output)
{
	return output->turn.open ? output->turn.open->capacity - output->turn.open->used : 0;
}

/* Notes that a record ends at the output's offset. */
void cw_output_set_anchor(struct cw_output *output);

void cw_output_adopt_chunk(struct cw_outputs *outputs, struct cw_output *output,
			   struct cw_chunk *chunk, size_t capacity);

/* Returns the chunks needed for `bytes`, with `room` bytes in the open chunk. */
uint64_t cw_output_chunks_needed(const struct cw_chunk_pool *pool, uint64_t room, uint64_t bytes);

/*
 * Advances the output by `bytes`; the chunks must be claimed. Copies the bytes at `from`; if it
 * is NULL, they are pending until a worker has copied them. Returns their first chunk, with their
 * offset in it in *start.
 */
struct cw_chunk *cw_output_reserve_bytes(struct cw_outputs *outputs, struct cw_output *output,
					 uint64_t bytes, const uint8_t *from, uint32_t *start);

/* Reserves and copies blocks, and notes their end. */
void cw_output_append(struct cw_outputs *outputs, struct cw_output *output, const uint8_t *from,
		      size_t bytes);

/* Closes the open chunk and holds it with the output's other full chunks. */
void cw_output_close_chunk(struct cw_output *output);

/* Puts a mark (cw_chunk_make_mark) after everything the output holds; no chunk may be open. */
void cw_output_hold_mark(struct cw_outputs *outputs, struct cw_output *output,
			 struct cw_chunk *mark);

/*
 * Handles a full open chunk. Large chunks go to the writer at once. Small chunks (many outputs
 * share the pool) gather until they are worth a write, and go once they are completely copied, so
 * that one call writes them all; cw_outputs_flush_fullest and the run's end send the rest.
 */
void cw_output_chunk_full(struct cw_outputs *outputs, struct cw_output *output);

/* Sends gathered chunks before the pool is empty. */
void cw_outputs_keep_room(struct cw_outputs *outputs);

/* ---- shared by reserve.c and whole.c ---- */

/* Returns whether timestamps of the part may be finer than those of the output's file. */
static inline bool cw_output_may_truncate_timestamps(const struct cw_output *output,
						     const struct cw_batch *batch)
{
	return batch->part.has_fine && !output->is_precision_given &&
	       output->turn.format == CW_FORMAT_PCAP_US;
}

/* Tells workers how to encode. Relaxed: they only guess; one writer. */
static inline void cw_output_hint_encoding(struct cw_output *output, uint64_t encoding)
{
	if (output->limits.is_thinned)
		encoding = CW_ENCODING_REFUSED;
	if (cw_unlikely(atomic_load_explicit(&output->shared.encoding, memory_order_relaxed) !=
			encoding))
		atomic_store_explicit(&output->shared.encoding, encoding, memory_order_relaxed);
}

/* Adds a piece to those of the output in this batch. */
static inline void cw_batch_append_piece(struct cw_batch *batch, struct cw_tally *tally,
					 const struct cw_piece *piece)
{
	uint32_t index = batch->piece_count++;

	batch->pieces[index] = *piece;
	if (tally->last_piece == CW_PIECE_NONE)
		tally->first_piece = index;
	else
		batch->pieces[tally->last_piece].next = index;
	tally->last_piece = index;
}

/* Returns whether the part can be reserved at once. If so, the chunks are claimed. (whole.c) */
bool cw_outputs_can_reserve_whole(struct cw_outputs *outputs, const struct cw_batch *batch);

/* Reserves the part, or takes its drafts; call cw_chunk_unclaim next. */
void cw_outputs_reserve_whole(struct cw_outputs *outputs, struct cw_batch *batch);

/* ---- the writing side: the output's one writer only, or the end ---- */

/* Fails the output, and reports the failure unless one was reported a moment ago. Returns whether
 * it did. `text` NULL: that of the errno. (write.c) */
bool cw_writer_fail(struct cw_outputs *outputs, struct cw_output *output,
		    const struct cw_file *file, int failure, bool is_rotation, const char *text);

/* Reports a failure that the turn met, such as one of memory, unless a writer did. In the turn,
 * with no chunk of the output out: no writer is at it. */
void cw_output_tell_failure(struct cw_outputs *outputs, struct cw_output *output);

/*
 * Truncates a file of `offset` good bytes, which may end inside a record, after its last intact
 * record, found by walking from the anchor; counts the records up to there. If the file cannot be
 * truncated, it is torn until a later call truncates it.
 */
void cw_writer_cut_to_whole(struct cw_output *output, struct cw_file *file);

/* Closes and publishes the file, or discards it if it is unusable. */
void cw_writer_finish_file(struct cw_outputs *outputs, struct cw_output *output,
			   struct cw_file *file);

/* Finishes the file before and acquires this one. 0 or a negative errno. */
int cw_writer_switch_file(struct cw_outputs *outputs, struct cw_output *output,
			  struct cw_file *file);

#endif
