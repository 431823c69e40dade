/* SPDX-License-Identifier: BSD-3-Clause */
/* From the one interface to the source that was asked for. Nothing here is done per packet. */

#include <errno.h>

#include "core/source/live/live_parts.h"
#include "core/source/live/pcap.h"
#include "core/source/live/tpacket.h"
#include "core/source/live/xdp.h"

/* ---- opening ---- */

/*
 * Packet rings where they have the device. Names that are no network device's may be libpcap's
 * (usbmon0, bluetooth0, nflog, ...); where they are not either, what the kernel said stands.
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
	return cw_error_set(error, -EINVAL, "capturing on %s: no such backend (%d)",
			    options->device, (int)options->backend);
}

/* ---- an open one ---- */

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
		      uint32_t instruction_count, struct cw_error *error)
{
	if (!live->ops->prefilter)
		return cw_error_set(error, -EOPNOTSUPP,
				    "capturing on %s: this source has no prefilter in the kernel",
				    live->device);
	return live->ops->prefilter(live, queue, program, instruction_count, error);
}

void cw_live_close(struct cw_live *live)
{
	if (live)
		live->ops->close(live);
}
