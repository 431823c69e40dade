/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of one interface during a capture: down, up, link lost and found, removed, recreated,
 * renamed, MTU. The changes come from rtnetlink's notices, in the kernel's order. If the kernel
 * drops notices because they are read too slowly, the watch requests the state and compares it:
 * every lasting change is reported, but perhaps not one that was undone at once.
 *
 * The watch follows the interface by its ifindex, as a packet socket does: also under a new name,
 * until another interface gets the watched name. Open the watch before binding, and bind to the
 * watch's ifindex, so that no change is missed. Single owner; never blocks after open.
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

/* A new interface is reported as CREATED, then UP and LINK_UP if it is up and running. */
enum cw_netdev_change {
	CW_NETDEV_CHANGE_CREATED, /* the watched name exists, with a new ifindex */
	CW_NETDEV_CHANGE_REMOVED, /* deleted, or moved to another network namespace */
	CW_NETDEV_CHANGE_RENAMED, /* same ifindex, another name */
	CW_NETDEV_CHANGE_MTU,
	CW_NETDEV_CHANGE_UP,        /* set up by the administrator: IFF_UP */
	CW_NETDEV_CHANGE_DOWN,      /* set down by the administrator; the link is gone too */
	CW_NETDEV_CHANGE_LINK_UP,   /* up, and now running: IFF_RUNNING */
	CW_NETDEV_CHANGE_LINK_DOWN, /* up, but cable, peer or lower interface are gone */
};

/* The known state of the interface. All 0 if it does not exist. */
struct cw_netdev_state {
	int ifindex;
	char name[CW_NETDEV_NAME_BYTES]; /* present name */
	uint32_t mtu;
	bool is_called;   /* has the watched name, as name or alternative name */
	bool is_up;       /* IFF_UP */
	bool is_running;  /* IFF_RUNNING: up, and can carry packets */
	bool has_carrier; /* IFF_LOWER_UP */
};

struct cw_netdev_event {
	enum cw_netdev_change change;
	uint64_t ts_ns; /* CLOCK_REALTIME when the event was read */
	int ifindex;    /* ifindex of the changed interface; REMOVED: of the removed one */
	struct cw_netdev_state before, after;  /* the state before and after this event */
	char text[CW_NETDEV_EVENT_TEXT_BYTES]; /* the event as a sentence, without full stop */
};

/*
 * Starts to watch the interface called `name` (copies), which need not exist yet. The present state
 * gives no event. Waits at most 2 s, usually not at all. Returns 0 or -errno; -EINVAL: not a valid
 * name.
 */
int cw_netdev_watch_open(struct cw_netdev_watch **watch, const char *name, struct cw_error *error);
void cw_netdev_watch_close(struct cw_netdev_watch *watch); /* accepts NULL */

/* Returns a descriptor to poll for reading; the watch owns it. Read all events before polling. */
int cw_netdev_watch_fd(const struct cw_netdev_watch *watch);

/*
 * Reads the next change. Returns 1 and fills `event`; 0: no change at present; -errno: the request
 * to the kernel failed, and a later call tries again.
 */
int cw_netdev_watch_next(struct cw_netdev_watch *watch, struct cw_netdev_event *event);

/* Returns the interface's state after the events reported so far; valid until the next call. */
const struct cw_netdev_state *cw_netdev_watch_state(const struct cw_netdev_watch *watch);

/* Returns how often notices were lost, so that the state had to be requested. */
uint64_t cw_netdev_watch_overruns(const struct cw_netdev_watch *watch);

/* Returns "created", "removed", ... for logs and JSON. Static. */
const char *cw_netdev_change_text(enum cw_netdev_change change);

#endif
