/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the turn and the writer: sealed chunks, newest first, put in the order of the file. */
#include "pipeline/output/writer.h"

void cw_inbox_empty(struct cw_output *output)
{
	/* [INBOX-1] acquire */
	struct cw_chunk *chunk =
	    atomic_exchange_explicit(&output->shared.inbox, NULL, memory_order_acquire);
	struct cw_chunk *oldest = NULL;
	struct cw_chunk *newest = chunk;

	while (chunk) {
		struct cw_chunk *older = chunk->queued;

		chunk->queued = oldest;
		oldest = chunk;
		chunk = older;
	}
	if (!oldest)
		return;
	if (output->writer.queue_last)
		output->writer.queue_last->queued = oldest;
	else
		output->writer.queue_first = oldest;
	output->writer.queue_last = newest;
}

int cw_inbox_take_complete(struct cw_output *output, struct cw_chunk **chunks)
{
	size_t bytes = 0;
	int count = 0;

	while (output->writer.queue_first && count < CW_WRITE_VECTORS_MAX &&
	       bytes < CW_WRITE_BYTES_MAX) {
		struct cw_chunk *chunk = output->writer.queue_first;

		/* [CHUNK-1] acquire: every byte copied into it. */
		if (atomic_load_explicit(&chunk->pending, memory_order_acquire) != 0 ||
		    (count && (chunk->mark || chunk->file != chunks[0]->file)))
			break;
		output->writer.queue_first = chunk->queued;
		if (!output->writer.queue_first)
			output->writer.queue_last = NULL;
		chunks[count++] = chunk;
		bytes += chunk->used;
		if (chunk->mark)
			break;
	}
	return count;
}
