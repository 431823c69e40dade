/* SPDX-License-Identifier: BSD-3-Clause */
/* Creates the cable: one rtnetlink request, two ioctls. */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "core/net/netlink.h"
#include "tools/devices/cable.h"

#define REQUEST_BYTES 256u

struct request {
	_Alignas(8) uint8_t bytes[REQUEST_BYTES];
	size_t used;
};

static void put(struct request *request, const void *bytes, size_t count)
{
	memcpy(request->bytes + request->used, bytes, count);
	request->used += cw_pad4(count);
}

/* Starts an attribute; close_attribute fills its length after its content. */
static size_t open_attribute(struct request *request, uint16_t type)
{
	const struct nlattr attribute = {.nla_type = type};
	size_t at = request->used;

	put(request, &attribute, sizeof(attribute));
	return at;
}

static void close_attribute(struct request *request, size_t at, size_t padding)
{
	uint16_t bytes = (uint16_t)(request->used - at - padding);

	memcpy(request->bytes + at + offsetof(struct nlattr, nla_len), &bytes, sizeof(bytes));
}

static void put_text(struct request *request, uint16_t type, const char *text)
{
	size_t at = open_attribute(request, type);
	size_t bytes = strlen(text) + 1;

	put(request, text, bytes);
	close_attribute(request, at, cw_pad4(bytes) - bytes);
}

static int visit_nothing(void *context, const struct cw_netlink_message *message)
{
	(void)context;
	(void)message;
	return 0;
}

static int make_pair(struct cw_netlink *netlink)
{
	const struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
	struct request request = {.used = sizeof(struct nlmsghdr)};
	struct nlmsghdr header = {.nlmsg_type = RTM_NEWLINK,
				  .nlmsg_flags =
				      NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
				  .nlmsg_seq = ++netlink->sequence,
				  .nlmsg_pid = netlink->port};
	size_t info, data, peer;

	put(&request, &link, sizeof(link));
	put_text(&request, IFLA_IFNAME, CW_CABLE_NEAR);
	info = open_attribute(&request, IFLA_LINKINFO);
	put_text(&request, IFLA_INFO_KIND, "veth");
	data = open_attribute(&request, IFLA_INFO_DATA);
	peer = open_attribute(&request, VETH_INFO_PEER);
	put(&request, &link, sizeof(link));
	put_text(&request, IFLA_IFNAME, CW_CABLE_FAR);
	close_attribute(&request, peer, 0);
	close_attribute(&request, data, 0);
	close_attribute(&request, info, 0);
	header.nlmsg_len = (uint32_t)request.used;
	memcpy(request.bytes, &header, sizeof(header));
	if (send(netlink->fd, request.bytes, request.used, 0) < 0)
		return -errno;
	return cw_netlink_answer(netlink, visit_nothing, NULL);
}

static int bring_up(const char *name)
{
	struct ifreq request = {0};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result = 0;

	if (fd < 0)
		return -errno;
	memcpy(request.ifr_name, name, strlen(name));
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		result = -errno;
	request.ifr_flags |= IFF_UP;
	if (result == 0 && ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		result = -errno;
	close(fd);
	return result;
}

int cw_cable_make(struct cw_error *error)
{
	struct cw_netlink *netlink = malloc(sizeof(*netlink));
	int result;

	if (!netlink)
		return cw_error_set_errno(error, -ENOMEM, "cannot create a virtual cable");
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		result = cw_error_set(error, -EPERM,
				      "cannot create a network namespace (%s): run as root",
				      strerror(errno));
		goto free_netlink;
	}
	result = cw_netlink_open(netlink, 0);
	if (result == 0) {
		result = make_pair(netlink);
		cw_netlink_close(netlink);
	}
	if (result == 0)
		result = bring_up(CW_CABLE_NEAR);
	if (result == 0)
		result = bring_up(CW_CABLE_FAR);
	if (result < 0)
		cw_error_set_errno(error, result, "cannot create a virtual cable (veth)");
free_netlink:
	free(netlink);
	return result;
}
