/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir devices, and tcpdump's -D, -L and -J: lists interfaces and their properties. */
#include "tools/commands/commands.h"
#include "tools/devices/catalogue.h"
#include "tools/text/numbers.h"

#define CLEAN_BYTES 128u

/* Refuses capture options next to -D, -L, -J and devices, which only list. */
static int refuse_others(const struct cw_arguments *arguments)
{
	const char *option = arguments->live.lists_devices     ? "-D"
			     : arguments->live.lists_linktypes ? "-L"
			     : arguments->live.lists_clocks    ? "-J"
							       : "devices";

	if (!arguments->rest.count && !arguments->inputs.count && !arguments->rules.filters.count &&
	    !arguments->rules.writes.count && !arguments->rules.file && !arguments->filter.file &&
	    arguments->live.lists_devices + arguments->live.lists_linktypes +
		    arguments->live.lists_clocks <=
		1)
		return 0;
	return cw_refuse("%s lists interfaces: only -i and --json go with it", option);
}

static int list_kinds(const struct cw_catalogue_device *device, const struct cw_kinds *kinds,
		      const char *what)
{
	char clean[CLEAN_BYTES];

	cw_print(stdout, "%s of %s:\n", what,
		 cw_format_printable(device->name, clean, sizeof(clean)));
	for (uint32_t index = 0; index < kinds->count; index++)
		cw_print(stdout, "  %s (%s)\n", kinds->at[index].name,
			 kinds->at[index].description);
	return CW_EXIT_COMPLETE;
}

static int list_linktypes(struct cw_catalogue *catalogue, struct cw_catalogue_device *device)
{
	if (cw_catalogue_ask_link_types(catalogue, device) < 0)
		return cw_complain_no_memory();
	if (device->link_types_error[0]) {
		char clean[CLEAN_BYTES];

		return cw_fail("%s: %s", cw_format_printable(device->name, clean, sizeof(clean)),
			       device->link_types_error);
	}
	return list_kinds(device, &device->link_types, "Link types");
}

/* libpcap lists no timestamp type if the only one is the host's. */
static int list_clocks(const struct cw_catalogue_device *device)
{
	struct cw_kind host = {.name = "host", .description = "Host"};
	const struct cw_kinds only_host = {.at = &host, .count = 1};

	return list_kinds(device,
			  device->timestamp_types.count ? &device->timestamp_types : &only_host,
			  "Timestamp types");
}

static int show_device(const struct cw_arguments *arguments, struct cw_catalogue *catalogue,
		       struct cw_catalogue_device *device)
{
	if (arguments->live.lists_clocks && !arguments->json)
		return list_clocks(device);
	if (arguments->live.lists_linktypes && !arguments->json)
		return list_linktypes(catalogue, device);
	if (cw_catalogue_ask_link_types(catalogue, device) < 0)
		return cw_complain_no_memory();
	if (arguments->json)
		return cw_catalogue_print_json(catalogue, device);
	cw_catalogue_print_device(device);
	return CW_EXIT_COMPLETE;
}

static int show_all(const struct cw_arguments *arguments, struct cw_catalogue *catalogue)
{
	if (arguments->json) {
		if (cw_catalogue_ask_link_types(catalogue, NULL) < 0)
			return cw_complain_no_memory();
		return cw_catalogue_print_json(catalogue, NULL);
	}
	if (arguments->live.lists_devices)
		cw_catalogue_print_numbers(catalogue);
	else
		cw_catalogue_print_table(catalogue);
	return CW_EXIT_COMPLETE;
}

int cw_command_devices(const struct cw_arguments *arguments)
{
	struct cw_catalogue_device *device = NULL;
	struct cw_catalogue catalogue = {0};
	struct cw_error error = {0};
	int status = refuse_others(arguments);

	if (status)
		return status;
	if (arguments->devices.count > 1)
		return cw_refuse("give one interface (-i), or none to list all");
	if (cw_catalogue_fill(&catalogue, &error) < 0) {
		status = cw_fail("%s", error.text);
		goto out;
	}
	if (arguments->devices.count) {
		device = cw_catalogue_find(&catalogue, arguments->devices.words[0]);
		if (!device) {
			cw_catalogue_complain(&catalogue, arguments->devices.words[0]);
			status = CW_EXIT_USAGE;
			goto out;
		}
	}
	status =
	    device ? show_device(arguments, &catalogue, device) : show_all(arguments, &catalogue);
out:
	cw_catalogue_fini(&catalogue);
	return status;
}
