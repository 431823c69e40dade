/* SPDX-License-Identifier: BSD-3-Clause */
/* Encoded capture files: byte for byte where it matters, and as libpcap reads them back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "core/format/encode.h"

#define PACKETS 64u
#define TS_FIRST UINT64_C(1700000000123456789)

static uint8_t content[512];
static uint8_t file[256 * 1024];

static struct cw_packet packet_of(uint32_t index)
{
	struct cw_packet packet = {
	    .data = content + index,
	    .ts_ns = TS_FIRST + index * UINT64_C(1000000007),
	    .caplen = index, /* every remainder modulo 4, and 0 */
	    .wire_len = index + 5,
	};

	return packet;
}

static size_t encode(enum cw_format format, uint32_t snaplen)
{
	struct cw_iface iface = {.linktype = 1, .snaplen = 262144, .name = (char *)"eth0"};
	size_t used = cw_format_header(format, 1, 262144, file);

	assert_int_equal(used, format == CW_FORMAT_PCAPNG ? 28 : 24);
	if (format == CW_FORMAT_PCAPNG)
		used += cw_format_iface(&iface, 0, file + used);
	for (uint32_t i = 0; i < PACKETS; i++) {
		struct cw_packet packet = packet_of(i);
		size_t bytes = cw_format_record_bytes(format, &packet, snaplen);

		memset(file + used, 0xee, bytes + 8);
		cw_format_record(format, &packet, snaplen, 0, bytes, file + used);
		used += bytes;
		assert_int_equal(file[used], 0xee);
	}
	return used;
}

static pcap_t *open_bytes(size_t bytes, u_int precision)
{
	char text[PCAP_ERRBUF_SIZE];
	FILE *stream = fmemopen(file, bytes, "r");
	pcap_t *pcap = pcap_fopen_offline_with_tstamp_precision(stream, precision, text);

	if (!pcap)
		fail_msg("%s", text);
	return pcap;
}

static void expect_read_back(enum cw_format format, uint32_t snaplen, u_int precision)
{
	pcap_t *pcap = open_bytes(encode(format, snaplen), precision);
	struct pcap_pkthdr *header;
	const u_char *data;

	assert_int_equal(pcap_datalink(pcap), DLT_EN10MB);
	assert_int_equal(pcap_snapshot(pcap), 262144);
	for (uint32_t i = 0; i < PACKETS; i++) {
		struct cw_packet packet = packet_of(i);
		uint64_t fraction = packet.ts_ns % CW_NS_PER_S;

		assert_int_equal(pcap_next_ex(pcap, &header, &data), 1);
		if (precision == PCAP_TSTAMP_PRECISION_MICRO)
			fraction /= 1000;
		else if (format == CW_FORMAT_PCAP_US)
			fraction = fraction / 1000 * 1000;
		assert_int_equal(header->ts.tv_sec, packet.ts_ns / CW_NS_PER_S);
		assert_int_equal(header->ts.tv_usec, fraction);
		assert_int_equal(header->caplen, cw_min_u32(packet.caplen, snaplen));
		assert_int_equal(header->len, packet.wire_len);
		assert_memory_equal(data, packet.data, header->caplen);
	}
	assert_int_equal(pcap_next_ex(pcap, &header, &data), PCAP_ERROR_BREAK);
	pcap_close(pcap);
}

static void libpcap_reads_back_every_format(void **state)
{
	(void)state;
	for (int format = CW_FORMAT_PCAP_US; format <= CW_FORMAT_PCAPNG; format++) {
		expect_read_back((enum cw_format)format, UINT32_MAX, PCAP_TSTAMP_PRECISION_MICRO);
		expect_read_back((enum cw_format)format, UINT32_MAX, PCAP_TSTAMP_PRECISION_NANO);
		expect_read_back((enum cw_format)format, 17, PCAP_TSTAMP_PRECISION_NANO);
	}
}

static void fraction_of_a_second_or_more_keeps_its_field_where_it_fits(void **state)
{
	const uint64_t last = UINT32_MAX;
	const struct {
		enum cw_format format;
		uint32_t carried_s;
		uint64_t ts_ns, seconds, fraction;
		bool is_held;
	} cases[] = {
	    {CW_FORMAT_PCAP_US, 0, 12500000000, 12, 500000, true},
	    {CW_FORMAT_PCAP_US, 2, 12500000000, 10, 2500000, true},
	    {CW_FORMAT_PCAP_NS, 2, 12500000000, 10, 2500000000, true},
	    {CW_FORMAT_PCAP_NS, 4, 14294967295, 10, 4294967295, true},
	    {CW_FORMAT_PCAP_NS, 4, 14294967296, 11, 3294967296, true},
	    {CW_FORMAT_PCAP_US, 4294, (last + 4294) * CW_NS_PER_S + 967295999, last, last, true},
	    {CW_FORMAT_PCAP_US, 4294, (last + 4295) * CW_NS_PER_S, 0, 0, false},
	    {CW_FORMAT_PCAP_NS, 4294, (last + 4294) * CW_NS_PER_S, 0, 0, false},
	    /* more than the whole timestamp: a caller's slip */
	    {CW_FORMAT_PCAP_US, UINT32_MAX, 2 * CW_NS_PER_S, 0, 2000000, true},
	};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		struct cw_packet packet = packet_of(0);

		packet.ts_ns = cases[i].ts_ns;
		packet.carried_s = cases[i].carried_s;
		assert_int_equal(cw_format_can_hold(cases[i].format, &packet), cases[i].is_held);
		if (!cases[i].is_held)
			continue;
		cw_format_record(cases[i].format, &packet, UINT32_MAX, 0, 16, file);
		assert_int_equal(cw_load_u32(file, 0), cases[i].seconds);
		assert_int_equal(cw_load_u32(file + 4, 0), cases[i].fraction);
	}
}

static void the_section_header_is_as_specified(void **state)
{
	static const uint8_t expected[28] = {0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0,    0,    0x4d, 0x3c,
					     0x2b, 0x1a, 1,    0,    0,  0, 0xff, 0xff, 0xff, 0xff,
					     0xff, 0xff, 0xff, 0xff, 28, 0, 0,    0};

	(void)state;
	assert_int_equal(cw_format_header(CW_FORMAT_PCAPNG, 1, 0, file), sizeof(expected));
	assert_memory_equal(file, expected, sizeof(expected));
}

static void a_section_header_with_options_is_as_specified(void **state)
{
	static const uint8_t list[] = {1, 0, 3, 0, 'a', 'b', 'c', 0};
	static const uint8_t tail[] = {1, 0, 3, 0, 'a', 'b', 'c', 0, 0, 0, 0, 0, 40, 0, 0, 0};
	struct cw_described *options = malloc(sizeof(*options) + sizeof(list));

	(void)state;
	options->bytes = sizeof(list);
	memcpy(options->options, list, sizeof(list));
	assert_int_equal(cw_format_section_bytes(NULL), 28);
	assert_int_equal(cw_format_section_bytes(options), 40);
	assert_int_equal(cw_format_section(options, file), 40);
	assert_int_equal(cw_load_u32(file + 4, 0), 40);
	assert_memory_equal(file + 24, tail, sizeof(tail));
	free(options);
}

static void an_interface_block_is_as_specified(void **state)
{
	static const uint8_t expected[48] = {1, 0, 0, 0,  48,  0,   0,   0, 0x14,
					     1, 0, 0, 96, 0,   0,   0,      /* linktype, snaplen */
					     2, 0, 2, 0,  'l', 'o', 0,   0, /* if_name */
					     3, 0, 3, 0,  'a', 'b', 'c', 0, /* if_description */
					     9, 0, 1, 0,  9,   0,   0,   0, /* if_tsresol */
					     0, 0, 0, 0,  48,  0,   0,   0};
	struct cw_iface iface = {
	    .linktype = 276, .snaplen = 500, .name = (char *)"lo", .description = (char *)"abc"};

	(void)state;
	assert_int_equal(cw_format_iface(&iface, 96, file), sizeof(expected));
	assert_memory_equal(file, expected, sizeof(expected));
	cw_format_iface(&iface, 0, file);
	assert_int_equal(cw_load_u32(file + 12, 0), 500);
}

static void times_beyond_32_bits_are_refused_by_pcap_only(void **state)
{
	struct cw_packet packet = {.ts_ns = UINT64_C(4294967295999999999)};

	(void)state;
	assert_true(cw_format_can_hold(CW_FORMAT_PCAP_US, &packet));
	packet.ts_ns++;
	assert_false(cw_format_can_hold(CW_FORMAT_PCAP_US, &packet));
	assert_false(cw_format_can_hold(CW_FORMAT_PCAP_NS, &packet));
	assert_true(cw_format_can_hold(CW_FORMAT_PCAPNG, &packet));
	packet.flags = CW_PACKET_TS_OUT_OF_RANGE;
	assert_false(cw_format_can_hold(CW_FORMAT_PCAPNG, &packet));
}

/* Options ------------------------------------------------------------------------------------- */

struct raw {
	uint8_t bytes[256];
	size_t used;
	int is_swapped;
};

static void raw_option(struct raw *raw, uint16_t code, const void *value, uint16_t bytes)
{
	uint16_t header[2] = {code, bytes};

	if (raw->is_swapped) {
		header[0] = __builtin_bswap16(code);
		header[1] = __builtin_bswap16(bytes);
	}
	memcpy(raw->bytes + raw->used, header, 4);
	memset(raw->bytes + raw->used + 4, 0xaa, cw_pad4(bytes)); /* dirty padding */
	memcpy(raw->bytes + raw->used + 4, value, bytes);
	raw->used += 4 + cw_pad4(bytes);
}

/* A packet of 5 bytes whose data is followed by `raw` options. */
static struct cw_packet packet_with(const struct raw *raw, uint8_t *memory)
{
	struct cw_packet packet = {
	    .data = memory,
	    .ts_ns = TS_FIRST,
	    .caplen = 5,
	    .wire_len = 5,
	    .options_bytes = (uint32_t)raw->used,
	    .flags = raw->is_swapped ? CW_PACKET_SWAPPED : 0,
	};

	memcpy(memory, "\1\2\3\4\5\xee\xee\xee", 8);
	memcpy(memory + 8, raw->bytes, raw->used);
	return packet;
}

static void options_are_kept_in_both_byte_orders(void **state)
{
	static const uint8_t expected[] = {1, 0, 5, 0, 'h', 'e', 'l',  'l',  'o',  0,
					   0, 0, 2, 0, 4,   0,   0x11, 0x22, 0x33, 0x44, /* flags */
					   3, 0, 5, 0, 2,   'h', 'a',  's',  'h',  0,
					   0, 0, 1, 0, 0,   0, /* empty comment */
					   0, 0, 0, 0};
	uint8_t memory[300];

	(void)state;
	for (int is_swapped = 0; is_swapped < 2; is_swapped++) {
		struct raw raw = {.is_swapped = is_swapped};
		uint32_t flags = is_swapped ? 0x11223344 : 0x44332211;
		struct cw_packet packet;
		size_t bytes;

		raw_option(&raw, 1, "hello", 5);
		raw_option(&raw, 19373, "12345678", 8); /* marked as not to be copied */
		raw_option(&raw, 2, &flags, 4);
		raw_option(&raw, 2, "12", 2); /* not what flags look like */
		raw_option(&raw, 3, "\2hash", 5);
		raw_option(&raw, 1, "", 0);
		raw_option(&raw, 0, "", 0);
		raw_option(&raw, 1, "after the end", 13);
		packet = packet_with(&raw, memory);
		assert_int_equal(cw_format_options_bytes(&packet), sizeof(expected));
		assert_int_equal(cw_format_options(&packet, file), sizeof(expected));
		assert_memory_equal(file, expected, sizeof(expected));

		/* Also behind data that a snaplen cuts. */
		bytes = cw_format_record_bytes(CW_FORMAT_PCAPNG, &packet, 2);
		assert_int_equal(bytes, 32 + 4 + sizeof(expected));
		cw_format_record(CW_FORMAT_PCAPNG, &packet, 2, 3, bytes, file);
		assert_int_equal(cw_load_u32(file + 8, 0), 3);
		assert_memory_equal(file + 28, "\1\2\0\0", 4);
		assert_memory_equal(file + 32, expected, sizeof(expected));
		assert_int_equal(cw_load_u32(file + bytes - 4, 0), bytes);
	}
}

static void options_without_kept_ones_take_no_room(void **state)
{
	struct raw raw = {0};
	uint8_t memory[300];
	struct cw_packet packet;

	(void)state;
	raw_option(&raw, 19372, "12345678", 8);
	raw_option(&raw, 0, "", 0);
	packet = packet_with(&raw, memory);
	assert_int_equal(cw_format_options_bytes(&packet), 0);
	assert_int_equal(cw_format_options(&packet, file), 0);
	assert_int_equal(cw_format_record_bytes(CW_FORMAT_PCAPNG, &packet, UINT32_MAX), 40);
	assert_int_equal(cw_format_record_bytes(CW_FORMAT_PCAP_NS, &packet, UINT32_MAX), 21);
}

static void options_before_a_malformed_one_are_kept(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < 24; cut++) { /* the second comment cut at every byte */
		struct raw raw = {0};
		struct cw_packet packet;
		uint8_t *memory;

		raw_option(&raw, 1, "one", 3);
		raw_option(&raw, 1, "sixteen letters!", 16);
		raw.used -= 20 - (cut < 20 ? cut : 20);
		memory = malloc(8 + raw.used); /* exactly: reading beyond is a report */
		packet = packet_with(&raw, memory);
		assert_int_equal(cw_format_options_bytes(&packet), cut < 20 ? 8 + 4 : 8 + 20 + 4);
		free(memory);
	}
}

static void options_that_changed_after_counting_stay_within_their_room(void **state)
{
	struct raw raw = {0};
	uint8_t memory[300];
	struct cw_packet packet;
	size_t bytes;
	uint64_t count, data_bytes;

	(void)state;
	raw_option(&raw, 1, "first", 5);
	raw_option(&raw, 1, "second comment", 14);
	packet = packet_with(&raw, memory);
	bytes = cw_format_record_bytes(CW_FORMAT_PCAPNG, &packet, UINT32_MAX);
	memset(memory + 8, 0, raw.used); /* a truncated mapping reads as zeros */
	cw_format_record(CW_FORMAT_PCAPNG, &packet, UINT32_MAX, 0, bytes, file);
	assert_int_equal(
	    cw_format_whole_records(CW_FORMAT_PCAPNG, file, bytes, &count, &data_bytes), bytes);
	assert_int_equal(count, 1);
	for (size_t i = 36; i < bytes - 4; i++)
		assert_int_equal(file[i], 0);

	/* And options that grew do not go beyond it. */
	bytes = cw_format_record_bytes(CW_FORMAT_PCAPNG, &packet, UINT32_MAX) + 12;
	packet = packet_with(&raw, memory);
	memset(file, 0xee, sizeof(file));
	cw_format_record(CW_FORMAT_PCAPNG, &packet, UINT32_MAX, 0, bytes, file);
	assert_int_equal(file[bytes], 0xee);
	assert_int_equal(
	    cw_format_whole_records(CW_FORMAT_PCAPNG, file, bytes, &count, &data_bytes), bytes);
}

/* Torn tails ---------------------------------------------------------------------------------- */

static void expect_whole_at_every_byte(enum cw_format format)
{
	size_t used = encode(format, UINT32_MAX);
	size_t start = format == CW_FORMAT_PCAPNG ? 28 : 24;
	size_t ends[PACKETS + 2] = {0};
	size_t known = 1;
	uint64_t count, data_bytes;

	if (format == CW_FORMAT_PCAPNG)
		ends[known++] = cw_load_u32(file + start + 4, 0); /* the interface block */
	for (uint32_t i = 0; i < PACKETS; i++, known++) {
		struct cw_packet packet = packet_of(i);

		ends[known] = ends[known - 1] + cw_format_record_bytes(format, &packet, UINT32_MAX);
	}
	assert_int_equal(start + ends[known - 1], used);
	for (size_t bytes = 0, whole = 0; bytes <= used - start; bytes++) {
		uint8_t *exact = malloc(bytes + !bytes);

		memcpy(exact, file + start, bytes);
		while (whole + 1 < known && ends[whole + 1] <= bytes)
			whole++;
		assert_int_equal(cw_format_whole_records(format, exact, bytes, &count, &data_bytes),
				 ends[whole]);
		assert_int_equal(count, format != CW_FORMAT_PCAPNG ? whole : whole ? whole - 1 : 0);
		free(exact);
	}
}

static void a_torn_tail_is_found_at_every_byte(void **state)
{
	(void)state;
	expect_whole_at_every_byte(CW_FORMAT_PCAP_US);
	expect_whole_at_every_byte(CW_FORMAT_PCAPNG);
}

static void damaged_blocks_end_the_walk(void **state)
{
	struct cw_packet packet = packet_of(4);
	size_t bytes = cw_format_record_bytes(CW_FORMAT_PCAPNG, &packet, UINT32_MAX);
	static const uint32_t lengths[] = {0, 8, 11, 28, 34, 40, 0xfffffffc, 0xffffffff};
	uint64_t count, data_bytes;

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(lengths); i++) {
		cw_format_record(CW_FORMAT_PCAPNG, &packet, UINT32_MAX, 0, bytes, file);
		cw_store_u32(file + 4, lengths[i]);
		if (lengths[i] == 28)
			cw_store_u32(file + 24, 28); /* a right trailer, too short for its type */
		assert_int_equal(
		    cw_format_whole_records(CW_FORMAT_PCAPNG, file, bytes, &count, &data_bytes), 0);
		assert_int_equal(count, 0);
	}
	cw_format_record(CW_FORMAT_PCAPNG, &packet, UINT32_MAX, 0, bytes, file);
	file[bytes - 4]++;
	assert_int_equal(
	    cw_format_whole_records(CW_FORMAT_PCAPNG, file, bytes, &count, &data_bytes), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(libpcap_reads_back_every_format),
	    cmocka_unit_test(fraction_of_a_second_or_more_keeps_its_field_where_it_fits),
	    cmocka_unit_test(the_section_header_is_as_specified),
	    cmocka_unit_test(an_interface_block_is_as_specified),
	    cmocka_unit_test(a_section_header_with_options_is_as_specified),
	    cmocka_unit_test(times_beyond_32_bits_are_refused_by_pcap_only),
	    cmocka_unit_test(options_are_kept_in_both_byte_orders),
	    cmocka_unit_test(options_without_kept_ones_take_no_room),
	    cmocka_unit_test(options_before_a_malformed_one_are_kept),
	    cmocka_unit_test(options_that_changed_after_counting_stay_within_their_room),
	    cmocka_unit_test(a_torn_tail_is_found_at_every_byte),
	    cmocka_unit_test(damaged_blocks_end_the_walk),
	};

	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * 37 + 11);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
