/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interfaces and their facts: links and addresses from rtnetlink, the rest from the driver
 * (ethtool.c). The counters are in netdev_counters.c.
 */
#include "core/net/netdev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/rtnetlink.h>

#include "core/net/ethtool.h"
#include "core/base/grow.h"
#include "core/net/netdev_probe.h"

#define LIST_TRIES 8 /* repetitions while interfaces change */

static_assert(IFNAMSIZ == CW_NETDEV_NAME_BYTES && IFNAMSIZ == CW_NETLINK_NAME_BYTES, "names fit");
static_assert(CW_NETDEV_HARDWARE_BYTES == CW_NETLINK_HARDWARE_BYTES, "link addresses fit");

int cw_netdev_probe_open(struct cw_netdev_probe **result, struct cw_error *error)
{
	struct cw_netdev_probe *probe = calloc(1, sizeof(*probe));
	int status;

	*result = NULL;
	if (!probe)
		return cw_error_set_errno(error, -ENOMEM, "cannot read the interfaces");
	status = cw_netlink_open(&probe->netlink, 0);
	if (status)
		goto free_probe;
	/* Any socket will do. This one reaches no network. */
	probe->ioctl_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (probe->ioctl_fd < 0) {
		status = -errno;
		goto close_netlink;
	}
	*result = probe;
	return 0;

close_netlink:
	cw_netlink_close(&probe->netlink);
free_probe:
	free(probe);
	return cw_error_set_errno(error, status, "cannot open a socket to read the interfaces");
}

void cw_netdev_probe_close(struct cw_netdev_probe *probe)
{
	if (!probe)
		return;
	close(probe->ioctl_fd);
	cw_netlink_close(&probe->netlink);
	free(probe);
}

/* ---- one link ---- */

struct one_link {
	struct cw_netlink_link *link;
	bool is_found;
};

static int visit_one_link(void *context, const struct cw_netlink_message *message)
{
	struct one_link *one = context;

	if (message->type != RTM_NEWLINK)
		return 0;
	one->is_found = true;
	return cw_netlink_link_parse(message, one->link);
}

int cw_netdev_probe_link(struct cw_netdev_probe *probe, const char *name, bool skips_stats,
			 struct cw_netlink_link *link)
{
	struct one_link one = {.link = link};
	int status = -ENODEV;

	if (*name)
		status = cw_netlink_ask_link(&probe->netlink, 0, name, skips_stats);
	if (!status)
		status = cw_netlink_answer(&probe->netlink, visit_one_link, &one);
	if (!status && !one.is_found)
		status = -EBADMSG;
	/* The kernel does not know alternative names, or considers the name invalid. */
	if (status == -EINVAL || status == -ENAMETOOLONG)
		status = -ENODEV;
	return !status && !link->name[0] ? -EBADMSG : status;
}

/* ---- the list ---- */

static void copy_hardware(uint8_t *to, const struct cw_netlink_rest *address)
{
	if (address->bytes)
		memcpy(to, address->at, address->bytes);
}

static int visit_link(void *context, const struct cw_netlink_message *message)
{
	struct cw_netlink_link link;
	struct cw_netdevs *list = context;
	struct cw_netdev *device;
	int status;

	if (message->type != RTM_NEWLINK)
		return 0;
	status = cw_netlink_link_parse(message, &link);
	if (status)
		return status;
	if (list->count >= CW_NETDEVS_MAX)
		return -E2BIG;
	if (CW_GROW(list, 1))
		return -ENOMEM;
	device = &list->at[list->count++];
	*device = (struct cw_netdev){
	    .ifindex = link.ifindex,
	    .flags = link.flags,
	    .mtu = link.mtu,
	    .arp_type = link.arp_type,
	    .operstate = link.operstate,
	    .hardware_bytes = (uint8_t)link.hardware.bytes,
	    .rx_queues_allocated = link.rx_queues,
	};
	memcpy(device->name, link.name, sizeof(device->name));
	copy_hardware(device->hardware, &link.hardware);
	if (link.hardware_broadcast.bytes == link.hardware.bytes)
		copy_hardware(device->hardware_broadcast, &link.hardware_broadcast);
	return 0;
}

static int visit_address(void *context, const struct cw_netlink_message *message)
{
	struct cw_netlink_address told;
	struct cw_netdevs *list = context;
	struct cw_netdev_address *address;
	int status;

	if (message->type != RTM_NEWADDR)
		return 0;
	status = cw_netlink_address_parse(message, &told);
	if (status || !told.address.bytes)
		return status;
	if (list->addresses.count >= CW_NETDEVS_MAX)
		return -E2BIG;
	if (CW_GROW(&list->addresses, 1))
		return -ENOMEM;
	address = &list->addresses.at[list->addresses.count++];
	*address = (struct cw_netdev_address){
	    .ifindex = told.ifindex,
	    .family = told.family,
	    .bytes = (uint8_t)told.address.bytes,
	    .prefix_bits = told.prefix_bits,
	    .scope = told.scope,
	    .has_broadcast = told.broadcast.bytes > 0,
	    .has_peer = told.peer.bytes > 0,
	};
	memcpy(address->address, told.address.at, told.address.bytes);
	if (told.broadcast.bytes)
		memcpy(address->broadcast, told.broadcast.at, told.broadcast.bytes);
	if (told.peer.bytes)
		memcpy(address->peer, told.peer.at, told.peer.bytes);
	return 0;
}

static int compare_devices(const void *left, const void *right)
{
	const struct cw_netdev *a = left, *b = right;

	return (a->ifindex > b->ifindex) - (a->ifindex < b->ifindex);
}

/* Orders by interface, IPv4 before IPv6, then by value, so that equal systems give equal lists. */
static int compare_addresses(const void *left, const void *right)
{
	const struct cw_netdev_address *a = left, *b = right;

	if (a->ifindex != b->ifindex)
		return a->ifindex > b->ifindex ? 1 : -1;
	if (a->family != b->family)
		return a->family == AF_INET ? -1 : 1;
	return memcmp(a->address, b->address, sizeof(a->address));
}

/* Both arrays are sorted by ifindex. */
static void join_addresses(struct cw_netdevs *list)
{
	uint32_t next = 0;

	for (uint32_t i = 0; i < list->count; i++) {
		struct cw_netdev *device = &list->at[i];

		while (next < list->addresses.count &&
		       list->addresses.at[next].ifindex < device->ifindex)
			next++; /* its interface appeared after the links were listed */
		if (next < list->addresses.count)
			device->addresses = &list->addresses.at[next];
		for (; next < list->addresses.count &&
		       list->addresses.at[next].ifindex == device->ifindex;
		     next++)
			device->address_count++;
	}
}

static int list_once(struct cw_netdev_probe *probe, struct cw_netdevs *list)
{
	int status;

	list->count = list->addresses.count = 0;
	cw_netlink_drain(&probe->netlink);
	status = cw_netlink_ask_link(&probe->netlink, 0, NULL, true);
	if (!status)
		status = cw_netlink_answer(&probe->netlink, visit_link, list);
	if (!status)
		status = cw_netlink_ask_addresses(&probe->netlink);
	if (!status)
		status = cw_netlink_answer(&probe->netlink, visit_address, list);
	return status;
}

int cw_netdevs_list(struct cw_netdev_probe *probe, struct cw_netdevs *list, struct cw_error *error)
{
	int status = -EINTR;

	for (int i = 0; i < LIST_TRIES && (status == -EINTR || status == -ENOBUFS); i++)
		status = list_once(probe, list);
	if (status) {
		list->count = list->addresses.count = 0;
		return cw_error_set_errno(error, status, "cannot list the interfaces");
	}
	if (list->count)
		qsort(list->at, list->count, sizeof(*list->at), compare_devices);
	if (list->addresses.count)
		qsort(list->addresses.at, list->addresses.count, sizeof(*list->addresses.at),
		      compare_addresses);
	join_addresses(list);
	return 0;
}

void cw_netdevs_fini(struct cw_netdevs *list)
{
	CW_GROWN_FINI(list);
	CW_GROWN_FINI(&list->addresses);
	*list = (struct cw_netdevs){0};
}

const char *cw_netdev_operstate_text(uint8_t operstate)
{
	static const char *const texts[] = {"unknown", "notpresent", "down", "lowerlayerdown",
					    "testing", "dormant",    "up"};

	return operstate < CW_ARRAY_COUNT(texts) ? texts[operstate] : texts[0];
}

/* ---- facts ---- */

/*
 * Returns whether sysfs has the interface with the same ifindex. sysfs shows the network namespace
 * in which it was mounted, which may differ from the probe's.
 */
static bool sysfs_has(int device_fd, int ifindex)
{
	char text[16] = "";
	int fd = openat(device_fd, "ifindex", O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	return got > 0 && atoi(text) == ifindex;
}

static uint32_t sysfs_rx_queues(const char *name, int ifindex)
{
	char path[sizeof("/sys/class/net/") + CW_NETDEV_NAME_BYTES];
	const struct dirent *entry;
	int device_fd, queues_fd;
	uint32_t count = 0;
	DIR *queues;

	snprintf(path, sizeof(path), "/sys/class/net/%s", name);
	device_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (device_fd < 0)
		return 0;
	queues_fd = sysfs_has(device_fd, ifindex)
			? openat(device_fd, "queues", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			: -1;
	close(device_fd);
	if (queues_fd < 0)
		return 0;
	queues = fdopendir(queues_fd);
	if (!queues) {
		close(queues_fd);
		return 0;
	}
	while ((entry = readdir(queues)))
		count += !strncmp(entry->d_name, "rx-", 3);
	closedir(queues);
	return count;
}

static void count_rx_queues(struct cw_netdev_probe *probe, uint32_t allocated,
			    struct cw_netdev_facts *facts)
{
	facts->rx_queues_from = CW_NETDEV_QUEUES_CHANNELS;
	facts->rx_queues = cw_ethtool_rx_queues(probe->ioctl_fd, facts->name);
	if (facts->rx_queues)
		return;
	facts->rx_queues_from = CW_NETDEV_QUEUES_SYSFS;
	facts->rx_queues = sysfs_rx_queues(facts->name, facts->ifindex);
	if (facts->rx_queues)
		return;
	facts->rx_queues_from = CW_NETDEV_QUEUES_ALLOCATED;
	facts->rx_queues = allocated ? allocated : 1;
}

int cw_netdev_facts_read(struct cw_netdev_probe *probe, const char *name,
			 struct cw_netdev_facts *facts, struct cw_error *error)
{
	struct cw_netlink_link link;
	int status = cw_netdev_probe_link(probe, name, true, &link);

	*facts = (struct cw_netdev_facts){.phc_index = -1};
	if (status)
		return cw_error_set_errno(error, status, "cannot read interface %s", name);
	facts->ifindex = link.ifindex;
	memcpy(facts->name, link.name, sizeof(facts->name));
	status = cw_ethtool_facts(probe->ioctl_fd, facts->name, facts);
	if (status)
		return cw_error_set_errno(error, status,
					  "cannot read the driver's data of interface %s", name);
	count_rx_queues(probe, link.rx_queues, facts);
	return 0;
}

const char *cw_netdev_offload_name(enum cw_netdev_offload offload)
{
	static const char *const names[CW_NETDEV_OFFLOADS] = {
	    [CW_NETDEV_GRO] = "generic-receive-offload",
	    [CW_NETDEV_LRO] = "large-receive-offload",
	    [CW_NETDEV_GRO_HW] = "rx-gro-hw",
	    [CW_NETDEV_RX_VLAN] = "rx-vlan-offload",
	    [CW_NETDEV_RX_FCS] = "rx-fcs",
	    [CW_NETDEV_RX_ALL] = "rx-all",
	    [CW_NETDEV_TSO] = "tcp-segmentation-offload",
	    [CW_NETDEV_GSO] = "generic-segmentation-offload",
	    [CW_NETDEV_RX_SUM] = "rx-checksumming",
	    [CW_NETDEV_TX_SUM] = "tx-checksumming",
	};

	return names[offload];
}
