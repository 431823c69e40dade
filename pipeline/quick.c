/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The quick way of a batch: one walk decodes a burst of packets, matches them, and encodes each
 * match into its output's draft while the packet is in cache. Neither packets nor matches are kept.
 * The turn then gives whole drafts their places. Whatever needs a decision for a single record goes
 * the careful way (careful.c), which decides the result; the quick way gives the same bytes or
 * none.
 */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/match/burst.h"
#include "pipeline/state.h"

/* How records of one output are encoded, and the draft that they go to. Zeroed: not begun. */
struct encoder {
	_Alignas(CW_CACHE_LINE) struct cw_draft draft;
	struct cw_tally *tally;
	uint32_t snaplen;
	uint32_t iface; /* pcapng: the file's number of the interface */
	enum cw_format format;
	bool is_verbatim; /* the input's records have the bytes of the output's */
};
CW_ASSERT_BYTES(struct encoder, 2 * CW_CACHE_LINE);

struct cw_quick {
	struct encoder *encoders; /* per output; in `memory` */
	void *memory;
	struct cw_packet packets[CW_MATCH_BURST];
	uint64_t bits[CW_MATCH_BURST];
};

int cw_quick_new(struct cw_quick **result, const struct cw_outputs *outputs)
{
	struct cw_quick *quick = calloc(1, sizeof(*quick));

	*result = quick;
	if (!quick)
		return -ENOMEM;
	/* Not touched: most outputs of a run that can be reloaded do not exist yet. */
	quick->memory = calloc(outputs->capacity + 1, sizeof(*quick->encoders));
	if (!quick->memory)
		return -ENOMEM;
	quick->encoders = (void *)(((uintptr_t)quick->memory + CW_CACHE_LINE - 1) &
				   ~(uintptr_t)(CW_CACHE_LINE - 1));
	return 0;
}

void cw_quick_free(struct cw_quick *quick)
{
	if (!quick)
		return;
	free(quick->memory);
	free(quick);
}

/* The walk of one batch. */
struct walk {
	struct cw_batch *batch;
	struct cw_quick *quick;
	struct cw_match_scratch *scratch;
	const struct cw_output *outputs;
	const uint8_t *from_end; /* of the span */
};

/* Begins the draft of an output. False: only the turn knows how its records are encoded. */
static bool begin_draft(const struct walk *walk, uint32_t index, const struct cw_packet *packet)
{
	struct cw_batch *batch = walk->batch;
	const struct cw_output *output = &walk->outputs[index];
	struct encoder *encoder = &walk->quick->encoders[index];
	/* Relaxed: the turn compares the value with the file before it takes the draft. */
	uint64_t encoding = atomic_load_explicit(&output->shared.encoding, memory_order_relaxed);
	uint32_t tally;

	if (!cw_encoding_is_for(encoding, packet->iface)) {
		/* Relaxed: a hint. The turn says nothing more of an output that failed. */
		batch->is_refused =
		    encoding != CW_ENCODING_NONE ||
		    atomic_load_explicit(&output->shared.failure, memory_order_relaxed);
		return false;
	}
	tally = cw_part_add_tally(walk->scratch, batch, index);
	batch->tallies[tally].encoding = encoding;
	*encoder = (struct encoder){.tally = &batch->tallies[tally],
				    .snaplen = output->snaplen,
				    .format = cw_encoding_format(encoding),
				    .iface = cw_encoding_number(encoding)};
	encoder->is_verbatim = cw_format_is_verbatim(encoder->format, &batch->span.layout);
	return true;
}

/* Encodes one match: in general. False: the batch needs the careful way. */
static __attribute__((noinline)) bool encode_any(const struct walk *walk, uint32_t output,
						 const struct cw_packet *packet)
{
	struct encoder *encoder = &walk->quick->encoders[output];
	struct cw_draft *draft = &encoder->draft;
	uint8_t *to;
	size_t bytes;

	if (!encoder->tally && !begin_draft(walk, output, packet))
		return false;
	if (!cw_format_can_hold(encoder->format, packet))
		return false;
	bytes = cw_format_note_record(encoder->format, packet, encoder->snaplen,
				      &encoder->tally->left_out_options);
	to = cw_draft_room(&walk->batch->drafts, draft, bytes);
	if (!to)
		return false;
	cw_format_record(encoder->format, packet, encoder->snaplen, encoder->iface, bytes, to);
	cw_draft_add(draft, bytes, cw_min_u32(packet->caplen, encoder->snaplen));
	return true;
}

/* Encodes one match: as the input has it, if possible. */
static inline bool encode(const struct walk *walk, uint32_t output, const struct cw_packet *packet)
{
	struct encoder *encoder = &walk->quick->encoders[output];
	struct cw_draft *draft = &encoder->draft;
	size_t bytes = CW_PCAP_RECORD_BYTES + (size_t)packet->caplen;

	if (cw_unlikely(!encoder->is_verbatim || bytes > (size_t)(draft->end - draft->to) ||
			!cw_format_verbatim(packet, encoder->snaplen, walk->from_end, draft->to,
					    draft->end + CW_DRAFT_SLACK)))
		return encode_any(walk, output, packet);
	cw_draft_add(draft, bytes, packet->caplen);
	return true;
}

/* Counts and encodes the packets of a burst with ids. */
static bool encode_ids(const struct walk *walk, const struct cw_matcher *matcher,
		       const struct cw_packet *packets, const struct cw_burst *burst)
{
	const struct cw_match_scratch *scratch = walk->scratch;
	uint32_t id = 0;

	for (uint32_t index = 0; index < burst->count; index++) {
		const struct cw_packet *packet = &packets[index];
		enum cw_packet_class class = cw_part_count(&walk->batch->part, burst, index, packet,
							   id != scratch->ends[index]);

		if (class == CW_CLASS_UNMATCHED && matcher->unmatched_rule != UINT32_MAX &&
		    !encode(walk, matcher->outputs[matcher->unmatched_rule], packet))
			return false;
		for (; id < scratch->ends[index]; id++) {
			if (!encode(walk, matcher->outputs[scratch->ids[id]], packet))
				return false;
		}
	}
	return true;
}

/* Counts and encodes the packets of a burst with a word of bits each, and no prefilter. */
static bool encode_bits(const struct walk *walk, const struct cw_matching *matching,
			const struct cw_packet *packets, uint32_t count)
{
	const uint32_t *rule_of = matching->set->rule_of;
	const uint32_t *outputs = matching->matcher->outputs;
	const uint32_t unmatched = matching->matcher->unmatched_rule;
	struct cw_batch_part *part = &walk->batch->part;
	uint64_t caplen_bytes = 0;
	uint32_t truncated = 0, malformed = 0, matched = 0;

	for (uint32_t index = 0; index < count; index++) {
		const struct cw_packet *packet = &packets[index];
		uint64_t bits = walk->quick->bits[index];

		caplen_bytes += packet->caplen;
		truncated += (packet->flags & CW_PACKET_TRUNCATED) != 0;
		malformed += (packet->flags & CW_PACKET_MALFORMED) != 0;
		matched += bits != 0;
		if (cw_unlikely(unmatched != UINT32_MAX && !bits &&
				!(packet->flags & CW_PACKET_MALFORMED)) &&
		    !encode(walk, outputs[unmatched], packet))
			return false;
		for (; bits; bits &= bits - 1) {
			if (!encode(walk, outputs[rule_of[__builtin_ctzll(bits)]], packet))
				return false;
		}
	}
	part->caplen_bytes += caplen_bytes;
	part->truncated += truncated;
	part->class_counts[CW_CLASS_MATCHED] += matched;
	part->class_counts[CW_CLASS_MALFORMED] += malformed;
	part->class_counts[CW_CLASS_UNMATCHED] += count - matched - malformed;
	return true;
}

static void note_times(struct cw_batch_part *part, const struct cw_packet *packets, size_t count)
{
	for (size_t index = 0; index < count; index++) {
		uint64_t ts_ns = packets[index].ts_ns;

		part->earliest_ns = ts_ns < part->earliest_ns ? ts_ns : part->earliest_ns;
		part->latest_ns = ts_ns > part->latest_ns ? ts_ns : part->latest_ns;
	}
}

/* Walks the batch to its end. False: it needs the careful way. */
static bool walk_all(const struct walk *walk, bool notes_times)
{
	struct cw_batch *batch = walk->batch;
	struct cw_packet *packets = walk->quick->packets;
	struct cw_matching matching = {.matcher = &batch->generation->matcher,
				       .scratch = walk->scratch,
				       .ifaces = batch->span.layout.ifaces,
				       .iface = UINT32_MAX};
	uint32_t count;

	while ((count = cw_decode_next(batch, packets, CW_MATCH_BURST)) > 0) {
		batch->packet_count += count;
		if (notes_times)
			note_times(&batch->part, packets, count);
		for (uint32_t first = 0; first < count;) {
			struct cw_burst burst = {.first = first, .bits = walk->quick->bits};

			cw_match_burst(&matching, &batch->part, packets + first, count - first,
				       walk->scratch->ids_capacity, &burst);
			if (!(burst.has_bits
				  ? encode_bits(walk, &matching, packets + first, burst.count)
				  : encode_ids(walk, matching.matcher, packets + first, &burst)))
				return false;
			first += burst.count;
		}
	}
	return true;
}

/* Moves the drafts to the batch, and adds up their tallies. */
static void finish_drafts(const struct walk *walk)
{
	struct cw_batch *batch = walk->batch;

	for (uint32_t index = 0; index < batch->tally_count; index++) {
		struct cw_tally *tally = &batch->tallies[index];
		struct cw_draft *draft = &batch->draft_of[index];
		const struct cw_chunk *chunk;

		*draft = walk->quick->encoders[tally->output].draft;
		walk->quick->encoders[tally->output] = (struct encoder){0};
		cw_draft_finish(&batch->drafts, draft);
		tally->record_count = draft->record_count;
		tally->data_bytes = draft->data_bytes;
		tally->record_bytes = draft->slot_used;
		for (chunk = draft->first; chunk; chunk = chunk->queued)
			tally->record_bytes += chunk->used;
		for (chunk = draft->small ? draft->small : draft->first; chunk;
		     chunk = chunk->queued) {
			tally->record_count += (uint32_t)chunk->anchor.records;
			tally->data_bytes += chunk->anchor.bytes;
		}
	}
}

void cw_quick_drop(struct cw_batch *batch)
{
	cw_drafts_drop(&batch->drafts, batch->draft_of, batch->tally_count);
	batch->is_quick = false;
}

static bool may_be_quick(const struct cw_worker *worker, const struct cw_batch *batch)
{
	const struct cw_pipeline_options *options = &worker->pipeline->run.options;
	const struct cw_lane *lane = &worker->pipeline->run.lanes[batch->lane];

	/* Relaxed: a number only. */
	return !options->sizes.reserve_slowly && !options->is_time_order &&
	       !options->match.verify_every &&
	       batch->sequence >=
		   atomic_load_explicit(&lane->shared.careful_until, memory_order_relaxed);
}

bool cw_quick_walk(struct cw_worker *worker, struct cw_batch *batch)
{
	struct cw_outputs *outputs = &worker->pipeline->outputs;
	const struct walk walk = {.batch = batch,
				  .quick = worker->quick,
				  .scratch = &worker->scratch,
				  .outputs = outputs->at,
				  .from_end = batch->span.data + batch->span.bytes};
	bool notes_times = atomic_load(&outputs->has_time_rotation);

	batch->is_quick = batch->is_refused = false;
	if (!may_be_quick(worker, batch))
		return false;
	batch->is_refused = true;
	cw_drafts_begin(&batch->drafts, &outputs->pool, batch->generation->rules->count);
	cw_part_begin(batch, 0);
	cw_begin_decoding(batch);
	batch->part.earliest_ns = notes_times ? UINT64_MAX : 0;
	batch->part.latest_ns = notes_times ? 0 : UINT64_MAX; /* unknown */
	batch->is_quick = walk_all(&walk, notes_times);
	cw_part_end(&worker->scratch, batch, batch->packet_count);
	finish_drafts(&walk);
	if (batch->is_quick &&
	    (batch->walk.run || batch->packet_count == batch->span.record_count) &&
	    cw_lease_intact_bytes(&batch->lease, &batch->span) == batch->span.bytes) {
		batch->is_refused = false;
		return true;
	}
	cw_quick_drop(batch);
	return false;
}

/* Copies a small draft to the piece that the turn reserved for it. */
static void copy_small(struct cw_outputs *outputs, struct cw_output *output,
		       const struct cw_piece *piece, const struct cw_draft *draft)
{
	struct cw_chunk *chunk = piece->chunk;
	const uint8_t *from = draft->slot;
	uint32_t at = piece->offset;
	size_t left = draft->slot_used;

	for (;;) {
		struct cw_chunk *following = NULL;
		uint32_t part = (uint32_t)cw_min_size(left, chunk->capacity - at);

		if (part < left) /* the piece's own link; the chunk may be gone below */
			following = chunk->following;
		memcpy(chunk->memory + at, from, part);
		if (cw_chunk_copied(chunk, part))
			cw_output_kick(outputs, output);
		if (!following)
			return;
		from += part;
		left -= part;
		chunk = following;
		at = 0;
	}
}

void cw_quick_finish(struct cw_worker *worker, struct cw_batch *batch)
{
	struct cw_outputs *outputs = &worker->pipeline->outputs;

	cw_lease_give_back(&batch->lease); /* before any write */
	for (uint32_t index = 0; index < batch->tally_count; index++) {
		const struct cw_tally *tally = &batch->tallies[index];

		if (tally->first_piece != CW_PIECE_NONE)
			copy_small(outputs, &outputs->at[tally->output],
				   &batch->pieces[tally->first_piece], &batch->draft_of[index]);
	}
	cw_quick_drop(batch);
}
