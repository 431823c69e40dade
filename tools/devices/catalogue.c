/* SPDX-License-Identifier: BSD-3-Clause */
/* Collects the data on interfaces; devices_text.c and devices_json.c print it. */
#include <errno.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include <capweir/device.h>

#include "core/base/grow.h"
#include "core/base/near.h"
#include "core/packet/linktype.h"
#include "tools/devices/catalogue.h"
#include "tools/text/numbers.h"

#define ASK_SNAPLEN 64 /* nothing is read, so the kernel ring may be small */
#define ASK_BUFFER_BYTES (64 << 10)
#define DEVICE_WORD_DIGITS_MAX 9u
#define LIST_BYTES 128u
#define LIST_BYTES_SAID 72 /* bytes of interface names in a message */

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

const struct cw_netdev *cw_catalogue_find_netdev(const struct cw_netdevs *list, const char *name)
{
	for (uint32_t index = 0; index < list->count; index++)
		if (strcmp(list->at[index].name, name) == 0)
			return &list->at[index];
	return NULL;
}

static struct cw_catalogue_device *find_name(const struct cw_catalogue *catalogue, const char *name)
{
	for (uint32_t index = 0; index < catalogue->count; index++)
		if (strcmp(catalogue->at[index].name, name) == 0)
			return &catalogue->at[index];
	return NULL;
}

static int add_kind(struct cw_kinds *kinds, uint32_t value, const char *name,
		    const char *description)
{
	struct cw_kind *kind;

	if (CW_GROW(kinds, 1))
		return -ENOMEM;
	kind = &kinds->at[kinds->count++];
	*kind = (struct cw_kind){.value = value};
	snprintf(kind->name, sizeof(kind->name), "%s", name);
	snprintf(kind->description, sizeof(kind->description), "%s",
		 description ? description : "");
	return 0;
}

static int add_link_type(struct cw_kinds *kinds, uint32_t linktype)
{
	char buffer[32];

	return add_kind(kinds, linktype, cw_linktype_name(linktype, buffer, sizeof(buffer)),
			cw_linktype_description(linktype));
}

/* Returns -ENOMEM if libpcap just failed with this text, or this errno, for want of memory. */
static int failure_of_libpcap(const char *text)
{
	return errno == ENOMEM || strstr(text, strerror(ENOMEM)) ? -ENOMEM : 0;
}

/* Adds the data that needs no opening. */
static int describe(struct cw_catalogue *catalogue, struct cw_catalogue_device *device)
{
	int64_t linktype;
	int *types = NULL;
	int count, index, result = 0;
	pcap_t *handle;
	char text[PCAP_ERRBUF_SIZE];

	if (!device->netdev)
		return 0;
	/* Without facts if the interface has vanished since. */
	device->has_facts =
	    cw_netdev_facts_read(catalogue->probe, device->name, &device->facts, NULL) == 0;
	linktype = cw_linktype_from_hardware(device->netdev->arp_type);
	if (linktype >= 0)
		result = add_link_type(&device->link_types, (uint32_t)linktype);
	errno = 0;
	handle = pcap_create(device->name, text);
	if (!handle)
		return result ? result : failure_of_libpcap(text);
	count = pcap_list_tstamp_types(handle, &types);
	if (count < 0)
		result = -ENOMEM;
	for (index = 0; result == 0 && index < count; index++) {
		const char *name = pcap_tstamp_type_val_to_name(types[index]);

		result = add_kind(&device->timestamp_types, (uint32_t)types[index],
				  name ? name : "unknown",
				  pcap_tstamp_type_val_to_description(types[index]));
	}
	if (count > 0)
		pcap_free_tstamp_types(types);
	pcap_close(handle);
	return result;
}

static int add_device(struct cw_catalogue *catalogue, const char *name, const char *description,
		      uint32_t flags)
{
	struct cw_catalogue_device *device;
	int result;

	if (CW_GROW(catalogue, 1))
		return -ENOMEM;
	device = &catalogue->at[catalogue->count++];
	*device = (struct cw_catalogue_device){
	    .number = catalogue->count,
	    .flags = flags,
	    .netdev = cw_catalogue_find_netdev(&catalogue->netdevs, name),
	};
	result = copy_text(&device->name, name);
	if (result == 0)
		result = copy_text(&device->description, description);
	return result ? result : describe(catalogue, device);
}

int cw_catalogue_fill(struct cw_catalogue *catalogue, struct cw_error *error)
{
	struct cw_device *list = NULL;
	size_t count = 0, index;
	int result = cw_netdev_probe_open(&catalogue->probe, error);

	if (result == 0)
		result = cw_netdevs_list(catalogue->probe, &catalogue->netdevs, error);
	if (result == 0)
		result = cw_devices_list(&list, &count, error);
	if (result < 0)
		return result;
	for (index = 0; index < count && result == 0; index++)
		result = add_device(catalogue, list[index].name, list[index].description,
				    list[index].flags);
	cw_devices_free(list);
	return result ? cw_error_set(error, result, "cannot list interfaces: out of memory") : 0;
}

void cw_catalogue_fini(struct cw_catalogue *catalogue)
{
	for (uint32_t index = 0; index < catalogue->count; index++) {
		free(catalogue->at[index].name);
		free(catalogue->at[index].description);
		free(catalogue->at[index].link_types.at);
		free(catalogue->at[index].timestamp_types.at);
	}
	free(catalogue->at);
	cw_netdevs_fini(&catalogue->netdevs);
	cw_netdev_probe_close(catalogue->probe);
	*catalogue = (struct cw_catalogue){0};
}

/* ---- link types ---- */

static int read_link_types(pcap_t *handle, struct cw_catalogue_device *device)
{
	int first = pcap_datalink(handle);
	int *types = NULL;
	int count, index, result;

	errno = 0;
	count = pcap_list_datalinks(handle, &types);
	device->link_types.count = 0;
	device->are_opened = true;
	result = count < 0 ? failure_of_libpcap(pcap_geterr(handle)) : 0;
	if (result == 0)
		result = add_link_type(&device->link_types, cw_linktype_from_dlt(first));
	for (index = 0; result == 0 && index < count; index++)
		if (types[index] != first)
			result =
			    add_link_type(&device->link_types, cw_linktype_from_dlt(types[index]));
	if (count >= 0)
		pcap_free_datalinks(types);
	return result;
}

/* Returns 0, also if the device cannot be opened, or -ENOMEM. */
static int ask_link_types(struct cw_catalogue_device *device)
{
	char *error = device->link_types_error;
	size_t bytes = sizeof(device->link_types_error);
	char text[PCAP_ERRBUF_SIZE] = "";
	int status, result = 0;
	pcap_t *handle;

	errno = 0;
	handle = pcap_create(device->name, text);
	if (!handle) {
		snprintf(error, bytes, "%s", text);
		return failure_of_libpcap(text);
	}
	errno = 0;
	pcap_set_snaplen(handle, ASK_SNAPLEN);
	pcap_set_buffer_size(handle, ASK_BUFFER_BYTES);
	status = pcap_activate(handle);
	if (status < 0)
		result = failure_of_libpcap(pcap_geterr(handle));
	if (status >= 0)
		result = read_link_types(handle, device);
	else if (status == PCAP_ERROR_PERM_DENIED)
		snprintf(error, bytes,
			 "permission denied, CAP_NET_RAW is missing: run as root, or 'sudo setcap "
			 "cap_net_raw+ep PROGRAM'");
	else
		snprintf(error, bytes, "%s%s%s", pcap_statustostr(status),
			 pcap_geterr(handle)[0] ? ": " : "", pcap_geterr(handle));
	pcap_close(handle);
	return result;
}

int cw_catalogue_ask_link_types(struct cw_catalogue *catalogue, struct cw_catalogue_device *only)
{
	int result = only ? ask_link_types(only) : 0;

	/* Opening other kinds has effects: it connects to a bus, or changes a monitor. */
	for (uint32_t index = 0; index < catalogue->count && !only && result == 0; index++)
		if (catalogue->at[index].netdev || strcmp(catalogue->at[index].name, "any") == 0)
			result = ask_link_types(&catalogue->at[index]);
	return result;
}

/* ---- numbers ---- */

/* Returns the number that a word spells, 0 for other words. */
static uint32_t number_of(const char *word)
{
	size_t digits = strspn(word, "0123456789");

	if (digits == 0 || word[digits] || digits > DEVICE_WORD_DIGITS_MAX)
		return 0;
	return (uint32_t)strtoul(word, NULL, 10);
}

struct cw_catalogue_device *cw_catalogue_find(struct cw_catalogue *catalogue, const char *word)
{
	struct cw_catalogue_device *device = find_name(catalogue, word);
	uint32_t number = number_of(word);

	if (!device && number && number <= catalogue->count)
		return &catalogue->at[number - 1];
	return device;
}

void cw_catalogue_complain(const struct cw_catalogue *catalogue, const char *word)
{
	struct cw_near near = {.word = word, .bytes = strlen(word)};
	char meant[CW_NEAR_TEXT_BYTES], list[LIST_BYTES] = "", clean[2 * LIST_BYTES];
	size_t used = 0;

	for (uint32_t index = 0; index < catalogue->count; index++) {
		const struct cw_catalogue_device *device = &catalogue->at[index];

		cw_near_offer(&near, device->name);
		if (used < LIST_BYTES && (device->netdev || strcmp(device->name, "any") == 0))
			used += (size_t)snprintf(list + used, LIST_BYTES - used, "%s%s",
						 used ? ", " : "", device->name);
	}
	if (!cw_near_say(&near, "'", "'", meant, sizeof(meant)))
		snprintf(meant, sizeof(meant), " there are %.*s%s", LIST_BYTES_SAID, list,
			 used > LIST_BYTES_SAID ? "..." : "");
	cw_complain(
	    "-i %s: no interface of this name or number;%s (capweir devices describes them)", word,
	    cw_format_printable(meant, clean, sizeof(clean)));
}

static bool is_question(const struct cw_live_arguments *live)
{
	return live->lists_devices || live->lists_linktypes || live->lists_clocks;
}

/* As a command that cannot open its interface ends: a capture fails, all others are refused. */
static int exit_of(const struct cw_arguments *arguments, const char *word)
{
	return (arguments->command & (CW_CAPTURE | CW_BENCH)) && !is_question(&arguments->live) &&
		       !number_of(word)
		   ? CW_EXIT_PROBLEM
		   : CW_EXIT_USAGE;
}

static bool may_come(const struct cw_arguments *arguments, const char *word)
{
	return arguments->live.waits_for_devices && !is_question(&arguments->live) &&
	       !number_of(word);
}

/* Names that libpcap opens and does not list, such as nflog:5, are left to it. */
static int name_device(struct cw_arguments *arguments, struct cw_catalogue *catalogue,
		       const char **word)
{
	struct cw_catalogue_device *device;
	struct cw_error error = {0};
	char *name;

	if (!catalogue->count && cw_catalogue_fill(catalogue, &error) < 0)
		return number_of(*word) ? cw_fail("-i %s: %s", *word, error.text) : 0;
	device = cw_catalogue_find(catalogue, *word);
	if (!device && (strchr(*word, ':') || may_come(arguments, *word)))
		return 0;
	if (!device) {
		cw_catalogue_complain(catalogue, *word);
		return exit_of(arguments, *word);
	}
	name = strdup(device->name);
	if (!name || cw_words_add(&arguments->owned, name) < 0) {
		free(name);
		return cw_complain_no_memory();
	}
	*word = name;
	return 0;
}

int cw_arguments_name_devices(struct cw_arguments *arguments)
{
	struct cw_catalogue catalogue = {0};
	int result = 0;

	for (uint32_t index = 0; result == 0 && index < arguments->devices.count; index++) {
		const char **word = &arguments->devices.words[index];

		/* An interface may be named 1. */
		if (if_nametoindex(*word) == 0 && strcmp(*word, "any") != 0)
			result = name_device(arguments, &catalogue, word);
	}
	cw_catalogue_fini(&catalogue);
	return result;
}
