/* SPDX-License-Identifier: BSD-3-Clause */
/* Images of capture files, read whole and in pieces, and what must come out. */
#ifndef CW_TESTS_CORE_FORMAT_IMAGE_RIG_H
#define CW_TESTS_CORE_FORMAT_IMAGE_RIG_H

#include "core/format/pcapfile.h"
#include "tests/rig/capture.h"

#define MAGIC_US 0xA1B2C3D4u
#define MAGIC_NS 0xA1B23C4Du
#define MAGIC_KUZNETZOV 0xA1B2CD34u
#define SEED UINT64_C(20240611)

static struct image image;
static struct cw_ifaces ifaces;
static struct cw_pcapfile file;
static struct seen_list list;

/* Read the image; `step_bytes_max` 0 = whole, else in pieces of up to that. */
static inline void read_pieces(size_t step_bytes_max, size_t span_bytes, uint32_t span_records)
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
		result = cw_pcapfile_scan(
		    &file, &(struct cw_pcapfile_shown){copy, shown - at, shown == image.bytes},
		    &(struct cw_pcapfile_limits){span_bytes, span_records}, &step, &error);
		if (result == CW_PCAPFILE_SPAN) {
			assert_true(step.span.record_count > 0);
			assert_true(step.span.record_count <= span_records);
			assert_int_equal(step.span.offset + step.span.bytes + file.zero_bytes,
					 at + step.consumed);
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
static inline void read_image(void)
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

static inline void start(int is_swapped)
{
	image.is_swapped = is_swapped;
	image.bytes = 0;
}

static inline void expect(size_t index, uint64_t ts_ns, uint32_t caplen, uint32_t wire_len)
{
	assert_true(index < list.count);
	assert_int_equal(list.items[index].ts_ns, ts_ns);
	assert_int_equal(list.items[index].caplen, caplen);
	assert_int_equal(list.items[index].wire_len, wire_len);
}

static inline void expect_end(int result, size_t count, const char *words)
{
	assert_int_equal(list.result, result);
	assert_int_equal(list.count, count);
	if (words && !strstr(list.text, words))
		fail_msg("\"%s\" does not say \"%s\"", list.text, words);
}

/* An interface with if_tsresol and, unless 0, if_tsoffset. */
static inline void put_clock(uint8_t resolution, int64_t offset_s)
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

static inline int free_all(void **state)
{
	(void)state;
	seen_free(&list);
	cw_ifaces_fini(&ifaces);
	return 0;
}

#endif
