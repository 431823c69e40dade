/* SPDX-License-Identifier: BSD-3-Clause */
/* Windows that slide over a mapped file, and buffers that a stream fills. */
#include "core/source/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_BYTES_DEFAULT ((size_t)64 << 20)
#define BUFFER_BYTES_MIN ((size_t)4096)
#define READ_BYTES_MAX ((size_t)256 << 10) /* per read: decompressed bytes stay in cache */
#define READ_BYTES_MIN ((size_t)64 << 10)  /* with less room, change the buffer */
#define PIPE_BYTES (1 << 20)
#define SKIPPED_BYTES_MAX CW_FRAMES_CONTENT_MAX /* unpacked again, before a first piece */

const uint8_t *cw_memory_at(const struct cw_memory *memory, uint64_t position, size_t *bytes,
			    bool *is_at_end)
{
	static const uint8_t nothing[1];
	const struct cw_window *window = memory->window;
	uint64_t end;

	*bytes = 0;
	*is_at_end = cw_memory_is_mapped(memory) ? position >= memory->limit : memory->is_at_end;
	if (!window)
		return nothing;
	end = window->offset + window->bytes;
	if (cw_memory_is_mapped(memory)) {
		*is_at_end = end >= memory->limit;
		end = *is_at_end ? memory->limit : end;
	}
	if (position < end)
		*bytes = (size_t)(end - position);
	return window->data + (position - window->offset);
}

/*
 * Maps the window that starts at the position's page and holds `needed` bytes from the position.
 * Pages are not requested ahead: MADV_POPULATE_READ in steps of 0.5 to 16 MiB took the same CPU as
 * plain faults (42 ms for 1 GB of 500-byte packets in page cache, ext4, Linux 6.18, where a fault
 * maps ~450 KB). Not measured: kernels without large folios, and cold files.
 */
static int slide(struct cw_memory *memory, uint64_t position, size_t needed)
{
	uint64_t start = position & ~(uint64_t)(memory->page_bytes - 1);
	uint64_t bytes = memory->window_bytes;

	/* Drop this reference first: it may hold the pool's last window. */
	cw_window_drop(memory->window);
	memory->window = NULL;
	if (bytes < position - start + needed)
		bytes = position - start + needed;
	if (bytes > memory->limit - start)
		bytes = memory->limit - start;
	return cw_window_map(memory->pool, start, (size_t)bytes, &memory->window);
}

/*
 * Continues in a buffer with room: the same one if it is not leased, else another. The unread bytes
 * move to its front. For a record that claims to be long, the buffer grows only as the bytes
 * arrive, to twice the bytes present.
 */
static int change_buffer(struct cw_memory *memory, uint64_t position, size_t needed,
			 size_t read_bytes)
{
	size_t left, capacity, want;
	struct cw_window *old = memory->window, *next = NULL;
	const uint8_t *from;
	bool is_at_end;
	uint8_t *to;
	int result;

	from = cw_memory_at(memory, position, &left, &is_at_end);
	want = cw_min_size(needed, 2 * left) + read_bytes;
	if (old && cw_window_is_exclusive(old)) {
		to = cw_window_room(old, &capacity);
		if (capacity >= want && capacity - left >= read_bytes) {
			memmove(to, from, left);
			old->offset = position;
			old->bytes = left;
			return 0;
		}
	}
	result = cw_window_buffer(memory->pool, position, want, &next);
	if (result)
		return result;
	if (left)
		memcpy(cw_window_room(next, &capacity), from, left);
	next->bytes = left;
	cw_window_drop(old);
	memory->window = next;
	return 0;
}

/* Reads once, for a record of `needed` bytes. */
static int fill(struct cw_memory *memory, uint64_t position, size_t needed, struct cw_error *error)
{
	size_t read_bytes = cw_min_size(READ_BYTES_MIN, memory->buffer_bytes / 4);
	size_t capacity = 0, room = 0;
	uint8_t *to = NULL;
	int64_t got;
	int result;

	if (memory->window) {
		to = cw_window_room(memory->window, &capacity);
		room = capacity - memory->window->bytes;
	}
	if (!memory->window || room < read_bytes) {
		result = change_buffer(memory, position, needed, read_bytes);
		if (result)
			return result;
		to = cw_window_room(memory->window, &capacity);
		room = capacity - memory->window->bytes;
	}
	if (memory->skipped_bytes)
		room = cw_min_size(room, memory->skipped_bytes);
	got = cw_unpack_read(memory->unpack, to + memory->window->bytes,
			     cw_min_size(room, READ_BYTES_MAX), error);
	if (got < 0)
		return (int)got;
	if (memory->skipped_bytes)
		memory->skipped_bytes -= (size_t)got;
	else
		memory->window->bytes += (size_t)got;
	memory->is_at_end = !got;
	return 0;
}

int cw_memory_more(struct cw_memory *memory, uint64_t position, size_t needed,
		   struct cw_error *error)
{
	return cw_memory_is_mapped(memory) ? slide(memory, position, needed)
					   : fill(memory, position, needed, error);
}

/* ---- frames ---- */

struct cw_packed *cw_memory_packed(struct cw_window *window)
{
	size_t capacity;

	return (struct cw_packed *)(void *)cw_window_room(window, &capacity);
}

/* Reads all `bytes`. Returns false if the file does not have them. */
static bool read_whole(int fd, uint8_t *to, size_t bytes, uint64_t at)
{
	while (bytes) {
		ssize_t got = pread(fd, to, bytes, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		bytes -= (size_t)got;
		at += (uint64_t)got;
	}
	return true;
}

/* Returns a buffer of at least `needed`; usual ones have room for pieces of `bytes`. */
static int take_buffer(struct cw_memory *memory, uint64_t position, size_t needed, size_t bytes,
		       struct cw_window **window)
{
	if (!memory->pieces)
		memory->pieces =
		    cw_window_pool_new(-1, memory->pieces_max, 2 * (bytes + CW_FRAMES_NEXT_BYTES));
	return memory->pieces ? cw_window_buffer(memory->pieces, position, needed, window)
			      : -ENOMEM;
}

int cw_memory_frames(struct cw_memory *memory, uint64_t position, uint64_t to, size_t bytes,
		     bool is_first, struct cw_window **window)
{
	const struct cw_frames *frames = memory->frames;
	const uint32_t first = is_first ? memory->known_frame : cw_frames_find(frames, position);
	const struct cw_frames_place *start = &frames->places[first], *end = start;
	const struct cw_frames_place *last = &frames->places[frames->count];
	struct cw_packed packed;
	struct cw_frames_place *places;
	size_t places_bytes, plain_room;
	int result;

	/* Empty frames too must be what the table says. */
	while (end != last && (end->plain_at < to || end[1].plain_at == end->plain_at))
		end++;
	if (end->plain_at <= position || position - start->plain_at > SKIPPED_BYTES_MAX)
		return 0;
	packed = (struct cw_packed){.count = (uint32_t)(end - start),
				    .packed_bytes = (size_t)(end->packed_at - start->packed_at),
				    .plain_bytes = (size_t)(end->plain_at - start->plain_at),
				    .skipped = (size_t)(position - start->plain_at)};
	if (end != last) {
		packed.next_bytes =
		    cw_min_size(CW_FRAMES_NEXT_BYTES, (size_t)(end[1].packed_at - end->packed_at));
		packed.ahead_bytes = cw_min_size(CW_FRAMES_AHEAD_BYTES,
						 (size_t)(end[1].plain_at - end->plain_at - 1));
	}
	places_bytes = (packed.count + (size_t)1) * sizeof(*places);
	plain_room = packed.plain_bytes + packed.ahead_bytes;
	result = take_buffer(memory, position,
			     sizeof(packed) + places_bytes + plain_room + packed.packed_bytes +
				 packed.next_bytes,
			     bytes, window);
	if (result)
		return result;
	places = (struct cw_frames_place *)(void *)(cw_memory_packed(*window) + 1);
	memcpy(places, start, places_bytes); /* the source may be closed before they are unpacked */
	packed.places = places;
	packed.plain = (uint8_t *)places + places_bytes;
	packed.packed = packed.plain + plain_room;
	*cw_memory_packed(*window) = packed;
	if (read_whole(cw_window_pool_fd(memory->pool), packed.plain + plain_room,
		       packed.packed_bytes + packed.next_bytes, start->packed_at))
		return 1;
	cw_window_drop(*window);
	*window = NULL;
	return 0;
}

int cw_memory_go_back(struct cw_memory *memory, uint64_t position)
{
	const struct cw_frames_place *place;

	if (!memory->frames && (!memory->window || position >= memory->window->offset))
		return 0;
	cw_window_drop(memory->window);
	memory->window = NULL;
	if (!memory->frames)
		return 0;
	memory->known_frame = cw_frames_find(memory->frames, position);
	place = &memory->frames->places[memory->known_frame];
	memory->skipped_bytes = (size_t)(position - place->plain_at);
	memory->is_at_end = false;
	return cw_unpack_restart(memory->unpack, place->packed_at);
}

bool cw_memory_has_shrunk(struct cw_memory *memory)
{
	uint64_t end = memory->limit;
	uint64_t intact;
	struct stat status;

	if (fstat(cw_window_pool_fd(memory->pool), &status) < 0)
		end = 0;
	else if ((uint64_t)status.st_size < end)
		end = (uint64_t)status.st_size;
	if (memory->window) {
		/* Relaxed: see cw_lease_intact_bytes. */
		intact = atomic_load_explicit(&memory->window->intact_end, memory_order_relaxed);
		end = intact < end ? intact : end;
	}
	if (end < memory->limit)
		memory->limit = end;
	return memory->limit < memory->file_bytes;
}

bool cw_memory_has_grown(const struct cw_memory *memory)
{
	struct stat status;

	return memory->is_regular && fstat(cw_window_pool_fd(memory->pool), &status) == 0 &&
	       (uint64_t)status.st_size > memory->start + memory->file_bytes;
}

/* ---- life cycle ---- */

static size_t clamp(size_t value, size_t least, size_t most)
{
	return value < least ? least : cw_min_size(value, most);
}

/* Returns whether to map: a regular, uncompressed file that is read from its start. */
static bool can_map(int fd, const struct stat *status)
{
	uint8_t magic[CW_PACKING_MAGIC_BYTES];
	ssize_t got;

	if (!S_ISREG(status->st_mode) || status->st_size == 0 || lseek(fd, 0, SEEK_CUR) != 0)
		return false;
	got = pread(fd, magic, sizeof(magic), 0);
	return got >= 0 && cw_packing_of(magic, (size_t)got) == CW_PACKING_NONE;
}

/* Returns whether frames may be read out of sequence: a .zst file that is read from its start. */
static bool is_seekable(const struct cw_memory *memory, int fd,
			const struct cw_source_options *options)
{
	uint8_t magic[CW_PACKING_MAGIC_BYTES];

	return memory->is_regular && options->pieces_max && !options->is_unmapped &&
	       lseek(fd, 0, SEEK_CUR) == 0 &&
	       pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
	       cw_packing_of(magic, sizeof(magic)) == CW_PACKING_ZSTD;
}

static int start(struct cw_memory *memory, int fd, const char *path,
		 const struct cw_source_options *options, struct cw_error *error)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return cw_error_set_errno(error, -errno, "cannot read the status of %s", path);
	if (S_ISDIR(status.st_mode))
		return cw_error_set_errno(error, -EISDIR, "cannot read %s", path);
	memory->is_regular = S_ISREG(status.st_mode);
	memory->device = (uint64_t)status.st_dev;
	memory->inode = (uint64_t)status.st_ino;
	if (memory->is_regular) {
		off_t at = lseek(fd, 0, SEEK_CUR);

		memory->start = at > 0 ? cw_min_size((size_t)at, (size_t)status.st_size) : 0;
		memory->file_bytes = memory->limit = (uint64_t)status.st_size - memory->start;
	}
	if (!options->is_unmapped && can_map(fd, &status)) {
		posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		if (slide(memory, 0, 1) == 0)
			return 0;
		/* Some file systems cannot map: read a stream. */
	}
	memory->unpack = cw_unpack_new(fd, options->wake_fd);
	if (!memory->unpack)
		return cw_error_set_errno(error, -ENOMEM, "cannot read %s", path);
	if (is_seekable(memory, fd, options)) {
		memory->frames = cw_frames_read(fd, memory->file_bytes);
		memory->pieces_max = options->pieces_max;
	}
	if (S_ISFIFO(status.st_mode))
		fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES); /* for fewer wakeups; may be refused */
	return 0;
}

int cw_memory_init(struct cw_memory *memory, int fd, const char *path,
		   const struct cw_source_options *options, struct cw_error *error)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	size_t window_bytes = options->window_bytes ? options->window_bytes : WINDOW_BYTES_DEFAULT;
	size_t buffer_bytes =
	    options->buffer_bytes ? options->buffer_bytes : CW_SOURCE_BUFFER_BYTES;

	window_bytes = clamp(window_bytes, 1, CW_SOURCE_WINDOW_BYTES_MAX);
	*memory = (struct cw_memory){
	    .page_bytes = page_bytes,
	    .window_bytes = (window_bytes + page_bytes - 1) & ~(page_bytes - 1),
	    .buffer_bytes = clamp(buffer_bytes, BUFFER_BYTES_MIN, CW_SOURCE_WINDOW_BYTES_MAX),
	};
	memory->pool = cw_window_pool_new(fd, CW_SOURCE_WINDOWS_MAX, memory->buffer_bytes);
	if (memory->pool)
		return start(memory, fd, path, options, error);
	close(fd);
	return cw_error_set_errno(error, -ENOMEM, "cannot open %s", path);
}

void cw_memory_fini(struct cw_memory *memory)
{
	cw_window_drop(memory->window);
	cw_unpack_free(memory->unpack);
	free(memory->frames);
	cw_window_pool_drop(memory->pieces);
	cw_window_pool_drop(memory->pool);
	*memory = (struct cw_memory){0};
}
