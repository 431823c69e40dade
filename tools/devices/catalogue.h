/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interfaces that capweir can capture from: libpcap's list, whose order gives the numbers of
 * tcpdump -D and -i, joined with the kernel's data on network interfaces (core/net/netdev.h). Needs
 * no privileges, except for link types that only an opened interface lists.
 */
#ifndef CW_TOOLS_DEVICES_CATALOGUE_H
#define CW_TOOLS_DEVICES_CATALOGUE_H

#include "core/net/netdev.h"
#include "tools/options/options.h"

/* A link type or a timestamp type. */
struct cw_kind {
	uint32_t value; /* LINKTYPE_, or libpcap's PCAP_TSTAMP_ */
	char name[32];  /* as tcpdump -y or -j takes it */
	char description[96];
};

struct cw_kinds {
	struct cw_kind *at;
	uint32_t count, capacity;
};

struct cw_catalogue_device {
	uint32_t number; /* from 1, as -i takes it */
	char *name;
	char *description;              /* NULL: none */
	uint32_t flags;                 /* CW_DEVICE_ */
	const struct cw_netdev *netdev; /* NULL: not a network interface */
	bool has_facts;
	struct cw_netdev_facts facts;
	struct cw_kinds link_types;      /* the first one is the default */
	bool are_opened;                 /* link types are of the opened device, not of its kind */
	char link_types_error[256];      /* why opening failed; "": it was opened or not tried */
	struct cw_kinds timestamp_types; /* empty: the host's only */
};

struct cw_catalogue {
	struct cw_catalogue_device *at;
	uint32_t count, capacity;
	struct cw_netdevs netdevs;
	struct cw_netdev_probe *probe;
};

/*
 * Fills a zeroed catalogue with names, flags, addresses, facts and timestamp types. Returns 0 or
 * -errno; call fini in both cases.
 */
int cw_catalogue_fill(struct cw_catalogue *catalogue, struct cw_error *error);
void cw_catalogue_fini(struct cw_catalogue *catalogue);

/*
 * Opens each network interface, or just the device `only` of any kind, to read its link types. A
 * failure goes to its link_types_error. Returns 0 or -ENOMEM.
 */
int cw_catalogue_ask_link_types(struct cw_catalogue *catalogue, struct cw_catalogue_device *only);

/* Returns the device of that name, else of that number, else NULL. */
struct cw_catalogue_device *cw_catalogue_find(struct cw_catalogue *catalogue, const char *word);

/* Reports that no interface has this name or number, with the names that may be meant. */
void cw_catalogue_complain(const struct cw_catalogue *catalogue, const char *word);

/* Returns the network interface of that name, or NULL. */
const struct cw_netdev *cw_catalogue_find_netdev(const struct cw_netdevs *list, const char *name);

/* Print the catalogue in the format of tcpdump -D, as a table, one device in full, or as JSON. */
void cw_catalogue_print_numbers(const struct cw_catalogue *catalogue);
void cw_catalogue_print_table(const struct cw_catalogue *catalogue);
void cw_catalogue_print_device(const struct cw_catalogue_device *device);
int cw_catalogue_print_json(const struct cw_catalogue *catalogue,
			    const struct cw_catalogue_device *only);

/* "up", "down" or "no carrier". */
const char *cw_catalogue_state(const struct cw_catalogue_device *device);

/*
 * Replaces numbers in -i by names and refuses names that no interface has. Returns 0, or
 * CW_EXIT_USAGE or CW_EXIT_PROBLEM after a message.
 */
int cw_arguments_name_devices(struct cw_arguments *arguments);

#endif
