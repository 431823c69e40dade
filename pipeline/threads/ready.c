/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/threads/ready.h"

#define WORD_BITS 64u

static uint32_t words_for(uint32_t count)
{
	return (count + WORD_BITS - 1) / WORD_BITS;
}

int cw_ready_init(struct cw_ready *ready, uint32_t count)
{
	ready->word_count = words_for(count);
	ready->summary_count = words_for(ready->word_count);
	ready->words = calloc(ready->word_count + ready->summary_count, sizeof(*ready->words));
	if (!ready->words)
		return -ENOMEM;
	ready->summary = ready->words + ready->word_count;
	return 0;
}

void cw_ready_fini(struct cw_ready *ready)
{
	free(ready->words);
	*ready = (struct cw_ready){0};
}

void cw_ready_add(struct cw_ready *ready, uint32_t index)
{
	uint32_t word = index / WORD_BITS;

	/* [READY-1] Both sequentially consistent: a taker that saw no summary bit looks at the gate
	 * again; a taker that clears the summary bit looks at the word again. */
	atomic_fetch_or(&ready->words[word], UINT64_C(1) << index % WORD_BITS);
	atomic_fetch_or(&ready->summary[word / WORD_BITS], UINT64_C(1) << word % WORD_BITS);
}

/* Returns the bits of `word` at position `from` and above. */
static uint64_t bits_from(uint64_t word, uint32_t from)
{
	return word & ~UINT64_C(0) << from;
}

/* Takes the word's lowest bit at position `from` or above. */
static uint32_t take_from_word(struct cw_ready *ready, uint32_t word, uint32_t from)
{
	uint64_t bits = bits_from(atomic_load(&ready->words[word]), from); /* [READY-1] */

	while (bits) {
		uint32_t bit = (uint32_t)__builtin_ctzll(bits);
		uint64_t mask = UINT64_C(1) << bit;

		bits =
		    bits_from(atomic_fetch_and(&ready->words[word], ~mask), from); /* [READY-1] */
		if (bits & mask)
			return word * WORD_BITS + bit;
	}
	return CW_READY_NONE;
}

/* Clears the word's summary bit, and sets it again if the word got a bit meanwhile. */
static void clear_summary(struct cw_ready *ready, uint32_t word)
{
	uint64_t mask = UINT64_C(1) << word % WORD_BITS;

	if (atomic_load(&ready->words[word]))
		return;
	atomic_fetch_and(&ready->summary[word / WORD_BITS], ~mask);
	if (atomic_load(&ready->words[word]))
		atomic_fetch_or(&ready->summary[word / WORD_BITS], mask);
}

uint32_t cw_ready_take(struct cw_ready *ready, uint32_t from)
{
	uint32_t first = from / WORD_BITS;

	/* Visits the summary word of `from` twice: the second time for items before `from`. */
	for (uint32_t tried = 0; tried <= ready->summary_count; tried++) {
		uint32_t at = (first / WORD_BITS + tried) % ready->summary_count;
		uint64_t summary = atomic_load(&ready->summary[at]);

		if (tried == 0)
			summary = bits_from(summary, first % WORD_BITS);
		for (; summary; summary &= summary - 1) {
			uint32_t word = at * WORD_BITS + (uint32_t)__builtin_ctzll(summary);
			uint32_t taken = take_from_word(
			    ready, word, tried == 0 && word == first ? from % WORD_BITS : 0);

			if (taken != CW_READY_NONE)
				return taken;
			clear_summary(ready, word);
		}
	}
	return CW_READY_NONE;
}
