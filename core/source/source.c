/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A source joins the parser (pcapfile.h) to memory (window.h): mapped windows that slide over a
 * regular file, or buffers that a stream is unpacked into (unpack.h). The parser's offset is the
 * position; the current window is the memory around it.
 */
#include "core/source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/format/pcapfile.h"
#include "core/format/unpack.h"
#include "core/packet/window.h"

#define WINDOW_BYTES_DEFAULT ((size_t)64 << 20)
#define BUFFER_BYTES_MIN ((size_t)4096)
#define READ_BYTES_MAX ((size_t)256 << 10) /* at once: what was unpacked is still in cache */
#define READ_BYTES_MIN ((size_t)64 << 10)  /* less room than this: to the next buffer */
#define PIPE_BYTES (1 << 20)
#define HEADERS_BYTES_MAX ((uint64_t)64 << 20) /* read at open in search of the first packet */

struct cw_source {
	struct cw_pcapfile parser;
	struct cw_window_pool *pool;
	struct cw_window *window; /* current, one reference; or NULL */
	struct cw_unpack *unpack; /* NULL: mapped */
	bool is_unmapped;         /* it shall not be */
	char *path;
	int wake_fd;
	size_t page_bytes;
	size_t window_bytes;
	size_t buffer_bytes;
	uint64_t file_bytes; /* regular files: at open */
	uint64_t limit;      /* mapped: where the input ends for us; less once it shrank */
	bool is_at_end;      /* stream: all bytes are in the window */
	bool is_regular;
	bool has_grown;
	uint64_t device, inode;
	struct cw_error failure; /* code 0: none */
};

static bool is_mapped(const struct cw_source *source)
{
	return !source->unpack;
}

static bool is_woken(int wake_fd)
{
	struct pollfd wait = {.fd = wake_fd, .events = POLLIN};

	return wake_fd >= 0 && poll(&wait, 1, 0) > 0;
}

/* What of the current window lies behind the position, and whether the input ends with it. */
static const uint8_t *here(const struct cw_source *source, size_t *bytes, bool *is_at_end)
{
	static const uint8_t nothing[1];
	const struct cw_window *window = source->window;
	uint64_t position = source->parser.offset;
	uint64_t end;

	*bytes = 0;
	*is_at_end = is_mapped(source) ? position >= source->limit : source->is_at_end;
	if (!window)
		return nothing;
	end = window->offset + window->bytes;
	if (is_mapped(source)) {
		*is_at_end = end >= source->limit;
		end = *is_at_end ? source->limit : end;
	}
	if (position < end)
		*bytes = (size_t)(end - position);
	return window->data + (position - window->offset);
}

/*
 * Map the window that begins at the position's page and holds `needed` bytes behind it. Nothing
 * asks for its pages ahead: MADV_POPULATE_READ in steps of 0.5 to 16 MiB took the same CPU as plain
 * faults (42 ms for 1 GB of 500-byte packets in page cache, ext4, Linux 6.18: a fault maps ~450 KB
 * there). Kernels without large folios, and cold files, are not measured yet.
 */
static int slide(struct cw_source *source, size_t needed)
{
	uint64_t position = source->parser.offset;
	uint64_t start = position & ~(uint64_t)(source->page_bytes - 1);
	uint64_t bytes = source->window_bytes;

	/* Our own reference goes first: it may be what holds the last of the pool's windows. */
	cw_window_drop(source->window);
	source->window = NULL;
	if (bytes < position - start + needed)
		bytes = position - start + needed;
	if (bytes > source->limit - start)
		bytes = source->limit - start;
	return cw_window_map(source->pool, start, (size_t)bytes, &source->window);
}

/*
 * Go on in a buffer with room: the same, when nobody looks at it, else another; what is left of the
 * old one moves to its front. A record that claims to be long makes the buffer grow only as its
 * bytes arrive, to twice what is there.
 */
static int change_buffer(struct cw_source *source, size_t needed, size_t read_bytes)
{
	size_t left, capacity, want;
	struct cw_window *old = source->window, *next = NULL;
	const uint8_t *from;
	bool is_at_end;
	uint8_t *to;
	int result;

	from = here(source, &left, &is_at_end);
	want = cw_min_size(needed, 2 * left) + read_bytes;
	if (old && cw_window_is_exclusive(old)) {
		to = cw_window_room(old, &capacity);
		if (capacity >= want && capacity - left >= read_bytes) {
			memmove(to, from, left);
			old->offset = source->parser.offset;
			old->bytes = left;
			return 0;
		}
	}
	result = cw_window_buffer(source->pool, source->parser.offset, want, &next);
	if (result)
		return result;
	if (left)
		memcpy(cw_window_room(next, &capacity), from, left);
	next->bytes = left;
	cw_window_drop(old);
	source->window = next;
	return 0;
}

/* Read once, for a record of which `needed` bytes should be there. */
static int fill(struct cw_source *source, size_t needed, struct cw_error *error)
{
	size_t read_bytes = cw_min_size(READ_BYTES_MIN, source->buffer_bytes / 4);
	size_t capacity = 0, room = 0;
	uint8_t *to = NULL;
	int64_t got;
	int result;

	if (source->window) {
		to = cw_window_room(source->window, &capacity);
		room = capacity - source->window->bytes;
	}
	if (room < read_bytes) {
		result = change_buffer(source, needed, read_bytes);
		if (result)
			return result;
		to = cw_window_room(source->window, &capacity);
		room = capacity - source->window->bytes;
	}
	got = cw_unpack_read(source->unpack, to + source->window->bytes,
			     cw_min_size(room, READ_BYTES_MAX), error);
	if (got < 0)
		return (int)got;
	source->window->bytes += (size_t)got;
	source->is_at_end = !got;
	return 0;
}

/* From now on every call says this. */
static int fail(struct cw_source *source, int code, struct cw_error *error)
{
	source->failure.code = code;
	if (error)
		*error = source->failure;
	return code;
}

static int fail_truncated(struct cw_source *source, struct cw_error *error)
{
	cw_error_set(&source->failure, -EBADMSG,
		     "%s: input was truncated while it was read: %llu of %llu bytes are left",
		     source->path, (unsigned long long)source->limit,
		     (unsigned long long)source->file_bytes);
	return fail(source, -EBADMSG, error);
}

/*
 * Whether the mapped file became shorter than we took it to be. Called after looking at its bytes:
 * what lies beyond its end looked like zeros.
 */
static bool has_shrunk(struct cw_source *source)
{
	uint64_t end = source->limit;
	uint64_t intact;
	struct stat status;

	if (fstat(cw_window_pool_fd(source->pool), &status) < 0)
		end = 0;
	else if ((uint64_t)status.st_size < end)
		end = (uint64_t)status.st_size;
	if (source->window) {
		intact = atomic_load_explicit(&source->window->intact_end, memory_order_relaxed);
		end = intact < end ? intact : end;
	}
	if (end < source->limit)
		source->limit = end;
	return source->limit < source->file_bytes;
}

static void note_growth(struct cw_source *source)
{
	struct stat status;

	if (source->is_regular && !fstat(cw_window_pool_fd(source->pool), &status))
		source->has_grown = (uint64_t)status.st_size > source->file_bytes;
}

/* A span was cut from mapped memory: keep what of it is the file's own. 0 when nothing is. */
static bool keep_intact(struct cw_source *source, struct cw_pcapfile_step *step)
{
	struct cw_span *span = &step->span;

	if (!has_shrunk(source) || span->offset + span->bytes <= source->limit)
		return true;
	if (span->offset >= source->limit)
		return false;
	cw_pcapfile_trim(&source->parser, step, (size_t)(source->limit - span->offset));
	return span->record_count > 0;
}

/*
 * The loop of open and next: scan, and get memory until something comes of it. Returns as the
 * scanner does, but never MORE; or -EAGAIN, -EINTR, or a lasting failure.
 */
static int advance(struct cw_source *source, size_t bytes_max, uint32_t records_max,
		   struct cw_pcapfile_step *step, struct cw_error *error)
{
	struct cw_error why = {0};
	int result;

	for (;;) {
		const uint8_t *data;
		size_t bytes;
		bool is_at_end;

		data = here(source, &bytes, &is_at_end);
		result = cw_pcapfile_scan(&source->parser, data, bytes, is_at_end, bytes_max,
					  records_max, step, &why);
		if (is_mapped(source) && result == CW_PCAPFILE_SPAN && records_max &&
		    !keep_intact(source, step))
			return fail_truncated(source, error);
		if (is_mapped(source) && result <= 0 && has_shrunk(source))
			return fail_truncated(source, error);
		if (result == CW_PCAPFILE_MORE && !records_max &&
		    source->parser.offset > HEADERS_BYTES_MAX)
			return CW_PCAPFILE_END; /* of what open looks at; next goes on */
		if (result == CW_PCAPFILE_MORE)
			result = is_mapped(source) ? slide(source, step->needed)
						   : fill(source, step->needed, &why);
		else if (result >= 0)
			return result;
		if (!result)
			continue;
		if (result == -EAGAIN)
			return result;
		if (!why.code)
			cw_error_set_errno(&why, result, "no memory to read into");
		cw_error_prefix(&why, "%s", source->path);
		if (result == -EINTR) {
			if (error)
				*error = why;
			return result;
		}
		source->failure = why;
		return fail(source, result, error);
	}
}

int cw_source_next(struct cw_source *source, size_t bytes_max, uint32_t records_max,
		   struct cw_span *span, struct cw_lease *lease, struct cw_error *error)
{
	struct cw_pcapfile_step step;
	int result;

	lease->window = NULL;
	if (source->failure.code)
		return fail(source, source->failure.code, error);
	if (is_woken(source->wake_fd))
		return cw_error_set(error, -EINTR, "%s: reading was asked to stop", source->path);
	result = advance(source, bytes_max, records_max ? records_max : 1, &step, error);
	if (result == CW_PCAPFILE_END)
		note_growth(source);
	if (result != CW_PCAPFILE_SPAN)
		return result;
	cw_window_take(source->window);
	lease->window = source->window;
	*span = step.span;
	return 1;
}

/* Take in the headers, so that the interfaces in front of the first packet are known. */
static int read_headers(struct cw_source *source, struct cw_error *error)
{
	struct cw_pcapfile_step step;
	int result = advance(source, 0, 0, &step, error);

	if (result < 0)
		return result;
	if (is_mapped(source)) {
		/* Many inputs may be open and wait for their turn: they hold no window. */
		cw_window_drop(source->window);
		source->window = NULL;
	}
	return 0;
}

/* A descriptor for `path`, without waiting for a FIFO's writer; poll() does that, interruptibly. */
static int open_path(const char *path, struct cw_error *error)
{
	int fd;

	if (!strcmp(path, "-"))
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return cw_error_set_errno(error, -errno, "cannot open %s", path);
	return fd;
}

/* Mapped when it is a plain regular file that is read from its start; else a stream. */
static bool can_map(int fd, const struct stat *status)
{
	uint8_t magic[CW_PACKING_MAGIC_BYTES];
	ssize_t got;

	if (!S_ISREG(status->st_mode) || status->st_size == 0 || lseek(fd, 0, SEEK_CUR) != 0)
		return false;
	got = pread(fd, magic, sizeof(magic), 0);
	return got >= 0 && cw_packing_of(magic, (size_t)got) == CW_PACKING_NONE;
}

static int start(struct cw_source *source, int fd, const struct stat *status,
		 struct cw_error *error)
{
	source->is_regular = S_ISREG(status->st_mode);
	source->device = (uint64_t)status->st_dev;
	source->inode = (uint64_t)status->st_ino;
	if (source->is_regular)
		source->file_bytes = source->limit = (uint64_t)status->st_size;
	if (!source->is_unmapped && can_map(fd, status)) {
		posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		if (slide(source, 1) == 0)
			return 0;
		/* Some file systems cannot map. */
	}
	source->unpack = cw_unpack_new(fd, source->wake_fd);
	if (!source->unpack)
		return cw_error_set_errno(error, -ENOMEM, "cannot read %s", source->path);
	if (S_ISFIFO(status->st_mode))
		fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES); /* fewer wakeups; as it is where refused */
	return 0;
}

static size_t clamp(size_t value, size_t least, size_t most)
{
	return value < least ? least : cw_min_size(value, most);
}

static struct cw_source *new_source(const char *path, struct cw_ifaces *ifaces,
				    const struct cw_source_options *options)
{
	struct cw_source *source = calloc(1, sizeof(*source));
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	size_t window_bytes = options->window_bytes ? options->window_bytes : WINDOW_BYTES_DEFAULT;
	size_t buffer_bytes =
	    options->buffer_bytes ? options->buffer_bytes : CW_SOURCE_BUFFER_BYTES;

	if (!source)
		return NULL;
	source->path = strdup(strcmp(path, "-") ? path : "standard input");
	if (!source->path) {
		free(source);
		return NULL;
	}
	source->wake_fd = options->wake_fd;
	source->is_unmapped = options->is_unmapped;
	source->page_bytes = page_bytes;
	window_bytes = clamp(window_bytes, 1, CW_SOURCE_WINDOW_BYTES_MAX);
	source->window_bytes = (window_bytes + page_bytes - 1) & ~(page_bytes - 1);
	source->buffer_bytes = clamp(buffer_bytes, BUFFER_BYTES_MIN, CW_SOURCE_WINDOW_BYTES_MAX);
	cw_pcapfile_init(&source->parser, ifaces, options->input, options->linktype);
	return source;
}

int cw_source_open(struct cw_source **result_source, const char *path, struct cw_ifaces *ifaces,
		   const struct cw_source_options *options, struct cw_error *error)
{
	struct cw_source *source;
	struct stat status;
	int fd, result;

	*result_source = NULL;
	fd = open_path(path, error);
	if (fd < 0)
		return fd;
	source = new_source(path, ifaces, options);
	if (source)
		source->pool = cw_window_pool_new(fd, CW_SOURCE_WINDOWS_MAX, source->buffer_bytes);
	if (!source || !source->pool) {
		close(fd);
		result = cw_error_set_errno(error, -ENOMEM, "cannot open %s", path);
		goto close_source;
	}
	if (fstat(fd, &status) < 0) {
		result = cw_error_set_errno(error, -errno, "cannot look at %s", source->path);
		goto close_source;
	}
	if (S_ISDIR(status.st_mode)) {
		result = cw_error_set_errno(error, -EISDIR, "cannot read %s", source->path);
		goto close_source;
	}
	result = start(source, fd, &status, error);
	if (!result)
		result = read_headers(source, error);
	if (result)
		goto close_source;
	*result_source = source;
	return 0;

close_source:
	cw_source_close(source);
	return result;
}

void cw_source_info(const struct cw_source *source, struct cw_source_info *info)
{
	static const char *const packings[] = {"none", "gzip", "zstd"};
	const struct cw_pcapfile *parser = &source->parser;

	memset(info, 0, sizeof(*info));
	info->format = parser->format == CW_PCAPFILE_PCAPNG ? "pcapng" : "pcap";
	info->compression =
	    packings[source->unpack ? cw_unpack_packing(source->unpack) : CW_PACKING_NONE];
	info->byte_order = parser->is_big_endian ? "big" : "little";
	info->version_major = parser->version_major;
	info->version_minor = parser->version_minor;
	info->linktype = parser->first_linktype;
	info->snaplen = parser->first_snaplen;
	info->has_ns = parser->has_ns;
	info->file_bytes = source->is_regular ? source->file_bytes : 0;
	info->consumed_bytes = source->unpack ? cw_unpack_consumed(source->unpack) : parser->offset;
	info->section_count = parser->section_count;
	info->has_grown = source->has_grown;
}

bool cw_source_identity(const struct cw_source *source, uint64_t *device, uint64_t *inode)
{
	if (!source->is_regular)
		return false;
	*device = source->device;
	*inode = source->inode;
	return true;
}

void cw_source_close(struct cw_source *source)
{
	if (!source)
		return;
	cw_window_drop(source->window);
	cw_unpack_free(source->unpack);
	cw_window_pool_drop(source->pool);
	free(source->path);
	free(source);
}
