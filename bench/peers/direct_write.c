/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compares the cost of buffered and direct writing of a capture, in turns in one run. Records of
 * 1500 B are copied into chunks of 256 KiB, as by a worker, which are written as by an output. The
 * time ends when the file has its name; with "close" it is then on the disk. The CPU time is that
 * of the process with its io_uring threads, without the kernel's writeback of buffered pages.
 *
 *     direct_write FOLDER [MIB [ROUNDS [off|close]]]
 *
 * Writes one file of MIB (512) at a time and removes it; at most 4 GiB in total.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/output/outfile.h"

#define RECORD_BYTES 1516u
#define CHUNK_BYTES ((size_t)256 << 10)
#define CHUNK_COUNT 8u /* few enough to stay in caches, as in the pipeline */
#define TOTAL_MIB_MAX 4096u
#define ROUNDS_MAX 64u

struct measure {
	double wall_s;
	double cpu_s;
};

static double seconds(void)
{
	return (double)cw_now_ns() * 1e-9;
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "direct_write: %s: %s\n", what, why);
	exit(1);
}

/* Fills the next chunk; records cross chunk boundaries. */
static void fill_chunk(uint8_t *chunk, const uint8_t *record, size_t *rest)
{
	size_t used = 0;

	while (used < CHUNK_BYTES) {
		size_t from = *rest ? RECORD_BYTES - *rest : 0;
		size_t step = RECORD_BYTES - from;

		if (step > CHUNK_BYTES - used)
			step = CHUNK_BYTES - used;
		memcpy(chunk + used, record + from, step);
		used += step;
		*rest = RECORD_BYTES - from - step;
	}
}

static struct measure measure(const char *path, uint64_t bytes, bool sync,
			      struct cw_direct_share *share)
{
	static uint8_t chunks[CHUNK_COUNT][CHUNK_BYTES];
	static uint8_t record[RECORD_BYTES];
	const struct cw_outfile_options options = {
	    .sync = sync, .standard_output = -1, .direct = share};
	struct cw_outfile *file;
	struct cw_error error;
	struct measure result = {.wall_s = seconds(), .cpu_s = cpu_seconds()};
	size_t rest = 0;
	unsigned turn = 0;

	if (cw_outfile_new(&file, path, &options) < 0 || cw_outfile_open(file, &error) < 0)
		fail(path, "cannot create the file");
	memset(record, 0x5a, sizeof(record));
	for (uint64_t offset = 0; offset < bytes; offset += CHUNK_BYTES) {
		struct iovec vector = {.iov_base = chunks[turn % CHUNK_COUNT],
				       .iov_len = CHUNK_BYTES};
		int failure;

		fill_chunk(vector.iov_base, record, &rest);
		turn++;
		cw_outfile_write(file, &vector, 1, offset, &failure);
		if (failure)
			fail(path, strerror(-failure));
	}
	if (cw_outfile_publish(file, &error) < 0)
		fail(path, error.text);
	result.wall_s = seconds() - result.wall_s;
	result.cpu_s = cpu_seconds() - result.cpu_s;
	cw_outfile_free(file);
	unlink(path);
	return result;
}

static int ascending(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static void print(const char *name, uint64_t bytes, struct measure *measures, unsigned rounds)
{
	double wall[ROUNDS_MAX] = {0}, cpu[ROUNDS_MAX] = {0};

	for (unsigned round = 0; round < rounds; round++) {
		wall[round] = (double)bytes / 1e6 / measures[round].wall_s;
		cpu[round] = measures[round].cpu_s / ((double)bytes / 1e9);
	}
	qsort(wall, rounds, sizeof(*wall), ascending);
	qsort(cpu, rounds, sizeof(*cpu), ascending);
	printf("%-9s %7.0f MB/s (%.0f to %.0f)  %.3f CPU-s/GB (%.3f to %.3f)\n", name,
	       wall[rounds / 2], wall[0], wall[rounds - 1], cpu[rounds / 2], cpu[0],
	       cpu[rounds - 1]);
}

int main(int argc, char **argv)
{
	unsigned long mib = argc > 2 ? strtoul(argv[2], NULL, 10) : 512;
	unsigned long rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 3;
	bool sync = argc > 4 && !strcmp(argv[4], "close");
	struct measure buffered[ROUNDS_MAX], direct[ROUNDS_MAX];
	struct cw_direct_share *share;
	char path[4096];

	if (argc < 2 || !mib || !rounds || rounds > ROUNDS_MAX || 2 * mib * rounds > TOTAL_MIB_MAX)
		fail("usage",
		     "direct_write FOLDER [MIB [ROUNDS [off|close]]], at most 4 GiB in total");
	snprintf(path, sizeof(path), "%s/direct-write-%ld", argv[1], (long)getpid());
	if (cw_direct_share_new(&share, CW_DIRECT_FILES_MAX, false) < 0)
		fail("direct writing", "out of memory");
	for (unsigned round = 0; round < rounds; round++) {
		bool is_direct_first = round % 2;

		if (is_direct_first)
			direct[round] = measure(path, (uint64_t)mib << 20, sync, share);
		buffered[round] = measure(path, (uint64_t)mib << 20, sync, NULL);
		if (!is_direct_first)
			direct[round] = measure(path, (uint64_t)mib << 20, sync, share);
	}
	if (cw_direct_share_refusal(share))
		fail("direct writing is not available here",
		     strerror(-cw_direct_share_refusal(share)));
	printf("%lu MiB of records of 1500 B, %lu rounds, sync %s: medians (min to max)\n", mib,
	       rounds, sync ? "close" : "off");
	print("buffered", (uint64_t)mib << 20, buffered, (unsigned)rounds);
	print("direct", (uint64_t)mib << 20, direct, (unsigned)rounds);
	cw_direct_share_free(share);
	return 0;
}
