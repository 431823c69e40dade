/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as received from a netlink socket: every message as a link and as an address. The
 * ranges that the parser returns must lie inside the bytes; each range is read.
 */
#include <stdlib.h>

#include "core/net/netlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint32_t sum;

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static void touch(struct cw_netlink_rest part, const struct cw_netlink_message *message)
{
	if (!part.bytes)
		return;
	require(part.at >= message->body &&
		part.at + part.bytes <= message->body + message->body_bytes);
	for (size_t i = 0; i < part.bytes; i++)
		sum = sum * 31 + part.at[i];
}

static void read_link(const struct cw_netlink_message *message)
{
	struct cw_netlink_link link;

	if (cw_netlink_link_parse(message, &link))
		return;
	require(link.ifindex > 0 && strnlen(link.name, sizeof(link.name)) < sizeof(link.name));
	require(link.hardware.bytes <= CW_NETLINK_HARDWARE_BYTES);
	require(link.hardware_broadcast.bytes <= CW_NETLINK_HARDWARE_BYTES);
	touch(link.properties, message);
	touch(link.hardware, message);
	touch(link.hardware_broadcast, message);
	touch(link.stats64, message);
	sum += cw_netlink_link_is_called(&link, "eth0");
}

static void read_address(const struct cw_netlink_message *message)
{
	struct cw_netlink_address address;

	if (cw_netlink_address_parse(message, &address))
		return;
	require(!address.address.bytes || address.prefix_bits <= 8 * address.address.bytes);
	require(!address.peer.bytes || address.peer.bytes == address.address.bytes);
	touch(address.address, message);
	touch(address.peer, message);
	touch(address.broadcast, message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t *copy = malloc(bytes + !bytes); /* the sanitizer guards its end */
	struct cw_netlink_message message;
	struct cw_netlink_rest rest;

	if (!copy)
		return 0;
	if (bytes)
		memcpy(copy, data, bytes);
	rest = (struct cw_netlink_rest){copy, bytes};
	while (cw_netlink_message_next(&rest, &message) > 0) {
		require(message.body >= copy && message.body + message.body_bytes <= copy + bytes);
		require(cw_netlink_result(&message) <= 0);
		read_link(&message);
		read_address(&message);
	}
	free(copy);
	return 0;
}
