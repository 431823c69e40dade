/* SPDX-License-Identifier: BSD-3-Clause */
/* Records copied as their file holds them, compared with records that are encoded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/format/encode.h"

#define SEED UINT64_C(0x5eed0018)
#define ROUNDS 20000u
#define CAPLEN_MAX 1600u
#define AFTER_MAX 200u /* bytes after the record: of the span, and of the room */
#define UNTOUCHED 0xee

static uint64_t random_state = SEED;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)((random_state >> 33) % limit);
}

static struct cw_layout layout_of(enum cw_format format)
{
	return (struct cw_layout){
	    .record_header_bytes = 16,
	    .ts_unit_ns = format == CW_FORMAT_PCAP_US ? 1000 : 1,
	    .caplen_max = CW_CAPLEN_MAX,
	    .caplen_cut = random_below(8) ? CW_CAPLEN_MAX : random_below(CAPLEN_MAX),
	};
}

static struct cw_span span_of(enum cw_format format)
{
	uint32_t caplen = random_below(random_below(2) ? CAPLEN_MAX : 100);
	size_t bytes = CW_PCAP_RECORD_BYTES + caplen + random_below(AFTER_MAX);
	uint8_t *data = malloc(bytes); /* of that length: AddressSanitizer sees each byte beyond */

	for (size_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)random_below(256);
	if (random_below(8)) /* otherwise a fraction of a second or more is likely */
		cw_store_u32(data + 4, random_below(1000000));
	cw_store_u32(data + 8, caplen);
	return (struct cw_span){.data = data, .bytes = bytes, .layout = layout_of(format)};
}

static void expect_same(enum cw_format format, const struct cw_span *span,
			const struct cw_packet *packet, uint32_t snaplen)
{
	size_t bytes = cw_format_record_bytes(format, packet, snaplen);
	size_t room = bytes + random_below(AFTER_MAX);
	uint8_t *expected = malloc(bytes), *copied = malloc(room);

	memset(copied, UNTOUCHED, room);
	cw_format_record(format, packet, snaplen, 0, bytes, expected);
	if (cw_format_verbatim(packet, snaplen, span->data + span->bytes, copied, copied + room)) {
		assert_false(packet->flags & CW_PACKET_TRUNCATED);
		assert_true(packet->caplen <= snaplen);
		assert_memory_equal(copied, expected, bytes);
	} else {
		assert_true(packet->flags || packet->caplen > snaplen);
		for (size_t i = 0; i < room; i++)
			assert_int_equal(copied[i], UNTOUCHED);
	}
	free(expected);
	free(copied);
}

static void a_verbatim_record_has_the_bytes_of_the_encoded_one(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		enum cw_format format = random_below(2) ? CW_FORMAT_PCAP_US : CW_FORMAT_PCAP_NS;
		struct cw_span span = span_of(format);
		struct cw_cursor cursor = {0};
		struct cw_packet packet;

		assert_true(cw_format_is_verbatim(format, &span.layout));
		assert_int_equal(cw_span_decode(&span, &cursor, &packet, 1), 1);
		expect_same(format, &span, &packet,
			    random_below(4) ? UINT32_MAX : random_below(CAPLEN_MAX));
		free((void *)span.data);
	}
}

static void a_record_changed_after_decoding_keeps_its_length(void **state)
{
	uint8_t record[16 + 60 + 64] = {[8] = 60, [12] = 60}, copied[128];
	struct cw_packet packet = {.data = record + 16, .caplen = 60, .wire_len = 60};

	(void)state;
	cw_store_u32(record + 8, 1u << 30);
	assert_true(cw_format_verbatim(&packet, UINT32_MAX, record + sizeof(record), copied,
				       copied + sizeof(copied)));
	assert_int_equal(cw_load_u32(copied + 8, 0), 60);
}

static void records_of_another_layout_are_encoded(void **state)
{
	const struct cw_layout us = layout_of(CW_FORMAT_PCAP_US), ns = layout_of(CW_FORMAT_PCAP_NS);
	struct cw_layout other[7];

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(other); i++)
		other[i] = us;
	other[0].is_pcapng = 1;
	other[1].is_ring = 1;
	other[2].is_frames = 1;
	other[3].is_swapped = 1;
	other[4].has_swapped_lengths = CW_LENGTHS_SWAPPED;
	other[5].has_swapped_lengths = CW_LENGTHS_MAYBE_SWAPPED;
	other[6].record_header_bytes = 24;
	for (size_t i = 0; i < CW_ARRAY_COUNT(other); i++)
		assert_false(cw_format_is_verbatim(CW_FORMAT_PCAP_US, &other[i]));
	assert_false(cw_format_is_verbatim(CW_FORMAT_PCAP_NS, &us));
	assert_false(cw_format_is_verbatim(CW_FORMAT_PCAP_US, &ns));
	assert_false(cw_format_is_verbatim(CW_FORMAT_PCAPNG, &ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_verbatim_record_has_the_bytes_of_the_encoded_one),
	    cmocka_unit_test(a_record_changed_after_decoding_keeps_its_length),
	    cmocka_unit_test(records_of_another_layout_are_encoded),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
