/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The careful way of a batch: all its packets are decoded and matched, the turn gives each record
 * its place, and a worker copies the records there.
 */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/state.h"

/* Progress of copying a stretch into one output. */
struct place {
	uint8_t *to;
	uint32_t room;        /* bytes left in the chunk */
	uint32_t record_left; /* records left in the piece */
	uint32_t copied;      /* bytes copied into the chunk, not noted yet */
	uint32_t next_piece;
	uint32_t iface;
	enum cw_format format; /* of the piece's file */
	struct cw_chunk *chunk;
};

/* Bytes copied into a chunk, reported to it once the batch is known to be intact. */
struct note {
	struct cw_chunk *chunk;
	struct cw_output *output;
	uint32_t bytes;
};

struct cw_copy {
	struct place *places; /* per output */
	struct note *notes;   /* room for every piece and every chunk of the pool */
	uint32_t note_count;
	uint8_t *bounce; /* CW_RECORD_SPLIT_MAX bytes: a record that spans two chunks or more */
};

int cw_copy_new(struct cw_copy **result, const struct cw_outputs *outputs)
{
	struct cw_copy *copy = calloc(1, sizeof(*copy));

	*result = copy;
	if (!copy)
		return -ENOMEM;
	copy->places = calloc(outputs->capacity, sizeof(*copy->places));
	copy->notes = calloc((size_t)outputs->capacity + CW_BATCH_PIECES_EXTRA +
				 outputs->pool.chunk_count + 1,
			     sizeof(*copy->notes));
	copy->bounce = malloc(CW_RECORD_SPLIT_MAX);
	return copy->places && copy->notes && copy->bounce ? 0 : -ENOMEM;
}

void cw_copy_free(struct cw_copy *copy)
{
	if (!copy)
		return;
	free(copy->places);
	free(copy->notes);
	free(copy->bounce);
	free(copy);
}

/* ---- places ---- */

static void start_places(struct cw_copy *copy, const struct cw_batch *batch)
{
	copy->note_count = 0;
	for (uint32_t index = 0; index < batch->tally_count; index++)
		copy->places[batch->tallies[index].output] =
		    (struct place){.next_piece = batch->tallies[index].first_piece};
}

static void note_copied(struct cw_copy *copy, struct place *place, struct cw_output *output)
{
	if (!place->copied)
		return;
	copy->notes[copy->note_count++] = (struct note){place->chunk, output, place->copied};
	place->copied = 0;
}

/* Moves to the output's next piece. False: nothing more was reserved; the output has failed. */
static bool enter_piece(struct cw_copy *copy, const struct cw_batch *batch, struct place *place,
			struct cw_output *output)
{
	const struct cw_piece *piece;

	if (place->next_piece == CW_PIECE_NONE)
		return false;
	note_copied(copy, place, output);
	piece = &batch->pieces[place->next_piece];
	place->chunk = piece->chunk;
	place->to = piece->chunk->memory + piece->offset;
	place->room = piece->chunk->capacity - piece->offset;
	place->record_left = piece->record_count;
	place->iface = piece->iface;
	place->format =
	    output->format == CW_FORMAT_PCAPNG ? CW_FORMAT_PCAPNG : (enum cw_format)piece->iface;
	place->next_piece = piece->next;
	return true;
}

/* Advances by `bytes` that cross into the piece's following chunks; copies them unless `from` is
 * NULL. */
static void cross_chunks(struct cw_copy *copy, struct place *place, struct cw_output *output,
			 const uint8_t *from, size_t bytes)
{
	while (bytes) {
		uint32_t part;

		if (!place->room) {
			struct cw_chunk *following = place->chunk->following;

			note_copied(copy, place, output);
			place->chunk = following;
			place->to = following->memory;
			place->room = following->capacity;
		}
		part = (uint32_t)cw_min_size(bytes, place->room);
		if (from) {
			memcpy(place->to, from, part);
			from += part;
		}
		place->to += part;
		place->room -= part;
		place->copied += part;
		bytes -= part;
	}
}

static inline void copy_record(struct cw_copy *copy, struct place *place, struct cw_output *output,
			       const struct cw_packet *packet)
{
	size_t bytes = cw_format_record_bytes(place->format, packet, output->snaplen);

	place->record_left--;
	if (cw_likely(bytes <= place->room)) {
		cw_format_record(place->format, packet, output->snaplen, place->iface, bytes,
				 place->to);
		place->to += bytes;
		place->room -= (uint32_t)bytes;
		place->copied += (uint32_t)bytes;
		return;
	}
	cw_format_record(place->format, packet, output->snaplen, place->iface, bytes, copy->bounce);
	cross_chunks(copy, place, output, copy->bounce, bytes);
}

/* ---- copying a stretch ---- */

static void copy_stretch(struct cw_outputs *outputs, struct cw_copy *copy,
			 const struct cw_batch *batch)
{
	uint32_t match = batch->reserved.copy_match;

	start_places(copy, batch);
	for (uint32_t index = batch->reserved.copy_packet; match < batch->reserved.match; index++) {
		uint32_t end = cw_min_u32(batch->ends[index], batch->reserved.match);

		for (; match < end; match++) {
			uint32_t entry = batch->matches[match];
			struct place *place;

			if (cw_unlikely(entry == CW_MATCH_SKIP))
				continue;
			place = &copy->places[entry];
			if (cw_unlikely(!place->record_left) &&
			    !enter_piece(copy, batch, place, &outputs->at[entry]))
				continue;
			copy_record(copy, place, &outputs->at[entry], &batch->packets[index]);
		}
	}
	for (uint32_t index = 0; index < batch->tally_count; index++) {
		uint32_t output = batch->tallies[index].output;

		note_copied(copy, &copy->places[output], &outputs->at[output]);
	}
}

/*
 * The input shrank while its packets were copied: marks, for each output, the first record that may
 * not be the file's content, so that the writer stops before it. Walks the stretch again; its notes
 * are not reported yet, so none of its chunks was written.
 */
static void mark_damage(struct cw_outputs *outputs, struct cw_copy *copy,
			const struct cw_batch *batch, size_t intact_bytes)
{
	const uint8_t *limit = batch->span.data + intact_bytes;
	uint32_t note_count = copy->note_count;
	uint32_t match = batch->reserved.copy_match;

	start_places(copy, batch);
	copy->note_count = note_count;
	for (uint32_t index = batch->reserved.copy_packet; match < batch->reserved.match; index++) {
		const struct cw_packet *packet = &batch->packets[index];
		bool is_intact = packet->data + packet->caplen <= limit;

		for (; match < cw_min_u32(batch->ends[index], batch->reserved.match); match++) {
			uint32_t entry = batch->matches[match];
			struct cw_output *output;
			struct place *place;
			uint32_t position, known;

			if (entry == CW_MATCH_SKIP)
				continue;
			output = &outputs->at[entry];
			place = &copy->places[entry];
			place->copied = 0; /* the bytes were noted before */
			if (!place->record_left && !enter_piece(copy, batch, place, output))
				continue;
			if (!is_intact) {
				position = (uint32_t)(place->to - place->chunk->memory);
				known = atomic_load(&place->chunk->intact_bytes);
				while (position < known &&
				       !atomic_compare_exchange_weak(&place->chunk->intact_bytes,
								     &known, position))
					;
			}
			place->record_left--;
			place->copied = 0;
			cross_chunks(
			    copy, place, output, NULL,
			    cw_format_record_bytes(output->format, packet, output->snaplen));
			copy->note_count = note_count;
		}
	}
}

static void tell_notes(struct cw_outputs *outputs, struct cw_copy *copy)
{
	for (uint32_t index = 0; index < copy->note_count; index++) {
		const struct note *note = &copy->notes[index];

		if (cw_chunk_copied(note->chunk, note->bytes))
			cw_output_kick(outputs, note->output);
	}
	copy->note_count = 0;
}

/* ---- matching ---- */

/* Returns how many of the batch's packets lie entirely in the span's first `intact_bytes`. */
static uint32_t count_intact(const struct cw_batch *batch, size_t intact_bytes)
{
	const uint8_t *limit = batch->span.data + intact_bytes;
	uint32_t count = batch->packet_count;

	while (count && batch->packets[count - 1].data + batch->packets[count - 1].caplen > limit)
		count--;
	return count;
}

/* Notes the part's first and last timestamp: a part within a file's period is reserved at once. */
static void note_times(struct cw_batch *batch)
{
	struct cw_batch_part *part = &batch->part;

	part->earliest_ns = UINT64_MAX;
	part->latest_ns = 0;
	for (uint32_t index = part->first; index < part->end; index++) {
		uint64_t ts_ns = batch->packets[index].ts_ns;

		part->earliest_ns = ts_ns < part->earliest_ns ? ts_ns : part->earliest_ns;
		part->latest_ns = ts_ns > part->latest_ns ? ts_ns : part->latest_ns;
	}
}

void cw_begin_decoding(struct cw_batch *batch)
{
	batch->packet_count = 0;
	batch->walk.cursor = (struct cw_cursor){0};
	if (batch->walk.run)
		cw_segment_begin(&batch->walk.segment, batch->walk.segment.start);
}

uint32_t cw_decode_next(struct cw_batch *batch, struct cw_packet *packets, size_t capacity)
{
	return (uint32_t)(batch->walk.run ? cw_segment_next(&batch->walk.segment, packets, capacity)
					  : cw_span_decode(&batch->span, &batch->walk.cursor,
							   packets, capacity));
}

/* Decodes packets for the next part, once those decoded before are all matched. */
static void decode_part(struct cw_worker *worker, struct cw_batch *batch)
{
	uint32_t records_max = worker->pipeline->run.options.sizes.batch_records;

	if (batch->part.end < batch->packet_count)
		return;
	batch->part.end = 0;
	batch->packet_count = cw_decode_next(batch, batch->packets, records_max);
	batch->walk.is_over = !batch->walk.run || batch->packet_count < records_max ||
			      batch->walk.segment.end >= batch->walk.segment.to;
	/* Different counts: the bytes changed since the capture thread walked them. */
	if (!batch->walk.run && batch->packet_count != batch->span.record_count)
		batch->is_damaged = true;
}

void cw_careful_match_next(struct cw_worker *worker, struct cw_batch *batch)
{
	struct cw_pipeline *pipeline = worker->pipeline;
	uint32_t part_first;

	decode_part(worker, batch);
	part_first = batch->part.end;
	for (;;) {
		uint32_t intact;

		batch->part.end = part_first;
		cw_match_part(&batch->generation->matcher, &worker->scratch, pipeline->outputs.at,
			      batch);
		intact = count_intact(batch, cw_lease_intact_bytes(&batch->lease, &batch->span));
		if (intact >= batch->packet_count)
			break;
		batch->packet_count = intact > part_first ? intact : part_first;
		batch->is_damaged = batch->walk.is_over = true;
	}
	batch->part.is_last &= batch->walk.is_over;
	batch->part.latest_ns = UINT64_MAX; /* unknown */
	if (atomic_load(&pipeline->outputs.has_time_rotation))
		note_times(batch);
}

void cw_careful_match(struct cw_worker *worker, struct cw_batch *batch)
{
	cw_begin_decoding(batch);
	batch->is_damaged = false;
	batch->part.end = 0;
	cw_careful_match_next(worker, batch);
}

bool cw_careful_copy(struct cw_worker *worker, struct cw_batch *batch)
{
	struct cw_outputs *outputs = &worker->pipeline->outputs;
	struct cw_copy *copy = worker->copy;
	size_t intact_bytes;
	bool is_finished = batch->reserved.is_part_done && batch->part.is_last;

	copy_stretch(outputs, copy, batch);
	intact_bytes = cw_lease_intact_bytes(&batch->lease, &batch->span);
	if (cw_unlikely(intact_bytes < batch->span.bytes) && copy->note_count)
		mark_damage(outputs, copy, batch, intact_bytes);
	if (is_finished)
		cw_lease_give_back(&batch->lease);
	tell_notes(outputs, copy);
	return is_finished;
}
