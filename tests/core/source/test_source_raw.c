/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces of a mapped file that others walk: they tile it; after a walk of any length, reading on
 * gives what reading alone gives.
 */
#include <errno.h>
#include <sys/eventfd.h>

#include "tests/core/source/corpus_rig.h"
#include "tests/core/source/raw_rig.h"
#include "tests/rig/scale.h"

#define MIB ((size_t)1 << 20)

/* Put there by the first window; cmocka puts its own in place for each test. */
static struct sigaction handler;

/* ---- tiles ---- */

static void check_tiles(const char *path, const struct cw_source_options *options, size_t bytes,
			uint32_t records)
{
	size_t file_bytes;
	uint8_t *data = read_file(path, &file_bytes);
	struct cw_segment segment;
	struct cw_lease lease;
	struct reader reader;
	uint64_t at;
	int result;

	if (!open_reader(&reader, path, options) || (records && !read_exact(&reader, records))) {
		close_reader(&reader);
		free(data);
		return;
	}
	at = position_of(&reader);
	while ((result = cw_source_raw(reader.source, bytes, &segment, &lease, NULL)) == 1) {
		const uint64_t end = segment.span.offset + segment.span.bytes;

		assert_int_equal(segment.from, at);
		assert_int_equal(segment.span.offset, at);
		assert_true(segment.to > at && segment.to - at <= bytes);
		assert_true(segment.to % bytes == 0 || segment.to == file_bytes);
		assert_true(end <= file_bytes);
		assert_int_equal(end, cw_min_size(segment.to + MIB, file_bytes));
		assert_int_equal(segment.is_at_end, end == file_bytes);
		assert_int_equal(segment.is_checked, options->resyncs);
		assert_memory_equal(segment.span.data, data + at, segment.span.bytes);
		at = segment.to;
		assert_int_equal(position_of(&reader), at);
		cw_lease_give_back(&lease);
	}
	assert_int_equal(result, 0);
	if (at != file_bytes) /* nothing but the parser may stand in the way, at the beginning */
		assert_int_equal(at, position_of(&reader));
	close_reader(&reader);
	free(data);
}

static void check_file(const char *path, const char *name)
{
	static const size_t windows[] = {0, 4096, 100000};
	struct seen_list list;

	(void)name;
	read_source(path, &plain, 1 << 18, &list);
	for (int resyncs = 0; resyncs < 2; resyncs++) {
		struct cw_source_options options = plain;
		size_t runs = list.count < 40 ? list.count + 2 : scaled(12, 4);

		options.resyncs = resyncs;
		options.window_bytes = windows[next_random(&random_state) % 3];
		for (size_t bytes = 4096; bytes <= MIB; bytes *= 16)
			check_tiles(path, &options, bytes,
				    (uint32_t)next_random(&random_state) % 3);
		for (size_t run = 0; run < runs; run++) {
			size_t walked =
			    list.count < 40 ? run : next_random(&random_state) % list.count;

			check_same(path, &options, (size_t)4096 << next_random(&random_state) % 9,
				   (uint32_t)next_random(&random_state) % 4, walked);
		}
	}
	seen_free(&list);
}

static void pieces_of_the_corpus_give_what_reading_alone_gives(void **state)
{
	(void)state;
	for_corpus(check_file);
}

/* What can stand between two runs of records. */
enum trouble {
	NOTHING,
	ZEROS,
	JUNK,
	JOINED_PCAP,
	JOINED_PCAPNG,
	EMPTY_RECORD,
	LONG_RECORD, /* of more than its packet had */
	TORN,        /* only at the end */
	TROUBLES,
};

static void put_records(uint32_t *next, uint32_t count, bool is_pcapng)
{
	while (count--) {
		uint32_t caplen = 1 + (uint32_t)next_random(&random_state) % 300;

		++*next;
		if (is_pcapng)
			put_epb(&image, 0, *next, caplen, caplen, caplen);
		else
			put_pcap_record(&image, *next, 9, caplen, caplen, caplen);
	}
}

static void put_head(bool is_pcapng)
{
	if (is_pcapng) {
		put_shb(&image, 1, 0);
		put_idb(&image, 1, 0, NULL, 0);
	} else {
		put_pcap_header(&image, 0xA1B2C3D4, 2, 4, 65535, 1);
	}
}

/* Returns whether pcapng follows. */
static bool put_trouble(enum trouble trouble, bool is_pcapng)
{
	static const uint8_t zeros[5000];
	uint32_t amount = 4 * (uint32_t)(1 + next_random(&random_state) % 1000);

	if (trouble == ZEROS)
		put_bytes(&image, zeros, amount);
	else if (trouble == JUNK)
		for (uint32_t i = 0; i < amount; i++)
			image.data[image.bytes++] = (uint8_t)next_random(&random_state);
	else if (trouble == EMPTY_RECORD && is_pcapng)
		put_idb(&image, 1, 0, NULL, 0);
	else if (trouble == EMPTY_RECORD)
		put_pcap_record(&image, 77, 9, 0, 0, 0);
	else if (trouble == LONG_RECORD && !is_pcapng)
		put_pcap_record(&image, 77, 9, 60, 50, 60);
	if (trouble != JOINED_PCAP && trouble != JOINED_PCAPNG)
		return is_pcapng;
	put_head(trouble == JOINED_PCAPNG);
	return trouble == JOINED_PCAPNG;
}

static const char *make_troubled(uint64_t turn, enum trouble trouble, enum trouble second)
{
	bool is_pcapng = turn % 2;
	uint32_t next = 1000;

	image.is_swapped = turn / 2 % 2;
	image.bytes = 0;
	put_head(is_pcapng);
	put_records(&next, 100, is_pcapng);
	is_pcapng = put_trouble(trouble, is_pcapng);
	put_records(&next, 100, is_pcapng);
	is_pcapng = put_trouble(second, is_pcapng);
	put_records(&next, second == TORN || second == ZEROS ? 0 : 60, is_pcapng);
	if (second == TORN)
		image.bytes -= 1 + next_random(&random_state) % 10;
	return write_file("troubled", image.data, image.bytes);
}

static void what_stands_between_records_is_read_as_without_pieces(void **state)
{
	(void)state;
	for (uint64_t turn = 0; turn < 4; turn++)
		for (enum trouble first = NOTHING; first < TORN; first++)
			for (enum trouble second = NOTHING; second < TROUBLES; second++)
				check_file(make_troubled(turn, first, second), "troubled");
}

/* ---- long records ---- */

/* Records of up to `longest` bytes; link type USBPcap, which allows them. */
static const char *make_long(bool is_pcapng, size_t longest)
{
	static uint8_t filler[(size_t)3 << 20];
	FILE *stream = fopen(in_folder("long"), "wb");
	uint32_t total;

	assert_non_null(stream);
	memset(filler, 0xA7, sizeof(filler));
	image.is_swapped = 0;
	image.bytes = 0;
	if (is_pcapng) {
		put_shb(&image, 1, 0);
		put_idb(&image, 249, 0, NULL, 0);
	} else {
		put_pcap_header(&image, 0xA1B2C3D4, 2, 4, 0, 249);
	}
	for (uint32_t i = 0; i < 40; i++) {
		uint32_t bytes = 4 * (uint32_t)(1 + next_random(&random_state) % (longest / 4));

		total = bytes + 32;
		if (is_pcapng) {
			uint32_t head[7] = {6, total, 0, 0, i, bytes, bytes};

			put_bytes(&image, head, sizeof(head));
		} else {
			put_pcap_record(&image, i + 1, 9, bytes, bytes, 0);
		}
		fwrite(image.data, 1, image.bytes, stream);
		fwrite(filler + i, 1, bytes, stream);
		image.bytes = 0;
		if (is_pcapng)
			put_u32(&image, total);
	}
	fwrite(image.data, 1, image.bytes, stream);
	fclose(stream);
	return in_folder("long");
}

static void a_record_up_to_the_overlap_is_walked_whole_over_any_edge(void **state)
{
	static const size_t longest[] = {64000, 256 << 10, 1000000, 3 * MIB / 2};
	struct cw_source_options options = plain;

	(void)state;
	options.window_bytes = 4096;
	for (size_t i = 0; i < CW_ARRAY_COUNT(longest); i++)
		for (int is_pcapng = 0; is_pcapng < 2; is_pcapng++) {
			const char *path = make_long(is_pcapng, longest[i]);
			struct reader reader;

			for (size_t bytes = 4096; bytes <= MIB; bytes *= 16) {
				assert_true(open_reader(&reader, path, &options));
				read_raw(&reader, bytes, SIZE_MAX, 0);
				if (longest[i] < MIB) {
					assert_int_equal(reader.odd_stops, 0);
					assert_int_equal(reader.list.count, 40);
				}
				close_reader(&reader);
				check_same(path, &options, bytes, 1, 9);
				check_same(path, &options, bytes, 0, SIZE_MAX);
			}
		}
}

/* ---- leases, ends ---- */

static void pieces_beyond_the_windows_wait_for_a_lease(void **state)
{
	const char *path = make_large("large", 100000); /* 11 MiB */
	struct cw_source_options options = plain;
	struct cw_lease leases[1000];
	struct cw_segment segment;
	struct reader reader;
	uint64_t at = 0;
	size_t held = 0;
	uint32_t refused = 0;
	int result;

	(void)state;
	options.window_bytes = MIB;
	assert_true(open_reader(&reader, path, &options));
	do {
		assert_true(held < CW_ARRAY_COUNT(leases));
		result = cw_source_raw(reader.source, 256 << 10, &segment, &leases[held], NULL);
		if (result == -EAGAIN) {
			refused++;
			assert_null(leases[held].window);
			assert_int_equal(
			    cw_source_raw(reader.source, 256 << 10, &segment, &leases[held], NULL),
			    -EAGAIN);
			while (held)
				cw_lease_give_back(&leases[--held]);
		} else if (result == 1) {
			assert_int_equal(segment.from, at ? at : 24);
			at = segment.to;
			held++;
		}
		for (size_t i = 0, windows = 0; i < held; i++) {
			windows += !i || leases[i].window != leases[i - 1].window;
			assert_true(windows <= CW_SOURCE_WINDOWS_MAX);
		}
	} while (result);
	assert_true(refused >= 1);
	assert_int_equal(at, 24 + 100000 * RECORD_BYTES);
	cw_source_continue(reader.source, 24, 0); /* with leases out */
	close_reader(&reader);
	while (held)
		cw_lease_give_back(&leases[--held]);
}

static void a_stream_has_no_pieces(void **state)
{
	struct cw_source_options options = plain;
	struct cw_segment segment;
	struct cw_lease lease;
	struct reader reader;

	(void)state;
	options.is_unmapped = true;
	assert_true(open_reader(&reader, make_large("large", 1000), &options));
	assert_int_equal(cw_source_raw(reader.source, 4096, &segment, &lease, NULL), 0);
	while (read_exact(&reader, 100))
		;
	assert_int_equal(reader.list.count, 1000);
	close_reader(&reader);
}

static void a_wake_descriptor_ends_pieces_too(void **state)
{
	struct cw_source_options options = plain;
	struct cw_error error = {0};
	struct cw_segment segment;
	struct cw_lease lease;
	struct reader reader;
	uint64_t one = 1;

	(void)state;
	options.wake_fd = eventfd(0, EFD_CLOEXEC);
	assert_true(open_reader(&reader, make_large("large", 1000), &options));
	assert_int_equal(write(options.wake_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(cw_source_raw(reader.source, 4096, &segment, &lease, &error), -EINTR);
	assert_non_null(strstr(error.text, "reading was stopped"));
	assert_null(lease.window);
	assert_int_equal(read(options.wake_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(cw_source_raw(reader.source, 4096, &segment, &lease, &error), 1);
	cw_lease_give_back(&lease);
	close_reader(&reader);
	close(options.wake_fd);
}

/* Both read or walk `walked` records; then the file is cut to `size`, and both read on. */
static void check_cut(bool is_pcapng, uint32_t walked, off_t size)
{
	const char *path = make_large_of("cut", 20000, is_pcapng);
	struct cw_source_options options = plain;
	struct reader alone, mixed;
	struct cw_segment segment;
	struct cw_lease lease;

	sigaction(SIGBUS, &handler, NULL);
	options.window_bytes = MIB / 2;
	assert_true(open_reader(&alone, path, &options) && open_reader(&mixed, path, &options));
	while (alone.list.count < walked)
		assert_true(read_exact(&alone, 1));
	read_raw(&mixed, 64 << 10, walked, 2);
	assert_int_equal(mixed.list.count, walked);
	/* A piece is out while the file is cut. */
	assert_int_equal(cw_source_raw(mixed.source, 64 << 10, &segment, &lease, NULL), 1);
	assert_int_equal(truncate(path, size), 0);
	if (segment.to > (uint64_t)size) { /* who reads it finds zeros, and that they are none */
		assert_int_equal(segment.span.data[segment.span.bytes - 1], 0);
		assert_true(segment.from + cw_lease_intact_bytes(&lease, &segment.span) <=
			    ((uint64_t)size > segment.from ? (uint64_t)size : segment.from));
	}
	cw_lease_give_back(&lease);
	assert_int_equal(cw_source_raw(mixed.source, 64 << 10, &segment, &lease, NULL), 0);
	cw_source_continue(mixed.source, segment.from, 0);
	while (read_exact(&alone, 1000))
		;
	while (read_exact(&mixed, 1000))
		;
	assert_int_equal(mixed.result, -EBADMSG);
	assert_non_null(strstr(mixed.error.text, "another program truncated the file"));
	assert_int_equal(mixed.list.count, alone.list.count);
	assert_string_equal(mixed.error.text, alone.error.text);
	close_reader(&mixed);
	close_reader(&alone);
}

static void a_file_cut_under_pieces_ends_as_without_them(void **state)
{
	(void)state;
	for (int is_pcapng = 0; is_pcapng < 2; is_pcapng++) {
		check_cut(is_pcapng, 1000, MIB);
		check_cut(is_pcapng, 1000, (1 << 20) + 4096);
		check_cut(is_pcapng, 1000, (1 << 19) + 1234);
		check_cut(is_pcapng, 9000, MIB / 2);
		check_cut(is_pcapng, 9000, 2 * MIB + 77);
	}
}

static void what_a_guess_needs_comes_from_the_records_read(void **state)
{
	struct cw_boundary boundary;
	struct cw_segment segment;
	struct cw_lease lease;
	struct reader reader;

	(void)state;
	assert_true(open_reader(&reader, make_large("large", 100000), &plain));
	cw_source_boundary(reader.source, &boundary);
	assert_false(boundary.has_times);
	assert_true(read_exact(&reader, 50));
	cw_source_boundary(reader.source, &boundary);
	assert_true(boundary.has_times);
	assert_int_equal(boundary.first_s, 1);
	assert_int_equal(boundary.last_s, 50);
	assert_int_equal(boundary.records, 8);
	while (cw_source_raw(reader.source, 64 << 10, &segment, &lease, NULL) == 1) {
		/* As many zeros as the last ones are no chain. */
		if (segment.to - segment.from > 9 * RECORD_BYTES) {
			assert_true(cw_segment_guess(&segment, &boundary));
			assert_int_equal((segment.start - 24) % RECORD_BYTES, 0);
		}
		cw_lease_give_back(&lease);
	}
	cw_source_continue(reader.source, 24 + 900 * RECORD_BYTES, 900);
	cw_source_boundary(reader.source, &boundary);
	assert_int_equal(boundary.first_s, 1);
	assert_int_equal(boundary.last_s, 900);
	close_reader(&reader);
}

static int start_group(void **state)
{
	struct reader reader;

	if (make_folder(state))
		return -1;
	if (!open_reader(&reader, make_large("large", 9), &plain))
		return -1;
	close_reader(&reader);
	return sigaction(SIGBUS, NULL, &handler);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pieces_of_the_corpus_give_what_reading_alone_gives),
	    cmocka_unit_test(what_stands_between_records_is_read_as_without_pieces),
	    cmocka_unit_test(a_record_up_to_the_overlap_is_walked_whole_over_any_edge),
	    cmocka_unit_test(pieces_beyond_the_windows_wait_for_a_lease),
	    cmocka_unit_test(a_stream_has_no_pieces),
	    cmocka_unit_test(a_wake_descriptor_ends_pieces_too),
	    cmocka_unit_test(a_file_cut_under_pieces_ends_as_without_them),
	    cmocka_unit_test(what_a_guess_needs_comes_from_the_records_read),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, start_group, remove_folder);
}
