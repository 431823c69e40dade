/* SPDX-License-Identifier: BSD-3-Clause */
/* Watching interfaces: every change is seen, also when notices are lost, malformed or missing. */
#include <poll.h>

#include "core/net/netdev_watch.h"
#include "tests/core/net/netdev_rig.h"

/* ---- helpers ---- */

static struct cw_netdev_watch *open_watch(const char *name)
{
	struct cw_netdev_watch *watch;

	if (cw_netdev_watch_open(&watch, name, &error))
		fail_msg("%s", error.text);
	return watch;
}

/* The next event, and it must be this one. */
static struct cw_netdev_event expect(struct cw_netdev_watch *watch, enum cw_netdev_change change)
{
	uint64_t until = clock_ms(CLOCK_MONOTONIC) + EVENT_MS_MAX;
	struct pollfd readable = {.fd = cw_netdev_watch_fd(watch), .events = POLLIN};
	struct cw_netdev_event event;
	uint64_t now, real_ms;
	int status;

	while (!(status = cw_netdev_watch_next(watch, &event))) {
		now = clock_ms(CLOCK_MONOTONIC);
		if (now >= until)
			fail_msg("no event '%s'", cw_netdev_change_text(change));
		poll(&readable, 1, (int)(until - now));
	}
	assert_int_equal(status, 1);
	if (event.change != change)
		fail_msg("wanted '%s', got '%s': %s", cw_netdev_change_text(change),
			 cw_netdev_change_text(event.change), event.text);
	real_ms = clock_ms(CLOCK_REALTIME);
	assert_in_range(event.ts_ns / 1000000, real_ms - EVENT_MS_MAX, real_ms);
	return event;
}

static void expect_none(struct cw_netdev_watch *watch)
{
	struct cw_netdev_event event;
	int status = cw_netdev_watch_next(watch, &event);

	if (status > 0)
		fail_msg("unwanted event '%s': %s", cw_netdev_change_text(event.change),
			 event.text);
	assert_int_equal(status, 0);
}

/* Skip events until this one. */
static struct cw_netdev_event expect_in_the_end(struct cw_netdev_watch *watch,
						enum cw_netdev_change change)
{
	struct cw_netdev_event event;
	int status;

	while ((status = cw_netdev_watch_next(watch, &event)) > 0 && event.change != change)
		continue;
	assert_int_equal(status, 1);
	return event;
}

/* ---- events ---- */

static void down_and_up_are_seen_apart_from_the_link(void **state)
{
	struct cw_netdev_watch *watch;
	struct cw_netdev_event event;

	(void)state;
	make_pair("w0", "w1");
	watch = open_watch("w0");
	if (!cw_netdev_watch_state(watch)->is_running)
		expect(watch, CW_NETDEV_CHANGE_LINK_UP);
	expect_none(watch);
	assert_int_equal(cw_netdev_watch_state(watch)->ifindex, index_of("w0"));
	assert_true(cw_netdev_watch_state(watch)->is_up);

	RUN("ip link set w0 down");
	event = expect(watch, CW_NETDEV_CHANGE_DOWN);
	assert_int_equal(event.ifindex, index_of("w0"));
	assert_string_equal(event.text, "w0 was set down");
	assert_true(event.before.is_running && !event.after.is_up && !event.after.is_running);
	RUN("ip link set w0 up");
	event = expect(watch, CW_NETDEV_CHANGE_UP);
	assert_true(event.after.is_up);
	event = expect(watch, CW_NETDEV_CHANGE_LINK_UP);
	assert_true(event.after.is_running);

	RUN("ip link set w1 down");
	event = expect(watch, CW_NETDEV_CHANGE_LINK_DOWN);
	assert_true(event.after.is_up && !event.after.is_running);
	assert_string_equal(event.text, "w0 lost its link");
	RUN("ip link set w1 up");
	expect(watch, CW_NETDEV_CHANGE_LINK_UP);
	expect_none(watch);
	assert_int_equal(cw_netdev_watch_overruns(watch), 0);
	cw_netdev_watch_close(watch);
	RUN("ip link del w0");
}

static void mtu_and_name_are_followed(void **state)
{
	struct cw_netdev_watch *watch;
	struct cw_netdev_event event;
	int ifindex, other;

	(void)state;
	make_pair("n0", "n1");
	RUN("ip link set n0 down");
	ifindex = index_of("n0");
	watch = open_watch("n0");
	RUN("ip link set n0 mtu 9000");
	event = expect(watch, CW_NETDEV_CHANGE_MTU);
	assert_int_equal(event.before.mtu, 1500);
	assert_int_equal(event.after.mtu, 9000);
	assert_string_equal(event.text, "n0 changed its MTU from 1500 to 9000");
	RUN("ip link set n0 name n7");
	event = expect(watch, CW_NETDEV_CHANGE_RENAMED);
	assert_int_equal(event.ifindex, ifindex);
	assert_string_equal(event.before.name, "n0");
	assert_string_equal(event.after.name, "n7");
	assert_false(event.after.is_called);
	RUN("ip link set n7 up"); /* still followed, by its ifindex */
	expect(watch, CW_NETDEV_CHANGE_UP);
	expect(watch, CW_NETDEV_CHANGE_LINK_UP);
	RUN("ip link add n0 type veth peer name n9"); /* another takes the name */
	event = expect(watch, CW_NETDEV_CHANGE_CREATED);
	other = index_of("n0");
	assert_int_not_equal(other, ifindex);
	assert_int_equal(event.ifindex, other);
	RUN("ip link del n7"); /* no longer ours */
	expect_none(watch);
	RUN("ip link del n0");
	event = expect(watch, CW_NETDEV_CHANGE_REMOVED);
	assert_int_equal(event.ifindex, other);
	cw_netdev_watch_close(watch);
}

static void removal_and_return_under_a_new_ifindex_are_seen(void **state)
{
	struct cw_netdev_watch *watch = NULL;
	struct cw_netdev_event event;
	int before;

	(void)state;
	make_pair("g0", "g1");
	before = index_of("g0");
	watch = open_watch("g0");
	if (!cw_netdev_watch_state(watch)->is_running)
		expect(watch, CW_NETDEV_CHANGE_LINK_UP);
	RUN("ip link del g0");
	do { /* as the peer goes first, or it is closed first */
		while (cw_netdev_watch_next(watch, &event) == 0)
			poll(&(struct pollfd){cw_netdev_watch_fd(watch), POLLIN, 0}, 1, 1000);
	} while (event.change == CW_NETDEV_CHANGE_DOWN ||
		 event.change == CW_NETDEV_CHANGE_LINK_DOWN);
	assert_int_equal(event.change, CW_NETDEV_CHANGE_REMOVED);
	assert_int_equal(event.ifindex, before);
	assert_int_equal(event.after.ifindex, 0);
	expect_none(watch);
	make_pair("g0", "g1");
	event = expect(watch, CW_NETDEV_CHANGE_CREATED);
	assert_int_equal(event.ifindex, index_of("g0"));
	assert_int_not_equal(event.ifindex, before);
	assert_true(event.after.is_called && !event.after.is_up);
	expect(watch, CW_NETDEV_CHANGE_UP);
	expect(watch, CW_NETDEV_CHANGE_LINK_UP);
	expect_none(watch);
	cw_netdev_watch_close(watch);
	RUN("ip link del g0");
}

static void leaving_a_bridge_is_no_removal(void **state)
{
	struct cw_netdev_watch *watch;

	(void)state;
	make_pair("b0", "b1");
	if (netns_run("ip link add br0 type bridge 2>/dev/null")) {
		print_message("skipped: no bridges here\n");
		RUN("ip link del b0");
		skip();
	}
	watch = open_watch("b0");
	if (!cw_netdev_watch_state(watch)->is_running)
		expect(watch, CW_NETDEV_CHANGE_LINK_UP);
	RUN("ip link set b0 master br0 && ip link set b0 nomaster");
	expect_none(watch);
	RUN("ip link set b0 down"); /* the notices did arrive */
	expect(watch, CW_NETDEV_CHANGE_DOWN);
	cw_netdev_watch_close(watch);
	RUN("ip link del b0 && ip link del br0");
}

static void alternative_names_are_names(void **state)
{
	struct cw_netdev_watch *watch;
	struct cw_netdev_event event;

	(void)state;
	make_pair("a0", "a1");
	if (netns_run("ip link property add dev a0 altname uplink-of-the-north")) {
		print_message("skipped: no alternative names here\n");
		RUN("ip link del a0");
		skip();
	}
	watch = open_watch("uplink-of-the-north");
	assert_int_equal(cw_netdev_watch_state(watch)->ifindex, index_of("a0"));
	assert_int_equal(index_of("uplink-of-the-north"), index_of("a0"));
	assert_true(cw_netdev_watch_state(watch)->is_called);
	RUN("ip link property del dev a0 altname uplink-of-the-north");
	event = expect_in_the_end(watch, CW_NETDEV_CHANGE_RENAMED);
	assert_non_null(strstr(event.text, "no longer called uplink-of-the-north"));
	cw_netdev_watch_close(watch);
	RUN("ip link del a0");
}

static void set_mtu(int fd, const char *name, int mtu)
{
	struct ifreq request = {.ifr_mtu = mtu};

	memcpy(request.ifr_name, name, strlen(name));
	assert_int_equal(__real_ioctl(fd, SIOCSIFMTU, &request), 0);
}

static void notices_lost_to_an_overrun_are_asked_for(void **state)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct cw_netdev_watch *watch;
	struct cw_netdev_event event;
	int ifindex;

	(void)state;
	make_pair("o0", "o1");
	watch = open_watch("o0");
	for (int i = 0; i < 2000; i++)
		set_mtu(fd, "o1", 1000 + i % 2);
	RUN("ip link set o0 down && ip link set o0 mtu 1300 name o5");
	expect_in_the_end(watch, CW_NETDEV_CHANGE_RENAMED);
	expect(watch, CW_NETDEV_CHANGE_MTU);
	expect(watch, CW_NETDEV_CHANGE_DOWN);
	expect_none(watch);
	assert_true(cw_netdev_watch_overruns(watch) > 0);
	assert_int_equal(cw_netdev_watch_state(watch)->mtu, 1300);

	RUN("ip link set o5 name o0");
	expect(watch, CW_NETDEV_CHANGE_RENAMED);
	for (int i = 0; i < 2000; i++)
		set_mtu(fd, "o1", 1000 + i % 2);
	ifindex = index_of("o0");
	RUN("ip link del o0");
	make_pair("o0", "o1");
	event = expect_in_the_end(watch, CW_NETDEV_CHANGE_REMOVED);
	assert_int_equal(event.ifindex, ifindex);
	event = expect(watch, CW_NETDEV_CHANGE_CREATED);
	assert_int_equal(event.ifindex, index_of("o0"));
	expect(watch, CW_NETDEV_CHANGE_UP);
	for (int i = 0; i < 2000; i++)
		set_mtu(fd, "o1", 1000 + i % 2);
	RUN("ip link del o0");
	event = expect_in_the_end(watch, CW_NETDEV_CHANGE_REMOVED);
	expect_none(watch);
	assert_int_equal(cw_netdev_watch_state(watch)->ifindex, 0);
	cw_netdev_watch_close(watch);
	close(fd);
}

static void malformed_and_missing_notices_are_made_up_for(void **state)
{
	struct nlmsghdr lying = {.nlmsg_len = 500, .nlmsg_type = RTM_DELLINK};
	struct cw_netdev_watch *watch;
	struct cw_netdev_event event;

	(void)state;
	make_pair("m0", "m1");
	RUN("ip link set m0 down");
	watch = open_watch("m0");
	inject = &lying;
	inject_bytes = sizeof(lying);
	expect_none(watch);
	assert_int_equal(cw_netdev_watch_overruns(watch), 1);
	RUN("ip link set m0 mtu 1400");
	fail_next("recvmsg", ENOBUFS, 0);
	expect(watch, CW_NETDEV_CHANGE_MTU);
	assert_int_equal(cw_netdev_watch_overruns(watch), 2);
	fail_next("recvmsg", EBADF, 0);
	assert_int_equal(cw_netdev_watch_next(watch, &event), -EBADF);
	expect_none(watch);
	cw_netdev_watch_close(watch);
	RUN("ip link del m0");
}

static void watches_refuse_what_is_no_name_and_report_failures(void **state)
{
	static const char *const wrong[] = {"", ".", "..", "a/b", "eth 0"};
	struct cw_netdev_watch *watch;
	char text[200];

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(wrong); i++)
		assert_int_equal(cw_netdev_watch_open(&watch, wrong[i], &error), -EINVAL);
	memset(text, 'a', sizeof(text));
	text[128] = '\0';
	assert_int_equal(cw_netdev_watch_open(&watch, text, &error), -EINVAL);
	fail_next("calloc", ENOMEM, 0);
	assert_int_equal(cw_netdev_watch_open(&watch, "eth0", &error), -ENOMEM);
	fail_next("socket", EMFILE, 0);
	assert_int_equal(cw_netdev_watch_open(&watch, "eth0", &error), -EMFILE);
	assert_non_null(strstr(error.text, "eth0"));
	fail_next("recvmsg", EIO, 0);
	assert_int_equal(cw_netdev_watch_open(&watch, "eth0", &error), -EIO);
	assert_null(watch);
	cw_netdev_watch_close(NULL);
	watch = open_watch("no-such-device-at-all"); /* may come */
	assert_int_equal(cw_netdev_watch_state(watch)->ifindex, 0);
	cw_netdev_watch_close(watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(down_and_up_are_seen_apart_from_the_link),
	    cmocka_unit_test(mtu_and_name_are_followed),
	    cmocka_unit_test(removal_and_return_under_a_new_ifindex_are_seen),
	    cmocka_unit_test(leaving_a_bridge_is_no_removal),
	    cmocka_unit_test(alternative_names_are_names),
	    cmocka_unit_test(notices_lost_to_an_overrun_are_asked_for),
	    cmocka_unit_test(malformed_and_missing_notices_are_made_up_for),
	    cmocka_unit_test(watches_refuse_what_is_no_name_and_report_failures),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
