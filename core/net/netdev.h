/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the system says about network interfaces: which there are, with what addresses, queues,
 * driver, offloads and clocks; and what they counted, so that losses before the tap are
 * shown, which AF_PACKET never reports. Events are netdev_watch.h's. From rtnetlink and the
 * ethtool ioctl; no privilege needed. Linux only.
 *
 * A probe is the two sockets; it stays in the network namespace that the opening thread was in, and
 * goes on working where no further socket may be opened. Single owner: one thread at a time.
 *
 *	struct cw_netdev_counters before = {0}, after = {0};
 *	struct cw_netdev_losses losses = {0};
 *
 *	cw_netdev_probe_open(&probe, &error);
 *	cw_netdev_counters_read(probe, "eth0", &before, &error);
 *	...
 *	cw_netdev_counters_read(probe, "eth0", &after, &error);
 *	cw_netdev_losses_between(&before, &after, &losses);
 */
#ifndef CW_CORE_NET_NETDEV_H
#define CW_CORE_NET_NETDEV_H

#include <stdbool.h>

#include "core/base/error.h"

#define CW_NETDEV_NAME_BYTES 16u /* IFNAMSIZ, with the NUL */
#define CW_NETDEV_DRIVER_BYTES 32u
#define CW_NETDEV_COUNTER_NAME_BYTES 32u
#define CW_NETDEV_HARDWARE_BYTES 32u /* longest link address */
#define CW_NETDEV_DROPS_MAX 4096u    /* named drop counters kept of one device */
#define CW_NETDEVS_MAX 65536u        /* interfaces in a list, and addresses of all of them */

struct cw_netdev_probe;

/* Open the sockets. 0 or -errno; *probe is NULL on failure. */
int cw_netdev_probe_open(struct cw_netdev_probe **probe, struct cw_error *error);
void cw_netdev_probe_close(struct cw_netdev_probe *probe); /* accepts NULL */

/* ---- which interfaces there are ---- */

/* An IPv4 or IPv6 address, in network byte order; 4 or 16 `bytes`. */
struct cw_netdev_address {
	int ifindex;
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t bytes;
	uint8_t prefix_bits;
	uint8_t scope; /* RT_SCOPE_ */
	bool has_broadcast, has_peer;
	uint8_t address[16];
	uint8_t broadcast[16];
	uint8_t peer[16]; /* the other end of a point-to-point link */
};

struct cw_netdev {
	int ifindex;
	char name[CW_NETDEV_NAME_BYTES];
	uint32_t
	    flags; /* IFF_ of linux/if.h: IFF_UP, IFF_RUNNING, IFF_LOWER_UP, IFF_LOOPBACK, ... */
	uint32_t mtu;
	uint16_t arp_type;      /* ARPHRD_ */
	uint8_t operstate;      /* IF_OPER_; cw_netdev_operstate_text */
	uint8_t hardware_bytes; /* of the link address and its broadcast; 0: it has none */
	uint8_t hardware[CW_NETDEV_HARDWARE_BYTES];
	uint8_t hardware_broadcast[CW_NETDEV_HARDWARE_BYTES];
	uint32_t rx_queues_allocated;              /* those in use: cw_netdev_facts */
	const struct cw_netdev_address *addresses; /* in the list's array */
	uint32_t address_count;
};

struct cw_netdevs {
	struct cw_netdev *at; /* by ifindex, rising */
	uint32_t count, capacity;
	struct {
		struct cw_netdev_address *at;
		uint32_t count, capacity;
	} addresses;
};

/*
 * List all interfaces. `list` (fills; zeroed, or of an earlier call, whose memory is used again)
 * belongs to the caller: fini. 0 or -errno; -E2BIG beyond CW_NETDEVS_MAX. An interface that comes
 * or goes meanwhile is in the list or not.
 */
int cw_netdevs_list(struct cw_netdev_probe *probe, struct cw_netdevs *list, struct cw_error *error);
void cw_netdevs_fini(struct cw_netdevs *list);

/* "up", "down", "dormant", ... as in sysfs; "unknown" for any other value. Static. */
const char *cw_netdev_operstate_text(uint8_t operstate);

/* ---- what one interface can do ---- */

/* Offloads that change what a capture sees. */
enum cw_netdev_offload {
	CW_NETDEV_GRO,     /* received segments arrive merged */
	CW_NETDEV_LRO,     /* the same, in the device */
	CW_NETDEV_GRO_HW,  /* the same, in the device, undone when forwarded */
	CW_NETDEV_RX_VLAN, /* the outer tag is taken off the frame */
	CW_NETDEV_RX_FCS,  /* frames end with their checksum */
	CW_NETDEV_RX_ALL,  /* damaged frames are delivered too */
	CW_NETDEV_TSO,     /* sent segments are seen before they are cut */
	CW_NETDEV_GSO,     /* the same, in software */
	CW_NETDEV_RX_SUM,  /* damaged frames may be dropped, checksums be taken as good unread */
	CW_NETDEV_TX_SUM,  /* sent packets are seen before their checksums are filled in */
	CW_NETDEV_OFFLOADS
};

enum cw_netdev_setting { CW_NETDEV_UNKNOWN, CW_NETDEV_OFF, CW_NETDEV_ON };

enum cw_netdev_queue_source {
	CW_NETDEV_QUEUES_CHANNELS,  /* the driver's channels */
	CW_NETDEV_QUEUES_SYSFS,     /* rx-N in sysfs */
	CW_NETDEV_QUEUES_ALLOCATED, /* an upper bound: what the interface was made with */
};

/* Strings are empty and settings unknown where the driver does not say. */
struct cw_netdev_facts {
	int ifindex;
	char name[CW_NETDEV_NAME_BYTES];
	char driver[CW_NETDEV_DRIVER_BYTES];
	char driver_version[CW_NETDEV_DRIVER_BYTES];
	char firmware[CW_NETDEV_DRIVER_BYTES];
	char bus[CW_NETDEV_DRIVER_BYTES];
	uint32_t rx_queues; /* in use, at least 1 */
	enum cw_netdev_queue_source rx_queues_from;
	struct {
		enum cw_netdev_setting setting;
		bool is_fixed; /* nobody can change it */
	} offloads[CW_NETDEV_OFFLOADS];
	bool has_timestamping;    /* the following are known */
	uint32_t so_timestamping; /* SOF_TIMESTAMPING_ of linux/net_tstamp.h */
	uint32_t tx_types;        /* bit 1 << HWTSTAMP_TX_ */
	uint32_t rx_filters;      /* bit 1 << HWTSTAMP_FILTER_ */
	int phc_index;            /* of /dev/ptpN; -1: no hardware clock */
	bool has_software_rx;     /* receive timestamps by the kernel */
	bool has_hardware_rx;     /* of every packet, by the device */
};

/* The facts of the interface called `name` (or so by an alternative name). 0 or -errno: -ENODEV
 * when there is none. */
int cw_netdev_facts_read(struct cw_netdev_probe *probe, const char *name,
			 struct cw_netdev_facts *facts, struct cw_error *error);

/* As ethtool -k names it: "generic-receive-offload" ... Static. */
const char *cw_netdev_offload_name(enum cw_netdev_offload offload);

/* ---- what it counted ---- */

struct cw_netdev_drop {
	char name[CW_NETDEV_COUNTER_NAME_BYTES]; /* the driver's */
	uint64_t count;
};

struct cw_netdev_drops {
	struct cw_netdev_drop *at;
	uint32_t count, capacity;
};

/*
 * Counters since the interface or its driver started. Drivers count one packet under several of
 * them: they must not be added up. rx_dropped also counts what no protocol wanted, behind the tap,
 * but only packets that no tap took.
 */
struct cw_netdev_counters {
	uint64_t ts_ns; /* CLOCK_REALTIME, just before reading; 0: never read */
	int ifindex;
	char name[CW_NETDEV_NAME_BYTES];
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t rx_errors;           /* all below but dropped and nohandler, and more */
	uint64_t rx_dropped;          /* no room in the system */
	uint64_t rx_missed;           /* no room in the device: the system was too slow */
	uint64_t rx_fifo;             /* the device's queue ran over */
	uint64_t rx_over;             /* the device's ring ran over */
	uint64_t rx_nohandler;        /* arrived on a passive port of a bond or team */
	struct cw_netdev_drops drops; /* ethtool -S: receive counters whose names speak of loss */
	uint32_t drops_left_out;      /* beyond CW_NETDEV_DROPS_MAX */
};

/*
 * Read them. `counters` (fills; zeroed, or of an earlier read, whose memory is used again) belongs
 * to the caller: fini. A driver without statistics of its own has no drops. 0 or -errno: -ENODEV
 * when there is no such interface; `counters` then has ts_ns 0.
 */
int cw_netdev_counters_read(struct cw_netdev_probe *probe, const char *name,
			    struct cw_netdev_counters *counters, struct cw_error *error);
void cw_netdev_counters_fini(struct cw_netdev_counters *counters);

/* Whether a statistic's name speaks of received packets that were lost. */
bool cw_netdev_is_drop_name(const char *name);

/* What was counted between two readings. */
struct cw_netdev_losses {
	uint64_t elapsed_ns; /* 0 when the clock was set back */
	/* The interface was made anew, a counter started over or came to be in between: the figures
	 * are what was certainly counted, perhaps more was. */
	bool is_lower_bound;
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, rx_errors;
	uint64_t rx_dropped, rx_missed, rx_fifo, rx_over, rx_nohandler;
	struct cw_netdev_drops drops; /* those that grew, and by how much */
};

/*
 * `after` less `before`, never more than was counted. Of an interface that was made anew (another
 * ifindex) all that the new one counted; of a counter that went backwards, what it says now, which
 * is too little but never absurd whether it started over or wrapped, at 32 bits or any other; of
 * one that is new, nothing. `losses` as `counters` above: zeroed or used before, and fini. 0;
 * -ENOMEM; -EINVAL when one of them was never read.
 */
int cw_netdev_losses_between(const struct cw_netdev_counters *before,
			     const struct cw_netdev_counters *after,
			     struct cw_netdev_losses *losses);
bool cw_netdev_losses_any(const struct cw_netdev_losses *losses);
void cw_netdev_losses_fini(struct cw_netdev_losses *losses);

#endif
