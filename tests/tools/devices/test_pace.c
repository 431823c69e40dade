/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When packets are sent. The clock is the test's: it moves when it is read and when replay sleeps,
 * so each packet's time is known to the nanosecond, however busy the machine is.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <time.h>

#include "core/base/base.h"
#include "core/packet/linktype.h"
#include "tests/rig/capture.h"
#include "tests/rig/run_tests.h"
#include "tools/devices/replay.h"

#define MS UINT64_C(1000000)
#define LOOK_NS 50u            /* the time that reading the clock takes */
#define EXACT_NS (4 * LOOK_NS) /* from the due time to sending: some looks at the clock */
#define PACKETS_MAX 64u

static struct {
	uint64_t now_ns;
	uint64_t oversleep_ns; /* added to each sleep */
	uint64_t room_at_ns;   /* the interface has no room before */
	uint64_t sleeps;
	uint64_t sent_ns[PACKETS_MAX];
	uint32_t sent;
} world;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *wait,
		 const sigset_t *mask);
void __wrap_cw_transmit_info(const struct cw_transmit *transmit, struct cw_transmit_info *info);
int __wrap_cw_transmit_send(struct cw_transmit *transmit, const struct cw_packet *packets,
			    size_t count);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	world.now_ns += LOOK_NS;
	now->tv_sec = (time_t)(world.now_ns / CW_NS_PER_S);
	now->tv_nsec = (long)(world.now_ns % CW_NS_PER_S);
	return 0;
}

int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *wait,
		 const sigset_t *mask)
{
	uint64_t wait_ns = (uint64_t)wait->tv_sec * CW_NS_PER_S + (uint64_t)wait->tv_nsec;

	(void)fds;
	(void)count;
	(void)mask;
	world.now_ns += wait_ns + (wait_ns ? world.oversleep_ns : 0);
	world.sleeps += wait_ns > 0;
	return 0;
}

void __wrap_cw_transmit_info(const struct cw_transmit *transmit, struct cw_transmit_info *info)
{
	(void)transmit;
	*info = (struct cw_transmit_info){.linktype = CW_LINKTYPE_ETHERNET, .mtu = 1500};
}

int __wrap_cw_transmit_send(struct cw_transmit *transmit, const struct cw_packet *packets,
			    size_t count)
{
	(void)transmit;
	(void)packets;
	if (world.now_ns < world.room_at_ns)
		return -EAGAIN;
	for (size_t index = 0; index < count; index++) {
		assert_true(world.sent < PACKETS_MAX);
		world.sent_ns[world.sent++] = world.now_ns;
	}
	return (int)count;
}

/* ---- a file that is sent ---- */

static char path[] = "/tmp/capweir-replay-XXXXXX";

/* Gaps between the packets' timestamps, in ms. */
static const int gaps_ms[] = {1, 9, 2, 0, 30, 4, 0, 0, 4, 10, 1, 1, 20, 2, -8, 3, 900, 1, -40, 60};
#define PACKETS (CW_ARRAY_COUNT(gaps_ms) + 1)

static int write_file(void **state)
{
	static struct image image;
	uint32_t time_ms = 5000;
	int fd = mkstemp(path);

	(void)state;
	put_pcap_header(&image, 0xa1b23c4d, 2, 4, 262144, 1);
	for (size_t index = 0; index < PACKETS; index++) {
		put_pcap_record(&image, time_ms / 1000, time_ms % 1000 * 1000000, 60, 60, 60);
		time_ms += index + 1 < PACKETS ? (uint32_t)gaps_ms[index] : 0;
	}
	assert_int_equal(write(fd, image.data, image.bytes), image.bytes);
	close(fd);
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static int replay(double speed, uint64_t rate, struct cw_replay_counts *counts)
{
	const char *const inputs[] = {path};
	const struct cw_replay_options options = {.inputs = inputs,
						  .input_count = 1,
						  .loops = 1,
						  .speed = speed,
						  .rate = rate,
						  .linktype = CW_LINKTYPE_ANY,
						  .signal_fd = -1};
	struct cw_error error = {0};

	return cw_replay(NULL, &options, counts, &error);
}

/* When the packets are due, after the first: by the slow, obvious rule. */
static void fill_due(double speed, uint64_t rate, uint64_t due_ns[PACKETS])
{
	int64_t time_ms = 0, latest_ms = 0;

	due_ns[0] = 0;
	for (size_t index = 1; index < PACKETS; index++) {
		time_ms += gaps_ms[index - 1];
		latest_ms = time_ms > latest_ms ? time_ms : latest_ms;
		due_ns[index] = rate ? index * CW_NS_PER_S / rate
				     : (uint64_t)((double)latest_ms * (double)MS / speed);
	}
}

static void reset(void)
{
	memset(&world, 0, sizeof(world));
	world.now_ns = 77 * CW_NS_PER_S;
}

/* Returns the largest delay of a packet. */
static uint64_t check_pace(double speed, uint64_t rate, uint64_t late_max_ns)
{
	uint64_t due_ns[PACKETS], most_ns = 0;
	struct cw_replay_counts counts;

	fill_due(speed, rate, due_ns);
	assert_int_equal(replay(speed, rate, &counts), 0);
	assert_int_equal(world.sent, PACKETS);
	for (size_t index = 0; index < PACKETS; index++) {
		/* The first is due a look at the clock before it is sent. */
		uint64_t late_ns =
		    world.sent_ns[index] + EXACT_NS - world.sent_ns[0] - due_ns[index];

		assert_in_range(late_ns, 0, EXACT_NS + late_max_ns);
		most_ns = late_ns > most_ns ? late_ns : most_ns;
	}
	assert_in_range(counts.late_ns_max, 0, late_max_ns + EXACT_NS);
	assert_true(counts.late_ns_sum <= counts.late_ns_max * PACKETS);
	return most_ns;
}

static void the_pace_is_that_of_the_timestamps_or_the_rate(void **state)
{
	static const struct {
		double speed;
		uint64_t rate;
	} paces[] = {{1, 0}, {2, 0}, {0.5, 0}, {7, 0}, {0, 200}, {0, 3}, {0, 1000000}};

	(void)state;
	for (size_t index = 0; index < CW_ARRAY_COUNT(paces); index++) {
		/* Sleeps that end late by less than the time that is waited awake do no harm. */
		for (uint64_t oversleep_ns = 0; oversleep_ns < 100000; oversleep_ns += 30000) {
			reset();
			world.oversleep_ns = oversleep_ns;
			check_pace(paces[index].speed, paces[index].rate, EXACT_NS);
		}
	}
}

static void delays_do_not_add_up(void **state)
{
	(void)state;
	reset();
	world.oversleep_ns = 3 * MS;
	assert_true(check_pace(1, 0, 3 * MS) > 2 * MS);
	assert_true(world.sleeps > 5);
}

static void full_speed_does_not_sleep(void **state)
{
	struct cw_replay_counts counts;

	(void)state;
	reset();
	assert_int_equal(replay(0, 0, &counts), 0);
	assert_int_equal(world.sent, PACKETS);
	assert_int_equal(world.sleeps, 0);
	assert_true(world.sent_ns[PACKETS - 1] == world.sent_ns[0]);
	assert_int_equal(counts.late_ns_max, 0);
}

static void an_interface_without_room_is_tried_for_five_seconds(void **state)
{
	struct cw_replay_counts counts;

	(void)state;
	reset();
	world.room_at_ns = UINT64_MAX;
	assert_int_equal(replay(0, 0, &counts), -ENOBUFS);
	assert_in_range(counts.retries, 90000, 100100); /* each 50 us */
	assert_int_equal(counts.sent, 0);
	assert_int_equal(counts.unsent, PACKETS);

	reset();
	world.room_at_ns = world.now_ns + 4900 * MS;
	assert_int_equal(replay(0, 0, &counts), 0);
	assert_in_range(counts.retries, 90000, 98100);
	assert_int_equal(counts.sent, PACKETS);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_pace_is_that_of_the_timestamps_or_the_rate),
	    cmocka_unit_test(delays_do_not_add_up),
	    cmocka_unit_test(full_speed_does_not_sleep),
	    cmocka_unit_test(an_interface_without_room_is_tried_for_five_seconds),
	};

	return RUN_TESTS(60, tests, write_file, remove_file, argc, argv);
}
