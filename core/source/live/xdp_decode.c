/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From descriptors of frames to packets. The frames lie anywhere; what is read here is the array in
 * the span, which the capture thread wrote and nobody changes.
 */
#include "core/source/live/live_parts.h"

size_t cw_frames_decode(const struct cw_span *span, struct cw_cursor *cursor,
			struct cw_packet *packets, size_t capacity)
{
	const struct cw_frame *frames = (const void *)(span->data + cursor->offset);
	size_t left = (span->bytes - cursor->offset) / sizeof(*frames);
	size_t count = left < capacity ? left : capacity;
	size_t i;

	/* Each frame starts lines of its own: the matcher reads the first two of most. */
	for (i = 0; i < count; i++) {
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
