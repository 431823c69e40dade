/* SPDX-License-Identifier: BSD-3-Clause */
/* The guess where a record begins (boundary.h), and the search of the parser after damage. */
#include <errno.h>

#include "core/format/boundary.h"
#include "tests/core/format/image_rig.h"

#define RECORDS 40
#define START_S 1700000000u
#define CHAIN 4

/* How records are written. */
static const struct kind {
	uint32_t magic; /* 0: pcapng */
	uint16_t major, minor;
	int is_swapped;
} kinds[] = {
    {MAGIC_US, 2, 4, 0}, {MAGIC_NS, 2, 4, 1}, {MAGIC_KUZNETZOV, 2, 4, 0},
    {MAGIC_US, 2, 3, 1}, {MAGIC_US, 2, 2, 0}, {MAGIC_NS, 543, 0, 1},
    {0, 1, 0, 0},        {0, 1, 0, 1},
};

static size_t places[RECORDS + 1]; /* where records begin, and their end */

static void put_record(const struct kind *kind, uint32_t seconds, size_t bytes)
{
	static const uint8_t cooked[8];
	bool is_turned = kind->magic && (kind->minor == 2 || kind->major == 543);
	uint32_t caplen = (uint32_t)bytes, len = caplen + 1000;

	if (!kind->magic) {
		put_epb(&image, 0, seconds * UINT64_C(1000000), caplen, len, bytes);
		return;
	}
	put_pcap_record(&image, seconds, 999999, is_turned ? len : caplen, is_turned ? caplen : len,
			0);
	put_bytes(&image, cooked, kind->magic == MAGIC_KUZNETZOV ? 8 : 0);
	put_pattern(&image, (uint8_t)seconds, bytes);
}

/* Fills the image with a file of RECORDS records. */
static void put_file(const struct kind *kind)
{
	uint64_t random = SEED;

	start(kind->is_swapped);
	if (kind->magic) {
		put_pcap_header(&image, kind->magic, kind->major, kind->minor, 65535, 1);
	} else {
		put_shb(&image, 1, 0);
		put_idb(&image, 1, 0, NULL, 0);
	}
	for (uint32_t i = 0; i < RECORDS; i++) {
		places[i] = image.bytes;
		put_record(kind, START_S + 60 * i, 1 + next_random(&random) % 300);
	}
	places[RECORDS] = image.bytes;
}

static struct cw_pcapfile_shown shown_from(size_t at)
{
	return (struct cw_pcapfile_shown){image.data + at, image.bytes - at, true};
}

/* Reads the image, so that `file` has its layout. Returns the boundary for it. */
static struct cw_boundary boundary_of_image(void)
{
	read_pieces(0, SIZE_MAX, UINT32_MAX);
	return (struct cw_boundary){.layout = &file.layout,
				    .records = CHAIN,
				    .has_times = true,
				    .first_s = START_S,
				    .last_s = START_S};
}

static void every_record_and_no_other_place_is_a_boundary(void **state)
{
	(void)state;
	for (size_t k = 0; k < CW_ARRAY_COUNT(kinds); k++) {
		struct cw_boundary boundary;
		size_t next = 0;

		print_message("kind %zu\n", k);
		put_file(&kinds[k]);
		boundary = boundary_of_image();
		assert_int_equal(list.count, RECORDS);
		for (size_t at = places[0]; at < image.bytes; at++) {
			const struct cw_pcapfile_shown shown = shown_from(at);
			const bool is_place = at == places[next];
			size_t needed, found;

			assert_int_equal(cw_boundary_at(&boundary, &shown, &needed),
					 is_place ? CW_BOUNDARY_HERE : CW_BOUNDARY_NONE);
			if (at % 7 == 0) {
				assert_int_equal(
				    cw_boundary_find(&boundary, &shown, &found, &needed),
				    next < RECORDS ? CW_BOUNDARY_HERE : CW_BOUNDARY_NONE);
				assert_int_equal(at + found, places[next]);
			}
			next += is_place;
		}
		assert_int_equal(next, RECORDS);
	}
}

static void a_guess_asks_for_bytes_and_ends_the_same(void **state)
{
	(void)state;
	for (size_t k = 0; k < CW_ARRAY_COUNT(kinds); k++) {
		struct cw_boundary boundary;

		put_file(&kinds[k]);
		boundary = boundary_of_image();
		for (size_t at = places[0]; at < image.bytes; at += 3) {
			struct cw_pcapfile_shown part = shown_from(at);
			enum cw_boundary_result result;
			size_t needed = 0;

			part.bytes = 0;
			part.is_at_end = false;
			for (;;) {
				result = cw_boundary_at(&boundary, &part, &needed);
				if (result != CW_BOUNDARY_MORE)
					break;
				assert_false(part.is_at_end);
				assert_true(needed > part.bytes);
				part.is_at_end = needed > image.bytes - at;
				part.bytes = cw_min_size(needed, image.bytes - at);
			}
			part = shown_from(at);
			assert_int_equal(result, cw_boundary_at(&boundary, &part, &needed));
		}
	}
}

/* A change of the third record's header, and whether a chain still begins at the first record. */
static const struct change {
	size_t at; /* of the field */
	uint32_t value;
	enum cw_boundary_result result;
} changes[] = {
    {0, START_S + 86400, CW_BOUNDARY_HERE},
    {0, START_S + 2 * 86400, CW_BOUNDARY_NONE}, /* more than a day after the record before */
    {4, 999999, CW_BOUNDARY_HERE},
    {4, 1000000, CW_BOUNDARY_NONE},
    {8, 262145, CW_BOUNDARY_NONE},
    {12, 1 << 20, CW_BOUNDARY_HERE},
    {12, (1 << 20) + 1, CW_BOUNDARY_NONE},
    {12, 0, CW_BOUNDARY_NONE}, /* the capture length exceeds the length */
};

static void a_chain_breaks_at_an_implausible_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(changes); i++) {
		struct cw_pcapfile_shown shown;
		struct cw_boundary boundary;
		size_t needed;

		put_file(&kinds[0]);
		boundary = boundary_of_image();
		cw_store_u32(image.data + places[2] + changes[i].at, changes[i].value);
		shown = shown_from(places[0]);
		assert_int_equal(cw_boundary_at(&boundary, &shown, &needed), changes[i].result);
	}
}

static void a_first_record_far_from_known_times_begins_no_chain(void **state)
{
	static const uint32_t year = 366 * 86400;
	struct cw_pcapfile_shown shown;
	struct cw_boundary boundary;
	size_t needed;

	(void)state;
	put_file(&kinds[0]);
	boundary = boundary_of_image();
	shown = shown_from(places[0]);
	boundary.last_s = 0;
	assert_int_equal(cw_boundary_at(&boundary, &shown, &needed), CW_BOUNDARY_HERE);
	boundary.first_s = START_S + year;
	assert_int_equal(cw_boundary_at(&boundary, &shown, &needed), CW_BOUNDARY_HERE);
	boundary.first_s = START_S + RECORDS * 60 + year;
	assert_int_equal(cw_boundary_at(&boundary, &shown, &needed), CW_BOUNDARY_NONE);
	boundary.last_s = START_S - 86400;
	assert_int_equal(cw_boundary_at(&boundary, &shown, &needed), CW_BOUNDARY_HERE);
	boundary.has_times = false;
	boundary.last_s = 0;
	assert_int_equal(cw_boundary_at(&boundary, &shown, &needed), CW_BOUNDARY_HERE);
}

/* A chain that leaves the bytes looked at holds from two records on. */
static void the_look_ahead_is_bounded(void **state)
{
	const size_t bytes = 2 * CW_BOUNDARY_BYTES;
	uint8_t *data = calloc(1, bytes);
	const struct cw_layout layout = {
	    .record_header_bytes = 16, .ts_unit_ns = 1000, .caplen_max = 128 << 20};
	const struct cw_boundary boundary = {.layout = &layout, .records = CHAIN};
	struct cw_pcapfile_shown shown = {data, bytes, false};
	const uint32_t large = CW_BOUNDARY_BYTES / 2;
	size_t needed;

	(void)state;
	for (size_t at = 0; at < bytes; at += 16 + large) {
		cw_store_u32(data + at, START_S);
		cw_store_u32(data + at + 8, large);
		cw_store_u32(data + at + 12, large);
	}
	assert_int_equal(cw_boundary_at(&boundary, &shown, &needed), CW_BOUNDARY_HERE);
	cw_store_u32(data + 16 + large, START_S + 100000);
	assert_int_equal(cw_boundary_at(&boundary, &shown, &needed), CW_BOUNDARY_NONE);
	cw_store_u32(data + 8, 2 * large); /* the second record is out of sight */
	cw_store_u32(data + 12, 2 * large);
	assert_int_equal(cw_boundary_at(&boundary, &shown, &needed), CW_BOUNDARY_NONE);
	shown.bytes = large;
	cw_store_u32(data + 8, large - 8);
	cw_store_u32(data + 12, large - 8);
	assert_int_equal(cw_boundary_at(&boundary, &shown, &needed), CW_BOUNDARY_MORE);
	assert_int_equal(needed, large - 8 + 16 + 16);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_record_and_no_other_place_is_a_boundary),
	    cmocka_unit_test(a_guess_asks_for_bytes_and_ends_the_same),
	    cmocka_unit_test(a_chain_breaks_at_an_implausible_field),
	    cmocka_unit_test(a_first_record_far_from_known_times_begins_no_chain),
	    cmocka_unit_test(the_look_ahead_is_bounded),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, NULL, free_all);
}
