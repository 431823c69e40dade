/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a dumper copies of its handle's input beside packets, and which packets a format refuses.
 * The inputs are written as capweir writes pcapng, so copies are compared byte for byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <capweir/capweir.h>

#include "core/base/base.h"
#include "tests/rig/capture.h"

#define LINKTYPE_RAW 101u

static char folder[] = "/tmp/capweir-contents-XXXXXX";
static char input[128], output[128];
static struct image image, expected;

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(input, sizeof(input), "%s/input", folder);
	snprintf(output, sizeof(output), "%s/output", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(input);
	unlink(output);
	return rmdir(folder);
}

static struct cw_handle *open_image(const struct image *from)
{
	FILE *file = fopen(input, "wb");
	struct cw_handle *handle;

	assert_int_equal(fwrite(from->data, from->bytes, 1, file), 1);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(cw_handle_open_offline(&handle, input, NULL), 0);
	return handle;
}

static void expect_output(const struct image *image_)
{
	FILE *file = fopen(output, "rb");
	static uint8_t data[IMAGE_BYTES_MAX];
	size_t bytes = fread(data, 1, sizeof(data), file);

	fclose(file);
	assert_int_equal(bytes, image_->bytes);
	assert_memory_equal(data, image_->data, bytes);
}

/* ---- what pcapng copies ---- */

static const uint8_t iface_options[] = {9, 0, 1, 0, 9, 0, 0, 0,             /* if_tsresol */
					8, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, /* if_speed */
					0, 0, 0, 0};

static void put_section(struct image *to)
{
	static struct image body;

	body.bytes = 0;
	put_u32(&body, 0x1A2B3C4D);
	put_u16(&body, 1);
	put_u16(&body, 0);
	put_u64(&body, UINT64_MAX);
	put_u16(&body, 2); /* shb_hardware */
	put_u16(&body, 4);
	put_bytes(&body, "cpu9", 4);
	put_u32(&body, 0);
	put_block(to, 0x0A0D0D0A, body.data, body.bytes);
}

static void put_secrets(struct image *to, const char data[4])
{
	static struct image body;

	body.bytes = 0;
	put_u32(&body, 0x544C534B);
	put_u32(&body, 4);
	put_bytes(&body, data, 4);
	put_block(to, 10, body.data, body.bytes);
}

static void put_names(struct image *to)
{
	put_block(to, 4, "\1\0\11\0\12\0\0\1host\0\0\0\0\0\0\0\0", 20);
}

static void put_commented_packet(struct image *to, uint32_t iface)
{
	static struct image body;

	body.bytes = 0;
	put_u32(&body, iface);
	put_u64(&body, 0);
	put_u32(&body, 8);
	put_u32(&body, 8);
	put_pattern(&body, 1, 8);
	put_bytes(&body, "\1\0\4\0note\0\0\0\0", 12);
	put_block(to, 6, body.data, body.bytes);
}

/* A file with all that is copied, with or without secrets. */
static void put_file(struct image *to, bool has_secrets)
{
	memset(to, 0, sizeof(*to));
	put_section(to);
	if (has_secrets)
		put_secrets(to, "key1");
	put_names(to);
	put_idb(to, CW_LINKTYPE_ETHERNET, 64, iface_options, sizeof(iface_options));
	put_commented_packet(to, 0);
	put_block(to, 0xBAD, "\0\0\200\1data", 8);
	if (has_secrets)
		put_secrets(to, "key2");
	put_epb(to, 0, 1, 44, 44, 44);
	put_idb(to, LINKTYPE_RAW, 0, iface_options, sizeof(iface_options));
	put_epb(to, 1, 2, 40, 40, 40);
	put_names(to);
	if (has_secrets)
		put_secrets(to, "key3"); /* after the last packet */
}

static void pcapng_copies_options_and_blocks_of_the_input(void **state)
{
	(void)state;
	put_file(&image, true);
	for (int keeps = 0; keeps < 2; keeps++) {
		struct cw_handle *handle = open_image(&image);
		struct cw_dumper *dumper;
		struct cw_packet packet;

		put_file(&expected, keeps);
		assert_int_equal(cw_dumper_open(&dumper, handle, output, CW_DUMPER_PCAPNG, NULL),
				 0);
		if (!keeps)
			cw_dumper_discard_secrets(dumper);
		while (cw_handle_next(handle, &packet) == CW_NEXT_OK)
			assert_int_equal(cw_dumper_write(dumper, &packet), 0);
		assert_int_equal(cw_dumper_close(dumper), 0);
		cw_handle_free(handle);
		expect_output(&expected);
	}
}

/* Two dumpers share the packets: each has the blocks that its own packets need. */
static void a_dumper_opened_late_has_what_came_before(void **state)
{
	struct cw_handle *handle;
	struct cw_dumper *dumper;
	struct cw_packet packet;

	(void)state;
	put_file(&image, true);
	handle = open_image(&image);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_OK);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_OK);
	assert_int_equal(cw_dumper_open(&dumper, handle, output, CW_DUMPER_PCAPNG, NULL), 0);
	assert_int_equal(cw_dumper_write(dumper, &packet), 0);
	assert_int_equal(cw_dumper_close(dumper), 0);
	cw_handle_free(handle);
	expected = (struct image){0};
	put_section(&expected);
	put_secrets(&expected, "key1");
	put_names(&expected);
	put_block(&expected, 0xBAD, "\0\0\200\1data", 8);
	put_secrets(&expected, "key2");
	put_idb(&expected, CW_LINKTYPE_ETHERNET, 64, iface_options, sizeof(iface_options));
	put_epb(&expected, 0, 1, 44, 44, 44);
	expect_output(&expected);
}

/* Blocks of a section without a packet in the file stay out of it. */
static void blocks_of_other_sections_are_not_copied(void **state)
{
	struct cw_handle *handle;
	struct cw_dumper *dumper;
	struct cw_packet packet, last = {0};

	(void)state;
	put_file(&image, true);
	put_shb(&image, 1, 0);
	put_idb(&image, CW_LINKTYPE_ETHERNET, 64, iface_options, sizeof(iface_options));
	put_epb(&image, 0, 9, 44, 44, 44);
	handle = open_image(&image);
	assert_int_equal(cw_dumper_open(&dumper, handle, output, CW_DUMPER_PCAPNG, NULL), 0);
	while (cw_handle_next(handle, &packet) == CW_NEXT_OK)
		last = packet;
	assert_int_equal(last.ts_ns, 9);
	assert_int_equal(cw_dumper_write(dumper, &last), 0);
	assert_int_equal(cw_dumper_close(dumper), 0);
	cw_handle_free(handle);
	expected = (struct image){0};
	put_section(&expected); /* a file has one section: the one read when it was opened */
	put_idb(&expected, CW_LINKTYPE_ETHERNET, 64, iface_options, sizeof(iface_options));
	put_epb(&expected, 0, 9, 44, 44, 44);
	expect_output(&expected);
}

/* ---- link types and lengths ---- */

static void put_mixed(struct image *to)
{
	*to = (struct image){0};
	put_shb(to, 1, 0);
	put_idb(to, CW_LINKTYPE_ETHERNET, 0, iface_options, sizeof(iface_options));
	put_epb(to, 0, 1, 44, 44, 44);
	put_idb(to, LINKTYPE_RAW, 0, iface_options, sizeof(iface_options));
	put_epb(to, 1, 2, 40, 40, 40);
}

static void a_pcap_file_refuses_packets_of_other_link_types(void **state)
{
	static const int results[] = {0, CW_OTHER_LINKTYPE, CW_OTHER_LINKTYPE, 0};
	struct cw_handle *handle;
	struct cw_dumper *dumper;
	struct cw_packet packet;

	(void)state;
	put_mixed(&image);
	put_epb(&image, 7, 3, 44, 44, 44); /* of an interface that does not exist */
	put_epb(&image, 0, 4, 44, 44, 44);
	handle = open_image(&image);
	assert_int_equal(cw_dumper_open(&dumper, handle, output, CW_DUMPER_PCAP_NS, NULL), 0);
	for (size_t i = 0; i < CW_ARRAY_COUNT(results); i++) {
		assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_OK);
		assert_int_equal(cw_dumper_write(dumper, &packet), results[i]);
	}
	assert_int_equal(cw_dumper_close(dumper), 0);
	cw_handle_free(handle);
	expected = (struct image){0};
	put_pcap_header(&expected, 0xa1b23c4d, 2, 4, CW_CAPLEN_MAX, CW_LINKTYPE_ETHERNET);
	for (uint32_t ns = 1; ns <= 4; ns += 3) {
		put_pcap_record(&expected, 0, ns, 44, 44, 0);
		put_pattern(&expected, (uint8_t)ns, 44);
	}
	expect_output(&expected);
	assert_non_null(strstr(cw_code_text(CW_OTHER_LINKTYPE), "pcapng"));
}

static void a_pcapng_file_describes_the_interface_of_each_link_type(void **state)
{
	struct cw_handle *handle;
	struct cw_dumper *dumper;
	struct cw_packet packet;

	(void)state;
	put_mixed(&image);
	expected = image;
	put_epb(&image, 7, 3, 44, 44, 44);
	handle = open_image(&image);
	assert_int_equal(cw_dumper_open(&dumper, handle, output, CW_DUMPER_PCAPNG, NULL), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_OK);
		assert_int_equal(cw_dumper_write(dumper, &packet), 0);
	}
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_OK);
	assert_int_equal(cw_dumper_write(dumper, &packet), CW_OTHER_LINKTYPE);
	assert_int_equal(cw_dumper_close(dumper), 0);
	cw_handle_free(handle);
	expect_output(&expected);
}

/* A joined file (cat a b) may have packets longer than the first header's snapshot length. */
static void packets_of_joined_files_are_written_whole_or_refused(void **state)
{
	static const enum cw_dumper_format formats[] = {CW_DUMPER_PCAP, CW_DUMPER_PCAPNG};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(formats); i++) {
		struct cw_packet packet;
		struct cw_handle *handle;
		struct cw_dumper *dumper;
		int result = 0;

		image = (struct image){0};
		put_pcap_header(&image, 0xa1b2c3d4, 2, 4, 64, 1);
		put_pcap_record(&image, 1, 0, 64, 64, 64);
		put_pcap_header(&image, 0xa1b2c3d4, 2, 4, 65535, 1);
		put_pcap_record(&image, 2, 0, 1000, 1000, 1000);
		handle = open_image(&image);
		assert_int_equal(cw_dumper_open(&dumper, handle, output, formats[i], NULL), 0);
		while (result == 0 && cw_handle_next(handle, &packet) == CW_NEXT_OK)
			result = cw_dumper_write(dumper, &packet);
		assert_int_equal(packet.caplen, 1000);
		assert_int_equal(result, formats[i] == CW_DUMPER_PCAP ? -EMSGSIZE : 0);
		assert_int_equal(cw_dumper_close(dumper), 0);
		cw_handle_free(handle);
		assert_int_equal(cw_handle_open_offline(&handle, output, NULL), 0);
		assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_OK);
		assert_int_equal(packet.caplen, 64);
		assert_int_equal(cw_handle_next(handle, &packet),
				 result ? CW_NEXT_END : CW_NEXT_OK);
		if (!result)
			assert_int_equal(packet.caplen, 1000);
		cw_handle_free(handle);
	}
}

/* A second header in the middle of a pcap file ends it, for most programs. */
static void a_file_continues_without_a_second_header(void **state)
{
	static const struct {
		enum cw_dumper_format first, second;
		uint32_t linktype;
		int result;
	} cases[] = {{CW_DUMPER_PCAP, CW_DUMPER_PCAP, 1, 0},
		     {CW_DUMPER_PCAP_US, CW_DUMPER_PCAP, 1, 0},
		     {CW_DUMPER_PCAP_US, CW_DUMPER_PCAP_US, 1, 0},
		     {CW_DUMPER_PCAP_US, CW_DUMPER_PCAP_NS, 1, -EEXIST},
		     {CW_DUMPER_PCAP, CW_DUMPER_PCAP, LINKTYPE_RAW, -EEXIST},
		     {CW_DUMPER_PCAP_US, CW_DUMPER_PCAPNG, 1, -EEXIST},
		     {CW_DUMPER_PCAPNG, CW_DUMPER_PCAP_US, 1, -EEXIST},
		     {CW_DUMPER_PCAPNG, CW_DUMPER_PCAPNG, LINKTYPE_RAW, 0}};
	static const int modes[] = {O_WRONLY | O_APPEND, O_RDWR};
	const struct cw_packet packet = {.data = (const uint8_t *)"x", .caplen = 1, .wire_len = 1};

	(void)state;
	for (size_t i = 0; i < 2 * CW_ARRAY_COUNT(cases); i++) {
		struct cw_dumper *dumper = NULL;
		struct cw_handle *handle;
		struct cw_packet again;
		struct cw_error error;
		int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600), result;

		assert_int_equal(cw_dumper_open_fd(&dumper, fd, 1, 0, cases[i / 2].first, NULL), 0);
		assert_int_equal(cw_dumper_write(dumper, &packet), 0);
		assert_int_equal(cw_dumper_close(dumper), 0);
		fd = open(output, modes[i % 2]);
		assert_true(lseek(fd, 0, SEEK_END) > 0);
		result = cw_dumper_open_fd(&dumper, fd, cases[i / 2].linktype, 0,
					   cases[i / 2].second, &error);
		assert_int_equal(result, cases[i / 2].result);
		if (result < 0) {
			assert_null(dumper);
			assert_int_equal(close(fd), 0); /* not taken */
		} else {
			assert_int_equal(cw_dumper_write(dumper, &packet), 0);
			assert_int_equal(cw_dumper_close(dumper), 0);
		}
		assert_int_equal(cw_handle_open_offline(&handle, output, NULL), 0);
		for (int count = result < 0 ? 1 : 2; count; count--)
			assert_int_equal(cw_handle_next(handle, &again), CW_NEXT_OK);
		assert_int_equal(cw_handle_next(handle, &again), CW_NEXT_END);
		cw_handle_free(handle);
		if (cases[i / 2].second != CW_DUMPER_PCAPNG && result == 0) {
			struct stat status;

			assert_int_equal(stat(output, &status), 0);
			assert_int_equal(status.st_size, 24 + 2 * 17);
		}
	}
}

/* Without a free descriptor the file cannot be looked at: it gets no second header. */
static void a_file_that_cannot_be_read_is_not_continued(void **state)
{
	struct cw_dumper *dumper;
	struct cw_error error;
	struct rlimit old, tight;
	struct stat status;
	int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600), result;

	(void)state;
	image = (struct image){0};
	put_pcap_header(&image, 0xa1b2c3d4, 2, 4, 64, 1);
	assert_int_equal(write(fd, image.data, image.bytes), image.bytes);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	tight = (struct rlimit){(rlim_t)fd + 1, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	result = cw_dumper_open_fd(&dumper, fd, 1, 0, CW_DUMPER_PCAP, &error);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(result, -EMFILE);
	assert_null(dumper);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, image.bytes);
	close(fd);
}

static void a_file_that_ends_in_a_record_does_not_continue(void **state)
{
	struct cw_dumper *dumper = NULL;
	struct cw_error error;
	struct stat status;
	int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	(void)state;
	image = (struct image){0};
	put_pcap_header(&image, 0xa1b2c3d4, 2, 4, 64, 1);
	put_pcap_record(&image, 1, 0, 64, 64, 63);
	assert_int_equal(write(fd, image.data, image.bytes), image.bytes);
	assert_int_equal(cw_dumper_open_fd(&dumper, fd, 1, 0, CW_DUMPER_PCAP, &error), -EBADMSG);
	assert_null(dumper);
	assert_non_null(strstr(error.text, "truncated"));
	assert_int_equal(write(fd, "x", 1), 1); /* not taken; the record is complete now */
	assert_int_equal(cw_dumper_open_fd(&dumper, fd, 1, 0, CW_DUMPER_PCAP, &error), 0);
	assert_int_equal(
	    cw_dumper_write(dumper,
			    &(struct cw_packet){.data = image.data, .caplen = 65, .wire_len = 65}),
	    -EMSGSIZE); /* longer than the header says */
	assert_int_equal(cw_dumper_close(dumper), 0);
	assert_int_equal(stat(output, &status), 0);
	assert_int_equal(status.st_size, 24 + 16 + 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pcapng_copies_options_and_blocks_of_the_input),
	    cmocka_unit_test(a_dumper_opened_late_has_what_came_before),
	    cmocka_unit_test(blocks_of_other_sections_are_not_copied),
	    cmocka_unit_test(a_pcap_file_refuses_packets_of_other_link_types),
	    cmocka_unit_test(a_pcapng_file_describes_the_interface_of_each_link_type),
	    cmocka_unit_test(packets_of_joined_files_are_written_whole_or_refused),
	    cmocka_unit_test(a_file_continues_without_a_second_header),
	    cmocka_unit_test(a_file_that_cannot_be_read_is_not_continued),
	    cmocka_unit_test(a_file_that_ends_in_a_record_does_not_continue),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
