/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pcapng blocks that outputs copy: decryption secrets, names, custom blocks. They are converted
 * to native byte order once, when they are read. Any other block is only counted.
 */
#include "core/format/options.h"
#include "core/format/pcapfile.h"

#define FRAME_BYTES ((size_t)12)
#define BODY ((size_t)8) /* offset of a block's body */
#define SECRETS_BYTES ((size_t)8)
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

static const struct {
	uint32_t type;
	enum cw_block_kind kind;
	size_t (*copy)(struct cw_pcapfile *file, const uint8_t *body, size_t bytes, uint8_t *to);
} known[] = {
    {CW_PCAPNG_DSB, CW_BLOCK_SECRETS, copy_secrets},
    {CW_PCAPNG_NRB, CW_BLOCK_NAMES, copy_names},
    {CW_PCAPNG_CUSTOM, CW_BLOCK_CUSTOM, copy_custom},
    {CW_PCAPNG_ISB, CW_BLOCK_STATISTICS, NULL},
};

void cw_pcapng_other(struct cw_pcapfile *file, const struct cw_pcapng_block *block,
		     const uint8_t *data)
{
	size_t at = 0, body_bytes = block->bytes - FRAME_BYTES, bytes;
	struct cw_block *kept;

	while (at < CW_ARRAY_COUNT(known) && known[at].type != block->type)
		at++;
	file->blocks.of_kind[at < CW_ARRAY_COUNT(known) ? known[at].kind : CW_BLOCK_OTHER]++;
	file->blocks.left_out++; /* unless it is kept */
	if (at == CW_ARRAY_COUNT(known) || !known[at].copy || !file->section)
		return;
	kept = cw_ifaces_add_block(file->ifaces, file->section, known[at].kind,
				   block->bytes + ENDS_BYTES);
	if (!kept)
		return;
	bytes = known[at].copy(file, data + BODY, body_bytes, kept->data + BODY);
	if (!bytes) {
		cw_ifaces_drop_block(file->ifaces);
		return;
	}
	kept->bytes = (uint32_t)(bytes + FRAME_BYTES);
	cw_store_u32(kept->data, block->type);
	cw_store_u32(kept->data + 4, kept->bytes);
	cw_store_u32(kept->data + kept->bytes - 4, kept->bytes);
	file->blocks.left_out--;
}
