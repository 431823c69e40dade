/* SPDX-License-Identifier: BSD-3-Clause */
/* Output files: they appear whole under their name or not at all; limits, full disks, names. */
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/core/output/outfile_rig.h"

static void a_file_appears_whole_under_its_name(void **state)
{
	struct cw_outfile_options options = plain;

	(void)state;
	for (int sync = 0; sync < 2; sync++) {
		const char *path = in_folder("whole.pcap");
		struct cw_outfile *file;
		struct stat status;
		char buffer[8] = "";

		make_file(path, "before");
		options.sync = sync;
		file = new_file(path, options);
		assert_false(cw_outfile_was_created(file));
		assert_false(cw_outfile_is_open(file));
		assert_null(cw_outfile_part_path(file));
		assert_int_equal(cw_outfile_open(file, &error), 0);
		assert_int_equal(cw_outfile_open(file, &error), 0); /* no effect */
		assert_true(cw_outfile_was_created(file));
		assert_true(cw_outfile_is_seekable(file));
		assert_string_equal(cw_outfile_path(file), path);
		assert_int_equal(stat(cw_outfile_part_path(file), &status), 0);
		assert_int_equal(status.st_mode & 07777, 0600);
		assert_non_null(strstr(cw_outfile_part_path(file), "/.whole.pcap."));
		put_all(file, "world", 6);
		put_all(file, "hello ", 0);
		assert_int_equal(cw_outfile_read(file, buffer, 5, 6), 5);
		assert_string_equal(buffer, "world");
		assert_int_equal(cw_outfile_read(file, buffer, 5, 9), 2);
		assert_int_equal(cw_outfile_cut(file, 8), 0);
		expect_content(path, "before");
		assert_int_equal(cw_outfile_publish(file, &error), 0);
		assert_null(cw_outfile_part_path(file));
		assert_false(cw_outfile_is_open(file));
		expect_content(path, "hello wo");
		assert_int_equal(cw_outfile_publish(file, &error), -EBADF);
		assert_int_equal(cw_outfile_open(file, &error), -EBADF);
		cw_outfile_discard(file, false); /* nothing is left to remove */
		expect_content(path, "hello wo");
		cw_outfile_free(file);
	}
}

static void bad_names_are_refused_before_any_system_call(void **state)
{
	static const struct {
		const char *path;
		int status;
	} cases[] = {
	    {"", -EINVAL}, {"-", -EINVAL}, {"a/", -EISDIR}, {".", -EISDIR}, {"a/..", -EISDIR}};
	struct cw_outfile *file;

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		assert_int_equal(cw_outfile_new(&file, cases[i].path, &plain), cases[i].status);
		assert_null(file);
	}
	cw_outfile_free(NULL);
}

static void expect_open_failure(const char *path, int status)
{
	struct cw_outfile *file = new_file(path, plain);
	int failure;

	assert_int_equal(cw_outfile_open(file, &error), status);
	assert_int_equal(error.code, status);
	assert_non_null(strstr(error.text, "cannot open"));
	assert_false(cw_outfile_was_created(file));
	assert_int_equal(put(file, "x", 0, &failure), 0);
	assert_int_equal(failure, -EBADF);
	assert_int_equal(cw_outfile_read(file, &failure, 1, 0), -EBADF);
	assert_int_equal(cw_outfile_cut(file, 0), -EBADF);
	assert_int_equal(cw_outfile_evict(file), 0);
	assert_int_equal(cw_outfile_publish(file, &error), -EBADF);
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
}

static void targets_that_cannot_be_written_are_errors(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	strcpy(address.sun_path, in_folder("socket"));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(mkdir(in_folder("directory"), 0700), 0);
	make_file(in_folder("file"), "");
	assert_int_equal(symlink("loop", in_folder("loop")), 0);
	expect_open_failure(in_folder("socket"), -ENXIO);
	expect_open_failure(in_folder("directory"), -EISDIR);
	expect_open_failure(in_folder("missing/a.pcap"), -ENOENT);
	expect_open_failure(in_folder("file/a.pcap"), -ENOTDIR);
	expect_open_failure(in_folder("loop"), -ELOOP);
	expect_open_failure("/dev/fd/999999", -EBADF);
	close(fd);
}

static void the_longest_legal_name_works(void **state)
{
	char name[NAME_MAX + 1];
	struct cw_outfile *file;

	(void)state;
	memset(name, 'x', NAME_MAX);
	name[NAME_MAX] = 0;
	file = open_file(in_folder(name), plain);
	put_all(file, "data", 0);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	expect_content(in_folder(name), "data");
	cw_outfile_free(file);
}

static void running_out_of_descriptors_is_said_and_passes(void **state)
{
	struct cw_outfile *file = new_file(in_folder("fds.pcap"), plain);
	struct rlimit before, none;
	int fd = dup(0);

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = (rlim_t)fd;
	close(fd);
	setrlimit(RLIMIT_NOFILE, &none);
	assert_int_equal(cw_outfile_open(file, &error), -EMFILE);
	none.rlim_cur++; /* the folder's, and none for the file */
	setrlimit(RLIMIT_NOFILE, &none);
	assert_int_equal(cw_outfile_open(file, &error), -EMFILE);
	assert_null(cw_outfile_part_path(file));
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(cw_outfile_open(file, &error), 0);
	none.rlim_cur = (rlim_t)fd + 1; /* publishing manages with the file's own */
	setrlimit(RLIMIT_NOFILE, &none);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	setrlimit(RLIMIT_NOFILE, &before);
	cw_outfile_free(file);
}

static void many_vectors_are_written_in_order(void **state)
{
	static struct iovec vectors[3000];
	static char bytes[3000];
	static char back[3000];
	struct cw_outfile *file = open_file(in_folder("vectors"), plain);
	int failure;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (char)(i * 7);
		vectors[i].iov_base = bytes + i;
		vectors[i].iov_len = i % 3 != 1; /* some are empty */
	}
	assert_int_equal(cw_outfile_write(file, vectors, 3000, 10, &failure), 2000);
	assert_int_equal(failure, 0);
	assert_int_equal(cw_outfile_read(file, back, sizeof(back), 10), 2000);
	for (size_t i = 0, at = 0; i < sizeof(bytes); i++)
		if (i % 3 != 1)
			assert_int_equal(back[at++], bytes[i]);
	assert_int_equal(cw_outfile_write(file, vectors, 0, 10, &failure), 0);
	assert_int_equal(failure, 0);
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
}

static void offsets_beyond_files_are_refused(void **state)
{
	struct cw_outfile *file = open_file(in_folder("offsets"), plain);
	char byte;
	int failure;

	(void)state;
	assert_int_equal(put(file, "x", UINT64_MAX, &failure), 0);
	assert_int_equal(failure, -EFBIG);
	assert_int_equal(put(file, "x", INT64_MAX, &failure), 0);
	assert_true(failure < 0);
	assert_int_equal(cw_outfile_cut(file, UINT64_MAX), -EFBIG);
	assert_int_equal(cw_outfile_read(file, &byte, 1, UINT64_MAX), -EINVAL);
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
}

static void a_full_disk_says_how_much_it_took(void **state)
{
	static char block[200 * 1024];
	struct iovec vector = {.iov_base = block, .iov_len = sizeof(block)};
	struct cw_outfile *file;
	const char *disk = in_folder("disk");
	char path[512];
	int failure;
	size_t done;

	(void)state;
	snprintf(path, sizeof(path), "%s/a.pcap", disk);
	assert_int_equal(mkdir(disk, 0700), 0);
	if (mount("capweir", disk, "tmpfs", 0, "size=64k")) {
		print_message("skipped: mounting a tmpfs needs root: %s\n", strerror(errno));
		skip();
	}
	file = open_file(path, plain);
	done = cw_outfile_write(file, &vector, 1, 0, &failure);
	assert_int_equal(failure, -ENOSPC);
	assert_in_range(done, 4096, 64 * 1024);
	assert_int_equal(cw_outfile_cut(file, 100), 0);
	put_all(file, "room again", 100);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	cw_outfile_free(file);
	assert_int_equal(umount(disk), 0);
}

static void a_file_size_limit_is_a_failure_not_a_signal(void **state)
{
	struct cw_outfile *file = open_file(in_folder("limit"), plain);
	struct rlimit before, small;
	size_t done;
	int failure;

	(void)state;
	signal(SIGXFSZ, SIG_IGN); /* as the command does */
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 8;
	setrlimit(RLIMIT_FSIZE, &small);
	done = put(file, "twelve bytes", 0, &failure);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(done, 8);
	assert_int_equal(failure, -EFBIG);
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
}

static void a_full_device_is_a_failure(void **state)
{
	struct cw_outfile *file = open_file("/dev/full", plain);
	int failure;

	(void)state;
	assert_false(cw_outfile_is_seekable(file));
	assert_null(cw_outfile_part_path(file));
	assert_int_equal(put(file, "x", 0, &failure), 0);
	assert_int_equal(failure, -ENOSPC);
	assert_int_equal(cw_outfile_read(file, &failure, 1, 0), -ESPIPE);
	assert_int_equal(cw_outfile_cut(file, 0), -ESPIPE);
	assert_int_equal(cw_outfile_evict(file), 0);
	assert_true(cw_outfile_is_open(file));
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	assert_int_equal(cw_outfile_open(file, &error), -EBADF);
	cw_outfile_free(file);
	assert_true(exists("/dev/full"));
}

/* As a write of io_uring does that has just completed. */
static void a_file_reopens_although_its_open_file_lives_on(void **state)
{
	struct cw_outfile *file = open_file(in_folder("lives.pcap"), plain);
	char link[64], path[600];
	int copy = -1;

	(void)state;
	for (int fd = 3; fd < 256 && copy < 0; fd++) {
		ssize_t bytes;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		bytes = readlink(link, path, sizeof(path) - 1);
		path[bytes > 0 ? bytes : 0] = '\0';
		if (!strcmp(path, cw_outfile_part_path(file)))
			copy = dup(fd);
	}
	assert_true(copy >= 0);
	assert_int_equal(cw_outfile_evict(file), 0);
	if (cw_outfile_open(file, &error))
		fail_msg("%s", error.text);
	close(copy);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	cw_outfile_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_reopens_although_its_open_file_lives_on),
	    cmocka_unit_test(a_file_appears_whole_under_its_name),
	    cmocka_unit_test(bad_names_are_refused_before_any_system_call),
	    cmocka_unit_test(targets_that_cannot_be_written_are_errors),
	    cmocka_unit_test(the_longest_legal_name_works),
	    cmocka_unit_test(running_out_of_descriptors_is_said_and_passes),
	    cmocka_unit_test(many_vectors_are_written_in_order),
	    cmocka_unit_test(offsets_beyond_files_are_refused),
	    cmocka_unit_test(a_full_disk_says_how_much_it_took),
	    cmocka_unit_test(a_file_size_limit_is_a_failure_not_a_signal),
	    cmocka_unit_test(a_full_device_is_a_failure),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
