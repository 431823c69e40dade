/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The libpcap source: waiting and stopping, the device's fate, which devices it takes, and what
 * cannot be opened.
 */
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "tests/core/source/live/live_pcap.h"
#include "tests/rig/asleep.h"

/* ---- waiting ---- */

static void idle_capture_does_not_wake(void **state)
{
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint64_t cpu_ns, start_ns;

	NEED_DEVICES();
	live = open_pcap("any");
	cpu_ns = cw_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	start_ns = cw_now_ns();
	assert_int_equal(cw_live_next(live, 0, 0, 200, &span, &lease), 0);
	assert_true(cw_now_ns() - start_ns >= CW_NS_PER_S / 5);
	assert_true(cw_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns < CW_NS_PER_S / 100);
	cw_live_stats(live, 0, &stats);
	assert_true(stats.wakeups <= 3);
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), 0);
	cw_live_close(live);
}

static void wake_descriptor_ends_waiting_and_stop_ends_its_part(void **state)
{
	struct cw_live_options options = options_of(CW_LIVE_PCAP, "in");
	struct cw_live_stats stats;
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
	cw_live_stats(live, 0, &stats);
	assert_true(stats.wakeups < 20); /* the descriptor, readable still, does not make it spin */
	cw_live_close(live);
	close(options.wake_fd);
}

static void stop_drains_what_libpcap_has_and_nothing_later(void **state)
{
	struct cw_live_options options = options_of(CW_LIVE_PCAP, "in");
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_stats stats;
	struct cw_live *live;
	int what;

	NEED_DEVICES();
	options.retire_ms = 100;
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(rig_send(&sending), sending.count); /* nothing of this */
	assert_int_equal(count_until(live, 0, 0, &what), 10);
	assert_int_equal(what, -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, 10);
	cw_live_close(live);
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
	live = open_pcap("in");
	for (round = 0; round < 2; round++) {
		assert_true(rig_run("ip link set in down"));
		assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), -ENETDOWN);
		assert_int_equal(cw_live_next(live, 0, 0, 300, &span, &lease), 0);
		assert_true(rig_run("ip link set in up"));
		assert_int_equal(rig_send(&sending), sending.count);
		assert_int_equal(count_seen(live, 1, (round + 1) * sending.count), sending.count);
	}
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.downs, 2);
	assert_int_equal(stats.kernel_seen, stats.received);
	cw_live_close(live);
}

static void *take_device_down_later(void *argument)
{
	(void)argument;
	rig_wait_asleep(getpid()); /* the first thread, which captures */
	assert_true(rig_run("ip link set in down"));
	return NULL;
}

static void device_down_ends_waiting(void **state)
{
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	pthread_t thread;

	NEED_DEVICES();
	live = open_pcap("in");
	assert_int_equal(pthread_create(&thread, NULL, take_device_down_later, NULL), 0);
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), -ENETDOWN);
	pthread_join(thread, NULL);
	assert_true(rig_run("ip link set in up"));
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
	live = open_pcap("in");
	assert_int_equal(rig_send(&sending), sending.count);
	assert_true(rig_run("ip link del in") && rig_make_pair());
	assert_int_equal(rig_send(&sending), sending.count); /* to the successor: not ours */
	count = count_until(live, 0, -1, &what);
	if (what == -ENETDOWN) /* libpcap may find it gone at once */
		count += count_until(live, 0, -1, &what);
	assert_int_equal(what, -ENODEV);
	assert_int_equal(count_until(live, 0, -1, &what), 0);
	assert_int_equal(what, -ENODEV);
	assert_int_equal(cw_live_stop(live, 0), 0);
	count += count_until(live, 0, -1, &what);
	assert_int_equal(what, -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, 10);
	assert_int_equal(count, 10);
	cw_live_close(live);

	live = open_pcap("in");
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(count_seen(live, 1, 10), 10);
	cw_live_close(live);
}

/* ---- which source, and what cannot be opened ---- */

static enum cw_live_backend backend_of(const char *device)
{
	struct cw_live_options options = options_of(CW_LIVE_AUTO, device);
	struct cw_live *live = open_live(&options);
	struct cw_live_info info;

	cw_live_info(live, &info);
	cw_live_close(live);
	return info.backend;
}

static void rings_are_taken_where_they_have_the_device(void **state)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "tun8"};
	int fd;

	NEED_DEVICES();
	assert_int_equal(backend_of("in"), CW_LIVE_PACKET);
	assert_int_equal(backend_of("lo"), CW_LIVE_PACKET);
	assert_int_equal(backend_of("any"), CW_LIVE_PCAP);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETLINK, ARPHRD_PPP) < 0) {
		printf("no tun devices here: odd link types are not tried\n");
	} else {
		assert_true(rig_run("ip link set tun8 up"));
		assert_int_equal(backend_of("tun8"), CW_LIVE_PCAP);
	}
	close(fd);
}

/* No network device, and not read through a packet socket. */
static void netfilter_log_can_be_read(void **state)
{
	struct cw_live_options options = options_of(CW_LIVE_AUTO, "nflog:7");
	struct cw_error error = {0};
	struct cw_live_stats stats;
	struct cw_live_info info;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;

	NEED_DEVICES();
	if (cw_live_open(&live, &ifaces, &options, &error) < 0) {
		printf("skipped: no netfilter log here: %s\n", error.text);
		skip();
	}
	cw_live_info(live, &info);
	assert_int_equal(info.backend, CW_LIVE_PCAP);
	assert_int_equal(info.linktype, 239);
	assert_int_equal(cw_live_next(live, 0, 0, 50, &span, &lease), 0);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(cw_live_next(live, 0, 0, -1, &span, &lease), -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	cw_live_close(live);
}

static void what_cannot_be_opened_says_why_and_what_to_do(void **state)
{
	struct cw_live_options options;
	struct cw_error error = {0};
	struct cw_live *live;
	enum cw_live_backend backend;
	const struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);

	NEED_DEVICES();
	assert_true(rig_run("ip link add down0 type veth peer name down1"));
	for (backend = CW_LIVE_AUTO; backend <= CW_LIVE_PCAP; backend += CW_LIVE_PCAP) {
		refused(options_of(backend, "nosuch0"), -ENODEV, "nosuch0");
		refused(options_of(backend, ""), -ENODEV, "no such interface");
		refused(options_of(backend, "a name that is too long for a device"), -ENODEV, "");
		refused(options_of(backend, "down0"), -ENETDOWN, "ip link set down0 up");
	}
	options = options_of(CW_LIVE_PCAP, "in");
	options.snaplen = CW_CAPLEN_MAX + 1;
	refused(options, -EINVAL, "snapshot length");
	options = options_of(CW_LIVE_PCAP, "in");
	options.clock = CW_LIVE_CLOCK_ADAPTER;
	refused(options, -EOPNOTSUPP, "host's");
	options.backend = (enum cw_live_backend)9;
	refused(options, -EINVAL, "backend");
	live = open_pcap("in");
	assert_int_equal(cw_live_prefilter(live, 0, (const void *)&nothing, 1, UINT32_MAX, &error),
			 -EOPNOTSUPP);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(cw_live_prefilter(live, 0, NULL, 0, UINT32_MAX, &error), -EINVAL);
	cw_live_close(live);
}

static int lose_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	struct cw_live_options options = options_of(CW_LIVE_AUTO, "any");
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live *before = open_pcap("in"), *after;
	struct cw_error error = {0};
	int what;

	if (rig_send(&sending) != 10 || syscall(SYS_capset, &head, none) < 0)
		return 1;
	if (cw_live_open(&after, &ifaces, &options, &error) != -EPERM ||
	    !strstr(error.text, "CAP_NET_RAW") || !strstr(error.text, "setcap"))
		return 2;
	if (cw_live_stop(before, 0) < 0)
		return 3;
	if (count_until(before, 0, -1, &what) != 10 || what != -ENODATA)
		return 4;
	cw_live_close(before);
	return 0;
}

static void without_the_capability_what_is_open_goes_on(void **state)
{
	NEED_DEVICES();
	assert_child_is_content(lose_capabilities);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(idle_capture_does_not_wake),
	    cmocka_unit_test(wake_descriptor_ends_waiting_and_stop_ends_its_part),
	    cmocka_unit_test(stop_drains_what_libpcap_has_and_nothing_later),
	    cmocka_unit_test(device_down_is_told_once_and_capture_resumes),
	    cmocka_unit_test(device_down_ends_waiting),
	    cmocka_unit_test(removed_device_is_told_and_its_successor_can_be_opened),
	    cmocka_unit_test(rings_are_taken_where_they_have_the_device),
	    cmocka_unit_test(netfilter_log_can_be_read),
	    cmocka_unit_test(what_cannot_be_opened_says_why_and_what_to_do),
	    cmocka_unit_test(without_the_capability_what_is_open_goes_on),
	};

	return RUN_TESTS(240, tests, make_rig, end_rig, argc, argv);
}
