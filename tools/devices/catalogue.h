/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What can be captured from, as the command shows it: libpcap's list, whose order gives devices the
 * numbers that tcpdump -D shows and -i takes, joined with what the system says about network
 * interfaces (core/net/netdev.h). Needs no rights, but for link types that only an opened device
 * tells.
 */
#ifndef CW_TOOLS_DEVICES_CATALOGUE_H
#define CW_TOOLS_DEVICES_CATALOGUE_H

#include "core/net/netdev.h"
#include "tools/options/options.h"

/* A link type or a timestamp type. */
struct cw_kind {
	uint32_t value; /* LINKTYPE_, or libpcap's PCAP_TSTAMP_ */
	char name[32];  /* as -y or -j of tcpdump takes it */
	char description[96];
};

struct cw_kinds {
	struct cw_kind *at;
	uint32_t count, capacity;
};

struct cw_catalogue_device {
	uint32_t number; /* from 1; as -i takes it */
	char *name;
	char *description;              /* NULL: it has none */
	uint32_t flags;                 /* CW_DEVICE_ */
	const struct cw_netdev *netdev; /* NULL: it is no network interface */
	bool has_facts;
	struct cw_netdev_facts facts;
	struct cw_kinds link_types;      /* the first is what it starts with */
	bool are_opened;                 /* the device told; else they follow from its kind */
	char link_types_error[256];      /* why it did not tell; "" when it did or was not asked */
	struct cw_kinds timestamp_types; /* empty: the host's only */
};

struct cw_catalogue {
	struct cw_catalogue_device *at;
	uint32_t count, capacity;
	struct cw_netdevs netdevs;
	struct cw_netdev_probe *probe;
};

/*
 * Fill a zeroed catalogue with names, flags, addresses, facts and timestamp types. 0 or -errno. To
 * be given back with fini in either case.
 */
int cw_catalogue_fill(struct cw_catalogue *catalogue, struct cw_error *error);
void cw_catalogue_fini(struct cw_catalogue *catalogue);

/*
 * Open each network interface, or the one device (`only`, whatever it is), to learn its link types.
 * Where that fails its error says why.
 */
void cw_catalogue_ask_link_types(struct cw_catalogue *catalogue, struct cw_catalogue_device *only);

/* The device of that name, or of that number where there is none of the name; NULL. */
struct cw_catalogue_device *cw_catalogue_find(struct cw_catalogue *catalogue, const char *word);

/* The network interface of that name; NULL. */
const struct cw_netdev *cw_catalogue_find_netdev(const struct cw_netdevs *list, const char *name);

/* The catalogue in tcpdump -D's format, as a table, one device in full, or as JSON. */
void cw_catalogue_print_numbers(const struct cw_catalogue *catalogue);
void cw_catalogue_print_table(const struct cw_catalogue *catalogue);
void cw_catalogue_print_device(const struct cw_catalogue_device *device);
int cw_catalogue_print_json(const struct cw_catalogue *catalogue,
			    const struct cw_catalogue_device *only);

/* "up", "down" or "no carrier". */
const char *cw_catalogue_state(const struct cw_catalogue_device *device);

/* Put names in place of the numbers of devices in -i. 0, or CW_EXIT_USAGE or CW_EXIT_PROBLEM after
 * a complaint. */
int cw_arguments_name_devices(struct cw_arguments *arguments);

#endif
