/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens to one interface while it is captured from: down, up, link lost and found, removed,
 * made anew, renamed, another MTU. From rtnetlink's notices, in the order of the kernel; when they
 * come faster than they are read and the kernel leaves some out, the state is asked for and
 * compared: every lasting change is reported, though not every one that was undone at once.
 *
 * The device is followed by its ifindex, as a packet socket is bound: under a new name too, until
 * another device gets the name that is watched. Open the watch before binding, and bind to the
 * ifindex that it knows, so that nothing falls between. Single owner; never blocks after open.
 *
 *	cw_netdev_watch_open(&watch, "eth0", &error);
 *	poll({cw_netdev_watch_fd(watch), POLLIN});
 *	while ((status = cw_netdev_watch_next(watch, &event)) > 0)
 *		...
 */
#ifndef CW_CORE_NET_NETDEV_WATCH_H
#define CW_CORE_NET_NETDEV_WATCH_H

#include "core/net/netdev.h"

#define CW_NETDEV_WATCH_NAME_BYTES 128u /* alternative names are longer */
#define CW_NETDEV_EVENT_TEXT_BYTES 320u

struct cw_netdev_watch;

/* A device that appears is reported as CREATED, then UP and LINK_UP as far as it is. */
enum cw_netdev_change {
	CW_NETDEV_CHANGE_CREATED, /* is there under the watched name: ifindex is new to us */
	CW_NETDEV_CHANGE_REMOVED, /* deleted, or moved to another network namespace */
	CW_NETDEV_CHANGE_RENAMED, /* same ifindex, another name */
	CW_NETDEV_CHANGE_MTU,
	CW_NETDEV_CHANGE_UP,        /* by its administrator: IFF_UP */
	CW_NETDEV_CHANGE_DOWN,      /* the same; implies that the link is gone */
	CW_NETDEV_CHANGE_LINK_UP,   /* it is up and now running as well: IFF_RUNNING */
	CW_NETDEV_CHANGE_LINK_DOWN, /* it is up, but cable, peer or lower device are gone */
};

/* What is known of the device. All 0 when it does not exist. */
struct cw_netdev_state {
	int ifindex;
	char name[CW_NETDEV_NAME_BYTES]; /* at present */
	uint32_t mtu;
	bool is_called;   /* has the watched name, as name or alternative name */
	bool is_up;       /* IFF_UP */
	bool is_running;  /* IFF_RUNNING: up, and can carry packets */
	bool has_carrier; /* IFF_LOWER_UP */
};

struct cw_netdev_event {
	enum cw_netdev_change change;
	uint64_t ts_ns; /* CLOCK_REALTIME, when it was read */
	int ifindex;    /* of the device that changed; what was removed, with REMOVED */
	struct cw_netdev_state before, after;  /* this event's step */
	char text[CW_NETDEV_EVENT_TEXT_BYTES]; /* a sentence without full stop */
};

/*
 * Watch for the interface called `name` (copies), which need not exist yet. What is there now is
 * the state, and no event. Waits at most 2 s, as a rule not at all. 0 or -errno; -EINVAL for what
 * cannot be a name.
 */
int cw_netdev_watch_open(struct cw_netdev_watch **watch, const char *name, struct cw_error *error);
void cw_netdev_watch_close(struct cw_netdev_watch *watch); /* accepts NULL */

/* To poll for reading; owned by the watch. Read events until there are none before polling. */
int cw_netdev_watch_fd(const struct cw_netdev_watch *watch);

/*
 * The next change. Returns 1 with `event` (fills); 0 when there is none at present; -errno when the
 * kernel cannot be asked, and a later call tries again.
 */
int cw_netdev_watch_next(struct cw_netdev_watch *watch, struct cw_netdev_event *event);

/* The device as the events reported so far describe it; valid until the next call. */
const struct cw_netdev_state *cw_netdev_watch_state(const struct cw_netdev_watch *watch);

/* How often notices were lost and the state was asked for. */
uint64_t cw_netdev_watch_overruns(const struct cw_netdev_watch *watch);

/* "created", "removed", ... for logs and JSON. Static. */
const char *cw_netdev_change_text(enum cw_netdev_change change);

#endif
