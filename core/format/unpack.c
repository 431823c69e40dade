/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gzip: one or more members; zeros after a member are padding, other bytes are damage.
 * zstd: frames and skippable frames; other bytes after them are damage, as zstd says.
 */
#include "core/format/unpack.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define PACKED_BYTES ((size_t)256 << 10)
#define GZIP_WINDOW_BITS (15 + 16) /* 16: gzip frames only */

struct cw_unpack {
	int fd;
	int wake_fd;
	int idle_ms; /* longest wait for input, ms; -1: no limit */
	enum cw_packing packing;
	bool is_known;       /* `packing` is set */
	bool is_at_end;      /* the descriptor is at its end */
	bool is_in_frame;    /* between the first and the last byte of a member or frame */
	bool is_output_left; /* the last call filled its room: there may be output without input */
	bool is_damaged;     /* gzip: the last call found damage after its output */
	size_t head;         /* index in packed[] of the next byte to use */
	size_t filled;       /* bytes in packed[] */
	uint64_t consumed;   /* compressed bytes used */
	z_stream gzip;
	ZSTD_DStream *zstd;
	size_t zstd_asks; /* input bytes that zstd asks for next; 0 between frames */
	uint8_t packed[PACKED_BYTES];
};

enum cw_packing cw_packing_of(const uint8_t *magic, size_t bytes)
{
	if (bytes < CW_PACKING_MAGIC_BYTES)
		return CW_PACKING_NONE;
	if (magic[0] == 0x1F && magic[1] == 0x8B && magic[2] == 8)
		return CW_PACKING_GZIP;
	if (magic[0] == 0x28 && magic[1] == 0xB5 && magic[2] == 0x2F && magic[3] == 0xFD)
		return CW_PACKING_ZSTD;
	if ((magic[0] & 0xF0) == 0x50 && magic[1] == 0x2A && magic[2] == 0x4D && magic[3] == 0x18)
		return CW_PACKING_ZSTD; /* starts with a skippable frame */
	return CW_PACKING_NONE;
}

struct cw_unpack *cw_unpack_new(int fd, int wake_fd)
{
	struct cw_unpack *unpack = malloc(sizeof(*unpack));

	if (!unpack)
		return NULL;
	memset(unpack, 0, offsetof(struct cw_unpack, packed));
	unpack->fd = fd;
	unpack->wake_fd = wake_fd;
	unpack->idle_ms = -1;
	return unpack;
}

/* Reads as read() does, but also waits for wake_fd. Returns bytes, 0 at the end, or -errno;
 * -ETIME after `idle_ms` without input. */
static int64_t read_awake(struct cw_unpack *unpack, uint8_t *to, size_t room)
{
	struct pollfd waits[2] = {{.fd = unpack->fd, .events = POLLIN},
				  {.fd = unpack->wake_fd, .events = POLLIN}};
	ssize_t got;

	for (;;) {
		int ready = poll(waits, 2, unpack->idle_ms);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return ready ? -errno : -ETIME;
		if (waits[1].revents)
			return -EINTR;
		if (!waits[0].revents)
			continue;
		got = read(unpack->fd, to, room);
		if (got >= 0)
			return got;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

/* Appends input to packed[], which the caller knows is not full. */
static int refill(struct cw_unpack *unpack)
{
	int64_t got;

	got = read_awake(unpack, unpack->packed + unpack->filled, PACKED_BYTES - unpack->filled);
	if (got < 0)
		return (int)got;
	if (!got)
		unpack->is_at_end = true;
	unpack->filled += (size_t)got;
	return 0;
}

static int find_packing(struct cw_unpack *unpack, struct cw_error *error)
{
	int result;

	while (unpack->filled < CW_PACKING_MAGIC_BYTES && !unpack->is_at_end) {
		result = refill(unpack);
		if (result)
			return cw_error_set_errno(error, result, "cannot read");
	}
	unpack->packing = cw_packing_of(unpack->packed, unpack->filled);
	if (unpack->packing == CW_PACKING_GZIP &&
	    inflateInit2(&unpack->gzip, GZIP_WINDOW_BITS) != Z_OK)
		return cw_error_set_errno(error, -ENOMEM, "cannot decompress gzip");
	if (unpack->packing == CW_PACKING_ZSTD && !(unpack->zstd = ZSTD_createDStream()))
		return cw_error_set_errno(error, -ENOMEM, "cannot decompress zstd");
	unpack->is_known = true;
	return 0;
}

static int64_t read_plain(struct cw_unpack *unpack, uint8_t *to, size_t room,
			  struct cw_error *error)
{
	size_t here = cw_min_size(unpack->filled - unpack->head, room);
	int64_t got = (int64_t)here;

	if (here) {
		memcpy(to, unpack->packed + unpack->head, here);
		unpack->head += here;
	} else if (unpack->is_at_end) {
		return 0;
	} else {
		got = read_awake(unpack, to, room);
		if (got < 0)
			return cw_error_set_errno(error, (int)got, "cannot read");
		unpack->is_at_end = !got;
	}
	unpack->consumed += (uint64_t)got;
	return got;
}

/* Calls inflate once. Returns the bytes of output, or a negative errno. */
static int64_t step_gzip(struct cw_unpack *unpack, uint8_t *to, size_t room, struct cw_error *error)
{
	z_stream *gzip = &unpack->gzip;
	const uint8_t *from = unpack->packed + unpack->head;
	int result;

	if (!unpack->is_in_frame) {
		if (from[0] != 0x1F || unpack->filled - unpack->head < 2 || from[1] != 0x8B)
			return cw_error_set(error, -EBADMSG,
					    "the bytes after byte %llu are neither gzip data nor "
					    "padding; they are not read",
					    (unsigned long long)unpack->consumed);
		if (inflateReset(gzip) != Z_OK)
			return cw_error_set(error, -EBADMSG, "cannot start a gzip member");
		unpack->is_in_frame = true;
	}
	gzip->next_in = unpack->packed + unpack->head;
	gzip->avail_in = (uInt)(unpack->filled - unpack->head);
	gzip->next_out = to;
	gzip->avail_out = (uInt)room;
	result = inflate(gzip, Z_NO_FLUSH);
	unpack->consumed += unpack->filled - unpack->head - gzip->avail_in;
	unpack->head = unpack->filled - gzip->avail_in;
	if (result == Z_STREAM_END)
		unpack->is_in_frame = false;
	else if (result == Z_MEM_ERROR)
		return cw_error_set_errno(error, -ENOMEM, "cannot decompress gzip");
	unpack->is_damaged = result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END;
	if (unpack->is_damaged && room == gzip->avail_out)
		return cw_error_set(error, -EBADMSG, "the gzip data is damaged near byte %llu: %s",
				    (unsigned long long)unpack->consumed,
				    gzip->msg ? gzip->msg : "unknown reason");
	return (int64_t)(room - gzip->avail_out);
}

/*
 * Decompresses one block, with the input size that zstd asks for. After an error zstd does not
 * report the good output of that call, so a call must not span a good block and a bad one. Output
 * that had no room in the last call is taken alone, for the same reason.
 */
static int64_t step_zstd(struct cw_unpack *unpack, uint8_t *to, size_t room, struct cw_error *error)
{
	size_t asked = unpack->zstd_asks ? unpack->zstd_asks : 1;
	size_t present =
	    unpack->is_output_left ? 0 : cw_min_size(unpack->filled - unpack->head, asked);
	ZSTD_inBuffer in = {unpack->packed + unpack->head, present, 0};
	ZSTD_outBuffer out = {to, room, 0};
	size_t result = ZSTD_decompressStream(unpack->zstd, &out, &in);

	if (ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge)
		return cw_error_set(error, -EPROTONOSUPPORT,
				    "cannot decompress zstd: the data needs a window of more than "
				    "128 MiB. Use zstd -dc --long=31 FILE | capweir split -r -");
	if (ZSTD_isError(result))
		return cw_error_set(error, -EBADMSG, "the zstd data is damaged near byte %llu: %s",
				    (unsigned long long)unpack->consumed,
				    ZSTD_getErrorName(result));
	unpack->consumed += in.pos;
	unpack->head += in.pos;
	unpack->zstd_asks = result;
	unpack->is_in_frame = result != 0;
	return (int64_t)out.pos;
}

/* Skips the padding after a gzip member. Returns the bytes in packed[] left to use. */
static size_t skip_padding(struct cw_unpack *unpack)
{
	bool is_between =
	    unpack->packing == CW_PACKING_GZIP && !unpack->is_in_frame && unpack->consumed;

	while (is_between && unpack->head < unpack->filled && !unpack->packed[unpack->head]) {
		unpack->head++;
		unpack->consumed++;
	}
	return unpack->filled - unpack->head;
}

/* Moves the unused bytes to the start of packed[] and reads more after them. */
static int refill_packed(struct cw_unpack *unpack, struct cw_error *error)
{
	size_t present = unpack->filled - unpack->head;
	int result;

	memmove(unpack->packed, unpack->packed + unpack->head, present);
	unpack->head = 0;
	unpack->filled = present;
	result = refill(unpack);
	return result ? cw_error_set_errno(error, result, "cannot read") : 0;
}

static int64_t read_packed(struct cw_unpack *unpack, uint8_t *to, size_t room,
			   struct cw_error *error)
{
	bool is_gzip = unpack->packing == CW_PACKING_GZIP;
	int64_t made;
	int result;

	room = cw_min_size(room, INT32_MAX);
	for (;;) {
		size_t present = skip_padding(unpack);
		/* Two bytes distinguish a gzip member from other bytes after a member. */
		size_t least = is_gzip && !unpack->is_in_frame && !unpack->is_at_end ? 2 : 1;

		if (present >= least || unpack->is_output_left || unpack->is_damaged) {
			made = is_gzip ? step_gzip(unpack, to, room, error)
				       : step_zstd(unpack, to, room, error);
			unpack->is_output_left = made == (int64_t)room && unpack->is_in_frame;
			if (made)
				return made;
			if (unpack->filled != unpack->head)
				continue;
		}
		if (unpack->is_at_end) {
			if (!unpack->is_in_frame)
				return 0;
			return cw_error_set(
			    error, -EBADMSG, "truncated: the %s data ends early, after %llu bytes",
			    is_gzip ? "gzip" : "zstd", (unsigned long long)unpack->consumed);
		}
		result = refill_packed(unpack, error);
		if (result)
			return result;
	}
}

int64_t cw_unpack_read(struct cw_unpack *unpack, uint8_t *to, size_t room, struct cw_error *error)
{
	int result;

	if (!unpack->is_known) {
		result = find_packing(unpack, error);
		if (result)
			return result;
	}
	if (unpack->packing == CW_PACKING_NONE)
		return read_plain(unpack, to, room, error);
	return read_packed(unpack, to, room, error);
}

int cw_unpack_restart(struct cw_unpack *unpack, uint64_t at)
{
	if (lseek(unpack->fd, (off_t)at, SEEK_SET) < 0)
		return -errno;
	ZSTD_DCtx_reset(unpack->zstd, ZSTD_reset_session_only);
	unpack->is_at_end = unpack->is_in_frame = unpack->is_output_left = false;
	unpack->head = unpack->filled = unpack->zstd_asks = 0;
	unpack->consumed = at;
	return 0;
}

void cw_unpack_set_idle(struct cw_unpack *unpack, int idle_ms)
{
	unpack->idle_ms = idle_ms;
}

enum cw_packing cw_unpack_packing(const struct cw_unpack *unpack)
{
	return unpack->packing;
}

uint64_t cw_unpack_consumed(const struct cw_unpack *unpack)
{
	return unpack->consumed;
}

void cw_unpack_free(struct cw_unpack *unpack)
{
	if (!unpack)
		return;
	if (unpack->packing == CW_PACKING_GZIP)
		inflateEnd(&unpack->gzip);
	ZSTD_freeDStream(unpack->zstd);
	free(unpack);
}
