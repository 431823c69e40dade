/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What both fuzz targets of the reader do with an image: parse it whole and in pieces, decode every
 * span, touch every byte of every packet, and compare what the two ways gave. Aborts where they
 * differ or a packet leaves its span.
 */
#ifndef CW_TESTS_RIG_FEED_H
#define CW_TESTS_RIG_FEED_H

#include <errno.h>
#include <stdlib.h>

#include "core/format/pcapfile.h"

struct feed_sum {
	uint64_t packets;
	uint64_t hash;
	uint64_t places, skipped; /* of damage */
	int result;
};

static inline void feed_check(bool holds)
{
	if (!holds)
		abort();
}

static inline void feed_span(const struct cw_span *span, struct feed_sum *sum)
{
	struct cw_cursor cursor = {0};
	struct cw_packet packets[8];
	size_t count, i, n, total = 0;

	while ((count = cw_span_decode(span, &cursor, packets, 8)) > 0) {
		for (i = 0; i < count; i++) {
			const struct cw_packet *packet = &packets[i];
			const uint8_t *end = packet->data + packet->caplen;

			if (packet->options_bytes)
				end =
				    packet->data + cw_pad4(packet->caplen) + packet->options_bytes;
			feed_check(packet->data >= span->data && end <= span->data + span->bytes);
			feed_check(packet->iface < span->layout.ifaces->count ||
				   packet->flags & CW_PACKET_MALFORMED);
			sum->hash = sum->hash * 31 + packet->ts_ns + packet->wire_len +
				    packet->flags + packet->options_bytes;
			for (n = 0; n < (size_t)(end - packet->data); n++)
				sum->hash = sum->hash * 31 + packet->data[n];
		}
		total += count;
	}
	feed_check(total == span->record_count && cursor.offset == span->bytes);
	sum->packets += total;
}

/* `piece` 0: the whole at once; else that many more bytes whenever it asks. */
static inline void feed(const uint8_t *data, size_t bytes, size_t piece, bool resyncs,
			struct feed_sum *sum)
{
	struct cw_pcapfile_step step;
	struct cw_pcapfile file;
	struct cw_ifaces ifaces;
	struct cw_error error;
	size_t at = 0, shown = piece ? 0 : bytes;

	memset(sum, 0, sizeof(*sum));
	cw_ifaces_init(&ifaces);
	cw_pcapfile_init(&file, &ifaces, 0, CW_LINKTYPE_ANY);
	file.resync.is_on = resyncs;
	do {
		uint8_t *copy = malloc(shown - at + !(shown - at));

		memcpy(copy, data + at, shown - at);
		sum->result = cw_pcapfile_scan(
		    &file, &(struct cw_pcapfile_shown){copy, shown - at, shown == bytes},
		    &(struct cw_pcapfile_limits){piece ? 3 * piece : SIZE_MAX,
						 piece ? 5 : UINT32_MAX},
		    &step, &error);
		feed_check(step.consumed <= shown - at);
		if (sum->result == CW_PCAPFILE_SPAN) {
			feed_check(step.span.record_count > 0);
			feed_span(&step.span, sum);
		}
		if (sum->result == CW_PCAPFILE_MORE) {
			feed_check(step.needed > shown - at - step.consumed && shown < bytes);
			shown += cw_min_size(piece, bytes - shown);
		}
		at += step.consumed;
		feed_check(file.offset == at);
		free(copy);
	} while (sum->result > 0);
	feed_check(sum->result || at == bytes);
	feed_check(!resyncs || sum->result != -EBADMSG || at == bytes || !at);
	sum->places = file.resync.places;
	sum->skipped = file.resync.bytes;
	cw_ifaces_fini(&ifaces);
}

/* A span's bytes change after it was cut: decoding must stay inside. */
static inline void feed_changed(const uint8_t *data, size_t bytes)
{
	struct cw_pcapfile_step step;
	struct cw_packet packets[8];
	struct cw_cursor cursor = {0};
	struct cw_pcapfile file;
	struct cw_ifaces ifaces;
	struct cw_error error;
	uint8_t *copy;
	size_t count, i;

	cw_ifaces_init(&ifaces);
	cw_pcapfile_init(&file, &ifaces, 0, CW_LINKTYPE_ANY);
	if (cw_pcapfile_scan(&file, &(struct cw_pcapfile_shown){data, bytes, true},
			     &(struct cw_pcapfile_limits){SIZE_MAX, UINT32_MAX}, &step,
			     &error) == CW_PCAPFILE_SPAN) {
		copy = malloc(step.span.bytes);
		for (i = 0; i < step.span.bytes; i++)
			copy[i] = data[(bytes - 1 - i) % bytes] ^ (i % 3 ? step.span.data[i] : 0);
		step.span.data = copy;
		while ((count = cw_span_decode(&step.span, &cursor, packets, 8)) > 0)
			for (i = 0; i < count; i++)
				feed_check(packets[i].data >= copy &&
					   packets[i].data + packets[i].caplen <=
					       copy + step.span.bytes);
		free(copy);
	}
	cw_ifaces_fini(&ifaces);
}

static inline void feed_image(const uint8_t *data, size_t bytes, size_t piece)
{
	struct feed_sum whole, pieces;

	for (int resyncs = 0; resyncs < 2; resyncs++) {
		feed(data, bytes, 0, resyncs, &whole);
		feed(data, bytes, piece, resyncs, &pieces);
		feed_check(whole.packets == pieces.packets && whole.hash == pieces.hash &&
			   whole.result == pieces.result && whole.places == pieces.places &&
			   whole.skipped == pieces.skipped && whole.skipped <= bytes);
	}
	feed_changed(data, bytes);
}

#endif
