/* SPDX-License-Identifier: BSD-3-Clause */
/* The parser of capture files: zeros in place of records, and files joined to one another. */
#include <errno.h>

#include "tests/core/format/image_rig.h"

#define ZEROS_MAX 40000

/* What a capture file of the kind begins with, and how its records are. */
static const struct kind {
	uint32_t magic; /* 0: pcapng */
	int is_swapped;
	uint32_t header_bytes; /* of a record */
	uint32_t linktype;
} kinds[] = {
    {MAGIC_US, 0, 16, 1},        {MAGIC_NS, 0, 16, 113}, {MAGIC_US, 1, 16, 101},
    {MAGIC_KUZNETZOV, 0, 24, 1}, {0, 0, 0, 1},           {0, 1, 0, 105},
};

static void put_zeros(size_t bytes)
{
	static const uint8_t zeros[ZEROS_MAX];

	put_bytes(&image, zeros, bytes);
}

static void put_record(const struct kind *kind, uint32_t seconds)
{
	image.is_swapped = kind->is_swapped;
	if (!kind->magic) {
		put_epb(&image, 0, seconds * UINT64_C(1000000), 9, 9, 9);
		return;
	}
	put_pcap_record(&image, seconds, 0, 9, 9, 0);
	put_zeros(kind->header_bytes - 16);
	put_pattern(&image, 7, 9);
}

/* A file's headers and `count` records, at the image's end. */
static void put_file(const struct kind *kind, uint32_t count)
{
	image.is_swapped = kind->is_swapped;
	if (kind->magic) {
		put_pcap_header(&image, kind->magic, 2, 4, 65535, kind->linktype);
	} else {
		put_shb(&image, 1, 0);
		put_idb(&image, (uint16_t)kind->linktype, 0, NULL, 0);
	}
	for (uint32_t record = 1; record <= count; record++)
		put_record(kind, record);
}

/* Puts `zeros` zeros after a file of two records. Returns their place. */
static size_t start_zeros(const struct kind *kind, size_t zeros)
{
	size_t at;

	start(0);
	put_file(kind, 2);
	at = image.bytes;
	put_zeros(zeros);
	return at;
}

static void zeros_up_to_the_end_are_a_torn_tail(void **state)
{
	static const size_t counts[] = {12, 16, 17, 24, 31, 48, 4096, ZEROS_MAX};
	char words[96];

	(void)state;
	for (size_t k = 0; k < CW_ARRAY_COUNT(kinds); k++) {
		size_t least = kinds[k].magic ? kinds[k].header_bytes : 12;

		for (size_t i = 0; i < CW_ARRAY_COUNT(counts); i++) {
			size_t at = start_zeros(&kinds[k], counts[i]);

			snprintf(words, sizeof(words),
				 "only zeros follow from byte %zu to the end (%zu bytes)", at,
				 counts[i]);
			read_image();
			expect_end(-EBADMSG, 2, counts[i] >= least ? words : "record header");
			assert_int_equal(file.offset - file.zero_bytes, at);
		}
		start_zeros(&kinds[k], 3);
		read_image();
		expect_end(-EBADMSG, 2, "needs");
		start(0);
		put_file(&kinds[k], 0);
		put_zeros(96);
		read_image();
		expect_end(-EBADMSG, 0, "only zeros follow");
	}
}

static void zeros_before_other_data_are_empty_records(void **state)
{
	static const size_t counts[] = {1, 2, 3, 100, 1023, ZEROS_MAX / 24};

	(void)state;
	for (size_t k = 0; k < CW_ARRAY_COUNT(kinds) && kinds[k].magic; k++) {
		for (size_t i = 0; i < CW_ARRAY_COUNT(counts); i++) {
			start_zeros(&kinds[k], counts[i] * kinds[k].header_bytes);
			put_record(&kinds[k], 77);
			read_image();
			expect_end(0, counts[i] + 3, NULL);
			expect(2, 0, 0, 0);
			expect(counts[i] + 1, 0, 0, 0);
			expect(counts[i] + 2, UINT64_C(77000000000), 9, 9);
		}
		start_zeros(&kinds[k], 2 * kinds[k].header_bytes + 1);
		put_pattern(&image, 1, 4);
		read_image(); /* the rest is no record, and not zeros either */
		expect_end(-EBADMSG, 4, "the record header");
	}
}

static void zeros_in_place_of_a_block_before_other_data_are_damage(void **state)
{
	char words[96];

	(void)state;
	for (size_t zeros = 12; zeros < 40; zeros += 7) {
		size_t at = start_zeros(&kinds[4], zeros);

		put_pattern(&image, 1, 40);
		snprintf(words, sizeof(words), "byte %zu claims a length of 0", at);
		read_image();
		expect_end(-EBADMSG, 2, words);
	}
}

static void trimmed_zeros_are_given_back(void **state)
{
	const struct cw_pcapfile_limits limits = {SIZE_MAX, UINT32_MAX};
	struct cw_pcapfile_shown shown;
	struct cw_pcapfile_step step;
	struct cw_error error;

	(void)state;
	start(0);
	put_file(&kinds[0], 0);
	put_zeros(160);
	put_record(&kinds[0], 1);
	cw_ifaces_fini(&ifaces);
	cw_pcapfile_init(&file, &ifaces, 0, CW_LINKTYPE_ANY);
	shown = (struct cw_pcapfile_shown){image.data, image.bytes, true};
	assert_int_equal(cw_pcapfile_scan(&file, &shown, &limits, &step, &error), CW_PCAPFILE_SPAN);
	assert_int_equal(step.span.record_count, 10);
	assert_int_equal(step.span.offset, 24);
	cw_pcapfile_trim(&file, &step, 70);
	assert_int_equal(step.span.record_count, 4);
	assert_int_equal(step.span.bytes, 64);
	assert_int_equal(file.zero_bytes, 96);
	shown = (struct cw_pcapfile_shown){image.data + step.consumed, image.bytes - step.consumed,
					   true};
	assert_int_equal(cw_pcapfile_scan(&file, &shown, &limits, &step, &error), CW_PCAPFILE_SPAN);
	assert_int_equal(step.span.record_count, 6);
	assert_int_equal(step.span.offset, 88);
	assert_int_equal(file.zero_bytes, 0);
}

static void joined_files_are_read_on(void **state)
{
	(void)state;
	for (size_t a = 0; a < CW_ARRAY_COUNT(kinds); a++) {
		for (size_t b = 0; b < CW_ARRAY_COUNT(kinds); b++) {
			bool is_joined = kinds[a].magic || kinds[b].magic;
			size_t at;

			start(0);
			put_file(&kinds[a], 2);
			at = image.bytes;
			put_file(&kinds[b], 3);
			read_image();
			expect_end(0, 5, NULL);
			expect(1, UINT64_C(2000000000), 9, 9);
			expect(2, UINT64_C(1000000000), 9, 9);
			expect(4, UINT64_C(3000000000), 9, 9);
			assert_int_equal(cw_ifaces_at(&ifaces, list.items[4].iface)->linktype,
					 kinds[b].linktype);
			assert_int_equal(file.first_linktype, kinds[a].linktype);
			assert_int_equal(file.first_format == CW_PCAPFILE_PCAP,
					 kinds[a].magic != 0);
			assert_int_equal(file.version_major, kinds[a].magic ? 2 : 1);
			assert_int_equal(file.joined_count, is_joined);
			if (!is_joined)
				continue;
			assert_int_equal(file.joined[0].at, at);
			assert_int_equal(file.joined[0].linktype, kinds[b].linktype);
			assert_int_equal(file.joined[0].format == CW_PCAPFILE_PCAP,
					 kinds[b].magic != 0);
		}
	}
}

static void a_joined_header_may_have_any_time_zone_and_accuracy(void **state)
{
	static const uint32_t zones[] = {1, 9, 3600, (uint32_t)-18000, INT32_MAX};
	static const uint32_t accuracies[] = {0, 6, 3600, UINT32_MAX};

	(void)state;
	for (size_t k = 0; k < CW_ARRAY_COUNT(kinds) && kinds[k].magic; k++) {
		for (size_t i = 0; i < CW_ARRAY_COUNT(zones) * CW_ARRAY_COUNT(accuracies); i++) {
			const uint32_t fields[] = {zones[i % CW_ARRAY_COUNT(zones)],
						   accuracies[i / CW_ARRAY_COUNT(zones)]};
			size_t at;

			start(0);
			put_file(&kinds[0], 2);
			at = image.bytes;
			put_file(&kinds[k], 3);
			for (size_t f = 0; f < 2; f++)
				cw_store_u32(image.data + at + 8 + 4 * f,
					     cw_load_u32(&fields[f], image.is_swapped));
			read_image();
			expect_end(0, 5, NULL);
			assert_int_equal(file.joined_count, 1);
			assert_int_equal(file.joined[0].at, at);
			expect(4, UINT64_C(3000000000), 9, 9);
		}
	}
}

static void all_joined_files_are_counted_and_the_first_ones_described(void **state)
{
	const uint32_t count = CW_PCAPFILE_JOINED_MAX + 3;

	(void)state;
	start(0);
	for (uint32_t i = 0; i <= count; i++)
		put_file(&kinds[i % 2], i % 2);
	read_image();
	expect_end(0, (count + 1) / 2, NULL);
	assert_int_equal(file.joined_count, count);
	assert_int_equal(file.joined[CW_PCAPFILE_JOINED_MAX - 1].linktype, kinds[0].linktype);
}

static void a_header_that_is_none_is_a_record_as_before(void **state)
{
	size_t at;

	(void)state;
	start(0);
	put_file(&kinds[0], 1);
	at = image.bytes;
	put_file(&kinds[0], 0);
	for (image.bytes--; image.bytes >= at + 16; image.bytes--) {
		read_image();
		expect_end(-EBADMSG, 1, "the header of a joined file");
	}
	image.bytes = at + 24;
	image.data[at + 4] = 9; /* no version */
	read_image();
	expect_end(-EBADMSG, 2, "truncated");
	image.data[at + 4] = 2;
	image.data[at + 22] = 1; /* a reserved bit */
	read_image();
	expect_end(-EBADMSG, 2, "truncated");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(zeros_up_to_the_end_are_a_torn_tail),
	    cmocka_unit_test(zeros_before_other_data_are_empty_records),
	    cmocka_unit_test(zeros_in_place_of_a_block_before_other_data_are_damage),
	    cmocka_unit_test(trimmed_zeros_are_given_back),
	    cmocka_unit_test(joined_files_are_read_on),
	    cmocka_unit_test(a_joined_header_may_have_any_time_zone_and_accuracy),
	    cmocka_unit_test(all_joined_files_are_counted_and_the_first_ones_described),
	    cmocka_unit_test(a_header_that_is_none_is_a_record_as_before),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, NULL, free_all);
}
