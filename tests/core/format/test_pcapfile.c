/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parser and the decoder on files built by hand. Each image is read whole, and again in random
 * pieces from blocks of exactly their size, so that a byte read too far is found.
 */
#include <errno.h>
#include <pcap/pcap.h>

#include "core/format/pcapfile.h"
#include "tests/rig/capture.h"
#include "tests/rig/feed.h"

#define MAGIC_US 0xA1B2C3D4u
#define MAGIC_NS 0xA1B23C4Du
#define MAGIC_KUZNETZOV 0xA1B2CD34u
#define SEED UINT64_C(20240611)

static struct image image;
static struct cw_ifaces ifaces;
static struct cw_pcapfile file;
static struct seen_list list;

/* Read the image; `step_bytes_max` 0 = whole, else in pieces of up to that. */
static void read_pieces(size_t step_bytes_max, size_t span_bytes, uint32_t span_records)
{
	struct cw_error error = {0};
	struct cw_pcapfile_step step;
	uint64_t random = SEED;
	size_t at = 0, shown;
	uint8_t *copy;
	int result;

	seen_free(&list);
	cw_ifaces_fini(&ifaces);
	cw_ifaces_init(&ifaces);
	cw_pcapfile_init(&file, &ifaces, 7, CW_LINKTYPE_ANY);
	shown = step_bytes_max ? 0 : image.bytes;
	do {
		copy = malloc(shown - at ? shown - at : 1);
		memcpy(copy, image.data + at, shown - at);
		result = cw_pcapfile_scan(&file, copy, shown - at, shown == image.bytes, span_bytes,
					  span_records, &step, &error);
		if (result == CW_PCAPFILE_SPAN) {
			assert_true(step.span.record_count > 0);
			assert_true(step.span.record_count <= span_records);
			assert_int_equal(step.span.offset + step.span.bytes, at + step.consumed);
			see_span(&list, &step.span, 1 + next_random(&random) % 64);
		}
		at += step.consumed;
		assert_int_equal(file.offset, at);
		if (result == CW_PCAPFILE_MORE) {
			assert_true(step.needed > shown - at);
			shown += 1 + next_random(&random) % step_bytes_max;
			shown = cw_min_size(shown, image.bytes);
		}
		free(copy);
	} while (result > 0);
	list.result = result;
	snprintf(list.text, sizeof(list.text), "%s", result < 0 ? error.text : "");
}

/* Whole, then in pieces and small spans: the same must come out. Leaves the list. */
static void read_image(void)
{
	static const size_t pieces[] = {1, 7, 64, 1000};
	struct seen_list whole;
	size_t i;

	read_pieces(0, SIZE_MAX, UINT32_MAX);
	whole = list;
	memset(&list, 0, sizeof(list));
	for (i = 0; i < CW_ARRAY_COUNT(pieces); i++) {
		read_pieces(pieces[i], i % 2 ? 100 : SIZE_MAX, i % 3 ? 2 : UINT32_MAX);
		assert_int_equal(list.result, whole.result);
		assert_string_equal(list.text, whole.text);
		assert_same_packets(&list, &whole);
	}
	seen_free(&whole);
}

static void start(int is_swapped)
{
	image.is_swapped = is_swapped;
	image.bytes = 0;
}

static void expect(size_t index, uint64_t ts_ns, uint32_t caplen, uint32_t wire_len)
{
	assert_true(index < list.count);
	assert_int_equal(list.items[index].ts_ns, ts_ns);
	assert_int_equal(list.items[index].caplen, caplen);
	assert_int_equal(list.items[index].wire_len, wire_len);
}

static void expect_end(int result, size_t count, const char *words)
{
	assert_int_equal(list.result, result);
	assert_int_equal(list.count, count);
	if (words && !strstr(list.text, words))
		fail_msg("\"%s\" does not say \"%s\"", list.text, words);
}

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

static void link_type_is_the_low_half_of_its_field(void **state)
{
	(void)state;
	start(0);
	put_pcap_header(&image, MAGIC_US, 2, 4, 65535, 0xF4FF0071);
	put_pcap_record(&image, 1, 0, 4, 4, 4);
	read_image();
	expect_end(0, 1, NULL);
	assert_int_equal(cw_ifaces_at(&ifaces, 0)->linktype, CW_LINKTYPE_LINUX_SLL);
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
	read_image();
	expect(0, UINT64_C(12500000000), 0, 0);
	expect(1, UINT64_C(10000000000) + UINT64_C(4294967295000), 0, 0);
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
		expect_end(-EBADMSG, 1, "cut short");
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
		expect_end(-EBADMSG, 1, "cut short");
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
	    {"\xD4\xC3\xB2\xA1\x02", 5, -EBADMSG, "cut short"},
	    {"hello world", 11, -EBADMSG, "no capture file"},
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

static void sections_of_different_byte_order_have_their_own_interfaces(void **state)
{
	int order;

	(void)state;
	start(0);
	for (order = 0; order < 3; order++) {
		image.is_swapped = order % 2;
		put_shb(&image, 1, 0);
		put_idb(&image, (uint16_t)(100 + order), 0, NULL, 0);
		put_idb(&image, (uint16_t)(200 + order), 96, NULL, 0);
		put_epb(&image, 1, 7, 5, 6, 5);
		put_epb(&image, 0, 8, 6, 6, 6);
	}
	read_image();
	expect_end(0, 6, NULL);
	assert_int_equal(file.section_count, 3);
	for (order = 0; order < 3; order++) {
		const struct seen *seen = &list.items[2 * order];

		assert_int_equal(cw_ifaces_at(&ifaces, seen[0].iface)->linktype, 200 + order);
		assert_int_equal(cw_ifaces_at(&ifaces, seen[0].iface)->snaplen, 96);
		assert_int_equal(cw_ifaces_at(&ifaces, seen[1].iface)->linktype, 100 + order);
		expect((size_t)(2 * order), 7000, 5, 6);
		assert_int_equal(seen[0].flags, order % 2 ? CW_PACKET_SWAPPED : 0);
	}
}

/* An interface with if_tsresol and, unless 0, if_tsoffset. */
static void put_clock(uint8_t resolution, int64_t offset_s)
{
	static struct image options;

	options.is_swapped = image.is_swapped;
	options.bytes = 0;
	put_u16(&options, 9);
	put_u16(&options, 1);
	put_bytes(&options, (uint8_t[]){resolution, 0, 0, 0}, 4);
	if (offset_s) {
		put_u16(&options, 14);
		put_u16(&options, 8);
		put_u64(&options, (uint64_t)offset_s);
	}
	put_u32(&options, 0);
	put_idb(&image, 1, 0, options.data, options.bytes);
}

static void each_interface_has_its_own_clock(void **state)
{
	static const struct {
		uint8_t resolution;
		int64_t offset_s;
		uint64_t units;
		uint64_t ts_ns;
		bool is_out_of_range;
	} cases[] = {
	    {9, 0, 1234567890123456789, 1234567890123456789, false},
	    {6, 0, 1234567890123456, 1234567890123456000, false},
	    {6, 0, UINT64_MAX, 0, true},
	    {0, 0, 17, 17000000000, false},
	    {3, 5, 1500, 6500000000, false},
	    {12, 0, 1999999999999, 1999999999, false},
	    {19, 0, UINT64_C(15000000000000000001), 1500000000, false},
	    {9, -2, 3000000001, 1000000001, false},
	    {9, -4, 3000000001, 0, true},
	    {9, INT64_MAX, 0, 0, true},
	    {9, INT64_MIN, UINT64_MAX, 0, true},
	    {9, 18446744073, 709551615, UINT64_MAX, false},
	    {9, 18446744073, 709551616, 0, true},
	    {0x80, 0, 3, 3000000000, false},
	    {0x80 | 10, 0, 1536, 1500000000, false},
	    {0x80 | 63, 0, UINT64_C(3) << 62, 1500000000, false},
	    {0x80 | 40, 1, (UINT64_C(1) << 40) + (UINT64_C(1) << 39), 2500000000, false},
	};
	size_t i;
	int order;

	(void)state;
	for (order = 0; order < 2; order++) {
		start(order);
		put_shb(&image, 1, 0);
		for (i = 0; i < CW_ARRAY_COUNT(cases); i++)
			put_clock(cases[i].resolution, cases[i].offset_s);
		for (i = 0; i < CW_ARRAY_COUNT(cases); i++)
			put_epb(&image, (uint32_t)i, cases[i].units, 1, 1, 1);
		read_image();
		expect_end(0, CW_ARRAY_COUNT(cases), NULL);
		for (i = 0; i < CW_ARRAY_COUNT(cases); i++) {
			expect(i, cases[i].ts_ns, 1, 1);
			assert_int_equal(!!(list.items[i].flags & CW_PACKET_TS_OUT_OF_RANGE),
					 cases[i].is_out_of_range);
		}
	}
}

static void resolutions_beyond_64_bits_are_damage(void **state)
{
	static const uint8_t resolutions[] = {20, 127, 0xC0, 0xFF};
	size_t i;

	(void)state;
	for (i = 0; i < CW_ARRAY_COUNT(resolutions); i++) {
		start(0);
		put_shb(&image, 1, 0);
		put_clock(resolutions[i], 0);
		read_image();
		expect_end(-EBADMSG, 0, "byte 28");
	}
}

static void names_are_kept_and_bounded(void **state)
{
	struct {
		uint16_t name[2];
		char text[8];
		uint16_t description[2];
		char words[400];
	} options = {{2, 5}, "veth0", {3, 400}, ""};

	(void)state;
	memset(options.words, 'x', sizeof(options.words));
	start(0);
	put_shb(&image, 1, 0);
	put_idb(&image, 1, 0, &options, sizeof(options));
	read_image();
	expect_end(0, 0, NULL);
	assert_string_equal(cw_ifaces_at(&ifaces, 0)->name, "veth0");
	assert_int_equal(strlen(cw_ifaces_at(&ifaces, 0)->description), CW_PCAPNG_NAME_BYTES_MAX);
}

static void interface_options_past_their_block_are_damage(void **state)
{
	(void)state;
	start(0);
	put_shb(&image, 1, 0);
	put_idb(&image, 1, 0, (uint16_t[]){2, 40, 0, 0}, 8);
	read_image();
	expect_end(-EBADMSG, 0, "option");
}

static void simple_packets_take_their_length_from_the_first_interface(void **state)
{
	uint32_t body[1 + 4] = {0};
	int order;

	(void)state;
	for (order = 0; order < 2; order++) {
		start(order);
		put_shb(&image, 1, 0);
		put_idb(&image, 1, 16, NULL, 0);
		body[0] = order ? __builtin_bswap32(1500) : 1500;
		put_block(&image, 3, body, sizeof(body));
		body[0] = order ? __builtin_bswap32(3) : 3;
		put_block(&image, 3, body, 8);
		body[0] = order ? __builtin_bswap32(15) : 15;
		put_block(&image, 3, body, 8);
		read_image();
		expect_end(0, 3, NULL);
		expect(0, 0, 16, 1500);
		expect(1, 0, 3, 3);
		expect(2, 0, 4, 15); /* 15 do not fit into the block */
		assert_int_equal(list.items[1].flags, 0);
		assert_int_equal(list.items[2].flags, CW_PACKET_MALFORMED);
	}
}

static void obsolete_packet_blocks_are_read(void **state)
{
	static struct image body;
	int order;

	(void)state;
	for (order = 0; order < 2; order++) {
		start(order);
		put_shb(&image, 1, 0);
		put_idb(&image, 1, 0, NULL, 0);
		put_idb(&image, 9, 0, NULL, 0);
		body.is_swapped = order;
		body.bytes = 0;
		put_u16(&body, 1);
		put_u16(&body, 77); /* drops */
		put_u32(&body, 0);
		put_u32(&body, 5);
		put_u32(&body, 6);
		put_u32(&body, 60);
		put_pattern(&body, 1, 8);
		put_block(&image, 2, body.data, body.bytes);
		read_image();
		expect_end(0, 1, NULL);
		expect(0, 5000, 6, 60);
		assert_int_equal(list.items[0].iface, 1);
	}
}

static void damage_inside_a_packet_block_costs_that_packet_alone(void **state)
{
	(void)state;
	start(0);
	put_shb(&image, 1, 0);
	put_epb(&image, 0, 1, 4, 4, 4); /* before any interface */
	put_block(&image, 3, "\4\0\0\0abcd", 8);
	put_idb(&image, 1, 0, NULL, 0);
	put_epb(&image, 1, 2, 4, 4, 4);          /* no such interface */
	put_epb(&image, 0, 3, UINT32_MAX, 4, 4); /* longer than its block */
	put_epb(&image, 0, 4, 5, 4, 4);
	put_block(&image, 6, "\0\0\0\0", 4); /* shorter than its header */
	put_block(&image, 3, "", 0);
	put_epb(&image, 0, 5, 4, 4, 4);
	read_image();
	expect_end(0, 8, NULL);
	assert_int_equal(list.items[0].iface, CW_IFACE_NONE);
	assert_int_equal(list.items[0].flags, CW_PACKET_MALFORMED);
	assert_int_equal(list.items[1].flags, CW_PACKET_MALFORMED);
	assert_int_equal(list.items[2].flags, CW_PACKET_MALFORMED);
	assert_int_equal(list.items[3].flags, CW_PACKET_MALFORMED);
	assert_int_equal(list.items[3].caplen, 4);
	assert_int_equal(list.items[4].flags, CW_PACKET_MALFORMED);
	assert_int_equal(list.items[5].flags, CW_PACKET_MALFORMED);
	assert_int_equal(list.items[6].flags, CW_PACKET_MALFORMED);
	assert_int_equal(list.items[7].flags, 0);
	expect(7, 5000, 4, 4);
}

static void unknown_blocks_are_skipped_wherever_they_are(void **state)
{
	(void)state;
	start(1);
	put_shb(&image, 1, 0);
	put_block(&image, 0x7FFF1234, "12345", 5);
	put_idb(&image, 1, 0, NULL, 0);
	put_block(&image, 4, NULL, 0);
	put_epb(&image, 0, 1, 4, 4, 4);
	put_block(&image, 0xBAD, "12345678", 8);
	put_epb(&image, 0, 2, 4, 4, 4);
	put_block(&image, 5, "12345678", 8);
	read_image();
	expect_end(0, 2, NULL);
}

static void bad_block_lengths_are_damage_at_their_byte(void **state)
{
	static const uint32_t lengths[] = {0, 4, 11, 13, UINT32_MAX, 0xFFFFFFFC, 0x10000000};
	size_t i;

	(void)state;
	for (i = 0; i <= CW_ARRAY_COUNT(lengths); i++) {
		start(0);
		put_shb(&image, 1, 0);
		put_idb(&image, 1, 0, NULL, 0);
		put_epb(&image, 0, 1, 4, 4, 4);
		put_epb(&image, 0, 2, 4, 4, 4);
		if (i < CW_ARRAY_COUNT(lengths))
			cw_store_u32(image.data + 88, lengths[i]);
		else
			cw_store_u32(image.data + image.bytes - 4, 40); /* the trailer */
		read_image();
		expect_end(-EBADMSG, 1, "byte 84");
	}
}

static void packet_options_are_handed_on_where_they_lie(void **state)
{
	(void)state;
	start(0);
	put_shb(&image, 1, 0);
	put_idb(&image, 1, 0, NULL, 0);
	put_epb(&image, 0, 1, 5, 5, 20); /* 12 bytes more than the packet takes */
	put_epb(&image, 0, 1, 5, 5, 8);
	read_image();
	expect_end(0, 2, NULL);
	assert_int_equal(list.items[0].options_bytes, 12);
	assert_int_equal(list.items[1].options_bytes, 0);
}

static void spans_keep_their_limits_but_hold_one_record(void **state)
{
	struct cw_error error;
	struct cw_pcapfile_step step;
	int i;

	(void)state;
	start(0);
	put_pcap_header(&image, MAGIC_US, 2, 4, 65535, 1);
	for (i = 0; i < 10; i++)
		put_pcap_record(&image, 1, 0, 84, 84, 84);
	cw_ifaces_fini(&ifaces);
	cw_pcapfile_init(&file, &ifaces, 0, CW_LINKTYPE_ANY);
	assert_int_equal(
	    cw_pcapfile_scan(&file, image.data, image.bytes, true, 0, 0, &step, &error),
	    CW_PCAPFILE_SPAN);
	assert_int_equal(step.consumed, 24);
	assert_int_equal(step.span.record_count, 0);
	assert_int_equal(
	    cw_pcapfile_scan(&file, image.data + 24, image.bytes - 24, true, 10, 99, &step, &error),
	    CW_PCAPFILE_SPAN);
	assert_int_equal(step.span.record_count, 1);
	assert_int_equal(cw_pcapfile_scan(&file, image.data + 124, image.bytes - 124, true, 299, 99,
					  &step, &error),
			 CW_PCAPFILE_SPAN);
	assert_int_equal(step.span.record_count, 2);
	cw_pcapfile_trim(&file, &step, 199);
	assert_int_equal(step.span.record_count, 1);
	assert_int_equal(step.consumed, 100);
	assert_int_equal(file.offset, 224);
	assert_int_equal(cw_pcapfile_scan(&file, image.data + 224, image.bytes - 224, true, 9999, 3,
					  &step, &error),
			 CW_PCAPFILE_SPAN);
	assert_int_equal(step.span.record_count, 3);
}

static void sections_of_two_inputs_do_not_mix_interfaces(void **state)
{
	struct cw_iface other = {.linktype = 99};
	struct cw_pcapfile_step step;
	struct cw_error error;
	size_t at;

	(void)state;
	start(0);
	put_shb(&image, 1, 0);
	put_idb(&image, 11, 0, (uint16_t[]){2, 1, 'a', 0}, 8);
	put_epb(&image, 0, 1, 4, 4, 4);
	put_idb(&image, 12, 0, NULL, 0);
	put_epb(&image, 0, 1, 4, 4, 4);
	put_epb(&image, 1, 1, 4, 4, 4);
	cw_ifaces_fini(&ifaces);
	cw_pcapfile_init(&file, &ifaces, 0, CW_LINKTYPE_ANY);
	seen_free(&list);
	assert_int_equal(
	    cw_pcapfile_scan(&file, image.data, image.bytes, true, SIZE_MAX, 99, &step, &error),
	    CW_PCAPFILE_SPAN);
	see_span(&list, &step.span, 8);
	at = step.consumed;
	assert_int_equal(cw_ifaces_add(&ifaces, &other), 1); /* as if another input was opened */
	assert_int_equal(cw_pcapfile_scan(&file, image.data + at, image.bytes - at, true, SIZE_MAX,
					  99, &step, &error),
			 CW_PCAPFILE_SPAN);
	see_span(&list, &step.span, 8);
	assert_int_equal(list.count, 3);
	assert_int_equal(cw_ifaces_at(&ifaces, list.items[1].iface)->linktype, 11);
	assert_string_equal(cw_ifaces_at(&ifaces, list.items[1].iface)->name, "a");
	assert_int_equal(cw_ifaces_at(&ifaces, list.items[2].iface)->linktype, 12);
}

static void decoding_stays_in_the_span_when_its_bytes_change(void **state)
{
	struct cw_pcapfile_step step;
	struct cw_packet packets[16];
	uint64_t random = SEED;
	struct cw_error error;
	int round, i, kind;

	(void)state;
	for (kind = 0; kind < 3; kind++) {
		start(kind & 1);
		if (kind < 2) {
			put_pcap_header(&image, kind ? MAGIC_KUZNETZOV : MAGIC_US, 2, 4, 65535, 1);
			for (i = 0; i < 20; i++)
				put_pcap_record(&image, 1, 0, 30, 30, kind ? 38 : 30);
		} else {
			put_shb(&image, 1, 0);
			put_idb(&image, 1, 0, NULL, 0);
			for (i = 0; i < 20; i++)
				put_epb(&image, 0, 1, 30, 30, 30);
		}
		cw_ifaces_fini(&ifaces);
		cw_pcapfile_init(&file, &ifaces, 0, CW_LINKTYPE_ANY);
		assert_int_equal(cw_pcapfile_scan(&file, image.data, image.bytes, true, SIZE_MAX,
						  99, &step, &error),
				 CW_PCAPFILE_SPAN);
		for (round = 0; round < 20000; round++) {
			struct cw_span span = step.span;
			uint8_t *copy = malloc(span.bytes);
			struct cw_cursor cursor = {0};
			size_t count, n;

			memcpy(copy, step.span.data, span.bytes);
			for (i = 0; i < 4; i++)
				copy[next_random(&random) % span.bytes] =
				    (uint8_t)(next_random(&random) >> (i % 2 ? 0 : 63));
			span.data = copy;
			while ((count = cw_span_decode(&span, &cursor, packets, 16)) > 0)
				for (n = 0; n < count; n++)
					assert_true(packets[n].data >= copy &&
						    packets[n].data + packets[n].caplen <=
							copy + span.bytes);
			assert_int_equal(cursor.offset, span.bytes);
			free(copy);
		}
	}
}

/* What the fuzz targets do, on images with a few bytes changed: the seeds replay everywhere. */
static void fuzzed_images_are_read_the_same_whole_and_in_pieces(void **state)
{
	static const uint8_t odd[] = {0, 1, 3, 4, 6, 10, 12, 0x7F, 0x80, 0xFF};
	uint64_t random = SEED;
	int round, kind, i;

	(void)state;
	for (kind = 0; kind < 4; kind++) {
		start(kind & 1);
		if (kind < 2) {
			put_pcap_header(&image, kind ? MAGIC_NS : MAGIC_US, 2, 3, 65535, 1);
			for (i = 0; i < 5; i++)
				put_pcap_record(&image, 1, 0, 9, 30, 9);
		} else {
			for (i = 0; i < 2; i++) {
				put_shb(&image, 1, 0);
				put_clock((uint8_t)(i ? 0x8A : 9), i);
				put_epb(&image, 0, 1, 9, 9, 20);
				put_block(&image, 3, "\4\0\0\0abcd", 8);
				put_block(&image, 77, "abcd", 4);
			}
		}
		for (round = 0; round < 5000; round++) {
			uint8_t *copy = malloc(image.bytes);
			size_t bytes = image.bytes - (round % 4 ? 0 : next_random(&random) % 20);

			memcpy(copy, image.data, image.bytes);
			for (i = 0; i < round % 5; i++)
				copy[next_random(&random) % bytes] =
				    i % 2 ? (uint8_t)next_random(&random)
					  : odd[next_random(&random) % sizeof(odd)];
			feed_image(copy, bytes, 1 + next_random(&random) % 50);
			free(copy);
		}
	}
}

static void link_types_map_as_this_libpcap_maps_them(void **state)
{
	char buffer[32], reason[PCAP_ERRBUF_SIZE];
	uint32_t linktype;

	(void)state;
	for (linktype = 0; linktype < 400; linktype++) {
		pcap_t *pcap;
		FILE *stream;

		start(0);
		put_pcap_header(&image, MAGIC_US, 2, 4, 65535, linktype);
		stream = fmemopen(image.data, image.bytes, "r");
		pcap = pcap_fopen_offline(stream, reason);
		assert_non_null(pcap);
		assert_int_equal(cw_linktype_to_dlt(linktype), pcap_datalink(pcap));
		pcap_close(pcap);
		if (linktype < 11 || linktype > 19) /* DLT_ values that no file holds */
			assert_int_equal(cw_linktype_from_dlt(cw_linktype_to_dlt(linktype)),
					 linktype);
	}
	assert_string_equal(cw_linktype_name(1, buffer, sizeof(buffer)), "EN10MB");
	assert_string_equal(cw_linktype_name(60000, buffer, sizeof(buffer)), "LINKTYPE_60000");
	assert_int_equal(cw_linktype_from_name("raw"), CW_LINKTYPE_RAW);
	assert_int_equal(cw_linktype_from_name("276"), 276);
	assert_int_equal(cw_linktype_from_name("70000"), -EINVAL);
	assert_int_equal(cw_linktype_from_name("nonsense"), -EINVAL);
	assert_int_equal(cw_linktype_from_name(""), -EINVAL);
}

static int free_all(void **state)
{
	(void)state;
	seen_free(&list);
	cw_ifaces_fini(&ifaces);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pcap_of_both_byte_orders_and_resolutions_is_read),
	    cmocka_unit_test(kuznetzov_records_have_24_bytes_of_header),
	    cmocka_unit_test(old_versions_have_their_lengths_the_other_way),
	    cmocka_unit_test(versions_nobody_defined_are_refused_by_number),
	    cmocka_unit_test(link_type_is_the_low_half_of_its_field),
	    cmocka_unit_test(odd_snapshot_lengths_limit_nothing),
	    cmocka_unit_test(data_beyond_the_snapshot_length_is_cut_as_tcpdump_cuts_it),
	    cmocka_unit_test(fractions_beyond_a_second_carry_over),
	    cmocka_unit_test(insane_capture_length_is_damage_at_its_byte),
	    cmocka_unit_test(cut_files_give_their_whole_records_first),
	    cmocka_unit_test(what_is_no_capture_file_is_refused_in_words),
	    cmocka_unit_test(files_without_packets_are_valid),
	    cmocka_unit_test(sections_of_different_byte_order_have_their_own_interfaces),
	    cmocka_unit_test(each_interface_has_its_own_clock),
	    cmocka_unit_test(resolutions_beyond_64_bits_are_damage),
	    cmocka_unit_test(names_are_kept_and_bounded),
	    cmocka_unit_test(interface_options_past_their_block_are_damage),
	    cmocka_unit_test(simple_packets_take_their_length_from_the_first_interface),
	    cmocka_unit_test(obsolete_packet_blocks_are_read),
	    cmocka_unit_test(damage_inside_a_packet_block_costs_that_packet_alone),
	    cmocka_unit_test(unknown_blocks_are_skipped_wherever_they_are),
	    cmocka_unit_test(bad_block_lengths_are_damage_at_their_byte),
	    cmocka_unit_test(packet_options_are_handed_on_where_they_lie),
	    cmocka_unit_test(spans_keep_their_limits_but_hold_one_record),
	    cmocka_unit_test(sections_of_two_inputs_do_not_mix_interfaces),
	    cmocka_unit_test(decoding_stays_in_the_span_when_its_bytes_change),
	    cmocka_unit_test(fuzzed_images_are_read_the_same_whole_and_in_pieces),
	    cmocka_unit_test(link_types_map_as_this_libpcap_maps_them),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, NULL, free_all);
}
