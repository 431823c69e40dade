/* SPDX-License-Identifier: BSD-3-Clause */
/* What netdev.c and netdev_counters.c share: the inside of a probe. */
#ifndef CW_CORE_NET_NETDEV_PROBE_H
#define CW_CORE_NET_NETDEV_PROBE_H

#include "core/net/netdev.h"
#include "core/net/netlink.h"

struct cw_netdev_probe {
	struct cw_netlink netlink;
	int ioctl_fd;
};

/* Ask for the link called `name`. `link` borrows the probe's buffer until its next question.
 * 0 or -errno; -ENODEV when there is none. */
int cw_netdev_probe_link(struct cw_netdev_probe *probe, const char *name, bool skips_stats,
			 struct cw_netlink_link *link);

#endif
