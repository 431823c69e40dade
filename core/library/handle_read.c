/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading: a span of the source is decoded a burst at a time. Its lease goes back when a read finds
 * nothing more in the span, so that packets handed out stay in place until the next read.
 */
#include <errno.h>

#include "core/library/handle_parts.h"
#include "core/source/live/live_parts.h"

#define SPAN_BYTES ((size_t)1 << 20)
#define SPAN_RECORDS 65536u

/* Relaxed: a read that misses the store hands out packets that arrived before. */
static bool is_closing(const struct cw_handle *handle)
{
	return atomic_load_explicit(&handle->is_closed, memory_order_relaxed);
}

/* Make `result` that of every later read. */
static int end_with(struct cw_handle *handle, int result)
{
	handle->reading.end = result;
	return result;
}

/* The end of a file: an error if the file was longer when it was opened. */
static int end_of_file(struct cw_handle *handle)
{
	struct cw_source_info info;

	cw_source_info(handle->source, &info);
	if (strcmp(info.compression, "none") != 0 || info.consumed_bytes >= info.file_bytes)
		return end_with(handle, CW_NEXT_END);
	cw_handle_fail(handle, NULL, -EBADMSG,
		       "the file was truncated while it was read: %llu of %llu bytes are left",
		       (unsigned long long)info.consumed_bytes,
		       (unsigned long long)info.file_bytes);
	return end_with(handle, CW_NEXT_ERROR);
}

static void leave_span(struct cw_handle_reading *reading)
{
	cw_lease_give_back(&reading->lease);
	reading->lease = (struct cw_lease){0};
	reading->has_span = false;
}

/* Fetch a span. Returns 1, or a result of reading. */
static int fetch_span(struct cw_handle *handle, int timeout_ms)
{
	struct cw_handle_reading *reading = &handle->reading;
	int result;

	reading->cursor = (struct cw_cursor){0};
	if (handle->kind == CW_HANDLE_LIVE)
		result = cw_handle_next_live(handle, timeout_ms);
	else
		result = cw_source_next(handle->source, SPAN_BYTES, SPAN_RECORDS, &reading->span,
					&reading->lease, &handle->error);
	if (result == 1) {
		reading->has_span = true;
		return 1;
	}
	if (cw_handle_is_closed(handle))
		return CW_NEXT_CLOSED;
	if (result == 0)
		return handle->kind == CW_HANDLE_LIVE ? CW_NEXT_TIMEOUT : end_of_file(handle);
	return end_with(handle, CW_NEXT_ERROR);
}

/*
 * Decode the next packets that pass the filter into `packets`: at least one, all from one span.
 * Returns their number, or a result of reading.
 */
static int fill(struct cw_handle *handle, struct cw_packet *packets, uint32_t capacity)
{
	/* Packets that do not match do not prolong the timeout. */
	struct cw_patience patience = {.timeout_ms = handle->settings.timeout_ms};
	struct cw_handle_reading *reading = &handle->reading;
	int64_t count;
	int result, wait_ms;

	for (;;) {
		if (is_closing(handle))
			return CW_NEXT_CLOSED;
		if (reading->end)
			return reading->end;
		if (!reading->has_span) {
			if (patience.is_over)
				return CW_NEXT_TIMEOUT;
			wait_ms = cw_patience_left(&patience);
			patience.is_over = wait_ms == 0;
			result = fetch_span(handle, wait_ms);
			if (result != 1)
				return result;
		}
		count =
		    (int64_t)cw_span_decode(&reading->span, &reading->cursor, packets, capacity);
		if (count == 0) {
			leave_span(reading);
			continue;
		}
		if (handle->filters.is_set || handle->settings.direction != CW_DIRECTION_BOTH)
			count = cw_handle_filter_packets(handle, packets, (uint32_t)count);
		if (count < 0)
			return end_with(handle, CW_NEXT_ERROR);
		if (count > 0)
			return (int)count;
	}
}

static int refuse(struct cw_handle *handle)
{
	if (cw_handle_is_closed(handle))
		return CW_NEXT_CLOSED;
	cw_handle_fail(handle, NULL, handle->kind == CW_HANDLE_DEAD ? CW_IS_DEAD : CW_NOT_ACTIVATED,
		       handle->kind == CW_HANDLE_DEAD ? "a dead handle has no packets"
						      : "the handle is not activated");
	return CW_NEXT_NOT_ACTIVATED;
}

/* Fill the handle's burst. Returns a result of reading. */
static int refill(struct cw_handle *handle)
{
	int result;

	if (!handle->is_activated)
		return refuse(handle);
	result = fill(handle, handle->reading.burst, CW_HANDLE_BURST);
	handle->reading.burst_next = 0;
	handle->reading.burst_end = result > 0 ? (uint32_t)result : 0;
	return result > 0 ? CW_NEXT_OK : result;
}

int cw_handle_next(struct cw_handle *handle, struct cw_packet *packet)
{
	struct cw_handle_reading *reading = &handle->reading;
	int result;

	if (cw_likely(reading->burst_next < reading->burst_end)) {
		if (is_closing(handle))
			return CW_NEXT_CLOSED;
	} else {
		result = refill(handle);
		if (result != CW_NEXT_OK)
			return result;
	}
	*packet = reading->burst[reading->burst_next++];
	packet->caplen = cw_min_u32(packet->caplen, reading->caplen_max);
	return CW_NEXT_OK;
}

static int truncate_all(const struct cw_handle_reading *reading, struct cw_packet *packets,
			int count)
{
	for (int i = 0; reading->caplen_max < CW_CAPLEN_MAX && i < count; i++)
		packets[i].caplen = cw_min_u32(packets[i].caplen, reading->caplen_max);
	return count;
}

int cw_handle_next_burst(struct cw_handle *handle, struct cw_packet *packets, uint32_t capacity)
{
	struct cw_handle_reading *reading = &handle->reading;
	uint32_t left = cw_min_u32(reading->burst_end - reading->burst_next, capacity);

	if (!handle->is_activated)
		return refuse(handle);
	if (capacity == 0)
		return 0;
	if (left) {
		if (is_closing(handle))
			return CW_NEXT_CLOSED;
		memcpy(packets, reading->burst + reading->burst_next, left * sizeof(*packets));
		reading->burst_next += left;
		return truncate_all(reading, packets, (int)left);
	}
	return truncate_all(reading, packets,
			    fill(handle, packets, cw_min_u32(capacity, SPAN_RECORDS)));
}

int cw_handle_read(struct cw_handle *handle, void *buffer, size_t bytes, struct cw_packet *packet)
{
	int result = cw_handle_next(handle, packet);

	if (result != CW_NEXT_OK)
		return result;
	packet->options_bytes = 0; /* options are not copied */
	packet->caplen = (uint32_t)cw_min_size(packet->caplen, bytes);
	if (packet->caplen)
		memcpy(buffer, packet->data, packet->caplen);
	packet->data = buffer;
	return CW_NEXT_OK;
}
