/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Direct writing: whatever is done to it, the file is its buffered twin's, to the byte; when files
 * go direct; threads and processes that end.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/output/outfile_parts.h"
#include "tests/core/output/direct_rig.h"
#include "tests/rig/scale.h"

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
			assert_int_equal(cw_outfile_flush(file), 0);
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
	const unsigned seeds = scaled(60, 12);

	(void)state;
	for (unsigned seed = 1; seed <= seeds; seed++) {
		uint64_t end = 0, known = 0; /* bytes that were compared in the step before */
		struct cw_outfile *file;
		uint64_t reached, length, from;

		lot = seed * UINT64_C(0x9e3779b97f4a7c15);
		file = open_direct("lot");
		for (unsigned step = 0; step < 40; step++) {
			switch (draw(14)) {
			case 0:
				assert_int_equal(cw_outfile_flush(file), 0);
				assert_int_equal(cw_outfile_reached(file), end);
				break;
			case 1:
				from = draw(end + 1);
				assert_int_equal(cw_outfile_read(file, back, end - from, from),
						 end - from);
				assert_int_equal(memcmp(back, data + from, end - from), 0);
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
			known = cw_min_size(known, end) / BLOCK * BLOCK; /* the last block again */
			length = read_prefix_from(cw_outfile_part_path(file), known);
			known = length;
			if (length < reached || length > end)
				fail_msg("seed %u: reached %llu, length %llu, taken %llu", seed,
					 (unsigned long long)reached, (unsigned long long)length,
					 (unsigned long long)end);
		}
		publish(file);
		expect_length(in_folder("lot"), end);
	}
	if (!cw_direct_share_refusal(share))
		assert_in_range(submit_count, 5 * seeds, 100000);
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
	assert_int_equal(cw_outfile_flush(file), 0);
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
	for (unsigned round = 0; round < scaled(20, 5); round++) {
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
	for (unsigned round = 0; round < scaled(30, 6); round++) {
		struct cw_outfile *file = open_with(path, share);
		const uint64_t wanted = draw(DATA_BYTES - BLOCK);
		struct stat status;
		uint64_t length;
		pid_t child;

		snprintf(part, sizeof(part), "%s", cw_outfile_part_path(file));
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			/* Rings are not inherited. */
			assert_int_equal(cw_direct_share_new(&file->options.direct, 1, false), 0);
			for (;;) { /* until killed */
				if (put_pieces(file, 0, DATA_BYTES) || cw_outfile_cut(file, 0))
					_exit(1);
			}
		}
		do /* until it is so long; the length falls when the child begins again */
			assert_int_equal(stat(part, &status), 0);
		while ((uint64_t)status.st_size < wanted);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(any_length_comes_out_exact),
	    TEST(whatever_is_done_the_file_is_the_buffered_twins),
	    TEST(a_file_goes_direct_with_its_second_block),
	    TEST(places_are_few_and_come_back),
	    TEST(paced_files_go_direct_when_fast_and_back_when_slow),
	    TEST(a_thread_may_end_while_its_block_is_on_its_way),
	    TEST(a_killed_process_leaves_a_prefix),
	    TEST(a_write_elsewhere_goes_elsewhere),
	    TEST(freeing_waits_and_forgets),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
