/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of live capture that split does not have. */
#include "pipeline/pipeline.h"
#include "tools/options/options.h"
#include "tools/request/request.h"

int cw_arguments_live(const struct cw_arguments *arguments, struct cw_pipeline_options *options)
{
	const struct cw_live_arguments *asked = &arguments->live;
	struct cw_live_options *live = &options->live;
	size_t block_bytes = asked->block_bytes ? asked->block_bytes : CW_LIVE_BLOCK_BYTES;

	options->devices = arguments->devices.words;
	options->device_count = arguments->devices.count;
	if (asked->drain_ms)
		options->drain_ms = (uint32_t)asked->drain_ms;
	options->pin = asked->pin;
	options->realtime = (uint32_t)asked->realtime;
	options->huge_pages = asked->huge_pages;
	options->is_time_order = asked->is_time_order;
	options->no_kernel_filter = asked->no_kernel_filter;
	live->fanout = (enum cw_live_fanout)asked->fanout;
	live->direction = (enum cw_live_direction)asked->direction;
	live->backend = (enum cw_live_backend)asked->backend;
	live->clock = (enum cw_live_clock)asked->clock;
	live->promiscuous = !asked->not_promiscuous;
	live->queue_count = (uint32_t)asked->queues;
	live->block_bytes = asked->block_bytes;
	live->retire_ms = (uint32_t)asked->retire_ms;
	if (asked->ring_bytes) {
		live->block_count = (uint32_t)(asked->ring_bytes / block_bytes);
		if (live->block_count < CW_LIVE_BLOCKS_MIN)
			live->block_count = CW_LIVE_BLOCKS_MIN;
	}
	options->waits_for_devices = asked->waits_for_devices;
	/* Both need further capabilities when the interface is opened. */
	if (asked->waits_for_devices && live->backend == CW_LIVE_XDP)
		return cw_refuse("--backend xdp cannot wait for an interface: capweir has dropped "
				 "the capabilities for it by then. Omit --wait-device");
	if (asked->waits_for_devices && live->clock == CW_LIVE_CLOCK_ADAPTER)
		return cw_refuse("-j adapter cannot wait for an interface: capweir has dropped the "
				 "capability for it by then. Omit --wait-device");
	if (arguments->devices.count && arguments->filter.linktype &&
	    arguments->command != CW_CHECK)
		return cw_refuse("-y applies to files (-r): this version cannot choose an "
				 "interface's link type");
	return 0;
}
