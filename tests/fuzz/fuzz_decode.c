/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a packet. The first byte chooses the link type, the second a layer to leave out. */
#include "tests/rig/decode_check.h"

#include <stdio.h>

#include "core/packet/linktype.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const uint32_t linktypes[] = {CW_LINKTYPE_ETHERNET,
					     CW_LINKTYPE_RAW,
					     CW_LINKTYPE_LINUX_SLL,
					     CW_LINKTYPE_LINUX_SLL2,
					     CW_LINKTYPE_NULL,
					     9,
					     51,
					     228};
	const char *wrong;

	if (bytes < 2)
		return 0;
	wrong =
	    check_packet(data + 2, (uint32_t)bytes - 2,
			 linktypes[data[0] % CW_ARRAY_COUNT(linktypes)], data[1] % CW_LAYER_COUNT);
	if (wrong) {
		fprintf(stderr, "%s\n", wrong);
		abort();
	}
	return 0;
}
