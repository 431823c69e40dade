/* SPDX-License-Identifier: BSD-3-Clause */
/* Output that is no file: FIFOs, descriptors, devices. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "tests/core/output/outfile_rig.h"

static void *read_fifo(void *path)
{
	static char text[64];
	int fd;

	poll(NULL, 0, 120); /* late on purpose; the result does not depend on how late */
	fd = open(path, O_RDONLY);
	for (size_t used = 0; used < 63;) {
		ssize_t done = read(fd, text + used, 63 - used);

		if (done <= 0)
			break;
		used += (size_t)done;
	}
	close(fd);
	return text;
}

static void a_fifo_waits_for_its_reader(void **state)
{
	const char *path = in_folder("fifo");
	struct cw_outfile *file;
	pthread_t thread;
	void *text;
	int failure;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(pthread_create(&thread, NULL, read_fifo, (void *)(uintptr_t)path), 0);
	file = open_file(path, plain);
	assert_false(cw_outfile_is_seekable(file));
	put_all(file, "through ", 0);
	put_all(file, "a pipe", 8);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	cw_outfile_free(file);
	pthread_join(thread, &text);
	assert_string_equal(text, "through a pipe");

	/* A reader that goes away. */
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	file = open_file(path, plain);
	close(fd);
	assert_int_equal(put(file, "x", 0, &failure), 0);
	assert_int_equal(failure, -EPIPE);
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
	assert_true(exists(path));
}

static void waiting_for_a_reader_ends_when_woken(void **state)
{
	const char *path = in_folder("lonely");
	struct cw_outfile_options options = plain;
	struct cw_outfile *file;

	(void)state;
	options.wake_fd = eventfd(1, EFD_CLOEXEC);
	assert_int_equal(mkfifo(path, 0600), 0);
	file = new_file(path, options);
	assert_int_equal(cw_outfile_open(file, &error), -ECANCELED);
	assert_false(cw_outfile_is_open(file));
	cw_outfile_free(file);
	close(options.wake_fd);
}

static void standard_output_is_written_and_left_open(void **state)
{
	struct cw_outfile_options options = plain;
	struct cw_outfile *file;
	char buffer[8] = "";
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	options.standard_output = pipes[1];
	file = open_file("-", options);
	put_all(file, "abc", 0);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	cw_outfile_free(file);
	assert_int_equal(write(pipes[1], "d", 1), 1);
	assert_int_equal(read(pipes[0], buffer, 7), 4);
	assert_string_equal(buffer, "abcd");
	close(pipes[0]);
	close(pipes[1]);
	file = new_file("-", options);
	assert_int_equal(cw_outfile_open(file, &error), -EBADF);
	cw_outfile_free(file);
}

static void *drain_slowly(void *argument)
{
	static size_t total;
	char buffer[4096];
	ssize_t done;

	while ((done = read(*(int *)argument, buffer, sizeof(buffer))) > 0)
		total += (size_t)done;
	return &total;
}

static void a_non_blocking_descriptor_is_waited_for(void **state)
{
	static char block[1 << 20];
	struct iovec vector = {.iov_base = block, .iov_len = sizeof(block)};
	struct cw_outfile_options options = plain;
	struct cw_outfile *file;
	pthread_t thread;
	void *total;
	int pipes[2];
	int failure;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	fcntl(pipes[1], F_SETFL, O_NONBLOCK);
	options.standard_output = pipes[1];
	file = open_file("-", options);
	pthread_create(&thread, NULL, drain_slowly, &pipes[0]);
	assert_int_equal(cw_outfile_write(file, &vector, 1, 0, &failure), sizeof(block));
	assert_int_equal(failure, 0);
	cw_outfile_free(file);
	close(pipes[1]);
	pthread_join(thread, &total);
	assert_int_equal(*(size_t *)total, sizeof(block));
	close(pipes[0]);
}

static void a_descriptor_by_name_is_written_where_it_stands(void **state)
{
	const char *target = in_folder("appended");
	int fd = open(target, O_WRONLY | O_CREAT, 0600);
	struct cw_outfile *file;
	char path[64];

	(void)state;
	assert_int_equal(write(fd, "head ", 5), 5);
	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	file = open_file(path, plain);
	assert_false(cw_outfile_is_seekable(file));
	put_all(file, "body", 0);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	cw_outfile_free(file);
	close(fd);
	expect_content(target, "head body");

	file = open_file("/dev/stdout", plain);
	assert_null(cw_outfile_part_path(file));
	cw_outfile_free(file);
	file = open_file("/dev/stderr", plain);
	assert_null(cw_outfile_part_path(file));
	cw_outfile_free(file);
}

static void links_are_followed_to_files_of_the_same_owner(void **state)
{
	const char *device = in_folder("to-device");
	char link_path[512];
	struct cw_outfile *file;
	struct stat status;

	(void)state;
	strcpy(link_path, in_folder("to-file"));
	assert_int_equal(symlink("/dev/null", device), 0);
	file = open_file(device, plain);
	assert_false(cw_outfile_is_seekable(file));
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
	assert_true(exists(device));

	assert_int_equal(mkdir(in_folder("big"), 0700), 0);
	assert_int_equal(symlink("big/real", link_path), 0);
	for (int is_there = 0; is_there < 2; is_there++) { /* dangling at first */
		file = open_file(link_path, plain);
		assert_string_equal(cw_outfile_path(file), link_path);
		assert_memory_equal(cw_outfile_part_path(file), in_folder("big/.real."),
				    strlen(in_folder("big/.real.")));
		put_all(file, is_there ? "new" : "first", 0);
		assert_int_equal(cw_outfile_evict(file), 0);
		assert_int_equal(cw_outfile_open(file, &error), 0);
		assert_int_equal(cw_outfile_publish(file, &error), 0);
		assert_int_equal(lstat(link_path, &status), 0);
		assert_true(S_ISLNK(status.st_mode));
		expect_content(in_folder("big/real"), is_there ? "new" : "first");
		if (is_there)
			assert_int_equal(cw_outfile_remove(file, &error), 0);
		cw_outfile_free(file);
	}
	assert_false(exists(in_folder("big/real")));
	assert_true(exists(link_path));
}

static void a_name_made_while_running_is_a_regular_file(void **state)
{
	static const struct {
		const char *name;
		int failure;
	} obstacles[] = {
	    {"later-link", -EEXIST}, {"later-fifo", -EEXIST}, {"later-folder", -EISDIR}};
	struct cw_outfile_options later = plain;
	struct cw_outfile *file;

	(void)state;
	later.is_later = true;
	assert_int_equal(symlink("big/other", in_folder("later-link")), 0);
	assert_int_equal(mkfifo(in_folder("later-fifo"), 0600), 0);
	assert_int_equal(mkdir(in_folder("later-folder"), 0700), 0);
	for (size_t i = 0; i < CW_ARRAY_COUNT(obstacles); i++) {
		file = open_file(in_folder(obstacles[i].name), later);
		assert_int_equal(cw_outfile_publish(file, &error), obstacles[i].failure);
		assert_false(cw_outfile_is_published(file));
		assert_non_null(strstr(error.text, cw_outfile_part_path(file)));
		assert_true(exists(cw_outfile_part_path(file)));
		assert_true(exists(in_folder(obstacles[i].name)));
		assert_int_equal(cw_outfile_discard(file, false), 0);
		cw_outfile_free(file);
	}
	assert_false(exists(in_folder("big/other")));
	make_file(in_folder("later-file"), "old");
	file = open_file(in_folder("later-file"), later);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	expect_content(in_folder("later-file"), "");
	cw_outfile_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_fifo_waits_for_its_reader),
	    cmocka_unit_test(waiting_for_a_reader_ends_when_woken),
	    cmocka_unit_test(standard_output_is_written_and_left_open),
	    cmocka_unit_test(a_non_blocking_descriptor_is_waited_for),
	    cmocka_unit_test(a_descriptor_by_name_is_written_where_it_stands),
	    cmocka_unit_test(links_are_followed_to_files_of_the_same_owner),
	    cmocka_unit_test(a_name_made_while_running_is_a_regular_file),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
