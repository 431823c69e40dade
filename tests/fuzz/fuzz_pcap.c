/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a pcap file (or whatever they are). The first byte chooses the size of the pieces.
 * The corpus replays in test_pcapfile.
 */
#include "tests/rig/feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes)
		feed_image(data + 1, bytes - 1, 1 + (size_t)data[0]);
	return 0;
}
