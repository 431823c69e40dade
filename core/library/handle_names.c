/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The link types and timestamp sources of an interface: a temporary libpcap handle lists them.
 */
#include <errno.h>
#include <stdlib.h>

#include <pcap/pcap.h>

#include "core/library/handle_parts.h"
#include "core/packet/linktype.h"

/* ---- link types ---- */

static int no_memory(struct cw_handle *handle, struct cw_error *error)
{
	return cw_handle_fail(handle, error, -ENOMEM, "no memory for a list of names");
}

static int only_own(struct cw_handle *handle, uint32_t **linktypes, struct cw_error *error)
{
	*linktypes = malloc(sizeof(**linktypes));
	if (!*linktypes)
		return no_memory(handle, error);
	(*linktypes)[0] = handle->linktype;
	return 1;
}

/* The handle's own link type first, then the others that libpcap lists after activation. */
static int list_others(struct cw_handle *handle, pcap_t *other, uint32_t **linktypes,
		       struct cw_error *error)
{
	int *types = NULL;
	int total = pcap_list_datalinks(other, &types);
	int index, count = 0;

	if (total < 0)
		return only_own(handle, linktypes, error);
	*linktypes = calloc((size_t)total + 1, sizeof(**linktypes));
	if (!*linktypes) {
		pcap_free_datalinks(types);
		return no_memory(handle, error);
	}
	(*linktypes)[count++] = handle->linktype;
	for (index = 0; index < total; index++) {
		uint32_t linktype = cw_linktype_from_dlt(types[index]);

		if (linktype != handle->linktype)
			(*linktypes)[count++] = linktype;
	}
	pcap_free_datalinks(types);
	return count;
}

int cw_handle_linktypes(struct cw_handle *handle, uint32_t **linktypes, struct cw_error *error)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	pcap_t *other;
	int result;

	*linktypes = NULL;
	if (handle->kind == CW_HANDLE_LIVE && !handle->is_activated)
		return cw_handle_fail(
		    handle, error, CW_NOT_ACTIVATED,
		    "the handle of %s is not activated: its link types are unknown",
		    handle->device);
	/* Only packet sockets leave the name of an Ethernet frame open. */
	if (handle->kind != CW_HANDLE_LIVE || handle->live_info.backend != CW_LIVE_PACKET)
		return only_own(handle, linktypes, error);
	other = pcap_create(handle->device, text);
	if (!other)
		return only_own(handle, linktypes, error);
	pcap_set_buffer_size(other, 1 << 16);
	pcap_set_snaplen(other, 64);
	result = pcap_activate(other) < 0 ? only_own(handle, linktypes, error)
					  : list_others(handle, other, linktypes, error);
	pcap_close(other);
	return result;
}

int cw_handle_set_linktype(struct cw_handle *handle, uint32_t linktype, struct cw_error *error)
{
	uint32_t *linktypes;
	int result = cw_handle_need_live(handle, error);
	int count, index;

	if (result == 0)
		result = cw_handle_need_open(handle, error);
	if (result < 0)
		return result;
	linktype = cw_linktype_canonical(linktype);
	count = cw_handle_linktypes(handle, &linktypes, error);
	if (count < 0)
		return count;
	for (index = 0; index < count && linktypes[index] != linktype; index++)
		;
	free(linktypes);
	if (index == count)
		return cw_handle_fail(handle, error, -EINVAL, "interface %s has no link type %u",
				      handle->device, linktype);
	if (linktype == handle->linktype)
		return 0;
	/* Only the handle reads and appends to its interfaces. */
	((struct cw_iface *)(uintptr_t)cw_ifaces_at(&handle->ifaces, handle->live_info.iface))
	    ->linktype = linktype;
	if (!handle->filters.expression &&
	    handle->filters.count) /* a program is not compiled anew */
		handle->filters.at[0].linktype = linktype;
	handle->linktype = linktype;
	return 0;
}

/* ---- timestamp sources ---- */

static int keep_sources(struct cw_timestamp_source **sources, const int *types, int count)
{
	*sources = calloc((size_t)count, sizeof(**sources));
	if (!*sources)
		return -ENOMEM;
	for (int index = 0; index < count; index++)
		(*sources)[index] = (struct cw_timestamp_source){
		    .value = types[index],
		    .name = pcap_tstamp_type_val_to_name(types[index]),
		    .description = pcap_tstamp_type_val_to_description(types[index])};
	return count;
}

int cw_handle_timestamp_sources(struct cw_handle *handle, struct cw_timestamp_source **sources,
				struct cw_error *error)
{
	static const int host = PCAP_TSTAMP_HOST;
	char text[PCAP_ERRBUF_SIZE] = "";
	int *types = NULL;
	pcap_t *other;
	int count;

	*sources = NULL;
	if (handle->kind != CW_HANDLE_LIVE)
		return cw_handle_fail(handle, error, CW_NOT_LIVE,
				      "only interfaces have timestamp sources");
	other = pcap_create(handle->device, text);
	if (!other)
		return cw_handle_fail(handle, error, -ENODEV, "interface %s: %s", handle->device,
				      text);
	count = pcap_list_tstamp_types(other, &types);
	/* An interface without a list has the host's clock. */
	count = count > 0 ? keep_sources(sources, types, count) : keep_sources(sources, &host, 1);
	if (types)
		pcap_free_tstamp_types(types);
	pcap_close(other);
	return count < 0 ? no_memory(handle, error) : count;
}

int cw_timestamp_source_from_name(const char *name)
{
	int value = pcap_tstamp_type_name_to_val(name);

	return value < 0 ? CW_NO_SUCH_TIMESTAMP_SOURCE : value;
}

const char *cw_timestamp_source_name(int source)
{
	return pcap_tstamp_type_val_to_name(source);
}

int cw_handle_set_timestamp_source(struct cw_handle *handle, int source)
{
	struct cw_timestamp_source *sources;
	int result = cw_handle_may_set(handle), count, index;

	if (result < 0)
		return result;
	count = cw_handle_timestamp_sources(handle, &sources, NULL);
	if (count < 0)
		return count;
	for (index = 0; index < count && sources[index].value != source; index++)
		;
	free(sources);
	if (index == count)
		return cw_handle_fail(handle, NULL, CW_NO_SUCH_TIMESTAMP_SOURCE,
				      "interface %s has no timestamp source %d", handle->device,
				      source);
	handle->settings.has_clock = true;
	handle->settings.clock = source;
	return 0;
}
