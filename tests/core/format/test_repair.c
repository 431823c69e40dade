/* SPDX-License-Identifier: BSD-3-Clause */
/* Repairing where the system says no: the file stays as it was, and that is told. (What is cut and
 * what is not: tests/e2e/test_torn_tails.py.) */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/format/repair.h"
#include "tests/rig/capture.h"

#define TORN_BYTES 7

static struct image image;
static char path[] = "/tmp/capweir-repair-XXXXXX";
static int failing_call; /* which of the calls below fails, and how */
static int failure;
static int touch_call;

enum { NONE, READING, CUTTING, SYNCING, CHANGING };

ssize_t __real_pread(int fd, void *to, size_t bytes, off_t offset);
ssize_t __wrap_pread(int fd, void *to, size_t bytes, off_t offset);
ssize_t __wrap_pread(int fd, void *to, size_t bytes, off_t offset)
{
	if (failing_call == READING && failure == 0)
		return 0;
	if (failing_call == READING) {
		errno = failure;
		return -1;
	}
	if (failing_call == CHANGING && touch_call++ == 0)
		assert_int_equal(truncate(path, (off_t)image.bytes + 100), 0);
	return __real_pread(fd, to, bytes, offset);
}

int __real_ftruncate(int fd, off_t bytes);
int __wrap_ftruncate(int fd, off_t bytes);
int __wrap_ftruncate(int fd, off_t bytes)
{
	if (failing_call != CUTTING)
		return __real_ftruncate(fd, bytes);
	errno = failure;
	return -1;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	if (failing_call != SYNCING)
		return __real_fsync(fd);
	errno = failure;
	return -1;
}

/* A pcap file of two records, the second one torn. */
static void write_file(void)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	image.bytes = 0;
	put_u32(&image, 0xa1b2c3d4);
	put_u32(&image, 2 | 4 << 16);
	put_u64(&image, 0);
	put_u32(&image, 65535);
	put_u32(&image, 1);
	for (uint32_t record = 0; record < 2; record++) {
		put_u64(&image, record + 1);
		put_u32(&image, 20);
		put_u32(&image, 20);
		put_pattern(&image, 1, 20);
	}
	image.bytes -= TORN_BYTES;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, image.data, image.bytes), image.bytes);
	close(fd);
	touch_call = 0;
}

static size_t file_bytes(void)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return (size_t)status.st_size;
}

static void check_failure(int call, int code, int result, const char *words)
{
	struct cw_repair repair;
	struct cw_error error = {0};

	write_file();
	failing_call = call;
	failure = code;
	assert_int_equal(cw_repair_file(path, false, &repair, &error), result);
	failing_call = NONE;
	assert_int_equal(error.code, result);
	assert_non_null(strstr(error.text, words));
	assert_non_null(strstr(error.text, path));
	assert_int_equal(repair.is_cut, call == SYNCING);
	if (call != SYNCING)
		assert_true(file_bytes() >= image.bytes);
}

static void a_call_that_fails_leaves_the_file(void **state)
{
	(void)state;
	check_failure(READING, EIO, -EIO, "Input/output error");
	check_failure(READING, 0, -EBUSY, "read");
	check_failure(CUTTING, EPERM, -EPERM, "cannot truncate");
	check_failure(SYNCING, EIO, -EIO, "perhaps not on the disk");
	check_failure(CHANGING, 0, -EBUSY, "changed");
}

static void without_failures_it_is_cut(void **state)
{
	struct cw_repair repair;
	struct cw_error error = {0};

	(void)state;
	write_file();
	assert_int_equal(cw_repair_file(path, true, &repair, &error), 0);
	assert_int_equal(file_bytes(), image.bytes);
	assert_int_equal(repair.kept_bytes, 24 + 36);
	assert_int_equal(cw_repair_file(path, false, &repair, NULL), 0);
	assert_int_equal(file_bytes(), 24 + 36);
	assert_int_equal(repair.packets, 1);
	assert_string_equal(repair.torn, "a record that wants 36 bytes");
	assert_int_equal(cw_repair_file(path, false, &repair, NULL), 0);
	assert_int_equal(repair.torn[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_failures_it_is_cut),
	    cmocka_unit_test(a_call_that_fails_leaves_the_file),
	};
	int fd = mkstemp(path);
	int status;

	if (fd < 0)
		return 1;
	close(fd);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return status;
}
