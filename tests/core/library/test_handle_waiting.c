/* SPDX-License-Identifier: BSD-3-Clause */
/* The public handle on devices: timeouts, waiting, and closing from anywhere. */
#include <pthread.h>
#include <stdatomic.h>

#include "core/base/base.h"
#include "tests/core/library/handle_live.h"

static void timeouts_expire(void **state)
{
	static const struct {
		int64_t timeout_ns;
		uint64_t least_ns, most_ns;
	} cases[] = {{0, 0, 5 * MS},
		     {1, 1 * MS / 2, 20 * MS}, /* rounded up to 1 ms */
		     {20 * MS, 20 * MS, 40 * MS},
		     {200 * MS, 200 * MS, 400 * MS}};

	NEED_DEVICES();
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		struct cw_handle *handle = open_device("in", cases[i].timeout_ns);
		uint64_t best_ns = UINT64_MAX;

		/* The machine may be busy: of five tries the quickest. */
		for (int try = 0; try < 5; try++) {
			uint64_t start_ns = cw_now_ns();
			struct cw_packet packet;

			assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_TIMEOUT);
			start_ns = cw_now_ns() - start_ns;
			assert_true(start_ns >= cases[i].least_ns);
			best_ns = start_ns < best_ns ? start_ns : best_ns;
		}
		assert_in_range(best_ns, cases[i].least_ns, cases[i].most_ns);
		cw_handle_free(handle);
	}
}

/* What the filter rejects does not prolong the waiting. protochain is not for the kernel. */
static void timeouts_expire_amid_packets_that_do_not_match(void **state)
{
	struct cw_handle *handle;
	struct cw_packet packet;
	uint64_t start_ns, best_ns = UINT64_MAX;
	pid_t child;

	NEED_DEVICES();
	handle = open_device("in", 100 * MS);
	assert_int_equal(cw_handle_set_filter(handle, "ip protochain 6", NULL), 0);
	child = fork();
	if (child == 0) {
		struct cw_handle *out;

		if (cw_handle_open_live(&out, "out", 64, false, 0, NULL) < 0)
			_exit(1);
		for (start_ns = cw_now_ns(); cw_now_ns() < start_ns + 2000 * MS;)
			(void)cw_handle_inject(out, make_frame(1, 60), 60);
		_exit(0);
	}
	rig_sleep_ms(100);
	for (int try = 0; try < 5; try++) {
		start_ns = cw_now_ns();
		assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_TIMEOUT);
		start_ns = cw_now_ns() - start_ns;
		assert_true(start_ns >= 100 * MS);
		best_ns = start_ns < best_ns ? start_ns : best_ns;
	}
	assert_in_range(best_ns, 100 * MS, 200 * MS);
	assert_int_equal(waitpid(child, NULL, WNOHANG), 0); /* packets came all the while */
	waitpid(child, NULL, 0);
	cw_handle_free(handle);
}

struct reader {
	struct cw_handle *handle;
	_Atomic bool is_in;
	_Atomic int result;
	_Atomic uint64_t end_ns;
	uint64_t cpu_ns;
};

static void *read_once(void *argument)
{
	struct reader *reader = argument;
	struct cw_packet packet;

	atomic_store(&reader->is_in, true);
	atomic_store(&reader->result, cw_handle_next(reader->handle, &packet));
	atomic_store(&reader->end_ns, cw_now_ns());
	reader->cpu_ns = cw_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

static void waiting_for_ever_waits_and_costs_nothing(void **state)
{
	struct reader reader = {0};
	pthread_t thread;

	NEED_DEVICES();
	reader.handle = open_device("in", CW_TIMEOUT_NEVER);
	assert_int_equal(pthread_create(&thread, NULL, read_once, &reader), 0);
	rig_sleep_ms(1000);
	assert_int_equal(atomic_load(&reader.end_ns), 0);
	send_numbers(1, 1, 60);
	pthread_join(thread, NULL);
	assert_int_equal(reader.result, CW_NEXT_OK);
	assert_true(reader.cpu_ns < 10 * MS); /* 1 % */
	cw_handle_free(reader.handle);
}

/* "any" is libpcap's. */
static struct cw_handle *open_to_close(const char *device)
{
	struct cw_handle *handle;

	assert_int_equal(cw_handle_create(&handle, device, NULL), 0);
	assert_int_equal(cw_handle_set_buffer_bytes(handle, 1 << 20), 0);
	assert_true(cw_handle_activate(handle, NULL) >= 0);
	return handle;
}

static _Atomic int closes_left, late_count;

/* Several at a time: opening and freeing wait for the kernel. */
static void *close_many(void *argument)
{
	int i;

	(void)argument;
	while ((i = atomic_fetch_sub(&closes_left, 1)) > 0) {
		struct reader reader = {.handle = open_to_close(i % 25 ? "in" : "any")};
		pthread_t thread;
		uint64_t start_ns;

		assert_int_equal(pthread_create(&thread, NULL, read_once, &reader), 0);
		while (!atomic_load(&reader.is_in))
			sched_yield();
		if (i % 3)
			rig_sleep_ms(1); /* it sleeps by then; else perhaps not yet */
		start_ns = cw_now_ns();
		cw_handle_close(reader.handle);
		pthread_join(thread, NULL);
		assert_int_equal(reader.result, CW_NEXT_CLOSED);
		if (reader.end_ns - start_ns > 10 * MS)
			atomic_fetch_add(&late_count, 1);
		cw_handle_close(reader.handle);
		cw_handle_free(reader.handle);
	}
	return NULL;
}

static void closing_wakes_a_blocked_reader(void **state)
{
	pthread_t threads[CLOSERS];

	NEED_DEVICES();
	atomic_store(&closes_left, CLOSES);
	for (int i = 0; i < CLOSERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, close_many, NULL), 0);
	for (int i = 0; i < CLOSERS; i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&late_count) <= CLOSES / 20); /* the machine may be busy */
}

static struct cw_handle *interrupted;

static void close_in_handler(int number)
{
	(void)number;
	cw_handle_close(interrupted);
}

static void closing_in_a_signal_handler(void **state)
{
	struct sigaction action = {.sa_handler = close_in_handler}, before;
	struct cw_packet packet;

	NEED_DEVICES();
	interrupted = open_device("in", CW_TIMEOUT_NEVER);
	sigaction(SIGUSR1, &action, &before);
	if (fork() == 0) {
		rig_sleep_ms(50);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	assert_int_equal(cw_handle_next(interrupted, &packet), CW_NEXT_CLOSED);
	sigaction(SIGUSR1, &before, NULL);
	wait(NULL);
	cw_handle_free(interrupted);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(timeouts_expire),
	    cmocka_unit_test(timeouts_expire_amid_packets_that_do_not_match),
	    cmocka_unit_test(waiting_for_ever_waits_and_costs_nothing),
	    cmocka_unit_test(closing_wakes_a_blocked_reader),
	    cmocka_unit_test(closing_in_a_signal_handler),
	};

	return RUN_TESTS(300, tests, make_devices, NULL, argc, argv);
}
