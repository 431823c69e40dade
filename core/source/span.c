/* SPDX-License-Identifier: BSD-3-Clause */
/* Decodes a span of any kind into packets, a burst at a time. */
#include "core/format/segment.h"
#include "core/source/live/tpacket_parts.h"

size_t cw_span_decode(const struct cw_span *span, struct cw_cursor *cursor,
		      struct cw_packet *packets, size_t capacity)
{
	if (span->layout.is_ring)
		return cw_live_decode(span, cursor, packets, capacity);
	if (span->layout.is_frames)
		return cw_frames_decode(span, cursor, packets, capacity);
	return cw_segment_decode_span(span, cursor, packets, capacity);
}
