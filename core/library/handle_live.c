/* SPDX-License-Identifier: BSD-3-Clause */
/* Handles of interfaces: activation, waiting, directions, statistics, sending. */
#include <errno.h>
#include <poll.h>

#include <pcap/pcap.h>

#include "core/library/handle_parts.h"

#define BLOCK_BYTES_MIN ((uint64_t)4096)
#define SEND_PATIENCE_MS 100
#define STALL_MS 1

/* ---- activation ---- */

/* Returns the time in ms after which the kernel hands over a block that is not full. */
static uint32_t choose_retire_ms(const struct cw_handle_settings *settings)
{
	if (settings->is_immediate || settings->timeout_ms == 0)
		return 1;
	return settings->timeout_ms > 0 && settings->timeout_ms < (int)CW_LIVE_RETIRE_MS
		   ? (uint32_t)settings->timeout_ms
		   : CW_LIVE_RETIRE_MS;
}

/* Fill the buffer with blocks of the usual size; a small buffer gets smaller blocks. */
static void choose_blocks(const struct cw_handle_settings *settings,
			  struct cw_live_options *options)
{
	uint64_t bytes = settings->buffer_bytes;
	uint64_t block = CW_LIVE_BLOCK_BYTES;

	if (!bytes)
		return;
	while (block > BLOCK_BYTES_MIN && bytes / block < CW_LIVE_BLOCKS_MIN)
		block /= 2;
	while (bytes / block > CW_LIVE_BLOCKS_MAX)
		block *= 2;
	options->block_bytes = (size_t)block;
	options->block_count = (uint32_t)(bytes / block);
	if (options->block_count < CW_LIVE_BLOCKS_MIN)
		options->block_count = CW_LIVE_BLOCKS_MIN;
}

static uint32_t find_netmask(const char *device)
{
	char text[PCAP_ERRBUF_SIZE];
	bpf_u_int32 network, netmask = 0;

	if (pcap_lookupnet(device, &network, &netmask, text) < 0 || netmask == CW_NETMASK_NONE)
		return 0; /* a network of one address has no broadcast address */
	return netmask;
}

/* Count the interface's losses from now on. Not every interface has such counters. */
static void start_counting(struct cw_handle *handle)
{
	struct cw_handle_counting *counting = &handle->counting;

	if (cw_netdev_probe_open(&counting->probe, NULL) < 0)
		return;
	if (cw_netdev_counters_read(counting->probe, handle->device, &counting->before, NULL) == 0)
		return;
	cw_netdev_probe_close(counting->probe);
	counting->probe = NULL;
}

static int explain(struct cw_handle *handle, int code, struct cw_error *error)
{
	if (handle->settings.is_rfmon && code == -EOPNOTSUPP)
		code = handle->error.code = CW_CANNOT_SET_RFMON;
	if (error)
		*error = handle->error;
	return code;
}

int cw_handle_activate(struct cw_handle *handle, struct cw_error *error)
{
	static const enum cw_live_direction directions[] = {[CW_DIRECTION_BOTH] = CW_LIVE_BOTH,
							    [CW_DIRECTION_IN] = CW_LIVE_IN,
							    [CW_DIRECTION_OUT] = CW_LIVE_OUT};
	const struct cw_handle_settings *settings = &handle->settings;
	bool needs_libpcap = settings->is_rfmon || settings->has_clock;
	struct cw_live_options options = {.backend = needs_libpcap ? CW_LIVE_PCAP : CW_LIVE_AUTO,
					  .device = handle->device,
					  .queue_count = 1,
					  .direction = directions[settings->direction],
					  .promiscuous = settings->is_promiscuous,
					  .is_rfmon = settings->is_rfmon,
					  .has_clock_value = settings->has_clock,
					  .clock_value = settings->clock,
					  .retire_ms = choose_retire_ms(settings),
					  .wake_fd = handle->wake_fd};
	int result;

	if (handle->kind != CW_HANDLE_LIVE)
		return cw_handle_fail(handle, error, CW_NOT_LIVE,
				      "only the handle of an interface can be activated");
	if (handle->is_activated)
		return cw_handle_fail(handle, error, CW_ALREADY_ACTIVATED,
				      "the handle of %s is already activated", handle->device);
	choose_blocks(settings, &options);
	handle->error = (struct cw_error){0};
	result = cw_live_open(&handle->live, &handle->ifaces, &options, &handle->error);
	if (result < 0)
		return explain(handle, result, error);
	if (error)
		*error = handle->error;
	cw_live_info(handle->live, &handle->live_info);
	handle->linktype = handle->live_info.linktype;
	/* Packets are truncated to the snapshot length after their filter. */
	handle->reading.caplen_max = settings->snaplen;
	handle->ifaces.blocks[0][handle->live_info.iface].snaplen = settings->snaplen;
	handle->settings.is_ns &= cw_ifaces_at(&handle->ifaces, handle->live_info.iface)->has_ns;
	handle->netmask = find_netmask(handle->device);
	handle->is_activated = true;
	start_counting(handle);
	return result;
}

/* ---- reading ---- */

int cw_handle_next_live(struct cw_handle *handle, int timeout_ms)
{
	/* Not earlier: a filter set before the first read sees complete packets. */
	if (!handle->reading.has_kernel_reach)
		cw_handle_set_kernel_filter(handle, NULL);
	for (;;) {
		int result = cw_live_next(handle->live, 0, 0, timeout_ms, &handle->reading.span,
					  &handle->reading.lease);

		switch (result) {
		case -EAGAIN: /* the kernel has not handed over the next block yet */
			(void)poll(NULL, 0, STALL_MS);
			break;
		case -EINTR:
			if (cw_handle_is_closed(handle))
				return result;
			break;
		case -ENETDOWN: /* packets resume when the interface comes up */
			cw_handle_fail(handle, NULL, result, "interface %s went down",
				       handle->device);
			break;
		case -ENODEV:
			return cw_handle_fail(handle, NULL, result, "interface %s was removed",
					      handle->device);
		default:
			if (result < 0)
				cw_error_set_errno(&handle->error, result, "reading from %s",
						   handle->device);
			return result;
		}
	}
}

int cw_handle_set_direction(struct cw_handle *handle, enum cw_direction direction,
			    struct cw_error *error)
{
	if (handle->kind != CW_HANDLE_LIVE)
		return cw_handle_fail(handle, error, CW_NOT_LIVE,
				      "only packets of interfaces have a direction");
	if (cw_handle_need_open(handle, error) < 0)
		return CW_CLOSED;
	if ((unsigned)direction > CW_DIRECTION_OUT)
		return cw_handle_fail(handle, error, -EINVAL, "%d is not a direction",
				      (int)direction);
	if (handle->is_activated && handle->live_info.backend != CW_LIVE_PACKET &&
	    direction != handle->settings.direction)
		return cw_handle_fail(handle, error, -EOPNOTSUPP,
				      "interface %s is read with libpcap: set the direction before "
				      "activation",
				      handle->device);
	/* The buffer of a socket opened for one direction holds no other packets. */
	if (handle->is_activated && handle->settings.direction != CW_DIRECTION_BOTH &&
	    direction != handle->settings.direction)
		return cw_handle_fail(handle, error, -EOPNOTSUPP,
				      "interface %s was activated for one direction",
				      handle->device);
	handle->settings.direction = direction;
	return cw_handle_filter_burst(handle, error);
}

/* ---- statistics ---- */

/* Raise a count, so that no reported count decreases. */
static void raise_to(uint64_t *count, uint64_t value)
{
	if (value > *count)
		*count = value;
}

static void count_interface(struct cw_handle *handle)
{
	struct cw_handle_counting *counting = &handle->counting;
	const char *counter;

	if (!counting->probe ||
	    cw_netdev_counters_read(counting->probe, handle->device, &counting->now, NULL) < 0 ||
	    cw_netdev_losses_between(&counting->before, &counting->now, &counting->losses) < 0)
		return;
	raise_to(&counting->stats.interface_dropped,
		 cw_netdev_losses_before_tap(&counting->losses, &counter));
}

int cw_handle_stats(struct cw_handle *handle, struct cw_stats *stats)
{
	struct cw_stats *known = &handle->counting.stats;
	struct cw_live_stats live;
	int result = cw_handle_need_live(handle, NULL);

	if (result < 0)
		return result;
	cw_live_stats(handle->live, 0, &live);
	raise_to(&known->received, live.kernel_seen - live.kernel_dropped);
	raise_to(&known->kernel_dropped, live.kernel_dropped);
	count_interface(handle);
	*stats = *known;
	return 0;
}

/* ---- sending ---- */

int cw_handle_inject(struct cw_handle *handle, const void *frame, size_t bytes)
{
	const struct cw_packet packet = {.data = frame, .caplen = (uint32_t)bytes};
	int result = cw_handle_need_live(handle, NULL);

	if (result == 0)
		result = cw_handle_need_open(handle, NULL);
	if (result < 0)
		return result;
	if (bytes == 0)
		return cw_handle_fail(handle, NULL, -EINVAL, "cannot send an empty frame");
	if (bytes > CW_CAPLEN_MAX)
		return cw_handle_fail(handle, NULL, -EMSGSIZE,
				      "a frame of %zu bytes is too long: at most %u", bytes,
				      CW_CAPLEN_MAX);
	if (!handle->transmit) {
		result = cw_transmit_open(&handle->transmit, handle->device, &handle->error);
		if (result < 0)
			return result;
	}
	result = cw_transmit_send(handle->transmit, &packet, 1);
	for (int waited_ms = 0; result == -EAGAIN && waited_ms < SEND_PATIENCE_MS; waited_ms++) {
		(void)poll(NULL, 0, 1);
		result = cw_transmit_send(handle->transmit, &packet, 1);
	}
	if (result < 0) {
		cw_error_set_errno(&handle->error, result, "sending %zu bytes on %s", bytes,
				   handle->device);
		return result;
	}
	return 0;
}
