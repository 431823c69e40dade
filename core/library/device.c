/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list of interfaces. The list points into libpcap's, which stays until the list is freed; a
 * header in front of the entries that callers see holds both.
 */
#include <errno.h>
#include <stdlib.h>

#include <pcap/pcap.h>

#include <capweir/device.h>

#include "core/base/base.h"
#include "core/base/error.h"

struct list {
	pcap_if_t *source;
	struct cw_device_address *addresses; /* of all entries */
	struct cw_device devices[];
};

static uint32_t flags_of(const pcap_if_t *device)
{
	uint32_t status = device->flags & PCAP_IF_CONNECTION_STATUS;

	return (device->flags & PCAP_IF_LOOPBACK ? CW_DEVICE_LOOPBACK : 0u) |
	       (device->flags & PCAP_IF_UP ? CW_DEVICE_UP : 0u) |
	       (device->flags & PCAP_IF_RUNNING ? CW_DEVICE_RUNNING : 0u) |
	       (device->flags & PCAP_IF_WIRELESS ? CW_DEVICE_WIRELESS : 0u) |
	       (status == PCAP_IF_CONNECTION_STATUS_CONNECTED ? CW_DEVICE_CONNECTED : 0u) |
	       (status == PCAP_IF_CONNECTION_STATUS_DISCONNECTED ? CW_DEVICE_DISCONNECTED : 0u) |
	       (status == PCAP_IF_CONNECTION_STATUS_UNKNOWN ? CW_DEVICE_MAYBE_CONNECTED : 0u);
}

/* Returns the number of addresses; copies them unless `to` is NULL. */
static uint32_t take_addresses(const pcap_if_t *device, struct cw_device_address *to)
{
	const pcap_addr_t *from;
	uint32_t count = 0;

	for (from = device->addresses; from; from = from->next, count++) {
		if (to)
			to[count] = (struct cw_device_address){.address = from->addr,
							       .netmask = from->netmask,
							       .broadcast = from->broadaddr,
							       .peer = from->dstaddr};
	}
	return count;
}

int cw_devices_list(struct cw_device **devices, size_t *count, struct cw_error *error)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	size_t device_count = 0, address_count = 0;
	struct cw_device_address *addresses;
	const pcap_if_t *each;
	pcap_if_t *source;
	struct list *list;

	*devices = NULL;
	*count = 0;
	if (pcap_findalldevs(&source, text) < 0)
		return cw_error_set(error, -EIO, "cannot list interfaces: %s", text);
	for (each = source; each; each = each->next, device_count++)
		address_count += take_addresses(each, NULL);
	list = malloc(sizeof(*list) + device_count * sizeof(list->devices[0]));
	addresses = calloc(address_count + 1, sizeof(*addresses));
	if (!list || !addresses) {
		free(list);
		free(addresses);
		pcap_freealldevs(source);
		return cw_error_set(error, -ENOMEM, "cannot list interfaces: no memory");
	}
	list->source = source;
	list->addresses = addresses;
	for (each = source; each; each = each->next) {
		struct cw_device *device = &list->devices[(*count)++];

		*device = (struct cw_device){.name = each->name,
					     .description = each->description,
					     .flags = flags_of(each),
					     .address_count = take_addresses(each, addresses),
					     .addresses = addresses};
		addresses += device->address_count;
	}
	*devices = list->devices;
	return 0;
}

void cw_devices_free(struct cw_device *devices)
{
	struct list *list;

	if (!devices)
		return;
	list = (struct list *)(void *)((char *)devices - offsetof(struct list, devices));
	pcap_freealldevs(list->source);
	free(list->addresses);
	free(list);
}
