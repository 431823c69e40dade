/* SPDX-License-Identifier: BSD-3-Clause */
/* Direct writing where the system refuses, fails, or is full. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/core/output/direct_rig.h"

/* ---- what the system answers ---- */

static void fail_after(const char *call, int skip, int code)
{
	fail_call = call;
	fail_errno = code;
	fail_skip = skip;
}

/* ---- tests ---- */

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
	expect_refused("block", EINVAL, -EOPNOTSUPP);
	expect_refused("block", EOPNOTSUPP, -EOPNOTSUPP);
	expect_refused("io_uring_submit", EAGAIN, -EOPNOTSUPP);
	expect_refused("pread", EIO, -EIO);
	assert_int_equal(submit_count, 3);
}

/* Writes files one after the other, all open; the number of them that go direct. */
static unsigned count_direct(struct cw_direct_share *places)
{
	struct cw_outfile *files[CW_DIRECT_FILES_MAX + 1];
	unsigned count = 0;
	char name[32];

	for (unsigned i = 0; i < CW_ARRAY_COUNT(files); i++) {
		unsigned before = submit_count;

		snprintf(name, sizeof(name), "file%u", i);
		files[i] = open_with(in_folder(name), places);
		assert_int_equal(put_pieces(files[i], 0, 2 * BLOCK), 0);
		count += submit_count > before;
	}
	for (unsigned i = 0; i < CW_ARRAY_COUNT(files); i++) {
		snprintf(name, sizeof(name), "file%u", i);
		publish(files[i]);
		expect_length(in_folder(name), 2 * BLOCK);
	}
	return count;
}

static void where_no_ring_can_be_made_files_are_buffered(void **state)
{
	static const struct {
		const char *call;
		int skip, code, refusal;
	} cases[] = {{"io_uring_queue_init", 0, EPERM, -EPERM},
		     {"io_uring_queue_init", 0, ENOSYS, -ENOSYS},
		     {"io_uring_queue_init", 0, EINVAL, -ENOSYS}, /* cannot start disabled */
		     {"io_uring_queue_init", 0, EMFILE, -EMFILE},
		     {"io_uring_register", 0, EINVAL, -ENOSYS}, /* cannot be restricted */
		     {"io_uring_register", 1, EBADFD, -EBADFD}};

	(void)state;
	NEEDS_DIRECT();
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		struct cw_direct_share *none;

		fail_after(cases[i].call, cases[i].skip, cases[i].code);
		assert_int_equal(cw_direct_share_new(&none, 4, false), 0);
		assert_string_equal(fail_call, "");
		assert_int_equal(cw_direct_share_refusal(none), cases[i].refusal);
		if (i == 0)
			assert_int_equal(count_direct(none), 0);
		cw_direct_share_free(none);
	}
}

static void a_lack_of_memory_or_descriptors_makes_fewer_places(void **state)
{
	struct cw_direct_share *few;
	struct rlimit before, small;

	(void)state;
	NEEDS_DIRECT();
	fail_after("io_uring_queue_init", 2, ENOMEM);
	assert_int_equal(cw_direct_share_new(&few, 4, false), 0);
	assert_int_equal(count_direct(few), 2);
	assert_int_equal(cw_direct_share_refusal(few), 0);
	cw_direct_share_free(few);

	cw_direct_share_free(share); /* gives back 16 descriptors */
	share = NULL;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	small = before;
	small.rlim_cur = 40;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	assert_int_equal(cw_direct_share_new(&few, CW_DIRECT_FILES_MAX, false), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(count_direct(few), 10);
	cw_direct_share_free(few);
}

static void a_ring_whose_submission_failed_is_given_to_no_other_file(void **state)
{
	struct cw_direct_share *two;
	struct cw_outfile *file;

	(void)state;
	NEEDS_DIRECT();
	assert_int_equal(cw_direct_share_new(&two, 2, false), 0);
	file = open_with(in_folder("spoilt"), two);
	fail_after("io_uring_submit", 0, EAGAIN);
	assert_int_equal(put_pieces(file, 0, 3 * BLOCK), 0);
	assert_string_equal(fail_call, "");
	publish(file);
	expect_length(in_folder("spoilt"), 3 * BLOCK);
	assert_int_equal(count_direct(two), 1);
	assert_int_equal(count_direct(two), 1); /* the other ring came back */
	cw_direct_share_free(two);
}

#ifdef CW_HAVE_URING
/* The result of a request. */
static int submit_request(struct io_uring_sqe *request)
{
	struct io_uring_cqe *completion;
	int result;

	request->user_data = 0;
	assert_int_equal(io_uring_submit(last_ring), 1);
	assert_int_equal(io_uring_wait_cqe(last_ring, &completion), 0);
	result = completion->res;
	io_uring_cqe_seen(last_ring, completion);
	return result;
}

static void a_ring_takes_nothing_but_plain_writes(void **state)
{
	struct io_uring_sqe *request;
	struct cw_direct_share *one;
	struct cw_outfile *file;
	char text[] = "packets";
	int fd;

	(void)state;
	NEEDS_DIRECT();
	assert_int_equal(cw_direct_share_new(&one, 1, false), 0);
	file = open_with(in_folder("ring"), NULL);
	fd = open(cw_outfile_part_path(file), O_RDWR);
	assert_true(fd >= 0);
	request = io_uring_get_sqe(last_ring);
	io_uring_prep_openat(request, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	assert_int_equal(submit_request(request), -EACCES);
	request = io_uring_get_sqe(last_ring);
	io_uring_prep_read(request, fd, text, sizeof(text), 0);
	assert_int_equal(submit_request(request), -EACCES);
	request = io_uring_get_sqe(last_ring);
	io_uring_prep_write(request, fd, text, sizeof(text), 0);
	request->flags |= IOSQE_ASYNC;
	assert_int_equal(submit_request(request), -EACCES);
	assert_int_equal(io_uring_register_files(last_ring, &fd, 1), -EACCES);
	request = io_uring_get_sqe(last_ring);
	io_uring_prep_write(request, fd, text, sizeof(text), 0);
	assert_int_equal(submit_request(request), sizeof(text));
	close(fd);
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
	cw_direct_share_free(one);
}
#else
static void a_ring_takes_nothing_but_plain_writes(void **state)
{
	(void)state;
	NEEDS_DIRECT();
}
#endif

static void what_is_missing_for_a_while_is_tried_again(void **state)
{
	static const struct {
		const char *call;
		int code;
	} cases[] = {{"aligned_alloc", ENOMEM}, {"statx-none", ENOSYS}};

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
			failure = cw_outfile_flush(file);
		assert_int_equal(failure, -EIO);
		assert_int_equal(cw_outfile_reached(file), good);
		assert_int_equal(put(file, good, 100, &failure), 0); /* it stays */
		assert_int_equal(failure, -EIO);
		assert_int_equal(cw_outfile_flush(file), -EIO);
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
	assert_int_equal(cw_outfile_flush(file), -ENOSPC);
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
		failure = cw_outfile_flush(file);
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
		failure = cw_outfile_flush(file);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_refuses_direct_writing_is_written_buffered),
	    TEST(where_no_ring_can_be_made_files_are_buffered),
	    TEST(a_lack_of_memory_or_descriptors_makes_fewer_places),
	    TEST(a_ring_whose_submission_failed_is_given_to_no_other_file),
	    TEST(a_ring_takes_nothing_but_plain_writes),
	    TEST(what_is_missing_for_a_while_is_tried_again),
	    TEST(a_block_that_is_taken_back_or_half_written_is_made_whole),
	    TEST(a_failure_gives_the_good_prefix_and_after_a_cut_it_goes_on),
	    TEST(a_full_disk_in_the_middle_of_a_block_is_exact),
	    TEST(a_failure_while_evicting_is_told_by_what_comes_next),
	    TEST(a_limit_on_file_sizes_is_met_to_the_byte),
	    TEST(a_full_disk_keeps_what_fits),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
