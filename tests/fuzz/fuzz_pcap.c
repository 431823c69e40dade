/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a capture file. The first byte chooses the size of the pieces, the second one
 * whether records are mended. test_pcapfile replays the corpus.
 */
#include "tests/rig/feed.h"

#define HEADER_BYTES ((size_t)24)
#define RECORD_BYTES ((size_t)16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/*
 * Makes the bytes a pcap file of plausible records, but for one record in eight: chance hardly
 * finds several plausible ones in a row, which end the search after damage.
 */
static void mend_records(uint8_t *file, size_t bytes)
{
	static const uint32_t header[HEADER_BYTES / 4] = {0xA1B2C3D4, 0x00040002, 0, 0, 65535, 1};
	size_t at = HEADER_BYTES;

	memcpy(file, header, HEADER_BYTES);
	while (bytes - at >= RECORD_BYTES) {
		uint32_t caplen = file[at + 8] & 0x3F;

		if (file[at + 12] % 8) {
			memset(file + at + 2, 0, 2); /* seconds of one day */
			memset(file + at + 6, 0, 2);
			cw_store_u32(file + at + 8, caplen);
			cw_store_u32(file + at + 12, caplen + (file[at + 12] & 1));
		}
		if (caplen > bytes - at - RECORD_BYTES)
			break;
		at += RECORD_BYTES + caplen;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t *image;

	if (bytes < 2)
		return 0;
	image = malloc(bytes);
	memcpy(image, data + 2, bytes - 2);
	if (data[1] & 1 && bytes - 2 >= HEADER_BYTES)
		mend_records(image, bytes - 2);
	feed_image(image, bytes - 2, 1 + (size_t)data[0]);
	free(image);
	return 0;
}
