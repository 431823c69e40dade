/* SPDX-License-Identifier: BSD-3-Clause */
/* Interfaces as text: the list of tcpdump -D, a table, or one interface in full. */
#include <arpa/inet.h>
#include <string.h>

#include <linux/if.h>

#include <capweir/device.h>

#include "core/base/base.h"
#include "tools/devices/catalogue.h"
#include "tools/text/numbers.h"

#define CELL_BYTES 128u
#define CLEAN_BYTES 128u
#define ADDRESS_BYTES (INET6_ADDRSTRLEN + 8)

enum column { NUMBER, NAME, STATE, LINK, MTU, QUEUES, DRIVER, CLOCKS, OFFLOADS, COLUMNS };

/* ---- pieces ---- */

const char *cw_catalogue_state(const struct cw_catalogue_device *device)
{
	uint32_t flags = device->netdev ? device->netdev->flags : 0;

	if (!device->netdev)
		return device->flags & CW_DEVICE_UP ? "up" : "";
	return !(flags & IFF_UP) ? "down" : flags & IFF_RUNNING ? "up" : "no carrier";
}

static void print_address(const struct cw_netdev_address *address, char *buffer, size_t bytes)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(address->family, address->address, text, sizeof(text));
	snprintf(buffer, bytes, "%s/%u", text, address->prefix_bits);
}

/* Lists the active offloads by the short names of ethtool -K. */
static void print_offloads(const struct cw_catalogue_device *device, char *buffer, size_t bytes)
{
	static const char *const names[CW_NETDEV_OFFLOADS] = {
	    [CW_NETDEV_GRO] = "gro",       [CW_NETDEV_LRO] = "lro",
	    [CW_NETDEV_GRO_HW] = "gro-hw", [CW_NETDEV_RX_VLAN] = "rxvlan",
	    [CW_NETDEV_RX_FCS] = "fcs",    [CW_NETDEV_RX_ALL] = "all",
	    [CW_NETDEV_TSO] = "tso",       [CW_NETDEV_GSO] = "gso",
	    [CW_NETDEV_RX_SUM] = "rxsum",  [CW_NETDEV_TX_SUM] = "txsum",
	};
	size_t used = 0, index;

	buffer[0] = '\0';
	for (index = 0; device->has_facts && index < CW_NETDEV_OFFLOADS; index++)
		if (device->facts.offloads[index].setting == CW_NETDEV_ON)
			used += (size_t)snprintf(buffer + used, bytes - used, "%s%s",
						 used ? "," : "", names[index]);
}

static const char *clocks_of(const struct cw_catalogue_device *device)
{
	if (!device->netdev)
		return "";
	return device->has_facts && device->facts.has_hardware_rx ? "host,adapter" : "host";
}

static void fill_row(const struct cw_catalogue_device *device, char row[COLUMNS][CELL_BYTES])
{
	char clean[CLEAN_BYTES];

	memset(row, 0, COLUMNS * CELL_BYTES);
	snprintf(row[NUMBER], CELL_BYTES, "%u", device->number);
	snprintf(row[NAME], CELL_BYTES, "%s",
		 cw_format_printable(device->name, clean, sizeof(clean)));
	snprintf(row[STATE], CELL_BYTES, "%s", cw_catalogue_state(device));
	if (device->link_types.count)
		snprintf(row[LINK], CELL_BYTES, "%s", device->link_types.at[0].name);
	if (device->netdev)
		snprintf(row[MTU], CELL_BYTES, "%u", device->netdev->mtu);
	if (device->has_facts)
		snprintf(row[QUEUES], CELL_BYTES, "%u", device->facts.rx_queues);
	if (device->has_facts)
		snprintf(row[DRIVER], CELL_BYTES, "%s",
			 cw_format_printable(device->facts.driver, clean, sizeof(clean)));
	snprintf(row[CLOCKS], CELL_BYTES, "%s", clocks_of(device));
	print_offloads(device, row[OFFLOADS], CELL_BYTES);
}

/* ---- the table ---- */

static void widen(int widths[COLUMNS], char row[COLUMNS][CELL_BYTES])
{
	for (int column = 0; column < COLUMNS; column++)
		if ((int)strlen(row[column]) > widths[column])
			widths[column] = (int)strlen(row[column]);
}

static bool is_number(int column)
{
	return column == NUMBER || column == MTU || column == QUEUES;
}

static void print_row(const int widths[COLUMNS], char row[COLUMNS][CELL_BYTES], const char *last)
{
	char line[(COLUMNS + 1) * (CELL_BYTES + 2)];
	size_t used = 0;

	for (int column = 0; column < COLUMNS; column++)
		used += (size_t)snprintf(line + used, sizeof(line) - used, "%*s  ",
					 is_number(column) ? widths[column] : -widths[column],
					 row[column]);
	snprintf(line + used, sizeof(line) - used, "%s", last);
	for (used = strlen(line); used && line[used - 1] == ' '; used--)
		line[used - 1] = '\0';
	cw_print(stdout, "%s\n", line);
}

/* Prints the row, with each address, or else the description, in its last column. */
static void print_rows(const struct cw_catalogue_device *device, const int widths[COLUMNS])
{
	uint32_t count = device->netdev ? device->netdev->address_count : 0;
	char row[COLUMNS][CELL_BYTES], clean[CLEAN_BYTES];

	fill_row(device, row);
	if (count == 0)
		print_row(widths, row,
			  device->description
			      ? cw_format_printable(device->description, clean, sizeof(clean))
			      : "");
	for (uint32_t index = 0; index < count; index++) {
		char address[ADDRESS_BYTES];

		print_address(&device->netdev->addresses[index], address, sizeof(address));
		print_row(widths, row, address);
		memset(row, 0, sizeof(row));
	}
}

void cw_catalogue_print_table(const struct cw_catalogue *catalogue)
{
	char head[COLUMNS][CELL_BYTES] = {"#",      "interface", "state",  "link",    "mtu",
					  "queues", "driver",    "clocks", "offloads"};
	char row[COLUMNS][CELL_BYTES];
	int widths[COLUMNS] = {0};

	widen(widths, head);
	for (uint32_t index = 0; index < catalogue->count; index++) {
		fill_row(&catalogue->at[index], row);
		widen(widths, row);
	}
	print_row(widths, head, "addresses");
	for (uint32_t index = 0; index < catalogue->count; index++)
		print_rows(&catalogue->at[index], widths);
}

/* ---- one device ---- */

static void print_addresses(const struct cw_netdev *netdev)
{
	for (uint32_t index = 0; index < netdev->address_count; index++) {
		const struct cw_netdev_address *address = &netdev->addresses[index];
		char text[ADDRESS_BYTES], other[INET6_ADDRSTRLEN];

		print_address(address, text, sizeof(text));
		cw_print(stdout, "  address      %s", text);
		if (address->has_broadcast)
			cw_print(
			    stdout, ", broadcast %s",
			    inet_ntop(address->family, address->broadcast, other, sizeof(other)));
		if (address->has_peer)
			cw_print(stdout, ", peer %s",
				 inet_ntop(address->family, address->peer, other, sizeof(other)));
		cw_print(stdout, "\n");
	}
}

static void print_hardware(const struct cw_netdev *netdev)
{
	if (!netdev->hardware_bytes)
		return;
	cw_print(stdout, "  hardware     ");
	for (uint32_t index = 0; index < netdev->hardware_bytes; index++)
		cw_print(stdout, "%s%02x", index ? ":" : "", netdev->hardware[index]);
	cw_print(stdout, "\n");
}

static void print_kinds(const char *label, const struct cw_kinds *kinds)
{
	for (uint32_t index = 0; index < kinds->count; index++)
		cw_print(stdout, "  %-11s  %s%s%s%s\n", index ? "" : label, kinds->at[index].name,
			 kinds->at[index].description[0] ? " (" : "", kinds->at[index].description,
			 kinds->at[index].description[0] ? ")" : "");
}

static void print_facts(const struct cw_netdev_facts *facts)
{
	char driver[CLEAN_BYTES], version[CLEAN_BYTES], firmware[CLEAN_BYTES], bus[CLEAN_BYTES];

	cw_format_printable(facts->driver, driver, sizeof(driver));
	cw_format_printable(facts->driver_version, version, sizeof(version));
	cw_format_printable(facts->firmware, firmware, sizeof(firmware));
	cw_format_printable(facts->bus, bus, sizeof(bus));
	cw_print(stdout, "  queues       %u for receiving\n", facts->rx_queues);
	if (driver[0])
		cw_print(stdout, "  driver       %s%s%s%s%s%s%s\n", driver, version[0] ? " " : "",
			 version, firmware[0] ? ", firmware " : "", firmware, bus[0] ? ", at " : "",
			 bus);
	for (size_t index = 0; index < CW_NETDEV_OFFLOADS; index++)
		if (facts->offloads[index].setting != CW_NETDEV_UNKNOWN)
			cw_print(stdout, "  %-11s  %s: %s%s\n", index ? "" : "offloads",
				 cw_netdev_offload_name((enum cw_netdev_offload)index),
				 facts->offloads[index].setting == CW_NETDEV_ON ? "on" : "off",
				 facts->offloads[index].is_fixed ? " (fixed)" : "");
}

void cw_catalogue_print_device(const struct cw_catalogue_device *device)
{
	struct cw_kind host_kind = {.name = "host", .description = "Host"};
	const struct cw_kinds host = {.at = &host_kind, .count = 1};
	char clean[CLEAN_BYTES];

	cw_print(stdout, "%s\n  number       %u\n",
		 cw_format_printable(device->name, clean, sizeof(clean)), device->number);
	if (device->description)
		cw_print(stdout, "  description  %s\n",
			 cw_format_printable(device->description, clean, sizeof(clean)));
	if (cw_catalogue_state(device)[0])
		cw_print(stdout, "  state        %s\n", cw_catalogue_state(device));
	if (device->netdev) {
		cw_print(stdout, "  index        %d\n  mtu          %u\n", device->netdev->ifindex,
			 device->netdev->mtu);
		print_hardware(device->netdev);
		print_addresses(device->netdev);
	}
	print_kinds("link types", &device->link_types);
	if (device->link_types_error[0])
		cw_print(stdout, "  %-11s  %s\n", device->link_types.count ? "" : "link types",
			 device->link_types_error);
	print_kinds("clocks", device->timestamp_types.count ? &device->timestamp_types : &host);
	if (device->has_facts)
		print_facts(&device->facts);
}

/* ---- as tcpdump -D ---- */

static const char *connection_text(uint32_t flags)
{
	bool is_wireless = flags & CW_DEVICE_WIRELESS;

	switch (flags &
		(CW_DEVICE_CONNECTED | CW_DEVICE_DISCONNECTED | CW_DEVICE_MAYBE_CONNECTED)) {
	case CW_DEVICE_MAYBE_CONNECTED:
		return is_wireless ? ", Association status unknown" : ", Connection status unknown";
	case CW_DEVICE_CONNECTED:
		return is_wireless ? ", Associated" : ", Connected";
	case CW_DEVICE_DISCONNECTED:
		return is_wireless ? ", Not associated" : ", Disconnected";
	default:
		return "";
	}
}

void cw_catalogue_print_numbers(const struct cw_catalogue *catalogue)
{
	static const struct {
		uint32_t flag;
		const char *text;
	} texts[] = {{CW_DEVICE_UP, "Up"},
		     {CW_DEVICE_RUNNING, "Running"},
		     {CW_DEVICE_LOOPBACK, "Loopback"},
		     {CW_DEVICE_WIRELESS, "Wireless"}};

	for (uint32_t index = 0; index < catalogue->count; index++) {
		const struct cw_catalogue_device *device = &catalogue->at[index];
		char clean[CLEAN_BYTES];
		bool has_flag = false;
		size_t text;

		cw_print(stdout, "%u.%s", device->number,
			 cw_format_printable(device->name, clean, sizeof(clean)));
		if (device->description)
			cw_print(stdout, " (%s)",
				 cw_format_printable(device->description, clean, sizeof(clean)));
		cw_print(stdout, " [");
		for (text = 0; text < CW_ARRAY_COUNT(texts); text++) {
			if (!(device->flags & texts[text].flag))
				continue;
			cw_print(stdout, "%s%s", has_flag ? ", " : "", texts[text].text);
			has_flag = true;
		}
		cw_print(stdout, "%s%s]\n", has_flag ? "" : "none", connection_text(device->flags));
	}
}
