/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces of .zst files with a table of frames: read as the stream, whatever the table says and
 * whatever is wrong with the frames.
 */
#include <errno.h>

#include <zstd.h>

#include "core/format/unpack.h"
#include "tests/core/source/corpus_rig.h"
#include "tests/core/source/raw_rig.h"
#include "tests/rig/scale.h"

#define FRAMES_MAX 4000u

/* What is wrong with the frames or their table. */
enum flaw {
	RIGHT,
	SUMS,         /* the table has checksums: fine */
	UNKNOWN_SIZE, /* frames do not say their content's size: fine */
	EMPTY_FRAMES, /* fine */
	NO_TABLE,
	TORN_TABLE,
	FIRST_LONGER,     /* the first frame's content is said to be longer */
	FIRST_SHORTER,    /* or shorter */
	WRONG_CONTENT,    /* a frame in the middle takes content from its neighbour */
	WRONG_PLACE,      /* or packed bytes */
	TABLE_OF_ANOTHER, /* joined to another file, which has no table */
	JOINED,           /* both have a table */
	HUGE_FRAME,       /* said to be */
	TORN_FRAME,       /* the bytes after the middle of a frame are wrong */
	FLAWS,
};

static struct cw_source_options options;

struct made {
	uint8_t *data;
	size_t bytes;
	uint32_t sizes[2 * FRAMES_MAX];
	uint32_t count;
};

static void put_frame(struct made *made, const uint8_t *from, size_t bytes, enum flaw flaw)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();
	size_t packed;

	assert_true(context && made->count < FRAMES_MAX);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, flaw != UNKNOWN_SIZE);
	packed = ZSTD_compress2(context, made->data + made->bytes, ZSTD_compressBound(bytes), from,
				bytes);
	assert_false(ZSTD_isError(packed));
	ZSTD_freeCCtx(context);
	made->sizes[2 * made->count] = (uint32_t)packed;
	made->sizes[2 * made->count + 1] = (uint32_t)bytes;
	made->count++;
	made->bytes += packed;
}

static void put_table(struct made *made, enum flaw flaw)
{
	uint8_t *table = made->data + made->bytes;
	const size_t bytes = cw_frames_table_bytes(made->count);
	uint32_t length;

	cw_frames_table(made->sizes, made->count, table);
	made->bytes += bytes;
	if (flaw != SUMS)
		return;
	/* Four bytes more an entry, from the last one on. */
	memmove(table + bytes - 9 + 4 * made->count, table + bytes - 9, 9);
	for (uint32_t i = made->count; i-- > 0;)
		memmove(table + 8 + 12 * i, table + 8 + 8 * i, 8);
	made->bytes += 4 * made->count;
	table[bytes - 9 + 4 * made->count + 4] = 0x80;
	length = cw_load_u32(table + 4, 0) + 4 * made->count;
	memcpy(table + 4, &length, sizeof(length));
}

/* The data in frames of up to `frame_bytes`. Returns the path of "frames". */
static const char *make_frames(const uint8_t *data, size_t bytes, size_t frame_bytes,
			       enum flaw flaw)
{
	static struct made made;
	const char *path;
	uint32_t middle, before;

	made.count = 0;
	made.bytes = 0;
	made.data = malloc(3 * bytes + (1 << 20));
	assert_non_null(made.data);
	for (size_t at = 0, part; at < bytes; at += part) {
		part = cw_min_size(1 + next_random(&random_state) % frame_bytes, bytes - at);
		if (flaw == EMPTY_FRAMES)
			put_frame(&made, data, 0, flaw);
		put_frame(&made, data + at, part, flaw);
	}
	if (flaw == TABLE_OF_ANOTHER || flaw == JOINED) {
		if (flaw == JOINED)
			put_table(&made, flaw);
		made.count = 0;
		put_frame(&made, data, bytes / 2, flaw);
		put_frame(&made, data + bytes / 2, bytes - bytes / 2, flaw);
	}
	middle = made.count / 2;
	before = middle ? middle - 1 : 0;
	if (flaw == FIRST_LONGER)
		made.sizes[1] += 50;
	if (flaw == FIRST_SHORTER)
		made.sizes[1] -= cw_min_u32(50, made.sizes[1]);
	if (flaw == WRONG_CONTENT || flaw == WRONG_PLACE) {
		uint32_t i = flaw == WRONG_CONTENT;

		made.sizes[2 * before + i] += 9;
		made.sizes[2 * middle + i] -= 9;
	}
	if (flaw == HUGE_FRAME)
		made.sizes[2 * middle + 1] = 1u << 30;
	if (flaw == TORN_FRAME) {
		size_t at = 0;

		for (uint32_t i = 0; i < middle; i++)
			at += made.sizes[2 * i];
		made.data[at + made.sizes[2 * middle] / 2] ^= 0x55;
	}
	if (flaw != NO_TABLE)
		put_table(&made, flaw);
	if (flaw == TORN_TABLE)
		made.bytes -= 3;
	path = write_file("frames", made.data, made.bytes);
	free(made.data);
	return path;
}

static bool has_pieces(enum flaw flaw)
{
	return flaw <= EMPTY_FRAMES || (flaw >= FIRST_LONGER && flaw <= WRONG_PLACE) ||
	       flaw == TORN_FRAME;
}

static void every_table_gives_what_the_stream_gives(void **state)
{
	size_t bytes;
	uint8_t *data;

	(void)state;
	for (int is_pcapng = 0; is_pcapng < 2; is_pcapng++) {
		data = read_file(make_large_of("large", 8000, is_pcapng), &bytes);
		for (enum flaw flaw = RIGHT; flaw < FLAWS; flaw++)
			for (uint32_t run = 0; run < scaled(10, 3); run++) {
				size_t frame = (size_t)2000 << next_random(&random_state) % 9;
				const char *path = make_frames(data, bytes, frame, flaw);
				bool is_piece = check_same(
				    path, &options, (size_t)4096 << next_random(&random_state) % 8,
				    1 + (uint32_t)next_random(&random_state) % 90,
				    run ? next_random(&random_state) % 5000 : SIZE_MAX);

				if (is_piece != has_pieces(flaw) && flaw < WRONG_CONTENT)
					fail_msg("flaw %d: pieces %d", flaw, is_piece);
				assert_true(!is_piece || has_pieces(flaw));
			}
		free(data);
	}
}

static void walks_of_right_frames_reach_the_end(void **state)
{
	size_t bytes;
	uint8_t *data = read_file(make_large("large", 30000), &bytes);

	(void)state;
	for (size_t frame = 40000; frame < 4 << 20; frame *= 3) {
		struct reader reader;

		assert_true(open_reader(&reader, make_frames(data, bytes, frame, RIGHT), &options));
		assert_true(read_exact(&reader, 10));
		assert_true(read_raw(&reader, 64 << 10, SIZE_MAX, 0));
		assert_int_equal(reader.odd_stops, 0);
		assert_int_equal(reader.list.count, 30000);
		assert_false(read_exact(&reader, 10));
		assert_int_equal(reader.result, 0);
		close_reader(&reader);
	}
	free(data);
}

static void check_file(const char *path, const char *name)
{
	size_t bytes;
	uint8_t *data = read_file(path, &bytes);

	(void)name;
	for (int resyncs = 0;
	     resyncs < 2 && bytes > 64 && cw_packing_of(data, 4) == CW_PACKING_NONE; resyncs++) {
		options.resyncs = resyncs;
		make_frames(data, bytes, 1 + bytes / 4, RIGHT);
		check_same(in_folder("frames"), &options, 4096, 1, SIZE_MAX);
		check_same(in_folder("frames"), &options, 1 << 18, 2,
			   next_random(&random_state) % 40);
	}
	options.resyncs = false;
	free(data);
}

static void the_corpus_in_frames_is_read_as_from_the_stream(void **state)
{
	(void)state;
	for_corpus(check_file);
}

static void buffers_are_limited_and_outlive_the_source(void **state)
{
	size_t bytes;
	uint8_t *data = read_file(make_large("large", 30000), &bytes);
	const char *path = make_frames(data, bytes, 30000, RIGHT);
	struct cw_packet packets[64];
	struct cw_segment segments[3];
	struct cw_lease leases[3];
	struct reader reader;
	uint64_t at;

	(void)state;
	options.pieces_max = 2;
	assert_true(open_reader(&reader, path, &options));
	assert_int_equal(cw_source_raw(reader.source, 65536, &segments[0], &leases[0], NULL), 0);
	assert_true(read_exact(&reader, 10));
	assert_int_equal(cw_source_raw(reader.source, 65536, &segments[0], &leases[0], NULL), 1);
	assert_int_equal(segments[0].from, 24 + 10 * RECORD_BYTES);
	assert_int_equal(cw_source_raw(reader.source, 65536, &segments[1], &leases[1], NULL), 1);
	assert_int_equal(segments[1].from, segments[0].to);
	at = segments[1].to;
	for (int i = 0; i < 2; i++)
		assert_int_equal(
		    cw_source_raw(reader.source, 65536, &segments[2], &leases[2], NULL), -EAGAIN);
	cw_lease_give_back(&leases[0]);
	assert_int_equal(cw_source_raw(reader.source, 65536, &segments[2], &leases[2], NULL), 1);
	assert_int_equal(segments[2].from, at);
	cw_source_continue(reader.source, 24 + 10 * RECORD_BYTES, 10);
	assert_true(read_exact(&reader, 5));
	assert_int_equal(reader.list.items[10].ts_ns, 11 * CW_NS_PER_S + 9);
	close_reader(&reader);
	cw_segment_unpack(&segments[1], unpacker);
	cw_segment_begin(&segments[1], 24 + (segments[1].from / RECORD_BYTES + 1) * RECORD_BYTES);
	assert_int_equal(cw_segment_next(&segments[1], packets, 64), 64);
	assert_int_equal(packets[0].caplen, 100);
	cw_lease_give_back(&leases[1]);
	cw_lease_give_back(&leases[2]);
	options.pieces_max = 4;
	free(data);
}

static int start_group(void **state)
{
	options = plain;
	options.pieces_max = 4;
	unpacker = cw_unpacker_new();
	return unpacker ? make_folder(state) : -1;
}

static int end_group(void **state)
{
	cw_unpacker_free(unpacker);
	return remove_folder(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_table_gives_what_the_stream_gives),
	    cmocka_unit_test(walks_of_right_frames_reach_the_end),
	    cmocka_unit_test(the_corpus_in_frames_is_read_as_from_the_stream),
	    cmocka_unit_test(buffers_are_limited_and_outlive_the_source),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, start_group, end_group);
}
