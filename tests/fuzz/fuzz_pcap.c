/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a capture file. The first byte chooses the size of the pieces. test_pcapfile replays
 * the corpus.
 */
#include "tests/rig/feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes)
		feed_image(data + 1, bytes - 1, 1 + (size_t)data[0]);
	return 0;
}
