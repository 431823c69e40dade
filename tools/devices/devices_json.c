/* SPDX-License-Identifier: BSD-3-Clause */
/* Interfaces as JSON. Unknown or inapplicable values are null. */
#include <arpa/inet.h>
#include <capweir/device.h>

#include <linux/if.h>
#include <linux/rtnetlink.h>

#include "tools/devices/catalogue.h"
#include "tools/text/complain.h"
#include "tools/text/numbers.h"

#define HARDWARE_TEXT_BYTES (3 * CW_NETDEV_HARDWARE_BYTES)

struct flag_name {
	uint32_t flag;
	const char *name;
};

static const struct flag_name interface_flags[] = {
    {IFF_UP, "up"},
    {IFF_BROADCAST, "broadcast"},
    {IFF_LOOPBACK, "loopback"},
    {IFF_POINTOPOINT, "pointopoint"},
    {IFF_RUNNING, "running"},
    {IFF_NOARP, "noarp"},
    {IFF_PROMISC, "promisc"},
    {IFF_ALLMULTI, "allmulti"},
    {IFF_MASTER, "master"},
    {IFF_SLAVE, "slave"},
    {IFF_MULTICAST, "multicast"},
    {IFF_LOWER_UP, "lower_up"},
    {IFF_DORMANT, "dormant"},
};

static const struct flag_name device_flags[] = {
    {CW_DEVICE_UP, "up"},
    {CW_DEVICE_RUNNING, "running"},
    {CW_DEVICE_LOOPBACK, "loopback"},
    {CW_DEVICE_WIRELESS, "wireless"},
};

static json_t *flags_json(uint32_t flags, const struct flag_name *names, size_t count)
{
	json_t *list = json_array();

	for (size_t index = 0; index < count; index++)
		if (flags & names[index].flag)
			json_array_append_new(list, json_string(names[index].name));
	return list;
}

static json_t *address_text(uint8_t family, const uint8_t *address)
{
	char text[INET6_ADDRSTRLEN];

	return json_string(inet_ntop(family, address, text, sizeof(text)));
}

/* The prefix as a netmask, as libpcap gives it. */
static json_t *netmask_text(const struct cw_netdev_address *address)
{
	uint8_t mask[16] = {0};
	uint32_t bit;

	for (bit = 0; bit < address->prefix_bits; bit++)
		mask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return address_text(address->family, mask);
}

static json_t *scope_text(uint8_t scope)
{
	switch (scope) {
	case RT_SCOPE_UNIVERSE:
		return json_string("global");
	case RT_SCOPE_SITE:
		return json_string("site");
	case RT_SCOPE_LINK:
		return json_string("link");
	case RT_SCOPE_HOST:
		return json_string("host");
	default:
		return json_integer(scope);
	}
}

static json_t *addresses_json(const struct cw_netdev *netdev)
{
	json_t *list = json_array();

	for (uint32_t index = 0; netdev && index < netdev->address_count; index++) {
		const struct cw_netdev_address *address = &netdev->addresses[index];

		json_array_append_new(
		    list, json_pack("{s:s, s:o, s:i, s:o, s:o, s:o, s:o}", "family",
				    address->family == AF_INET ? "inet" : "inet6", "address",
				    address_text(address->family, address->address), "prefix_bits",
				    (int)address->prefix_bits, "netmask", netmask_text(address),
				    "broadcast",
				    address->has_broadcast
					? address_text(address->family, address->broadcast)
					: json_null(),
				    "peer",
				    address->has_peer ? address_text(address->family, address->peer)
						      : json_null(),
				    "scope", scope_text(address->scope)));
	}
	return list;
}

static json_t *kinds_json(const struct cw_kinds *kinds)
{
	json_t *list = json_array();

	for (uint32_t index = 0; index < kinds->count; index++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:I}", "name", kinds->at[index].name,
						"description", kinds->at[index].description,
						"value", (json_int_t)kinds->at[index].value));
	return list;
}

static json_t *hardware_text(const struct cw_netdev *netdev)
{
	char text[HARDWARE_TEXT_BYTES + 1] = "";
	uint32_t index;

	for (index = 0; index < netdev->hardware_bytes; index++)
		snprintf(text + 3 * index, sizeof(text) - 3 * index,
			 "%02x:", netdev->hardware[index]);
	if (!index)
		return json_null();
	text[3 * index - 1] = '\0';
	return json_string(text);
}

static json_t *offloads_json(const struct cw_netdev_facts *facts)
{
	json_t *all = json_object();

	for (size_t index = 0; index < CW_NETDEV_OFFLOADS; index++) {
		enum cw_netdev_setting setting = facts->offloads[index].setting;

		json_object_set_new(all, cw_netdev_offload_name((enum cw_netdev_offload)index),
				    setting == CW_NETDEV_UNKNOWN
					? json_null()
					: json_pack("{s:b, s:b}", "on", setting == CW_NETDEV_ON,
						    "fixed", (int)facts->offloads[index].is_fixed));
	}
	return all;
}

static json_t *text_or_null(const char *text)
{
	return cw_json_text(text[0] ? text : NULL);
}

static void add_facts(json_t *object, const struct cw_netdev_facts *facts)
{
	static const char *const sources[] = {
	    [CW_NETDEV_QUEUES_CHANNELS] = "channels",
	    [CW_NETDEV_QUEUES_SYSFS] = "sysfs",
	    [CW_NETDEV_QUEUES_ALLOCATED] = "allocated",
	};

	json_object_set_new(object, "driver", text_or_null(facts->driver));
	json_object_set_new(object, "driver_version", text_or_null(facts->driver_version));
	json_object_set_new(object, "firmware", text_or_null(facts->firmware));
	json_object_set_new(object, "bus", text_or_null(facts->bus));
	json_object_set_new(object, "queues", json_integer(facts->rx_queues));
	json_object_set_new(object, "queues_from", json_string(sources[facts->rx_queues_from]));
	json_object_set_new(object, "offloads", offloads_json(facts));
	json_object_set_new(object, "clock",
			    facts->phc_index < 0 ? json_null() : json_integer(facts->phc_index));
	json_object_set_new(object, "stamps_all_packets", json_boolean(facts->has_hardware_rx));
}

static void add_netdev(json_t *object, const struct cw_netdev *netdev)
{
	json_object_set_new(object, "ifindex", json_integer(netdev->ifindex));
	json_object_set_new(object, "mtu", json_integer(netdev->mtu));
	json_object_set_new(object, "operstate",
			    json_string(cw_netdev_operstate_text(netdev->operstate)));
	json_object_set_new(object, "hardware_address", hardware_text(netdev));
	json_object_set_new(object, "hardware_type", json_integer(netdev->arp_type));
}

static json_t *device_json(const struct cw_catalogue_device *device)
{
	const struct cw_netdev *netdev = device->netdev;
	const char *state = cw_catalogue_state(device);
	json_t *object = json_pack(
	    "{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "number", (int)device->number,
	    "name", cw_json_text(device->name), "description", cw_json_text(device->description),
	    "state", text_or_null(state), "flags",
	    netdev ? flags_json(netdev->flags, interface_flags, CW_ARRAY_COUNT(interface_flags))
		   : flags_json(device->flags, device_flags, CW_ARRAY_COUNT(device_flags)),
	    "addresses", addresses_json(netdev), "link_types", kinds_json(&device->link_types),
	    "link_types_told", (int)device->are_opened, "link_types_error",
	    text_or_null(device->link_types_error), "timestamp_types",
	    kinds_json(&device->timestamp_types));

	if (object && netdev)
		add_netdev(object, netdev);
	if (object && device->has_facts)
		add_facts(object, &device->facts);
	return object;
}

int cw_catalogue_print_json(const struct cw_catalogue *catalogue,
			    const struct cw_catalogue_device *only)
{
	json_t *list = json_array();

	for (uint32_t index = 0; index < catalogue->count; index++)
		if (!only || only == &catalogue->at[index])
			json_array_append_new(list, device_json(&catalogue->at[index]));
	return cw_json_print(json_pack("{s:o}", "devices", list), JSON_INDENT(1), "");
}
