/* SPDX-License-Identifier: BSD-3-Clause */
/* The AF_PACKET source: waiting, leases held and given back, stopping, and the device's fate. */
#include <sys/eventfd.h>

#include "tests/rig/live_source.h"

/* ---- waiting ---- */

#define IDLE_MS 200 /* ten retire times */

static uint64_t cpu_ns(void)
{
	return cw_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void idle_capture_does_not_wake(void **state)
{
	struct cw_live_options options = small_options();
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint64_t cpu, start;

	NEED_DEVICES();
	live = open_live(&options);
	cpu = cpu_ns();
	start = cw_now_ns();
	assert_int_equal(cw_live_next(live, 0, 0, IDLE_MS, &span, &lease), 0);
	assert_true(cw_now_ns() - start >= IDLE_MS * UINT64_C(1000000));
	assert_true(cpu_ns() - cpu < CW_NS_PER_S / 100);
	cw_live_stats(live, 0, &stats);
	assert_true(stats.wakeups <= 3);
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), 0);
	cw_live_close(live);
}

/* poll() would say "readable" all the time. */
static void held_block_does_not_wake(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 1, 0);
	struct cw_live_stats before, after;
	struct cw_lease lease, later;
	struct cw_span span;
	struct cw_live *live;
	uint64_t cpu;

	NEED_DEVICES();
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
	cw_live_stats(live, 0, &before);
	cpu = cpu_ns();
	assert_int_equal(cw_live_next(live, 0, 0, IDLE_MS, &span, &later), 0);
	cw_live_stats(live, 0, &after);
	printf("%llu wakeups with a block held\n",
	       (unsigned long long)(after.wakeups - before.wakeups));
	assert_true(after.wakeups - before.wakeups <= 4);
	assert_true(cpu_ns() - cpu < CW_NS_PER_S / 100);
	/* and what comes then is found at once, the block still held */
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &later), 1);
	assert_int_equal(span.record_count, sending.count);
	cw_lease_give_back(&later);
	cw_lease_give_back(&lease);
	cw_live_close(live);
}

/* The first block is held, all later ones come back: the ring ends in front of it. */
static void block_held_for_a_round_stops_the_ring_until_it_comes_back(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 20000, 100000);
	struct cw_lease held, lease;
	struct cw_live_stats stats;
	struct rig_sender sender;
	struct cw_live *live;
	struct cw_span span;
	struct tally tally;
	int result, round;

	NEED_DEVICES();
	options.block_bytes = 1 << 17;
	options.snaplen = 2000;
	options.block_count = 4;
	tally_init(&tally, sending.shape, sending.count);
	live = open_live(&options);
	assert_true(rig_start_sender(&sender, &sending));
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &held), 1);
	tally_span(&tally, 0, &span);
	while ((result = cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease)) == 1) {
		tally_span(&tally, 0, &span);
		cw_lease_give_back(&lease);
	}
	assert_int_equal(result, -EAGAIN);
	assert_int_equal(rig_end_sender(&sender), sending.count);
	for (round = 0; round < 3; round++)
		assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), -EAGAIN);
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.stalls, 4);
	assert_int_equal(stats.blocks, 4);
	assert_true(stats.freezes >= 1);
	cw_lease_give_back(&held);
	assert_null(held.window);
	sending.count = 10; /* numbers seen before: the ring goes on */
	assert_int_equal(rig_send(&sending), 10);
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
	tally_span(&tally, 0, &span);
	cw_lease_give_back(&lease);
	assert_int_equal(cw_live_stop(live, 0), 0);
	while ((result = cw_live_next(live, 0, 0, -1, &span, &lease)) == 1) {
		tally_span(&tally, 0, &span);
		cw_lease_give_back(&lease);
	}
	assert_int_equal(result, -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, 20010);
	assert_int_equal(tally.received, stats.received);
	assert_int_equal(tally.damaged + tally.foreign, 0);
	cw_live_close(live);
	tally_fini(&tally);
}

static void wake_descriptor_ends_waiting_and_stop_ends_its_part(void **state)
{
	struct cw_live_options options = small_options();
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint64_t one = 1;

	NEED_DEVICES();
	options.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	live = open_live(&options);
	assert_int_equal(cw_live_next(live, 0, 0, 10, &span, &lease), 0);
	assert_int_equal(write(options.wake_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(cw_live_next(live, 0, 0, -1, &span, &lease), -EINTR);
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), -EINTR);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(cw_live_next(live, 0, 0, -1, &span, &lease), -ENODATA);
	assert_int_equal(cw_live_next(live, 0, 0, -1, &span, &lease), -ENODATA);
	cw_live_close(live);
	close(options.wake_fd);
}

/* ---- leases ---- */

static void leases_come_back_from_another_thread_in_any_order(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(200), scaled(100000, 1000), 50000);
	static struct passing passing;
	struct cw_live_stats stats;
	struct rig_sender sender;
	struct tally tally;
	struct cw_live *live;

	NEED_DEVICES();
	options.block_count = 8;
	tally_init(&tally, sending.shape, sending.count);
	live = open_live(&options);
	assert_true(rig_start_sender(&sender, &sending));
	pass_on(&passing, live, &tally, &sender, &stats);
	assert_int_equal(rig_end_sender(&sender), sending.count);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, sending.count);
	assert_int_equal(tally.received, stats.received);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
	tally_fini(&tally);
}

static void leases_outlive_the_source(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 100, 0);
	struct cw_lease first, rest;
	struct cw_span span, others;
	struct cw_live *live;
	struct tally tally;

	NEED_DEVICES();
	tally_init(&tally, sending.shape, sending.count);
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_next(live, 0, 1, PATIENCE_MS, &span, &first), 1);
	assert_int_equal(cw_live_next(live, 0, 1, PATIENCE_MS, &others, &rest), 1);
	cw_live_close(live); /* with records not handed out */
	tally_span(&tally, 0, &span);
	cw_lease_give_back(&first);
	tally_span(&tally, 0, &others);
	cw_lease_give_back(&rest);
	assert_int_equal(tally.received, 2);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
	tally_fini(&tally);
}

/* ---- stop ---- */

/* Send into a block that stays open: the retire time is doubled until no block retires before all
 * is sent. */
static struct cw_live *fill_open_block(struct cw_live_options *options,
				       const struct rig_sending *sending)
{
	for (options->retire_ms = 100; options->retire_ms < CW_LIVE_RETIRE_MS_MAX / 2;
	     options->retire_ms *= 2) {
		struct cw_live *live = open_live(options);
		struct cw_lease lease;
		struct cw_span span;

		assert_int_equal(rig_send(sending), sending->count);
		if (cw_live_next(live, 0, 0, 0, &span, &lease) == 0)
			return live;
		cw_lease_give_back(&lease);
		cw_live_close(live);
	}
	fail_msg("no block stays open for %u ms", options->retire_ms);
	return NULL;
}

static void stop_drains_the_open_block(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint64_t start;

	NEED_DEVICES();
	live = fill_open_block(&options, &sending);
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.kernel_seen, 10);
	assert_int_equal(stats.left, 10);
	start = cw_now_ns();
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(rig_send(&sending), sending.count); /* nothing of this */
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), 1);
	assert_int_equal(span.record_count, 10);
	cw_lease_give_back(&lease);
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), -ENODATA);
	/* a retire time at least: another CPU may be in the middle of a packet */
	assert_true(cw_now_ns() - start >= options.retire_ms * UINT64_C(1000000));
	assert_int_equal(rig_send(&sending), sending.count);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, 10);
	cw_live_close(live);
}

/* ---- the device's fate ---- */

static void device_down_is_told_once_and_capture_resumes(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint32_t queue, round;

	NEED_DEVICES();
	options.queue_count = 2;
	options.fanout = CW_FANOUT_LB;
	live = open_live(&options);
	for (round = 0; round < 2; round++) {
		assert_true(rig_run("ip link set in down"));
		for (queue = 0; queue < 2; queue++) {
			assert_int_equal(cw_live_next(live, queue, 0, PATIENCE_MS, &span, &lease),
					 -ENETDOWN);
			/* Longer than it takes to look at the interface again. */
			assert_int_equal(cw_live_next(live, queue, 0, 300, &span, &lease), 0);
		}
		assert_true(rig_run("ip link set in up"));
		assert_int_equal(rig_send(&sending), sending.count);
		assert_int_equal(count_seen(live, 2, (round + 1) * sending.count), sending.count);
	}
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.downs, 2);
	assert_int_equal(stats.kernel_seen, stats.received);
	cw_live_close(live);
}

static void removed_device_is_told_and_its_successor_can_be_opened(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_stats stats;
	struct cw_live *live;
	uint64_t count;
	int what;

	NEED_DEVICES();
	options.retire_ms = 50;
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_true(rig_run("ip link del in") && rig_make_pair());
	assert_int_equal(rig_send(&sending), sending.count); /* to the successor: not ours */
	count = count_until(live, 0, -1, &what);
	assert_int_equal(what, -ENETDOWN);
	count += count_until(live, 0, -1, &what);
	assert_int_equal(what, -ENODEV);
	assert_int_equal(count_until(live, 0, -1, &what), 0);
	assert_int_equal(what, -ENODEV);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(count_until(live, 0, -1, &what), 0);
	assert_int_equal(what, -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, 10);
	assert_int_equal(count, 10);
	cw_live_close(live);

	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(count_seen(live, 1, 10), 10);
	cw_live_close(live);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(idle_capture_does_not_wake),
	    cmocka_unit_test(held_block_does_not_wake),
	    cmocka_unit_test(block_held_for_a_round_stops_the_ring_until_it_comes_back),
	    cmocka_unit_test(wake_descriptor_ends_waiting_and_stop_ends_its_part),
	    cmocka_unit_test(leases_come_back_from_another_thread_in_any_order),
	    cmocka_unit_test(leases_outlive_the_source),
	    cmocka_unit_test(stop_drains_the_open_block),
	    cmocka_unit_test(device_down_is_told_once_and_capture_resumes),
	    cmocka_unit_test(removed_device_is_told_and_its_successor_can_be_opened),
	};

	return RUN_TESTS(540, tests, make_rig, end_rig, argc, argv);
}
