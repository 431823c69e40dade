/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AF_XDP source: waiting and stopping, the device's fate, other modes, and what cannot be
 * opened.
 */
#include <linux/capability.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "tests/core/source/live/live_xdp.h"

/* ---- waiting and stop ---- */

static void idle_capture_costs_next_to_nothing(void **state)
{
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint64_t cpu_ns, start_ns;

	NEED_DEVICES();
	make_pair(1, 1500);
	live = open_in();
	cpu_ns = cw_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	start_ns = cw_now_ns();
	assert_int_equal(cw_live_next(live, 0, 0, 300, &span, &lease), 0);
	assert_true(cw_now_ns() - start_ns >= 3 * CW_NS_PER_S / 10);
	assert_true(cw_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns < CW_NS_PER_S / 100);
	cw_live_stats(live, 0, &stats);
	assert_true(stats.wakeups <= 4); /* a look at the device each 0.2 s */
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), 0);
	cw_live_close(live);
}

static void wake_descriptor_ends_waiting_and_stop_ends_its_part(void **state)
{
	struct cw_live_options options = options_of("in");
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint64_t one = 1;

	NEED_DEVICES();
	make_pair(1, 1500);
	options.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	live = open_xdp(&options);
	assert_int_equal(cw_live_next(live, 0, 0, 10, &span, &lease), 0);
	assert_int_equal(write(options.wake_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(cw_live_next(live, 0, 0, -1, &span, &lease), -EINTR);
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), -EINTR);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(cw_live_next(live, 0, 0, -1, &span, &lease), -ENODATA);
	assert_int_equal(cw_live_next(live, 0, 0, -1, &span, &lease), -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_true(stats.wakeups < 20);
	cw_live_close(live);
	close(options.wake_fd);
}

/* Packet rings on the same device are the host here. */
static void host_has_the_packets_again_after_stop(void **state)
{
	struct cw_live_options options = options_of("in");
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live *live, *host = NULL;
	struct cw_error error = {0};
	struct cw_live_stats stats;
	int what;

	NEED_DEVICES();
	make_pair(1, 1500);
	live = open_in();
	options.backend = CW_LIVE_PACKET;
	assert_int_equal(cw_live_open(&host, &ifaces, &options, &error), 0);
	assert_int_equal(rig_send(&sending), 10);
	assert_int_equal(count_seen(host, 1, 0), 0);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(rig_send(&sending), 10);
	assert_int_equal(count_seen(host, 1, 10), 10);
	assert_int_equal(count_until(live, 0, 0, &what), 10);
	assert_int_equal(what, -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, 10);
	cw_live_close(live);
	assert_int_equal(rig_send(&sending), 10);
	assert_int_equal(count_seen(host, 1, 20), 10);
	cw_live_close(host);
}

/* ---- the device's fate ---- */

static void device_down_is_told_once_and_capture_resumes(void **state)
{
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint32_t round;

	NEED_DEVICES();
	make_pair(1, 1500);
	live = open_in();
	for (round = 0; round < 2; round++) {
		assert_true(rig_run("ip link set in down"));
		assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), -ENETDOWN);
		assert_int_equal(cw_live_next(live, 0, 0, 300, &span, &lease), 0);
		assert_true(rig_run("ip link set in up"));
		assert_int_equal(rig_send(&sending), sending.count);
		assert_int_equal(count_seen(live, 1, (round + 1) * sending.count), sending.count);
		/* Long enough to look at the interface while it is up. */
		assert_int_equal(cw_live_next(live, 0, 0, 300, &span, &lease), 0);
	}
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.downs, 2);
	assert_int_equal(stats.kernel_seen, stats.received);
	cw_live_close(live);
}

static void removed_device_is_told_and_its_successor_can_be_opened(void **state)
{
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_stats stats;
	struct cw_live *live;
	uint64_t count;
	int what;

	NEED_DEVICES();
	make_pair(1, 1500);
	live = open_in();
	assert_int_equal(rig_send(&sending), sending.count);
	make_pair(1, 1500);
	assert_int_equal(rig_send(&sending), sending.count); /* to the successor: not ours */
	count = count_until(live, 0, -1, &what);
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

	live = open_in();
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(count_seen(live, 1, 10), 10);
	cw_live_close(live);
}

/* ---- other modes, and what cannot be opened ---- */

static void loopback_is_captured_in_generic_mode(void **state)
{
	struct cw_live_options options = options_of("lo");
	struct rig_sending sending = sending_of(plain_shape(60), 1000, 20000);
	struct cw_error error = {0};
	struct cw_live_stats stats;
	struct cw_live_info info;
	struct cw_live *live;
	struct tally tally;
	struct reader reader = {0};

	NEED_DEVICES();
	sending.device = "lo";
	sending.shape.bytes_max = 9000;
	assert_int_equal(cw_live_open(&live, &ifaces, &options, &error), CW_LIVE_WARNED);
	assert_non_null(strstr(error.text, "generic"));
	cw_live_info(live, &info);
	assert_true(info.is_generic && info.is_loopback && !info.is_zero_copy);
	tally_init(&tally, sending.shape, sending.count);
	assert_int_equal(rig_send(&sending), sending.count);
	WAIT_UNTIL((cw_live_stats(live, 0, &stats), stats.kernel_seen >= sending.count));
	assert_int_equal(cw_live_stop(live, 0), 0);
	reader.live = live;
	reader.tally = &tally;
	read_queue(&reader);
	assert_int_equal(reader.result, -ENODATA);
	assert_balanced(&reader.stats);
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.kernel_seen, sending.count);
	assert_int_equal(tally.received, sending.count);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
	cw_live_close(live);
	tally_fini(&tally);
}

static void what_cannot_be_opened_says_why_and_what_to_do(void **state)
{
	struct cw_live_options options;
	struct cw_error error = {0};
	struct cw_live *live;
	uint32_t descriptors;

	NEED_DEVICES();
	make_pair(2, 1500);
	assert_true(rig_run("ip link add down0 type veth peer name down1"));
	descriptors = open_descriptors();
	refused(options_of("nosuch0"), -ENODEV, "nosuch0");
	refused(options_of("a name that is too long for a device"), -ENODEV, "too long");
	refused(options_of("any"), -ENODEV, "any");
	refused(options_of("down0"), -ENETDOWN, "ip link set down0 up");
	options = options_of("in");
	options.direction = CW_LIVE_OUT;
	refused(options, -EOPNOTSUPP, "outgoing");
	options = options_of("in");
	options.clock = CW_LIVE_CLOCK_ADAPTER;
	refused(options, -EOPNOTSUPP, "host's");
	options = options_of("in");
	options.queue_count = 3;
	refused(options, -EINVAL, "has 2 receive queues");
	options = options_of("in");
	options.snaplen = CW_CAPLEN_MAX + 1;
	refused(options, -EINVAL, "snapshot length");
	assert_int_equal(open_descriptors(), descriptors);
	live = open_in();
	refused(options_of("in"), -EBUSY, "another XDP program");
	assert_int_equal(cw_live_prefilter(live, 0, NULL, 0, UINT32_MAX, &error), -EOPNOTSUPP);
	cw_live_close(live);
	assert_int_equal(open_descriptors(), descriptors);
	assert_true(rig_run("! ip link show in | grep -q xdp"));
}

/* In a child, which has to have its devices made before. What it ends with: the failing step. */
static int lose_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_options options = options_of("in");
	struct cw_live *before = open_in(), *after;
	struct cw_error error = {0};
	int what;

	if (rig_send(&sending) != 10 || syscall(SYS_capset, &head, none) < 0)
		return 1;
	if (cw_live_open(&after, &ifaces, &options, &error) != -EPERM ||
	    !strstr(error.text, "CAP_NET_ADMIN"))
		return 2;
	if (cw_live_stop(before, 0) < 0)
		return 3;
	if (count_until(before, 0, -1, &what) != 10 || what != -ENODATA)
		return 4;
	cw_live_close(before);
	return 0;
}

static void without_capabilities_what_is_open_goes_on(void **state)
{
	NEED_DEVICES();
	make_pair(1, 1500);
	assert_child_is_content(lose_capabilities);
}

static void killed_process_leaves_no_program_behind(void **state)
{
	siginfo_t info;
	pid_t child;

	NEED_DEVICES();
	make_pair(1, 1500);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		(void)open_in();
		raise(SIGSTOP); /* seen by the parent: it is open */
		_exit(1);
	}
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOWAIT), 0);
	assert_true(rig_run("ip link show in | grep -q xdp"));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(rig_run("! ip link show in | grep -q xdp"));
}

/* The kernel lets go of a queue some time after its socket is closed. */
static void device_can_be_opened_again_at_once(void **state)
{
	uint32_t i;

	NEED_DEVICES();
	make_pair(2, 1500);
	for (i = 0; i < 10; i++)
		cw_live_close(open_in());
}

static void promiscuous_mode_is_on_while_open(void **state)
{
	struct cw_live_options options = options_of("in");
	struct cw_live *live;

	NEED_DEVICES();
	make_pair(1, 1500);
	options.promiscuous = true;
	live = open_xdp(&options);
	assert_true(rig_run("ip -d link show in | grep -q 'promiscuity 1'"));
	cw_live_close(live);
	assert_true(rig_run("ip -d link show in | grep -q 'promiscuity 0'"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(idle_capture_costs_next_to_nothing),
	    cmocka_unit_test(wake_descriptor_ends_waiting_and_stop_ends_its_part),
	    cmocka_unit_test(host_has_the_packets_again_after_stop),
	    cmocka_unit_test(device_down_is_told_once_and_capture_resumes),
	    cmocka_unit_test(removed_device_is_told_and_its_successor_can_be_opened),
	    cmocka_unit_test(loopback_is_captured_in_generic_mode),
	    cmocka_unit_test(what_cannot_be_opened_says_why_and_what_to_do),
	    cmocka_unit_test(without_capabilities_what_is_open_goes_on),
	    cmocka_unit_test(killed_process_leaves_no_program_behind),
	    cmocka_unit_test(device_can_be_opened_again_at_once),
	    cmocka_unit_test(promiscuous_mode_is_on_while_open),
	};

	return RUN_TESTS(240, tests, make_xdp_rig, end_xdp_rig, argc, argv);
}
