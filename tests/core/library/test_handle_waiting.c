/* SPDX-License-Identifier: BSD-3-Clause */
/* The public handle on devices: timeouts, waiting, and closing from anywhere. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include "core/base/base.h"
#include "core/source/live/live.h"
#include "tests/core/library/handle_live.h"
#include "tests/rig/asleep.h"

/* The longest time for which the handle asked to wait, in ms; -1: for ever. */
static _Thread_local int asked_ms;

int __real_cw_live_next(struct cw_live *live, uint32_t queue, uint32_t records_max, int timeout_ms,
			struct cw_span *span, struct cw_lease *lease);
int __wrap_cw_live_next(struct cw_live *live, uint32_t queue, uint32_t records_max, int timeout_ms,
			struct cw_span *span, struct cw_lease *lease);
int __wrap_cw_live_next(struct cw_live *live, uint32_t queue, uint32_t records_max, int timeout_ms,
			struct cw_span *span, struct cw_lease *lease)
{
	if (timeout_ms < 0 || (asked_ms >= 0 && timeout_ms > asked_ms))
		asked_ms = timeout_ms;
	return __real_cw_live_next(live, queue, records_max, timeout_ms, span, lease);
}

/* How often this thread's waiting for events was ended by time instead of an event. */
static _Thread_local int expired_count;

int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int result = __real_poll(fds, count, timeout_ms);

	expired_count += result == 0 && count && timeout_ms;
	return result;
}

int __real_epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms)
{
	int result = __real_epoll_wait(fd, events, count, timeout_ms);

	expired_count += result == 0 && timeout_ms;
	return result;
}

static void timeouts_expire(void **state)
{
	static const struct {
		int64_t timeout_ns;
		uint64_t least_ns;
		int asked_ms;
	} cases[] = {{0, 0, 0},
		     {1, 1 * MS / 2, 1}, /* rounded up to 1 ms */
		     {20 * MS, 20 * MS, 20},
		     {200 * MS, 200 * MS, 200}};

	NEED_DEVICES();
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		struct cw_handle *handle = open_device("in", cases[i].timeout_ns);
		uint64_t start_ns = cw_now_ns();
		struct cw_packet packet;

		asked_ms = expired_count = 0;
		assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_TIMEOUT);
		assert_true(cw_now_ns() - start_ns >= cases[i].least_ns);
		assert_int_equal(asked_ms, cases[i].asked_ms);
		assert_int_equal(expired_count > 0, cases[i].asked_ms > 0);
		cw_handle_free(handle);
	}
}

static uint64_t received_of(struct cw_handle *handle)
{
	struct cw_stats stats;

	assert_int_equal(cw_handle_stats(handle, &stats), 0);
	return stats.received + stats.kernel_dropped;
}

/* What the filter rejects, without end, does not prolong the waiting. protochain is not for the
 * kernel. */
static void timeouts_expire_amid_packets_that_do_not_match(void **state)
{
	struct cw_handle *handle;
	struct cw_packet packet;
	uint64_t start_ns, received;
	pid_t child;

	NEED_DEVICES();
	handle = open_device("in", 100 * MS);
	assert_int_equal(cw_handle_set_filter(handle, "ip protochain 6", NULL), 0);
	child = fork();
	if (child == 0) {
		struct cw_handle *out;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (cw_handle_open_live(&out, "out", 64, false, 0, NULL) < 0)
			_exit(1);
		for (;;) /* until killed */
			(void)cw_handle_inject(out, make_frame(1, 60), 60);
	}
	WAIT_UNTIL(received_of(handle) > 0);
	for (int try = 0; try < 3; try++) {
		received = received_of(handle);
		start_ns = cw_now_ns();
		assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_TIMEOUT);
		assert_true(cw_now_ns() - start_ns >= 100 * MS);
		WAIT_UNTIL(received_of(handle) > received); /* packets come all the while */
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	cw_handle_free(handle);
}

struct reader {
	struct cw_handle *handle;
	_Atomic pid_t id;
	_Atomic bool has_ended;
	int result, asked_ms, expired_count;
	uint64_t cpu_ns;
};

static void *read_once(void *argument)
{
	struct reader *reader = argument;
	struct cw_packet packet;

	atomic_store(&reader->id, gettid());
	reader->result = cw_handle_next(reader->handle, &packet);
	reader->asked_ms = asked_ms;
	reader->expired_count = expired_count;
	reader->cpu_ns = cw_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	atomic_store(&reader->has_ended, true);
	return NULL;
}

static void waiting_for_ever_waits_and_costs_nothing(void **state)
{
	struct reader reader = {0};
	pthread_t thread;

	NEED_DEVICES();
	reader.handle = open_device("in", CW_TIMEOUT_NEVER);
	assert_int_equal(pthread_create(&thread, NULL, read_once, &reader), 0);
	while (!atomic_load(&reader.id))
		sched_yield();
	rig_wait_asleep(reader.id);
	rig_sleep_ms(200); /* the time whose cost is measured */
	assert_false(atomic_load(&reader.has_ended));
	send_numbers(1, 1, 60);
	pthread_join(thread, NULL);
	assert_int_equal(reader.result, CW_NEXT_OK);
	assert_true(reader.cpu_ns < 10 * MS);
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

static _Atomic int closes_left;

/* Several at a time: opening and freeing wait for the kernel. */
static void *close_many(void *argument)
{
	int i;

	(void)argument;
	while ((i = atomic_fetch_sub(&closes_left, 1)) > 0) {
		struct reader reader = {.handle = open_to_close(i % 25 ? "in" : "any")};
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, read_once, &reader), 0);
		while (!atomic_load(&reader.id))
			sched_yield();
		if (i % 3)
			rig_wait_asleep(reader.id);
		cw_handle_close(reader.handle);
		pthread_join(thread, NULL);
		assert_int_equal(reader.result, CW_NEXT_CLOSED);
		/* Nothing else ends the waiting, neither packets nor time; or it did not begin. */
		assert_true(reader.asked_ms == -1 || (i % 3 == 0 && reader.asked_ms == 0));
		/* Closing is an event, which no wait's end has to come before. */
		assert_int_equal(reader.expired_count, 0);
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
		rig_wait_asleep(getppid());
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
