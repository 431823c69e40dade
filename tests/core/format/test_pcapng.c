/* SPDX-License-Identifier: BSD-3-Clause */
/* The parser of pcapng files, with images built by hand, byte for byte. */
#include <errno.h>

#include "tests/core/format/image_rig.h"

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

static void names_are_kept(void **state)
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
	assert_int_equal(strlen(cw_ifaces_at(&ifaces, 0)->description), 400);
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

static void put_other(uint32_t type, const char *data, size_t bytes, const uint32_t *words,
		      size_t count)
{
	static struct image body;

	body.is_swapped = image.is_swapped;
	body.bytes = 0;
	while (count--)
		put_u32(&body, *words++);
	put_bytes(&body, data, bytes);
	put_block(&image, type, body.data, body.bytes);
}

static void expect_block(uint32_t index, enum cw_block_kind kind, uint32_t bytes)
{
	const struct cw_block *block = cw_ifaces_block(&ifaces, index);

	assert_int_equal(block->kind, kind);
	assert_int_equal(block->bytes, bytes);
	assert_int_equal(cw_load_u32(block->data + 4, 0), bytes);
	assert_int_equal(cw_load_u32(block->data + bytes - 4, 0), bytes);
}

static void blocks_to_copy_are_kept_and_others_counted(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		start(order);
		put_shb(&image, 1, 0);
		put_idb(&image, 1, 0, NULL, 0);
		put_other(10, "key", 3, (uint32_t[]){7, 3}, 2);
		put_epb(&image, 0, 1, 4, 4, 4);
		put_other(10, "key", 3, (uint32_t[]){7, 5}, 2); /* longer than the block */
		put_other(10, "", 0, (uint32_t[]){7}, 1);
		put_other(4, NULL, 0, NULL, 0); /* no end of records: it is added */
		put_other(4, order ? "\0\1\0\24abcd" : "\1\0\24\0abcd", 8, NULL, 0);
		put_other(5, NULL, 0, (uint32_t[]){0, 0, 1}, 3);
		put_other(5, NULL, 0, (uint32_t[]){1, 0, 1}, 3); /* no such interface */
		put_other(0xBAD, "12345678", 8, NULL, 0);
		put_other(0x40000BAD, "12345678", 8, NULL, 0);
		put_epb(&image, 0, 2, 4, 4, 4);
		read_image();
		expect_end(0, 2, NULL);
		assert_int_equal(ifaces.kept_count, order ? 3 : 4);
		expect_block(0, CW_BLOCK_SECRETS, 24);
		assert_memory_equal(cw_ifaces_block(&ifaces, 0)->data + 8, "\7\0\0\0\3\0\0\0key\0",
				    12);
		expect_block(1, CW_BLOCK_NAMES, 16);
		expect_block(2, CW_BLOCK_STATISTICS, 24);
		assert_memory_equal(cw_ifaces_block(&ifaces, 2)->data + 8,
				    "\0\0\0\0\0\0\0\0\350\3\0\0", 12);
		assert_ptr_equal(cw_ifaces_block(&ifaces, 2), file.section->statistics_first);
		if (!order)
			expect_block(3, CW_BLOCK_CUSTOM, 20);
		assert_int_equal(file.blocks.of_kind[CW_BLOCK_SECRETS], 3);
		assert_int_equal(file.blocks.of_kind[CW_BLOCK_NAMES], 2);
		assert_int_equal(file.blocks.of_kind[CW_BLOCK_CUSTOM], 1);
		assert_int_equal(file.blocks.of_kind[CW_BLOCK_STATISTICS], 2);
		assert_int_equal(file.blocks.of_kind[CW_BLOCK_OTHER], 1);
		assert_int_equal(file.blocks.left_out, order ? 6 : 5);
	}
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sections_of_different_byte_order_have_their_own_interfaces),
	    cmocka_unit_test(each_interface_has_its_own_clock),
	    cmocka_unit_test(resolutions_beyond_64_bits_are_damage),
	    cmocka_unit_test(names_are_kept),
	    cmocka_unit_test(interface_options_past_their_block_are_damage),
	    cmocka_unit_test(simple_packets_take_their_length_from_the_first_interface),
	    cmocka_unit_test(obsolete_packet_blocks_are_read),
	    cmocka_unit_test(damage_inside_a_packet_block_costs_that_packet_alone),
	    cmocka_unit_test(unknown_blocks_are_skipped_wherever_they_are),
	    cmocka_unit_test(blocks_to_copy_are_kept_and_others_counted),
	    cmocka_unit_test(bad_block_lengths_are_damage_at_their_byte),
	    cmocka_unit_test(packet_options_are_handed_on_where_they_lie),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, NULL, free_all);
}
