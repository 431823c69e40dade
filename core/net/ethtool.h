/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part of the ethtool ioctl that netdev.h needs. For core only. `fd` is any socket in the
 * network namespace of the interface; `name` is shorter than IFNAMSIZ.
 *
 * Drivers write as many strings and values as they have at that moment, whatever the request says.
 * A driver whose queues grow between two calls writes past the buffer. So buffers end at a page
 * that cannot be written: the kernel then returns EFAULT, and the request is repeated.
 */
#ifndef CW_CORE_NET_ETHTOOL_H
#define CW_CORE_NET_ETHTOOL_H

#include "core/net/netdev.h"

#define CW_ETHTOOL_STRINGS_MAX 65536u /* most statistics, or features, of one interface */
#define CW_ETHTOOL_TRIES 4

/*
 * Appends to `drops` the statistics that `wanted` accepts, up to CW_NETDEV_DROPS_MAX in total;
 * *left_out counts the rest. A driver without statistics appends none. Returns 0 or -errno;
 * -EAGAIN if the number of statistics kept changing.
 */
int cw_ethtool_drops(int fd, const char *name, bool (*wanted)(const char *statistic),
		     struct cw_netdev_drops *drops, uint32_t *left_out);

/* Fills driver, offloads and timestamping; leaves unreported fields as they are. Returns 0, or
 * -errno if the interface does not exist or memory is short. */
int cw_ethtool_facts(int fd, const char *name, struct cw_netdev_facts *facts);

/* Returns the receive queues in use; 0 if the driver does not report them. */
uint32_t cw_ethtool_rx_queues(int fd, const char *name);

#endif
