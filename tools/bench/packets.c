/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench/packets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/source/source.h"
#include "tools/bench/bench.h"

#define SPAN_BYTES ((size_t)1 << 20)
#define TOUCH_ROUNDS 9

/* Makes room for one more packet of `bytes`; this may move the memory. */
static int make_room(struct cw_bench_packets *packets, size_t bytes)
{
	size_t capacity = packets->byte_capacity ? packets->byte_capacity : SPAN_BYTES;

	if (packets->count == packets->capacity) {
		size_t count = packets->capacity ? 2 * packets->capacity : 1024;
		struct cw_packet *at = realloc(packets->at, count * sizeof(*at));
		uint64_t *numbers;

		if (!at)
			return -ENOMEM;
		packets->at = at;
		numbers = realloc(packets->numbers, count * sizeof(*numbers));
		if (!numbers)
			return -ENOMEM;
		packets->numbers = numbers;
		packets->capacity = count;
	}
	while (capacity - packets->byte_count < bytes)
		capacity *= 2;
	if (capacity != packets->byte_capacity) {
		uint8_t *moved = realloc(packets->bytes, capacity);

		if (!moved)
			return -ENOMEM;
		packets->bytes = moved;
		packets->byte_capacity = capacity;
	}
	return 0;
}

/* Returns whether packets of this interface (NULL: unknown) are kept. */
static bool is_wanted(struct cw_bench_packets *packets, const struct cw_iface *iface)
{
	if (iface && packets->count == 0)
		packets->first = *iface;
	return iface &&
	       (!packets->is_one_linktype || (iface->linktype == packets->first.linktype &&
					      iface->is_swapped == packets->first.is_swapped));
}

static int keep_span(struct cw_bench_packets *packets, const struct cw_span *span)
{
	struct cw_cursor cursor = {0};
	struct cw_packet packet;

	while (cw_span_decode(span, &cursor, &packet, 1) == 1) {
		const struct cw_iface *iface = NULL;

		packets->read_count++;
		if (packets->count == packets->count_max ||
		    packets->byte_count + packet.caplen > CW_BENCH_BYTES_MAX) {
			packets->is_cut = true;
			return 0;
		}
		if (!(packet.flags & CW_PACKET_MALFORMED))
			iface = cw_ifaces_at(span->layout.ifaces, packet.iface);
		if (!is_wanted(packets, iface)) {
			packets->left_out_count++;
			continue;
		}
		if (make_room(packets, packet.caplen) < 0)
			return -ENOMEM;
		if (packet.caplen)
			memcpy(packets->bytes + packets->byte_count, packet.data, packet.caplen);
		packet.iface = iface->linktype;
		packets->numbers[packets->count] = packets->read_count;
		packets->at[packets->count++] = packet;
		packets->byte_count += packet.caplen;
	}
	return 0;
}

/* Sets the packets' pointers, once the memory no longer moves. */
static void point_to_data(struct cw_bench_packets *packets)
{
	const uint8_t *data = packets->bytes;

	for (size_t index = 0; index < packets->count; index++) {
		packets->at[index].data = data;
		data += packets->at[index].caplen;
	}
}

int cw_bench_packets_read(struct cw_bench_packets *packets, const char *path)
{
	const struct cw_source_options options = {.wake_fd = -1, .linktype = packets->linktype};
	struct cw_error error = {0};
	struct cw_source *source;
	struct cw_ifaces ifaces;
	int result;

	cw_ifaces_init(&ifaces);
	result = cw_source_open(&source, path, &ifaces, &options, &error);
	if (result >= 0) {
		struct cw_lease lease;
		struct cw_span span;

		while (!packets->is_cut && (result = cw_source_next(source, SPAN_BYTES, UINT32_MAX,
								    &span, &lease, &error)) > 0) {
			result = keep_span(packets, &span);
			cw_lease_give_back(&lease);
			if (result < 0) {
				cw_error_set(&error, result, "out of memory");
				break;
			}
		}
		cw_source_close(source);
	}
	cw_ifaces_fini(&ifaces);
	point_to_data(packets);
	if (result < 0)
		cw_complain("%s", error.text);
	else if (packets->count == 0)
		cw_complain("%s: no packets to measure", path);
	return result < 0 || packets->count == 0 ? CW_EXIT_PROBLEM : 0;
}

void cw_bench_packets_fini(struct cw_bench_packets *packets)
{
	free(packets->at);
	free(packets->numbers);
	free(packets->bytes);
	*packets = (struct cw_bench_packets){0};
}

double cw_bench_touch_ns(const struct cw_packet *packets, size_t count)
{
	double rounds[TOUCH_ROUNDS];
	uint32_t sum = 0;
	int round;

	for (round = -1; round < TOUCH_ROUNDS; round++) {
		double start = cw_stage_now_ns();

		for (size_t index = 0; index < count; index++)
			sum += packets[index].caplen ? packets[index].data[0] : 0;
		__asm__ volatile("" : : "r"(sum));
		if (round >= 0)
			rounds[round] = (cw_stage_now_ns() - start) / (double)count;
	}
	cw_stage_sort(rounds, TOUCH_ROUNDS);
	return rounds[TOUCH_ROUNDS / 2];
}
