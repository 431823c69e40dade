/* SPDX-License-Identifier: BSD-3-Clause */
/* A source connects the parser (pcapfile.h) to the memory around its position (memory.h). */
#include "core/source/source.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/format/pcapfile.h"
#include "core/source/memory.h"

#define RAW_CHAIN_RECORDS 8u /* fewer: one guess in 15,000 of ordinary traffic is wrong */
#define HEADERS_BYTES_MAX ((uint64_t)64 << 20) /* most bytes searched at open for a packet */

struct cw_source {
	struct cw_pcapfile parser; /* parser.offset is the position */
	struct cw_memory memory;
	char *path;
	const char *cure; /* borrows */
	int wake_fd;
	bool has_grown;
	bool is_raw; /* segments are out, up to raw_at; the parser is at their beginning */
	uint64_t raw_at;
	uint32_t raw_first_s;    /* pcap: seconds of the first record */
	struct cw_error failure; /* code 0: none */
};

static bool is_woken(int wake_fd)
{
	struct pollfd wait = {.fd = wake_fd, .events = POLLIN};

	return wake_fd >= 0 && poll(&wait, 1, 0) > 0;
}

static int stop(const struct cw_source *source, struct cw_error *error)
{
	return cw_error_set(error, -EINTR, "%s: reading was stopped", source->path);
}

/* Returns `code`, and makes every later call return it. */
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
		     "%s: another program truncated the file during reading: %llu of %llu bytes "
		     "are left",
		     source->path, (unsigned long long)source->memory.limit,
		     (unsigned long long)source->memory.file_bytes);
	return fail(source, -EBADMSG, error);
}

static void add_cure(const struct cw_source *source, struct cw_error *error)
{
	size_t used = strlen(error->text);

	snprintf(error->text + used, sizeof(error->text) - used, "%s", source->cure);
}

/* Trims a span in mapped memory to the file's length now. Returns false if no record is left. */
static bool keep_intact(struct cw_source *source, struct cw_pcapfile_step *step)
{
	struct cw_span *span = &step->span;

	if (!cw_memory_has_shrunk(&source->memory) ||
	    span->offset + span->bytes <= source->memory.limit)
		return true;
	if (span->offset >= source->memory.limit)
		return false;
	cw_pcapfile_trim(&source->parser, step, (size_t)(source->memory.limit - span->offset));
	return span->record_count > 0;
}

/*
 * The loop of open and next: scans, and gets more memory until the scan has a result. Returns as
 * the scanner does, but never MORE; or -EAGAIN, -ETIME, -EINTR, or a permanent failure.
 */
static int advance(struct cw_source *source, const struct cw_pcapfile_limits *limits,
		   struct cw_pcapfile_step *step, struct cw_error *error)
{
	struct cw_memory *memory = &source->memory;
	struct cw_error why = {0};
	int result;

	for (;;) {
		struct cw_pcapfile_shown shown;
		bool is_damage;

		shown.data =
		    cw_memory_at(memory, source->parser.offset, &shown.bytes, &shown.is_at_end);
		result = cw_pcapfile_scan(&source->parser, &shown, limits, step, &why);
		if (cw_memory_is_mapped(memory) && result == CW_PCAPFILE_SPAN &&
		    limits->records_max && !keep_intact(source, step))
			return fail_truncated(source, error);
		if (cw_memory_is_mapped(memory) && result <= 0 && cw_memory_has_shrunk(memory))
			return fail_truncated(source, error);
		is_damage = result == -EBADMSG;
		/* A hole or damage can be long; streams look whenever they read. */
		if (result == CW_PCAPFILE_MORE && cw_memory_is_mapped(memory) &&
		    is_woken(source->wake_fd))
			return stop(source, error);
		if (result == CW_PCAPFILE_MORE && !limits->records_max &&
		    source->parser.offset > HEADERS_BYTES_MAX)
			return CW_PCAPFILE_END; /* open stops here; next continues */
		if (result == CW_PCAPFILE_MORE)
			result = cw_memory_more(memory, source->parser.offset, step->needed, &why);
		else if (result >= 0)
			return result;
		if (!result)
			continue;
		if (result == -EAGAIN || result == -ETIME)
			return result;
		if (!why.code)
			cw_error_set_errno(&why, result, "cannot get memory for reading");
		cw_error_prefix(&why, "%s", source->path);
		if (is_damage && source->cure && cw_pcapfile_can_resync(&source->parser))
			add_cure(source, &why);
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
	const struct cw_pcapfile_limits limits = {bytes_max, records_max ? records_max : 1};
	struct cw_pcapfile_step step;
	int result;

	assert(!source->is_raw);
	lease->window = NULL;
	if (source->failure.code)
		return fail(source, source->failure.code, error);
	if (is_woken(source->wake_fd))
		return stop(source, error);
	result = advance(source, &limits, &step, error);
	if (result == CW_PCAPFILE_END)
		source->has_grown = cw_memory_has_grown(&source->memory);
	if (result != CW_PCAPFILE_SPAN)
		return result;
	cw_window_take(source->memory.window);
	lease->window = source->memory.window;
	*span = step.span;
	return 1;
}

/* Returns whether the parser's position, and the memory, allow segments from there. */
static bool can_be_raw(const struct cw_source *source)
{
	const struct cw_pcapfile *parser = &source->parser;

	/* Of packed bytes, the first record's time is not known. */
	if (source->memory.frames && !parser->layout.is_pcapng && !parser->resync.has_times)
		return false;
	return (cw_memory_is_mapped(&source->memory) || source->memory.frames) &&
	       !source->failure.code && !parser->zero_bytes && !parser->resync.is_searching;
}

/* Provides the bytes from `at` to `to` and the overlap. Returns 1, 0 at the end of what the file
 * has, or a negative errno. */
static int show_raw(struct cw_memory *memory, uint64_t at, uint64_t to,
		    struct cw_pcapfile_shown *shown)
{
	const size_t needed = (size_t)(to - at) + CW_SOURCE_OVERLAP_BYTES;
	int result = 0;

	while (!result) {
		shown->data = cw_memory_at(memory, at, &shown->bytes, &shown->is_at_end);
		if (shown->bytes >= needed || (shown->bytes && shown->is_at_end))
			return 1;
		if (shown->is_at_end)
			return 0;
		result = cw_memory_more(memory, at, needed, NULL);
	}
	return result;
}

/* Fills the segment and the lease from a mapped file. Returns as show_raw does. */
static int take_mapped(struct cw_source *source, uint64_t to, struct cw_segment *segment,
		       struct cw_lease *lease)
{
	const uint64_t at = segment->from;
	struct cw_pcapfile_shown shown;
	int result;

	/* What a file lost is found by the parser: it says what is left. */
	if (cw_memory_has_shrunk(&source->memory))
		return 0;
	result = show_raw(&source->memory, at, to, &shown);
	if (result <= 0)
		return result;
	segment->span.data = shown.data;
	segment->span.bytes = cw_min_size(shown.bytes, (size_t)(to - at) + CW_SOURCE_OVERLAP_BYTES);
	segment->is_at_end = shown.is_at_end && segment->span.bytes == shown.bytes;
	segment->to = to < at + shown.bytes ? to : at + shown.bytes;
	if (!source->is_raw && shown.bytes >= sizeof(uint32_t))
		source->raw_first_s = cw_load_u32(shown.data, source->parser.layout.is_swapped);
	cw_window_take(source->memory.window);
	lease->window = source->memory.window;
	return 1;
}

/* Does the same from frames. */
static int take_frames(struct cw_source *source, uint64_t to, size_t bytes,
		       struct cw_segment *segment, struct cw_lease *lease)
{
	int result = cw_memory_frames(&source->memory, segment->from, to, bytes, !source->is_raw,
				      &lease->window);

	if (result <= 0)
		return result;
	segment->packed = cw_memory_packed(lease->window);
	segment->is_at_end = !segment->packed->next_bytes;
	segment->to = segment->from - segment->packed->skipped + segment->packed->plain_bytes;
	return 1;
}

int cw_source_raw(struct cw_source *source, size_t bytes, struct cw_segment *segment,
		  struct cw_lease *lease, struct cw_error *error)
{
	const struct cw_pcapfile *parser = &source->parser;
	const uint64_t at = source->is_raw ? source->raw_at : parser->offset;
	const uint64_t to = (at / bytes + 1) * bytes;
	struct cw_segment taken = {.from = at, .is_checked = parser->resync.is_on};
	int result;

	lease->window = NULL;
	if (!can_be_raw(source))
		return 0;
	if (is_woken(source->wake_fd))
		return stop(source, error);
	result = source->memory.frames ? take_frames(source, to, bytes, &taken, lease)
				       : take_mapped(source, to, &taken, lease);
	if (result <= 0)
		return result == -EAGAIN ? -EAGAIN : 0;
	taken.span.offset = at;
	taken.span.layout = cw_pcapfile_layout(parser);
	*segment = taken;
	source->is_raw = true;
	source->raw_at = taken.to;
	return 1;
}

void cw_source_continue(struct cw_source *source, uint64_t position, uint32_t last_s)
{
	const bool has_moved = position != source->parser.offset;
	int result;

	assert(source->is_raw);
	source->is_raw = false;
	if (has_moved)
		cw_pcapfile_skip(&source->parser, position, source->raw_first_s, last_s);
	if (source->memory.frames && !has_moved)
		return;
	result = cw_memory_go_back(&source->memory, position);
	if (result)
		cw_error_set_errno(&source->failure, result, "%s: cannot read", source->path);
}

void cw_source_boundary(const struct cw_source *source, struct cw_boundary *boundary)
{
	const struct cw_resync *resync = &source->parser.resync;

	*boundary = (struct cw_boundary){.layout = &source->parser.layout,
					 .records = RAW_CHAIN_RECORDS,
					 .has_times = resync->has_times,
					 .first_s = resync->first_s,
					 .last_s = resync->last_s};
}

/* Reads the headers, so that the interfaces before the first packet are known. */
static int read_headers(struct cw_source *source, struct cw_error *error)
{
	struct cw_pcapfile_step step;
	int result = advance(source, &(struct cw_pcapfile_limits){0}, &step, error);

	if (result < 0)
		return result;
	if (cw_memory_is_mapped(&source->memory)) {
		/* Many open inputs may wait for their turn: they must not hold a window. */
		cw_window_drop(source->memory.window);
		source->memory.window = NULL;
	}
	return 0;
}

/* Opens `path` without waiting for a FIFO's writer: poll() does that later, interruptibly. */
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

static struct cw_source *new_source(const char *name, struct cw_ifaces *ifaces,
				    const struct cw_source_options *options)
{
	struct cw_source *source = calloc(1, sizeof(*source));

	if (!source)
		return NULL;
	source->path = strdup(name);
	if (!source->path) {
		free(source);
		return NULL;
	}
	source->wake_fd = options->wake_fd;
	source->cure = options->cure;
	cw_pcapfile_init(&source->parser, ifaces, options->input, options->linktype);
	source->parser.resync.is_on = options->resyncs;
	return source;
}

int cw_source_open_fd(struct cw_source **result_source, int fd, const char *name,
		      struct cw_ifaces *ifaces, const struct cw_source_options *options,
		      struct cw_error *error)
{
	struct cw_source *source = new_source(name, ifaces, options);
	int result;

	*result_source = NULL;
	if (!source) {
		close(fd);
		return cw_error_set_errno(error, -ENOMEM, "cannot open %s", name);
	}
	result = cw_memory_init(&source->memory, fd, source->path, options, error);
	if (!result)
		result = read_headers(source, error);
	if (result)
		cw_source_close(source);
	else
		*result_source = source;
	return result;
}

int cw_source_open(struct cw_source **result_source, const char *path, struct cw_ifaces *ifaces,
		   const struct cw_source_options *options, struct cw_error *error)
{
	int fd = open_path(path, error);

	*result_source = NULL;
	return fd < 0 ? fd
		      : cw_source_open_fd(result_source, fd,
					  strcmp(path, "-") ? path : "standard input", ifaces,
					  options, error);
}

bool cw_source_set_idle(struct cw_source *source, int idle_ms)
{
	if (source->memory.is_regular)
		return false;
	cw_unpack_set_idle(source->memory.unpack, idle_ms);
	return true;
}

static const char *format_name(enum cw_pcapfile_format format)
{
	return format == CW_PCAPFILE_PCAPNG ? "pcapng" : "pcap";
}

static uint64_t consumed_bytes(const struct cw_source *source)
{
	const struct cw_memory *memory = &source->memory;

	if (source->is_raw && memory->frames)
		return memory->frames->places[cw_frames_find(memory->frames, source->raw_at)]
		    .packed_at;
	if (memory->unpack)
		return cw_unpack_consumed(memory->unpack);
	return source->is_raw ? source->raw_at : source->parser.offset;
}

void cw_source_info(const struct cw_source *source, struct cw_source_info *info)
{
	static const char *const packings[] = {"none", "gzip", "zstd"};
	const struct cw_pcapfile *parser = &source->parser;

	memset(info, 0, sizeof(*info));
	info->format = format_name(parser->first_format);
	info->compression =
	    packings[source->memory.unpack ? cw_unpack_packing(source->memory.unpack)
					   : CW_PACKING_NONE];
	info->byte_order = parser->is_big_endian ? "big" : "little";
	info->version_major = parser->version_major;
	info->version_minor = parser->version_minor;
	info->linktype = parser->first_linktype;
	info->snaplen = parser->first_snaplen;
	info->limit = parser->limit;
	info->has_ns = parser->has_ns;
	info->file_bytes = source->memory.is_regular ? source->memory.file_bytes : 0;
	info->consumed_bytes = consumed_bytes(source);
	info->section_count = parser->section_count;
	info->joined_count = parser->joined_count;
	info->has_grown = source->has_grown;
	info->blocks = parser->blocks;
	info->resynced = (struct cw_source_resynced){parser->resync.places, parser->resync.bytes};
}

const char *cw_source_damage(const struct cw_source *source)
{
	const struct cw_resync *resync = &source->parser.resync;

	return resync->places ? resync->first.text : NULL;
}

uint32_t cw_source_joined(const struct cw_source *source, uint32_t capacity,
			  struct cw_source_joined *joined)
{
	const struct cw_pcapfile *parser = &source->parser;
	uint32_t count = cw_min_u32(parser->joined_count, CW_PCAPFILE_JOINED_MAX);

	count = cw_min_u32(count, capacity);
	for (uint32_t index = 0; index < count; index++)
		joined[index] =
		    (struct cw_source_joined){.at = parser->joined[index].at,
					      .format = format_name(parser->joined[index].format),
					      .linktype = parser->joined[index].linktype};
	return count;
}

bool cw_source_identity(const struct cw_source *source, uint64_t *device, uint64_t *inode)
{
	if (!source->memory.is_regular)
		return false;
	*device = source->memory.device;
	*inode = source->memory.inode;
	return true;
}

void cw_source_close(struct cw_source *source)
{
	if (!source)
		return;
	cw_memory_fini(&source->memory);
	free(source->path);
	free(source);
}
