/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir capture: what live capture has beyond split's options. */
#include <string.h>

#include "pipeline/pipeline.h"
#include "tools/options/options.h"
#include "tools/request/request.h"

static const char *const fanout_names[] = {
    [CW_FANOUT_HASH] = "hash", [CW_FANOUT_CPU] = "cpu",           [CW_FANOUT_QM] = "qm",
    [CW_FANOUT_LB] = "lb",     [CW_FANOUT_ROLLOVER] = "rollover",
};
static const char *const direction_names[] = {
    [CW_LIVE_BOTH] = "inout", [CW_LIVE_IN] = "in", [CW_LIVE_OUT] = "out"};
static const char *const backend_names[] = {[CW_LIVE_AUTO] = "auto",
					    [CW_LIVE_PACKET] = "packet",
					    [CW_LIVE_PCAP] = "pcap",
					    [CW_LIVE_XDP] = "xdp"};
static const char *const clock_names[] = {
    [CW_LIVE_CLOCK_HOST] = "host", [CW_LIVE_CLOCK_ADAPTER] = "adapter"};

/* The name's place in the list, 0 without a name; -1 after a complaint. */
static int choose(const char *option, const char *name, const char *const *names, size_t count)
{
	size_t index;

	if (!name)
		return 0;
	for (index = 0; index < count; index++) {
		if (strcmp(name, names[index]) == 0)
			return (int)index;
	}
	fprintf(stderr, "capweir: %s takes", option);
	for (index = 0; index < count; index++)
		fprintf(stderr, "%s %s",
			index == 0           ? ""
			: index + 1 == count ? " or"
					     : ",",
			names[index]);
	fprintf(stderr, ", not '%s'\n", name);
	return -1;
}

int cw_arguments_live(const struct cw_arguments *arguments, struct cw_pipeline_options *options)
{
	struct cw_live_options *live = &options->live;
	size_t block_bytes = arguments->block_bytes ? arguments->block_bytes : CW_LIVE_BLOCK_BYTES;
	int fanout =
	    choose("--fanout", arguments->fanout, fanout_names, CW_ARRAY_COUNT(fanout_names));
	int direction =
	    choose("-Q", arguments->direction, direction_names, CW_ARRAY_COUNT(direction_names));
	int backend =
	    choose("--backend", arguments->backend, backend_names, CW_ARRAY_COUNT(backend_names));
	int clock = choose("-j", arguments->clock, clock_names, CW_ARRAY_COUNT(clock_names));

	if (fanout < 0 || direction < 0 || clock < 0 || backend < 0)
		return CW_EXIT_USAGE;
	options->devices = arguments->devices.words;
	options->device_count = arguments->devices.count;
	if (arguments->drain_ms)
		options->drain_ms = (uint32_t)arguments->drain_ms;
	options->pin = arguments->pin;
	options->realtime = (uint32_t)arguments->realtime;
	options->huge_pages = arguments->huge_pages;
	options->is_time_order = arguments->time_order;
	options->no_kernel_filter = arguments->no_kernel_filter;
	live->fanout = (enum cw_live_fanout)fanout;
	live->direction = (enum cw_live_direction)direction;
	live->backend = (enum cw_live_backend)backend;
	live->clock = (enum cw_live_clock)clock;
	live->promiscuous = !arguments->not_promiscuous;
	live->queue_count = (uint32_t)arguments->queues;
	live->block_bytes = arguments->block_bytes;
	live->retire_ms = (uint32_t)arguments->retire_ms;
	if (arguments->ring_bytes) {
		live->block_count = (uint32_t)(arguments->ring_bytes / block_bytes);
		if (live->block_count < CW_LIVE_BLOCKS_MIN)
			live->block_count = CW_LIVE_BLOCKS_MIN;
	}
	if (arguments->devices.count && arguments->linktype) {
		cw_complain("-y is for -r; a device's link type cannot be chosen in this version");
		return CW_EXIT_USAGE;
	}
	return 0;
}
