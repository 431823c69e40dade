/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segments: pieces of a capture file that several threads walk at the same time, each from where it
 * guesses that a record begins. A segment's walk decodes the records that begin before its nominal
 * end, as long as they are plain (plain.h). At anything else it stops: the parser (pcapfile.h) goes
 * on from there. So there is one parser, and a walk from a true boundary returns exactly the
 * packets that the parser's spans decode to.
 *
 *	segment = (struct cw_segment){.span = bytes, .from = ..., .to = ...};
 *	if (!cw_segment_guess(&segment, &boundary))
 *		... the end of the segment before is the start: cw_segment_begin
 *	while ((count = cw_segment_next(&segment, packets, capacity)) > 0)
 *		... use the packets
 *	... whoever knows the true start compares it with segment.start
 *
 * A guess can be wrong. Whatever the bytes are, and whatever they change to meanwhile, nothing
 * outside the span is read. Pure functions; a segment has one owner at a time.
 */
#ifndef CW_CORE_FORMAT_SEGMENT_H
#define CW_CORE_FORMAT_SEGMENT_H

#include "core/format/boundary.h"

#define CW_SEGMENT_GUESS_BYTES ((size_t)256 << 10) /* most bytes that a guess looks at */

struct cw_packed; /* frames.h */

struct cw_segment {
	/* set by the caller */
	struct cw_span span; /* bytes from `from` on, after `to` too; record_count is unused */
	uint64_t from, to;   /* nominal edges, offsets in the (uncompressed) input */
	bool is_at_end;      /* the input ends where the span's bytes end */
	bool is_checked;     /* resync.is_on: a capture length above the length is not plain */
	const struct cw_packed *packed; /* to be unpacked before the walk (frames.h); or NULL */
	/* set by the walk */
	uint64_t start;       /* of the first record; UINT64_MAX: none was found */
	uint64_t end;         /* after the last record walked; `start` at the beginning */
	uint32_t last_s;      /* pcap: seconds of the last record walked; 0: none */
	const uint8_t *ahead; /* private: prefetched up to here; NULL: not begun */
};

/* Returns whether a walk that is over stopped before the segment's edge: `end` is the place of no
 * plain record, or of one that leaves the span's bytes. */
static inline bool cw_segment_is_odd(const struct cw_segment *segment)
{
	return segment->end < segment->to;
}

/* Guesses where the first record begins: fills `start` and `end`. Returns false if no place was
 * found in the first CW_SEGMENT_GUESS_BYTES. */
bool cw_segment_guess(struct cw_segment *segment, const struct cw_boundary *boundary);

/* Begins the walk at a known start, at or after `from`. At or after `to`, the walk is empty. */
void cw_segment_begin(struct cw_segment *segment, uint64_t start);

/* Decodes up to `capacity` next packets (fills) and moves `end`. Returns their number; 0: the walk
 * is over, and `stop` says why. */
size_t cw_segment_next(struct cw_segment *segment, struct cw_packet *packets, size_t capacity);

/* Does what cw_span_decode does, for spans of pcap and pcapng: decodes all that the parser cut. */
size_t cw_segment_decode_span(const struct cw_span *span, struct cw_cursor *cursor,
			      struct cw_packet *packets, size_t capacity);

#endif
