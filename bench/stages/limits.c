/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ck_pr.h>

#include "bench/stages/limits.h"
#include "core/base/base.h"

#define REPETITIONS CW_STAGE_LIMIT_ROUNDS
#define BLOCK_BYTES ((size_t)1 << 20)
#define HANDOVER_BYTES ((size_t)32 << 10) /* two blocks fit into the cache of a core */
#define HANDOVERS 4000u
#define SPINS 10000u

struct worker {
	/* constant after start */
	enum cw_stage_limit limit;
	pthread_barrier_t *barrier;
	atomic_int *go; /* 0: wait for all threads; 1: begin; -1: end, a thread failed to start */
	pthread_t thread;
	char path[4096];
	/* own */
	uint8_t *from, *to; /* CW_STAGE_LIMIT_BYTES each */
	int fd;
	uint64_t sum; /* of the bytes read, so that the compiler keeps the reads */
	double starts[REPETITIONS + 1], ends[REPETITIONS + 1];
	int status;
};

const char *cw_stage_limit_name(enum cw_stage_limit limit)
{
	static const char *const names[CW_STAGE_LIMITS] = {"copy", "walk", "read", "write"};

	return names[limit];
}

static uint64_t walk(const uint8_t *bytes, size_t count)
{
	uint64_t sums[4] = {0};

	for (size_t at = 0; at < count; at += 4 * CW_CACHE_LINE)
		for (size_t line = 0; line < 4; line++)
			sums[line] += cw_load_u64(bytes + at + line * CW_CACHE_LINE, 0);
	return sums[0] + sums[1] + sums[2] + sums[3];
}

static int read_file(struct worker *worker)
{
	for (off_t at = 0; at < (off_t)CW_STAGE_LIMIT_BYTES; at += (off_t)BLOCK_BYTES) {
		ssize_t count = pread(worker->fd, worker->to, BLOCK_BYTES, at);

		if (count != (ssize_t)BLOCK_BYTES)
			return count < 0 ? -errno : -EIO;
	}
	return 0;
}

static int write_file(struct worker *worker)
{
	for (size_t at = 0; at < CW_STAGE_LIMIT_BYTES; at += BLOCK_BYTES) {
		ssize_t count = pwrite(worker->fd, worker->from, BLOCK_BYTES, (off_t)at);

		if (count != (ssize_t)BLOCK_BYTES)
			return count < 0 ? -errno : -ENOSPC;
	}
	return 0;
}

/* Untimed preparation: an empty or a full file. */
static int prepare(struct worker *worker)
{
	int result = 0;

	switch (worker->limit) {
	case CW_STAGE_READ:
	case CW_STAGE_WRITE:
		if (worker->fd < 0)
			worker->fd =
			    open(worker->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (worker->fd < 0)
			return -errno;
		if (worker->limit == CW_STAGE_WRITE)
			result = ftruncate(worker->fd, 0) < 0 ? -errno : 0;
		else if (lseek(worker->fd, 0, SEEK_END) == 0)
			result = write_file(worker);
		return result;
	default:
		return 0;
	}
}

static int repeat(struct worker *worker)
{
	switch (worker->limit) {
	case CW_STAGE_COPY:
		memcpy(worker->to, worker->from, CW_STAGE_LIMIT_BYTES);
		return 0;
	case CW_STAGE_WALK:
		worker->sum += walk(worker->from, CW_STAGE_LIMIT_BYTES);
		return 0;
	case CW_STAGE_READ:
		return read_file(worker);
	default:
		return write_file(worker);
	}
}

static void *work(void *context)
{
	struct worker *worker = context;

	while (atomic_load(worker->go) == 0)
		sched_yield();
	for (uint32_t i = 0; i <= REPETITIONS && atomic_load(worker->go) > 0; i++) {
		if (worker->status == 0)
			worker->status = prepare(worker);
		pthread_barrier_wait(worker->barrier);
		worker->starts[i] = cw_stage_now_ns();
		if (worker->status == 0)
			worker->status = repeat(worker);
		worker->ends[i] = cw_stage_now_ns();
		pthread_barrier_wait(worker->barrier);
	}
	return NULL;
}

static void fill_rate(double *rates, struct cw_stage_rate *rate)
{
	cw_stage_sort(rates, REPETITIONS);
	rate->gb_per_s = rates[REPETITIONS / 2];
	rate->min = rates[0];
	rate->max = rates[REPETITIONS - 1];
}

/* Fills the rates, from the first start to the last end. The first repetition, on untouched memory,
 * does not count. */
static void rate_workers(const struct worker *workers, uint32_t threads, struct cw_stage_rate *rate)
{
	double rates[REPETITIONS];

	for (uint32_t i = 1; i <= REPETITIONS; i++) {
		double start = workers[0].starts[i], end = workers[0].ends[i];

		for (uint32_t k = 1; k < threads; k++) {
			start = workers[k].starts[i] < start ? workers[k].starts[i] : start;
			end = workers[k].ends[i] > end ? workers[k].ends[i] : end;
		}
		rates[i - 1] = (double)CW_STAGE_LIMIT_BYTES * threads / (end - start);
	}
	fill_rate(rates, rate);
}

static int open_worker(struct worker *worker, enum cw_stage_limit limit, const char *folder,
		       uint32_t index)
{
	worker->limit = limit;
	worker->fd = -1;
	snprintf(worker->path, sizeof(worker->path), "%s/limit%u", folder, index);
	worker->from = aligned_alloc(4096, CW_STAGE_LIMIT_BYTES);
	worker->to = aligned_alloc(4096, CW_STAGE_LIMIT_BYTES);
	if (!worker->from || !worker->to)
		return -ENOMEM;
	memset(worker->from, (int)index + 1, CW_STAGE_LIMIT_BYTES);
	memset(worker->to, 0, CW_STAGE_LIMIT_BYTES);
	return 0;
}

static void close_worker(struct worker *worker)
{
	if (worker->fd >= 0) {
		close(worker->fd);
		unlink(worker->path);
	}
	free(worker->from);
	free(worker->to);
}

/* Runs the open workers and joins all that started. */
static int run(struct worker *workers, uint32_t threads, struct cw_stage_rate *rate)
{
	pthread_barrier_t barrier;
	atomic_int go = 0;
	uint32_t started = 0;
	int result = -pthread_barrier_init(&barrier, NULL, threads);

	if (result < 0)
		return result;
	for (; started < threads && result == 0; started += result == 0) {
		workers[started].barrier = &barrier;
		workers[started].go = &go;
		result = -pthread_create(&workers[started].thread, NULL, work, &workers[started]);
	}
	atomic_store(&go, result == 0 ? 1 : -1);
	for (uint32_t i = 0; i < started; i++) {
		pthread_join(workers[i].thread, NULL);
		result = result ? result : workers[i].status;
	}
	if (result == 0)
		rate_workers(workers, threads, rate);
	pthread_barrier_destroy(&barrier);
	return result;
}

int cw_stage_limit(enum cw_stage_limit limit, const char *folder, uint32_t threads,
		   struct cw_stage_rate *rate, char text[CW_STAGE_TEXT_BYTES])
{
	struct worker *workers = calloc(threads, sizeof(*workers));
	uint32_t opened = 0;
	int result = workers ? 0 : -ENOMEM;

	*rate = (struct cw_stage_rate){0};
	while (result == 0 && opened < threads) {
		result = open_worker(&workers[opened], limit, folder, opened);
		opened++;
	}
	if (result == 0)
		result = run(workers, threads, rate);
	if (result < 0)
		snprintf(text, CW_STAGE_TEXT_BYTES, "cannot measure %s in %.300s: %s",
			 cw_stage_limit_name(limit), folder, strerror(-result));
	for (uint32_t i = 0; i < opened; i++)
		close_worker(&workers[i]);
	free(workers);
	return result;
}

/* ---- from core to core ---- */

/* Two blocks in turns; a flag says which thread owns a block. */
struct lane {
	struct {
		_Alignas(CW_CACHE_LINE) atomic_bool is_full;
		_Alignas(CW_CACHE_LINE) uint8_t bytes[HANDOVER_BYTES];
	} blocks[2];
	uint64_t sum;
};

static void wait_until(atomic_bool *flag, bool value)
{
	uint32_t spins = 0;

	while (atomic_load(flag) != value) {
		if (++spins % SPINS == 0)
			sched_yield();
		else
			ck_pr_stall();
	}
}

static void *take_blocks(void *context)
{
	struct lane *lane = context;

	for (uint32_t i = 0; i < HANDOVERS; i++) {
		wait_until(&lane->blocks[i % 2].is_full, true);
		lane->sum += walk(lane->blocks[i % 2].bytes, HANDOVER_BYTES);
		atomic_store(&lane->blocks[i % 2].is_full, false);
	}
	return NULL;
}

static void *give_blocks(void *context)
{
	struct lane *lane = context;

	for (uint32_t i = 0; i < HANDOVERS; i++) {
		wait_until(&lane->blocks[i % 2].is_full, false);
		memset(lane->blocks[i % 2].bytes, (int)i, HANDOVER_BYTES);
		atomic_store(&lane->blocks[i % 2].is_full, true);
	}
	return NULL;
}

/* Returns a number shared by the CPUs of one core; -1: unknown. */
static int core_of(size_t processor)
{
	static const char *const names[] = {"physical_package_id", "core_id"};
	int numbers[CW_ARRAY_COUNT(names)];
	char path[96];

	for (size_t i = 0; i < CW_ARRAY_COUNT(names); i++) {
		FILE *file;
		int count;

		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%zu/topology/%s",
			 processor, names[i]);
		file = fopen(path, "re");
		if (!file)
			return -1;
		count = fscanf(file, "%d", &numbers[i]);
		fclose(file);
		if (count != 1 || numbers[i] < 0)
			return -1;
	}
	return numbers[0] << 16 | numbers[1];
}

/* Chooses two of the allowed CPUs, on two cores if possible. */
static void choose_two(const cpu_set_t *allowed, size_t two[2])
{
	size_t found = 0;

	for (size_t i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, allowed))
			continue;
		if (found < 2)
			two[found++] = i;
		else if (core_of(two[1]) == core_of(two[0]) && core_of(i) != core_of(two[0]))
			two[1] = i;
	}
}

static int start_on(pthread_t *thread, size_t processor, void *(*function)(void *), void *context)
{
	pthread_attr_t attributes;
	cpu_set_t one;
	int result = pthread_attr_init(&attributes);

	if (result)
		return -result;
	CPU_ZERO(&one);
	CPU_SET(processor, &one);
	result = pthread_attr_setaffinity_np(&attributes, sizeof(one), &one);
	if (result == 0)
		result = pthread_create(thread, &attributes, function, context);
	pthread_attr_destroy(&attributes);
	return -result;
}

/* Runs one repetition, each thread on a separate core: on one core no cache line moves. */
static int hand_over(struct lane *lane, const size_t two[2], double *ns)
{
	pthread_t giver = 0, taker = 0;
	double start = cw_stage_now_ns();
	int result = start_on(&taker, two[1], take_blocks, lane);

	if (result < 0)
		return result;
	result = start_on(&giver, two[0], give_blocks, lane);
	if (result < 0)
		give_blocks(lane); /* so that the other thread ends */
	else
		pthread_join(giver, NULL);
	pthread_join(taker, NULL);
	*ns = cw_stage_now_ns() - start;
	return result;
}

int cw_stage_handover(struct cw_stage_rate *rate, char text[CW_STAGE_TEXT_BYTES])
{
	struct lane *lane;
	double rates[REPETITIONS], ns = 0;
	cpu_set_t cores;
	size_t two[2];
	int result = 0;

	*rate = (struct cw_stage_rate){0};
	if (sched_getaffinity(0, sizeof(cores), &cores) < 0 || CPU_COUNT(&cores) < 2)
		return 0;
	choose_two(&cores, two);
	lane = aligned_alloc(CW_CACHE_LINE, sizeof(*lane));
	if (!lane) {
		snprintf(text, CW_STAGE_TEXT_BYTES, "out of memory");
		return -ENOMEM;
	}
	memset(lane, 0, sizeof(*lane));
	for (uint32_t i = 0; i < REPETITIONS && result == 0; i++) {
		result = hand_over(lane, two, &ns);
		rates[i] = (double)HANDOVER_BYTES * HANDOVERS / ns;
	}
	if (result == 0) {
		fill_rate(rates, rate);
		rate->gb_per_s = rate->max; /* a preempted thread takes 100 times as long */
	} else {
		snprintf(text, CW_STAGE_TEXT_BYTES, "cannot start a thread: %s", strerror(-result));
	}
	free(lane);
	return result;
}
