/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interfaces of a network namespace: counters exact and named, the list and the facts, drivers that
 * lie or fall silent.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <sys/syscall.h>

#include "tests/core/net/netdev_rig.h"

/* ---- helpers ---- */

/* Send frames of a protocol that nobody wants. */
static void send_frames(const char *name, int count)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = index_of(name)};
	uint8_t frame[100] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	for (int i = 0; i < count; i++)
		assert_int_equal(
		    sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)),
		    sizeof(frame));
	close(fd);
}

static void read_counters(const char *name, struct cw_netdev_counters *counters)
{
	if (cw_netdev_counters_read(probe, name, counters, &error))
		fail_msg("%s", error.text);
}

/* Read until so many were received (veth delivers on another processor's time). */
static void read_until(const char *name, uint64_t rx_packets, uint64_t drops,
		       struct cw_netdev_counters *counters)
{
	uint64_t until = clock_ms(CLOCK_MONOTONIC) + EVENT_MS_MAX, sum;

	do {
		read_counters(name, counters);
		sum = counters->rx_dropped;
		for (uint32_t i = 0; i < counters->drops.count; i++)
			sum += counters->drops.at[i].count;
	} while ((counters->rx_packets < rx_packets || sum < drops) &&
		 clock_ms(CLOCK_MONOTONIC) < until);
}

/* ---- counters ---- */

static void known_traffic_is_counted_exactly(void **state)
{
	struct cw_netdev_counters before = {0}, after = {0};
	struct cw_netdev_losses losses = {0};
	const char *counter = NULL;

	(void)state;
	make_pair("c0", "c1");
	read_counters("c1", &before);
	assert_true(before.ifindex > 0 && before.ts_ns > 0);
	assert_string_equal(before.name, "c1");
	send_frames("c0", PACKETS);
	read_until("c1", before.rx_packets + PACKETS, PACKETS, &after);
	assert_int_equal(cw_netdev_losses_between(&before, &after, &losses), 0);
	assert_int_equal(losses.rx_packets, PACKETS);
	assert_int_equal(losses.rx_bytes, PACKETS * 100);
	assert_int_equal(losses.tx_packets, 0);
	assert_int_equal(losses.rx_dropped, PACKETS); /* no tap, and no protocol wants them */
	assert_int_equal(losses.rx_missed + losses.rx_fifo + losses.rx_over, 0);
	assert_false(losses.is_lower_bound);
	assert_true(losses.elapsed_ns > 0);
	assert_int_equal(cw_netdev_losses_before_tap(&losses, &counter), 0); /* and no loss */
	assert_null(counter);

	assert_int_equal(cw_netdev_losses_between(&after, &after, &losses), 0);
	assert_int_equal(losses.rx_packets, 0);
	cw_netdev_losses_fini(&losses);
	cw_netdev_counters_fini(&before);
	cw_netdev_counters_fini(&after);
	RUN("ip link del c0");
}

/* Attach a program that drops all to an interface; the link's descriptor, or -errno. */
static int attach_drop_all(int ifindex)
{
	struct bpf_insn drop_all[] = {
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_DROP},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_XDP,
			       .insn_cnt = CW_ARRAY_COUNT(drop_all),
			       .insns = (uint64_t)(uintptr_t)drop_all,
			       .license = (uint64_t)(uintptr_t) "BSD"};
	union bpf_attr attach = {0};
	int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));
	int link;

	if (program < 0)
		return -errno;
	attach.link_create.prog_fd = (uint32_t)program;
	attach.link_create.target_ifindex = (uint32_t)ifindex;
	attach.link_create.attach_type = BPF_XDP;
	link = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attach, sizeof(attach));
	link = link < 0 ? -errno : link;
	close(program);
	return link;
}

static void drops_of_the_driver_are_named_and_exact(void **state)
{
	struct cw_netdev_counters before = {0}, after = {0};
	struct cw_netdev_losses losses = {0};
	const char *counter = NULL;
	uint64_t sum = 0;
	int link;

	(void)state;
	make_pair("x1", "x0");
	link = attach_drop_all(index_of("x1"));
	if (link < 0) {
		print_message("skipped: no XDP program on veth: %s\n", strerror(-link));
		RUN("ip link del x0");
		skip();
	}
	read_counters("x1", &before);
	assert_true(before.drops.count >= 2 * 4); /* drops and xdp_drops of each queue */
	send_frames("x0", PACKETS);
	read_until("x1", 0, PACKETS, &after);
	assert_int_equal(cw_netdev_losses_between(&before, &after, &losses), 0);
	for (uint32_t i = 0; i < losses.drops.count; i++) {
		assert_non_null(strstr(losses.drops.at[i].name, "xdp_drops"));
		sum += losses.drops.at[i].count;
	}
	assert_int_equal(sum, PACKETS);
	/* The frames arrived at one queue. */
	assert_int_equal(cw_netdev_losses_before_tap(&losses, &counter), PACKETS);
	assert_string_equal(counter, losses.drops.at[0].name);
	close(link);
	cw_netdev_losses_fini(&losses);
	cw_netdev_counters_fini(&before);
	cw_netdev_counters_fini(&after);
	RUN("ip link del x0");
}

static void interface_made_anew_gives_what_the_new_one_counted(void **state)
{
	struct cw_netdev_counters before = {0}, after = {0};
	struct cw_netdev_losses losses = {0};

	(void)state;
	make_pair("r0", "r1");
	send_frames("r0", 50);
	read_until("r1", 50, 50, &before);
	RUN("ip link del r0");
	assert_int_equal(cw_netdev_counters_read(probe, "r1", &after, &error), -ENODEV);
	assert_non_null(strstr(error.text, "r1"));
	assert_int_equal(after.ts_ns, 0);
	assert_int_equal(cw_netdev_losses_between(&before, &after, &losses), -EINVAL);
	make_pair("r0", "r1");
	send_frames("r0", 7);
	read_until("r1", 7, 7, &after);
	assert_int_not_equal(before.ifindex, after.ifindex);
	assert_int_equal(cw_netdev_losses_between(&before, &after, &losses), 0);
	assert_int_equal(losses.rx_packets, 7);
	assert_int_equal(losses.rx_dropped, 7);
	assert_true(losses.is_lower_bound);
	cw_netdev_losses_fini(&losses);
	cw_netdev_counters_fini(&before);
	cw_netdev_counters_fini(&after);
	RUN("ip link del r0");
}

static void loss_before_the_tap_is_the_largest_counter_of_lost_packets(void **state)
{
	/* Names of queues can repeat; some drivers repeat the interface's own counters. */
	struct cw_netdev_drop drops[] = {{"rx0_drops", 5}, {"rx0_drops", 7}, {"rx_dropped", 900}};
	struct cw_netdev_drop with_total[] = {
	    {"rx0_drops", 5}, {"rx_no_buffer", 12}, {"rx1_drops", 7}};
	const struct {
		struct cw_netdev_losses losses;
		uint64_t lost;
		const char *counter;
	} cases[] = {
	    {{.rx_packets = 100}, 0, NULL},
	    {{.rx_dropped = 300, .rx_errors = 20, .rx_nohandler = 40}, 0, NULL},
	    {{.rx_missed = 3}, 3, "rx_missed"},
	    {{.rx_fifo = 4}, 4, "rx_fifo"},
	    {{.rx_over = 5}, 5, "rx_over"},
	    {{.rx_errors = 9, .rx_missed = 3, .rx_fifo = 3, .rx_over = 3}, 3, "rx_missed"},
	    {{.rx_missed = 5, .drops = {drops, 1, 0}}, 5, "rx_missed"},
	    {{.rx_dropped = 900, .drops = {drops, 3, 0}}, 7, "rx0_drops"},
	    {{.drops = {drops + 2, 1, 0}}, 0, NULL},
	    {{.rx_missed = 11, .drops = {with_total, 3, 0}}, 12, "rx_no_buffer"},
	};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		const char *counter = NULL;

		assert_true(cw_netdev_losses_before_tap(&cases[i].losses, &counter) ==
			    cases[i].lost);
		if (cases[i].counter)
			assert_string_equal(counter, cases[i].counter);
		else
			assert_null(counter);
	}
}

static void losses_of_an_earlier_interface_are_added(void **state)
{
	struct cw_netdev_drop drops[] = {{"rx0_drops", 5}, {"rx0_drops", 7}, {"gone_drops", 2}};
	struct cw_netdev_losses earlier = {
	    .rx_dropped = 20, .rx_missed = 30, .drops = {drops, 3, 0}};
	struct cw_netdev_losses losses = {.rx_dropped = 2, .rx_missed = 3};
	const char *counter = NULL;

	(void)state;
	for (uint64_t times = 1; times < 3; times++) {
		assert_int_equal(cw_netdev_losses_add(&losses, &earlier), 0);
		assert_int_equal(losses.rx_dropped, 2 + 20 * times);
		assert_int_equal(losses.rx_missed, 3 + 30 * times);
		assert_int_equal(losses.drops.count, 2);
		assert_string_equal(losses.drops.at[0].name, "rx0_drops");
		assert_int_equal(losses.drops.at[0].count, 12 * times);
		assert_int_equal(losses.drops.at[1].count, 2 * times);
		assert_int_equal(cw_netdev_losses_before_tap(&losses, &counter), 3 + 30 * times);
	}
	cw_netdev_losses_fini(&losses);
	fail_next("realloc", ENOMEM, 0);
	assert_int_equal(cw_netdev_losses_add(&losses, &earlier), -ENOMEM);
	cw_netdev_losses_fini(&losses);
}

static void counters_that_go_backwards_give_no_absurd_figures(void **state)
{
	struct cw_netdev_drop earlier[] = {
	    {"rx0_drops", 5}, {"rx_drops", 4}, {"rx_drops", 8}, {"gone_drops", 9}};
	struct cw_netdev_drop later[] = {{"rx_drops", 6},
					 {"rx_drops", 3},
					 {"rx0_drops", 5},
					 {"new_drops", 70},
					 {"new_too_drops", 0}};
	struct cw_netdev_counters before = {.ts_ns = 1000,
					    .ifindex = 3,
					    .rx_packets = 1000,
					    .rx_bytes = 4294967000,
					    .rx_missed = 10,
					    .rx_fifo = UINT64_MAX,
					    .drops = {earlier, CW_ARRAY_COUNT(earlier), 0}};
	struct cw_netdev_counters after = {.ts_ns = 900, /* the clock was set back */
					   .ifindex = 3,
					   .rx_packets = 1500,
					   .rx_bytes = 200,
					   .rx_missed = 2,
					   .rx_fifo = 1,
					   .drops = {later, CW_ARRAY_COUNT(later), 0}};
	struct cw_netdev_losses losses = {0};

	(void)state;
	assert_int_equal(cw_netdev_losses_between(&before, &after, &losses), 0);
	assert_int_equal(losses.elapsed_ns, 0);
	assert_true(losses.is_lower_bound);
	assert_int_equal(losses.rx_packets, 500);
	assert_int_equal(losses.rx_bytes, 200);
	assert_int_equal(losses.rx_missed, 2);
	assert_int_equal(losses.rx_fifo, 1);
	assert_int_equal(losses.drops.count, 2); /* two of one name are told apart */
	assert_string_equal(losses.drops.at[0].name, "rx_drops");
	assert_int_equal(losses.drops.at[0].count, 2);
	assert_int_equal(losses.drops.at[1].count, 3);

	after.rx_bytes = before.rx_bytes, after.rx_missed = 11, after.rx_fifo = UINT64_MAX;
	after.drops.count = 0;
	assert_int_equal(cw_netdev_losses_between(&before, &after, &losses), 0);
	assert_false(losses.is_lower_bound);
	assert_int_equal(losses.rx_missed, 1);
	after.drops.count = CW_ARRAY_COUNT(later);
	cw_netdev_losses_fini(&losses);
	fail_next("realloc", ENOMEM, 0);
	assert_int_equal(cw_netdev_losses_between(&before, &after, &losses), -ENOMEM);
	cw_netdev_losses_fini(&losses);
}

static void names_of_loss_are_told_from_others(void **state)
{
	static const char *const loss[] = {"rx_queue_0_drops",
					   "rx_queue_3_xdp_drops",
					   "rx_missed_errors",
					   "rx_no_buffer_count",
					   "rx_fifo_errors",
					   "rx_discards_phy",
					   "rx_out_of_buffer",
					   "rx_no_dma_resources",
					   "port.rx_discards",
					   "rx_steer_missed_packets",
					   "alloc_rx_buff_failed",
					   "rx0_xdp_drop",
					   "RX Drops",
					   "rx_pci_overflow",
					   "drop",
					   "rx_xdp_tx_drops"};
	static const char *const other[] = {"tx_dropped",
					    "tx_queue_0_xdp_xmit_drops",
					    "rx_packets",
					    "fdir_miss",
					    "alloc_rx_page",
					    "rx_permission",
					    "rx_cache_miss",
					    "peer_ifindex",
					    "",
					    "port.tx_dropped_link_down",
					    "rx_queue_0_xdp_redirect"};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(loss); i++)
		if (!cw_netdev_is_drop_name(loss[i]))
			fail_msg("'%s' speaks of loss", loss[i]);
	for (size_t i = 0; i < CW_ARRAY_COUNT(other); i++)
		if (cw_netdev_is_drop_name(other[i]))
			fail_msg("'%s' does not speak of received packets lost", other[i]);
}

static void drivers_that_change_or_lie_are_survived(void **state)
{
	struct cw_netdev_counters counters = {0};

	(void)state;
	memset(&driver, 0, sizeof(driver));
	driver.is_on = true;
	driver.claims = 5;
	driver.writes = 5000; /* far beyond the fence */
	driver.lies = 2;
	driver.base = 100;
	read_counters("lo", &counters);
	assert_int_equal(counters.drops.count, 3);
	assert_string_equal(counters.drops.at[2].name, "rx4_drops");
	assert_int_equal(counters.drops.at[2].count, 104);
	driver.writes = 3; /* fewer than it said */
	driver.lies = 1;
	read_counters("lo", &counters);
	assert_int_equal(counters.drops.count, 3);
	driver.lies = -1;
	assert_int_equal(cw_netdev_counters_read(probe, "lo", &counters, &error), -EAGAIN);
	assert_int_equal(counters.drops.count, 0);
	driver.lies = 0;
	driver.is_loose = true;
	read_counters("lo", &counters);
	assert_int_equal(counters.drops.count, 1);
	assert_int_equal(strlen(counters.drops.at[0].name), 31);
	driver.is_loose = false;
	driver.claims = 2 * CW_NETDEV_DROPS_MAX + 20; /* every other one is a drop */
	read_counters("lo", &counters);
	assert_int_equal(counters.drops.count, CW_NETDEV_DROPS_MAX);
	assert_int_equal(counters.drops_left_out, 10);
	driver.claims = 70000;
	assert_int_equal(cw_netdev_counters_read(probe, "lo", &counters, &error), -E2BIG);
	driver.claims = 0;
	read_counters("lo", &counters);
	assert_int_equal(counters.drops.count, 0);
	driver.claims = 3;
	cw_netdev_counters_fini(&counters);
	for (int i = 0; i < 2; i++) { /* strings, values */
		fail_next("mprotect", ENOMEM, i);
		assert_int_equal(cw_netdev_counters_read(probe, "lo", &counters, &error), -ENOMEM);
	}
	fail_next("realloc", ENOMEM, 0);
	assert_int_equal(cw_netdev_counters_read(probe, "lo", &counters, &error), -ENOMEM);
	driver.is_on = false;
	fail_next("ioctl", ENODEV, 0);
	assert_int_equal(cw_netdev_counters_read(probe, "lo", &counters, &error), -ENODEV);
	cw_netdev_counters_fini(&counters);
}

/* ---- the list and the facts ---- */

static const struct cw_netdev *find(const struct cw_netdevs *list, const char *name)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (!strcmp(list->at[i].name, name))
			return &list->at[i];
	fail_msg("%s is not listed", name);
	return NULL;
}

/* "l0" is listed, whatever failed before. */
static void list_despite_failures(void)
{
	struct cw_netdevs list = {0};

	for (int i = 0; i < 6; i++) { /* a list left in the socket does not spoil the next one */
		fail_next("recvmsg", EIO, i);
		if (cw_netdevs_list(probe, &list, &error))
			assert_int_equal(error.code, -EIO), assert_int_equal(list.count, 0);
		fail_call = "";
		assert_int_equal(cw_netdevs_list(probe, &list, &error), 0);
		find(&list, "l0");
	}
	cw_netdevs_fini(&list);
	fail_next("realloc", ENOMEM, 0); /* links */
	assert_int_equal(cw_netdevs_list(probe, &list, &error), -ENOMEM);
	cw_netdevs_fini(&list);
	fail_next("realloc", ENOMEM, 1); /* addresses */
	assert_int_equal(cw_netdevs_list(probe, &list, &error), -ENOMEM);
	fail_next("recvmsg", ENOBUFS, 1); /* asks again */
	assert_int_equal(cw_netdevs_list(probe, &list, &error), 0);
	find(&list, "l0");
	cw_netdevs_fini(&list);
}

static void interfaces_are_listed_with_their_addresses(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0x77, 1};
	struct cw_netdevs list = {0};
	const struct cw_netdev *device;
	char text[INET6_ADDRSTRLEN];

	(void)state;
	make_pair("l0", "l1");
	RUN("ip link set l0 address 02:00:00:00:77:01 mtu 1600 &&"
	    " ip addr add 10.7.0.1/24 broadcast 10.7.0.255 dev l0 &&"
	    " ip addr add 10.8.0.1 peer 10.8.0.2/32 dev l0");
	netns_write("/proc/sys/net/ipv6/conf/l0/disable_ipv6", "0");
	RUN("ip -6 addr add fd00::7/64 dev l0 nodad");
	if (cw_netdevs_list(probe, &list, &error))
		fail_msg("%s", error.text);
	device = find(&list, "lo");
	assert_true(device->flags & IFF_LOOPBACK && device->flags & IFF_UP);
	assert_int_equal(device->addresses[0].family, AF_INET);
	assert_int_equal(device->addresses[0].prefix_bits, 8);
	assert_string_equal(inet_ntop(AF_INET, device->addresses[0].address, text, sizeof(text)),
			    "127.0.0.1");
	assert_false(device->addresses[0].has_broadcast);
	device = find(&list, "l0");
	assert_int_equal(device->ifindex, index_of("l0"));
	assert_int_equal(device->mtu, 1600);
	assert_int_equal(device->arp_type, 1);
	assert_int_equal(device->rx_queues_allocated, 4);
	assert_string_equal(cw_netdev_operstate_text(device->operstate), "up");
	assert_int_equal(device->hardware_bytes, 6);
	assert_memory_equal(device->hardware, mac, 6);
	assert_memory_equal(device->hardware_broadcast, "\xff\xff\xff\xff\xff\xff", 6);
	assert_true(device->address_count >= 3); /* and a link-local one, perhaps */
	assert_memory_equal(device->addresses[0].address, "\x0a\x07\0\x01", 4);
	assert_int_equal(device->addresses[0].prefix_bits, 24);
	assert_true(device->addresses[0].has_broadcast && !device->addresses[0].has_peer);
	assert_memory_equal(device->addresses[0].broadcast, "\x0a\x07\0\xff", 4);
	assert_memory_equal(device->addresses[1].address, "\x0a\x08\0\x01", 4);
	assert_true(device->addresses[1].has_peer && !device->addresses[1].has_broadcast);
	assert_memory_equal(device->addresses[1].peer, "\x0a\x08\0\x02", 4);
	assert_int_equal(device->addresses[2].family, AF_INET6);
	assert_int_equal(device->addresses[2].prefix_bits, 64);
	assert_string_equal(inet_ntop(AF_INET6, device->addresses[2].address, text, sizeof(text)),
			    "fd00::7");
	for (uint32_t i = 1; i < list.count; i++)
		assert_true(list.at[i].ifindex > list.at[i - 1].ifindex);
	cw_netdevs_fini(&list);
	list_despite_failures();
	RUN("ip link del l0");
}

static void queues_driver_and_offloads_are_told(void **state)
{
	struct cw_netdev_facts facts;

	(void)state;
	need_namespace();
	RUN("ip link add q0 numrxqueues 4 type veth peer name q1 numrxqueues 3");
	assert_int_equal(cw_netdev_facts_read(probe, "q0", &facts, &error), 0);
	assert_int_equal(facts.rx_queues, 4);
	assert_int_equal(facts.rx_queues_from, CW_NETDEV_QUEUES_CHANNELS);
	assert_string_equal(facts.driver, "veth");
	assert_true(facts.has_timestamping && facts.has_software_rx && !facts.has_hardware_rx);
	assert_int_equal(facts.phc_index, -1);
	assert_int_equal(facts.offloads[CW_NETDEV_TSO].setting, CW_NETDEV_ON);
	assert_false(facts.offloads[CW_NETDEV_TSO].is_fixed);
	assert_int_equal(facts.offloads[CW_NETDEV_LRO].setting, CW_NETDEV_OFF);
	assert_true(facts.offloads[CW_NETDEV_LRO].is_fixed);
	for (int i = 0; i < CW_NETDEV_OFFLOADS; i++) {
		assert_int_not_equal(facts.offloads[i].setting, CW_NETDEV_UNKNOWN);
		assert_true(strlen(cw_netdev_offload_name((enum cw_netdev_offload)i)) > 3);
	}
	assert_int_equal(cw_netdev_facts_read(probe, "q1", &facts, &error), 0);
	assert_int_equal(facts.rx_queues, 3);
	RUN("ip link del q0");

	assert_int_equal(cw_netdev_facts_read(probe, "lo", &facts, &error), 0);
	assert_int_equal(facts.rx_queues, 1);
	assert_int_not_equal(facts.rx_queues_from, CW_NETDEV_QUEUES_CHANNELS);
	fail_next("ioctl", ENODEV, 0);
	assert_int_equal(cw_netdev_facts_read(probe, "lo", &facts, &error), -ENODEV);
	fail_next("mprotect", ENOMEM, 0);
	assert_int_equal(cw_netdev_facts_read(probe, "lo", &facts, &error), -ENOMEM);
	assert_int_equal(cw_netdev_facts_read(probe, "", &facts, &error), -ENODEV);
	assert_int_equal(cw_netdev_facts_read(probe, "nothing0", &facts, &error), -ENODEV);
	assert_non_null(strstr(error.text, "nothing0"));
}

static void queues_are_counted_in_sysfs_where_the_driver_is_silent(void **state)
{
	struct cw_netdev_facts facts;

	(void)state;
	need_namespace();
	if (netns_run("ip link add i0 numrxqueues 3 numtxqueues 3 type ifb 2>/dev/null")) {
		print_message("skipped: no ifb devices here\n");
		skip();
	}
	if (access("/sys/class/net/i0", F_OK)) {
		print_message("skipped: sysfs does not show this namespace\n");
		RUN("ip link del i0");
		skip();
	}
	assert_int_equal(cw_netdev_facts_read(probe, "i0", &facts, &error), 0);
	assert_int_equal(facts.rx_queues, 3);
	assert_int_equal(facts.rx_queues_from, CW_NETDEV_QUEUES_SYSFS);
	RUN("ip link del i0");
}

/* Any interface of the sysfs in sight but lo. */
static bool name_in_sysfs(char *name, size_t bytes)
{
	struct dirent *entry;
	DIR *list = opendir("/sys/class/net");

	name[0] = '\0';
	while (list && (entry = readdir(list)))
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, "lo"))
			snprintf(name, bytes, "%.15s", entry->d_name);
	if (list)
		closedir(list);
	return name[0];
}

static void sysfs_of_another_namespace_is_not_believed(void **state)
{
	struct cw_netdev_facts facts;
	char name[CW_NETDEV_NAME_BYTES];
	const char *reason = NULL;

	(void)state;
	need_namespace();
	if (umount("/sys"))
		reason = "sysfs is the machine's already, or cannot be taken off";
	else if (!name_in_sysfs(name, sizeof(name)))
		reason = "the machine's namespace has but lo";
	else if (netns_run("ip link add %s index 54321 numrxqueues 77 type ifb 2>/dev/null", name))
		reason = "no ifb devices here";
	if (!reason) {
		assert_int_equal(cw_netdev_facts_read(probe, name, &facts, &error), 0);
		assert_int_equal(facts.rx_queues, 77);
		assert_int_equal(facts.rx_queues_from, CW_NETDEV_QUEUES_ALLOCATED);
		RUN("ip link del %s", name);
	}
	mount("capweir", "/sys", "sysfs", 0, NULL);
	if (reason) {
		print_message("skipped: %s\n", reason);
		skip();
	}
}

static void probes_report_what_they_cannot_open(void **state)
{
	struct cw_netdev_probe *other;

	(void)state;
	fail_next("calloc", ENOMEM, 0);
	assert_int_equal(cw_netdev_probe_open(&other, &error), -ENOMEM);
	fail_next("socket", EMFILE, 0);
	assert_int_equal(cw_netdev_probe_open(&other, &error), -EMFILE);
	assert_null(other);
	fail_next("socket", EAFNOSUPPORT, 1);
	assert_int_equal(cw_netdev_probe_open(&other, &error), -EAFNOSUPPORT);
	assert_null(other);
	cw_netdev_probe_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_traffic_is_counted_exactly),
	    cmocka_unit_test(drops_of_the_driver_are_named_and_exact),
	    cmocka_unit_test(interface_made_anew_gives_what_the_new_one_counted),
	    cmocka_unit_test(loss_before_the_tap_is_the_largest_counter_of_lost_packets),
	    cmocka_unit_test(losses_of_an_earlier_interface_are_added),
	    cmocka_unit_test(counters_that_go_backwards_give_no_absurd_figures),
	    cmocka_unit_test(names_of_loss_are_told_from_others),
	    cmocka_unit_test(drivers_that_change_or_lie_are_survived),
	    cmocka_unit_test(interfaces_are_listed_with_their_addresses),
	    cmocka_unit_test(queues_driver_and_offloads_are_told),
	    cmocka_unit_test(queues_are_counted_in_sysfs_where_the_driver_is_silent),
	    cmocka_unit_test(sysfs_of_another_namespace_is_not_believed),
	    cmocka_unit_test(probes_report_what_they_cannot_open),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
