/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opens an interface with libpcap, and sets filters on its packet socket, if it has one.
 *
 * The order matters for the counts. libpcap accepts packets from its activation on, and only after
 * counting removes packets of the other direction and loopback duplicates. So the socket first gets
 * a filter that passes nothing, earlier packets are discarded, and counting starts with the final
 * filter.
 */
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/packet/linktype.h"
#include "core/source/live/pcap_parts.h"

#define QUIET_MS 2 /* by then packets that passed the old filter are counted */

/* ---- the handle ---- */

static int activation_code(int status)
{
	switch (status) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return -ENODEV;
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return -EPERM;
	case PCAP_ERROR_IFACE_NOT_UP:
		return -ENETDOWN;
	case PCAP_ERROR_CANTSET_TSTAMP_TYPE:
	case PCAP_ERROR_RFMON_NOTSUP:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

static int refuse_activation(const struct cw_live_pcap *live, int status, struct cw_error *error)
{
	const char *text = pcap_geterr(live->handle);
	int code = activation_code(status);

	if (code == -ENETDOWN)
		return cw_error_set(error, code,
				    "interface %s is down: bring it up with 'ip link set %s up'",
				    live->base.device, live->base.device);
	if (code == -EPERM)
		return cw_error_set(
		    error, code,
		    "cannot capture on %s without the capability CAP_NET_RAW (libpcap: "
		    "%s). Run as root, or grant it with 'sudo setcap cap_net_raw+ep "
		    "PROGRAM'",
		    live->base.device, text[0] ? text : pcap_statustostr(status));
	return cw_error_set(error, code, "cannot capture on %s with libpcap: %s%s%s",
			    live->base.device, pcap_statustostr(status), text[0] ? ": " : "", text);
}

static int refuse_clock(const struct cw_live_pcap *live, struct cw_error *error)
{
	return cw_error_set(error, -EOPNOTSUPP,
			    "interface %s cannot timestamp all packets with its own clock: use the "
			    "host's clock",
			    live->base.device);
}

/* Selects the adapter's clock, unsynchronised if possible, else synchronised with the host's. */
static int set_adapter_clock(struct cw_live_pcap *live, struct cw_error *error)
{
	if (pcap_set_tstamp_type(live->handle, PCAP_TSTAMP_ADAPTER_UNSYNCED) == 0 ||
	    pcap_set_tstamp_type(live->handle, PCAP_TSTAMP_ADAPTER) == 0)
		return 0;
	return refuse_clock(live, error);
}

/* Sets the options of a handle before activation, when libpcap accepts every value in range. */
static int prepare(struct cw_live_pcap *live, const struct cw_live_options *options,
		   struct cw_error *error)
{
	uint64_t buffer_bytes = (uint64_t)live->base.info.block_bytes * live->base.info.block_count;
	char text[PCAP_ERRBUF_SIZE] = "";

	live->handle = pcap_create(live->base.device, text);
	if (!live->handle)
		return cw_error_set(error, -ENODEV, "cannot capture on %s with libpcap: %s",
				    live->base.device, text);
	pcap_set_snaplen(live->handle, (int)live->base.info.snaplen);
	pcap_set_timeout(live->handle, (int)live->base.info.retire_ms);
	pcap_set_buffer_size(live->handle,
			     buffer_bytes > INT32_MAX ? INT32_MAX : (int)buffer_bytes);
	pcap_set_immediate_mode(live->handle, 0);
	/* "any" has no promiscuous mode: libpcap would warn. */
	pcap_set_promisc(live->handle,
			 options->promiscuous && strcmp(live->base.device, "any") != 0);
	live->unit_ns =
	    pcap_set_tstamp_precision(live->handle, PCAP_TSTAMP_PRECISION_NANO) == 0 ? 1 : 1000;
	if (options->is_rfmon && pcap_can_set_rfmon(live->handle) != 1)
		return cw_error_set(error, -EOPNOTSUPP, "interface %s has no monitor mode",
				    live->base.device);
	pcap_set_rfmon(live->handle, options->is_rfmon);
	if (options->has_clock_value)
		return pcap_set_tstamp_type(live->handle, options->clock_value) == 0
			   ? 0
			   : refuse_clock(live, error);
	return options->clock == CW_LIVE_CLOCK_ADAPTER ? set_adapter_clock(live, error) : 0;
}

static int set_direction(struct cw_live_pcap *live, enum cw_live_direction direction,
			 struct cw_error *error)
{
	static const pcap_direction_t directions[] = {
	    [CW_LIVE_BOTH] = PCAP_D_INOUT, [CW_LIVE_IN] = PCAP_D_IN, [CW_LIVE_OUT] = PCAP_D_OUT};

	if (direction == CW_LIVE_BOTH ||
	    pcap_setdirection(live->handle, directions[direction]) == 0)
		return 0;
	return cw_error_set(error, -EOPNOTSUPP,
			    "interface %s does not report the direction of packets: capture both "
			    "directions",
			    live->base.device);
}

/* Activates the handle. Returns 0, CW_LIVE_WARNED or a negative errno. */
static int activate(struct cw_live_pcap *live, const struct cw_live_options *options,
		    struct cw_error *error)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	int status = pcap_activate(live->handle);
	int result, domain = 0;
	socklen_t bytes = sizeof(domain);

	if (status < 0)
		return refuse_activation(live, status, error);
	live->base.info.linktype = cw_linktype_from_dlt(pcap_datalink(live->handle));
	live->unit_ns =
	    pcap_get_tstamp_precision(live->handle) == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000;
	live->base.info.device_index = (int)if_nametoindex(live->base.device);
	live->fd = pcap_get_selectable_fd(live->handle);
	live->is_packet_socket =
	    live->fd >= 0 && getsockopt(live->fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) == 0 &&
	    domain == AF_PACKET;
	result = set_direction(live, options->direction, error);
	if (result < 0)
		return result;
	if (pcap_setnonblock(live->handle, 1, text) < 0)
		return cw_error_set(error, -EIO, "cannot capture on %s with libpcap: %s",
				    live->base.device, text);
	if (status == 0)
		return 0;
	if (status == PCAP_WARNING_TSTAMP_TYPE_NOTSUP)
		return refuse_clock(live, error);
	cw_error_set(error, 0, "%s: libpcap warns: %s: %s", live->base.device,
		     pcap_statustostr(status), pcap_geterr(live->handle));
	return CW_LIVE_WARNED;
}

/* ---- the start of counting ---- */

static void discard(u_char *count, const struct pcap_pkthdr *header, const u_char *data)
{
	(void)header;
	(void)data;
	++*(uint64_t *)(void *)count;
}

/* Discards the packets from before the filter. Usually there are none, and this does not wait. */
static void empty_ring(struct cw_live_pcap *live)
{
	uint64_t end_ns = cw_now_ns() + 2 * CW_NS_PER_MS * live->base.info.retire_ms;
	struct pcap_stat stat = {0};
	uint64_t discarded = 0;

	(void)poll(NULL, 0, QUIET_MS);
	for (;;) {
		(void)pcap_dispatch(live->handle, -1, discard, (u_char *)&discarded);
		if (pcap_stats(live->handle, &stat) < 0 ||
		    (uint64_t)stat.ps_recv - stat.ps_drop == discarded || cw_now_ns() > end_ns)
			return;
		(void)poll(NULL, 0, QUIET_MS);
	}
}

static int let_in(struct cw_live_pcap *live, struct cw_error *error)
{
	int result;

	if (live->is_packet_socket) {
		result = cw_live_pcap_filter_nothing(live);
		if (result == 0)
			empty_ring(live);
	}
	cw_live_pcap_read_stats(live);
	live->stats = (struct cw_live_stats){0};
	result = 0;
	if (live->is_packet_socket)
		result = cw_live_pcap_filter_direction(live, live->base.info.snaplen);
	if (result < 0)
		return cw_error_set_errno(error, result, "cannot set a kernel filter on %s",
					  live->base.device);
	return 0;
}

/* Opens the handle. Returns 0, CW_LIVE_WARNED or a negative errno. */
static int open_handle(struct cw_live_pcap *live, struct cw_ifaces *ifaces,
		       const struct cw_live_options *options, struct cw_error *error)
{
	struct cw_live_info *info = &live->base.info;
	int warned, result = prepare(live, options, error);

	if (result < 0)
		return result;
	warned = activate(live, options, error);
	if (warned < 0)
		return warned;
	if (warned == 0 && cw_live_memory_bytes(info) > INT32_MAX) {
		cw_error_set(error, 0, "%s: libpcap's buffer has 2 GiB, its maximum",
			     live->base.device);
		warned = CW_LIVE_WARNED;
	}
	info->block_bytes = CW_PCAP_ARENA_BYTES;
	info->block_count = CW_PCAP_ARENAS;
	info->is_loopback = strcmp(live->base.device, "lo") == 0;
	live->spill = malloc(CW_PCAP_RECORD_BYTES + info->snaplen);
	live->pool = cw_window_pool_new(-1, CW_PCAP_ARENAS, CW_PCAP_ARENA_BYTES);
	if (!live->spill || !live->pool)
		return cw_error_set_errno(error, -ENOMEM, "cannot capture on %s",
					  live->base.device);
	result = let_in(live, error);
	if (result == 0)
		result = cw_live_add_iface(&live->base, ifaces, options->input, live->unit_ns == 1,
					   error);
	if (result < 0)
		return result;
	live->layout = (struct cw_layout){.record_header_bytes = CW_PCAP_RECORD_BYTES,
					  .ts_unit_ns = 1,
					  .iface_base = info->iface,
					  .iface_count = 1,
					  .caplen_max = info->snaplen,
					  .caplen_cut = info->snaplen,
					  .ifaces = ifaces};
	return warned;
}

int cw_live_pcap_open(struct cw_live **opened, struct cw_ifaces *ifaces,
		      const struct cw_live_options *options, struct cw_error *error)
{
	struct cw_live_info info;
	struct cw_live_pcap *live;
	int result = cw_live_info_init(&info, options, error);

	if (result < 0)
		return result;
	live = calloc(1, sizeof(*live));
	if (!live)
		return cw_error_set_errno(error, -ENOMEM, "cannot capture on %s", options->device);
	live->base.ops = &cw_live_pcap_ops;
	memcpy(live->base.device, options->device, strlen(options->device));
	live->base.info = info;
	live->base.info.backend = CW_LIVE_PCAP;
	live->base.info.queue_count = 1;
	live->fd = -1;
	live->wake_fd = options->wake_fd;
	live->direction = options->direction;
	result = open_handle(live, ifaces, options, error);
	if (result < 0) {
		cw_live_pcap_ops.close(&live->base);
		return result;
	}
	*opened = &live->base;
	return result;
}
