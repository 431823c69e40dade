/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes packed with gzip or zstd. */
#ifndef CW_TESTS_CORE_SOURCE_PACK_RIG_H
#define CW_TESTS_CORE_SOURCE_PACK_RIG_H

#include <zlib.h>
#include <zstd.h>

#include "tests/core/source/source_rig.h"

/* The data as gzip members or zstd frames, cut in two at a random place. Caller frees. */
static inline uint8_t *pack(const uint8_t *data, size_t bytes, bool is_gzip, size_t *packed_bytes)
{
	size_t capacity = ZSTD_compressBound(bytes) + bytes / 2 + 4096;
	size_t cut = bytes ? next_random(&random_state) % bytes : 0;
	uint8_t *packed = malloc(capacity);
	int part;

	*packed_bytes = 0;
	for (part = 0; part < 2; part++) {
		const uint8_t *from = part ? data + cut : data;
		size_t length = part ? bytes - cut : cut;
		z_stream gzip = {0};

		if (!is_gzip) {
			*packed_bytes += ZSTD_compress(packed + *packed_bytes,
						       capacity - *packed_bytes, from, length, 1);
			continue;
		}
		assert_int_equal(deflateInit2(&gzip, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY),
				 Z_OK);
		gzip.next_in = (uint8_t *)(uintptr_t)from;
		gzip.avail_in = (uInt)length;
		gzip.next_out = packed + *packed_bytes;
		gzip.avail_out = (uInt)(capacity - *packed_bytes);
		assert_int_equal(deflate(&gzip, Z_FINISH), Z_STREAM_END);
		*packed_bytes += gzip.total_out;
		deflateEnd(&gzip);
	}
	return packed;
}

#endif
