/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files written direct, with what the system answers as the test wants it: calls that fail, a clock
 * that lies.
 */
#ifndef CW_TESTS_CORE_OUTPUT_DIRECT_RIG_H
#define CW_TESTS_CORE_OUTPUT_DIRECT_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <cmocka.h>
#include <liburing.h>

#include "core/output/direct.h"
#include "core/output/outfile.h"

#define BLOCK CW_DIRECT_BLOCK_BYTES
#define DATA_BYTES (10 * BLOCK)

static char folder[] = "/tmp/capweir-direct-XXXXXX";
static struct cw_error error;
static struct cw_direct_share *share;
static uint8_t *data; /* DATA_BYTES of noise: a file holds a prefix of it */
static uint8_t *back; /* as many bytes */
static uint64_t lot;

static unsigned submit_count;      /* blocks that went to io_uring */
static struct io_uring *last_ring; /* that was made */

/* ---- random ---- */

static inline uint64_t draw(uint64_t below)
{
	lot ^= lot << 13;
	lot ^= lot >> 7;
	lot ^= lot << 17;
	return lot % below;
}

/* ---- what the system answers ---- */

static const char *fail_call = "";
static int fail_errno;
static int fail_skip;
static uint64_t false_now_ns; /* what the clock says; 0: the truth */

static inline bool fails_now(const char *call)
{
	if (strcmp(call, fail_call) || fail_skip-- > 0)
		return false;
	fail_call = ""; /* once */
	errno = fail_errno;
	return true;
}

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	if (!false_now_ns)
		return __real_clock_gettime(clock, now);
	now->tv_sec = (time_t)(false_now_ns / 1000000000);
	now->tv_nsec = (long)(false_now_ns % 1000000000);
	return 0;
}

ssize_t __real_pwritev(int fd, const struct iovec *from, int count, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *from, int count, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *from, int count, off_t at)
{
	return fails_now("pwritev") ? -1 : __real_pwritev(fd, from, count, at);
}

ssize_t __real_pread(int fd, void *to, size_t bytes, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t bytes, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t bytes, off_t at)
{
	return fails_now("pread") ? -1 : __real_pread(fd, to, bytes, at);
}

void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	return fails_now("aligned_alloc") ? NULL : __real_aligned_alloc(alignment, bytes);
}

/* "statx": a file system that says it takes no direct writes. "statx-none": an older kernel. */
int __real_statx(int fd, const char *path, int flags, unsigned mask, struct statx *status);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *status);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *status)
{
	int result;

	if (fails_now("statx-none"))
		return -1;
	result = __real_statx(fd, path, flags, mask, status);
	if (fails_now("statx")) {
		status->stx_mask |= STATX_DIOALIGN;
		status->stx_dio_mem_align = status->stx_dio_offset_align = 0;
	}
	return result;
}

#ifdef CW_HAVE_URING
int __real_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	if (fails_now("io_uring_queue_init"))
		return -fail_errno;
	last_ring = ring;
	return __real_io_uring_queue_init(entries, ring, flags);
}

/* "io_uring_register": restrictions, then the ring's enabling. */
long __real_syscall(long call, ...);
long __wrap_syscall(long call, ...);
long __wrap_syscall(long call, ...)
{
	long words[6];
	va_list list;

	va_start(list, call);
	for (int i = 0; i < 6; i++)
		words[i] = va_arg(list, long);
	va_end(list);
	if (call == SYS_io_uring_register && fails_now("io_uring_register"))
		return -1;
	return __real_syscall(call, words[0], words[1], words[2], words[3], words[4], words[5]);
}

/*
 * "io_uring_submit": the call itself fails. "block": the block completes with the errno, nothing of
 * it written. "half": half of it is written.
 */
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring)
{
	struct io_uring_sqe *entry = &ring->sq.sqes[ring->sq.sqe_head & *ring->sq.kring_mask];
	struct io_uring_cqe *completion;
	bool fails_block = fails_now("block");
	int result;

	submit_count++;
	if (fails_now("io_uring_submit"))
		return -fail_errno;
	if (fails_now("half"))
		entry->len /= 2;
	if (fails_block)
		io_uring_prep_nop(entry);
	result = __real_io_uring_submit(ring);
	if (fails_block) {
		assert_int_equal(io_uring_wait_cqe(ring, &completion), 0);
		completion->res = -fail_errno;
	}
	return result;
}
#endif

/* ---- files ---- */

static inline const char *in_folder(const char *name)
{
	static char paths[4][512];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static inline struct cw_outfile *open_with(const char *path, struct cw_direct_share *direct)
{
	const struct cw_outfile_options options = {
	    .standard_output = -1, .wake_fd = -1, .direct = direct};
	struct cw_outfile *file;

	assert_int_equal(cw_outfile_new(&file, path, &options), 0);
	if (cw_outfile_open(file, &error))
		fail_msg("%s", error.text);
	return file;
}

static inline struct cw_outfile *open_direct(const char *name)
{
	return open_with(in_folder(name), share);
}

/* Write data[offset, offset + bytes) in one call; what it took. */
static inline size_t put(struct cw_outfile *file, uint64_t offset, size_t bytes, int *failure)
{
	struct iovec vector = {.iov_base = data + offset, .iov_len = bytes};

	return cw_outfile_write(file, &vector, 1, offset, failure);
}

static inline void put_all(struct cw_outfile *file, uint64_t offset, size_t bytes)
{
	int failure;

	assert_int_equal(put(file, offset, bytes, &failure), bytes);
	assert_int_equal(failure, 0);
}

/* In pieces of 256 KiB, as an output does; stops at a failure, which it returns. */
static inline int put_pieces(struct cw_outfile *file, uint64_t offset, uint64_t end)
{
	int failure = 0;

	while (offset < end && !failure) {
		size_t step = end - offset < BLOCK / 4 ? (size_t)(end - offset) : BLOCK / 4;

		offset += put(file, offset, step, &failure);
	}
	return failure;
}

/* The file's length. Its bytes must be a prefix of the data; those from `offset` on are read. */
static inline uint64_t read_prefix_from(const char *path, uint64_t offset)
{
	FILE *stream = fopen(path, "r");
	size_t bytes;

	assert_non_null(stream);
	assert_int_equal(fseek(stream, (long)offset, SEEK_SET), 0);
	bytes = fread(back, 1, DATA_BYTES - offset, stream);
	assert_int_equal(fgetc(stream), EOF);
	offset += bytes;
	assert_int_equal(ftell(stream), offset);
	fclose(stream);
	if (memcmp(back, data + offset - bytes, bytes)) /* cmocka compares byte by byte */
		assert_memory_equal(back, data + offset - bytes, bytes);
	return offset;
}

static inline uint64_t read_prefix(const char *path)
{
	return read_prefix_from(path, 0);
}

static inline void expect_length(const char *path, uint64_t bytes)
{
	assert_int_equal(read_prefix(path), bytes);
}

static inline void publish(struct cw_outfile *file)
{
	if (cw_outfile_publish(file, &error))
		fail_msg("%s", error.text);
	cw_outfile_free(file);
}

/* Whether blocks go to io_uring here at all; else a reason is printed. */
static inline bool is_possible(void)
{
	struct cw_direct_share *own;
	struct cw_outfile *file;
	int refusal;

	assert_int_equal(cw_direct_share_new(&own, 1, false), 0);
	file = open_with(in_folder("possible"), own);
	assert_int_equal(put_pieces(file, 0, 4 * BLOCK), 0);
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
	refusal = cw_direct_share_refusal(own);
	cw_direct_share_free(own);
	submit_count = 0;
	if (refusal)
		print_message("skipped: no direct writing in %s: %s\n", folder, strerror(-refusal));
	return !refusal;
}

#define NEEDS_DIRECT()                \
	do {                          \
		if (!is_possible()) { \
			skip();       \
			return;       \
		}                     \
	} while (0)

/* ---- the run ---- */

static inline int new_share(void **state)
{
	(void)state;
	fail_call = "";
	submit_count = 0;
	lot = 88172645463325252;
	return cw_direct_share_new(&share, CW_DIRECT_FILES_MAX, false);
}

static inline int free_share(void **state)
{
	(void)state;
	false_now_ns = 0;
	cw_direct_share_free(share);
	return 0;
}

static inline int make_folder(void **state)
{
	(void)state;
	data = malloc(DATA_BYTES);
	back = malloc(DATA_BYTES);
	lot = 1;
	for (size_t i = 0; data && i < DATA_BYTES; i += sizeof(uint64_t)) {
		uint64_t noise = draw(UINT64_MAX) | 1; /* no zeros that a hole could pass for */

		memcpy(data + i, &noise, sizeof(noise));
	}
	return data && back && mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
	char command[128];

	(void)state;
	free(data);
	free(back);
	umount2(in_folder("disk"), MNT_DETACH);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_share, free_share)

#endif
