/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part of rtnetlink that netdev.h needs: a socket, requests to the kernel, and a parser that
 * trusts no length. For core only. Single owner: one thread uses a socket.
 *
 * Why no library: two requests and three kinds of message are not worth another dependency for all
 * users of the library. Formats: linux/netlink.h, linux/rtnetlink.h, linux/if_link.h.
 */
#ifndef CW_CORE_NET_NETLINK_H
#define CW_CORE_NET_NETLINK_H

#include <stdbool.h>

#include "core/base/base.h"

#define CW_NETLINK_BUFFER_BYTES 32768u /* the most that the kernel puts into a dump's datagram */
#define CW_NETLINK_WAIT_MS 2000        /* longest wait for an answer; it is usually immediate */
#define CW_NETLINK_NAME_BYTES 16u      /* IFNAMSIZ */
#define CW_NETLINK_ALT_NAME_BYTES 128u /* ALTIFNAMSIZ */
#define CW_NETLINK_HARDWARE_BYTES 32u  /* MAX_ADDR_LEN */

struct cw_netlink {
	int fd;
	uint32_t port;     /* address of this socket */
	uint32_t sequence; /* sequence number of the last request */
	_Alignas(8) uint8_t buffer[CW_NETLINK_BUFFER_BYTES];
};

/* Bytes not parsed yet; borrows them. */
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
	uint16_t type; /* type without the flags for nesting and byte order */
	const uint8_t *data;
	size_t bytes;
};

/* An RTM_NEWLINK or RTM_DELLINK. Fields that are missing in the message are 0 or empty. */
struct cw_netlink_link {
	uint8_t family; /* AF_UNSPEC: the interface; AF_BRIDGE: the interface as a bridge port */
	int ifindex;
	uint32_t flags; /* IFF_ */
	uint16_t arp_type;
	bool has_mtu;
	uint32_t mtu;
	uint8_t operstate;
	uint32_t rx_queues; /* allocated receive queues */
	char name[CW_NETLINK_NAME_BYTES];
	struct cw_netlink_rest properties; /* attributes, alternative names included */
	struct cw_netlink_rest hardware, hardware_broadcast;
	struct cw_netlink_rest
	    stats64; /* struct rtnl_link_stats64, perhaps an older, shorter one */
};

/* An RTM_NEWADDR. */
struct cw_netlink_address {
	uint8_t family, prefix_bits, scope;
	int ifindex;
	struct cw_netlink_rest address, peer, broadcast; /* empty, or as long as `address` */
};

/*
 * Remove the next message, or attribute, from *rest (borrows). Return 1; 0 at the end; -EBADMSG if
 * a length exceeds the bytes.
 */
int cw_netlink_message_next(struct cw_netlink_rest *rest, struct cw_netlink_message *message);
int cw_netlink_attribute_next(struct cw_netlink_rest *rest, struct cw_netlink_attribute *attribute);

/* Parse a message; `link` and `address` borrow its bytes. Return 0 or -EBADMSG. */
int cw_netlink_link_parse(const struct cw_netlink_message *message, struct cw_netlink_link *link);
int cw_netlink_address_parse(const struct cw_netlink_message *message,
			     struct cw_netlink_address *address);

/* Returns whether `name` is the interface's name or one of its alternative names. */
bool cw_netlink_link_is_called(const struct cw_netlink_link *link, const char *name);

/* Returns the code in an NLMSG_ERROR or NLMSG_DONE (0 or negative); -EBADMSG if it is too short. */
int cw_netlink_result(const struct cw_netlink_message *message);

/* Opens a non-blocking NETLINK_ROUTE socket in the calling thread's network namespace, and joins
 * the multicast `groups` (RTMGRP_, or 0). Returns 0 or -errno. */
int cw_netlink_open(struct cw_netlink *netlink, uint32_t groups);
void cw_netlink_close(struct cw_netlink *netlink); /* accepts fd -1, set by a failed open */

/*
 * Requests one link (`ifindex` > 0, or `name` not NULL) or all links. `skips_stats` omits the
 * counters. The answer has the sequence number netlink->sequence. Returns 0 or -errno.
 */
int cw_netlink_ask_link(struct cw_netlink *netlink, int ifindex, const char *name,
			bool skips_stats);
int cw_netlink_ask_addresses(struct cw_netlink *netlink); /* requests those of all links */

/*
 * Receives one datagram into the buffer; `rest` (fills) is valid until the next call. Returns 0 or
 *   -EAGAIN    no datagram is waiting
 *   -ENOBUFS   the kernel dropped messages
 *   -EMSGSIZE  the datagram was longer than the buffer and is lost
 */
int cw_netlink_receive(struct cw_netlink *netlink, struct cw_netlink_rest *rest);

/* Discards all waiting datagrams, including the rest of an unfinished list: a socket delivers only
 * one list at a time. */
void cw_netlink_drain(struct cw_netlink *netlink);

/*
 * Passes each message of the answer to the last request to `visit`. Reads the answer to its end,
 * then returns the first failure of `visit`; 0; the kernel's refusal (-ENODEV ...); -EINTR for a
 * list that changed during reading (request it again); -ETIMEDOUT; -EBADMSG; or the errors of
 * cw_netlink_receive.
 */
int cw_netlink_answer(struct cw_netlink *netlink,
		      int (*visit)(void *context, const struct cw_netlink_message *message),
		      void *context);

#endif
