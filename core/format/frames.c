/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/format/frames.h"

#include <stdlib.h>
#include <unistd.h>

#include <zstd.h>

#define TABLE_MAGIC 0x184D2A5Eu
#define SEEKABLE_MAGIC 0x8F92EAB1u
#define SKIPPABLE_HEADER_BYTES 8u
#define FOOTER_BYTES 9u
#define ENTRY_BYTES 8u
#define FRAME_BYTES_MIN 9u
#define TABLE_BYTES_MAX ((size_t)16 << 20)
#define WINDOW_LOG_MAX 27   /* a stream refuses more */
#define AHEAD_WINDOW_LOG 23 /* more costs each thread memory */

static uint32_t get_u32(const uint8_t *from)
{
	return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static uint8_t *put_u32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		*to++ = (uint8_t)(value >> 8 * i); /* little-endian on every machine */
	return to;
}

/* ---- the table ---- */

size_t cw_frames_table_bytes(uint32_t frame_count)
{
	return SKIPPABLE_HEADER_BYTES + (size_t)frame_count * ENTRY_BYTES + FOOTER_BYTES;
}

void cw_frames_table(const uint32_t *sizes, uint32_t frame_count, uint8_t *table)
{
	table = put_u32(table, TABLE_MAGIC);
	table = put_u32(table, (uint32_t)(frame_count * ENTRY_BYTES + FOOTER_BYTES));
	for (uint32_t i = 0; i < 2 * frame_count; i++)
		table = put_u32(table, sizes[i]);
	table = put_u32(table, frame_count);
	*table++ = 0; /* no checksums in the table: each frame has one */
	put_u32(table, SEEKABLE_MAGIC);
}

/* Fills the places from entries of `entry_bytes`. Returns whether they tile the file's first
 * `packed_bytes`. */
static bool fill_places(struct cw_frames *frames, const uint8_t *entries, size_t entry_bytes,
			uint64_t packed_bytes)
{
	struct cw_frames_place at = {0};

	for (uint32_t i = 0; i < frames->count; i++, entries += entry_bytes) {
		const uint32_t packed = get_u32(entries), plain = get_u32(entries + 4);

		if (packed < FRAME_BYTES_MIN || plain > CW_FRAMES_CONTENT_MAX ||
		    packed > ZSTD_COMPRESSBOUND(CW_FRAMES_CONTENT_MAX))
			return false;
		frames->places[i] = at;
		at.packed_at += packed;
		at.plain_at += plain;
	}
	frames->places[frames->count] = at;
	return at.packed_at == packed_bytes;
}

struct cw_frames *cw_frames_read(int fd, uint64_t file_bytes)
{
	struct cw_frames *frames = NULL;
	uint8_t footer[FOOTER_BYTES], *table;
	size_t entry_bytes, table_bytes;
	uint32_t count;

	if (file_bytes < FOOTER_BYTES ||
	    pread(fd, footer, FOOTER_BYTES, (off_t)(file_bytes - FOOTER_BYTES)) != FOOTER_BYTES)
		return NULL;
	count = get_u32(footer);
	if (get_u32(footer + 5) != SEEKABLE_MAGIC || footer[4] & 0x7C || !count)
		return NULL;
	entry_bytes = ENTRY_BYTES + (footer[4] & 0x80 ? 4 : 0);
	table_bytes = SKIPPABLE_HEADER_BYTES + count * entry_bytes + FOOTER_BYTES;
	if (table_bytes > TABLE_BYTES_MAX || table_bytes > file_bytes)
		return NULL;
	table = malloc(table_bytes);
	if (!table)
		return NULL;
	if (pread(fd, table, table_bytes, (off_t)(file_bytes - table_bytes)) ==
		(ssize_t)table_bytes &&
	    get_u32(table) == TABLE_MAGIC &&
	    get_u32(table + 4) == table_bytes - SKIPPABLE_HEADER_BYTES)
		frames = malloc(sizeof(*frames) + ((size_t)count + 1) * sizeof(*frames->places));
	if (frames) {
		frames->count = count;
		if (!fill_places(frames, table + SKIPPABLE_HEADER_BYTES, entry_bytes,
				 file_bytes - table_bytes)) {
			free(frames);
			frames = NULL;
		}
	}
	free(table);
	return frames;
}

uint32_t cw_frames_find(const struct cw_frames *frames, uint64_t plain_at)
{
	uint32_t low = 0, high = frames->count; /* the first one that ends after the byte */

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (frames->places[middle + 1].plain_at > plain_at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* ---- unpacking ---- */

struct cw_unpacker {
	ZSTD_DCtx *context;
};

struct cw_unpacker *cw_unpacker_new(void)
{
	struct cw_unpacker *unpacker = malloc(sizeof(*unpacker));

	if (!unpacker)
		return NULL;
	unpacker->context = ZSTD_createDCtx();
	if (unpacker->context && !ZSTD_isError(ZSTD_DCtx_setParameter(
				     unpacker->context, ZSTD_d_windowLogMax, AHEAD_WINDOW_LOG)))
		return unpacker;
	cw_unpacker_free(unpacker);
	return NULL;
}

void cw_unpacker_free(struct cw_unpacker *unpacker)
{
	if (!unpacker)
		return;
	ZSTD_freeDCtx(unpacker->context);
	free(unpacker);
}

/* Returns the bytes of a frame that a stream would take too; 0: it is none. */
static size_t frame_bytes(const uint8_t *from, size_t left)
{
	size_t bytes;

	if (left < 6 || get_u32(from) != ZSTD_MAGICNUMBER)
		return 0;
	if (!(from[4] & 0x20) && 10 + (from[5] >> 3) >= WINDOW_LOG_MAX)
		return 0;
	bytes = ZSTD_findFrameCompressedSize(from, left);
	return ZSTD_isError(bytes) ? 0 : bytes;
}

/* Returns whether each frame is exactly where the table says, with the promised content. */
static bool unpack_frames(const struct cw_packed *packed, ZSTD_DCtx *context)
{
	const struct cw_frames_place *first = packed->places;

	for (const struct cw_frames_place *place = first; place < first + packed->count; place++) {
		const uint8_t *from = packed->packed + (place->packed_at - first->packed_at);
		uint8_t *to = packed->plain + (place->plain_at - first->plain_at);
		const size_t bytes = (size_t)(place[1].packed_at - place->packed_at);
		const size_t plain_bytes = (size_t)(place[1].plain_at - place->plain_at);

		if (frame_bytes(from, bytes) != bytes ||
		    ZSTD_decompressDCtx(context, to, plain_bytes, from, bytes) != plain_bytes)
			return false;
	}
	return true;
}

/* Unpacks the next frame's beginning. Returns its bytes: fewer, or none, if it is damaged. */
static size_t unpack_ahead(const struct cw_packed *packed, ZSTD_DCtx *context)
{
	ZSTD_inBuffer in = {packed->packed + packed->packed_bytes, packed->next_bytes, 0};
	ZSTD_outBuffer out = {packed->plain + packed->plain_bytes, packed->ahead_bytes, 0};
	size_t made, result = 1;

	ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
	while (result && out.pos < out.size && in.pos < in.size) {
		made = out.pos;
		result = ZSTD_decompressStream(context, &out, &in);
		if (ZSTD_isError(result))
			return made;
	}
	return out.pos;
}

void cw_segment_unpack(struct cw_segment *segment, struct cw_unpacker *unpacker)
{
	const struct cw_packed *packed = segment->packed;
	size_t bytes;

	if (!packed)
		return;
	segment->packed = NULL;
	segment->span.data = packed->plain + packed->skipped;
	segment->span.bytes = 0;
	if (!unpack_frames(packed, unpacker->context)) {
		segment->is_at_end = false;
		return;
	}
	bytes = packed->plain_bytes + unpack_ahead(packed, unpacker->context);
	segment->span.bytes = bytes - packed->skipped;
}
