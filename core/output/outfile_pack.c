/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stream fills a frame. A full frame is submitted, and written when it is done and all earlier
 * frames are written. If the file is truncated within a frame after a failure, the disk gets the
 * first part as a short frame. If the stream continues, that frame is filled up and written again
 * over the short one, so that frame boundaries stay the same.
 */
#include "core/output/outfile_pack.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/format/frames.h"

#define TABLE_FRAMES_MAX (UINT32_MAX / 16) /* most frames in a table */

struct cw_packer {
	struct cw_frame *filling; /* the frame that fills; NULL: none since the last full frame */
	struct cw_frame **flying; /* submitted frames, oldest first; room for options.in_flight */
	uint32_t flying_count;
	uint32_t extra_count; /* reservations of cw_pack_take_extra_any */
	uint32_t *sizes;      /* a pair per frame on the disk: packed bytes, plain bytes */
	uint32_t frame_count; /* complete frames on the disk */
	uint32_t frame_capacity;
	uint64_t plain_start;  /* plain bytes in the complete frames on the disk */
	uint64_t packed_start; /* packed bytes of these frames: offset of the next frame */
	size_t stable_bytes;   /* plain bytes of the next frame, on the disk as a short frame */
	size_t short_bytes;    /* packed bytes of the short frame */
	uint64_t taken;        /* plain bytes taken */
	bool is_finished;
	bool has_rest;      /* a part of the table that could not be cut off follows the frames */
	size_t table_bytes; /* bytes of the table on the disk */
};

static struct cw_packer *packer_of(struct cw_outfile *file)
{
	struct cw_packer *packer = file->packer;
	const struct cw_pack_options *options = cw_pack_options(file->options.pack);

	if (packer)
		return packer;
	packer = calloc(1, sizeof(*packer));
	if (!packer)
		return NULL;
	packer->flying = calloc(options->in_flight, sizeof(struct cw_frame *));
	if (!packer->flying) {
		free(packer);
		return NULL;
	}
	file->packer = packer;
	return packer;
}

static int write_at(struct cw_outfile *file, const uint8_t *data, size_t bytes, uint64_t offset)
{
	struct iovec vector = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
	int failure;

	cw_outfile_write_plain(file, &vector, 1, offset, &failure);
	return failure;
}

static int note_frame(struct cw_packer *packer, const struct cw_frame *frame)
{
	if (packer->frame_count == packer->frame_capacity) {
		uint32_t capacity = packer->frame_capacity ? 2 * packer->frame_capacity : 16;
		uint32_t *grown = realloc(packer->sizes, 2 * (size_t)capacity * sizeof(*grown));

		if (!grown)
			return CW_PACK_FAILED;
		packer->sizes = grown;
		packer->frame_capacity = capacity;
	}
	packer->sizes[2 * packer->frame_count] = (uint32_t)frame->packed_bytes;
	packer->sizes[2 * packer->frame_count + 1] = (uint32_t)frame->plain_bytes;
	packer->frame_count++;
	return 0;
}

/* Writes a done, complete frame after the others. */
static int write_frame(struct cw_outfile *file, const struct cw_frame *frame)
{
	struct cw_packer *packer = file->packer;
	int failure = frame->failure;

	if (!failure)
		failure = write_at(file, frame->packed, frame->packed_bytes, packer->packed_start);
	if (!failure)
		failure = note_frame(packer, frame);
	if (failure)
		return failure;
	packer->plain_start += frame->plain_bytes;
	packer->packed_start += frame->packed_bytes;
	packer->stable_bytes = packer->short_bytes = 0;
	return 0;
}

/* Waits for the oldest submitted frame and writes it. After a failure it stays the oldest. */
static int land_oldest(struct cw_outfile *file)
{
	struct cw_packer *packer = file->packer;
	struct cw_frame *frame = packer->flying[0];
	int failure;

	cw_pack_wait(frame);
	failure = write_frame(file, frame);
	if (failure)
		return failure;
	cw_pack_give_back_any(frame);
	if (packer->extra_count) {
		packer->extra_count--;
		cw_pack_give_extra_back_any(file->options.pack, 1);
	}
	packer->flying_count--;
	memmove(packer->flying, packer->flying + 1,
		packer->flying_count * sizeof(struct cw_frame *));
	return 0;
}

/* Writes the done frames. With `all`, waits for the others and writes them too. */
static int land(struct cw_outfile *file, bool all)
{
	struct cw_packer *packer = file->packer;
	int failure = 0;

	while (!failure && packer->flying_count && (all || cw_pack_is_done(packer->flying[0])))
		failure = land_oldest(file);
	return failure;
}

/* Takes a frame to fill. If none is free, waits for this file's oldest frame. */
static int begin_frame(struct cw_outfile *file)
{
	struct cw_packer *packer = file->packer;
	int failure = 0;

	while (!packer->filling && !failure) {
		bool has_one = packer->flying_count > 0;

		if (has_one && !cw_pack_take_extra_any(file->options.pack)) {
			failure = land_oldest(file);
			continue;
		}
		packer->extra_count += has_one;
		packer->filling = cw_pack_take_any(file->options.pack);
		if (!packer->filling)
			failure = CW_PACK_FAILED;
	}
	return failure;
}

static int submit_full(struct cw_outfile *file)
{
	struct cw_packer *packer = file->packer;
	int failure = 0;

	if (packer->flying_count == cw_pack_options(file->options.pack)->in_flight)
		failure = land_oldest(file);
	if (failure)
		return failure;
	packer->flying[packer->flying_count++] = packer->filling;
	cw_pack_submit(packer->filling);
	packer->filling = NULL;
	return 0;
}

size_t cw_outfile_pack_write(struct cw_outfile *file, const struct iovec *vectors, int count,
			     uint64_t offset, int *failure)
{
	struct cw_packer *packer = packer_of(file);
	size_t total = 0;

	*failure = packer ? 0 : CW_PACK_FAILED;
	if (packer && (offset != packer->taken || packer->is_finished))
		*failure = -EINVAL;
	if (!*failure)
		*failure = land(file, false);
	for (int i = 0; i < count && !*failure; i++) {
		const uint8_t *from = vectors[i].iov_base;
		size_t left = vectors[i].iov_len;

		while (left && !*failure) {
			struct cw_frame *frame;
			size_t part;

			*failure = begin_frame(file);
			if (*failure)
				break;
			frame = packer->filling;
			part = cw_min_size(left, CW_PACK_FRAME_BYTES - frame->plain_bytes);
			memcpy(frame->plain + frame->plain_bytes, from, part);
			frame->plain_bytes += part;
			packer->taken += part;
			total += part;
			from += part;
			left -= part;
			if (frame->plain_bytes == CW_PACK_FRAME_BYTES)
				*failure = submit_full(file);
		}
	}
	return total;
}

uint64_t cw_outfile_pack_reached(const struct cw_outfile *file)
{
	const struct cw_packer *packer = file->packer;

	return packer ? packer->plain_start + packer->stable_bytes : 0;
}

uint64_t cw_outfile_pack_file_bytes(const struct cw_outfile *file)
{
	const struct cw_packer *packer = file->packer;

	return packer ? packer->packed_start + packer->short_bytes + packer->table_bytes : 0;
}

/* Writes the table, which only seeking readers need. Returns a failure only if a part of the table
 * may be in the file. */
static int write_table(struct cw_outfile *file)
{
	struct cw_packer *packer = file->packer;
	size_t bytes = cw_frames_table_bytes(packer->frame_count);
	uint8_t *table = packer->frame_count < TABLE_FRAMES_MAX ? malloc(bytes) : NULL;
	int failure = table ? 0 : -ENOMEM;

	if (table) {
		cw_frames_table(packer->sizes, packer->frame_count, table);
		failure = write_at(file, table, bytes, packer->packed_start);
		free(table);
	}
	if (!failure) {
		packer->table_bytes = bytes;
		return 0;
	}
	if (file->entry.kind == CW_ENTRY_REGULAR &&
	    cw_outfile_truncate(file, packer->packed_start) == 0) {
		file->flaw = "its seek table was not written";
		file->flaw_failure = failure;
		return 0;
	}
	packer->has_rest = true;
	return failure;
}

int cw_outfile_pack_finish(struct cw_outfile *file)
{
	struct cw_packer *packer = file->packer;
	int failure;

	if (!packer || packer->is_finished)
		return packer && packer->has_rest ? -EIO : 0;
	failure = land(file, true);
	if (!failure && packer->stable_bytes &&
	    packer->filling->plain_bytes == packer->stable_bytes) {
		/* Nothing was written since a truncation: the short frame is the last one. */
		failure = note_frame(packer, packer->filling);
		packer->plain_start += packer->stable_bytes;
		packer->packed_start += packer->short_bytes;
		packer->stable_bytes = packer->short_bytes = 0;
	} else if (!failure && packer->filling && packer->filling->plain_bytes) {
		struct cw_frame *frame = packer->filling;

		cw_pack_submit(frame);
		cw_pack_wait(frame);
		failure = write_frame(file, frame);
		cw_pack_refill(frame); /* after a failure the file is truncated within it */
	}
	if (failure)
		return failure;
	if (packer->filling)
		cw_pack_give_back_any(packer->filling);
	packer->filling = NULL;
	cw_pack_give_extra_back_any(file->options.pack, packer->extra_count);
	packer->extra_count = 0;
	packer->is_finished = true;
	return write_table(file);
}

/* ---- after a failure ---- */

void cw_outfile_pack_drop(struct cw_outfile *file)
{
	struct cw_packer *packer = file->packer;

	if (!packer || packer->is_finished)
		return;
	/* Keep the oldest frame: its first part may be on the disk as a short frame. */
	if (packer->flying_count && packer->filling) {
		cw_pack_give_back_any(packer->filling);
		packer->filling = NULL;
	}
	for (uint32_t i = 0; i < packer->flying_count; i++) {
		cw_pack_wait(packer->flying[i]); /* another thread may be compressing it */
		if (i)
			cw_pack_give_back_any(packer->flying[i]);
	}
	if (packer->flying_count) {
		packer->filling = packer->flying[0];
		cw_pack_refill(packer->filling);
	}
	packer->flying_count = 0;
	cw_pack_give_extra_back_any(file->options.pack, packer->extra_count);
	packer->extra_count = 0;
	if (packer->filling)
		packer->filling->plain_bytes = packer->stable_bytes;
	packer->taken = packer->plain_start + packer->stable_bytes;
}

/* Reads a frame from the disk and decompresses it. */
static int load_frame(struct cw_outfile *file, uint32_t index, uint64_t packed_offset,
		      uint8_t *plain)
{
	size_t bytes = file->packer->sizes[2 * index];
	uint8_t *packed = malloc(bytes);
	int64_t got = -ENOMEM;

	if (packed && cw_outfile_read_plain(file, packed, bytes, packed_offset) == (int64_t)bytes)
		got = cw_pack_unpack(packed, bytes, plain);
	free(packed);
	if (got >= 0 && (uint64_t)got != file->packer->sizes[2 * index + 1])
		got = -EBADMSG;
	return got < 0 ? (int)got : 0;
}

int64_t cw_outfile_pack_read(struct cw_outfile *file, uint8_t *buffer, size_t bytes,
			     uint64_t offset)
{
	const struct cw_packer *packer = file->packer;
	uint8_t *plain = malloc(CW_PACK_FRAME_BYTES);
	uint64_t plain_at = 0, packed_at = 0;
	size_t total = 0;
	int failure = plain ? 0 : -ENOMEM;

	for (uint32_t i = 0; packer && i < packer->frame_count && total < bytes && !failure; i++) {
		uint64_t end = plain_at + packer->sizes[2 * i + 1];

		if (offset + total < end) {
			size_t part = cw_min_size(bytes - total, end - offset - total);

			failure = load_frame(file, i, packed_at, plain);
			if (!failure)
				memcpy(buffer + total, plain + (offset + total - plain_at), part);
			total += part;
		}
		plain_at = end;
		packed_at += packer->sizes[2 * i];
	}
	/* The content of the short frame is also in memory. */
	if (!failure && packer && total < bytes && offset + total >= packer->plain_start &&
	    offset + total < packer->plain_start + packer->stable_bytes) {
		size_t from = offset + total - packer->plain_start;
		size_t part = cw_min_size(bytes - total, packer->stable_bytes - from);

		const struct cw_frame *frame =
		    packer->flying_count ? packer->flying[0] : packer->filling;

		memcpy(buffer + total, frame->plain + from, part);
		total += part;
	}
	free(plain);
	return failure ? failure : (int64_t)total;
}

/* The next frame after `frame_count` complete ones. */
struct place {
	uint32_t frame_count;
	uint64_t plain_start, packed_start;
};

/* Returns the place of the frame that holds offset `bytes`. */
static struct place find_place(const struct cw_packer *packer, uint64_t bytes)
{
	struct place place = {packer->frame_count, packer->plain_start, packer->packed_start};

	while (place.plain_start > bytes) {
		place.frame_count--;
		place.packed_start -= packer->sizes[2 * place.frame_count];
		place.plain_start -= packer->sizes[2 * place.frame_count + 1];
	}
	return place;
}

/* Continues at `place` with the frame being filled, which is on the disk as a short frame. */
static void go_back(struct cw_packer *packer, const struct place *place)
{
	packer->frame_count = place->frame_count;
	packer->plain_start = place->plain_start;
	packer->packed_start = place->packed_start;
	packer->stable_bytes = packer->filling->plain_bytes;
	packer->short_bytes = packer->filling->packed_bytes;
}

/* Writes a complete frame again, after writing over it failed. Returns whether it is on the disk:
 * if this fails too, as it does on a broken disk, often not a byte of it has changed. */
static bool put_back(struct cw_outfile *file, const uint8_t *complete, size_t bytes,
		     uint64_t offset)
{
	uint8_t *found = file->packer->filling->packed; /* not needed any more */

	return write_at(file, complete, bytes, offset) == 0 ||
	       (cw_outfile_read_plain(file, found, bytes, offset) == (int64_t)bytes &&
		memcmp(found, complete, bytes) == 0);
}

/*
 * Writes the short frame at `place`, over a complete one unless it is the last place. After a
 * failure the complete frame is on the disk as before; if it cannot be put back, the file ends
 * before it.
 */
static int write_short(struct cw_outfile *file, const struct place *place)
{
	struct cw_packer *packer = file->packer;
	struct cw_frame *frame = packer->filling;
	bool is_over = place->frame_count < packer->frame_count;
	size_t bytes = is_over ? packer->sizes[2 * place->frame_count] : 0;
	uint8_t *complete = malloc(bytes + 1);
	int failure = complete ? 0 : -ENOMEM;
	int64_t got = 0;

	if (!failure && is_over)
		got = cw_outfile_read_plain(file, complete, bytes, place->packed_start);
	if (!failure && got != (int64_t)bytes)
		failure = got < 0 ? (int)got : -EIO;
	if (!failure) {
		failure = write_at(file, frame->packed, frame->packed_bytes, place->packed_start);
		/* Some bytes may have been written even if none were counted. */
		if (failure && is_over && !put_back(file, complete, bytes, place->packed_start)) {
			frame->plain_bytes = frame->packed_bytes = 0;
			go_back(packer, place);
		}
	}
	free(complete);
	return failure;
}

/* Makes the first `bytes` of the stream the file's content. The frames on the disk stay as they
 * are until the frame that replaces the last of them is compressed. */
static int cut_frames(struct cw_outfile *file, uint64_t bytes)
{
	struct cw_packer *packer = file->packer;
	const struct place place = find_place(packer, bytes);
	struct cw_frame *frame = packer->filling;
	int failure = 0;

	if (place.frame_count < packer->frame_count) {
		packer->stable_bytes = packer->short_bytes = 0; /* the short frame is cut off */
		failure = load_frame(file, place.frame_count, place.packed_start, frame->plain);
	}
	frame->plain_bytes = failure ? 0 : (size_t)(bytes - place.plain_start);
	frame->packed_bytes = 0;
	if (frame->plain_bytes) {
		cw_pack_submit(frame);
		cw_pack_wait(frame);
		cw_pack_refill(frame);
		failure = frame->failure ? frame->failure : write_short(file, &place);
	}
	if (!failure)
		go_back(packer, &place);
	frame->plain_bytes = packer->stable_bytes;
	return failure;
}

int cw_outfile_pack_cut(struct cw_outfile *file, uint64_t bytes)
{
	struct cw_packer *packer = packer_of(file);
	bool is_at_end = packer && packer->is_finished && bytes == packer->plain_start;
	int failure = packer ? 0 : CW_PACK_FAILED;

	if (!failure && !is_at_end) {
		packer->is_finished = false;
		packer->table_bytes = 0;
		cw_outfile_pack_drop(file);
		if (bytes > packer->taken)
			return -EINVAL;
		failure = begin_frame(file);
		if (!failure)
			failure = cut_frames(file, bytes);
		packer->taken = packer->plain_start + packer->stable_bytes;
	}
	if (packer) {
		int result = cw_outfile_truncate(file, packer->packed_start + packer->short_bytes +
							   packer->table_bytes);

		failure = failure ? failure : result;
	}
	if (!failure)
		packer->has_rest = false;
	return failure;
}

void cw_outfile_pack_free(struct cw_outfile *file)
{
	struct cw_packer *packer = file->packer;

	if (!packer)
		return;
	cw_outfile_pack_drop(file);
	if (packer->filling)
		cw_pack_give_back_any(packer->filling);
	free(packer->flying);
	free(packer->sizes);
	free(packer);
	file->packer = NULL;
}
