/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pcapng blocks that outputs copy: decryption secrets, names, custom blocks, statistics of
 * interfaces. They are converted to native byte order once, when they are read, and timestamps to
 * nanoseconds. Any other block is only counted.
 */
#include <errno.h>
#include <inttypes.h>

#include "core/format/options.h"
#include "core/format/pcapfile.h"

#define FRAME_BYTES ((size_t)12)
#define BODY ((size_t)8) /* offset of a block's body */
#define SECRETS_BYTES ((size_t)8)
#define STATISTICS_BYTES ((size_t)12)
#define STATISTICS_TIME ((size_t)4) /* offset in the body */
#define RECORD_BYTES ((size_t)4)
#define RECORD_END 0u
#define ENDS_BYTES ((size_t)8) /* an end of records and one of options, where the file has none */

/* Copies a list of options with its end. Returns the bytes written. */
static size_t copy_options(struct cw_pcapfile *file, enum cw_options_block block,
			   const uint8_t *raw, size_t bytes, uint8_t *to)
{
	const struct cw_options options = {raw, bytes, block, file->layout.is_swapped};
	size_t used = cw_options_copy(&options, to, bytes, &file->blocks.left_out_options);

	if (!used)
		return 0;
	cw_store_u32(to + used, CW_OPTION_END);
	return used + CW_OPTION_HEADER_BYTES;
}

/* These return the bytes of the copied body, or 0 if the block is damaged. */

static size_t copy_secrets(struct cw_pcapfile *file, const uint8_t *body, size_t bytes, uint8_t *to)
{
	int is_swapped = file->layout.is_swapped;
	uint32_t length;
	size_t data_bytes;

	if (bytes < SECRETS_BYTES)
		return 0;
	length = cw_load_u32(body + 4, is_swapped);
	data_bytes = cw_pad4(length);
	if (data_bytes > bytes - SECRETS_BYTES)
		return 0;
	cw_store_u32(to, cw_load_u32(body, is_swapped));
	cw_store_u32(to + 4, length);
	memcpy(to + SECRETS_BYTES, body + SECRETS_BYTES, data_bytes);
	data_bytes += SECRETS_BYTES;
	return data_bytes + copy_options(file, CW_OPTIONS_SECRETS, body + data_bytes,
					 bytes - data_bytes, to + data_bytes);
}

static size_t copy_names(struct cw_pcapfile *file, const uint8_t *body, size_t bytes, uint8_t *to)
{
	int is_swapped = file->layout.is_swapped;
	size_t used = 0;

	while (bytes - used >= RECORD_BYTES) {
		uint16_t type = cw_load_u16(body + used, is_swapped);
		uint16_t value_bytes = cw_load_u16(body + used + 2, is_swapped);

		if (type == RECORD_END)
			break;
		if (cw_pad4(value_bytes) > bytes - used - RECORD_BYTES)
			return 0;
		used += cw_option_put(to + used, type, body + used + RECORD_BYTES, value_bytes);
	}
	cw_store_u32(to + used, RECORD_END);
	used += RECORD_BYTES;
	if (used >= bytes)
		return used;
	return used + copy_options(file, CW_OPTIONS_NAMES, body + used, bytes - used, to + used);
}

/* The layout of a custom block's data is not known, so its byte order cannot change. */
static size_t copy_custom(struct cw_pcapfile *file, const uint8_t *body, size_t bytes, uint8_t *to)
{
	if (file->layout.is_swapped || bytes < 4)
		return 0;
	memcpy(to, body, bytes);
	return bytes;
}

/* Converts a native timestamp to nanoseconds. False: out of range. */
static bool convert_time(const struct cw_iface *iface, uint8_t *at)
{
	uint64_t units = (uint64_t)cw_load_u32(at, 0) << 32 | cw_load_u32(at + 4, 0);
	uint32_t flags = 0;
	uint64_t ts_ns = cw_iface_time(iface, units, &flags);

	cw_store_u32(at, (uint32_t)(ts_ns >> 32));
	cw_store_u32(at + 4, (uint32_t)ts_ns);
	return !flags;
}

/* The outputs replace the number of the interface. */
static size_t copy_statistics(struct cw_pcapfile *file, const uint8_t *body, size_t bytes,
			      uint8_t *to)
{
	int is_swapped = file->layout.is_swapped;
	const struct cw_iface *iface;
	size_t used = STATISTICS_BYTES;
	uint32_t number;

	if (bytes < STATISTICS_BYTES)
		return 0;
	number = cw_load_u32(body, is_swapped);
	if (number >= file->layout.iface_count)
		return 0;
	iface = cw_ifaces_at(file->ifaces, file->layout.iface_base + number);
	cw_store_u32(to, number);
	cw_store_u32(to + STATISTICS_TIME, cw_load_u32(body + STATISTICS_TIME, is_swapped));
	cw_store_u32(to + STATISTICS_TIME + 4, cw_load_u32(body + STATISTICS_TIME + 4, is_swapped));
	if (!convert_time(iface, to + STATISTICS_TIME))
		return 0;
	bytes =
	    used + copy_options(file, CW_OPTIONS_STATISTICS, body + used, bytes - used, to + used);
	while (used < bytes) {
		uint16_t code = cw_load_u16(to + used, 0);

		if ((code == CW_OPTION_ISB_START || code == CW_OPTION_ISB_END) &&
		    !convert_time(iface, to + used + CW_OPTION_HEADER_BYTES))
			return 0;
		used += CW_OPTION_HEADER_BYTES + cw_pad4(cw_load_u16(to + used + 2, 0));
	}
	return bytes;
}

/* Adds a copied block to its section's statistics. */
static void add_statistics(const struct cw_pcapfile *file, struct cw_block *kept)
{
	struct cw_section *section = file->section;

	kept->iface = file->layout.iface_base + cw_load_u32(kept->data + BODY, 0);
	if (section->statistics_last)
		section->statistics_last->statistics_next = kept;
	else
		section->statistics_first = kept;
	section->statistics_last = kept;
}

static const struct {
	uint32_t type;
	enum cw_block_kind kind;
	size_t (*copy)(struct cw_pcapfile *file, const uint8_t *body, size_t bytes, uint8_t *to);
} known[] = {
    {CW_PCAPNG_DSB, CW_BLOCK_SECRETS, copy_secrets},
    {CW_PCAPNG_NRB, CW_BLOCK_NAMES, copy_names},
    {CW_PCAPNG_CUSTOM, CW_BLOCK_CUSTOM, copy_custom},
    {CW_PCAPNG_ISB, CW_BLOCK_STATISTICS, copy_statistics},
};

int cw_pcapng_other(struct cw_pcapfile *file, const struct cw_pcapng_block *block,
		    const uint8_t *data, struct cw_error *error)
{
	size_t at = 0, body_bytes = block->bytes - FRAME_BYTES, bytes;
	struct cw_block *kept;
	int result;

	while (at < CW_ARRAY_COUNT(known) && known[at].type != block->type)
		at++;
	file->blocks.of_kind[at < CW_ARRAY_COUNT(known) ? known[at].kind : CW_BLOCK_OTHER]++;
	file->blocks.left_out++; /* unless it is kept */
	if (at == CW_ARRAY_COUNT(known) || !file->section)
		return 0;
	result =
	    cw_ifaces_add_block(file->ifaces,
				&(struct cw_block){.section = file->section,
						   .kind = known[at].kind,
						   .bytes = (uint32_t)(block->bytes + ENDS_BYTES)},
				&kept);
	if (result == -ENOMEM)
		return cw_error_set_errno(error, result, "cannot keep the block at byte %" PRIu64,
					  file->offset);
	if (result)
		return 0;
	bytes = known[at].copy(file, data + BODY, body_bytes, kept->data + BODY);
	if (!bytes) {
		cw_ifaces_drop_block(file->ifaces);
		return 0;
	}
	kept->bytes = (uint32_t)(bytes + FRAME_BYTES);
	cw_store_u32(kept->data, block->type);
	cw_store_u32(kept->data + 4, kept->bytes);
	cw_store_u32(kept->data + kept->bytes - 4, kept->bytes);
	if (kept->kind == CW_BLOCK_STATISTICS)
		add_statistics(file, kept);
	file->blocks.left_out--;
	return 0;
}
