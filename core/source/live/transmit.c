/* SPDX-License-Identifier: BSD-3-Clause */
/* The packet socket of transmit.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/packet/linktype.h"
#include "core/source/live/transmit.h"

struct cw_transmit {
	int fd;
	struct cw_transmit_info info;
	struct mmsghdr messages[CW_TRANSMIT_BURST];
	struct iovec parts[CW_TRANSMIT_BURST];
	struct sockaddr_ll to[CW_TRANSMIT_BURST]; /* protocols of frames without a header */
};

static int find_device(struct cw_transmit *transmit, const char *device, struct cw_error *error)
{
	struct ifreq request = {0};
	int64_t linktype;

	if (strlen(device) >= sizeof(request.ifr_name))
		return cw_error_set_errno(error, -ENODEV, "cannot send on %s", device);
	memcpy(request.ifr_name, device, strlen(device));
	if (ioctl(transmit->fd, SIOCGIFINDEX, &request) < 0)
		return cw_error_set_errno(error, -errno, "cannot send on %s", device);
	transmit->info.device_index = request.ifr_ifindex;
	if (ioctl(transmit->fd, SIOCGIFFLAGS, &request) < 0)
		return cw_error_set_errno(error, -errno, "cannot read the flags of %s", device);
	if (!(request.ifr_flags & IFF_UP))
		return cw_error_set(error, -ENETDOWN,
				    "interface %s is down: bring it up with 'ip link set %s up'",
				    device, device);
	transmit->info.is_loopback = request.ifr_flags & IFF_LOOPBACK;
	if (ioctl(transmit->fd, SIOCGIFMTU, &request) < 0)
		return cw_error_set_errno(error, -errno, "cannot read the MTU of %s", device);
	transmit->info.mtu = (uint32_t)request.ifr_mtu;
	if (ioctl(transmit->fd, SIOCGIFHWADDR, &request) < 0)
		return cw_error_set_errno(error, -errno, "cannot read the type of %s", device);
	linktype = cw_linktype_from_hardware(request.ifr_hwaddr.sa_family);
	if (linktype < 0)
		return cw_error_set(
		    error, (int)linktype,
		    "cannot send on %s: capture files have no link type for its frames "
		    "(ARPHRD %u)",
		    device, request.ifr_hwaddr.sa_family);
	transmit->info.linktype = (uint32_t)linktype;
	return 0;
}

static int open_socket(struct cw_transmit *transmit, const char *device, struct cw_error *error)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET};
	int result;

	/* No protocol: the socket receives nothing. */
	transmit->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (transmit->fd < 0 && (errno == EPERM || errno == EACCES))
		return cw_error_set(
		    error, -EPERM,
		    "cannot send on %s without the capability CAP_NET_RAW. Run as root, or grant "
		    "it with 'sudo setcap cap_net_raw+ep PROGRAM'",
		    device);
	if (transmit->fd < 0)
		return cw_error_set_errno(error, -errno, "cannot open a socket to send on %s",
					  device);
	result = find_device(transmit, device, error);
	if (result < 0)
		return result;
	address.sll_ifindex = transmit->info.device_index;
	if (bind(transmit->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return cw_error_set_errno(error, -errno, "cannot send on %s", device);
	return 0;
}

int cw_transmit_open(struct cw_transmit **opened, const char *device, struct cw_error *error)
{
	struct cw_transmit *transmit = calloc(1, sizeof(*transmit));
	int result;

	*opened = NULL;
	if (!transmit)
		return cw_error_set_errno(error, -ENOMEM, "cannot send on %s", device);
	result = open_socket(transmit, device, error);
	if (result < 0) {
		cw_transmit_close(transmit);
		return result;
	}
	for (size_t i = 0; i < CW_TRANSMIT_BURST; i++) {
		transmit->messages[i].msg_hdr =
		    (struct msghdr){.msg_iov = &transmit->parts[i], .msg_iovlen = 1};
		transmit->to[i] = (struct sockaddr_ll){.sll_family = AF_PACKET,
						       .sll_ifindex = transmit->info.device_index};
	}
	*opened = transmit;
	return 0;
}

void cw_transmit_info(const struct cw_transmit *transmit, struct cw_transmit_info *info)
{
	*info = transmit->info;
}

/* Sets the IP version of a frame without a link-layer header. */
static void address_packet(struct cw_transmit *transmit, size_t at, const struct cw_packet *packet)
{
	struct msghdr *message = &transmit->messages[at].msg_hdr;
	bool is_ipv6 = packet->caplen && packet->data[0] >> 4 == 6;

	transmit->to[at].sll_protocol = htons(is_ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	message->msg_name = &transmit->to[at];
	message->msg_namelen = sizeof(transmit->to[at]);
}

int cw_transmit_send(struct cw_transmit *transmit, const struct cw_packet *packets, size_t count)
{
	int taken;

	if (count == 0 || packets[0].caplen == 0)
		return -EINVAL;
	count = cw_min_size(count, CW_TRANSMIT_BURST);
	for (size_t i = 0; i < count; i++) {
		if (packets[i].caplen == 0) {
			count = i;
			break;
		}
		transmit->parts[i] = (struct iovec){.iov_base = (void *)(uintptr_t)packets[i].data,
						    .iov_len = packets[i].caplen};
		if (transmit->info.linktype == CW_LINKTYPE_RAW)
			address_packet(transmit, i, &packets[i]);
	}
	do {
		taken = sendmmsg(transmit->fd, transmit->messages, (unsigned)count, MSG_DONTWAIT);
	} while (taken < 0 && errno == EINTR);
	if (taken < 0)
		return errno == ENOBUFS ? -EAGAIN : -errno;
	return taken;
}

void cw_transmit_close(struct cw_transmit *transmit)
{
	if (!transmit)
		return;
	if (transmit->fd >= 0)
		close(transmit->fd);
	free(transmit);
}
