/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compressed output files: what comes back is what went in, in frames that end where they should,
 * also where writing failed, the file was cut, and the stream went on. Another thread takes frames
 * away to compress them, as workers do.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <zstd.h>

#include "core/output/outfile.h"
#include "core/format/pack.h"
#include "tests/rig/capture.h"
#include "tests/rig/scale.h"

#define STREAM_BYTES ((size_t)5 * CW_PACK_FRAME_BYTES + 12345)
#define SEED UINT64_C(20241104)

static char folder[] = "/tmp/capweir-pack-XXXXXX";
static char path[64];
static uint8_t *stream;
static uint64_t random_state;
static uint32_t fail_one_in; /* of writes; 0 = none */
static bool is_disk_broken;  /* no write works */
static bool is_next_half;    /* unless this one, which writes half before it fails */
static uint32_t failed_count;
static uint32_t failed_cut_count;

static uint32_t draw(uint32_t limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(random_state >> 33) % limit;
}

ssize_t __real_pwritev(int fd, const struct iovec *vectors, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *vectors, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *vectors, int count, off_t offset)
{
	struct iovec part = vectors[0];

	if (is_disk_broken) {
		part.iov_len /= 2;
		if (is_next_half)
			(void)!__real_pwritev(fd, &part, 1, offset);
		is_next_half = false;
		errno = EIO;
		return -1;
	}
	if (!fail_one_in || draw(fail_one_in))
		return __real_pwritev(fd, vectors, count, offset);
	/* Half of it, and then no more: the next call says so. */
	failed_count++;
	if (part.iov_len > 1 && draw(2)) {
		part.iov_len /= 2;
		(void)!__real_pwritev(fd, &part, 1, offset);
	}
	errno = ENOSPC;
	return -1;
}

static _Atomic bool is_over;

static void *run_frames(void *pack)
{
	while (!atomic_load(&is_over))
		if (!cw_pack_run_any(pack))
			sched_yield();
	return NULL;
}

static struct cw_pack *new_pack(uint32_t in_flight, uint32_t extra_count)
{
	const struct cw_pack_options options = {
	    .file_count = 1, .extra_count = extra_count, .in_flight = in_flight};
	struct cw_pack *pack;

	assert_int_equal(cw_pack_new(&pack, &options), 0);
	return pack;
}

static struct cw_outfile *open_file(struct cw_pack *pack)
{
	const struct cw_outfile_options options = {.pack = pack, .standard_output = -1};
	struct cw_outfile *file;

	assert_int_equal(cw_outfile_new(&file, path, &options), 0);
	assert_int_equal(cw_outfile_open(file, NULL), 0);
	return file;
}

/* The published file: its frames' edges, and what is in them. */
static void check_file(size_t bytes, bool is_cut)
{
	static uint8_t plain[CW_PACK_FRAME_BYTES];
	FILE *stream_in = fopen(path, "rb");
	struct stat status;
	uint8_t *content;
	size_t at = 0, total = 0;

	assert_non_null(stream_in);
	assert_int_equal(fstat(fileno(stream_in), &status), 0);
	content = malloc((size_t)status.st_size + 1);
	assert_int_equal(fread(content, 1, (size_t)status.st_size, stream_in), status.st_size);
	fclose(stream_in);
	while (at < (size_t)status.st_size) {
		size_t size =
		    ZSTD_findFrameCompressedSize(content + at, (size_t)status.st_size - at);
		int64_t got;

		assert_false(ZSTD_isError(size));
		if (cw_load_u32(content + at, 0) == 0x184D2A5E) {
			at += size; /* the table is the last */
			break;
		}
		got = cw_pack_unpack(content + at, size, plain);
		assert_true(got > 0);
		assert_true(got == (int64_t)CW_PACK_FRAME_BYTES || total + (size_t)got == bytes);
		assert_int_equal(memcmp(plain, stream + total, (size_t)got), 0);
		total += (size_t)got;
		at += size;
	}
	assert_int_equal(total, bytes);
	assert_int_equal(at, status.st_size);
	if (!is_cut)
		assert_int_equal(cw_load_u32(content + at - 4, 0), 0x8F92EAB1);
	free(content);
}

static void what_went_in_comes_out(void **state)
{
	static const size_t lengths[] = {
	    1,           100, CW_PACK_FRAME_BYTES - 1, CW_PACK_FRAME_BYTES, CW_PACK_FRAME_BYTES + 1,
	    STREAM_BYTES};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(lengths); i++) {
		struct cw_pack *pack = new_pack(3, 2);
		struct cw_outfile *file = open_file(pack);
		size_t at = 0;

		while (at < lengths[i]) {
			size_t part = cw_min_size(lengths[i] - at, 1 + draw(300000));
			struct iovec vector = {.iov_base = stream + at, .iov_len = part};
			int failure;

			assert_int_equal(cw_outfile_write(file, &vector, 1, at, &failure), part);
			assert_int_equal(failure, 0);
			at += part;
			assert_true(cw_outfile_reached(file) <= at);
			assert_int_equal(cw_outfile_reached(file) % CW_PACK_FRAME_BYTES, 0);
			if (!draw(5)) { /* its descriptor is wanted elsewhere */
				assert_int_equal(cw_outfile_evict(file), 0);
				assert_int_equal(cw_outfile_open(file, NULL), 0);
			}
		}
		assert_int_equal(cw_outfile_finish(file), 0);
		assert_int_equal(cw_outfile_reached(file), lengths[i]);
		assert_int_equal(cw_outfile_publish(file, NULL), 0);
		cw_outfile_free(file);
		check_file(lengths[i], false);
		cw_pack_free(pack);
	}
}

/* Checks the last bytes of the content. */
static void check_end(struct cw_outfile *file)
{
	uint64_t reached = cw_outfile_reached(file);
	uint8_t back[64];

	if (reached < sizeof(back))
		return;
	assert_int_equal(cw_outfile_read(file, back, sizeof(back), reached - sizeof(back)),
			 sizeof(back));
	assert_memory_equal(back, stream + reached - sizeof(back), sizeof(back));
}

/*
 * Cuts the file where cutting may fail as well: every frame before the one cut stays on the disk.
 * Returns the bytes kept, fewer than `keep` only if a frame was damaged and could not be restored.
 */
static uint64_t cut(struct cw_outfile *file, uint64_t keep)
{
	int failure;

	do {
		fail_one_in = 3;
		failure = cw_outfile_cut(file, keep);
		fail_one_in = 0;
		failed_cut_count += failure != 0;
		check_end(file);
		assert_true(cw_outfile_reached(file) >=
			    keep / CW_PACK_FRAME_BYTES * CW_PACK_FRAME_BYTES);
		if (cw_outfile_reached(file) < keep)
			keep = cw_outfile_reached(file);
	} while (failure);
	assert_int_equal(cw_outfile_reached(file), keep);
	return keep;
}

/* One stream, cut wherever it failed, at any byte that is reached, as the pipeline does. */
static void write_with_failures(struct cw_pack *pack, uint32_t seed)
{
	struct cw_outfile *file = open_file(pack);
	size_t at = 0;
	int failure;

	random_state = seed;
	for (;;) {
		size_t part = cw_min_size(STREAM_BYTES - at, 1 + draw(700000));
		struct iovec vector = {.iov_base = stream + at, .iov_len = part};
		uint64_t reached;

		fail_one_in = 4;
		at += cw_outfile_write(file, &vector, 1, at, &failure);
		if (!failure && at == STREAM_BYTES)
			failure = cw_outfile_finish(file);
		fail_one_in = 0;
		if (!failure && at == STREAM_BYTES)
			break;
		if (!failure)
			continue;
		assert_int_equal(failure, -ENOSPC);
		cw_outfile_drop(file);
		reached = cw_outfile_reached(file);
		assert_true(reached <= at);
		at = cut(file, reached - cw_min_size(reached, draw(1500000)));
		if (!draw(6))
			break; /* it ends here, cut as it is */
	}
	assert_int_equal(cw_outfile_finish(file), 0);
	assert_int_equal(cw_outfile_reached(file), at);
	failure = cw_outfile_publish(file, NULL);
	assert_true(cw_outfile_is_published(file));
	assert_int_equal(failure != 0, cw_outfile_flaw(file) != NULL); /* the table failed */
	cw_outfile_free(file);
	check_file(at, failure != 0);
}

static void a_stream_that_is_cut_goes_on_with_the_same_frames(void **state)
{
	(void)state;
	for (uint32_t threads = 0; threads < 2; threads++) {
		struct cw_pack *pack = new_pack(1 + threads * 2, threads * 3);
		pthread_t thread;

		atomic_store(&is_over, false);
		if (threads)
			assert_int_equal(pthread_create(&thread, NULL, run_frames, pack), 0);
		for (uint32_t seed = scaled(12, 5); seed > 0; seed--)
			write_with_failures(pack, (uint32_t)SEED + seed);
		atomic_store(&is_over, true);
		if (threads)
			pthread_join(thread, NULL);
		cw_pack_free(pack);
	}
	assert_true(failed_count > 2 * scaled(12, 5)); /* in each stream, with and without it */
	assert_true(failed_cut_count > scaled(12, 5) / 2);
}

/* A disk that fails for good, while the file is cut within its second frame: the frame stays,
 * unless the failed write changed it. */
static void a_broken_disk_keeps_the_frames_that_it_has(void **state)
{
	const size_t bytes = 2 * CW_PACK_FRAME_BYTES;

	(void)state;
	for (int is_half = 0; is_half < 2; is_half++) {
		struct cw_pack *pack = new_pack(1, 0);
		struct cw_outfile *file = open_file(pack);
		struct iovec vector = {.iov_base = stream, .iov_len = bytes + 1};
		size_t kept = bytes - (size_t)is_half * CW_PACK_FRAME_BYTES;
		int failure;

		assert_int_equal(cw_outfile_write(file, &vector, 1, 0, &failure), bytes + 1);
		assert_int_equal(failure, 0);
		assert_int_equal(cw_outfile_reached(file), bytes);
		is_disk_broken = true;
		is_next_half = is_half;
		assert_int_equal(cw_outfile_cut(file, bytes - 1000), -EIO);
		assert_int_equal(cw_outfile_cut(file, kept - 1000), -EIO);
		is_disk_broken = false;
		assert_int_equal(cw_outfile_reached(file), kept);
		assert_int_equal(rename(cw_outfile_part_path(file), path), 0);
		check_file(kept, true);
		cw_outfile_free(file);
		cw_pack_free(pack);
	}
}

/* A context that compressed other things before gives the same bytes as a new one. */
static void frames_do_not_depend_on_what_was_before(void **state)
{
	struct cw_pack *used = new_pack(1, 0);

	(void)state;
	for (uint32_t i = scaled(20, 5); i > 0; i--) {
		size_t from = draw((uint32_t)(STREAM_BYTES - CW_PACK_FRAME_BYTES));
		struct cw_pack *fresh = new_pack(1, 0);
		struct cw_frame *a = cw_pack_take_any(used), *b = cw_pack_take_any(fresh);

		memcpy(a->plain, stream + from, a->plain_bytes = CW_PACK_FRAME_BYTES);
		memcpy(b->plain, stream + from, b->plain_bytes = CW_PACK_FRAME_BYTES);
		cw_pack_submit(a);
		cw_pack_wait(a);
		cw_pack_submit(b);
		cw_pack_wait(b);
		assert_int_equal(a->failure | b->failure, 0);
		assert_int_equal(a->packed_bytes, b->packed_bytes);
		assert_int_equal(memcmp(a->packed, b->packed, a->packed_bytes), 0);
		cw_pack_give_back_any(a);
		cw_pack_free(fresh);
	}
	cw_pack_free(used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_went_in_comes_out),
	    cmocka_unit_test(a_stream_that_is_cut_goes_on_with_the_same_frames),
	    cmocka_unit_test(a_broken_disk_keeps_the_frames_that_it_has),
	    cmocka_unit_test(frames_do_not_depend_on_what_was_before),
	};
	int status;

	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/a.pcap.zst", folder);
	stream = malloc(STREAM_BYTES);
	random_state = SEED;
	for (size_t i = 0; i < STREAM_BYTES; i++) /* half of it can be compressed */
		stream[i] = (uint8_t)(i % 512 < 256 ? draw(256) : i / 512);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(folder);
	free(stream);
	return status;
}
