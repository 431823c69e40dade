/* SPDX-License-Identifier: BSD-3-Clause */
/* Output files in a folder of the test's own, and calls of the library that fail when told to. */
#ifndef CW_TESTS_CORE_OUTPUT_OUTFILE_RIG_H
#define CW_TESTS_CORE_OUTPUT_OUTFILE_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
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

static inline bool fails_now(const char *call)
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

static inline const char *in_folder(const char *name)
{
	static char paths[4][512];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static inline struct cw_outfile *new_file(const char *path, struct cw_outfile_options options)
{
	struct cw_outfile *file;

	assert_int_equal(cw_outfile_new(&file, path, &options), 0);
	return file;
}

static inline struct cw_outfile *open_file(const char *path, struct cw_outfile_options options)
{
	struct cw_outfile *file = new_file(path, options);

	if (cw_outfile_open(file, &error))
		fail_msg("%s", error.text);
	return file;
}

static inline size_t put(struct cw_outfile *file, const char *text, uint64_t offset, int *failure)
{
	struct iovec vector = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};

	return cw_outfile_write(file, &vector, 1, offset, failure);
}

static inline void put_all(struct cw_outfile *file, const char *text, uint64_t offset)
{
	int failure;

	assert_int_equal(put(file, text, offset, &failure), strlen(text));
	assert_int_equal(failure, 0);
}

static inline void expect_content(const char *path, const char *text)
{
	char buffer[256] = "";
	FILE *stream = fopen(path, "r");

	assert_non_null(stream);
	assert_int_equal(fread(buffer, 1, sizeof(buffer) - 1, stream), strlen(text));
	assert_string_equal(buffer, text);
	fclose(stream);
}

static inline void make_file(const char *path, const char *text)
{
	FILE *stream = fopen(path, "w");

	assert_non_null(stream);
	fputs(text, stream);
	fclose(stream);
}

static inline bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

static inline int make_folder(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as the command does */
	return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
	char command[128];

	(void)state;
	umount2(in_folder("disk"), MNT_DETACH);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

#endif
