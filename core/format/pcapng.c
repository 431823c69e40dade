/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The blocks of pcapng: their frame, section headers and interface descriptions. The content of
 * packet blocks is read when packets are decoded (segment.c), so damage in one loses that packet
 * only.
 */
#include "core/format/pcapfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/format/options.h"
#include "core/format/plain.h"

#define SHB_OPTIONS 24 /* offset */
#define BLOCK_HEADER_BYTES 8

static int need(struct cw_pcapng_block *block, size_t needed, const struct cw_pcapfile_shown *shown,
		uint64_t offset, struct cw_error *error)
{
	block->bytes = needed;
	if (!shown->is_at_end)
		return CW_PCAPFILE_MORE;
	return cw_error_set(error, CW_PCAPFILE_TORN,
			    "truncated: the block at byte %" PRIu64
			    " needs %zu bytes, %zu are left",
			    offset, needed, shown->bytes);
}

/* Reports a block's invalid length. */
static int refuse_length(size_t length, uint64_t offset, struct cw_error *error)
{
	const char *why = length < CW_PCAPNG_BLOCK_BYTES_MIN ? "less than the minimum of 12"
			  : length % 4                       ? "not a multiple of 4"
							     : "more than the maximum of 129 MiB";

	return cw_error_set(error, -EBADMSG,
			    "damaged: the block at byte %" PRIu64 " claims a length of %zu, %s",
			    offset, length, why);
}

int cw_pcapng_check(const struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		    uint64_t offset, struct cw_pcapng_block *block, struct cw_error *error)
{
	const uint8_t *data = shown->data;
	int is_swapped = file->layout.is_swapped;
	size_t length;
	uint32_t trailer;

	if (cw_unlikely(shown->bytes < CW_PCAPNG_BLOCK_BYTES_MIN))
		return need(block, CW_PCAPNG_BLOCK_BYTES_MIN, shown, offset, error);
	block->type = cw_load_u32(data, is_swapped);
	if (cw_unlikely(block->type == CW_PCAPNG_SHB)) { /* a palindrome: same in both orders */
		is_swapped = cw_pcapng_order(data);
		if (is_swapped < 0)
			return cw_error_set(error, -EBADMSG,
					    "damaged: the section header at byte %" PRIu64
					    " has no byte-order magic",
					    offset);
	}
	length = cw_load_once_u32(data + 4, is_swapped);
	if (cw_unlikely(!cw_pcapng_is_length(length)))
		return refuse_length(length, offset, error);
	if (length > shown->bytes)
		return need(block, length, shown, offset, error);
	trailer = cw_load_u32(data + length - 4, is_swapped);
	if (cw_unlikely(trailer != length))
		return cw_error_set(error, -EBADMSG,
				    "damaged: the block at byte %" PRIu64
				    " has length %zu at its start and %u at its end",
				    offset, length, trailer);
	block->bytes = length;
	return 0;
}

/* Fills a copy of a block's options, or NULL if there are none. Counts options that cannot be kept.
 * Returns 0 or -ENOMEM. */
static int keep_options(struct cw_pcapfile *file, const struct cw_options *options,
			const struct cw_described **filled)
{
	size_t bytes = cw_options_copy(options, NULL, SIZE_MAX, NULL);
	struct cw_described *kept = NULL;
	uint64_t all = 0, left_out = 0;

	if (bytes && cw_ifaces_describe(file->ifaces, bytes, &kept) == -ENOMEM)
		return -ENOMEM;
	bytes = cw_options_copy(options, kept ? kept->options : NULL, kept ? bytes : 0, &left_out);
	cw_options_copy(options, NULL, 0, &all);
	file->blocks.left_out_options += left_out;
	if (kept) {
		kept->bytes = bytes;
		kept->count = (uint32_t)(all - left_out);
	}
	*filled = kept;
	return 0;
}

int cw_pcapng_section(struct cw_pcapfile *file, const uint8_t *block, size_t block_bytes,
		      struct cw_error *error)
{
	int is_swapped = cw_pcapng_order(block);
	struct cw_options options;
	uint16_t major, minor;

	if (block_bytes < CW_PCAPNG_SHB_BYTES)
		return cw_error_set(error, -EBADMSG,
				    "damaged: the section header at byte %" PRIu64
				    " has %zu bytes; the minimum is %zu",
				    file->offset, block_bytes, CW_PCAPNG_SHB_BYTES);
	major = cw_load_u16(block + 12, is_swapped);
	minor = cw_load_u16(block + 14, is_swapped);
	if (!cw_pcapng_is_version(major, minor))
		return cw_error_set(error, file->section_count ? -EBADMSG : -EPROTONOSUPPORT,
				    "capweir does not read pcapng version %u.%u (section at byte "
				    "%" PRIu64 "), only 1.0 and 1.2",
				    major, minor, file->offset);
	if (!file->section_count && !file->joined_count) {
		file->version_major = major;
		file->version_minor = minor;
		file->is_big_endian = is_swapped == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
	}
	file->section_count++;
	file->layout.is_swapped = (uint8_t)is_swapped;
	file->layout.iface_base = file->ifaces->count;
	file->layout.iface_count = 0;
	options = (struct cw_options){block + SHB_OPTIONS, block_bytes - CW_PCAPNG_SHB_BYTES,
				      CW_OPTIONS_SECTION, is_swapped};
	file->section = cw_ifaces_add_section(file->ifaces);
	if (!file->section || keep_options(file, &options, &file->section->options))
		return cw_error_set_errno(error, -ENOMEM, "cannot add a section");
	return 0;
}

/* Sets the interface's if_tsresol. Returns false for a unit that 64 bits cannot count. */
static bool set_resolution(struct cw_iface *iface, uint8_t resolution)
{
	uint8_t exponent = resolution & 0x7F;

	iface->ts_shift = 0;
	iface->ts_units_per_s = 0;
	if (resolution & 0x80) {
		if (exponent > 63)
			return false;
		iface->ts_shift = exponent;
		iface->ts_units_per_s = exponent ? 0 : 1;
		iface->has_ns = exponent > 6; /* 2^-7 s is no whole number of microseconds */
		return true;
	}
	if (exponent > 19)
		return false;
	iface->has_ns = exponent > 6;
	for (iface->ts_units_per_s = 1; exponent; exponent--)
		iface->ts_units_per_s *= 10;
	return true;
}

static int keep_text(struct cw_pcapfile *file, char **text, const uint8_t *value, size_t bytes)
{
	if (bytes > CW_NAME_BYTES) {
		if (bytes <= CW_DESCRIBED_BYTES_MAX - file->ifaces->described_bytes) {
			file->ifaces->described_bytes += bytes;
		} else {
			file->blocks.left_out_options++;
			bytes = CW_NAME_BYTES;
		}
	}
	free(*text);
	*text = strndup((const char *)value, bytes);
	return *text ? 0 : -ENOMEM;
}

/* Reads one option of an interface block. `seen`: one bit per option that may occur only once. */
static int take_option(struct cw_pcapfile *file, struct cw_iface *iface, uint16_t code,
		       const uint8_t *value, uint16_t bytes, uint32_t *seen)
{
	switch (code) {
	case CW_OPTION_IF_NAME:
		return keep_text(file, &iface->name, value, bytes);
	case CW_OPTION_IF_DESCRIPTION:
		return keep_text(file, &iface->description, value, bytes);
	case CW_OPTION_IF_TSRESOL:
		if (bytes != 1 || *seen & 1 || !set_resolution(iface, *value))
			return -EBADMSG;
		*seen |= 1;
		return 0;
	case CW_OPTION_IF_TSOFFSET:
		if (bytes != 8 || *seen & 2)
			return -EBADMSG;
		iface->ts_offset_s = cw_load_u64(value, file->layout.is_swapped);
		*seen |= 2;
		return 0;
	case CW_OPTION_IF_FCSLEN:
		if (bytes == 1)
			iface->fcs = cw_fcs_from_bits(*value);
		return 0;
	default:
		return 0;
	}
}

/* Reads an interface's options. Damage is an error: timestamps depend on these options. */
static int take_options(struct cw_pcapfile *file, struct cw_iface *iface, const uint8_t *at,
			size_t left)
{
	const struct cw_options options = {at, left, CW_OPTIONS_IFACE, file->layout.is_swapped};
	uint32_t seen = 0;

	while (left) {
		uint16_t code, bytes;
		int result;

		if (left < CW_OPTION_HEADER_BYTES)
			return -EBADMSG;
		code = cw_load_u16(at, options.is_swapped);
		bytes = cw_load_u16(at + 2, options.is_swapped);
		if (code == CW_OPTION_END && bytes)
			return -EBADMSG;
		if (code == CW_OPTION_END)
			break;
		if (cw_pad4(bytes) > left - CW_OPTION_HEADER_BYTES)
			return -EBADMSG;
		result = take_option(file, iface, code, at + CW_OPTION_HEADER_BYTES, bytes, &seen);
		if (result)
			return result;
		at += CW_OPTION_HEADER_BYTES + cw_pad4(bytes);
		left -= CW_OPTION_HEADER_BYTES + cw_pad4(bytes);
	}
	return keep_options(file, &options, &iface->options);
}

/*
 * Copies the section's interfaces to the end of the run's table, after another input has added
 * interfaces: a section's interfaces must be contiguous, so that a span needs no list of them.
 */
static int move_section(struct cw_pcapfile *file)
{
	uint32_t base = file->ifaces->count;

	for (uint32_t i = 0; i < file->layout.iface_count; i++) {
		struct cw_iface iface = *cw_ifaces_at(file->ifaces, file->layout.iface_base + i);
		int64_t index;

		iface.is_copy = true;
		index = cw_ifaces_add(file->ifaces, &iface);
		if (index < 0)
			return (int)index;
	}
	file->layout.iface_base = base;
	return 0;
}

/* Counts the interface's options that no pcap file holds. The FCS length is in its header. */
static void note_pcap_options(struct cw_pcapfile *file, const struct cw_iface *iface)
{
	if (!file->section)
		return;
	file->section->iface_options += (iface->options ? iface->options->count : 0) +
					(iface->name != NULL) + (iface->description != NULL) -
					(iface->options && iface->fcs);
}

int cw_pcapng_interface(struct cw_pcapfile *file, const uint8_t *block, size_t block_bytes,
			struct cw_error *error)
{
	struct cw_iface iface = {.input = file->input, .ts_units_per_s = 1000000};
	struct cw_layout *layout = &file->layout;
	int64_t index = 0;
	int result;

	if (block_bytes < CW_PCAPNG_IDB_BYTES)
		return cw_error_set(error, -EBADMSG,
				    "damaged: the interface block at byte %" PRIu64
				    " has %zu bytes; the minimum is %zu",
				    file->offset, block_bytes, CW_PCAPNG_IDB_BYTES);
	iface.linktype =
	    cw_linktype_canonical(cw_load_u16(block + BLOCK_HEADER_BYTES, layout->is_swapped));
	iface.snaplen = cw_load_u32(block + BLOCK_HEADER_BYTES + 4, layout->is_swapped);
	iface.is_swapped = layout->is_swapped;
	iface.section = file->section;
	if (file->linktype != CW_LINKTYPE_ANY)
		iface.linktype = file->linktype;
	result = take_options(file, &iface, block + 16, block_bytes - CW_PCAPNG_IDB_BYTES);
	if (!result && layout->iface_base + layout->iface_count != file->ifaces->count)
		result = move_section(file);
	if (!result) {
		index = cw_ifaces_add(file->ifaces, &iface);
		result = index < 0 ? (int)index : 0;
	}
	if (result) {
		free(iface.name);
		free(iface.description);
		if (result != -EBADMSG)
			return cw_error_set_errno(error, result, "cannot add an interface");
		return cw_error_set(error, result,
				    "damaged: the interface block at byte %" PRIu64
				    " has a truncated, repeated or out-of-range option",
				    file->offset);
	}
	layout->iface_count++;
	cw_pcapfile_note_iface(file, &iface);
	note_pcap_options(file, &iface);
	return 0;
}
