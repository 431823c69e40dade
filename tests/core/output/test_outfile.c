/* SPDX-License-Identifier: BSD-3-Clause */
/* Output files on real file systems: every failure that the kernel can be made to return. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/output/outfile.h"

static char folder[] = "/tmp/capweir-outfile-XXXXXX";
static struct cw_error error;

static const struct cw_outfile_options plain = {.standard_output = -1, .wake_fd = -1};

/*
 * The linker sends the library's calls here (CMakeLists.txt): the one named by fail_call fails with
 * fail_errno when fail_skip of them have passed; 0 as errno stands for a result of 0.
 */
static const char *fail_call = "";
static int fail_errno;
static int fail_skip;

static bool fails_now(const char *call)
{
	if (strcmp(call, fail_call) || fail_skip-- > 0)
		return false;
	fail_call = ""; /* once */
	errno = fail_errno;
	return true;
}

#define WRAP(type, call, failed, parameters, arguments)                       \
	type __real_##call parameters;                                        \
	type __wrap_##call parameters;                                        \
	type __wrap_##call parameters                                         \
	{                                                                     \
		return fails_now(#call) ? (failed) : __real_##call arguments; \
	}

WRAP(int, fdatasync, -1, (int fd), (fd))
WRAP(int, fsync, -1, (int fd), (fd))
WRAP(int, fstat, -1, (int fd, struct stat *status), (fd, status))
WRAP(int, ftruncate, -1, (int fd, off_t bytes), (fd, bytes))
WRAP(ssize_t, pread, -1, (int fd, void *to, size_t bytes, off_t at), (fd, to, bytes, at))
WRAP(ssize_t, pwritev, fail_errno ? -1 : 0, (int fd, const struct iovec *from, int count, off_t at),
     (fd, from, count, at))
WRAP(ssize_t, getrandom, -1, (void *to, size_t bytes, unsigned flags), (to, bytes, flags))
WRAP(int, renameat2, -1, (int a, const char *from, int b, const char *to, unsigned flags),
     (a, from, b, to, flags))
WRAP(void *, malloc, NULL, (size_t bytes), (bytes))
WRAP(void *, calloc, NULL, (size_t count, size_t bytes), (count, bytes))
WRAP(char *, strdup, NULL, (const char *text), (text))

/* Closes all the same, as the kernel does. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	int status = __real_close(fd);

	return fails_now("close") ? -1 : status;
}

static void fail_next(const char *call, int code)
{
	fail_call = call;
	fail_errno = code;
	fail_skip = 0;
}

static const char *in_folder(const char *name)
{
	static char paths[4][512];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static struct cw_outfile *new_file(const char *path, struct cw_outfile_options options)
{
	struct cw_outfile *file;

	assert_int_equal(cw_outfile_new(&file, path, &options), 0);
	return file;
}

static struct cw_outfile *open_file(const char *path, struct cw_outfile_options options)
{
	struct cw_outfile *file = new_file(path, options);

	if (cw_outfile_open(file, &error))
		fail_msg("%s", error.text);
	return file;
}

static size_t put(struct cw_outfile *file, const char *text, uint64_t offset, int *failure)
{
	struct iovec vector = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};

	return cw_outfile_write(file, &vector, 1, offset, failure);
}

static void put_all(struct cw_outfile *file, const char *text, uint64_t offset)
{
	int failure;

	assert_int_equal(put(file, text, offset, &failure), strlen(text));
	assert_int_equal(failure, 0);
}

static void expect_content(const char *path, const char *text)
{
	char buffer[256] = "";
	FILE *stream = fopen(path, "r");

	assert_non_null(stream);
	assert_int_equal(fread(buffer, 1, sizeof(buffer) - 1, stream), strlen(text));
	assert_string_equal(buffer, text);
	fclose(stream);
}

static void make_file(const char *path, const char *text)
{
	FILE *stream = fopen(path, "w");

	assert_non_null(stream);
	fputs(text, stream);
	fclose(stream);
}

static bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

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

/* FIFOs and descriptors ------------------------------------------------------------------------ */

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
	assert_int_equal(cw_outfile_open(file, &error), -EINTR);
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

static void links_to_devices_are_followed_and_others_replaced(void **state)
{
	const char *device = in_folder("to-device");
	const char *link_path = in_folder("to-file");
	struct cw_outfile *file;
	struct stat status;

	(void)state;
	assert_int_equal(symlink("/dev/null", device), 0);
	file = open_file(device, plain);
	assert_false(cw_outfile_is_seekable(file));
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
	assert_true(exists(device));

	make_file(in_folder("precious"), "keep me");
	assert_int_equal(symlink("precious", link_path), 0);
	file = open_file(link_path, plain);
	put_all(file, "new", 0);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	cw_outfile_free(file);
	assert_int_equal(lstat(link_path, &status), 0);
	assert_true(S_ISREG(status.st_mode));
	expect_content(link_path, "new");
	expect_content(in_folder("precious"), "keep me");
	unlink(link_path);

	assert_int_equal(symlink("nowhere", link_path), 0); /* dangling */
	file = open_file(link_path, plain);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	cw_outfile_free(file);
	assert_false(exists(in_folder("nowhere")));
	expect_content(link_path, "");
}

/* Evict, publish, discard ---------------------------------------------------------------------- */

static void an_evicted_file_is_reopened_and_goes_on(void **state)
{
	struct cw_outfile_options options = plain;

	(void)state;
	for (int sync = 0; sync < 2; sync++) {
		struct cw_outfile *file;

		options.sync = sync;
		file = open_file(in_folder("evicted"), options);
		put_all(file, "one ", 0);
		assert_int_equal(cw_outfile_evict(file), 0);
		assert_false(cw_outfile_is_open(file));
		assert_true(cw_outfile_is_seekable(file));
		assert_int_equal(cw_outfile_evict(file), 0);
		assert_int_equal(cw_outfile_open(file, &error), 0);
		put_all(file, "two", 4);
		assert_int_equal(cw_outfile_evict(file), 0);
		assert_int_equal(cw_outfile_publish(file, &error), 0); /* also while evicted */
		expect_content(in_folder("evicted"), "one two");
		cw_outfile_free(file);
	}
}

static void a_part_file_that_was_replaced_is_stale(void **state)
{
	struct cw_outfile *file = open_file(in_folder("stale"), plain);
	char part[512];

	(void)state;
	strcpy(part, cw_outfile_part_path(file));
	assert_int_equal(cw_outfile_evict(file), 0);
	unlink(part);
	assert_int_equal(cw_outfile_open(file, &error), -ESTALE);
	assert_non_null(strstr(error.text, "replaced or removed"));
	make_file(part, "another"); /* may even reuse the inode number: keep the first */
	make_file(in_folder("other"), "not ours");
	assert_int_equal(rename(in_folder("other"), part), 0);
	unlink(part);
	assert_int_equal(symlink("/etc/hostname", part), 0);
	assert_int_equal(cw_outfile_open(file, &error), -ESTALE);
	assert_int_equal(cw_outfile_publish(file, &error), -ESTALE);
	cw_outfile_discard(file, false);
	assert_true(exists(part)); /* not ours to remove */
	cw_outfile_free(file);
	assert_false(exists(in_folder("stale")));
}

static void no_clobber_refuses_and_keeps_both(void **state)
{
	struct cw_outfile_options options = plain;
	struct cw_outfile *file;

	(void)state;
	options.no_clobber = true;
	file = open_file(in_folder("fresh"), options);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	cw_outfile_free(file);
	expect_content(in_folder("fresh"), "");

	make_file(in_folder("taken"), "theirs");
	file = open_file(in_folder("taken"), options);
	put_all(file, "ours", 0);
	assert_int_equal(cw_outfile_publish(file, &error), -EEXIST);
	assert_non_null(strstr(error.text, cw_outfile_part_path(file)));
	expect_content(in_folder("taken"), "theirs");
	expect_content(cw_outfile_part_path(file), "ours");
	unlink(in_folder("taken"));
	assert_int_equal(cw_outfile_publish(file, &error), 0); /* a second try */
	expect_content(in_folder("taken"), "ours");
	cw_outfile_free(file);
}

static void a_published_file_is_removed_and_no_other(void **state)
{
	const char *path = in_folder("ring.pcap");
	struct cw_outfile *file = open_file(path, plain);
	uint64_t free_bytes;

	(void)state;
	put_all(file, "ours", 0);
	assert_int_equal(cw_outfile_free_space(file, &free_bytes), 0);
	assert_true(free_bytes > 0);
	assert_int_equal(cw_outfile_remove(file, &error), -EBADF); /* not complete yet */
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	assert_int_equal(cw_outfile_remove(file, &error), 0);
	assert_false(exists(path));
	assert_int_equal(cw_outfile_remove(file, &error), 0); /* gone is gone */
	make_file(path, "theirs");
	assert_int_equal(cw_outfile_remove(file, &error), -ESTALE);
	assert_non_null(strstr(error.text, "was replaced"));
	expect_content(path, "theirs");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(cw_outfile_remove(file, &error), -ESTALE);
	assert_int_equal(rmdir(path), 0);
	cw_outfile_free(file);
	file = open_file("/dev/null", plain);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	assert_int_equal(cw_outfile_remove(file, &error), -EBADF);
	cw_outfile_free(file);
}

static void publishing_into_a_removed_folder_fails(void **state)
{
	struct cw_outfile *file;

	(void)state;
	assert_int_equal(mkdir(in_folder("gone"), 0700), 0);
	file = open_file(in_folder("gone/a.pcap"), plain);
	unlink(cw_outfile_part_path(file));
	assert_int_equal(rmdir(in_folder("gone")), 0);
	assert_int_equal(cw_outfile_publish(file, &error), -ENOENT);
	assert_non_null(strstr(error.text, "cannot open the folder of"));
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
}

static void publishing_over_a_folder_fails_and_keeps_the_data(void **state)
{
	struct cw_outfile *file = open_file(in_folder("late"), plain);

	(void)state;
	put_all(file, "data", 0);
	assert_int_equal(mkdir(in_folder("late"), 0700), 0);
	assert_int_equal(cw_outfile_publish(file, &error), -EISDIR);
	assert_non_null(strstr(error.text, "; the data is in "));
	expect_content(cw_outfile_part_path(file), "data");
	cw_outfile_free(file);
}

static void discard_removes_or_keeps_the_part(void **state)
{
	char part[512];

	(void)state;
	for (int keep = 0; keep < 2; keep++) {
		struct cw_outfile *file = open_file(in_folder("discarded"), plain);

		strcpy(part, cw_outfile_part_path(file));
		cw_outfile_discard(file, keep);
		assert_false(cw_outfile_is_open(file));
		assert_int_equal(exists(part), keep);
		cw_outfile_free(file);
	}
	assert_false(exists(in_folder("discarded")));
}

static void a_relative_name_lies_in_the_current_folder(void **state)
{
	struct cw_outfile *file;
	char before[PATH_MAX];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(folder), 0);
	file = open_file("relative.pcap", plain);
	assert_int_equal(cw_outfile_part_path(file)[0], '.');
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	cw_outfile_free(file);
	assert_int_equal(chdir(before), 0);
	assert_true(exists(in_folder("relative.pcap")));
}

/* Failures that only a broken disk gives ------------------------------------------------------- */

static void memory_that_is_missing_is_an_error(void **state)
{
	static const char *const calls[] = {"calloc", "malloc", "strdup"};
	struct cw_outfile *file;

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(calls); i++) {
		fail_next(calls[i], ENOMEM);
		assert_int_equal(cw_outfile_new(&file, "a", &plain), -ENOMEM);
		assert_null(file);
	}
}

static void a_failure_while_creating_leaves_no_part(void **state)
{
	struct cw_outfile *file = new_file(in_folder("broken"), plain);

	(void)state;
	fail_next("getrandom", EAGAIN);
	assert_int_equal(cw_outfile_open(file, &error), -EIO);
	fail_next("fstat", EIO);
	assert_int_equal(cw_outfile_open(file, &error), -EIO);
	assert_false(cw_outfile_is_open(file));
	assert_null(cw_outfile_part_path(file));
	assert_int_equal(cw_outfile_open(file, &error), 0);
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
	file = new_file("/dev/null", plain);
	fail_next("fstat", EIO);
	assert_int_equal(cw_outfile_open(file, &error), -ESTALE);
	cw_outfile_free(file);
}

static void interrupted_calls_go_on_and_others_fail(void **state)
{
	struct cw_outfile *file = open_file(in_folder("eintr"), plain);
	char buffer[8] = "";
	int failure;

	(void)state;
	fail_next("pwritev", EINTR);
	put_all(file, "data", 0);
	fail_next("pwritev", 0);
	assert_int_equal(put(file, "x", 0, &failure), 0);
	assert_int_equal(failure, -EIO); /* no progress */
	fail_next("pwritev", EDQUOT);
	assert_int_equal(put(file, "x", 0, &failure), 0);
	assert_int_equal(failure, -EDQUOT);
	fail_next("pread", EINTR);
	assert_int_equal(cw_outfile_read(file, buffer, 4, 0), 4);
	assert_string_equal(buffer, "data");
	fail_next("pread", EIO);
	assert_int_equal(cw_outfile_read(file, buffer, 4, 0), -EIO);
	fail_next("ftruncate", EINTR);
	assert_int_equal(cw_outfile_cut(file, 2), 0);
	fail_next("ftruncate", EIO);
	assert_int_equal(cw_outfile_cut(file, 1), -EIO);
	fail_next("close", EINTR); /* on Linux it is closed */
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	expect_content(in_folder("eintr"), "da");
	cw_outfile_free(file);
}

static void data_lost_by_sync_or_close_is_never_published(void **state)
{
	static const char *const calls[] = {"fdatasync", "close"};
	struct cw_outfile_options options = plain;

	(void)state;
	options.sync = true;
	for (size_t i = 0; i < CW_ARRAY_COUNT(calls); i++) {
		for (int evict = 0; evict < 2; evict++) {
			struct cw_outfile *file = open_file(in_folder("lost"), options);

			fail_next(calls[i], EIO);
			if (evict)
				assert_int_equal(cw_outfile_evict(file), -EIO);
			assert_int_equal(cw_outfile_publish(file, &error), -EIO);
			assert_non_null(strstr(error.text, "cannot finish writing"));
			assert_int_equal(cw_outfile_publish(file, &error), -EIO); /* for ever */
			assert_false(exists(in_folder("lost")));
			assert_true(exists(cw_outfile_part_path(file)));
			cw_outfile_discard(file, false);
			cw_outfile_free(file);
		}
	}
}

static void a_folder_or_device_that_fails_last_is_reported(void **state)
{
	struct cw_outfile_options options = plain;
	struct cw_outfile *file;

	(void)state;
	options.sync = true;
	file = open_file(in_folder("entry"), options);
	fail_next("fsync", EIO);
	assert_int_equal(cw_outfile_publish(file, &error), -EIO);
	assert_non_null(strstr(error.text, "is complete, but not its folder's entry"));
	assert_null(cw_outfile_part_path(file));
	expect_content(in_folder("entry"), "");
	cw_outfile_free(file);
	file = open_file("/dev/null", plain);
	fail_next("close", EIO);
	assert_int_equal(cw_outfile_publish(file, &error), -EIO);
	assert_string_equal(error.text, "cannot close /dev/null: Input/output error");
	cw_outfile_free(file);
}

static void no_clobber_works_without_the_rename_flag(void **state)
{
	struct cw_outfile_options options = plain;
	struct cw_outfile *file;

	(void)state;
	options.no_clobber = true;
	file = open_file(in_folder("linked"), options);
	make_file(in_folder("linked"), "theirs");
	fail_next("renameat2", EINVAL);
	assert_int_equal(cw_outfile_publish(file, &error), -EEXIST);
	expect_content(in_folder("linked"), "theirs");
	unlink(in_folder("linked"));
	fail_next("renameat2", EINVAL);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	expect_content(in_folder("linked"), "");
	cw_outfile_free(file);
}

static int make_folder(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as the command does */
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[128];

	(void)state;
	umount2(in_folder("disk"), MNT_DETACH);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	    cmocka_unit_test(a_fifo_waits_for_its_reader),
	    cmocka_unit_test(waiting_for_a_reader_ends_when_woken),
	    cmocka_unit_test(standard_output_is_written_and_left_open),
	    cmocka_unit_test(a_non_blocking_descriptor_is_waited_for),
	    cmocka_unit_test(a_descriptor_by_name_is_written_where_it_stands),
	    cmocka_unit_test(links_to_devices_are_followed_and_others_replaced),
	    cmocka_unit_test(an_evicted_file_is_reopened_and_goes_on),
	    cmocka_unit_test(a_part_file_that_was_replaced_is_stale),
	    cmocka_unit_test(no_clobber_refuses_and_keeps_both),
	    cmocka_unit_test(a_published_file_is_removed_and_no_other),
	    cmocka_unit_test(publishing_into_a_removed_folder_fails),
	    cmocka_unit_test(publishing_over_a_folder_fails_and_keeps_the_data),
	    cmocka_unit_test(discard_removes_or_keeps_the_part),
	    cmocka_unit_test(a_relative_name_lies_in_the_current_folder),
	    cmocka_unit_test(memory_that_is_missing_is_an_error),
	    cmocka_unit_test(a_failure_while_creating_leaves_no_part),
	    cmocka_unit_test(interrupted_calls_go_on_and_others_fail),
	    cmocka_unit_test(data_lost_by_sync_or_close_is_never_published),
	    cmocka_unit_test(a_folder_or_device_that_fails_last_is_reported),
	    cmocka_unit_test(no_clobber_works_without_the_rename_flag),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
