/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two states: `now` is the kernel's latest state, `reported` the state after the events so far. A
 * message changes `now`. The difference is reported one event at a time before the next message is
 * read, so no step is missed. After an overrun the watch requests the state by ifindex and by name.
 * The two answers arrive on the same socket, in order among the notices, and are read like notices.
 */
#include "core/net/netdev_watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <linux/if.h>
#include <linux/rtnetlink.h>

#include "core/base/clock.h"
#include "core/net/netlink.h"

#define ASK_TRIES 3 /* most requests in one call, if answers get lost too */

static_assert(CW_NETDEV_WATCH_NAME_BYTES == CW_NETLINK_ALT_NAME_BYTES, "names fit");

struct cw_netdev_watch {
	struct cw_netlink netlink;
	struct cw_netlink_rest rest; /* messages received, not read yet */
	char name[CW_NETDEV_WATCH_NAME_BYTES];
	struct cw_netdev_state now, reported;
	bool must_ask;                      /* the state must be requested: notices were lost */
	uint32_t asked_ifindex, asked_name; /* sequence numbers of open requests; 0: none */
	uint64_t overruns;
};

/* ---- messages ---- */

static void set_state(struct cw_netdev_watch *watch, const struct cw_netlink_link *link)
{
	struct cw_netdev_state *now = &watch->now;

	if (now->ifindex != link->ifindex)
		*now = (struct cw_netdev_state){.ifindex = link->ifindex};
	if (link->name[0]) { /* missing in notices of wireless interfaces */
		memcpy(now->name, link->name, sizeof(now->name));
		now->is_called = cw_netlink_link_is_called(link, watch->name);
	}
	if (link->has_mtu)
		now->mtu = link->mtu;
	now->is_up = link->flags & IFF_UP;
	now->is_running = now->is_up && link->flags & IFF_RUNNING;
	now->has_carrier = link->flags & IFF_LOWER_UP;
}

static int read_link(struct cw_netdev_watch *watch, const struct cw_netlink_message *message)
{
	struct cw_netlink_link link;
	int status = cw_netlink_link_parse(message, &link);

	if (status)
		return status;
	/* The kernel reports a port that leaves a bridge as a deleted link of the bridge family. */
	if (link.family != AF_UNSPEC)
		return 0;
	if (message->type == RTM_DELLINK) {
		if (link.ifindex == watch->now.ifindex)
			watch->now = (struct cw_netdev_state){0};
	} else if (link.ifindex == watch->now.ifindex ||
		   cw_netlink_link_is_called(&link, watch->name)) {
		set_state(watch, &link);
	}
	return 0;
}

/* Reads the kernel's refusal of a request: the interface does not exist. */
static void read_refusal(struct cw_netdev_watch *watch, const struct cw_netlink_message *message,
			 bool is_by_ifindex)
{
	int result = cw_netlink_result(message);

	if (result == -ENODEV && is_by_ifindex)
		watch->now = (struct cw_netdev_state){0};
	else if (result && result != -ENODEV && is_by_ifindex)
		watch->must_ask = true;
}

static int read_message(struct cw_netdev_watch *watch, const struct cw_netlink_message *message)
{
	bool is_ours = message->sequence && message->port == watch->netlink.port;
	bool is_by_ifindex = is_ours && message->sequence == watch->asked_ifindex;
	bool is_by_name = is_ours && message->sequence == watch->asked_name;

	if (is_by_ifindex)
		watch->asked_ifindex = 0;
	if (is_by_name)
		watch->asked_name = 0;
	if (message->type == NLMSG_ERROR && (is_by_ifindex || is_by_name))
		read_refusal(watch, message, is_by_ifindex);
	if (message->type == RTM_NEWLINK || message->type == RTM_DELLINK)
		return read_link(watch, message);
	return 0;
}

/* Sends both requests. The ifindex goes first: its answer tells how the name became free. */
static int ask_state(struct cw_netdev_watch *watch)
{
	int status = 0;

	watch->asked_ifindex = watch->asked_name = 0;
	if (watch->now.ifindex) {
		status = cw_netlink_ask_link(&watch->netlink, watch->now.ifindex, NULL, true);
		watch->asked_ifindex = watch->netlink.sequence;
	}
	if (!status)
		status = cw_netlink_ask_link(&watch->netlink, 0, watch->name, true);
	if (!status) {
		watch->asked_name = watch->netlink.sequence;
		watch->must_ask = false;
	}
	return status;
}

/*
 * Reads the next message. Returns 1, or 0 if no message is waiting. An unreadable message counts as
 * lost, with the rest of its datagram.
 */
static int step(struct cw_netdev_watch *watch)
{
	struct cw_netlink_message message;
	int status = cw_netlink_message_next(&watch->rest, &message);

	if (status > 0)
		status = read_message(watch, &message) ? -EBADMSG : 1;
	else if (status == 0)
		status = cw_netlink_receive(&watch->netlink, &watch->rest);
	if (status == -EBADMSG || status == -ENOBUFS || status == -EMSGSIZE) {
		watch->rest = (struct cw_netlink_rest){0};
		watch->must_ask = true;
		watch->overruns++;
		return 1;
	}
	return status == -EAGAIN ? 0 : status < 0 ? status : 1;
}

/* ---- events ---- */

static const char *const change_texts[] = {
    [CW_NETDEV_CHANGE_CREATED] = "created", [CW_NETDEV_CHANGE_REMOVED] = "removed",
    [CW_NETDEV_CHANGE_RENAMED] = "renamed", [CW_NETDEV_CHANGE_MTU] = "mtu",
    [CW_NETDEV_CHANGE_UP] = "up",           [CW_NETDEV_CHANGE_DOWN] = "down",
    [CW_NETDEV_CHANGE_LINK_UP] = "link_up", [CW_NETDEV_CHANGE_LINK_DOWN] = "link_down",
};

const char *cw_netdev_change_text(enum cw_netdev_change change)
{
	return change_texts[change];
}

static void set_text(const char *watched, struct cw_netdev_event *event)
{
	const struct cw_netdev_state *before = &event->before, *after = &event->after;
	size_t bytes = sizeof(event->text);
	char *text = event->text;

	switch (event->change) {
	case CW_NETDEV_CHANGE_CREATED:
		snprintf(text, bytes, "%s appeared, as interface %d", watched, after->ifindex);
		return;
	case CW_NETDEV_CHANGE_REMOVED:
		snprintf(text, bytes, "%s (interface %d) was removed", before->name,
			 before->ifindex);
		return;
	case CW_NETDEV_CHANGE_RENAMED:
		if (strcmp(before->name, after->name) != 0)
			snprintf(text, bytes, "%s (interface %d) is now called %s", before->name,
				 after->ifindex, after->name);
		else
			snprintf(text, bytes, "%s (interface %d) is %s called %s", after->name,
				 after->ifindex, after->is_called ? "now also" : "no longer",
				 watched);
		return;
	case CW_NETDEV_CHANGE_MTU:
		snprintf(text, bytes, "%s changed its MTU from %u to %u", after->name, before->mtu,
			 after->mtu);
		return;
	case CW_NETDEV_CHANGE_UP:
		snprintf(text, bytes, "%s was set up%s", after->name,
			 after->is_running ? "" : " but has no link yet");
		return;
	case CW_NETDEV_CHANGE_DOWN:
		snprintf(text, bytes, "%s was set down", after->name);
		return;
	case CW_NETDEV_CHANGE_LINK_UP:
		snprintf(text, bytes, "%s has a link", after->name);
		return;
	case CW_NETDEV_CHANGE_LINK_DOWN:
		snprintf(text, bytes, "%s lost its link", after->name);
		return;
	}
}

/* Finds the next step from `reported` towards `now`; fills `to` with the state after it. Returns
 * false if the two are equal. */
static bool next_change(const struct cw_netdev_state *reported, const struct cw_netdev_state *now,
			enum cw_netdev_change *change, struct cw_netdev_state *to)
{
	*to = *reported;
	to->has_carrier = now->has_carrier;
	if (reported->ifindex != now->ifindex) {
		/* If the interface lost the watched name before, it still exists: not a removal. */
		bool is_gone = reported->ifindex && (!now->ifindex || reported->is_called);

		*change = is_gone ? CW_NETDEV_CHANGE_REMOVED : CW_NETDEV_CHANGE_CREATED;
		*to = is_gone ? (struct cw_netdev_state){0} : *now;
		to->is_up = to->is_running = false;
	} else if (strcmp(reported->name, now->name) != 0 ||
		   reported->is_called != now->is_called) {
		*change = CW_NETDEV_CHANGE_RENAMED;
		memcpy(to->name, now->name, sizeof(to->name));
		to->is_called = now->is_called;
	} else if (reported->mtu != now->mtu) {
		*change = CW_NETDEV_CHANGE_MTU;
		to->mtu = now->mtu;
	} else if (reported->is_up != now->is_up) {
		*change = now->is_up ? CW_NETDEV_CHANGE_UP : CW_NETDEV_CHANGE_DOWN;
		to->is_up = now->is_up;
		to->is_running = false;
	} else if (reported->is_running != now->is_running) {
		*change = now->is_running ? CW_NETDEV_CHANGE_LINK_UP : CW_NETDEV_CHANGE_LINK_DOWN;
		to->is_running = now->is_running;
	} else {
		return false;
	}
	return true;
}

static bool tell(struct cw_netdev_watch *watch, struct cw_netdev_event *event)
{
	struct cw_netdev_state to;

	memset(event, 0, sizeof(*event));
	if (!next_change(&watch->reported, &watch->now, &event->change, &to)) {
		watch->reported = to;
		return false;
	}
	event->ts_ns = cw_wall_ns();
	event->before = watch->reported;
	event->after = watch->reported = to;
	event->ifindex = to.ifindex ? to.ifindex : event->before.ifindex;
	set_text(watch->name, event);
	return true;
}

int cw_netdev_watch_next(struct cw_netdev_watch *watch, struct cw_netdev_event *event)
{
	int status, tries = 0;

	for (;;) {
		if (tell(watch, event))
			return 1;
		status = step(watch);
		if (status < 0)
			return status;
		if (status > 0)
			continue;
		/* The queue is empty, so the answers now have room. They arrive as soon as the
		 * requests are sent. */
		if (!watch->must_ask && !watch->asked_ifindex && !watch->asked_name)
			return 0;
		if (tries++ == ASK_TRIES) {
			watch->must_ask = true;
			return -ENOBUFS;
		}
		watch->must_ask = true;
		status = ask_state(watch);
		if (status)
			return status;
	}
}

/* ---- life ---- */

static bool can_be_a_name(const char *name)
{
	return *name && strlen(name) < CW_NETDEV_WATCH_NAME_BYTES && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0 && !strpbrk(name, "/ \t\n");
}

static int visit_first(void *context, const struct cw_netlink_message *message)
{
	return read_message(context, message);
}

int cw_netdev_watch_open(struct cw_netdev_watch **result, const char *name, struct cw_error *error)
{
	struct cw_netdev_watch *watch;
	int status;

	*result = NULL;
	if (!can_be_a_name(name))
		return cw_error_set(error, -EINVAL, "'%s' is not a valid interface name", name);
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return cw_error_set_errno(error, -ENOMEM, "cannot watch interface %s", name);
	memcpy(watch->name, name, strlen(name) + 1);
	status = cw_netlink_open(&watch->netlink, RTMGRP_LINK);
	if (status)
		goto free_watch;
	/* Notices that arrive before the answer are older than it and are ignored. */
	status = cw_netlink_ask_link(&watch->netlink, 0, name, true);
	if (!status)
		status = cw_netlink_answer(&watch->netlink, visit_first, watch);
	if (status == -ENOBUFS) { /* many interfaces are changing */
		watch->must_ask = true;
		status = 0;
	}
	if (status && status != -ENODEV)
		goto close_netlink;
	watch->reported = watch->now;
	*result = watch;
	return 0;

close_netlink:
	cw_netlink_close(&watch->netlink);
free_watch:
	free(watch);
	return cw_error_set_errno(error, status, "cannot watch interface %s", name);
}

void cw_netdev_watch_close(struct cw_netdev_watch *watch)
{
	if (!watch)
		return;
	cw_netlink_close(&watch->netlink);
	free(watch);
}

int cw_netdev_watch_fd(const struct cw_netdev_watch *watch)
{
	return watch->netlink.fd;
}

const struct cw_netdev_state *cw_netdev_watch_state(const struct cw_netdev_watch *watch)
{
	return &watch->reported;
}

uint64_t cw_netdev_watch_overruns(const struct cw_netdev_watch *watch)
{
	return watch->overruns;
}
