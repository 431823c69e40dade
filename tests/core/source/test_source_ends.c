/* SPDX-License-Identifier: BSD-3-Clause */
/* Packed inputs and pipes at their ends: damage, bytes after a gzip member, a silent pipe. */
#include <errno.h>

#include "tests/core/source/pack_rig.h"
#include "tests/core/source/source_rig.h"

static void damaged_packed_data_gives_what_is_whole_and_an_error(void **state)
{
	size_t bytes, packed_bytes;
	uint8_t *data, *packed;
	struct seen_list list;
	int is_gzip;

	(void)state;
	data = read_file(make_large("large", 40000), &bytes);
	for (is_gzip = 0; is_gzip < 2; is_gzip++) {
		packed = pack(data, bytes, is_gzip, &packed_bytes);
		read_source(write_file("packed", packed, packed_bytes - 5), &plain, 1 << 18, &list);
		assert_int_equal(list.result, -EBADMSG);
		assert_true(list.count > 1000 && list.count <= 40000);
		assert_non_null(strstr(list.text, "truncated"));
		seen_free(&list);
		packed[packed_bytes - 9] ^= 0x55;
		packed[packed_bytes - 2000] ^= 0x55;
		read_source(write_file("packed", packed, packed_bytes), &plain, 1 << 18, &list);
		assert_int_equal(list.result, -EBADMSG);
		assert_true(list.count > 1000);
		seen_free(&list);
		free(packed);
	}
	free(data);
}

/* The call that finds it has given the member's whole content. */
static void a_wrong_sum_or_length_of_a_gzip_member_is_named_after_its_packets(void **state)
{
	static const struct {
		size_t from_end;
		const char *text;
	} cases[] = {{8, "incorrect data check"}, {1, "incorrect length check"}};
	size_t bytes, packed_bytes;
	uint8_t *data = read_file(make_large("small", 100), &bytes);

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		uint8_t *packed = pack(data, bytes, true, &packed_bytes);
		struct seen_list list;

		packed[packed_bytes - cases[i].from_end] ^= 0x55;
		read_source(write_file("packed", packed, packed_bytes), &plain, 1 << 18, &list);
		assert_int_equal(list.result, -EBADMSG);
		assert_int_equal(list.count, 100);
		assert_non_null(strstr(list.text, cases[i].text));
		seen_free(&list);
		free(packed);
	}
	free(data);
}

/* What follows a gzip member of 50 packets, and how reading ends. */
static const struct after_member {
	size_t zeros;
	const char *bytes;
	bool has_member; /* with 50 packets more */
	int result;
	const char *text;
} after_members[] = {
    {0, "", true, 0, ""},
    {700, "", false, 0, ""}, /* on a tape, say */
    {1, "", true, 0, ""},
    {700, "", true, 0, ""},
    {300000, "", true, 0, ""}, /* more than is read at once */
    {0, "x", false, -EBADMSG, "neither gzip data nor padding"},
    {0, "junk at end", false, -EBADMSG, "neither gzip data nor padding"},
    {0, "\x1F", false, -EBADMSG, "neither gzip data nor padding"},
    {512, "x", false, -EBADMSG, "neither gzip data nor padding"},
    {300000, "\x1F", false, -EBADMSG, "neither gzip data nor padding"},
    {0, "\x1Fx", true, -EBADMSG, "neither gzip data nor padding"},
    {0, "x", true, -EBADMSG, "neither gzip data nor padding"},
    {3, "\x1F\x8B", false, -EBADMSG, "truncated"},
    {0, "\x1F\x8B\x07", true, -EBADMSG, "damaged"},
};

static void check_after_member(const struct after_member *after)
{
	size_t bytes, first_bytes, second_bytes, tail_bytes = strlen(after->bytes);
	uint8_t *data = read_file(make_large("small", 100), &bytes);
	size_t half = 24 + 50 * RECORD_BYTES;
	uint8_t *first = pack(data, half, true, &first_bytes);
	uint8_t *second = pack(data + half, bytes - half, true, &second_bytes);
	uint8_t *joined = calloc(1, first_bytes + after->zeros + tail_bytes + second_bytes);
	size_t joined_bytes = first_bytes + after->zeros;
	const char *path;

	memcpy(joined, first, first_bytes);
	memcpy(joined + joined_bytes, after->bytes, tail_bytes);
	joined_bytes += tail_bytes;
	if (after->has_member) {
		memcpy(joined + joined_bytes, second, second_bytes);
		joined_bytes += second_bytes;
	}
	path = write_file("joined", joined, joined_bytes);
	for (int is_pipe = 0; is_pipe < (after->zeros < 1000 ? 2 : 1); is_pipe++) {
		char pipe_path[32];
		struct feeder feeder;
		struct seen_list list;

		if (is_pipe)
			snprintf(pipe_path, sizeof(pipe_path), "/dev/fd/%d",
				 start_feed(&feeder, joined, joined_bytes, true));
		read_source(is_pipe ? pipe_path : path, &plain, 1 << 18, &list);
		if (is_pipe)
			end_feed(&feeder);
		assert_int_equal(list.result, after->result);
		assert_non_null(strstr(list.text, after->text));
		assert_int_equal(list.count, after->has_member && !after->result ? 100 : 50);
		seen_free(&list);
	}
	free(joined);
	free(second);
	free(first);
	free(data);
}

static void after_a_gzip_member_zeros_are_padding_and_other_bytes_damage(void **state)
{
	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(after_members); i++) {
		print_message("case %zu\n", i);
		check_after_member(&after_members[i]);
	}
}

static void a_zstd_window_that_is_too_large_is_not_called_damage(void **state)
{
	/* A frame of one raw block; the window descriptor claims 256 MiB. */
	static const uint8_t frame[] = {0x28, 0xB5, 0x2F, 0xFD, 0x00, 18 << 3, 0x09, 0, 0, 'x'};
	struct seen_list list;

	(void)state;
	read_source(write_file("window", frame, sizeof(frame)), &plain, 1, &list);
	assert_int_equal(list.result, -EPROTONOSUPPORT);
	assert_non_null(strstr(list.text, "window of more than 128 MiB"));
	assert_null(strstr(list.text, "damage"));
}

/* Appends the records of the source that are ready. Returns what ended them. */
static int read_ready(struct cw_source *source, struct seen_list *list)
{
	struct cw_error error = {0};
	struct cw_lease lease;
	struct cw_span span;
	int result;

	while ((result = cw_source_next(source, 1 << 18, 1000, &span, &lease, &error)) == 1) {
		see_span(list, &span, 7);
		cw_lease_give_back(&lease);
	}
	return result;
}

/* The bytes as they are, or as gzip, each part flushed. */
static size_t deflate_part(z_stream *gzip, const uint8_t *from, size_t bytes, bool is_last,
			   uint8_t *to, size_t room)
{
	gzip->next_in = (uint8_t *)(uintptr_t)from;
	gzip->avail_in = (uInt)bytes;
	gzip->next_out = to;
	gzip->avail_out = (uInt)room;
	deflate(gzip, is_last ? Z_FINISH : Z_SYNC_FLUSH);
	return room - gzip->avail_out;
}

static void check_silent_pipe(bool is_gzip)
{
	static const size_t parts[] = {24 + 2 * RECORD_BYTES + 50, 10, RECORD_BYTES - 60, 0};
	static const size_t ready[] = {2, 2, 3, 5};
	struct cw_error error = {0};
	struct seen_list list = {0};
	struct cw_source *source = NULL;
	struct cw_ifaces ifaces;
	uint8_t packed[4096];
	z_stream gzip = {0};
	size_t bytes, at = 0;
	uint8_t *data = read_file(make_large("few", 5), &bytes);
	char path[32];
	int ends[2];

	assert_int_equal(deflateInit2(&gzip, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(pipe(ends), 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	cw_ifaces_init(&ifaces);
	for (size_t i = 0; i < CW_ARRAY_COUNT(parts); i++) {
		bool is_last = i == CW_ARRAY_COUNT(parts) - 1;
		size_t part = is_last ? bytes - at : parts[i];
		const uint8_t *from = is_gzip ? packed : data + at;
		size_t count =
		    is_gzip ? deflate_part(&gzip, data + at, part, is_last, packed, sizeof(packed))
			    : part;

		assert_int_equal(write(ends[1], from, count), count);
		at += part;
		if (is_last)
			close(ends[1]);
		if (i == 0) {
			assert_int_equal(cw_source_open(&source, path, &ifaces, &plain, &error), 0);
			assert_true(cw_source_set_idle(source, 0));
		}
		for (int again = 0; again < 2; again++)
			assert_int_equal(read_ready(source, &list), is_last ? 0 : -ETIME);
		assert_int_equal(list.count, ready[i]);
	}
	for (size_t i = 0; i < list.count; i++)
		assert_int_equal(list.items[i].ts_ns, (i + 1) * CW_NS_PER_S + 9);
	seen_free(&list);
	cw_source_close(source);
	cw_ifaces_fini(&ifaces);
	deflateEnd(&gzip);
	close(ends[0]);
	free(data);
}

static void a_silent_pipe_ends_the_wait_and_continues_later(void **state)
{
	struct cw_error error = {0};
	struct cw_source *source;
	struct cw_ifaces ifaces;

	(void)state;
	check_silent_pipe(false);
	check_silent_pipe(true);
	cw_ifaces_init(&ifaces);
	assert_int_equal(cw_source_open(&source, make_large("few", 5), &ifaces, &plain, &error), 0);
	assert_false(cw_source_set_idle(source, 0)); /* a regular file */
	cw_source_close(source);
	cw_ifaces_fini(&ifaces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(damaged_packed_data_gives_what_is_whole_and_an_error),
	    cmocka_unit_test(a_wrong_sum_or_length_of_a_gzip_member_is_named_after_its_packets),
	    cmocka_unit_test(after_a_gzip_member_zeros_are_padding_and_other_bytes_damage),
	    cmocka_unit_test(a_zstd_window_that_is_too_large_is_not_called_damage),
	    cmocka_unit_test(a_silent_pipe_ends_the_wait_and_continues_later),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
