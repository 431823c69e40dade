/* SPDX-License-Identifier: BSD-3-Clause */
/* The parser of capture files: spans, decoding that stays within them, damage at random. */
#include <errno.h>

#include <pcap/pcap.h>

#include "tests/rig/feed.h"
#include "tests/core/format/image_rig.h"

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
	    cw_pcapfile_scan(&file, &(struct cw_pcapfile_shown){image.data, image.bytes, true},
			     &(struct cw_pcapfile_limits){0, 0}, &step, &error),
	    CW_PCAPFILE_SPAN);
	assert_int_equal(step.consumed, 24);
	assert_int_equal(step.span.record_count, 0);
	assert_int_equal(
	    cw_pcapfile_scan(&file,
			     &(struct cw_pcapfile_shown){image.data + 24, image.bytes - 24, true},
			     &(struct cw_pcapfile_limits){10, 99}, &step, &error),
	    CW_PCAPFILE_SPAN);
	assert_int_equal(step.span.record_count, 1);
	assert_int_equal(
	    cw_pcapfile_scan(&file,
			     &(struct cw_pcapfile_shown){image.data + 124, image.bytes - 124, true},
			     &(struct cw_pcapfile_limits){299, 99}, &step, &error),
	    CW_PCAPFILE_SPAN);
	assert_int_equal(step.span.record_count, 2);
	cw_pcapfile_trim(&file, &step, 199);
	assert_int_equal(step.span.record_count, 1);
	assert_int_equal(step.consumed, 100);
	assert_int_equal(file.offset, 224);
	assert_int_equal(
	    cw_pcapfile_scan(&file,
			     &(struct cw_pcapfile_shown){image.data + 224, image.bytes - 224, true},
			     &(struct cw_pcapfile_limits){9999, 3}, &step, &error),
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
	put_idb(&image, 104, 0, (uint16_t[]){2, 1, 'a', 0}, 8);
	put_epb(&image, 0, 1, 4, 4, 4);
	put_idb(&image, 113, 0, NULL, 0);
	put_epb(&image, 0, 1, 4, 4, 4);
	put_epb(&image, 1, 1, 4, 4, 4);
	cw_ifaces_fini(&ifaces);
	cw_pcapfile_init(&file, &ifaces, 0, CW_LINKTYPE_ANY);
	seen_free(&list);
	assert_int_equal(
	    cw_pcapfile_scan(&file, &(struct cw_pcapfile_shown){image.data, image.bytes, true},
			     &(struct cw_pcapfile_limits){SIZE_MAX, 99}, &step, &error),
	    CW_PCAPFILE_SPAN);
	see_span(&list, &step.span, 8);
	at = step.consumed;
	assert_int_equal(cw_ifaces_add(&ifaces, &other), 1); /* as if another input was opened */
	assert_int_equal(
	    cw_pcapfile_scan(&file,
			     &(struct cw_pcapfile_shown){image.data + at, image.bytes - at, true},
			     &(struct cw_pcapfile_limits){SIZE_MAX, 99}, &step, &error),
	    CW_PCAPFILE_SPAN);
	see_span(&list, &step.span, 8);
	assert_int_equal(list.count, 3);
	assert_int_equal(cw_ifaces_at(&ifaces, list.items[1].iface)->linktype, 104);
	assert_string_equal(cw_ifaces_at(&ifaces, list.items[1].iface)->name, "a");
	assert_int_equal(cw_ifaces_at(&ifaces, list.items[2].iface)->linktype, 113);
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
		assert_int_equal(
		    cw_pcapfile_scan(&file,
				     &(struct cw_pcapfile_shown){image.data, image.bytes, true},
				     &(struct cw_pcapfile_limits){SIZE_MAX, 99}, &step, &error),
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
			put_pcap_header(&image, kind ? MAGIC_US : MAGIC_NS, 2, 4, 65535, 101);
			put_pcap_record(&image, 1, 0, 9, 30, 9);
			put_shb(&image, 1, 0);
			put_clock(9, 0);
			put_epb(&image, 0, 1, 9, 9, 9);
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
			if (round % 7 == 0) /* to the end, or before other bytes */
				memset(copy + bytes - bytes / 3, 0, bytes / (round % 2 ? 3 : 4));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(spans_keep_their_limits_but_hold_one_record),
	    cmocka_unit_test(sections_of_two_inputs_do_not_mix_interfaces),
	    cmocka_unit_test(decoding_stays_in_the_span_when_its_bytes_change),
	    cmocka_unit_test(fuzzed_images_are_read_the_same_whole_and_in_pieces),
	    cmocka_unit_test(link_types_map_as_this_libpcap_maps_them),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, NULL, free_all);
}
