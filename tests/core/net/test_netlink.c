/* SPDX-License-Identifier: BSD-3-Clause */
/* The rtnetlink parser on messages made here, by the kernel, and by chance. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/rtnetlink.h>

#include "core/net/netlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
#include "tests/fuzz/fuzz_netlink.c" /* its checks, on the inputs below */

#define SEED UINT64_C(20260117)
#define ROUNDS 200000

static uint64_t random_state = SEED;

static uint32_t any(uint32_t limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)((random_state >> 33) % limit);
}

/* A message that grows; `at` of the test's buffers. */
struct built {
	_Alignas(4) uint8_t data[1024];
	size_t bytes;
};

static void begin(struct built *built, uint16_t type, const void *header, size_t bytes)
{
	struct nlmsghdr first = {.nlmsg_type = type};

	memset(built, 0, sizeof(*built));
	memcpy(built->data, &first, sizeof(first));
	memcpy(built->data + sizeof(first), header, bytes);
	built->bytes = sizeof(first) + bytes;
}

static void add(struct built *built, uint16_t type, const void *data, size_t bytes)
{
	struct nlattr header = {.nla_len = (uint16_t)(sizeof(header) + bytes), .nla_type = type};

	memcpy(built->data + built->bytes, &header, sizeof(header));
	if (bytes)
		memcpy(built->data + built->bytes + sizeof(header), data, bytes);
	built->bytes += cw_pad4(sizeof(header) + bytes);
}

static struct cw_netlink_message end(struct built *built)
{
	struct cw_netlink_rest rest = {built->data, built->bytes};
	struct cw_netlink_message message;

	cw_store_u32(built->data, (uint32_t)built->bytes);
	assert_int_equal(cw_netlink_message_next(&rest, &message), 1);
	assert_int_equal(cw_netlink_message_next(&rest, &message), 0);
	return message;
}

static void begin_link(struct built *built)
{
	struct ifinfomsg link = {.ifi_index = 7, .ifi_flags = 0x11043, .ifi_type = 1};

	begin(built, RTM_NEWLINK, &link, sizeof(link));
}

static int parse_link(struct built *built, struct cw_netlink_link *link)
{
	struct cw_netlink_message message = end(built);

	return cw_netlink_link_parse(&message, link);
}

static void link_is_read_with_all_its_attributes(void **state)
{
	static const uint8_t hardware[6] = {2, 0, 0, 0, 0, 9};
	struct cw_netlink_link link;
	struct built built, other;
	uint32_t mtu = 9000, queues = 4;
	uint8_t operstate = 6;

	(void)state;
	begin(&other, 0, "", 0);
	add(&other, IFLA_ALT_IFNAME, "uplink-of-the-north", 20);
	add(&other, IFLA_ALT_IFNAME, "wan", 4);
	begin_link(&built);
	add(&built, IFLA_IFNAME, "eth0", 5);
	add(&built, IFLA_MTU, &mtu, 4);
	add(&built, IFLA_NUM_RX_QUEUES, &queues, 4);
	add(&built, IFLA_OPERSTATE, &operstate, 1);
	add(&built, IFLA_ADDRESS, hardware, 6);
	add(&built, 9999, "unknown", 7);
	add(&built, IFLA_PROP_LIST | NLA_F_NESTED, other.data + NLMSG_HDRLEN,
	    other.bytes - NLMSG_HDRLEN);
	assert_int_equal(parse_link(&built, &link), 0);
	assert_int_equal(link.ifindex, 7);
	assert_int_equal(link.flags, 0x11043);
	assert_int_equal(link.arp_type, 1);
	assert_string_equal(link.name, "eth0");
	assert_true(link.has_mtu);
	assert_int_equal(link.mtu, 9000);
	assert_int_equal(link.rx_queues, 4);
	assert_int_equal(link.operstate, 6);
	assert_int_equal(link.hardware.bytes, 6);
	assert_memory_equal(link.hardware.at, hardware, 6);
	assert_int_equal(link.stats64.bytes, 0);
	assert_true(cw_netlink_link_is_called(&link, "eth0"));
	assert_true(cw_netlink_link_is_called(&link, "wan"));
	assert_true(cw_netlink_link_is_called(&link, "uplink-of-the-north"));
	assert_false(cw_netlink_link_is_called(&link, "uplink"));
	assert_false(cw_netlink_link_is_called(&link, "eth01"));
}

static void lengths_that_do_not_fit_are_refused(void **state)
{
	struct cw_netlink_attribute attribute;
	struct cw_netlink_message message;
	struct cw_netlink_link link;
	struct built built;
	uint8_t long_address[33] = {0};

	(void)state;
	for (uint32_t length = 0; length < 64; length++) { /* of the message, 24 are there */
		struct cw_netlink_rest rest = {built.data, 24};

		begin_link(&built);
		cw_store_u32(built.data, length);
		assert_int_equal(cw_netlink_message_next(&rest, &message),
				 length >= 16 && length <= 24 ? 1 : -EBADMSG);
	}
	for (size_t there = 1; there < 16; there++) {
		struct cw_netlink_rest rest = {built.data, there};

		assert_int_equal(cw_netlink_message_next(&rest, &message), -EBADMSG);
	}
	for (uint16_t length = 0; length < 32; length++) { /* of an attribute, 8 are there */
		struct cw_netlink_rest rest = {built.data, 8};

		memset(built.data, 0, sizeof(built.data));
		cw_store_u16(built.data, length);
		assert_int_equal(cw_netlink_attribute_next(&rest, &attribute),
				 length >= 4 && length <= 8 ? 1 : -EBADMSG);
	}
	cw_store_u32(built.data, UINT32_MAX);
	assert_int_equal(
	    cw_netlink_message_next(&(struct cw_netlink_rest){built.data, 64}, &message), -EBADMSG);

	begin(&built, RTM_NEWLINK, long_address, 12); /* a header cut short */
	assert_int_equal(parse_link(&built, &link), -EBADMSG);
	begin(&built, RTM_NEWLINK, long_address, 16); /* ifindex 0 */
	assert_int_equal(parse_link(&built, &link), -EBADMSG);
	begin_link(&built);
	add(&built, IFLA_IFNAME, "sixteen-letters-", 16); /* no room for the NUL */
	assert_int_equal(parse_link(&built, &link), -EBADMSG);
	begin_link(&built);
	add(&built, IFLA_IFNAME, "", 0);
	assert_int_equal(parse_link(&built, &link), -EBADMSG);
	begin_link(&built);
	add(&built, IFLA_MTU, "abc", 3);
	assert_int_equal(parse_link(&built, &link), -EBADMSG);
	begin_link(&built);
	add(&built, IFLA_OPERSTATE, "", 0);
	assert_int_equal(parse_link(&built, &link), -EBADMSG);
	begin_link(&built);
	add(&built, IFLA_ADDRESS, long_address, 33);
	assert_int_equal(parse_link(&built, &link), -EBADMSG);
	message = (struct cw_netlink_message){.body = built.data, .body_bytes = 3};
	assert_int_equal(cw_netlink_result(&message), -EBADMSG);
}

static int parse_address(const struct ifaddrmsg *header, const uint8_t *local, size_t local_bytes,
			 const uint8_t *remote, size_t remote_bytes,
			 struct cw_netlink_address *address)
{
	static struct built built;
	struct cw_netlink_message message;

	begin(&built, RTM_NEWADDR, header, sizeof(*header));
	if (local)
		add(&built, IFA_LOCAL, local, local_bytes);
	add(&built, IFA_ADDRESS, remote, remote_bytes);
	message = end(&built);
	return cw_netlink_address_parse(&message, address);
}

static void address_tells_ours_from_the_other_end(void **state)
{
	static const uint8_t ours[16] = {10, 0, 0, 1}, theirs[16] = {10, 0, 0, 2};
	struct ifaddrmsg header = {.ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = 3};
	struct cw_netlink_address address;

	(void)state;
	assert_int_equal(parse_address(&header, ours, 4, theirs, 4, &address), 0);
	assert_memory_equal(address.address.at, ours, 4);
	assert_memory_equal(address.peer.at, theirs, 4);
	assert_int_equal(parse_address(&header, ours, 4, ours, 4, &address), 0);
	assert_int_equal(address.peer.bytes, 0);
	assert_int_equal(address.ifindex, 3);
	assert_int_equal(parse_address(&header, NULL, 0, ours, 16, &address), -EBADMSG);
	header.ifa_prefixlen = 33;
	assert_int_equal(parse_address(&header, ours, 4, ours, 4, &address), -EBADMSG);
	header.ifa_family = AF_INET6;
	assert_int_equal(parse_address(&header, NULL, 0, ours, 16, &address), 0);
	assert_int_equal(address.address.bytes, 16);
	header.ifa_family = AF_MAX;
	assert_int_equal(parse_address(&header, NULL, 0, ours, 7, &address), 0);
	assert_int_equal(address.address.bytes, 0);
}

/* What the kernel lists of this machine, with statistics; bytes, at most `bytes`. */
static size_t record_dump(uint8_t *to, size_t bytes)
{
	static struct cw_netlink netlink;
	struct cw_netlink_rest rest;
	size_t total = 0;
	int status;

	assert_int_equal(cw_netlink_open(&netlink, 0), 0);
	assert_int_equal(cw_netlink_ask_link(&netlink, 0, NULL, false), 0);
	for (int i = 0; i < 2; i++) {
		while (!(status = cw_netlink_receive(&netlink, &rest))) {
			rest.bytes = cw_min_size(rest.bytes, bytes - total);
			memcpy(to + total, rest.at, rest.bytes);
			total += rest.bytes;
		}
		assert_int_equal(status, -EAGAIN);
		assert_int_equal(cw_netlink_ask_addresses(&netlink), 0);
	}
	cw_netlink_close(&netlink);
	return total;
}

static void damaged_messages_are_never_read_beyond_their_end(void **state)
{
	static uint8_t real[65536], damaged[4096];
	size_t bytes = record_dump(real, sizeof(real));

	(void)state;
	assert_true(bytes > 500);
	LLVMFuzzerTestOneInput(real, bytes);
	for (int round = 0; round < ROUNDS; round++) {
		size_t from = any((uint32_t)bytes / 4) * 4 % bytes;
		size_t length = cw_min_size(1 + any(sizeof(damaged)), bytes - from);

		if (round % 2) /* start where a message does, so that damage goes deep */
			length = cw_min_size(length + from, sizeof(damaged)), from = 0;
		length = cw_min_size(length, bytes - from);
		memcpy(damaged, real + from, length);
		for (uint32_t i = any(6); i > 0; i--)
			damaged[any((uint32_t)length)] = (uint8_t)any(any(2) ? 256 : 8);
		LLVMFuzzerTestOneInput(damaged, length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(link_is_read_with_all_its_attributes),
	    cmocka_unit_test(lengths_that_do_not_fit_are_refused),
	    cmocka_unit_test(address_tells_ours_from_the_other_end),
	    cmocka_unit_test(damaged_messages_are_never_read_beyond_their_end),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
