/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as the blocks of a pcapng file. The first two bytes choose the byte order and the size
 * of the pieces. A section header is added, so that the fuzzer reaches the blocks at once.
 */
#include "tests/rig/feed.h"

#define SHB_BYTES ((size_t)28)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/*
 * Makes each block's length plausible and equal at its end, in three of four inputs: chance hardly
 * finds equal lengths.
 */
static void mend_trailers(uint8_t *blocks, size_t bytes, int is_swapped)
{
	size_t at = 0;

	while (bytes - at >= CW_PCAPNG_BLOCK_BYTES_MIN) {
		uint32_t length = cw_load_u32(blocks + at + 4, is_swapped) & 0x1FC;

		if (length < CW_PCAPNG_BLOCK_BYTES_MIN)
			length = CW_PCAPNG_BLOCK_BYTES_MIN;
		if (length > bytes - at)
			break;
		length = cw_load_u32(&length, is_swapped);
		memcpy(blocks + at + 4, &length, 4);
		length = cw_load_u32(&length, is_swapped);
		at += length;
		length = cw_load_u32(&length, is_swapped);
		memcpy(blocks + at - 4, &length, 4);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	int is_swapped;
	uint32_t header[SHB_BYTES / 4] = {CW_PCAPNG_SHB, 28, 0x1A2B3C4D, 1, ~0u, ~0u, 28};
	uint8_t *image;
	size_t i;

	if (bytes < 2)
		return 0;
	is_swapped = data[0] & 1;
	if (is_swapped) {
		for (i = 0; i < SHB_BYTES / 4; i++)
			header[i] = __builtin_bswap32(header[i]);
		header[3] = (uint32_t)__builtin_bswap16(1); /* major and minor version */
	}
	image = malloc(SHB_BYTES + bytes - 2);
	memcpy(image, header, SHB_BYTES);
	memcpy(image + SHB_BYTES, data + 2, bytes - 2);
	if (data[0] & 6)
		mend_trailers(image + SHB_BYTES, bytes - 2, is_swapped);
	feed_image(image, SHB_BYTES + bytes - 2, 1 + (size_t)data[1]);
	free(image);
	return 0;
}
