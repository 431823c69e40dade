/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rtnetlink parser and its socket. Every length is checked against the remaining bytes before
 * more is read. Headers are copied out, because their alignment is not guaranteed.
 */
#include "core/net/netlink.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

#define NESTING_MASK 0x3fffu /* NLA_TYPE_MASK, which is signed */

/* Removes `bytes` and their padding from the front; the last element may lack its padding. */
static void advance(struct cw_netlink_rest *rest, size_t bytes)
{
	size_t padded = cw_min_size(cw_pad4(bytes), rest->bytes);

	rest->at += padded;
	rest->bytes -= padded;
}

int cw_netlink_message_next(struct cw_netlink_rest *rest, struct cw_netlink_message *message)
{
	struct nlmsghdr header;

	if (rest->bytes == 0)
		return 0;
	if (rest->bytes < sizeof(header))
		return -EBADMSG;
	memcpy(&header, rest->at, sizeof(header));
	if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > rest->bytes)
		return -EBADMSG;
	*message = (struct cw_netlink_message){
	    .type = header.nlmsg_type,
	    .flags = header.nlmsg_flags,
	    .sequence = header.nlmsg_seq,
	    .port = header.nlmsg_pid,
	    .body = rest->at + sizeof(header),
	    .body_bytes = header.nlmsg_len - sizeof(header),
	};
	advance(rest, header.nlmsg_len);
	return 1;
}

int cw_netlink_attribute_next(struct cw_netlink_rest *rest, struct cw_netlink_attribute *attribute)
{
	struct nlattr header;

	if (rest->bytes == 0)
		return 0;
	if (rest->bytes < sizeof(header))
		return -EBADMSG;
	memcpy(&header, rest->at, sizeof(header));
	if (header.nla_len < sizeof(header) || header.nla_len > rest->bytes)
		return -EBADMSG;
	*attribute = (struct cw_netlink_attribute){
	    .type = (uint16_t)(header.nla_type & NESTING_MASK),
	    .data = rest->at + sizeof(header),
	    .bytes = header.nla_len - sizeof(header),
	};
	advance(rest, header.nla_len);
	return 1;
}

/* Copies the family's header of a body, and fills `rest` with the attributes after it. */
static int attributes_behind(const struct cw_netlink_message *message, void *header, size_t bytes,
			     struct cw_netlink_rest *rest)
{
	size_t padded = cw_pad4(bytes);

	if (message->body_bytes < bytes)
		return -EBADMSG;
	memcpy(header, message->body, bytes);
	padded = cw_min_size(padded, message->body_bytes);
	*rest = (struct cw_netlink_rest){message->body + padded, message->body_bytes - padded};
	return 0;
}

static int take_u32(const struct cw_netlink_attribute *attribute, uint32_t *value)
{
	if (attribute->bytes < sizeof(*value))
		return -EBADMSG;
	*value = cw_load_u32(attribute->data, 0);
	return 0;
}

static int take_name(const struct cw_netlink_attribute *attribute, char *name, size_t name_bytes)
{
	size_t length = strnlen((const char *)attribute->data, attribute->bytes);

	if (length == 0 || length >= name_bytes)
		return -EBADMSG;
	memcpy(name, attribute->data, length);
	name[length] = '\0';
	return 0;
}

static int take_address(const struct cw_netlink_attribute *attribute, size_t bytes_max,
			struct cw_netlink_rest *address)
{
	if (attribute->bytes > bytes_max)
		return -EBADMSG;
	*address = (struct cw_netlink_rest){attribute->data, attribute->bytes};
	return 0;
}

static int link_attribute(const struct cw_netlink_attribute *attribute,
			  struct cw_netlink_link *link)
{
	switch (attribute->type) {
	case IFLA_IFNAME:
		return take_name(attribute, link->name, sizeof(link->name));
	case IFLA_MTU:
		link->has_mtu = true;
		return take_u32(attribute, &link->mtu);
	case IFLA_NUM_RX_QUEUES:
		return take_u32(attribute, &link->rx_queues);
	case IFLA_OPERSTATE:
		if (attribute->bytes < 1)
			return -EBADMSG;
		link->operstate = attribute->data[0];
		return 0;
	case IFLA_ADDRESS:
		return take_address(attribute, CW_NETLINK_HARDWARE_BYTES, &link->hardware);
	case IFLA_BROADCAST:
		return take_address(attribute, CW_NETLINK_HARDWARE_BYTES,
				    &link->hardware_broadcast);
	case IFLA_PROP_LIST:
		link->properties = (struct cw_netlink_rest){attribute->data, attribute->bytes};
		return 0;
	case IFLA_STATS64:
		link->stats64 = (struct cw_netlink_rest){attribute->data, attribute->bytes};
		return 0;
	default:
		return 0;
	}
}

int cw_netlink_link_parse(const struct cw_netlink_message *message, struct cw_netlink_link *link)
{
	struct cw_netlink_attribute attribute;
	struct cw_netlink_rest rest;
	struct ifinfomsg header;
	int status = attributes_behind(message, &header, sizeof(header), &rest);

	if (status)
		return status;
	*link = (struct cw_netlink_link){
	    .family = header.ifi_family,
	    .ifindex = header.ifi_index,
	    .flags = header.ifi_flags,
	    .arp_type = header.ifi_type,
	};
	if (link->ifindex <= 0)
		return -EBADMSG;
	while ((status = cw_netlink_attribute_next(&rest, &attribute)) > 0) {
		status = link_attribute(&attribute, link);
		if (status)
			return status;
	}
	return status;
}

bool cw_netlink_link_is_called(const struct cw_netlink_link *link, const char *name)
{
	struct cw_netlink_rest rest = link->properties;
	struct cw_netlink_attribute attribute;
	char other[CW_NETLINK_ALT_NAME_BYTES];

	if (!strcmp(link->name, name))
		return true;
	while (cw_netlink_attribute_next(&rest, &attribute) > 0)
		if (attribute.type == IFLA_ALT_IFNAME &&
		    !take_name(&attribute, other, sizeof(other)) && !strcmp(other, name))
			return true;
	return false;
}

int cw_netlink_address_parse(const struct cw_netlink_message *message,
			     struct cw_netlink_address *address)
{
	struct cw_netlink_rest rest, local = {0}, remote = {0};
	struct cw_netlink_attribute attribute;
	struct ifaddrmsg header;
	size_t bytes;
	int status = attributes_behind(message, &header, sizeof(header), &rest);

	if (status)
		return status;
	*address = (struct cw_netlink_address){
	    .family = header.ifa_family,
	    .prefix_bits = header.ifa_prefixlen,
	    .scope = header.ifa_scope,
	    .ifindex = (int)header.ifa_index,
	};
	if (address->family != AF_INET && address->family != AF_INET6)
		return 0; /* another family: the address stays empty */
	bytes = address->family == AF_INET ? 4 : 16;
	while ((status = cw_netlink_attribute_next(&rest, &attribute)) > 0) {
		struct cw_netlink_rest *to = attribute.type == IFA_LOCAL       ? &local
					     : attribute.type == IFA_ADDRESS   ? &remote
					     : attribute.type == IFA_BROADCAST ? &address->broadcast
									       : NULL;

		if (!to)
			continue;
		if (attribute.bytes != bytes)
			return -EBADMSG;
		*to = (struct cw_netlink_rest){attribute.data, attribute.bytes};
	}
	/* On a point-to-point link, IFA_ADDRESS is the peer's address. Elsewhere it is our address:
	 * IPv4 has it in both attributes, IPv6 in this one. */
	address->address = local.bytes ? local : remote;
	if (local.bytes && remote.bytes && memcmp(local.at, remote.at, bytes) != 0)
		address->peer = remote;
	if (address->prefix_bits > 8 * bytes)
		return -EBADMSG;
	return status;
}

int cw_netlink_result(const struct cw_netlink_message *message)
{
	int32_t code;

	if (message->body_bytes < sizeof(code))
		return -EBADMSG;
	memcpy(&code, message->body, sizeof(code));
	return code > 0 ? -EBADMSG : code;
}

int cw_netlink_open(struct cw_netlink *netlink, uint32_t groups)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
	socklen_t bytes = sizeof(address);
	int status;

	netlink->port = netlink->sequence = 0;
	netlink->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (netlink->fd < 0)
		return -errno;
	if (bind(netlink->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockname(netlink->fd, (struct sockaddr *)&address, &bytes) < 0) {
		status = -errno;
		cw_netlink_close(netlink);
		return status;
	}
	netlink->port = address.nl_pid;
	return 0;
}

void cw_netlink_close(struct cw_netlink *netlink)
{
	if (netlink->fd >= 0)
		close(netlink->fd);
	netlink->fd = -1;
}

struct question {
	struct nlmsghdr header;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
	} body;
	uint8_t attributes[CW_NETLINK_ALT_NAME_BYTES + 16];
};

static int ask(struct cw_netlink *netlink, struct question *question)
{
	static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent;

	question->header.nlmsg_seq = ++netlink->sequence;
	question->header.nlmsg_pid = netlink->port;
	do {
		sent = sendto(netlink->fd, question, question->header.nlmsg_len, MSG_DONTWAIT,
			      (const struct sockaddr *)&kernel, sizeof(kernel));
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* Appends an attribute to the request. */
static void put_attribute(struct question *question, uint16_t type, const void *data, size_t bytes)
{
	size_t at = cw_pad4(question->header.nlmsg_len);
	struct nlattr attribute = {.nla_len = (uint16_t)(sizeof(attribute) + bytes),
				   .nla_type = type};

	memcpy((uint8_t *)question + at, &attribute, sizeof(attribute));
	memcpy((uint8_t *)question + at + sizeof(attribute), data, bytes);
	question->header.nlmsg_len = (uint32_t)(at + sizeof(attribute) + bytes);
}

int cw_netlink_ask_link(struct cw_netlink *netlink, int ifindex, const char *name, bool skips_stats)
{
	struct question question = {
	    .header = {.nlmsg_type = RTM_GETLINK,
		       .nlmsg_flags = NLM_F_REQUEST,
		       .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg))},
	    .body.link = {.ifi_family = AF_UNSPEC, .ifi_index = ifindex},
	};
	uint32_t skip = RTEXT_FILTER_SKIP_STATS;
	size_t length = name ? strlen(name) : 0;

	if (length >= CW_NETLINK_ALT_NAME_BYTES)
		return -ENAMETOOLONG;
	if (skips_stats)
		put_attribute(&question, IFLA_EXT_MASK, &skip, sizeof(skip));
	if (name && ifindex <= 0)
		put_attribute(&question,
			      length < CW_NETLINK_NAME_BYTES ? IFLA_IFNAME : IFLA_ALT_IFNAME, name,
			      length + 1);
	else if (ifindex <= 0)
		question.header.nlmsg_flags |= NLM_F_DUMP;
	return ask(netlink, &question);
}

int cw_netlink_ask_addresses(struct cw_netlink *netlink)
{
	struct question question = {
	    .header = {.nlmsg_type = RTM_GETADDR,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		       .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg))},
	    .body.address = {.ifa_family = AF_UNSPEC},
	};

	return ask(netlink, &question);
}

int cw_netlink_receive(struct cw_netlink *netlink, struct cw_netlink_rest *rest)
{
	struct iovec vector = {.iov_base = netlink->buffer, .iov_len = sizeof(netlink->buffer)};
	struct sockaddr_nl sender;
	struct msghdr message;
	ssize_t got;

	*rest = (struct cw_netlink_rest){0};
	for (;;) {
		message = (struct msghdr){.msg_name = &sender,
					  .msg_namelen = sizeof(sender),
					  .msg_iov = &vector,
					  .msg_iovlen = 1};
		got = recvmsg(netlink->fd, &message, MSG_DONTWAIT);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (message.msg_flags & MSG_TRUNC)
			return -EMSGSIZE;
		if (message.msg_namelen < sizeof(sender) || sender.nl_pid != 0)
			continue; /* not from the kernel but from another process */
		*rest = (struct cw_netlink_rest){netlink->buffer, (size_t)got};
		return 0;
	}
}

void cw_netlink_drain(struct cw_netlink *netlink)
{
	struct cw_netlink_rest rest;
	int status;

	do {
		status = cw_netlink_receive(netlink, &rest);
	} while (status == 0 || status == -ENOBUFS || status == -EMSGSIZE);
}

static int wait_readable(const struct cw_netlink *netlink)
{
	struct pollfd readable = {.fd = netlink->fd, .events = POLLIN};
	int count;

	do {
		count = poll(&readable, 1, CW_NETLINK_WAIT_MS);
	} while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count == 0 ? -ETIMEDOUT : 0;
}

/* Handles one message of an answer. Returns 1 if it is the last; *failure keeps the first error. */
static int answer_message(const struct cw_netlink_message *message,
			  int (*visit)(void *context, const struct cw_netlink_message *message),
			  void *context, int *failure)
{
	int status = 0;

	if (message->flags & NLM_F_DUMP_INTR)
		status = -EINTR;
	if (message->type == NLMSG_DONE || message->type == NLMSG_ERROR) {
		int result = cw_netlink_result(message);

		*failure = *failure ? *failure : result ? result : status;
		return 1;
	}
	if (!status && message->type >= NLMSG_MIN_TYPE)
		status = visit(context, message);
	*failure = *failure ? *failure : status;
	return !(message->flags & NLM_F_MULTI);
}

int cw_netlink_answer(struct cw_netlink *netlink,
		      int (*visit)(void *context, const struct cw_netlink_message *message),
		      void *context)
{
	struct cw_netlink_message message;
	struct cw_netlink_rest rest;
	int status, failure = 0;

	for (;;) {
		status = cw_netlink_receive(netlink, &rest);
		if (status == -EAGAIN)
			status = wait_readable(netlink);
		else if (status == -EMSGSIZE || status == -ENOBUFS)
			failure = failure ? failure : status;
		else if (!status)
			while ((status = cw_netlink_message_next(&rest, &message)) > 0)
				if (message.sequence == netlink->sequence &&
				    message.port == netlink->port &&
				    answer_message(&message, visit, context, &failure))
					return failure;
		if (status == -EBADMSG) /* read on, to leave the queue empty for the next request */
			failure = failure ? failure : status;
		else if (status && status != -EMSGSIZE && status != -ENOBUFS)
			return failure ? failure : status;
	}
}
