/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that can be captured from.
 */
#ifndef CW_CAPWEIR_DEVICE_H
#define CW_CAPWEIR_DEVICE_H

#include <capweir/error.h>

struct sockaddr;

CW_BEGIN_DECLS

/* Of a device. Source: PCAP_IF_* of pcap_findalldevs. */
enum cw_device_flag {
	CW_DEVICE_LOOPBACK = 1 << 0,
	CW_DEVICE_UP = 1 << 1,
	CW_DEVICE_RUNNING = 1 << 2,
	CW_DEVICE_WIRELESS = 1 << 3,
	CW_DEVICE_CONNECTED = 1 << 4,       /* known to be */
	CW_DEVICE_DISCONNECTED = 1 << 5,    /* known to be */
	CW_DEVICE_MAYBE_CONNECTED = 1 << 6, /* not known; without any of the three: no such thing */
};

/* An address of a device; each part may be NULL: tunnels have no netmask, IPv6 no broadcast. */
struct cw_device_address {
	const struct sockaddr *address; /* of any family, AF_PACKET included */
	const struct sockaddr *netmask;
	const struct sockaddr *broadcast;
	const struct sockaddr *peer; /* the other end of a point-to-point link */
};

/* A device; all pointers are the list's. */
struct cw_device {
	const char *name;
	const char *description; /* NULL: none */
	uint32_t flags;          /* CW_DEVICE_* */
	uint32_t address_count;
	const struct cw_device_address *addresses;
};

/*
 * All devices that could be opened (fills; the caller frees it). 0 or a negative errno. No device
 * at all is an empty list, *count 0. Source: pcap_findalldevs.
 */
CW_API int cw_devices_list(struct cw_device **devices, size_t *count, struct cw_error *error);
/* Accepts NULL. */
CW_API void cw_devices_free(struct cw_device *devices);

CW_END_DECLS

#endif
