/* SPDX-License-Identifier: BSD-3-Clause */
/* The public handle: what is no open file, and closing at any moment. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include "tests/core/library/handle_rig.h"
#include "tests/rig/asleep.h"

/* ---- what is no open file ---- */

static void files_that_cannot_be_read_say_why(void **state)
{
	struct cw_error error = {0};
	struct cw_handle *handle = (void *)1;

	(void)state;
	assert_int_equal(cw_handle_open_offline(&handle, "/nowhere/in.pcap", &error), -ENOENT);
	assert_null(handle);
	assert_non_null(strstr(error.text, "/nowhere/in.pcap"));
	write_file("what is no capture file", 23);
	assert_int_equal(cw_handle_open_offline(&handle, path, &error), -EBADMSG);
	assert_null(handle);
	write_file("", 0);
	assert_true(cw_handle_open_offline(&handle, path, NULL) < 0);
}

static void a_dead_handle_has_no_packets(void **state)
{
	struct cw_handle *handle;
	struct cw_filter *filter;
	struct cw_packet packet;
	struct cw_stats stats;
	uint32_t *linktypes;
	uint8_t byte = 0;

	(void)state;
	assert_int_equal(cw_handle_open_dead(&handle, CW_LINKTYPE_LINUX_SLL2, 96, NULL), 0);
	assert_int_equal(cw_handle_linktype(handle), 276); /* more than eight bits */
	assert_int_equal(cw_handle_snaplen(handle), 96);
	assert_false(cw_handle_is_live(handle));
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_NOT_ACTIVATED);
	assert_int_equal(cw_handle_next_burst(handle, &packet, 1), CW_NEXT_NOT_ACTIVATED);
	assert_int_equal(cw_handle_read(handle, &byte, 1, &packet), CW_NEXT_NOT_ACTIVATED);
	assert_non_null(strstr(cw_handle_error(handle), "dead"));
	assert_int_equal(cw_handle_stats(handle, &stats), CW_IS_DEAD);
	assert_int_equal(cw_handle_inject(handle, &byte, 1), CW_IS_DEAD);
	assert_int_equal(cw_handle_activate(handle, NULL), CW_NOT_LIVE);
	assert_int_equal(cw_handle_set_snaplen(handle, 1), CW_NOT_LIVE);
	assert_int_equal(cw_handle_set_linktype(handle, 1, NULL), CW_IS_DEAD);
	assert_int_equal(cw_handle_linktypes(handle, &linktypes, NULL), 1);
	assert_int_equal(linktypes[0], CW_LINKTYPE_LINUX_SLL2);
	free(linktypes);
	assert_int_equal(cw_handle_compile(handle, &filter, "ip6", NULL), 0);
	cw_filter_free(filter);
	cw_handle_close(handle);
	cw_handle_close(handle);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_CLOSED);
	assert_int_equal(cw_handle_set_filter(handle, "ip", NULL), CW_CLOSED);
	cw_handle_free(handle);
	cw_handle_free(NULL);
}

static void a_file_has_nothing_of_devices(void **state)
{
	struct cw_timestamp_source *sources;
	struct cw_handle *handle;
	struct cw_stats stats;
	uint32_t *linktypes;

	(void)state;
	write_traffic(10, 0);
	handle = open_file();
	assert_false(cw_handle_is_live(handle));
	assert_true(cw_handle_is_ns(handle));
	assert_int_equal(cw_handle_snaplen(handle), CW_CAPLEN_MAX);
	assert_int_equal(cw_handle_stats(handle, &stats), CW_NOT_LIVE);
	assert_int_equal(cw_handle_inject(handle, "x", 1), CW_NOT_LIVE);
	assert_int_equal(cw_handle_set_direction(handle, CW_DIRECTION_IN, NULL), CW_NOT_LIVE);
	assert_int_equal(cw_handle_set_timeout(handle, 0), CW_NOT_LIVE);
	assert_int_equal(cw_handle_set_linktype(handle, 1, NULL), CW_NOT_LIVE);
	assert_int_equal(cw_handle_timestamp_sources(handle, &sources, NULL), CW_NOT_LIVE);
	assert_int_equal(cw_handle_linktypes(handle, &linktypes, NULL), 1);
	free(linktypes);
	cw_handle_free(handle);
}

static void an_inactive_handle_takes_settings(void **state)
{
	struct cw_error error = {0};
	struct cw_handle *handle;
	struct cw_packet packet;
	struct cw_filter *filter;
	struct cw_stats stats;
	char name[400];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(cw_handle_create(&handle, "", &error), -EINVAL);
	assert_int_equal(cw_handle_create(&handle, name, &error), -EINVAL);
	assert_null(handle);
	assert_int_equal(cw_handle_create(&handle, "nowhere0", NULL), 0);
	assert_true(cw_handle_is_live(handle));
	assert_int_equal(cw_handle_linktype(handle), CW_LINKTYPE_ANY);
	assert_int_equal(cw_handle_set_snaplen(handle, 0), 0);
	assert_int_equal(cw_handle_snaplen(handle), CW_CAPLEN_MAX);
	assert_int_equal(cw_handle_set_snaplen(handle, INT64_C(1) << 40), 0);
	assert_int_equal(cw_handle_snaplen(handle), CW_CAPLEN_MAX);
	assert_int_equal(cw_handle_set_snaplen(handle, 64), 0);
	assert_int_equal(cw_handle_snaplen(handle), 64);
	assert_int_equal(cw_handle_set_promiscuous(handle, true), 0);
	assert_int_equal(cw_handle_set_timeout(handle, INT64_MAX), -EINVAL);
	assert_int_equal(cw_handle_set_timeout(handle, 1), 0);
	assert_int_equal(cw_handle_set_buffer_bytes(handle, 0), -EINVAL);
	assert_int_equal(cw_handle_set_buffer_bytes(handle, UINT64_C(1) << 40), -EINVAL);
	assert_int_equal(cw_handle_set_buffer_bytes(handle, UINT64_C(1) << 20), 0);
	assert_int_equal(cw_handle_set_immediate(handle, true), 0);
	assert_int_equal(cw_handle_set_timestamp_source(handle, 12345),
			 CW_NO_SUCH_TIMESTAMP_SOURCE);
	assert_int_equal(cw_handle_set_precision_ns(handle, false), 0);
	assert_false(cw_handle_is_ns(handle));
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_NOT_ACTIVATED);
	assert_int_equal(cw_handle_stats(handle, &stats), CW_NOT_ACTIVATED);
	assert_int_equal(cw_handle_inject(handle, "x", 1), CW_NOT_ACTIVATED);
	assert_int_equal(cw_handle_set_filter(handle, "tcp", &error), CW_NOT_ACTIVATED);
	assert_int_equal(cw_handle_compile(handle, &filter, "tcp", &error), CW_NOT_ACTIVATED);
	assert_true(cw_handle_activate(handle, &error) < 0);
	assert_true(error.text[0]);
	cw_handle_free(handle); /* without activation */
	assert_int_equal(cw_handle_create(&handle, "nowhere0", NULL), 0);
	cw_handle_close(handle);
	cw_handle_free(handle);
	assert_int_equal(cw_handle_open_live(&handle, "nowhere0", 100, true, -1, &error), -ENODEV);
	assert_null(handle);
}

/* ---- descriptors ---- */

/* Reads `count` packets and the end of the file from the descriptor. */
static void expect_packets(int fd, uint32_t count)
{
	struct cw_error error = {0};
	struct cw_handle *handle;
	struct cw_packet packet;

	if (cw_handle_open_offline_fd(&handle, fd, &error) < 0)
		fail_msg("%s", error.text);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_OK);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_END);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* taken */
	cw_handle_free(handle);
}

static void a_descriptor_is_read_from_its_position(void **state)
{
	static uint8_t data[1 << 16];
	struct cw_error error = {0};
	struct cw_handle *handle;
	int fd, ends[2];
	ssize_t bytes;

	(void)state;
	write_traffic(20, 0);
	fd = open(path, O_RDONLY);
	bytes = read(fd, data, sizeof(data));
	close(fd);
	assert_in_range(bytes, 1000, sizeof(data) - 1);
	fd = open(path, O_RDWR | O_TRUNC);
	assert_int_equal(write(fd, "a header", 8), 8);
	assert_int_equal(write(fd, data, (size_t)bytes), bytes);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(cw_handle_open_offline_fd(&handle, fd, &error), -EBADMSG);
	assert_null(handle);
	assert_non_null(strstr(error.text, "descriptor"));
	assert_int_equal(lseek(fd, 8, SEEK_SET), 8); /* not taken */
	expect_packets(fd, 20);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(write(ends[0], data, (size_t)bytes), bytes);
	close(ends[0]);
	expect_packets(ends[1], 20);
	assert_int_equal(cw_handle_open_offline_fd(&handle, -1, &error), -EBADF);
	assert_null(handle);
}

/* ---- closing ---- */

static void *close_when_read(void *argument)
{
	rig_wait_asleep(getpid()); /* the first thread, which reads */
	cw_handle_close(argument);
	return NULL;
}

static void closing_ends_reading_from_a_pipe(void **state)
{
	uint8_t header[64];
	size_t bytes = cw_format_header(CW_FORMAT_PCAP_NS, CW_LINKTYPE_ETHERNET, 1000, header);
	struct cw_handle *handle;
	struct cw_packet packet;
	pthread_t thread;
	char name[64];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], header, bytes), bytes);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", ends[0]);
	assert_int_equal(cw_handle_open_offline(&handle, name, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, close_when_read, handle), 0);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_CLOSED);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_CLOSED);
	pthread_join(thread, NULL);
	cw_handle_free(handle);
	close(ends[0]);
	close(ends[1]);
}

static void closing_ends_reading_at_once(void **state)
{
	struct cw_handle *handle;
	struct cw_packet packet;

	(void)state;
	write_traffic(10, 0);
	handle = open_file();
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_OK);
	cw_handle_close(handle);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_CLOSED);
	assert_int_equal(cw_handle_next_burst(handle, &packet, 1), CW_NEXT_CLOSED);
	cw_handle_close(handle);
	cw_handle_free(handle);
}

static void every_result_has_words(void **state)
{
	(void)state;
	for (int result = 1; result >= -4; result--)
		assert_true(strlen(cw_next_text(result)) > 5);
	assert_string_equal(cw_next_text(-99), "no such result");
	assert_string_equal(cw_timestamp_source_name(cw_timestamp_source_from_name("HOST")),
			    "host");
	assert_int_equal(cw_timestamp_source_from_name("sundial"), CW_NO_SUCH_TIMESTAMP_SOURCE);
	assert_null(cw_timestamp_source_name(12345));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(files_that_cannot_be_read_say_why),
	    cmocka_unit_test(a_dead_handle_has_no_packets),
	    cmocka_unit_test(a_file_has_nothing_of_devices),
	    cmocka_unit_test(an_inactive_handle_takes_settings),
	    cmocka_unit_test(a_descriptor_is_read_from_its_position),
	    cmocka_unit_test(closing_ends_reading_from_a_pipe),
	    cmocka_unit_test(closing_ends_reading_at_once),
	    cmocka_unit_test(every_result_has_words),
	};

	return RUN_TESTS(300, tests, make_folder, remove_folder, argc, argv);
}
