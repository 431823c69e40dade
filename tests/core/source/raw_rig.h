/* SPDX-License-Identifier: BSD-3-Clause */
/* A source that is read by spans and by pieces in turns. */
#ifndef CW_TESTS_CORE_SOURCE_RAW_RIG_H
#define CW_TESTS_CORE_SOURCE_RAW_RIG_H

#include "core/format/frames.h"
#include "tests/core/source/source_rig.h"

static struct cw_unpacker *unpacker; /* for pieces of .zst files */

struct reader {
	struct cw_source *source;
	struct cw_ifaces ifaces;
	struct seen_list list;
	struct cw_error error;
	int result;
	uint32_t odd_stops;
};

static inline bool open_reader(struct reader *reader, const char *path,
			       const struct cw_source_options *options)
{
	memset(reader, 0, sizeof(*reader));
	cw_ifaces_init(&reader->ifaces);
	reader->result =
	    cw_source_open(&reader->source, path, &reader->ifaces, options, &reader->error);
	return !reader->result;
}

static inline void close_reader(struct reader *reader)
{
	cw_source_close(reader->source);
	cw_ifaces_fini(&reader->ifaces);
	seen_free(&reader->list);
}

static inline bool read_exact(struct reader *reader, uint32_t records)
{
	struct cw_lease lease;
	struct cw_span span;

	reader->result =
	    cw_source_next(reader->source, 1 << 18, records, &span, &lease, &reader->error);
	if (reader->result == 1)
		see_span(&reader->list, &span, 64);
	cw_lease_give_back(&lease);
	return reader->result == 1;
}

static inline uint64_t position_of(const struct reader *reader)
{
	struct cw_source_info info;

	cw_source_info(reader->source, &info);
	return info.consumed_bytes;
}

/* Sees up to `*records` packets of the segment. Returns whether the next one has the rest. */
static inline bool walk(struct reader *reader, struct cw_segment *segment, size_t *records)
{
	struct cw_packet packets[64];
	size_t count = 1;

	while (*records && count) {
		count = cw_segment_next(segment, packets, cw_min_size(*records, 64));
		see_packets(&reader->list, &segment->span, packets, count);
		*records -= count;
	}
	if (count)
		return false; /* in the middle, as far as was asked for */
	reader->odd_stops += cw_segment_is_odd(segment);
	return !cw_segment_is_odd(segment);
}

/* Takes pieces of `bytes`, `ahead` more than are walked, and walks `records` of them. Returns
 * whether there were any. */
static inline bool read_raw(struct reader *reader, size_t bytes, size_t records, uint32_t ahead)
{
	uint64_t end = 0;
	bool goes_on = true, has_any = false;
	struct cw_segment segment;
	struct cw_lease lease;
	uint32_t last_s = 0;

	while (goes_on && cw_source_raw(reader->source, bytes, &segment, &lease, NULL) == 1) {
		end = has_any ? end : segment.from;
		has_any = true;
		assert_true(end >= segment.from);
		cw_segment_unpack(&segment, unpacker);
		cw_segment_begin(&segment, end);
		goes_on = walk(reader, &segment, &records);
		if (segment.end > segment.start)
			last_s = segment.last_s;
		end = segment.end;
		cw_lease_give_back(&lease);
	}
	while (has_any && ahead-- &&
	       cw_source_raw(reader->source, bytes, &segment, &lease, NULL) == 1)
		cw_lease_give_back(&lease);
	if (has_any)
		cw_source_continue(reader->source, end, last_s);
	return has_any;
}

static inline void assert_same_readers(struct reader *a, struct reader *b, const char *name)
{
	struct cw_source_joined joined[2][CW_SOURCE_JOINED_MAX];
	const char *damage[2] = {cw_source_damage(a->source), cw_source_damage(b->source)};
	struct cw_source_info infos[2];
	uint32_t count;

	cw_source_info(a->source, &infos[0]);
	cw_source_info(b->source, &infos[1]);
	/* How far a stream was read when an error was found depends on its buffer. */
	if (a->result && strcmp(infos[0].compression, "none"))
		infos[0].consumed_bytes = infos[1].consumed_bytes;
	if (a->list.count != b->list.count || a->result != b->result)
		fail_msg("%s: %zu packets, %d (%s) against %zu packets, %d (%s)", name,
			 a->list.count, a->result, a->error.text, b->list.count, b->result,
			 b->error.text);
	assert_same_packets(&a->list, &b->list);
	assert_string_equal(a->error.text, b->error.text);
	assert_memory_equal(&infos[0], &infos[1], sizeof(infos[0]));
	assert_string_equal(damage[0] ? damage[0] : "", damage[1] ? damage[1] : "");
	count = cw_source_joined(a->source, CW_SOURCE_JOINED_MAX, joined[0]);
	assert_int_equal(cw_source_joined(b->source, CW_SOURCE_JOINED_MAX, joined[1]), count);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(joined[0][i].at, joined[1][i].at);
		assert_int_equal(joined[0][i].linktype, joined[1][i].linktype);
		assert_ptr_equal(joined[0][i].format, joined[1][i].format);
	}
	assert_int_equal(a->ifaces.count, b->ifaces.count);
	assert_int_equal(a->ifaces.kept_count, b->ifaces.kept_count);
}

/* Reads once with pieces of `bytes`, each row after `first` records and of `walked`, and once
 * without. Returns whether there were pieces. */
static inline bool check_same(const char *path, const struct cw_source_options *options,
			      size_t bytes, uint32_t first, size_t walked)
{
	struct reader alone, mixed;
	bool has_pieces = false;
	bool is_open = open_reader(&alone, path, options);

	assert_int_equal(open_reader(&mixed, path, options), is_open);
	if (is_open) {
		if (!first || read_exact(&mixed, first))
			do
				has_pieces |= read_raw(&mixed, bytes, walked, (uint32_t)walked % 3);
			while (read_exact(&mixed, 1 + (uint32_t)walked % 50));
		while (read_exact(&alone, 1000))
			;
		assert_same_readers(&mixed, &alone, path);
	}
	close_reader(&mixed);
	close_reader(&alone);
	return has_pieces;
}

#endif
