/* SPDX-License-Identifier: BSD-3-Clause */
/* The fuzz target of the opener without a fuzzer: a corpus of random inputs, the same each time. */
#include <stdint.h>
#include <stddef.h>
#include <stdio.h>

#define RUNS 1000
#define BYTES_MAX 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* xorshift64: any seed but 0 */
static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

int main(void)
{
	uint64_t state = 1;
	uint8_t data[BYTES_MAX];

	printf("seed %llu, %d inputs\n", (unsigned long long)state, RUNS);
	for (int run = 0; run < RUNS; run++) {
		size_t bytes = next(&state) % (BYTES_MAX + 1);

		for (size_t i = 0; i < bytes; i++)
			data[i] = (uint8_t)next(&state);
		LLVMFuzzerTestOneInput(data, bytes);
	}
	return 0;
}
