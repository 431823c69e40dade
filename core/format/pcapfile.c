/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The walk over records, and the pcap header. pcapng.c reads the content of pcapng's blocks.
 */
#include "core/format/pcapfile.h"

#include <errno.h>
#include <inttypes.h>

#include "core/format/plain.h"
#include "core/format/resync.h"

#define SCAN_AGAIN 3 /* a joined file's header was read; after the results of cw_pcapfile_scan */

/* The data of spans of empty records, instead of any number of zeros that were only counted. */
static const uint8_t zeros[(size_t)16 << 10];

void cw_pcapfile_init(struct cw_pcapfile *file, struct cw_ifaces *ifaces, uint16_t input,
		      uint32_t linktype)
{
	memset(file, 0, sizeof(*file));
	file->ifaces = ifaces;
	file->input = input;
	file->linktype = linktype;
	file->first_linktype = CW_LINKTYPE_ANY;
	file->layout.ifaces = ifaces;
}

/* Notes the file's version and byte order, unless it is joined to another one. */
static void note_header(struct cw_pcapfile *file, uint16_t major, uint16_t minor, int is_swapped)
{
	if (file->joined_count)
		return;
	file->version_major = major;
	file->version_minor = minor;
	file->is_big_endian = is_swapped == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
}

static int pcap_header(struct cw_pcapfile *file, const uint8_t *data, struct cw_error *error)
{
	struct cw_iface iface = {.input = file->input};
	struct cw_layout *layout = &file->layout;
	int is_swapped = cw_pcap_order(data);
	uint16_t major = cw_load_u16(data + 4, is_swapped);
	uint16_t minor = cw_load_u16(data + 6, is_swapped);
	int64_t index;

	if (!cw_pcap_read_header(data, layout, &iface))
		return cw_error_set(error, -EPROTONOSUPPORT,
				    "capweir does not read pcap version %u.%u, only 2.0 to 2.4 and "
				    "543.0",
				    major, minor);
	note_header(file, major, minor, is_swapped);
	if (!file->joined_count)
		file->limit = iface.snaplen && iface.snaplen <= INT32_MAX ? layout->caplen_cut : 0;
	if (file->linktype != CW_LINKTYPE_ANY)
		iface.linktype = file->linktype;
	index = cw_ifaces_add(file->ifaces, &iface);
	if (index < 0)
		return cw_error_set_errno(error, (int)index, "cannot add an interface");
	layout->iface_base = (uint32_t)index;
	layout->iface_count = 1;
	file->format = CW_PCAPFILE_PCAP;
	file->resync.has_times = false;
	cw_pcapfile_note_iface(file, &iface);
	return 0;
}

/* Asks for `needed` bytes from the position; reports damage if the file ends before them. */
static int need(struct cw_pcapfile_step *step, size_t needed, const struct cw_pcapfile_shown *shown,
		uint64_t offset, const char *what, struct cw_error *error)
{
	step->needed = needed;
	if (!shown->is_at_end)
		return CW_PCAPFILE_MORE;
	return cw_error_set(error, CW_PCAPFILE_TORN,
			    "truncated: %s at byte %" PRIu64 " needs %zu bytes, %zu are left", what,
			    offset, needed, shown->bytes);
}

/* Finds the file's format. Returns 0 when the header was read (pcap) or comes next (pcapng). */
static int find_format(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		       struct cw_pcapfile_step *step, struct cw_error *error)
{
	const uint8_t *data = shown->data;
	size_t bytes = shown->bytes;
	int result;

	if (bytes < 4 && !shown->is_at_end)
		return need(step, 4, shown, 0, "the header", error);
	if (bytes >= 4 && cw_load_u32(data, 0) == CW_PCAPNG_SHB) {
		file->format = file->first_format = CW_PCAPFILE_PCAPNG;
		file->layout.is_pcapng = 1;
		return 0;
	}
	if (bytes < 4 || cw_pcap_order(data) < 0) {
		if (bytes < 8 && !shown->is_at_end)
			return need(step, 8, shown, 0, "the header", error);
		return cw_pcapfile_refuse(data, bytes, error);
	}
	if (bytes < CW_PCAP_HEADER_BYTES)
		return need(step, CW_PCAP_HEADER_BYTES, shown, 0, "the file header", error);
	result = pcap_header(file, data, error);
	if (result < 0)
		return result;
	file->first_format = CW_PCAPFILE_PCAP;
	step->consumed = CW_PCAP_HEADER_BYTES;
	file->offset = CW_PCAP_HEADER_BYTES;
	return 0;
}

/* Returns the bytes of the pcap record at `at`, or 0 if its capture length is 0 or exceeds
 * caplen_max. */
static size_t pcap_record_bytes(const struct cw_layout *layout, const uint8_t *at,
				uint32_t *claimed)
{
	uint32_t len;

	cw_plain_lengths(at, cw_plain_kind(layout), claimed, &len);
	return cw_plain_is_caplen_odd(*claimed, layout->caplen_max)
		   ? 0
		   : layout->record_header_bytes + (size_t)*claimed;
}

static size_t count_zeros(const uint8_t *data, size_t bytes)
{
	size_t count = 0;

	while (bytes - count >= 8 && !cw_load_u64(data + count, 0))
		count += 8;
	while (count < bytes && !data[count])
		count++;
	return count;
}

/* The kinds of bytes in place of a pcap record that is no usual one. */
enum oddity {
	ODD_EMPTY,
	ODD_ZEROS,
	ODD_JOINED, /* pcapng */
	ODD_TOO_LONG,
	ODD_LENGTHS, /* the capture length exceeds the length */
};

static enum oddity find_oddity(const struct cw_layout *layout,
			       const struct cw_pcapfile_shown *shown, uint32_t claimed)
{
	if (claimed && cw_pcapng_is_section(shown->data))
		return ODD_JOINED;
	if (claimed)
		return claimed > layout->caplen_max ? ODD_TOO_LONG : ODD_LENGTHS;
	return count_zeros(shown->data, layout->record_header_bytes) == layout->record_header_bytes
		   ? ODD_ZEROS
		   : ODD_EMPTY;
}

/*
 * Returns the bytes of an odd record, or 0 if it is none. With resync.is_on the records after it
 * decide: as long as they are not there, `needed` is filled, and it is none.
 */
static size_t odd_record_bytes(const struct cw_pcapfile *file,
			       const struct cw_pcapfile_shown *shown, uint32_t claimed,
			       size_t *needed)
{
	enum oddity oddity = find_oddity(&file->layout, shown, claimed);
	size_t bytes = file->layout.record_header_bytes + (size_t)claimed;

	if (oddity != ODD_EMPTY && oddity != ODD_LENGTHS)
		return 0;
	if (!file->resync.is_on)
		return bytes;
	if (bytes > shown->bytes)
		return 0;
	return cw_resync_confirm(file, shown, bytes, needed) == CW_BOUNDARY_HERE ? bytes : 0;
}

static int refuse_zeros(const struct cw_pcapfile *file, uint64_t more, struct cw_error *error)
{
	return cw_error_set(error, CW_PCAPFILE_TORN,
			    "truncated: only zeros follow from byte %" PRIu64
			    " to the end (%" PRIu64 " bytes): the file was not written completely",
			    file->offset - file->zero_bytes, file->zero_bytes + more);
}

/* Consumes headers of zeros; once other bytes follow, hands them out as empty records. */
static int take_zeros(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		      const struct cw_pcapfile_limits *limits, struct cw_pcapfile_step *step,
		      struct cw_error *error)
{
	const size_t header_bytes = file->layout.record_header_bytes;
	size_t more = count_zeros(shown->data, shown->bytes);
	size_t taken = more - more % header_bytes; // NOLINT(*DivideZero): a pcap record's header
	size_t left = shown->bytes - taken;
	uint64_t count;

	file->zero_bytes += taken;
	file->offset += taken;
	step->consumed += taken;
	if (left < header_bytes && !shown->is_at_end) {
		step->needed = header_bytes;
		return CW_PCAPFILE_MORE;
	}
	if (more == shown->bytes)
		return refuse_zeros(file, left, error);
	count = cw_min_size(limits->bytes_max, sizeof(zeros)) / header_bytes;
	count = cw_min_u32((uint32_t)(count ? count : 1), limits->records_max);
	if (count > file->zero_bytes / header_bytes)
		count = file->zero_bytes / header_bytes;
	step->span = (struct cw_span){.data = zeros,
				      .bytes = (size_t)count * header_bytes,
				      .record_count = (uint32_t)count,
				      .offset = file->offset - file->zero_bytes,
				      .layout = file->layout};
	file->zero_bytes -= step->span.bytes;
	return CW_PCAPFILE_SPAN;
}

/* Starts to read the joined file whose header is at `shown`. Returns SCAN_AGAIN. */
static int join(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		struct cw_pcapfile_step *step, struct cw_error *error)
{
	bool is_pcap = cw_pcap_is_header(shown);
	int result;

	if (shown->bytes < CW_PCAP_HEADER_BYTES)
		return need(step, CW_PCAP_HEADER_BYTES, shown, file->offset,
			    "the header of a joined file", error);
	if (file->joined_count < CW_PCAPFILE_JOINED_MAX)
		file->joined[file->joined_count] = (struct cw_pcapfile_joined){
		    file->offset, is_pcap ? CW_PCAPFILE_PCAP : CW_PCAPFILE_PCAPNG, CW_LINKTYPE_ANY};
	file->joined_count++;
	if (!is_pcap) {
		file->format = CW_PCAPFILE_PCAPNG;
		file->layout = (struct cw_layout){.is_pcapng = 1, .ifaces = file->ifaces};
		return SCAN_AGAIN;
	}
	result = pcap_header(file, shown->data, error);
	if (result < 0)
		return result;
	step->consumed += CW_PCAP_HEADER_BYTES;
	file->offset += CW_PCAP_HEADER_BYTES;
	return SCAN_AGAIN;
}

/* Handles what is no complete record at the start of `shown`. Returns as cw_pcapfile_scan does, or
 * SCAN_AGAIN. */
static int scan_no_record(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
			  const struct cw_pcapfile_limits *limits, struct cw_pcapfile_step *step,
			  struct cw_error *error)
{
	const struct cw_layout *layout = &file->layout;
	size_t record_bytes;
	uint32_t claimed;

	if (!shown->bytes && shown->is_at_end)
		return CW_PCAPFILE_END;
	if (shown->bytes < layout->record_header_bytes)
		return need(step, layout->record_header_bytes, shown, file->offset,
			    "the record header", error);
	if (cw_pcap_is_header(shown))
		return join(file, shown, step, error);
	record_bytes = pcap_record_bytes(layout, shown->data, &claimed);
	if (record_bytes > shown->bytes || (record_bytes && !file->resync.is_on))
		return need(step, record_bytes, shown, file->offset, "the record", error);
	if (file->resync.is_on) {
		odd_record_bytes(file, shown, claimed, &step->needed);
		if (step->needed)
			return CW_PCAPFILE_MORE;
	}
	switch (find_oddity(layout, shown, claimed)) {
	case ODD_ZEROS:
		if (!file->resync.is_on)
			return take_zeros(file, shown, limits, step, error);
		return cw_error_set(error, -EBADMSG,
				    "damaged: zeros in place of the record at byte %" PRIu64,
				    file->offset);
	case ODD_JOINED:
		return join(file, shown, step, error);
	case ODD_TOO_LONG:
		return cw_error_set(error, -EBADMSG,
				    "damaged: the record at byte %" PRIu64
				    " claims %u captured bytes; the maximum is %u",
				    file->offset, claimed, layout->caplen_max);
	default:
		return cw_error_set(error, -EBADMSG,
				    "damaged: the record at byte %" PRIu64
				    " claims %u captured bytes, and no record follows these",
				    file->offset, claimed);
	}
}

static void note_times(struct cw_resync *resync, uint32_t first_s, uint32_t last_s)
{
	if (!resync->has_times)
		resync->first_s = first_s;
	resync->last_s = last_s;
	resync->has_times = true;
}

/* Returns the bytes of the record at byte `at` that is not plain, or 0 if it is none. Called for
 * few records: not inlined, so that the walk keeps its registers. */
static __attribute__((noinline)) size_t
judge_record(const struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown, size_t at)
{
	const struct cw_layout *layout = &file->layout;
	const struct cw_pcapfile_shown rest = {shown->data + at, shown->bytes - at,
					       shown->is_at_end};
	uint32_t caplen, len;
	size_t needed;

	if (cw_pcap_is_header(&rest))
		return 0;
	cw_plain_lengths(rest.data, cw_plain_kind(layout), &caplen, &len);
	if (!cw_plain_is_caplen_odd(caplen, layout->caplen_max) &&
	    !(file->resync.is_on && caplen > len))
		return layout->record_header_bytes + (size_t)caplen;
	return odd_record_bytes(file, &rest, caplen, &needed);
}

/* Complete records from the start of `shown`. */
struct walked {
	size_t bytes;
	size_t last; /* offset of the last record */
	uint32_t count;
};

static inline __attribute__((always_inline)) struct walked
walk_records(const struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
	     const struct cw_pcapfile_limits *limits, const struct cw_plain_kind kind)
{
	const uint8_t *data = shown->data, *ahead = data;
	const size_t bytes = shown->bytes, bytes_max = limits->bytes_max;
	const uint32_t records_max = limits->records_max, caplen_max = file->layout.caplen_max;
	const bool is_checked = file->resync.is_on;
	struct walked walked = {0};
	size_t at = 0, record_bytes;
	uint32_t caplen, len;

	while (walked.count < records_max && bytes - at >= kind.header_bytes) {
		cw_plain_lengths(data + at, kind, &caplen, &len);
		record_bytes = kind.header_bytes + caplen;
		if (cw_unlikely(
			!cw_plain_is_record(data + at, caplen, len, caplen_max, is_checked))) {
			record_bytes = judge_record(file, shown, at);
			if (!record_bytes)
				break;
		}
		if (record_bytes > bytes - at || (walked.count && at + record_bytes > bytes_max))
			break;
		ahead = cw_prefetch_ahead(ahead, data + at);
		walked.last = at;
		at += record_bytes;
		walked.count++;
	}
	walked.bytes = at;
	return walked;
}

/* Walks complete pcap records. The bytes after them are left to the next call. */
static int scan_pcap(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		     const struct cw_pcapfile_limits *limits, struct cw_pcapfile_step *step,
		     struct cw_error *error)
{
	const struct cw_layout *layout = &file->layout;
	struct walked walked;

	if (file->zero_bytes && limits->records_max)
		return take_zeros(file, shown, limits, step, error);
	walked = cw_plain_is_usual(layout)
		     ? walk_records(file, shown, limits, CW_PLAIN_USUAL)
		     : walk_records(file, shown, limits, cw_plain_kind(layout));
	if (!walked.count && limits->records_max)
		return scan_no_record(file, shown, limits, step, error);
	if (walked.count)
		note_times(&file->resync, cw_load_u32(shown->data, layout->is_swapped),
			   cw_load_u32(shown->data + walked.last, layout->is_swapped));
	step->span.bytes = walked.bytes;
	step->span.record_count = walked.count;
	return CW_PCAPFILE_SPAN;
}

/* Returns the bytes of `shown` after the first `bytes`. */
static struct cw_pcapfile_shown shown_behind(const struct cw_pcapfile_shown *shown, size_t bytes)
{
	return (struct cw_pcapfile_shown){shown->data + bytes, shown->bytes - bytes,
					  shown->is_at_end};
}

/* Returns whether the first header is complete. */
static bool has_header(const struct cw_pcapfile *file)
{
	return file->first_format == CW_PCAPFILE_PCAP || file->section_count;
}

/* Consumes zeros in place of a block: a torn tail if only zeros follow, else damage. */
static int take_zero_blocks(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
			    struct cw_pcapfile_step *step, struct cw_error *error)
{
	const struct cw_pcapfile_shown first = {zeros, CW_PCAPNG_BLOCK_BYTES_MIN, true};
	size_t count = count_zeros(shown->data, shown->bytes);
	struct cw_pcapng_block block;

	file->zero_bytes += count;
	file->offset += count;
	step->consumed += count;
	if (count < shown->bytes)
		return cw_pcapng_check(file, &first, file->offset - file->zero_bytes, &block,
				       error);
	step->needed = 1;
	return shown->is_at_end ? refuse_zeros(file, 0, error) : CW_PCAPFILE_MORE;
}

/* Reads or skips blocks up to the first packet block. Returns as scan_pcap does; SPAN: found. */
static int skip_to_packet(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
			  struct cw_pcapfile_step *step, struct cw_error *error)
{
	for (;;) {
		const struct cw_pcapfile_shown at = shown_behind(shown, step->consumed);
		struct cw_pcapng_block block;
		int result;

		if (file->zero_bytes ||
		    (!file->resync.is_on && at.bytes >= CW_PCAPNG_BLOCK_BYTES_MIN &&
		     !cw_load_u64(at.data, 0)))
			return take_zero_blocks(file, &at, step, error);
		if (at.bytes == 0 && at.is_at_end && has_header(file))
			return CW_PCAPFILE_END;
		if (cw_pcap_is_header(&at))
			return join(file, &at, step, error);
		result = cw_pcapng_check(file, &at, file->offset, &block, error);
		if (result == CW_PCAPFILE_MORE)
			step->needed = block.bytes;
		if (result)
			return result;
		if (cw_pcapng_is_packet(block.type))
			return CW_PCAPFILE_SPAN;
		if (block.type == CW_PCAPNG_SHB)
			result = cw_pcapng_section(file, at.data, block.bytes, error);
		else if (block.type == CW_PCAPNG_IDB)
			result = cw_pcapng_interface(file, at.data, block.bytes, error);
		else
			result = cw_pcapng_other(file, &block, at.data, error);
		if (result)
			return result;
		step->consumed += block.bytes;
		file->offset += block.bytes;
	}
}

/* Walks from a packet block to the next block of another kind. */
static void scan_blocks(const struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
			const struct cw_pcapfile_limits *limits, struct cw_pcapfile_step *step)
{
	const int is_swapped = file->layout.is_swapped;
	const uint8_t *data = shown->data, *ahead = data;
	size_t at = 0, block_bytes;
	uint32_t count = 0, type;

	while (count < limits->records_max) {
		block_bytes = cw_plain_block(data + at, shown->bytes - at, is_swapped, &type);
		if (!block_bytes || (count && at + block_bytes > limits->bytes_max))
			break;
		ahead = cw_prefetch_ahead(ahead, data + at);
		at += block_bytes;
		count++;
	}
	step->span.bytes = at;
	step->span.record_count = count;
}

struct cw_layout cw_pcapfile_layout(const struct cw_pcapfile *file)
{
	struct cw_layout layout = file->layout;

	layout.block_end = file->ifaces->kept_count;
	layout.section = file->format == CW_PCAPFILE_PCAPNG ? file->section : NULL;
	return layout;
}

/* Scans after the bytes that `step` consumed. Returns as cw_pcapfile_scan does, or
 * CW_PCAPFILE_TORN. */
static int scan(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		const struct cw_pcapfile_limits *limits, struct cw_pcapfile_step *step,
		struct cw_error *error)
{
	struct cw_pcapfile_shown rest;
	int result = 0;

	if (file->format == CW_PCAPFILE_UNKNOWN)
		result = find_format(file, shown, step, error);
	if (result)
		return result;
	do {
		if (file->format == CW_PCAPFILE_PCAP) {
			rest = shown_behind(shown, step->consumed);
			result = scan_pcap(file, &rest, limits, step, error);
		} else {
			result = skip_to_packet(file, shown, step, error);
			rest = shown_behind(shown, step->consumed);
			if (result == CW_PCAPFILE_SPAN)
				scan_blocks(file, &rest, limits, step);
		}
	} while (result == SCAN_AGAIN);
	if (result == CW_PCAPFILE_SPAN && !step->span.data) {
		step->span.data = shown->data + step->consumed;
		step->span.offset = file->offset;
		step->span.layout = cw_pcapfile_layout(file);
		step->consumed += step->span.bytes;
		file->offset += step->span.bytes;
	}
	return result;
}

bool cw_pcapfile_can_resync(const struct cw_pcapfile *file)
{
	return has_header(file) && !file->is_torn;
}

int cw_pcapfile_scan(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		     const struct cw_pcapfile_limits *limits, struct cw_pcapfile_step *step,
		     struct cw_error *error)
{
	struct cw_error local = {0};
	int result = 0;

	memset(step, 0, sizeof(*step));
	error = error ? error : &local;
	for (;;) {
		if (file->resync.is_searching)
			result = cw_resync_search(file, shown, step, error);
		if (result == 0)
			result = scan(file, shown, limits, step, error);
		if (result >= 0 || file->resync.is_searching)
			return result;
		file->is_torn = result == CW_PCAPFILE_TORN;
		if (file->is_torn)
			result = error->code = -EBADMSG;
		if (!file->resync.is_on || !has_header(file) || step->consumed == shown->bytes ||
		    (result != -EBADMSG && result != -EPROTONOSUPPORT))
			return result;
		step->needed = 0;
		cw_resync_start(file, step, error);
		result = error->code = 0;
	}
}

void cw_pcapfile_skip(struct cw_pcapfile *file, uint64_t position, uint32_t first_s,
		      uint32_t last_s)
{
	assert(position > file->offset);
	file->offset = position;
	if (file->format == CW_PCAPFILE_PCAP)
		note_times(&file->resync, first_s, last_s);
}

void cw_pcapfile_trim(struct cw_pcapfile *file, struct cw_pcapfile_step *step, size_t bytes)
{
	struct cw_span *span = &step->span;
	const struct cw_layout *layout = &span->layout;
	uint32_t count = 0, claimed;
	size_t at = 0;

	if (span->data == zeros) {
		at = bytes - bytes % layout->record_header_bytes;
		file->zero_bytes += span->bytes - at;
		span->bytes = at;
		span->record_count = (uint32_t)(at / layout->record_header_bytes);
		return;
	}
	while (bytes > at) {
		const struct cw_pcapfile_shown rest = {span->data + at, bytes - at, true};
		struct cw_pcapng_block record = {.type = CW_PCAPNG_EPB};

		if (layout->is_pcapng) {
			if (cw_pcapng_check(file, &rest, span->offset + at, &record, NULL))
				break;
		} else {
			if (rest.bytes < layout->record_header_bytes)
				break;
			record.bytes = pcap_record_bytes(layout, rest.data, &claimed);
			if (!record.bytes && !claimed)
				record.bytes = layout->record_header_bytes;
			if (!record.bytes || record.bytes > rest.bytes)
				break;
		}
		at += record.bytes;
		count += cw_pcapng_is_packet(record.type);
	}
	step->consumed -= span->bytes - at;
	file->offset -= span->bytes - at;
	span->bytes = at;
	span->record_count = count;
}
