/* SPDX-License-Identifier: BSD-3-Clause */
/* The counters of an interface, and the difference between two readings. */
#include "core/base/clock.h"
#include "core/net/netdev.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include <linux/if_link.h>

#include "core/net/ethtool.h"
#include "core/base/grow.h"
#include "core/net/netdev_probe.h"

/*
 * Each driver chooses its counters' names. The first list has the words for losses in virtio,
 * e1000e, igb, ixgbe, i40e, ice, mlx4, mlx5, bnxt, ena, gve, vmxnet3 and veth. The second list
 * excludes names that only look like losses: misses of the flow director and of the page cache lose
 * nothing; "mission" is part of transmission and permission.
 */
static const char *const loss_words[] = {
    "drop",       "discard",     "miss",        "no_buf",    "nobuf",      "no_desc",
    "no_dma",     "fifo",        "overrun",     "overflow",  "out_of_buf", "no_mem",
    "alloc_fail", "buff_failed", "page_failed", "alloc_err", "rx_full",    "ring_full",
};
static const char *const other_words[] = {"mission", "fdir", "cache", "dropless"};

/* Returns whether a word in `name` begins with `word`. */
static bool begins_word(const char *name, const char *word)
{
	const char *at = name;

	while ((at = strstr(at, word))) {
		if (at == name || !isalpha((unsigned char)at[-1]))
			return true;
		at++;
	}
	return false;
}

static bool has_any(const char *name, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strstr(name, words[i]))
			return true;
	return false;
}

bool cw_netdev_is_drop_name(const char *name)
{
	char lower[2 * CW_NETDEV_COUNTER_NAME_BYTES];
	size_t length = cw_min_size(strlen(name), sizeof(lower) - 1);

	for (size_t i = 0; i < length; i++)
		lower[i] = (char)tolower((unsigned char)name[i]);
	lower[length] = '\0';
	if (begins_word(lower, "tx") && !begins_word(lower, "rx"))
		return false;
	return has_any(lower, loss_words, CW_ARRAY_COUNT(loss_words)) &&
	       !has_any(lower, other_words, CW_ARRAY_COUNT(other_words));
}

static void copy_stats(const struct rtnl_link_stats64 *stats, struct cw_netdev_counters *counters)
{
	counters->rx_packets = stats->rx_packets;
	counters->rx_bytes = stats->rx_bytes;
	counters->tx_packets = stats->tx_packets;
	counters->tx_bytes = stats->tx_bytes;
	counters->rx_errors = stats->rx_errors;
	counters->rx_dropped = stats->rx_dropped;
	counters->rx_missed = stats->rx_missed_errors;
	counters->rx_fifo = stats->rx_fifo_errors;
	counters->rx_over = stats->rx_over_errors;
	counters->rx_nohandler = stats->rx_nohandler;
}

/* Clears the counters but keeps their memory. */
static void clear(struct cw_netdev_counters *counters)
{
	struct cw_netdev_drops drops = counters->drops;

	drops.count = 0;
	*counters = (struct cw_netdev_counters){.drops = drops};
}

int cw_netdev_counters_read(struct cw_netdev_probe *probe, const char *name,
			    struct cw_netdev_counters *counters, struct cw_error *error)
{
	struct rtnl_link_stats64 stats = {0};
	struct cw_netlink_link link;
	uint64_t ts_ns = cw_wall_ns();
	int status = cw_netdev_probe_link(probe, name, false, &link);

	clear(counters);
	if (!status && !link.stats64.bytes)
		status = -EBADMSG;
	if (status)
		goto fail;
	/* New kernels append counters: the kernel's struct may be shorter or longer than ours. */
	memcpy(&stats, link.stats64.at, cw_min_size(sizeof(stats), link.stats64.bytes));
	copy_stats(&stats, counters);
	counters->ifindex = link.ifindex;
	memcpy(counters->name, link.name, sizeof(counters->name));
	status = cw_ethtool_drops(probe->ioctl_fd, counters->name, cw_netdev_is_drop_name,
				  &counters->drops, &counters->drops_left_out);
	if (status)
		goto fail;
	counters->ts_ns = ts_ns;
	return 0;

fail:
	clear(counters);
	return cw_error_set_errno(error, status, "cannot read the counters of interface %s", name);
}

void cw_netdev_counters_fini(struct cw_netdev_counters *counters)
{
	CW_GROWN_FINI(&counters->drops);
	*counters = (struct cw_netdev_counters){0};
}

static uint64_t growth(uint64_t before, uint64_t after, struct cw_netdev_losses *losses)
{
	if (after >= before)
		return after - before;
	losses->is_lower_bound = true;
	return after;
}

/*
 * Returns the counter in `before` that matches number `index` in `after`. Usually that is the same
 * number; after a change of queues, the n-th counter with the same name.
 */
static const struct cw_netdev_drop *find_drop(const struct cw_netdev_drops *before,
					      const struct cw_netdev_drops *after, uint32_t index)
{
	const char *name = after->at[index].name;
	uint32_t equals = 0;

	if (before->count == after->count && !strcmp(before->at[index].name, name))
		return &before->at[index];
	for (uint32_t i = 0; i < index; i++)
		equals += !strcmp(after->at[i].name, name);
	for (uint32_t i = 0; i < before->count; i++)
		if (!strcmp(before->at[i].name, name) && equals-- == 0)
			return &before->at[i];
	return NULL;
}

static int drops_between(const struct cw_netdev_drops *before, const struct cw_netdev_drops *after,
			 bool is_anew, struct cw_netdev_losses *losses)
{
	for (uint32_t i = 0; i < after->count; i++) {
		const struct cw_netdev_drop *earlier = is_anew ? NULL : find_drop(before, after, i);
		uint64_t grown = 0;

		/* A queue that reappears keeps its old counts, so a new counter's value may be
		 * older than `before`: it is not counted. */
		if (is_anew)
			grown = after->at[i].count;
		else if (earlier)
			grown = growth(earlier->count, after->at[i].count, losses);
		else if (after->at[i].count)
			losses->is_lower_bound = true;
		if (!grown)
			continue;
		if (CW_GROW(&losses->drops, 1))
			return -ENOMEM;
		losses->drops.at[losses->drops.count] = after->at[i];
		losses->drops.at[losses->drops.count++].count = grown;
	}
	return 0;
}

int cw_netdev_losses_between(const struct cw_netdev_counters *before,
			     const struct cw_netdev_counters *after,
			     struct cw_netdev_losses *losses)
{
	static const struct cw_netdev_counters zero;
	struct cw_netdev_drops drops = losses->drops;
	const struct cw_netdev_counters *base;
	bool is_anew = before->ifindex != after->ifindex;

	drops.count = 0;
	*losses = (struct cw_netdev_losses){.is_lower_bound = is_anew, .drops = drops};
	if (!before->ts_ns || !after->ts_ns)
		return -EINVAL;
	if (after->ts_ns > before->ts_ns)
		losses->elapsed_ns = after->ts_ns - before->ts_ns;
	base = is_anew ? &zero : before;
	losses->rx_packets = growth(base->rx_packets, after->rx_packets, losses);
	losses->rx_bytes = growth(base->rx_bytes, after->rx_bytes, losses);
	losses->tx_packets = growth(base->tx_packets, after->tx_packets, losses);
	losses->tx_bytes = growth(base->tx_bytes, after->tx_bytes, losses);
	losses->rx_errors = growth(base->rx_errors, after->rx_errors, losses);
	losses->rx_dropped = growth(base->rx_dropped, after->rx_dropped, losses);
	losses->rx_missed = growth(base->rx_missed, after->rx_missed, losses);
	losses->rx_fifo = growth(base->rx_fifo, after->rx_fifo, losses);
	losses->rx_over = growth(base->rx_over, after->rx_over, losses);
	losses->rx_nohandler = growth(base->rx_nohandler, after->rx_nohandler, losses);
	return drops_between(&before->drops, &after->drops, is_anew, losses);
}

int cw_netdev_losses_add(struct cw_netdev_losses *losses, const struct cw_netdev_losses *earlier)
{
	losses->is_lower_bound |= earlier->is_lower_bound;
	losses->rx_packets += earlier->rx_packets;
	losses->rx_bytes += earlier->rx_bytes;
	losses->tx_packets += earlier->tx_packets;
	losses->tx_bytes += earlier->tx_bytes;
	losses->rx_errors += earlier->rx_errors;
	losses->rx_dropped += earlier->rx_dropped;
	losses->rx_missed += earlier->rx_missed;
	losses->rx_fifo += earlier->rx_fifo;
	losses->rx_over += earlier->rx_over;
	losses->rx_nohandler += earlier->rx_nohandler;
	for (uint32_t i = 0; i < earlier->drops.count; i++) {
		const struct cw_netdev_drop *drop = &earlier->drops.at[i];
		uint32_t at = 0;

		while (at < losses->drops.count &&
		       strcmp(losses->drops.at[at].name, drop->name) != 0)
			at++;
		if (at == losses->drops.count) {
			if (CW_GROW(&losses->drops, 1))
				return -ENOMEM;
			losses->drops.at[losses->drops.count] = *drop;
			losses->drops.at[losses->drops.count++].count = 0;
		}
		losses->drops.at[at].count += drop->count;
	}
	return 0;
}

uint64_t cw_netdev_losses_before_tap(const struct cw_netdev_losses *losses, const char **counter)
{
	const struct {
		const char *name;
		uint64_t count;
	} of_interface[] = {{"rx_missed", losses->rx_missed},
			    {"rx_fifo", losses->rx_fifo},
			    {"rx_over", losses->rx_over}};
	uint64_t most = 0;

	for (size_t i = 0; i < CW_ARRAY_COUNT(of_interface); i++)
		if (of_interface[i].count > most) {
			most = of_interface[i].count;
			*counter = of_interface[i].name;
		}
	for (uint32_t i = 0; i < losses->drops.count; i++) {
		const struct cw_netdev_drop *drop = &losses->drops.at[i];

		/* Some drivers (ixgbe) repeat the interface's rx_dropped here. */
		if (drop->count > most && strcmp(drop->name, "rx_dropped") != 0) {
			most = drop->count;
			*counter = drop->name;
		}
	}
	return most;
}

void cw_netdev_losses_fini(struct cw_netdev_losses *losses)
{
	CW_GROWN_FINI(&losses->drops);
	*losses = (struct cw_netdev_losses){0};
}
