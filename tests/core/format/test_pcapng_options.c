/* SPDX-License-Identifier: BSD-3-Clause */
/* Every option of pcapng, in both byte orders, against literal bytes; what the parser keeps. */
#include <errno.h>

#include "core/format/encode.h"
#include "core/format/options.h"
#include "tests/core/format/image_rig.h"
#include "tests/rig/failing_memory.h"

#define SECTION CW_OPTIONS_SECTION
#define IFACE CW_OPTIONS_IFACE
#define PACKET CW_OPTIONS_PACKET
#define STATISTICS CW_OPTIONS_STATISTICS
#define LE(text) (const uint8_t *)text, sizeof(text) - 1
#define BE(text) (const uint8_t *)text

/* Values that differ by byte order, and those that do not (`big` NULL). */
static const struct {
	enum cw_options_block block;
	uint16_t code;
	const uint8_t *little;
	uint16_t bytes;
	const uint8_t *big;
} copied[] = {
    {SECTION, 1, LE("a comment"), NULL},
    {SECTION, 2, LE("hardware"), NULL},
    {SECTION, 3, LE("system"), NULL},
    {SECTION, 4, LE("program"), NULL},
    {IFACE, 1, LE("one"), NULL},
    {IFACE, 4, LE("\12\0\0\1\377\377\377\0"), NULL},
    {IFACE, 5, LE("\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\100"), NULL},
    {IFACE, 6, LE("\2\0\0\0\0\7"), NULL},
    {IFACE, 7, LE("\2\0\0\377\376\0\0\7"), NULL},
    {IFACE, 8, LE("\0\312\232\73\0\0\0\0"), BE("\0\0\0\0\73\232\312\0")},
    {IFACE, 10, LE("\1\2\3\4"), BE("\4\3\2\1")},
    {IFACE, 11, LE("\0tcp"), NULL},
    {IFACE, 12, LE("system"), NULL},
    {IFACE, 13, LE("\40"), NULL},
    {IFACE, 15, LE("hardware"), NULL},
    {IFACE, 16, LE("\1\2\3\4\5\6\7\10"), BE("\10\7\6\5\4\3\2\1")},
    {IFACE, 17, LE("\1\2\3\4\5\6\7\10"), BE("\10\7\6\5\4\3\2\1")},
    {IFACE, 18, LE("Europe/Berlin"), NULL},
    {PACKET, 1, LE(""), NULL},
    {PACKET, 2, LE("\1\2\3\4"), BE("\4\3\2\1")},
    {PACKET, 3, LE("\2\354\35\207\227"), NULL},
    {PACKET, 4, LE("\1\2\3\4\5\6\7\10"), BE("\10\7\6\5\4\3\2\1")},
    {PACKET, 5, LE("\1\2\3\4\5\6\7\10"), BE("\10\7\6\5\4\3\2\1")},
    {PACKET, 6, LE("\1\2\3\4"), BE("\4\3\2\1")},
    {PACKET, 7, LE("\0\1\2\3"), NULL},
    {PACKET, 7, LE("\0\1\2\3\4\5\6\7\10"), NULL},
    {PACKET, 7, LE("\1\2\0\0\0\0\0\0\0"), BE("\1\0\0\0\0\0\0\0\2")},
    {PACKET, 7, LE("\2\1\0\0\0\0\0\0\0"), BE("\2\0\0\0\0\0\0\0\1")},
    {PACKET, 8, LE("\1\2\3\4\5\6\7\10"), BE("\4\3\2\1\10\7\6\5")},
    {PACKET, 2988, LE("\1\2\0\0text"), BE("\0\0\2\1text")},
    {IFACE, 2989, LE("\1\2\0\0\1\2\3\4\5"), BE("\0\0\2\1\1\2\3\4\5")},
    {SECTION, 2988, LE("\1\2\0\0"), BE("\0\0\2\1")},
    {STATISTICS, 2, LE("\1\2\3\4\5\6\7\10"), BE("\4\3\2\1\10\7\6\5")},
    {STATISTICS, 8, LE("\1\2\3\4\5\6\7\10"), BE("\10\7\6\5\4\3\2\1")},
};

static void swap(uint8_t *word)
{
	uint8_t first = word[0];

	word[0] = word[1];
	word[1] = first;
}

/* Writes an option as a file of this byte order holds it, with dirty padding. Returns its bytes. */
static size_t raw(uint8_t *to, uint16_t code, const void *value, uint16_t bytes, int is_swapped)
{
	size_t whole = cw_option_put(to, code, value, bytes);

	memset(to + 4 + bytes, 0xaa, whole - 4 - bytes);
	if (is_swapped)
		swap(to), swap(to + 2);
	return whole;
}

static void every_option_is_copied_in_both_byte_orders(void **state)
{
	uint8_t from[64], wanted[64], to[64];

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(copied); i++) {
		for (int is_swapped = 0; is_swapped < 2; is_swapped++) {
			const uint8_t *value =
			    is_swapped && copied[i].big ? copied[i].big : copied[i].little;
			struct cw_options options = {from, 0, copied[i].block, is_swapped};
			uint64_t left_out = 0;
			size_t bytes = cw_option_put(wanted, copied[i].code, copied[i].little,
						     copied[i].bytes);

			options.bytes =
			    raw(from, copied[i].code, value, copied[i].bytes, is_swapped);
			assert_int_equal(cw_options_copy(&options, NULL, SIZE_MAX, &left_out),
					 bytes);
			memset(to, 0xee, sizeof(to));
			assert_int_equal(cw_options_copy(&options, to, bytes, &left_out), bytes);
			assert_memory_equal(to, wanted, bytes);
			assert_int_equal(to[bytes], 0xee);
			assert_int_equal(left_out, 0);
			/* Without room for it, it is counted and nothing is written. */
			assert_int_equal(cw_options_copy(&options, to, bytes - 1, &left_out), 0);
			assert_int_equal(left_out, 1);
		}
	}
}

#define NATIVE 1
#define FOREIGN 2
#define BOTH 3

static void options_that_cannot_be_copied_are_counted(void **state)
{
	static const struct {
		enum cw_options_block block;
		uint16_t code;
		const uint8_t *value;
		uint16_t bytes;
		int orders; /* in which the option is left out */
	} cases[] = {
	    {PACKET, 19372, LE("\0\0\2\1text"), BOTH}, /* marked as not to be copied */
	    {SECTION, 19373, LE("\0\0\2\1\1\2"), BOTH},
	    {PACKET, 2988, LE("\0\0\2"), BOTH}, /* wrong lengths */
	    {PACKET, 2, LE("\1\2"), BOTH},
	    {PACKET, 4, LE("\1\2\3\4"), BOTH},
	    {PACKET, 7, LE(""), BOTH},
	    {PACKET, 7, LE("\1\2\3"), BOTH},
	    {PACKET, 8, LE("\1\2\3\4\5"), BOTH},
	    {IFACE, 8, LE("\1\2\3\4"), BOTH},
	    {IFACE, 11, LE(""), BOTH},
	    {PACKET, 7, LE("\3\1\2\3\4\5\6\7\10"), FOREIGN}, /* unknown layouts */
	    {IFACE, 11, LE("\1\1\2\3\4\5\6\7\10"), FOREIGN},
	    {SECTION, 5, LE("later"), FOREIGN},
	    {PACKET, 0x8001, LE("local"), FOREIGN},
	};
	uint8_t from[64], to[64];

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		for (int is_swapped = 0; is_swapped < 2; is_swapped++) {
			bool is_refused = cases[i].orders & (is_swapped ? FOREIGN : NATIVE);
			size_t whole =
			    raw(from, cases[i].code, cases[i].value, cases[i].bytes, is_swapped);
			struct cw_options options = {from, whole, cases[i].block, is_swapped};
			uint64_t left_out = 0;

			/* The option behind it is copied. */
			options.bytes += raw(from + whole, 1, "next", 4, is_swapped);
			assert_int_equal(cw_options_copy(&options, to, sizeof(to), &left_out),
					 is_refused ? 8 : whole + 8);
			assert_int_equal(left_out, is_refused);
		}
	}
}

static void units_and_names_are_not_counted(void **state)
{
	static const uint16_t own[] = {2, 3, 9, 14};
	uint8_t from[64] = {0};
	uint64_t left_out = 0;

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(own); i++) {
		struct cw_options options = {from, raw(from, own[i], "12345678", 8, 0), IFACE, 0};

		assert_int_equal(cw_options_copy(&options, NULL, SIZE_MAX, &left_out), 0);
	}
	assert_int_equal(left_out, 0);
}

/* A section header with options, or an interface block. */
static void put_described(uint32_t type, const uint8_t *options, size_t bytes)
{
	static struct image body;

	body.is_swapped = image.is_swapped;
	body.bytes = 0;
	if (type == 1) {
		put_u16(&body, 1);
		put_u16(&body, 0);
		put_u32(&body, 96);
	} else {
		put_u32(&body, 0x1A2B3C4D);
		put_u16(&body, 1);
		put_u16(&body, 0);
		put_u64(&body, UINT64_MAX);
	}
	put_bytes(&body, options, bytes);
	put_block(&image, type, body.data, body.bytes);
}

static void expect_options(const struct cw_described *kept, const char *text)
{
	if (!text) {
		assert_null(kept);
		return;
	}
	assert_non_null(kept);
	assert_int_equal(kept->bytes, 4 + cw_pad4(strlen(text)));
	assert_memory_equal(kept->options + 4, text, strlen(text));
}

static void interfaces_keep_their_options_and_those_of_their_section(void **state)
{
	uint8_t options[16];

	(void)state;
	for (int order = 0; order < 2; order++) {
		start(order);
		put_described(0x0A0D0D0A, options, raw(options, 1, "first", 5, order));
		put_described(1, options, raw(options, 1, "one", 3, order));
		put_described(1, options, 0);
		put_shb(&image, 1, 0);
		put_described(1, options, raw(options, 12, "two", 3, order));
		put_epb(&image, 0, 1, 4, 4, 4);
		read_image();
		expect_end(0, 1, NULL);
		expect_options(cw_ifaces_at(&ifaces, 0)->section->options, "first");
		expect_options(cw_ifaces_at(&ifaces, 0)->options, "one");
		expect_options(cw_ifaces_at(&ifaces, 1)->section->options, "first");
		expect_options(cw_ifaces_at(&ifaces, 1)->options, NULL);
		expect_options(cw_ifaces_at(&ifaces, 2)->section->options, NULL);
		expect_options(cw_ifaces_at(&ifaces, 2)->options, "two");
		assert_int_equal(file.blocks.left_out_options, 0);
	}
}

static void damage_in_a_section_s_options_costs_these_options_alone(void **state)
{
	uint8_t options[16];
	size_t bytes = raw(options, 1, "kept", 4, 0);

	(void)state;
	start(0);
	cw_store_u16(options + bytes, 4);
	cw_store_u16(options + bytes + 2, 500); /* beyond the block */
	put_described(0x0A0D0D0A, options, bytes + 4);
	put_described(1, options, 0);
	put_epb(&image, 0, 1, 4, 4, 4);
	read_image();
	expect_end(0, 1, NULL);
	expect_options(cw_ifaces_at(&ifaces, 0)->section->options, "kept");
	assert_int_equal(file.blocks.left_out_options, 1);
}

static void options_beyond_the_memory_for_them_are_counted(void **state)
{
	static char name[300];
	uint8_t options[400];
	struct cw_described *described;
	struct cw_pcapfile_step step;
	struct cw_error error;
	size_t bytes;

	(void)state;
	memset(name, 'n', sizeof(name));
	bytes = raw(options, 2, name, sizeof(name), 0);
	bytes += raw(options + bytes, 1, "comment", 7, 0);
	start(0);
	put_shb(&image, 1, 0);
	put_described(1, options, bytes);
	cw_ifaces_fini(&ifaces);
	cw_ifaces_init(&ifaces);
	assert_int_equal(cw_ifaces_describe(&ifaces, CW_DESCRIBED_BYTES_MAX + 1, &described),
			 -ENOSPC);
	ifaces.described_bytes = CW_DESCRIBED_BYTES_MAX;
	cw_pcapfile_init(&file, &ifaces, 0, CW_LINKTYPE_ANY);
	assert_int_equal(cw_pcapfile_scan(&file,
					  &(struct cw_pcapfile_shown){image.data, image.bytes, 1},
					  &(struct cw_pcapfile_limits){SIZE_MAX, 1}, &step, &error),
			 CW_PCAPFILE_END);
	assert_int_equal(strlen(cw_ifaces_at(&ifaces, 0)->name), CW_NAME_BYTES);
	assert_null(cw_ifaces_at(&ifaces, 0)->options);
	assert_int_equal(file.blocks.left_out_options, 2);
}

/* Each allocation fails in turn. Nothing may be missing from a file that is read to its end. */
static void missing_memory_for_a_block_or_an_option_is_an_error(void **state)
{
	const struct cw_pcapfile_limits limits = {SIZE_MAX, UINT32_MAX};
	static const uint8_t names[] = {1, 0, 8, 0, 10, 0, 0, 1, 'n', 'a', 'm', 0, 0, 0, 0, 0};
	uint8_t options[400];
	uint32_t count;
	int result = -1;

	(void)state;
	start(0);
	put_described(0x0A0D0D0A, options, raw(options, 1, "comment", 7, 0));
	put_described(1, options, raw(options, 1, "one", 3, 0));
	put_block(&image, CW_PCAPNG_NRB, names, sizeof(names));
	put_block(&image, CW_PCAPNG_DSB, (const uint8_t *)"TLSK\4\0\0\0keys", 12);
	put_block(&image, CW_PCAPNG_CUSTOM, (const uint8_t *)"\1\2\0\0", 4);
	for (count = 0; result != CW_PCAPFILE_END; count++) {
		const struct cw_pcapfile_shown shown = {image.data, image.bytes, true};
		struct cw_pcapfile_step step;
		struct cw_error error;

		cw_ifaces_fini(&ifaces);
		cw_ifaces_init(&ifaces);
		cw_pcapfile_init(&file, &ifaces, 0, CW_LINKTYPE_ANY);
		allocations_left = count;
		fails_once = true;
		result = cw_pcapfile_scan(&file, &shown, &limits, &step, &error);
		allocations_left = UINT32_MAX;
		if (result == CW_PCAPFILE_END)
			continue;
		assert_int_equal(result, -ENOMEM);
		assert_non_null(strstr(error.text, "cannot"));
	}
	assert_int_equal(count - 1, 8); /* section, interface, their options, 3 blocks, table */
	assert_int_equal(ifaces.kept_count, 3);
	assert_int_equal(file.blocks.left_out, 0);
	assert_int_equal(file.blocks.left_out_options, 0);
}

static void names_of_65535_bytes_come_out_as_they_were(void **state)
{
	static uint8_t options[2 * (UINT16_MAX + 5)];
	static uint8_t block[sizeof(options) + 64];
	static char text[UINT16_MAX];
	const struct cw_iface *iface;
	size_t bytes;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text + sizeof(text) - 4, "last", 4);
	for (int order = 0; order < 2; order++) {
		start(order);
		put_shb(&image, 1, 0);
		bytes = raw(options, 2, text, sizeof(text), order);
		bytes += raw(options + bytes, 3, text, sizeof(text), order);
		put_described(1, options, bytes);
		read_pieces(0, SIZE_MAX, UINT32_MAX);
		expect_end(0, 0, NULL);
		iface = cw_ifaces_at(&ifaces, 0);
		bytes = cw_format_iface_bytes(iface);
		assert_int_equal(bytes, 16 + 2 * (4 + 65536) + 16);
		assert_int_equal(cw_format_iface(iface, 0, block), bytes);
		assert_int_equal(cw_load_u32(block + 4, 0), bytes);
		assert_int_equal(cw_load_u16(block + 18, 0), UINT16_MAX);
		assert_memory_equal(block + 20, text, sizeof(text));
		assert_memory_equal(block + 20 + 65536 + 4, text, sizeof(text));
	}
}

static void the_fcs_length_is_kept_from_one_format_to_the_other(void **state)
{
	static const struct {
		uint8_t bits;
		uint32_t field;
	} cases[] = {{0, 0x04000000},   {16, 0x14000000}, {32, 0x24000000},
		     {240, 0xF4000000}, {4, 0},           {24, 0}};
	uint8_t options[16], block[64];

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		struct cw_iface iface = {.linktype = 1, .fcs = cases[i].field};

		start(0);
		put_shb(&image, 1, 0);
		put_described(1, options, raw(options, 13, &cases[i].bits, 1, 0));
		read_image();
		assert_int_equal(cw_ifaces_at(&ifaces, 0)->fcs, cases[i].field);
		/* Of a pcap file: 0 is no known length. */
		assert_int_equal(cw_format_iface(&iface, 0, block), cases[i].field ? 40 : 32);
		if (cases[i].field)
			assert_memory_equal(block + 24,
					    ((uint8_t[]){13, 0, 1, 0, cases[i].bits, 0, 0, 0}), 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_option_is_copied_in_both_byte_orders),
	    cmocka_unit_test(options_that_cannot_be_copied_are_counted),
	    cmocka_unit_test(units_and_names_are_not_counted),
	    cmocka_unit_test(interfaces_keep_their_options_and_those_of_their_section),
	    cmocka_unit_test(damage_in_a_section_s_options_costs_these_options_alone),
	    cmocka_unit_test(options_beyond_the_memory_for_them_are_counted),
	    cmocka_unit_test(missing_memory_for_a_block_or_an_option_is_an_error),
	    cmocka_unit_test(names_of_65535_bytes_come_out_as_they_were),
	    cmocka_unit_test(the_fcs_length_is_kept_from_one_format_to_the_other),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, NULL, free_all);
}
