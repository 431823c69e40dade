/* SPDX-License-Identifier: BSD-3-Clause */
/* The parser of pcap files, with images built by hand, byte for byte. */
#include <errno.h>

#include <pcap/pcap.h>

#include "tests/core/format/image_rig.h"

static void pcap_of_both_byte_orders_and_resolutions_is_read(void **state)
{
	int order;

	(void)state;
	for (order = 0; order < 2; order++) {
		start(order);
		put_pcap_header(&image, MAGIC_US, 2, 4, 65535, 1);
		put_pcap_record(&image, 1000, 999999, 60, 60, 60);
		put_pcap_record(&image, 999, 5, 0, 0, 0); /* empty, and back in time */
		read_image();
		expect_end(0, 2, NULL);
		expect(0, UINT64_C(1000999999000), 60, 60);
		expect(1, UINT64_C(999000005000), 0, 0);
		assert_int_equal(file.is_big_endian,
				 order == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__));
		assert_false(file.has_ns);
		start(order);
		put_pcap_header(&image, MAGIC_NS, 2, 4, 65535, 101);
		put_pcap_record(&image, UINT32_MAX, 999999999, 3, 1500, 3);
		read_image();
		expect_end(0, 1, NULL);
		expect(0, UINT64_C(4294967295999999999), 3, 1500);
		assert_true(file.has_ns);
		assert_int_equal(cw_ifaces_at(&ifaces, 0)->linktype, 101);
		assert_int_equal(cw_ifaces_at(&ifaces, 0)->input, 7);
	}
}

static void kuznetzov_records_have_24_bytes_of_header(void **state)
{
	int order, i;

	(void)state;
	for (order = 0; order < 2; order++) {
		start(order);
		put_pcap_header(&image, MAGIC_KUZNETZOV, 2, 4, 4, 1);
		for (i = 0; i < 2; i++) {
			put_pcap_record(&image, 5, 6, 20, 20, 0);
			put_u64(&image, 0x0102030405060708);
			put_pattern(&image, 5, 20);
		}
		read_image();
		expect_end(0, 2, NULL);
		expect(1, UINT64_C(5000006000), 18, 20); /* snaplen and 14 for a cooked header */
		assert_int_equal(list.items[1].data_hash, hash_bytes(image.data + 48, 18));
	}
}

static void old_versions_have_their_lengths_the_other_way(void **state)
{
	(void)state;
	start(0);
	put_pcap_header(&image, MAGIC_US, 2, 2, 65535, 1);
	put_pcap_record(&image, 1, 0, 1500, 60, 60);
	read_image();
	expect_end(0, 1, NULL);
	expect(0, UINT64_C(1000000000), 60, 1500);
	start(1);
	put_pcap_header(&image, MAGIC_US, 543, 0, 65535, 1);
	put_pcap_record(&image, 1, 0, 1500, 60, 60);
	read_image();
	expect(0, UINT64_C(1000000000), 60, 1500);
	start(0);
	put_pcap_header(&image, MAGIC_US, 2, 3, 65535, 1);
	put_pcap_record(&image, 1, 0, 1500, 60, 60); /* interchanged where that makes sense */
	put_pcap_record(&image, 2, 0, 60, 1500, 60);
	read_image();
	expect_end(0, 2, NULL);
	expect(0, UINT64_C(1000000000), 60, 1500);
	expect(1, UINT64_C(2000000000), 60, 1500);
}

static void versions_nobody_defined_are_refused_by_number(void **state)
{
	static const uint16_t versions[][2] = {{1, 4}, {2, 5}, {3, 0}, {543, 1}};
	char words[32];
	size_t i;

	(void)state;
	for (i = 0; i < CW_ARRAY_COUNT(versions); i++) {
		start(0);
		put_pcap_header(&image, MAGIC_US, versions[i][0], versions[i][1], 65535, 1);
		read_image();
		snprintf(words, sizeof(words), "%u.%u", versions[i][0], versions[i][1]);
		expect_end(-EPROTONOSUPPORT, 0, words);
	}
	start(0);
	put_shb(&image, 2, 0);
	read_image();
	expect_end(-EPROTONOSUPPORT, 0, "2.0");
}

static void link_field_holds_the_type_and_the_length_of_the_fcs(void **state)
{
	static const struct {
		uint32_t field, linktype, fcs;
	} cases[] = {
	    {0xF4FF0071, CW_LINKTYPE_LINUX_SLL, 0xF4000000},
	    {0x44000001, 1, 0x44000000},
	    {0x40000001, 1, 0}, /* a length that is marked as unknown */
	    {0x0BFF0001, 1, 0}, /* reserved bits */
	};
	size_t i;

	(void)state;
	for (i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		start(i % 2);
		put_pcap_header(&image, MAGIC_US, 2, 4, 65535, cases[i].field);
		put_pcap_record(&image, 1, 0, 4, 4, 4);
		read_image();
		expect_end(0, 1, NULL);
		assert_int_equal(cw_ifaces_at(&ifaces, 0)->linktype, cases[i].linktype);
		assert_int_equal(cw_ifaces_at(&ifaces, 0)->fcs, cases[i].fcs);
	}
}

static void both_numbers_of_a_link_type_are_one_type(void **state)
{
	static const uint32_t pairs[][2] = {{11, 100}, {12, 101}, {15, 102}, {16, 103}, {19, 106}};
	size_t i, number;

	(void)state;
	for (i = 0; i < CW_ARRAY_COUNT(pairs); i++) {
		for (number = 0; number < 2; number++) {
			start(0);
			put_pcap_header(&image, MAGIC_US, 2, 4, 65535, pairs[i][number]);
			read_image();
			assert_int_equal(cw_ifaces_at(&ifaces, 0)->linktype, pairs[i][1]);
			start(1);
			put_shb(&image, 1, 0);
			put_idb(&image, (uint16_t)pairs[i][number], 0, NULL, 0);
			read_image();
			assert_int_equal(cw_ifaces_at(&ifaces, 0)->linktype, pairs[i][1]);
			assert_int_equal(file.first_linktype, pairs[i][1]);
		}
	}
}

static void odd_snapshot_lengths_limit_nothing(void **state)
{
	static const uint32_t snaplens[] = {0, UINT32_MAX, 0x80000000, 300000};
	size_t i;

	(void)state;
	for (i = 0; i < CW_ARRAY_COUNT(snaplens); i++) {
		start(0);
		put_pcap_header(&image, MAGIC_US, 2, 4, snaplens[i], 1);
		put_pcap_record(&image, 1, 0, 70000, 70000, 70000);
		read_pieces(0, SIZE_MAX, UINT32_MAX);
		expect_end(0, 1, NULL);
		expect(0, UINT64_C(1000000000), 70000, 70000);
		assert_int_equal(cw_ifaces_at(&ifaces, 0)->snaplen, snaplens[i]);
	}
}

static void data_beyond_the_snapshot_length_is_cut_as_tcpdump_cuts_it(void **state)
{
	(void)state;
	start(0);
	put_pcap_header(&image, MAGIC_US, 2, 4, 64, 1);
	put_pcap_record(&image, 1, 0, 100, 100, 100);
	put_pcap_record(&image, 2, 0, 10, 4, 10); /* caplen > len: kept */
	read_image();
	expect_end(0, 2, NULL);
	expect(0, UINT64_C(1000000000), 64, 100);
	expect(1, UINT64_C(2000000000), 10, 4);
}

static void fractions_beyond_a_second_carry_over(void **state)
{
	(void)state;
	start(0);
	put_pcap_header(&image, MAGIC_US, 2, 4, 64, 1);
	put_pcap_record(&image, 10, 2500000, 0, 0, 0);
	put_pcap_record(&image, 10, UINT32_MAX, 0, 0, 0);
	put_pcap_record(&image, 10, 999999, 0, 0, 0);
	read_image();
	expect(0, UINT64_C(12500000000), 0, 0);
	expect(1, UINT64_C(10000000000) + UINT64_C(4294967295000), 0, 0);
	expect(2, UINT64_C(10999999000), 0, 0);
}

static void insane_capture_length_is_damage_at_its_byte(void **state)
{
	static const uint32_t insane[] = {262145, 0x7FFFFFFF, 0x80000000, UINT32_MAX};
	size_t i;

	(void)state;
	for (i = 0; i < CW_ARRAY_COUNT(insane); i++) {
		start(0);
		put_pcap_header(&image, MAGIC_US, 2, 4, UINT32_MAX, 1);
		put_pcap_record(&image, 1, 0, 4, 4, 4);
		put_pcap_record(&image, 2, 0, insane[i], 4, 100);
		read_image();
		expect_end(-EBADMSG, 1, "byte 44");
	}
	start(0);
	put_pcap_header(&image, MAGIC_US, 2, 4, UINT32_MAX, 231); /* D-Bus may be longer */
	put_pcap_record(&image, 1, 0, 262145, 262145, 262145);
	read_pieces(0, SIZE_MAX, UINT32_MAX);
	expect_end(0, 1, NULL);
}

static void cut_files_give_their_whole_records_first(void **state)
{
	size_t whole, bytes;

	(void)state;
	start(0);
	put_pcap_header(&image, MAGIC_US, 2, 4, 65535, 1);
	put_pcap_record(&image, 1, 0, 4, 4, 4);
	whole = image.bytes;
	put_pcap_record(&image, 1, 0, 9, 9, 9);
	for (bytes = image.bytes - 1; bytes > whole; bytes--) {
		image.bytes = bytes;
		read_image();
		expect_end(-EBADMSG, 1, "truncated");
	}
	start(0);
	put_shb(&image, 1, 0);
	put_idb(&image, 1, 0, NULL, 0);
	put_epb(&image, 0, 1, 4, 4, 4);
	whole = image.bytes;
	put_epb(&image, 0, 1, 9, 9, 9);
	for (bytes = image.bytes - 1; bytes > whole; bytes--) {
		image.bytes = bytes;
		read_image();
		expect_end(-EBADMSG, 1, "truncated");
	}
}

static void what_is_no_capture_file_is_refused_in_words(void **state)
{
	static const struct {
		const char *data;
		size_t bytes;
		int result;
		const char *words;
	} cases[] = {
	    {"", 0, -EBADMSG, "empty file"},
	    {"\xD4", 1, -EBADMSG, "too few"},
	    {"\xD4\xC3\xB2\xA1\x02", 5, -EBADMSG, "truncated"},
	    {"hello world", 11, -EBADMSG, "not a capture file"},
	    {"snoop\0\0\0\0\0\0\2", 12, -EPROTONOSUPPORT, "snoop"},
	    {"BZh91AY&", 8, -EPROTONOSUPPORT, "bzip2"},
	    {"\x0A\x0D\x0D\x0A\x1C\0\0\0\x11\x22\x33\x44", 12, -EBADMSG, "byte-order"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		start(0);
		put_bytes(&image, cases[i].data, cases[i].bytes);
		read_image();
		expect_end(cases[i].result, 0, cases[i].words);
	}
}

static void files_without_packets_are_valid(void **state)
{
	(void)state;
	start(0);
	put_pcap_header(&image, MAGIC_US, 2, 4, 65535, 1);
	read_image();
	expect_end(0, 0, NULL);
	start(1);
	put_shb(&image, 1, 2);
	read_image();
	expect_end(0, 0, NULL);
	assert_int_equal(file.section_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pcap_of_both_byte_orders_and_resolutions_is_read),
	    cmocka_unit_test(kuznetzov_records_have_24_bytes_of_header),
	    cmocka_unit_test(old_versions_have_their_lengths_the_other_way),
	    cmocka_unit_test(versions_nobody_defined_are_refused_by_number),
	    cmocka_unit_test(link_field_holds_the_type_and_the_length_of_the_fcs),
	    cmocka_unit_test(both_numbers_of_a_link_type_are_one_type),
	    cmocka_unit_test(odd_snapshot_lengths_limit_nothing),
	    cmocka_unit_test(data_beyond_the_snapshot_length_is_cut_as_tcpdump_cuts_it),
	    cmocka_unit_test(fractions_beyond_a_second_carry_over),
	    cmocka_unit_test(insane_capture_length_is_damage_at_its_byte),
	    cmocka_unit_test(cut_files_give_their_whole_records_first),
	    cmocka_unit_test(what_is_no_capture_file_is_refused_in_words),
	    cmocka_unit_test(files_without_packets_are_valid),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, NULL, free_all);
}
