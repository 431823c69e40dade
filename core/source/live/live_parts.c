/* SPDX-License-Identifier: BSD-3-Clause */
/* Options, waiting and the decoding of scattered frames, for all sources. */
#include "core/source/live/live_parts.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"

void cw_live_count(struct cw_live_stats *stats, bool is_read, uint64_t seen, uint64_t dropped)
{
	uint64_t known;

	if (is_read) {
		stats->kernel_seen += seen - stats->assumed;
		stats->kernel_dropped += dropped;
		stats->assumed = 0;
	}
	stats->is_uncounted = !is_read;
	known = stats->kernel_dropped + stats->received;
	if (!is_read && stats->kernel_seen < known) {
		stats->assumed += known - stats->kernel_seen;
		stats->kernel_seen = known;
	}
	stats->left = stats->kernel_seen - known;
}

int cw_patience_left(struct cw_patience *patience)
{
	uint64_t now;

	if (patience->timeout_ms <= 0)
		return patience->timeout_ms;
	now = cw_now_ns();
	if (!patience->end_ns) {
		patience->end_ns = now + (uint64_t)patience->timeout_ms * CW_NS_PER_MS;
		return patience->timeout_ms;
	}
	return now < patience->end_ns ? (int)((patience->end_ns - now) / CW_NS_PER_MS) + 1 : 0;
}

int cw_live_refuse(struct cw_error *error, const char *device, const char *what, uint64_t value,
		   uint64_t least, uint64_t most)
{
	return cw_error_set(
	    error, -EINVAL, "cannot capture on %s: the %s is %llu; it must be %llu to %llu", device,
	    what, (unsigned long long)value, (unsigned long long)least, (unsigned long long)most);
}

int cw_live_info_init(struct cw_live_info *info, const struct cw_live_options *options,
		      struct cw_error *error)
{
	const char *device = options->device;

	*info = (struct cw_live_info){
	    .snaplen = options->snaplen ? options->snaplen : CW_CAPLEN_MAX,
	    .queue_count = options->queue_count ? options->queue_count : 1,
	    .block_bytes = options->block_bytes ? options->block_bytes : CW_LIVE_BLOCK_BYTES,
	    .block_count = options->block_count ? options->block_count : CW_LIVE_BLOCKS,
	    .retire_ms = options->retire_ms ? options->retire_ms : CW_LIVE_RETIRE_MS,
	};
	if (!device[0] || strlen(device) >= CW_LIVE_DEVICE_BYTES)
		return cw_error_set(error, -ENODEV, "cannot capture on '%s': no such interface",
				    device);
	if (info->snaplen > CW_CAPLEN_MAX)
		return cw_live_refuse(error, device, "snapshot length", info->snaplen, 1,
				      CW_CAPLEN_MAX);
	if (info->queue_count > CW_LIVE_QUEUES_MAX)
		return cw_live_refuse(error, device, "queue count", info->queue_count, 1,
				      CW_LIVE_QUEUES_MAX);
	if (info->retire_ms > CW_LIVE_RETIRE_MS_MAX)
		return cw_live_refuse(error, device, "retire time", info->retire_ms, 1,
				      CW_LIVE_RETIRE_MS_MAX);
	if (info->block_count < CW_LIVE_BLOCKS_MIN || info->block_count > CW_LIVE_BLOCKS_MAX)
		return cw_live_refuse(error, device, "block count", info->block_count,
				      CW_LIVE_BLOCKS_MIN, CW_LIVE_BLOCKS_MAX);
	if (info->block_bytes > CW_LIVE_BLOCK_BYTES_MAX)
		return cw_live_refuse(error, device, "block size", info->block_bytes, 1,
				      CW_LIVE_BLOCK_BYTES_MAX);
	return 0;
}

uint64_t cw_live_memory_bytes(const struct cw_live_info *info)
{
	return (uint64_t)info->queue_count * info->block_count * info->block_bytes;
}

uint64_t cw_live_memory_most(const struct cw_live_options *options, uint64_t ram_bytes)
{
	uint64_t half = ram_bytes / 2;

	return half > options->memory_taken ? half - options->memory_taken : 0;
}

int cw_live_refuse_memory(const struct cw_live_info *info, const char *device, uint64_t most,
			  struct cw_error *error)
{
	return cw_error_set(error, -ENOMEM,
			    "cannot capture on %s: %u queues of %u blocks of %zu bytes exceed the "
			    "%llu bytes left of half the machine's memory. Use smaller blocks or "
			    "fewer queues",
			    device, info->queue_count, info->block_count, info->block_bytes,
			    (unsigned long long)most);
}

int cw_live_add_iface(struct cw_live *live, struct cw_ifaces *ifaces, uint16_t input, bool has_ns,
		      struct cw_error *error)
{
	struct cw_iface iface = {.linktype = live->info.linktype,
				 .snaplen = live->info.snaplen,
				 .ts_units_per_s = CW_NS_PER_S,
				 .has_ns = has_ns,
				 .input = input,
				 .name = strdup(live->device)};
	int64_t index = -ENOMEM;

	if (iface.name)
		index = cw_ifaces_add(ifaces, &iface);
	if (index < 0) {
		free(iface.name);
		return cw_error_set_errno(error, (int)index, "cannot add the interface %s",
					  live->device);
	}
	live->info.iface = (uint32_t)index;
	return 0;
}

/* Reads only the span's array, which the capture thread wrote and no other thread changes. */
size_t cw_frames_decode(const struct cw_span *span, struct cw_cursor *cursor,
			struct cw_packet *packets, size_t capacity)
{
	const struct cw_frame *frames = (const void *)(span->data + cursor->offset);
	size_t left = (span->bytes - cursor->offset) / sizeof(*frames);
	size_t count = left < capacity ? left : capacity;

	/* Each frame starts a cache line; of most frames the matcher reads the first two lines. */
	for (size_t i = 0; i < count; i++) {
		__builtin_prefetch(frames[i].data);
		__builtin_prefetch(frames[i].data + CW_CACHE_LINE);
		packets[i] = (struct cw_packet){
		    .data = frames[i].data,
		    .ts_ns = frames[i].ts_ns,
		    .caplen = cw_min_u32(frames[i].caplen, span->layout.caplen_cut),
		    .wire_len = frames[i].wire_len,
		    .iface = span->layout.iface_base,
		};
	}
	cursor->offset += count * sizeof(*frames);
	return count;
}
