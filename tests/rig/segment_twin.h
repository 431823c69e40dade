/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The slow twin of the walk over segments (segment.h). The parser reads a file from its head; a
 * walk that begins at any boundary must return what the parser returned there, up to the segment's
 * edge or to the first record that is not plain. What plain means is written here again, byte by
 * byte. For test_segment and its fuzz target: aborts where the two differ.
 */
#ifndef CW_TESTS_RIG_SEGMENT_TWIN_H
#define CW_TESTS_RIG_SEGMENT_TWIN_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/format/segment.h"

#define TWIN_BURST 16

/* A record that the parser returned. */
struct twin_record {
	uint64_t at, end; /* offsets in the file */
	struct cw_layout layout;
	struct cw_packet packet;
};

/* A file that the parser has read. */
struct twin {
	const uint8_t *data;
	size_t bytes;
	bool is_checked; /* with resync.is_on */
	struct cw_ifaces ifaces;
	struct twin_record *records;
	size_t count, capacity;
};

/* A walk: from the record `index`, or from its end. */
struct twin_cut {
	size_t index;
	bool is_after;       /* begins at the end of the record */
	uint64_t to;         /* nominal end */
	size_t lead;         /* bytes of the span before the start */
	size_t present;      /* bytes of the span after them */
	const uint8_t *copy; /* the span's bytes elsewhere; NULL: in the file */
	size_t burst;        /* packets a call, 1 to TWIN_BURST */
	uint64_t end;        /* filled: where the walk stopped */
	bool is_odd;         /* filled: why */
};

static inline void twin_check(bool holds, const char *what, uint64_t at)
{
	if (holds)
		return;
	fprintf(stderr, "at byte %" PRIu64 ": %s\n", at, what);
	abort();
}

/* Loads in the file's byte order, whatever this machine's is. */
static inline uint32_t twin_u32(const uint8_t *at, bool is_swapped)
{
	const bool is_big = is_swapped == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
	uint32_t value = 0;

	for (size_t i = 0; i < 4; i++)
		value = value << 8 | at[is_big ? i : 3 - i];
	return value;
}

static inline void twin_note(struct twin *twin, const struct cw_span *span, size_t from, size_t to,
			     const struct cw_packet *packet)
{
	if (twin->count == twin->capacity) {
		twin->capacity = twin->capacity ? 2 * twin->capacity : 64;
		twin->records = realloc(twin->records, twin->capacity * sizeof(*twin->records));
		twin_check(twin->records, "no memory", 0);
	}
	twin->records[twin->count++] =
	    (struct twin_record){span->offset + from, span->offset + to, span->layout, *packet};
}

/* Reads the whole file; the bytes stay where they are. Needs twin_free. */
static inline void twin_read(struct twin *twin, const uint8_t *data, size_t bytes, bool is_checked)
{
	const struct cw_pcapfile_limits limits = {SIZE_MAX, UINT32_MAX};
	static struct cw_pcapfile parser;
	struct cw_pcapfile_step step;
	struct cw_error error;
	size_t at = 0;
	int result;

	twin->data = data;
	twin->bytes = bytes;
	twin->is_checked = is_checked;
	twin->count = 0;
	cw_ifaces_init(&twin->ifaces);
	cw_pcapfile_init(&parser, &twin->ifaces, 0, CW_LINKTYPE_ANY);
	parser.resync.is_on = is_checked;
	do {
		struct cw_cursor cursor = {0};
		struct cw_packet packet;
		size_t before = 0;

		result = cw_pcapfile_scan(&parser,
					  &(struct cw_pcapfile_shown){data + at, bytes - at, true},
					  &limits, &step, &error);
		at += step.consumed;
		while (result == CW_PCAPFILE_SPAN &&
		       cw_span_decode(&step.span, &cursor, &packet, 1)) {
			twin_note(twin, &step.span, before, cursor.offset, &packet);
			before = cursor.offset;
		}
	} while (result > 0);
}

static inline void twin_free(struct twin *twin)
{
	cw_ifaces_fini(&twin->ifaces);
	free(twin->records);
	twin->records = NULL;
	twin->count = twin->capacity = 0;
}

static inline bool twin_is_plain_block(const uint8_t *at, size_t left, bool is_swapped)
{
	uint32_t type, length;

	if (left < 12)
		return false;
	type = twin_u32(at, is_swapped);
	length = twin_u32(at + 4, is_swapped);
	if (type != 2 && type != 3 && type != 6)
		return false;
	if (length < 12 || length % 4 || length > 129u * 1024 * 1024 || length > left)
		return false;
	return twin_u32(at + length - 4, is_swapped) == length;
}

/* Returns whether these bytes begin a pcap file: us, ns, Kuznetzov. */
static inline bool twin_is_magic(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return a == 0xA1 && b == 0xB2 &&
	       ((c == 0xC3 && d == 0xD4) || (c == 0x3C && d == 0x4D) || (c == 0xCD && d == 0x34));
}

/* Returns whether the parser takes the record at `at` without a closer look. */
static inline bool twin_is_plain(const struct twin *twin, const struct cw_layout *layout,
				 const uint8_t *at, size_t left)
{
	const bool is_swapped = layout->is_swapped;
	uint32_t first, second, caplen, len;

	if (layout->is_pcapng)
		return twin_is_plain_block(at, left, is_swapped);
	if (left < layout->record_header_bytes)
		return false;
	if (twin_is_magic(at[0], at[1], at[2], at[3]) || twin_is_magic(at[3], at[2], at[1], at[0]))
		return false;
	first = twin_u32(at + 8, is_swapped);
	second = twin_u32(at + 12, is_swapped);
	caplen = first;
	len = second;
	if (layout->has_swapped_lengths == CW_LENGTHS_SWAPPED ||
	    (layout->has_swapped_lengths == CW_LENGTHS_MAYBE_SWAPPED && first > second)) {
		caplen = second;
		len = first;
	}
	if (caplen == 0) /* with a time; else it may be one of a row of zeros */
		return !twin->is_checked && (twin_u32(at, 0) || twin_u32(at + 4, 0));
	if (caplen > layout->caplen_max || (twin->is_checked && caplen > len))
		return false;
	return left - layout->record_header_bytes >= caplen;
}

static inline bool twin_is_same(const struct cw_packet *a, const struct cw_packet *b)
{
	return a->ts_ns == b->ts_ns && a->caplen == b->caplen && a->wire_len == b->wire_len &&
	       a->iface == b->iface && a->flags == b->flags &&
	       a->options_bytes == b->options_bytes && a->carried_s == b->carried_s;
}

/* Walks the cut and compares. Fills the cut's results. */
static inline void twin_walk(const struct twin *twin, struct twin_cut *cut)
{
	const struct twin_record *record = &twin->records[cut->index];
	const struct twin_record *after = twin->records + twin->count;
	const struct cw_layout layout = record->layout;
	const uint64_t start = cut->is_after ? record->end : record->at;
	const uint64_t from = start - cut->lead;
	const uint8_t *span = cut->copy ? cut->copy : twin->data + from;
	const uint8_t *data = span + cut->lead;
	struct cw_segment segment = {.span = {.data = span,
					      .bytes = cut->lead + cut->present,
					      .offset = from,
					      .layout = layout},
				     .from = from,
				     .to = cut->to,
				     .is_checked = twin->is_checked};
	struct cw_packet packets[TWIN_BURST];
	uint64_t at = start;
	uint32_t last_s = 0;
	size_t count;

	cw_segment_begin(&segment, start);
	twin_check(segment.start == start && segment.end == start, "the start is not set", start);
	while ((count = cw_segment_next(&segment, packets, cut->burst)) > 0) {
		twin_check(count <= cut->burst, "too many packets", at);
		for (size_t i = 0; i < count; i++) {
			const uint8_t *bytes = data + (at - start);

			twin_check(at < cut->to, "a packet after the edge", at);
			twin_check(twin_is_plain(twin, &layout, bytes, cut->present - (at - start)),
				   "a packet of a record that is not plain", at);
			while (record < after && record->at < at)
				record++;
			twin_check(record < after && record->at == at,
				   "the parser returned no packet here", at);
			twin_check(twin_is_same(&packets[i], &record->packet),
				   "another packet than the parser's", at);
			twin_check(packets[i].data - data ==
				       record->packet.data - (twin->data + start),
				   "another place than the parser's", at);
			last_s = twin_u32(bytes, layout.is_swapped);
			at = record->end;
		}
		twin_check(segment.end == at, "another end than the last record's", at);
		twin_check(layout.is_pcapng || segment.last_s == last_s, "other seconds", at);
	}
	twin_check(segment.end == at && segment.start == start, "the walk moved at its end", at);
	twin_check(at >= cut->to || !twin_is_plain(twin, &layout, data + (at - start),
						   cut->present - (at - start)),
		   "the walk stopped before a plain record", at);
	cut->end = at;
	cut->is_odd = cw_segment_is_odd(&segment);
}

/* Walks a segment to its end, whatever is in it: all packets lie within the span. */
static inline void twin_walk_inside(struct cw_segment *segment)
{
	const uint8_t *data = segment->span.data, *end = data + segment->span.bytes;
	struct cw_packet packets[TWIN_BURST];
	size_t count;

	while ((count = cw_segment_next(segment, packets, TWIN_BURST)) > 0)
		for (size_t i = 0; i < count; i++)
			twin_check(packets[i].data >= data && packets[i].data <= end &&
				       packets[i].caplen <= (size_t)(end - packets[i].data),
				   "a packet outside its span", segment->end);
	twin_check(segment->end <= segment->span.offset + segment->span.bytes ||
		       segment->end == segment->start,
		   "the walk left its span", segment->end);
}

/* Does the same from a guess in the file's last `left` bytes; copied, so that ASan sees the end. */
static inline void twin_guess(const struct twin *twin, size_t left)
{
	const struct twin_record *first = &twin->records[0];
	const struct cw_boundary boundary = {.layout = &first->layout,
					     .records = 8,
					     .has_times = left % 2,
					     .first_s =
						 (uint32_t)(first->packet.ts_ns / CW_NS_PER_S)};
	const uint64_t from = twin->bytes - left;
	uint8_t *copy = malloc(left + !left);
	struct cw_segment segment = {
	    .span = {.data = copy, .bytes = left, .offset = from, .layout = first->layout},
	    .from = from,
	    .to = twin->bytes,
	    .is_at_end = true,
	    .is_checked = twin->is_checked};

	twin_check(copy, "no memory", 0);
	memcpy(copy, twin->data + from, left);
	if (cw_segment_guess(&segment, &boundary)) {
		twin_check(segment.start >= from && segment.start < twin->bytes,
			   "a guess outside the span", segment.start);
		twin_walk_inside(&segment);
	} else {
		twin_check(segment.start == UINT64_MAX, "a start without a guess", segment.start);
	}
	free(copy);
}

/* Any bytes: the first four ones choose the walks through the file that the others are. */
static inline void twin_feed(const uint8_t *data, size_t bytes)
{
	struct twin twin = {0};
	uint32_t draw;

	if (bytes < 4)
		return;
	draw = cw_load_u32(data, 0);
	twin_read(&twin, data + 4, bytes - 4, draw & 1);
	for (int i = 0; twin.count && i < 16; i++, draw = draw * 747796405u + 2891336453u) {
		struct twin_cut cut = {.index = (draw >> 4) % twin.count,
				       .is_after = draw >> 1 & 1,
				       .burst = 1 + (draw >> 16) % TWIN_BURST};
		const struct twin_record *record = &twin.records[cut.index];
		const uint64_t from = cut.is_after ? record->end : record->at;
		uint8_t *copy;

		cut.lead = cw_min_size((size_t)from, draw >> 20 & 15);
		cut.present = twin.bytes - (size_t)from;
		cut.to = from + (draw >> 8) % (cut.present + 2);
		cut.present -= draw >> 31 ? (draw >> 12) % (cut.present + 1) : 0;
		copy = malloc(cut.lead + cut.present + 1);
		twin_check(copy, "no memory", 0);
		cut.copy = memcpy(copy + 1, twin.data + from - cut.lead, cut.lead + cut.present);
		twin_walk(&twin, &cut);
		free(copy);
		twin_guess(&twin, (draw >> 7) % (twin.bytes + 1));
	}
	twin_free(&twin);
}

#endif
