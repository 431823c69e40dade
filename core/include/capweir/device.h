/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list of interfaces to capture on.
 *
 * A device is a network interface or another source that libpcap offers, such as "any".
 */
#ifndef CW_CAPWEIR_DEVICE_H
#define CW_CAPWEIR_DEVICE_H

#include <capweir/error.h>

struct sockaddr;

CW_BEGIN_DECLS

/* Flags of an interface. Source: PCAP_IF_* of pcap_findalldevs. */
enum cw_device_flag {
	CW_DEVICE_LOOPBACK = 1 << 0,        /* loopback */
	CW_DEVICE_UP = 1 << 1,              /* enabled */
	CW_DEVICE_RUNNING = 1 << 2,         /* ready to receive */
	CW_DEVICE_WIRELESS = 1 << 3,        /* wireless */
	CW_DEVICE_CONNECTED = 1 << 4,       /* known to be connected */
	CW_DEVICE_DISCONNECTED = 1 << 5,    /* known to be disconnected */
	CW_DEVICE_MAYBE_CONNECTED = 1 << 6, /* unknown; none of the three: does not apply */
};

/* One address of an interface. Each part may be NULL: tunnels have no netmask, IPv6 has no
 * broadcast address. */
struct cw_device_address {
	const struct sockaddr *address;   /* any family, AF_PACKET included */
	const struct sockaddr *netmask;   /* netmask */
	const struct sockaddr *broadcast; /* broadcast address */
	const struct sockaddr *peer;      /* other end of a point-to-point interface */
};

/* One interface. All pointers belong to the list. */
struct cw_device {
	const char *name;                          /* name, as cw_handle_create takes it */
	const char *description;                   /* description; NULL: none */
	uint32_t flags;                            /* flags, CW_DEVICE_* */
	uint32_t address_count;                    /* number of addresses */
	const struct cw_device_address *addresses; /* array of addresses */
};

/*
 * List all interfaces that this process could open. Fills *devices with an array of *count entries;
 * free it with cw_devices_free. If there are none, *count is 0.
 *
 * Returns 0, -EIO with libpcap's reason, or -ENOMEM. Any thread. Source: pcap_findalldevs.
 */
CW_API int cw_devices_list(struct cw_device **devices, size_t *count, struct cw_error *error);

/* Free a list of interfaces (takes; accepts NULL). Any thread. */
CW_API void cw_devices_free(struct cw_device *devices);

CW_END_DECLS

#endif
