/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The walk over records, and the pcap header. pcapng.c reads the content of pcapng's blocks.
 */
#include "core/format/pcapfile.h"

#include <errno.h>
#include <inttypes.h>

#define MAGIC_US 0xA1B2C3D4u
#define MAGIC_NS 0xA1B23C4Du
#define MAGIC_KUZNETZOV 0xA1B2CD34u
#define HEADER_BYTES 24
#define RESERVED_BITS 0x0BFF0000u /* of the link field */
#define JOINED_BYTES 16 /* of a pcap header, up to the snapshot length: no record has these */
#define SCAN_AGAIN 3    /* a joined file's header was read; after the results of cw_pcapfile_scan */
#define COOKED_HEADER_BYTES 14 /* libpcap accepts these beyond snaplen in Kuznetzov's files */

/* The data of spans of empty records, instead of any number of zeros that were only counted. */
static const uint8_t zeros[(size_t)16 << 10];

/* Formats that users meet and capweir does not read, by their first bytes. */
static const struct {
	const char *magic;
	uint8_t bytes;
	const char *name;
} foreign[] = {
    {"\xA1\xE2\xCB\x12", 4, "AIX tcpdump's pcap"},
    {"\xA1\xB2\x34\xCD", 4, "pcap with F. Mesquita's patch"},
    {"\xCD\x34\xB2\xA1", 4, "pcap with F. Mesquita's patch"},
    {"\xA1\x2B\x3C\x4D", 4, "pcap in Navtel's variant"},
    {"\x4D\x3C\x2B\xA1", 4, "pcap in Navtel's variant"},
    {"\xA1\xB2\xC3\xCB", 4, "pcap with the CBPF patch"},
    {"\xCB\xC3\xB2\xA1", 4, "pcap with the CBPF patch"},
    {"\x1C\x00\x01\xAC", 4, "IXIA lcap"},
    {"\xAC\x01\x00\x1C", 4, "IXIA lcap"},
    {"\x1C\x00\x01\xAB", 4, "IXIA lcap"},
    {"\xAB\x01\x00\x1C", 4, "IXIA lcap"},
    {"snoop\0\0\0", 8, "snoop"},
    {"XCP\0", 4, "Network Associates Sniffer"},
    {"GMBU", 4, "Microsoft Network Monitor 2"},
    {"RTSS", 4, "Microsoft Network Monitor 1"},
    {"\xFD"
     "7zXZ",
     5, "xz (decompress it first: xz -dc FILE | capweir split -r - ...)"},
    {"BZh", 3, "bzip2 (decompress it first: bzip2 -dc FILE | capweir split -r - ...)"},
    {"\x04\x22\x4D\x18", 4, "lz4 (decompress it first: lz4 -dc FILE | capweir split -r - ...)"},
};

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

uint32_t cw_pcapfile_caplen_cut(const struct cw_iface *iface)
{
	if (iface->snaplen == 0 || iface->snaplen > INT32_MAX)
		return cw_linktype_caplen_max(iface->linktype);
	return iface->snaplen;
}

/* Reports bytes that are neither pcap nor pcapng, with the format's name if it is known. */
static int refuse_magic(const uint8_t *data, size_t bytes, struct cw_error *error)
{
	if (!bytes)
		return cw_error_set(error, -EBADMSG, "empty file: it has no capture file header");
	for (size_t i = 0; i < CW_ARRAY_COUNT(foreign); i++)
		if (bytes >= foreign[i].bytes && !memcmp(data, foreign[i].magic, foreign[i].bytes))
			return cw_error_set(error, -EPROTONOSUPPORT,
					    "capweir does not read this format: %s",
					    foreign[i].name);
	if (bytes < 4)
		return cw_error_set(error, -EBADMSG,
				    "truncated: %zu bytes are too few for a capture file header",
				    bytes);
	return cw_error_set(error, -EBADMSG,
			    "not a capture file: the first bytes %02x %02x %02x %02x are neither "
			    "pcap nor pcapng",
			    data[0], data[1], data[2], data[3]);
}

static bool is_pcap_magic(uint32_t magic)
{
	return magic == MAGIC_US || magic == MAGIC_NS || magic == MAGIC_KUZNETZOV;
}

/* Returns the order of a record's two lengths; -1 for an undefined version. */
static int lengths_of_version(uint16_t major, uint16_t minor)
{
	if (major == 543 && minor == 0) /* DG/UX tcpdump */
		return CW_LENGTHS_SWAPPED;
	if (major != 2 || minor > 4)
		return -1;
	if (minor == 4)
		return CW_LENGTHS_IN_ORDER;
	return minor == 3 ? CW_LENGTHS_MAYBE_SWAPPED : CW_LENGTHS_SWAPPED;
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
	int is_swapped = !is_pcap_magic(cw_load_u32(data, 0));
	uint32_t magic = cw_load_u32(data, is_swapped);
	uint16_t major = cw_load_u16(data + 4, is_swapped);
	uint16_t minor = cw_load_u16(data + 6, is_swapped);
	uint32_t field;
	int64_t index;
	int lengths;

	lengths = lengths_of_version(major, minor);
	if (lengths < 0)
		return cw_error_set(error, -EPROTONOSUPPORT,
				    "capweir does not read pcap version %u.%u, only 2.0 to 2.4 and "
				    "543.0",
				    major, minor);
	note_header(file, major, minor, is_swapped);
	field = cw_load_u32(data + 20, is_swapped);
	iface.linktype = cw_linktype_canonical(field & UINT16_MAX);
	iface.fcs = field & CW_FCS_IS_KNOWN ? field & CW_FCS_MASK : 0;
	iface.snaplen = cw_load_u32(data + 16, is_swapped);
	iface.ts_units_per_s = magic == MAGIC_NS ? CW_NS_PER_S : CW_NS_PER_S / 1000;
	iface.has_ns = magic == MAGIC_NS;
	iface.is_swapped = (uint8_t)is_swapped;
	layout->caplen_max = cw_linktype_caplen_max(iface.linktype);
	layout->caplen_cut = cw_pcapfile_caplen_cut(&iface);
	if (magic == MAGIC_KUZNETZOV && iface.linktype == CW_LINKTYPE_ETHERNET &&
	    layout->caplen_cut <= INT32_MAX - COOKED_HEADER_BYTES)
		layout->caplen_cut += COOKED_HEADER_BYTES;
	if (!file->joined_count)
		file->limit = iface.snaplen && iface.snaplen <= INT32_MAX ? layout->caplen_cut : 0;
	if (file->linktype != CW_LINKTYPE_ANY)
		iface.linktype = file->linktype;
	index = cw_ifaces_add(file->ifaces, &iface);
	if (index < 0)
		return cw_error_set_errno(error, (int)index, "cannot add an interface");
	layout->is_swapped = (uint8_t)is_swapped;
	layout->has_swapped_lengths = (uint8_t)lengths;
	layout->record_header_bytes = magic == MAGIC_KUZNETZOV ? 24 : 16;
	layout->ts_unit_ns = magic == MAGIC_NS ? 1 : 1000;
	layout->iface_base = (uint32_t)index;
	layout->iface_count = 1;
	layout->is_pcapng = 0;
	file->format = CW_PCAPFILE_PCAP;
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
	return cw_error_set(error, -EBADMSG,
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
	if (bytes < 4 ||
	    (!is_pcap_magic(cw_load_u32(data, 0)) && !is_pcap_magic(cw_load_u32(data, 1)))) {
		if (bytes < 8 && !shown->is_at_end)
			return need(step, 8, shown, 0, "the header", error);
		return refuse_magic(data, bytes, error);
	}
	if (bytes < HEADER_BYTES)
		return need(step, HEADER_BYTES, shown, 0, "the file header", error);
	result = pcap_header(file, data, error);
	if (result < 0)
		return result;
	file->first_format = CW_PCAPFILE_PCAP;
	step->consumed = HEADER_BYTES;
	file->offset = HEADER_BYTES;
	return 0;
}

/* Returns the bytes of the pcap record at `at`, or 0 if its capture length is 0 or exceeds
 * caplen_max: one comparison for both, since both are rare. */
static inline size_t pcap_record_bytes(const struct cw_layout *layout, const uint8_t *at,
				       uint32_t *claimed)
{
	uint32_t caplen = cw_load_u32(at + 8, layout->is_swapped);

	if (cw_unlikely(layout->has_swapped_lengths)) {
		uint32_t len = cw_load_u32(at + 12, layout->is_swapped);

		if (layout->has_swapped_lengths == CW_LENGTHS_SWAPPED || caplen > len)
			caplen = len;
	}
	*claimed = caplen;
	return caplen - 1 >= layout->caplen_max ? 0 : layout->record_header_bytes + (size_t)caplen;
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

/*
 * Returns whether a pcap header is at `shown`, or its first bytes are and the rest is not there
 * yet. libpcap writes 0 to the header's time zone and accuracy, so as a record it is an empty one.
 */
static bool is_pcap_header(const struct cw_pcapfile_shown *shown)
{
	const uint8_t *data = shown->data;
	int is_swapped;

	if (shown->bytes < 4)
		return false;
	is_swapped = !is_pcap_magic(cw_load_u32(data, 0));
	if (!is_pcap_magic(cw_load_u32(data, is_swapped)))
		return false;
	if (shown->bytes < JOINED_BYTES)
		return !shown->is_at_end;
	if (cw_load_u64(data + 8, 0) || lengths_of_version(cw_load_u16(data + 4, is_swapped),
							   cw_load_u16(data + 6, is_swapped)) < 0)
		return false;
	return shown->bytes < HEADER_BYTES || !(cw_load_u32(data + 20, is_swapped) & RESERVED_BITS);
}

static bool is_section_header(const uint8_t *data)
{
	return cw_load_u32(data, 0) == CW_PCAPNG_SHB &&
	       (cw_load_u32(data + 8, 0) == CW_PCAPNG_ORDER_MAGIC ||
		cw_load_u32(data + 8, 1) == CW_PCAPNG_ORDER_MAGIC);
}

/* The kinds of bytes in place of a pcap record whose capture length is 0 or too large. */
enum oddity { ODD_EMPTY, ODD_ZEROS, ODD_JOINED, ODD_TOO_LONG };

static enum oddity find_oddity(const struct cw_layout *layout,
			       const struct cw_pcapfile_shown *shown, uint32_t claimed)
{
	if (is_pcap_header(shown) || (claimed && is_section_header(shown->data)))
		return ODD_JOINED;
	if (claimed)
		return ODD_TOO_LONG;
	return count_zeros(shown->data, layout->record_header_bytes) == layout->record_header_bytes
		   ? ODD_ZEROS
		   : ODD_EMPTY;
}

static int refuse_zeros(const struct cw_pcapfile *file, uint64_t more, struct cw_error *error)
{
	return cw_error_set(error, -EBADMSG,
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
	bool is_pcap = is_pcap_header(shown);
	int result;

	if (shown->bytes < HEADER_BYTES)
		return need(step, HEADER_BYTES, shown, file->offset, "the header of a joined file",
			    error);
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
	step->consumed += HEADER_BYTES;
	file->offset += HEADER_BYTES;
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
	record_bytes = pcap_record_bytes(layout, shown->data, &claimed);
	if (record_bytes)
		return need(step, record_bytes, shown, file->offset, "the record", error);
	switch (find_oddity(layout, shown, claimed)) {
	case ODD_ZEROS:
		return take_zeros(file, shown, limits, step, error);
	case ODD_JOINED:
		return join(file, shown, step, error);
	default:
		return cw_error_set(error, -EBADMSG,
				    "damaged: the record at byte %" PRIu64
				    " claims %u captured bytes; the maximum is %u",
				    file->offset, claimed, layout->caplen_max);
	}
}

/* Walks complete pcap records. The bytes after them are left to the next call. */
static int scan_pcap(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		     const struct cw_pcapfile_limits *limits, struct cw_pcapfile_step *step,
		     struct cw_error *error)
{
	const struct cw_layout layout = file->layout;
	const uint8_t *data = shown->data, *ahead = data;
	const size_t bytes = shown->bytes, bytes_max = limits->bytes_max;
	const uint32_t records_max = limits->records_max;
	size_t at = 0, record_bytes;
	uint32_t count = 0, claimed;

	if (file->zero_bytes && records_max)
		return take_zeros(file, shown, limits, step, error);
	while (count < records_max && bytes - at >= layout.record_header_bytes) {
		record_bytes = pcap_record_bytes(&layout, data + at, &claimed);
		if (cw_unlikely(!record_bytes)) {
			const struct cw_pcapfile_shown rest = {data + at, bytes - at,
							       shown->is_at_end};

			if (find_oddity(&layout, &rest, claimed) != ODD_EMPTY)
				break;
			record_bytes = layout.record_header_bytes;
		}
		if (record_bytes > bytes - at || (count && at + record_bytes > bytes_max))
			break;
		ahead = cw_prefetch_ahead(ahead, data + at);
		at += record_bytes;
		count++;
	}
	if (!count && records_max)
		return scan_no_record(file, shown, limits, step, error);
	step->span.bytes = at;
	step->span.record_count = count;
	return CW_PCAPFILE_SPAN;
}

/* Returns the bytes of `shown` after the first `bytes`. */
static struct cw_pcapfile_shown shown_behind(const struct cw_pcapfile_shown *shown, size_t bytes)
{
	return (struct cw_pcapfile_shown){shown->data + bytes, shown->bytes - bytes,
					  shown->is_at_end};
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
		    (at.bytes >= CW_PCAPNG_BLOCK_BYTES_MIN && !cw_load_u64(at.data, 0)))
			return take_zero_blocks(file, &at, step, error);
		if (at.bytes == 0 && at.is_at_end && file->section_count)
			return CW_PCAPFILE_END;
		if (is_pcap_header(&at))
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
			cw_pcapng_other(file, &block, at.data);
		if (result)
			return result;
		step->consumed += block.bytes;
		file->offset += block.bytes;
	}
}

/* Walks from a packet block to the next block of another kind. */
static void scan_blocks(struct cw_pcapfile *file, struct cw_pcapfile_shown at,
			const struct cw_pcapfile_limits *limits, struct cw_pcapfile_step *step)
{
	const uint8_t *ahead = at.data;
	struct cw_pcapng_block block;
	size_t used = 0;
	uint32_t count = 0;

	while (count < limits->records_max) {
		if (at.bytes == 0 || cw_pcapng_check(file, &at, file->offset + used, &block, NULL))
			break;
		if (cw_unlikely(!cw_pcapng_is_packet(block.type)))
			break;
		if (count && used + block.bytes > limits->bytes_max)
			break;
		ahead = cw_prefetch_ahead(ahead, at.data);
		at.data += block.bytes;
		at.bytes -= block.bytes;
		used += block.bytes;
		count++;
	}
	step->span.bytes = used;
	step->span.record_count = count;
}

int cw_pcapfile_scan(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		     const struct cw_pcapfile_limits *limits, struct cw_pcapfile_step *step,
		     struct cw_error *error)
{
	struct cw_pcapfile_shown rest;
	int result = 0;

	memset(step, 0, sizeof(*step));
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
			if (result == CW_PCAPFILE_SPAN)
				scan_blocks(file, shown_behind(shown, step->consumed), limits,
					    step);
		}
	} while (result == SCAN_AGAIN);
	if (result == CW_PCAPFILE_SPAN && !step->span.data) {
		step->span.data = shown->data + step->consumed;
		step->span.offset = file->offset;
		step->span.layout = file->layout;
		step->span.layout.block_end = file->ifaces->kept_count;
		step->span.layout.section =
		    file->format == CW_PCAPFILE_PCAPNG ? file->section : NULL;
		step->consumed += step->span.bytes;
		file->offset += step->span.bytes;
	}
	return result;
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
