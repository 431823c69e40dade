/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Direct writing, against the obvious twin: the same bytes written buffered, or kept in memory.
 * What io_uring answers can be replaced, the kernel's memory of completions being this process's
 * too. In a build or on a file system without it, the same calls are made and everything is
 * buffered; tests that need it to happen are skipped then.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/output/outfile.h"
#include "core/output/direct.h"

#ifdef CW_HAVE_URING
#include <liburing.h>
#endif

#define BLOCK CW_DIRECT_BLOCK_BYTES
#define DATA_BYTES (10 * BLOCK)

static char folder[] = "/tmp/capweir-direct-XXXXXX";
static struct cw_error error;
static struct cw_direct_share *share;
static uint8_t *data; /* DATA_BYTES of noise: a file holds a prefix of it */
static uint8_t *back; /* as many bytes */
static uint64_t lot;

static unsigned submit_count; /* blocks that went to io_uring */

/* ---- random ---- */

static uint64_t draw(uint64_t below)
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

static bool fails_now(const char *call)
{
	if (strcmp(call, fail_call) || fail_skip-- > 0)
		return false;
	fail_call = ""; /* once */
	errno = fail_errno;
	return true;
}

static void fail_after(const char *call, int skip, int code)
{
	fail_call = call;
	fail_errno = code;
	fail_skip = skip;
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
	return __real_io_uring_queue_init(entries, ring, flags);
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

static const char *in_folder(const char *name)
{
	static char paths[4][512];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static struct cw_outfile *open_with(const char *path, struct cw_direct_share *direct)
{
	const struct cw_outfile_options options = {
	    .standard_output = -1, .wake_fd = -1, .direct = direct};
	struct cw_outfile *file;

	assert_int_equal(cw_outfile_new(&file, path, &options), 0);
	if (cw_outfile_open(file, &error))
		fail_msg("%s", error.text);
	return file;
}

static struct cw_outfile *open_direct(const char *name)
{
	return open_with(in_folder(name), share);
}

/* Write data[offset, offset + bytes) in one call; what it took. */
static size_t put(struct cw_outfile *file, uint64_t offset, size_t bytes, int *failure)
{
	struct iovec vector = {.iov_base = data + offset, .iov_len = bytes};

	return cw_outfile_write(file, &vector, 1, offset, failure);
}

static void put_all(struct cw_outfile *file, uint64_t offset, size_t bytes)
{
	int failure;

	assert_int_equal(put(file, offset, bytes, &failure), bytes);
	assert_int_equal(failure, 0);
}

/* In pieces of 256 KiB, as an output does; stops at a failure, which it returns. */
static int put_pieces(struct cw_outfile *file, uint64_t offset, uint64_t end)
{
	int failure = 0;

	while (offset < end && !failure) {
		size_t step = end - offset < BLOCK / 4 ? (size_t)(end - offset) : BLOCK / 4;

		offset += put(file, offset, step, &failure);
	}
	return failure;
}

/* The file's bytes, which must be a prefix of the data; its length. */
static uint64_t read_prefix(const char *path)
{
	FILE *stream = fopen(path, "r");
	size_t bytes;

	assert_non_null(stream);
	bytes = fread(back, 1, DATA_BYTES, stream);
	assert_int_equal(fgetc(stream), EOF);
	fclose(stream);
	assert_memory_equal(back, data, bytes);
	return bytes;
}

static void expect_length(const char *path, uint64_t bytes)
{
	assert_int_equal(read_prefix(path), bytes);
}

static void publish(struct cw_outfile *file)
{
	if (cw_outfile_publish(file, &error))
		fail_msg("%s", error.text);
	cw_outfile_free(file);
}

/* Whether blocks go to io_uring here at all; else a reason is printed. */
static bool is_possible(void)
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

/* ---- tests ---- */

static void any_length_comes_out_exact(void **state)
{
	static const int around[] = {-4097, -4096, -4095, -513, -512, -1,   0,
				     1,     511,   512,   4095, 4096, 4097, 70000};
	const char *path = in_folder("length");

	(void)state;
	for (uint64_t blocks = 0; blocks <= 4; blocks++) {
		for (size_t i = 0; i < sizeof(around) / sizeof(*around); i++) {
			int64_t bytes = (int64_t)(blocks * BLOCK) + around[i];
			struct cw_outfile *file;

			if (bytes < 0)
				continue;
			file = open_direct("length");
			assert_int_equal(put_pieces(file, 0, (uint64_t)bytes), 0);
			assert_int_equal(cw_outfile_settle(file), 0);
			assert_int_equal(cw_outfile_reached(file), bytes);
			expect_length(cw_outfile_part_path(file), (uint64_t)bytes);
			publish(file);
			expect_length(path, (uint64_t)bytes);
		}
	}
	if (!cw_direct_share_refusal(share))
		assert_in_range(submit_count, 30, 1000);
}

/* Several vectors of sizes drawn by lot, empty ones among them. */
static uint64_t put_by_lot(struct cw_outfile *file, uint64_t offset)
{
	struct iovec vectors[8];
	int count = (int)draw(8) + 1;
	uint64_t end = offset;
	int failure;

	for (int i = 0; i < count; i++) {
		static const uint64_t sizes[] = {1, 100, 1516, 4096, 5000, 65536, 262144, 1200000};
		uint64_t bytes = draw(sizes[draw(8)] + 1);

		if (draw(4) == 0)
			bytes = sizes[3 + draw(4)] & ~UINT64_C(4095);
		if (bytes > DATA_BYTES - end)
			bytes = DATA_BYTES - end;
		vectors[i] = (struct iovec){.iov_base = data + end, .iov_len = (size_t)bytes};
		end += bytes;
	}
	assert_int_equal(cw_outfile_write(file, vectors, count, offset, &failure), end - offset);
	assert_int_equal(failure, 0);
	return end;
}

static void whatever_is_done_the_file_is_the_buffered_twins(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 60; seed++) {
		struct cw_outfile *file;
		uint64_t end = 0;
		uint64_t reached, length, from;

		lot = seed * UINT64_C(0x9e3779b97f4a7c15);
		file = open_direct("lot");
		for (unsigned step = 0; step < 40; step++) {
			switch (draw(14)) {
			case 0:
				assert_int_equal(cw_outfile_settle(file), 0);
				assert_int_equal(cw_outfile_reached(file), end);
				break;
			case 1:
				from = draw(end + 1);
				assert_int_equal(cw_outfile_read(file, back, end - from, from),
						 end - from);
				assert_memory_equal(back, data + from, end - from);
				break;
			case 2:
				end -= draw(end / 3 + 1);
				assert_int_equal(cw_outfile_cut(file, end), 0);
				assert_int_equal(cw_outfile_reached(file), end);
				break;
			case 3:
				assert_int_equal(cw_outfile_evict(file), 0);
				expect_length(cw_outfile_part_path(file), end);
				assert_int_equal(cw_outfile_open(file, &error), 0);
				break;
			case 4: /* what is not reached is forgotten */
				cw_outfile_drop(file);
				end = cw_outfile_reached(file);
				break;
			default:
				end = put_by_lot(file, end);
			}
			/* What a kill at this moment would leave. */
			reached = cw_outfile_reached(file);
			length = read_prefix(cw_outfile_part_path(file));
			if (length < reached || length > end)
				fail_msg("seed %u: reached %llu, length %llu, taken %llu", seed,
					 (unsigned long long)reached, (unsigned long long)length,
					 (unsigned long long)end);
		}
		publish(file);
		expect_length(in_folder("lot"), end);
	}
	if (!cw_direct_share_refusal(share))
		assert_in_range(submit_count, 300, 100000);
}

static void a_file_goes_direct_with_its_second_block(void **state)
{
	struct cw_outfile *file;

	(void)state;
	NEEDS_DIRECT();
	file = open_direct("second");
	put_all(file, 0, BLOCK - 1);
	put_all(file, BLOCK - 1, 1);
	assert_int_equal(submit_count, 0);
	put_all(file, BLOCK, BLOCK);
	assert_int_equal(submit_count, 1);
	/* What was only copied is not reached. */
	put_all(file, 2 * BLOCK, 1000);
	assert_in_range(cw_outfile_reached(file), BLOCK, 2 * BLOCK);
	while (cw_outfile_is_busy(file))
		;
	assert_int_equal(cw_outfile_reached(file), 2 * BLOCK);
	assert_int_equal(cw_outfile_settle(file), 0);
	assert_int_equal(cw_outfile_reached(file), 2 * BLOCK + 1000);
	publish(file);
	expect_length(in_folder("second"), 2 * BLOCK + 1000);
}

static void places_are_few_and_come_back(void **state)
{
	struct cw_outfile *files[CW_DIRECT_FILES_MAX + 2];
	char name[32];

	(void)state;
	NEEDS_DIRECT();
	for (unsigned i = 0; i < CW_DIRECT_FILES_MAX + 2; i++) {
		snprintf(name, sizeof(name), "place%u", i);
		files[i] = open_direct(name);
		assert_int_equal(put_pieces(files[i], 0, 2 * BLOCK), 0);
		assert_int_equal(submit_count,
				 i < CW_DIRECT_FILES_MAX ? i + 1 : CW_DIRECT_FILES_MAX);
	}
	publish(files[3]);
	files[3] = NULL;
	assert_int_equal(put_pieces(files[CW_DIRECT_FILES_MAX], 2 * BLOCK, 4 * BLOCK), 0);
	assert_in_range(submit_count, CW_DIRECT_FILES_MAX + 1, CW_DIRECT_FILES_MAX + 2);
	for (unsigned i = 0; i < CW_DIRECT_FILES_MAX + 2; i++) {
		if (!files[i])
			continue;
		snprintf(name, sizeof(name), "place%u", i);
		publish(files[i]);
		expect_length(in_folder(name), i == CW_DIRECT_FILES_MAX ? 4 * BLOCK : 2 * BLOCK);
	}
	assert_int_equal(cw_direct_share_refusal(share), 0);
}

static void paced_files_go_direct_when_fast_and_back_when_slow(void **state)
{
	struct cw_direct_share *paced;
	struct cw_outfile *file;

	(void)state;
	NEEDS_DIRECT();
	assert_int_equal(cw_direct_share_new(&paced, 1, true), 0);
	file = open_with(in_folder("paced"), paced);
	false_now_ns = 1000000000;
	put_all(file, 0, 1000);
	false_now_ns += 300000000; /* a block in 300 ms: not fast enough */
	put_all(file, 1000, BLOCK - 1000);
	put_all(file, BLOCK, BLOCK / 2);
	assert_int_equal(submit_count, 0);
	false_now_ns += 200000000; /* in 200 ms: direct from now on */
	put_all(file, BLOCK * 3 / 2, BLOCK / 2);
	put_all(file, 2 * BLOCK, BLOCK);
	assert_int_equal(submit_count, 1);
	false_now_ns += 900000000; /* slow, but stays */
	put_all(file, 3 * BLOCK, BLOCK);
	assert_int_equal(submit_count, 2);
	false_now_ns += 1100000000; /* too slow: what is staged is written, then buffered */
	put_all(file, 4 * BLOCK, BLOCK);
	assert_int_equal(submit_count, 3);
	put_all(file, 5 * BLOCK, BLOCK / 2);
	assert_int_equal(submit_count, 3);
	assert_int_equal(cw_outfile_reached(file), 5 * BLOCK + BLOCK / 2);
	false_now_ns = 0;
	publish(file);
	expect_length(in_folder("paced"), 5 * BLOCK + BLOCK / 2);
	cw_direct_share_free(paced);
}

/* Why a file stays buffered: its bytes are the same, and the reason is told. */
static void expect_refused(const char *call, int code, int refusal)
{
	struct cw_direct_share *own;
	struct cw_outfile *file;

	assert_int_equal(cw_direct_share_new(&own, 4, false), 0);
	file = open_with(in_folder("refused"), own);
	fail_after(call, 0, code);
	put_all(file, 0, 100); /* so that a part of a page is read back */
	assert_int_equal(put_pieces(file, 100, 5 * BLOCK + 123), 0);
	assert_string_equal(fail_call, "");
	assert_int_equal(cw_direct_share_refusal(own), refusal);
	publish(file);
	expect_length(in_folder("refused"), 5 * BLOCK + 123);
	cw_direct_share_free(own);
}

static void what_refuses_direct_writing_is_written_buffered(void **state)
{
	(void)state;
	NEEDS_DIRECT();
	expect_refused("statx", 0, -EOPNOTSUPP);
	expect_refused("io_uring_queue_init", EPERM, -EPERM);
	expect_refused("io_uring_queue_init", ENOSYS, -ENOSYS);
	expect_refused("block", EINVAL, -EOPNOTSUPP);
	expect_refused("block", EOPNOTSUPP, -EOPNOTSUPP);
	expect_refused("io_uring_submit", EAGAIN, -EOPNOTSUPP);
	expect_refused("pread", EIO, -EIO);
	assert_int_equal(submit_count, 3);
}

static void what_is_missing_for_a_while_is_tried_again(void **state)
{
	static const struct {
		const char *call;
		int code;
	} cases[] = {{"io_uring_queue_init", EMFILE},
		     {"io_uring_queue_init", ENOMEM},
		     {"aligned_alloc", ENOMEM},
		     {"statx-none", ENOSYS}};

	(void)state;
	NEEDS_DIRECT();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cw_outfile *file = open_direct("again");

		submit_count = 0;
		fail_after(cases[i].call, 0, cases[i].code);
		assert_int_equal(put_pieces(file, 0, 5 * BLOCK), 0);
		assert_string_equal(fail_call, "");
		assert_in_range(submit_count, 2, 4);
		assert_int_equal(cw_direct_share_refusal(share), 0);
		publish(file);
		expect_length(in_folder("again"), 5 * BLOCK);
	}
}

static void a_block_that_is_taken_back_or_half_written_is_made_whole(void **state)
{
	static const struct {
		const char *call;
		int code;
	} cases[] = {{"half", 0},       {"block", ECANCELED}, {"block", EINTR},
		     {"block", EAGAIN}, {"block", ENOSPC},    {"block", EDQUOT}};

	(void)state;
	NEEDS_DIRECT();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (int skip = 0; skip < 3; skip++) {
			struct cw_outfile *file = open_direct("whole");

			fail_after(cases[i].call, skip, cases[i].code);
			assert_int_equal(put_pieces(file, 0, 5 * BLOCK + 7), 0);
			assert_string_equal(fail_call, "");
			publish(file);
			expect_length(in_folder("whole"), 5 * BLOCK + 7);
			assert_int_equal(cw_direct_share_refusal(share), 0);
		}
	}
}

static void a_failure_gives_the_good_prefix_and_after_a_cut_it_goes_on(void **state)
{
	struct cw_outfile *file;
	int failure = 0;

	(void)state;
	NEEDS_DIRECT();
	for (int skip = 0; skip < 3; skip++) {
		uint64_t good = (uint64_t)(skip + 1) * BLOCK;

		file = open_direct("good");
		fail_after("block", skip, EIO);
		failure = put_pieces(file, 0, good + BLOCK + BLOCK / 2);
		if (!failure) /* it is the end that meets it */
			failure = cw_outfile_settle(file);
		assert_int_equal(failure, -EIO);
		assert_int_equal(cw_outfile_reached(file), good);
		assert_int_equal(put(file, good, 100, &failure), 0); /* it stays */
		assert_int_equal(failure, -EIO);
		assert_int_equal(cw_outfile_settle(file), -EIO);
		assert_int_equal(cw_outfile_publish(file, &error), -EIO);
		assert_int_equal(cw_outfile_read(file, back, good, 0), good);
		assert_memory_equal(back, data, good);
		assert_int_equal(cw_outfile_cut(file, good - 10), 0);
		assert_int_equal(put_pieces(file, good - 10, good + 4 * BLOCK), 0);
		publish(file);
		expect_length(in_folder("good"), good + 4 * BLOCK);
	}
}

static void a_full_disk_in_the_middle_of_a_block_is_exact(void **state)
{
	struct cw_outfile *file;

	(void)state;
	NEEDS_DIRECT();
	/* The block is refused for want of room, then so is its buffered half. */
	file = open_direct("middle");
	put_all(file, 0, BLOCK);
	fail_after("half", 0, 0);
	put_all(file, BLOCK, BLOCK);
	fail_after("pwritev", 0, ENOSPC);
	assert_int_equal(cw_outfile_settle(file), -ENOSPC);
	assert_int_equal(cw_outfile_reached(file), BLOCK + BLOCK / 2);
	expect_length(cw_outfile_part_path(file), BLOCK + BLOCK / 2);
	assert_int_equal(cw_outfile_cut(file, BLOCK + 1), 0);
	publish(file);
	expect_length(in_folder("middle"), BLOCK + 1);
}

static void a_failure_while_evicting_is_told_by_what_comes_next(void **state)
{
	struct cw_outfile *file;
	int failure;

	(void)state;
	NEEDS_DIRECT();
	file = open_direct("evicted");
	put_all(file, 0, BLOCK);
	put_all(file, BLOCK, 3000);
	fail_after("pwritev", 0, ENOSPC);
	assert_int_equal(cw_outfile_evict(file), 0);
	assert_string_equal(fail_call, "");
	assert_false(cw_outfile_is_open(file));
	assert_int_equal(cw_outfile_reached(file), BLOCK);
	assert_int_equal(cw_outfile_open(file, &error), 0);
	assert_int_equal(put(file, BLOCK + 3000, 10, &failure), 0);
	assert_int_equal(failure, -ENOSPC);
	assert_int_equal(cw_outfile_cut(file, BLOCK), 0);
	put_all(file, BLOCK, 10);
	publish(file);
	expect_length(in_folder("evicted"), BLOCK + 10);
}

static void a_limit_on_file_sizes_is_met_to_the_byte(void **state)
{
	struct rlimit before, small;
	struct cw_outfile *file;
	int failure;

	(void)state;
	signal(SIGXFSZ, SIG_IGN); /* as the command does */
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 3 * BLOCK + 12345;
	file = open_direct("limit");
	setrlimit(RLIMIT_FSIZE, &small);
	failure = put_pieces(file, 0, 5 * BLOCK);
	if (!failure)
		failure = cw_outfile_settle(file);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(failure, -EFBIG);
	assert_int_equal(cw_outfile_reached(file), 3 * BLOCK + 12345);
	expect_length(cw_outfile_part_path(file), 3 * BLOCK + 12345);
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
}

/* Fill a file system that has 6 MiB at most; what it took is a prefix, and cut it is a whole file.
 */
static void fill_disk(const char *disk)
{
	char path[512];
	struct cw_outfile *file;
	uint64_t reached;
	int failure;

	snprintf(path, sizeof(path), "%s/a.pcap", disk);
	file = open_with(path, share);
	failure = put_pieces(file, 0, DATA_BYTES);
	if (!failure)
		failure = cw_outfile_settle(file);
	assert_int_equal(failure, -ENOSPC);
	reached = cw_outfile_reached(file);
	assert_in_range(reached, 2 * BLOCK, 8 * BLOCK);
	expect_length(cw_outfile_part_path(file), reached);
	assert_int_equal(cw_outfile_cut(file, reached - 5000), 0);
	put_all(file, reached - 5000, 100);
	publish(file);
	expect_length(path, reached - 4900);
}

static void a_full_disk_keeps_what_fits(void **state)
{
	const char *disk = in_folder("disk");
	char command[2048];

	(void)state;
	assert_int_equal(mkdir(disk, 0700), 0);
	if (mount("capweir", disk, "tmpfs", 0, "size=6m")) {
		print_message("skipped: mounting needs root: %s\n", strerror(errno));
		skip();
		return;
	}
	fill_disk(disk);
	assert_int_not_equal(cw_direct_share_refusal(share), 0); /* tmpfs has nothing to go past */
	assert_int_equal(umount(disk), 0);

	cw_direct_share_free(share);
	assert_int_equal(cw_direct_share_new(&share, CW_DIRECT_FILES_MAX, false), 0);
	snprintf(command, sizeof(command),
		 "{ truncate -s 8M %s/image && mkfs.ext4 -q -F -O ^has_journal %s/image && "
		 "mount -o loop %s/image %s; } >/dev/null 2>&1",
		 folder, folder, folder, disk);
	if (system(command)) {
		print_message("no ext4 image can be mounted here: only tmpfs was filled\n");
		return;
	}
	fill_disk(disk);
	assert_int_equal(umount(disk), 0);
}

struct handed {
	struct cw_outfile *file;
	uint64_t offset;
};

static void *write_and_end(void *argument)
{
	struct handed *handed = argument;

	assert_int_equal(put_pieces(handed->file, handed->offset, handed->offset + BLOCK), 0);
	return NULL;
}

static void a_thread_may_end_while_its_block_is_on_its_way(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct handed handed = {.file = open_direct("thread")};

		for (; handed.offset < 5 * BLOCK; handed.offset += BLOCK) {
			pthread_t thread;

			assert_int_equal(pthread_create(&thread, NULL, write_and_end, &handed), 0);
			assert_int_equal(pthread_join(thread, NULL), 0);
		}
		publish(handed.file);
		expect_length(in_folder("thread"), 5 * BLOCK);
	}
}

static void a_killed_process_leaves_a_prefix(void **state)
{
	const char *path = in_folder("killed");
	char part[600];

	(void)state;
	for (unsigned round = 0; round < 30; round++) {
		struct cw_outfile *file = open_with(path, share);
		const struct timespec pause = {.tv_nsec = (long)draw(8000000)};
		uint64_t length;
		pid_t child;

		snprintf(part, sizeof(part), "%s", cw_outfile_part_path(file));
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			for (;;) { /* until killed */
				if (put_pieces(file, 0, DATA_BYTES) || cw_outfile_cut(file, 0))
					_exit(1);
			}
		}
		nanosleep(&pause, NULL);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		length = read_prefix(part);
		assert_in_range(length, 0, DATA_BYTES);
		cw_outfile_discard(file, false);
		cw_outfile_free(file);
	}
}

static void a_write_elsewhere_goes_elsewhere(void **state)
{
	struct cw_outfile *file = open_direct("elsewhere");

	(void)state;
	assert_int_equal(put_pieces(file, 0, 3 * BLOCK + 100), 0);
	memset(data + 5000, 'x', 100);
	put_all(file, 5000, 100);
	assert_int_equal(cw_outfile_reached(file), 3 * BLOCK + 100);
	expect_length(cw_outfile_part_path(file), 3 * BLOCK + 100);
	assert_int_equal(put_pieces(file, 3 * BLOCK + 100, 6 * BLOCK + 1), 0);
	publish(file);
	expect_length(in_folder("elsewhere"), 6 * BLOCK + 1);
}

static void freeing_waits_and_forgets(void **state)
{
	struct cw_outfile *file = open_direct("freed");
	char part[600];

	(void)state;
	assert_int_equal(put_pieces(file, 0, 3 * BLOCK + 100), 0);
	snprintf(part, sizeof(part), "%s", cw_outfile_part_path(file));
	cw_outfile_free(file);
	assert_in_range(read_prefix(part), BLOCK, 3 * BLOCK + 100);
	unlink(part);
	cw_direct_share_free(NULL);
}

/* ---- the run ---- */

static int new_share(void **state)
{
	(void)state;
	fail_call = "";
	submit_count = 0;
	lot = 88172645463325252;
	return cw_direct_share_new(&share, CW_DIRECT_FILES_MAX, false);
}

static int free_share(void **state)
{
	(void)state;
	false_now_ns = 0;
	cw_direct_share_free(share);
	return 0;
}

static int make_folder(void **state)
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

static int remove_folder(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(any_length_comes_out_exact),
	    TEST(whatever_is_done_the_file_is_the_buffered_twins),
	    TEST(a_file_goes_direct_with_its_second_block),
	    TEST(places_are_few_and_come_back),
	    TEST(paced_files_go_direct_when_fast_and_back_when_slow),
	    TEST(what_refuses_direct_writing_is_written_buffered),
	    TEST(what_is_missing_for_a_while_is_tried_again),
	    TEST(a_block_that_is_taken_back_or_half_written_is_made_whole),
	    TEST(a_failure_gives_the_good_prefix_and_after_a_cut_it_goes_on),
	    TEST(a_full_disk_in_the_middle_of_a_block_is_exact),
	    TEST(a_failure_while_evicting_is_told_by_what_comes_next),
	    TEST(a_limit_on_file_sizes_is_met_to_the_byte),
	    TEST(a_full_disk_keeps_what_fits),
	    TEST(a_thread_may_end_while_its_block_is_on_its_way),
	    TEST(a_killed_process_leaves_a_prefix),
	    TEST(a_write_elsewhere_goes_elsewhere),
	    TEST(freeing_waits_and_forgets),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
