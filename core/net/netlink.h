/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rtnetlink, the little of it that netdev.h needs: a socket, questions to the kernel, and a parser
 * that trusts no length. Inside core only. Single owner: one thread uses a socket.
 *
 * Why no library: two questions and three kinds of message do not pay for another dependency of
 * everyone who links with us. Formats: linux/netlink.h, linux/rtnetlink.h, linux/if_link.h.
 */
#ifndef CW_CORE_NET_NETLINK_H
#define CW_CORE_NET_NETLINK_H

#include <stdbool.h>

#include "core/base/base.h"

#define CW_NETLINK_BUFFER_BYTES 32768u /* the kernel fills no more of a dump's buffer than this */
#define CW_NETLINK_WAIT_MS 2000        /* for an answer; the kernel answers while it is asked */
#define CW_NETLINK_NAME_BYTES 16u      /* IFNAMSIZ */
#define CW_NETLINK_ALT_NAME_BYTES 128u /* ALTIFNAMSIZ */
#define CW_NETLINK_HARDWARE_BYTES 32u  /* MAX_ADDR_LEN */

struct cw_netlink {
	int fd;
	uint32_t port;     /* our address */
	uint32_t sequence; /* of the last question */
	_Alignas(8) uint8_t buffer[CW_NETLINK_BUFFER_BYTES];
};

/* Bytes not looked at yet; borrows them. */
struct cw_netlink_rest {
	const uint8_t *at;
	size_t bytes;
};

struct cw_netlink_message {
	uint16_t type, flags;
	uint32_t sequence, port;
	const uint8_t *body;
	size_t body_bytes;
};

struct cw_netlink_attribute {
	uint16_t type; /* without the flags for nesting and byte order */
	const uint8_t *data;
	size_t bytes;
};

/* An RTM_NEWLINK or RTM_DELLINK. What a message does not say is 0 or empty. */
struct cw_netlink_link {
	uint8_t family; /* AF_UNSPEC: the device; AF_BRIDGE: it as a port of a bridge */
	int ifindex;
	uint32_t flags; /* IFF_ */
	uint16_t arp_type;
	bool has_mtu;
	uint32_t mtu;
	uint8_t operstate;
	uint32_t rx_queues; /* allocated */
	char name[CW_NETLINK_NAME_BYTES];
	struct cw_netlink_rest properties; /* alternative names among them */
	struct cw_netlink_rest hardware, hardware_broadcast;
	struct cw_netlink_rest stats64; /* struct rtnl_link_stats64, or a shorter, older one */
};

/* An RTM_NEWADDR. */
struct cw_netlink_address {
	uint8_t family, prefix_bits, scope;
	int ifindex;
	struct cw_netlink_rest address, peer,
	    broadcast; /* empty: none; else as long as the first */
};

/*
 * Take the next message, or attribute, off *rest (borrows). Returns 1; 0 at the end; -EBADMSG when
 * the lengths do not fit the bytes.
 */
int cw_netlink_message_next(struct cw_netlink_rest *rest, struct cw_netlink_message *message);
int cw_netlink_attribute_next(struct cw_netlink_rest *rest, struct cw_netlink_attribute *attribute);

/* Read what a message says; `link` and `address` borrow its bytes. 0 or -EBADMSG. */
int cw_netlink_link_parse(const struct cw_netlink_message *message, struct cw_netlink_link *link);
int cw_netlink_address_parse(const struct cw_netlink_message *message,
			     struct cw_netlink_address *address);

/* Whether `name` is the device's name or one of its alternative names. */
bool cw_netlink_link_is_called(const struct cw_netlink_link *link, const char *name);

/* The code that an NLMSG_ERROR or NLMSG_DONE carries (0 or negative); -EBADMSG for a short one. */
int cw_netlink_result(const struct cw_netlink_message *message);

/* Open a non-blocking socket of NETLINK_ROUTE that hears the multicast `groups` (RTMGRP_, or 0), in
 * the calling thread's network namespace. 0 or -errno. */
int cw_netlink_open(struct cw_netlink *netlink, uint32_t groups);
void cw_netlink_close(struct cw_netlink *netlink); /* accepts fd -1, as a failed open leaves it */

/*
 * Ask for links: `ifindex` > 0 or `name` (not NULL) for one, neither for all of them. `skips_stats`
 * leaves the counters out. The answer comes under netlink->sequence. 0 or -errno.
 */
int cw_netlink_ask_link(struct cw_netlink *netlink, int ifindex, const char *name,
			bool skips_stats);
int cw_netlink_ask_addresses(struct cw_netlink *netlink); /* of all links */

/*
 * Receive one datagram into the buffer; `rest` (fills) is valid until the next call. 0, or
 *   -EAGAIN    nothing there
 *   -ENOBUFS   the kernel had to leave out messages
 *   -EMSGSIZE  it was longer than the buffer and is gone
 */
int cw_netlink_receive(struct cw_netlink *netlink, struct cw_netlink_rest *rest);

/* Throw away what is there, also what is left of a list that was not read to its end: a socket
 * gives but one list at a time. */
void cw_netlink_drain(struct cw_netlink *netlink);

/*
 * Give each message that answers the last question to `visit`, whose first failure is returned once
 * the answer is read to its end. Returns 0, the kernel's refusal (-ENODEV ...), -EINTR for a list
 * that changed while it was read (ask again), -ETIMEDOUT, -EBADMSG, or as cw_netlink_receive.
 */
int cw_netlink_answer(struct cw_netlink *netlink,
		      int (*visit)(void *context, const struct cw_netlink_message *message),
		      void *context);

#endif
