/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inner part of matching, shared by the two ways of a batch: the careful way keeps packets and
 * matches (match.c), the quick way encodes each match at once (../quick.c).
 */
#ifndef CW_PIPELINE_MATCH_BURST_H
#define CW_PIPELINE_MATCH_BURST_H

#include "pipeline/match/match.h"

/* Packets that one set matched together, and which of the scratch's ids are theirs. */
struct cw_burst {
	uint32_t first; /* index of the first packet */
	uint32_t count;
	uint64_t rejected; /* bit i: the prefilter rejected packet first + i */
	uint64_t *bits;    /* the caller's: CW_MATCH_BURST words; NULL: ids are wanted */
	bool has_bits;     /* `bits` has the matches, and the scratch has no ids */
};

/* The set in use, which stays from burst to burst. Zero-initialise, except `iface`. */
struct cw_matching {
	struct cw_matcher *matcher;
	struct cw_match_scratch *scratch;
	const struct cw_ifaces *ifaces;
	const struct cw_rule_set *set;
	uint32_t iface; /* of the set; UINT32_MAX: none */
};

/* Begin and end a part at these packets: the part's fields, and the outputs' tallies. */
void cw_part_begin(struct cw_batch *batch, uint32_t first);
void cw_part_end(struct cw_match_scratch *scratch, struct cw_batch *batch, uint32_t end);

/* Matches the first of `count` packets (at least one, at most CW_MATCH_BURST), as far as one set
 * can match them together and `ids_capacity` ids suffice. Fills `count`, `rejected` and `has_bits`
 * of the burst. With bits, nothing is rejected, and bit i is the set's rule_of[i]. */
void cw_match_burst(struct cw_matching *matching, struct cw_batch_part *part,
		    const struct cw_packet *packets, uint32_t count, uint32_t ids_capacity,
		    struct cw_burst *burst);

/* Adds a tally for the output to the batch; returns its index. */
static inline uint32_t cw_part_add_tally(struct cw_match_scratch *scratch, struct cw_batch *batch,
					 uint32_t output)
{
	uint32_t index = batch->tally_count++;

	scratch->tally_of[output] = index + 1;
	batch->tallies[index] = (struct cw_tally){
	    .output = output, .first_piece = CW_PIECE_NONE, .last_piece = CW_PIECE_NONE};
	return index;
}

/* Counts packet `index` of the burst. Returns its class; `has_ids`: a filter matches it. */
static inline enum cw_packet_class cw_part_count(struct cw_batch_part *part,
						 const struct cw_burst *burst, uint32_t index,
						 const struct cw_packet *packet, bool has_ids)
{
	enum cw_packet_class class = CW_CLASS_MATCHED;

	part->caplen_bytes += packet->caplen;
	part->truncated += (packet->flags & CW_PACKET_TRUNCATED) != 0;
	if (burst->rejected >> index & 1) /* not even unmatched */
		class = CW_CLASS_PREFILTERED;
	else if (cw_unlikely(packet->flags & CW_PACKET_MALFORMED))
		class = CW_CLASS_MALFORMED;
	else if (!has_ids)
		class = CW_CLASS_UNMATCHED;
	part->class_counts[class]++;
	return class;
}

#endif
