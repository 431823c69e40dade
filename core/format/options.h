/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies the options of pcapng blocks into native byte order: the one place that knows the options.
 * Source: draft-ietf-opsawg-pcapng.
 */
#ifndef CW_CORE_FORMAT_OPTIONS_H
#define CW_CORE_FORMAT_OPTIONS_H

#include "core/base/base.h"

#define CW_OPTION_HEADER_BYTES 4u
#define CW_OPTION_END 0u
#define CW_OPTION_IF_NAME 2u
#define CW_OPTION_IF_DESCRIPTION 3u
#define CW_OPTION_IF_TSRESOL 9u
#define CW_OPTION_IF_FCSLEN 13u
#define CW_OPTION_IF_TSOFFSET 14u
#define CW_OPTION_ISB_START 2u /* two words, the high one first, in units of the interface */
#define CW_OPTION_ISB_END 3u

/* Blocks, by the meaning of their options. */
enum cw_options_block {
	CW_OPTIONS_SECTION,
	CW_OPTIONS_IFACE,
	CW_OPTIONS_PACKET,
	CW_OPTIONS_NAMES,
	CW_OPTIONS_SECRETS,
	CW_OPTIONS_STATISTICS,
};

/* The options of a block of a file. */
struct cw_options {
	const uint8_t *raw;
	size_t bytes;
	enum cw_options_block block;
	int is_swapped; /* the section's byte order is not this machine's */
};

/* Writes one option with its padding. Returns the bytes written. */
static inline size_t cw_option_put(uint8_t *to, uint16_t code, const void *value, uint16_t bytes)
{
	size_t padded = cw_pad4(bytes);

	cw_store_u16(to, code);
	cw_store_u16(to + 2, bytes);
	if (padded > bytes)
		cw_store_u32(to + padded, 0); /* pads the last word; the value follows */
	memcpy(to + CW_OPTION_HEADER_BYTES, value, bytes);
	return CW_OPTION_HEADER_BYTES + padded;
}

/*
 * Writes the options to `to` in native byte order, without an end of options; with `to` NULL, only
 * counts. Never writes more than `room` bytes: the memory may be a mapped file whose bytes changed
 * after they were counted. Returns the bytes written. `left_out` (may be NULL) is raised by the
 * number of options that are not copied: marked as not to be copied, of an unknown kind in a
 * foreign byte order, of a wrong length, truncated, or without room.
 *
 * An interface's name, description and units of timestamps are not copied and not counted: capweir
 * writes its own.
 */
size_t cw_options_copy(const struct cw_options *options, uint8_t *to, size_t room,
		       uint64_t *left_out);

#endif
