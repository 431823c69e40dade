/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ethtool ioctl, the parts netdev.h needs. Inside core only. `fd` is any socket of the network
 * namespace meant, `name` shorter than IFNAMSIZ.
 *
 * Drivers write as many strings and values as they have at that moment, whatever they were asked
 * for: a driver whose queues grow between two calls writes past the buffer. Buffers therefore end
 * at a page that cannot be written, the kernel then says EFAULT, and the question is asked again.
 */
#ifndef CW_CORE_NET_ETHTOOL_H
#define CW_CORE_NET_ETHTOOL_H

#include "core/net/netdev.h"

#define CW_ETHTOOL_STRINGS_MAX 65536u /* statistics, or features, of one device */
#define CW_ETHTOOL_TRIES 4

/*
 * Append to `drops` those statistics that `wanted` says yes to, at most CW_NETDEV_DROPS_MAX in all;
 * *left_out counts the others. A driver without statistics appends none. 0 or -errno; -EAGAIN for
 * one that never held still.
 */
int cw_ethtool_drops(int fd, const char *name, bool (*wanted)(const char *statistic),
		     struct cw_netdev_drops *drops, uint32_t *left_out);

/* Fill driver, offloads and timestamping; what is not told stays as it is. 0, or -errno when the
 * device is not there or memory is short. */
int cw_ethtool_facts(int fd, const char *name, struct cw_netdev_facts *facts);

/* Receive queues in use; 0 when the driver does not say. */
uint32_t cw_ethtool_rx_queues(int fd, const char *name);

#endif
