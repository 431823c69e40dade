/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filters of a handle. A pcapng file can have packets of several link types, and an expression
 * compiles to a different program for each, at the first packet of that type. Every packet is
 * matched here; if possible, the kernel rejects most others before (core/filter/bpf/kernel.c).
 */
#include <errno.h>
#include <stdlib.h>

#include <pcap/pcap.h>

#include "core/filter/filter.h"
#include "core/base/grow.h"
#include "core/library/handle_parts.h"
#include "core/packet/linktype.h"

void cw_handle_filters_fini(struct cw_handle_filters *filters)
{
	while (filters->count)
		cw_filter_free(filters->at[--filters->count].filter);
	free(filters->at);
	free(filters->expression);
	*filters = (struct cw_handle_filters){0};
}

static int compile(const struct cw_handle *handle, uint32_t linktype, bool is_swapped,
		   const char *expression, struct cw_filter **filter, struct cw_error *error)
{
	const struct cw_filter_options options = {.linktype = linktype,
						  .snaplen = handle->settings.snaplen,
						  .netmask = handle->netmask,
						  .is_swapped = is_swapped};

	return cw_filter_compile(filter, expression, &options, error);
}

static bool is_first_swapped(const struct cw_handle *handle)
{
	return handle->ifaces.count && cw_ifaces_at(&handle->ifaces, 0)->is_swapped;
}

/* Takes the filter. */
static int add_filter(struct cw_handle *handle, uint32_t linktype, bool is_swapped,
		      struct cw_filter *filter)
{
	struct cw_handle_filters *filters = &handle->filters;
	struct cw_handle_filter *grown =
	    realloc(filters->at, (filters->count + 1) * sizeof(*grown));

	if (!grown) {
		cw_filter_free(filter);
		return cw_handle_fail(handle, NULL, -ENOMEM, "no memory for a filter");
	}
	filters->at = grown;
	grown[filters->count++] = (struct cw_handle_filter){
	    .linktype = linktype, .is_swapped = is_swapped, .filter = filter};
	return 0;
}

/* Returns the filter for the interface's packets, compiled if needed; NULL: see handle->error. */
static const struct cw_handle_filter *filter_of(struct cw_handle *handle,
						const struct cw_iface *iface)
{
	struct cw_handle_filters *filters = &handle->filters;
	struct cw_filter *filter = NULL;

	for (uint32_t index = 0; index < filters->count; index++) {
		const struct cw_handle_filter *each = &filters->at[index];

		if (each->linktype == iface->linktype && each->is_swapped == iface->is_swapped)
			return each;
	}
	if (filters->expression && compile(handle, iface->linktype, iface->is_swapped,
					   filters->expression, &filter, &handle->error) < 0)
		return NULL;
	if (add_filter(handle, iface->linktype, iface->is_swapped, filter) < 0)
		return NULL;
	return &filters->at[filters->count - 1];
}

static bool is_other_way(const struct cw_handle *handle, const struct cw_packet *packet)
{
	bool is_outgoing = packet->flags & CW_PACKET_OUTGOING;

	return (handle->settings.direction == CW_DIRECTION_IN && is_outgoing) ||
	       (handle->settings.direction == CW_DIRECTION_OUT && !is_outgoing);
}

int64_t cw_handle_filter_packets(struct cw_handle *handle, struct cw_packet *packets,
				 uint32_t count)
{
	const struct cw_handle_filter *filter = NULL;
	uint32_t known_iface = CW_IFACE_NONE, index, kept = 0;
	/* The source does this itself, except for packet sockets whose direction changed. */
	bool is_directed = handle->kind == CW_HANDLE_LIVE &&
			   handle->live_info.backend == CW_LIVE_PACKET &&
			   handle->settings.direction != CW_DIRECTION_BOTH;

	for (index = 0; index < count; index++) {
		const struct cw_packet *packet = &packets[index];

		if (is_directed && is_other_way(handle, packet))
			continue;
		if (handle->filters.is_set) {
			if (packet->flags & CW_PACKET_MALFORMED)
				continue;
			if (!filter || packet->iface != known_iface) {
				filter =
				    filter_of(handle, cw_ifaces_at(&handle->ifaces, packet->iface));
				if (!filter)
					return handle->error.code;
				known_iface = packet->iface;
			}
			if (!filter->filter || !cw_filter_match(filter->filter, packet->data,
								packet->caplen, packet->wire_len))
				continue;
		}
		if (kept != index)
			packets[kept] = *packet;
		kept++;
	}
	return kept;
}

void cw_handle_set_kernel_filter(struct cw_handle *handle, const struct cw_filter *filter)
{
	uint32_t reach = filter ? cw_filter_reach(filter) : 0;
	struct bpf_insn *program = NULL;
	uint32_t count = 0;

	if (!handle->live)
		return;
	if (reach < handle->settings.snaplen)
		reach = handle->settings.snaplen;
	if (!filter || cw_filter_kernel_program(filter, &program, &count) < 0 ||
	    cw_live_prefilter(handle->live, 0, program, count, reach, NULL) < 0)
		(void)cw_live_prefilter(handle->live, 0, NULL, 0, reach, NULL);
	handle->reading.has_kernel_reach = true;
	free(program);
}

int cw_handle_filter_burst(struct cw_handle *handle, struct cw_error *error)
{
	struct cw_handle_reading *reading = &handle->reading;
	int64_t left = cw_handle_filter_packets(handle, reading->burst + reading->burst_next,
						reading->burst_end - reading->burst_next);

	if (left < 0) {
		if (error)
			*error = handle->error;
		return (int)left;
	}
	reading->burst_end = reading->burst_next + (uint32_t)left;
	return 0;
}

/* Takes filter and expression. Without memory the previous filter stays. */
static int take_filter(struct cw_handle *handle, struct cw_filter *filter, char *expression,
		       struct cw_error *error)
{
	struct cw_handle_filter *first = malloc(sizeof(*first));

	if (!first) {
		cw_filter_free(filter);
		free(expression);
		return cw_handle_fail(handle, error, -ENOMEM, "no memory for a filter");
	}
	*first = (struct cw_handle_filter){
	    .linktype = handle->linktype, .is_swapped = is_first_swapped(handle), .filter = filter};
	cw_handle_filters_fini(&handle->filters);
	handle->filters = (struct cw_handle_filters){
	    .is_set = true, .expression = expression, .at = first, .count = 1};
	cw_handle_set_kernel_filter(handle, filter);
	return cw_handle_filter_burst(handle, error);
}

static int need_activated(struct cw_handle *handle, struct cw_error *error)
{
	if (handle->is_activated || handle->kind == CW_HANDLE_DEAD)
		return 0;
	return cw_handle_fail(handle, error, CW_NOT_ACTIVATED,
			      "the handle of %s is not activated: its link type is unknown",
			      handle->device);
}

/* A file without interfaces has no packets: any link type serves. */
static uint32_t filter_linktype(const struct cw_handle *handle)
{
	return handle->linktype == CW_LINKTYPE_ANY ? CW_LINKTYPE_ETHERNET : handle->linktype;
}

int cw_handle_compile(struct cw_handle *handle, struct cw_filter **filter, const char *expression,
		      struct cw_error *error)
{
	int result = need_activated(handle, error);

	*filter = NULL;
	return result < 0 ? result
			  : compile(handle, filter_linktype(handle), is_first_swapped(handle),
				    expression, filter, error);
}

int cw_handle_set_filter(struct cw_handle *handle, const char *expression, struct cw_error *error)
{
	struct cw_error local = {0};
	struct cw_filter *filter;
	int result, failure;
	char *copy;

	if (cw_handle_need_open(handle, error) < 0)
		return CW_CLOSED;
	result = cw_handle_compile(handle, &filter, expression, &local);
	if (error)
		*error = local;
	if (result < 0) {
		handle->error = local;
		return result;
	}
	copy = strdup(expression);
	if (!copy) {
		cw_filter_free(filter);
		return cw_handle_fail(handle, error, -ENOMEM, "no memory for a filter");
	}
	failure = take_filter(handle, filter, copy, error);
	return failure < 0 ? failure : result;
}

int cw_handle_set_filter_program(struct cw_handle *handle, const struct bpf_insn *instructions,
				 uint32_t count, struct cw_error *error)
{
	struct cw_error local = {0};
	struct cw_filter *filter;
	int result = need_activated(handle, error);

	if (result == 0)
		result = cw_handle_need_open(handle, error);
	if (result < 0)
		return result;
	result = cw_filter_from_program(&filter, instructions, count, &local);
	if (result < 0) {
		handle->error = local;
		if (error)
			*error = local;
		return result;
	}
	return take_filter(handle, filter, NULL, error);
}
