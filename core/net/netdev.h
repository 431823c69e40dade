/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Network interfaces: their list, addresses, queues, driver, offloads and clocks, and their
 * counters. The counters show losses before the tap, which AF_PACKET never reports. Sources:
 * rtnetlink and the ethtool ioctl; no privilege needed. Events are in netdev_watch.h. Linux only.
 *
 * A probe holds two sockets. It stays in the network namespace of the thread that opened it, and
 * works even where no further socket may be opened. Single owner: one thread at a time.
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
#define CW_NETDEV_HARDWARE_BYTES 32u /* bytes of the longest link address */
#define CW_NETDEV_DROPS_MAX 4096u    /* most drop counters kept of one interface */
#define CW_NETDEVS_MAX 65536u        /* most interfaces in a list, and most addresses in total */

struct cw_netdev_probe;

/* Opens the sockets. Returns 0 or -errno; *probe is NULL on failure. */
int cw_netdev_probe_open(struct cw_netdev_probe **probe, struct cw_error *error);
void cw_netdev_probe_close(struct cw_netdev_probe *probe); /* accepts NULL */

/* ---- the list of interfaces ---- */

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
	uint8_t hardware_bytes; /* bytes of the link address and of its broadcast; 0: none */
	uint8_t hardware[CW_NETDEV_HARDWARE_BYTES];
	uint8_t hardware_broadcast[CW_NETDEV_HARDWARE_BYTES];
	uint32_t rx_queues_allocated;              /* cw_netdev_facts has those in use */
	const struct cw_netdev_address *addresses; /* part of the list's array */
	uint32_t address_count;
};

struct cw_netdevs {
	struct cw_netdev *at; /* in ascending order of ifindex */
	uint32_t count, capacity;
	struct {
		struct cw_netdev_address *at;
		uint32_t count, capacity;
	} addresses;
};

/*
 * Lists all interfaces. `list` (fills; zeroed, or from an earlier call, to reuse its memory) is the
 * caller's, who calls fini. Returns 0 or -errno; -E2BIG beyond CW_NETDEVS_MAX. An interface that
 * appears or disappears meanwhile may or may not be in the list.
 */
int cw_netdevs_list(struct cw_netdev_probe *probe, struct cw_netdevs *list, struct cw_error *error);
void cw_netdevs_fini(struct cw_netdevs *list);

/* "up", "down", "dormant", ... as in sysfs; "unknown" for any other value. Static. */
const char *cw_netdev_operstate_text(uint8_t operstate);

/* ---- the facts of one interface ---- */

/* Offloads that change the packets of a capture. */
enum cw_netdev_offload {
	CW_NETDEV_GRO,     /* received segments arrive merged */
	CW_NETDEV_LRO,     /* received segments arrive merged, by the hardware */
	CW_NETDEV_GRO_HW,  /* as LRO, but undone when the packet is forwarded */
	CW_NETDEV_RX_VLAN, /* the outer tag is removed from the frame */
	CW_NETDEV_RX_FCS,  /* frames end with their checksum */
	CW_NETDEV_RX_ALL,  /* damaged frames are delivered too */
	CW_NETDEV_TSO,     /* sent segments are captured before the hardware splits them */
	CW_NETDEV_GSO,     /* sent segments are captured before the kernel splits them */
	CW_NETDEV_RX_SUM,  /* the hardware checks checksums and may drop damaged frames */
	CW_NETDEV_TX_SUM,  /* sent packets are captured before their checksums are set */
	CW_NETDEV_OFFLOADS
};

enum cw_netdev_setting { CW_NETDEV_UNKNOWN, CW_NETDEV_OFF, CW_NETDEV_ON };

enum cw_netdev_queue_source {
	CW_NETDEV_QUEUES_CHANNELS,  /* the driver's channels */
	CW_NETDEV_QUEUES_SYSFS,     /* rx-N in sysfs */
	CW_NETDEV_QUEUES_ALLOCATED, /* an upper bound: the queues allocated at creation */
};

/* Strings are empty and settings unknown if the driver does not report them. */
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
		bool is_fixed; /* the setting cannot be changed */
	} offloads[CW_NETDEV_OFFLOADS];
	bool has_timestamping;    /* the following fields are known */
	uint32_t so_timestamping; /* SOF_TIMESTAMPING_ of linux/net_tstamp.h */
	uint32_t tx_types;        /* bit 1 << HWTSTAMP_TX_ */
	uint32_t rx_filters;      /* bit 1 << HWTSTAMP_FILTER_ */
	int phc_index;            /* N of /dev/ptpN; -1: no hardware clock */
	bool has_software_rx;     /* the kernel can timestamp received packets */
	bool has_hardware_rx;     /* the hardware can timestamp every received packet */
};

/* Reads the facts of the interface with this name or alternative name. Returns 0 or -errno;
 * -ENODEV: no such interface. */
int cw_netdev_facts_read(struct cw_netdev_probe *probe, const char *name,
			 struct cw_netdev_facts *facts, struct cw_error *error);

/* Returns the name as in ethtool -k: "generic-receive-offload" ... Static. */
const char *cw_netdev_offload_name(enum cw_netdev_offload offload);

/* ---- the counters of one interface ---- */

struct cw_netdev_drop {
	char name[CW_NETDEV_COUNTER_NAME_BYTES]; /* the driver's name of the counter */
	uint64_t count;
};

struct cw_netdev_drops {
	struct cw_netdev_drop *at;
	uint32_t count, capacity;
};

/*
 * Counters since the interface or its driver started. Do not add them up: drivers count one packet
 * in several counters. rx_dropped is no count of lost packets: the kernel also counts there, after
 * the tap, packets without a protocol handler, such as LLDP or MPLS inside a VLAN.
 */
struct cw_netdev_counters {
	uint64_t ts_ns; /* CLOCK_REALTIME just before reading; 0: never read */
	int ifindex;
	char name[CW_NETDEV_NAME_BYTES];
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t rx_errors;           /* includes rx_missed, rx_fifo, rx_over, and others */
	uint64_t rx_dropped;          /* no room in the system, or no protocol handler */
	uint64_t rx_missed;           /* no room in the hardware: the system was too slow */
	uint64_t rx_fifo;             /* the hardware's queue overflowed */
	uint64_t rx_over;             /* the hardware's ring overflowed */
	uint64_t rx_nohandler;        /* packets on a passive port of a bond or team */
	struct cw_netdev_drops drops; /* ethtool -S: receive counters named after losses */
	uint32_t drops_left_out;      /* drop counters beyond CW_NETDEV_DROPS_MAX */
};

/*
 * Reads the counters. `counters` (fills; zeroed, or from an earlier read, to reuse its memory)
 * belongs to the caller, who calls fini. A driver without statistics has no drops. Returns 0 or
 * -errno, with ts_ns 0; -ENODEV: no such interface.
 */
int cw_netdev_counters_read(struct cw_netdev_probe *probe, const char *name,
			    struct cw_netdev_counters *counters, struct cw_error *error);
void cw_netdev_counters_fini(struct cw_netdev_counters *counters);

/* Returns whether a statistic's name is that of lost received packets. */
bool cw_netdev_is_drop_name(const char *name);

/* The difference between two readings. */
struct cw_netdev_losses {
	uint64_t elapsed_ns; /* 0 if the clock was set back */
	/* The interface was recreated, or a counter restarted or appeared between the readings. The
	 * figures are then lower bounds. */
	bool is_lower_bound;
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, rx_errors;
	uint64_t rx_dropped, rx_missed, rx_fifo, rx_over, rx_nohandler;
	struct cw_netdev_drops drops; /* counters that grew, and their growth */
};

/*
 * Fills `losses` with `after` minus `before`, never more than was counted. A recreated interface
 * (another ifindex) gives the new interface's counters. A counter that went backwards gives its
 * present value: a lower bound, whether the counter restarted or wrapped at any width. A new
 * counter gives nothing. `losses`: zeroed or used before; the caller calls fini. Returns 0;
 * -ENOMEM; -EINVAL if one of the readings was never read.
 */
int cw_netdev_losses_between(const struct cw_netdev_counters *before,
			     const struct cw_netdev_counters *after,
			     struct cw_netdev_losses *losses);

/* Adds the counts of an earlier interface of the same name. Drop counters of one name share an
 * entry. Returns 0 or -ENOMEM. */
int cw_netdev_losses_add(struct cw_netdev_losses *losses, const struct cw_netdev_losses *earlier);

/*
 * Returns the packets that never reached a tap, at least: the largest of rx_missed, rx_fifo,
 * rx_over and the driver's drop counters, which may all count the same packets. If there are any,
 * sets *counter to the name of the largest, valid as long as `losses`.
 */
uint64_t cw_netdev_losses_before_tap(const struct cw_netdev_losses *losses, const char **counter);
void cw_netdev_losses_fini(struct cw_netdev_losses *losses);

#endif
