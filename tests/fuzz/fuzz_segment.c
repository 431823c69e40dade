/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a capture file that is walked from its boundaries and from guesses. */
#include "tests/rig/segment_twin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	twin_feed(data, bytes);
	return 0;
}
