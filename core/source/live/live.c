/* SPDX-License-Identifier: BSD-3-Clause */
/* Passes the functions of live.h on to the selected source. Nothing here runs per packet. */

#include <errno.h>

#include "core/source/live/live_parts.h"
#include "core/source/live/pcap.h"
#include "core/source/live/tpacket.h"
#include "core/source/live/xdp.h"

/* ---- opening ---- */

/*
 * Opens the packet source if it supports the interface, else libpcap, which knows more names
 * (usbmon0, bluetooth0, nflog, ...). If both have no such interface, returns the kernel's error.
 */
static int open_auto(struct cw_live **live, struct cw_ifaces *ifaces,
		     const struct cw_live_options *options, struct cw_error *error)
{
	struct cw_error other = {0};
	int first = cw_live_packet_open(live, ifaces, options, error);
	int second;

	if ((first != -EPROTONOSUPPORT && first != -ENODEV) || !options->device[0])
		return first;
	second = cw_live_pcap_open(live, ifaces, options, &other);
	if (first == -ENODEV && second == -ENODEV)
		return first;
	if (error)
		*error = other;
	return second;
}

static const struct {
	const char *name;
	int (*open)(struct cw_live **live, struct cw_ifaces *ifaces,
		    const struct cw_live_options *options, struct cw_error *error);
} backends[] = {
    [CW_LIVE_AUTO] = {"auto", open_auto},
    [CW_LIVE_PACKET] = {"packet", cw_live_packet_open},
    [CW_LIVE_PCAP] = {"pcap", cw_live_pcap_open},
    [CW_LIVE_XDP] = {"xdp", cw_live_xdp_open},
};

const char *cw_live_backend_name(enum cw_live_backend backend)
{
	return backend < CW_ARRAY_COUNT(backends) ? backends[backend].name : NULL;
}

int cw_live_open(struct cw_live **live, struct cw_ifaces *ifaces,
		 const struct cw_live_options *options, struct cw_error *error)
{
	if (options->backend < CW_ARRAY_COUNT(backends))
		return backends[options->backend].open(live, ifaces, options, error);
	return cw_error_set(error, -EINVAL, "cannot capture on %s: no such backend (%d)",
			    options->device, (int)options->backend);
}

/* ---- an open source ---- */

void cw_live_info(const struct cw_live *live, struct cw_live_info *info)
{
	*info = live->info;
}

int cw_live_next(struct cw_live *live, uint32_t queue, uint32_t records_max, int timeout_ms,
		 struct cw_span *span, struct cw_lease *lease)
{
	return live->ops->next(live, queue, records_max, timeout_ms, span, lease);
}

int cw_live_stop(struct cw_live *live, uint32_t queue)
{
	return live->ops->stop(live, queue);
}

void cw_live_stats(struct cw_live *live, uint32_t queue, struct cw_live_stats *stats)
{
	live->ops->stats(live, queue, stats);
}

int cw_live_prefilter(struct cw_live *live, uint32_t queue, const struct bpf_insn *program,
		      uint32_t instruction_count, uint32_t reach, struct cw_error *error)
{
	if (reach < CW_LIVE_REACH_MIN)
		reach = CW_LIVE_REACH_MIN;
	reach = cw_min_u32(reach, live->info.snaplen);
	if (!live->ops->prefilter)
		return cw_error_set(error, -EOPNOTSUPP,
				    "cannot set a kernel prefilter on %s: this backend has none",
				    live->device);
	return live->ops->prefilter(live, queue, program, instruction_count, reach, error);
}

void cw_live_close(struct cw_live *live)
{
	if (live)
		live->ops->close(live);
}
