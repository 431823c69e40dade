/* SPDX-License-Identifier: BSD-3-Clause */
/* A probe's fields, for netdev.c and netdev_counters.c. */
#ifndef CW_CORE_NET_NETDEV_PROBE_H
#define CW_CORE_NET_NETDEV_PROBE_H

#include "core/net/netdev.h"
#include "core/net/netlink.h"

struct cw_netdev_probe {
	struct cw_netlink netlink;
	int ioctl_fd;
};

/* Reads the link called `name`. `link` borrows the probe's buffer until the next request. Returns
 * 0 or -errno; -ENODEV: no such link. */
int cw_netdev_probe_link(struct cw_netdev_probe *probe, const char *name, bool skips_stats,
			 struct cw_netlink_link *link);

#endif
