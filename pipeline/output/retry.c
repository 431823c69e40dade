/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Live outputs never make the capture wait: an output that is too slow loses records once it holds
 * its share of the chunk pool, and a failed output tries again. Runs in the sequencer's turn.
 */
#include <errno.h>

#include "pipeline/output/output_parts.h"

#define RETRY_NS (CW_NS_PER_S / 2)
#define SHARE_MIN 2u /* chunks that every output may hold */

bool cw_output_is_over_share(struct cw_outputs *outputs, const struct cw_output *output,
			     uint64_t needed)
{
	uint64_t held;

	/* A single output may have the whole pool: then the kernel ring buffers the rest. */
	if (!outputs->run->is_live || outputs->turn.used_count == 1)
		return false;
	held = atomic_load_explicit(&output->shared.chunks_out, memory_order_relaxed); /* a hint */
	/* At most as much as no output holds: one stalled output ends with half of the pool, two
	 * with a third each, and the others always have some left, of which half may be lent. */
	return held >= SHARE_MIN &&
	       held + needed > outputs->pool.chunk_count - cw_chunk_held_count(&outputs->pool);
}

/* ---- trying again ---- */

/* Returns the records that are in files or pipes, or are lost with a file that has no name: the
 * report counts those. */
static uint64_t written_records(const struct cw_output *output)
{
	const struct cw_file *file;
	uint64_t sum = output->spent.records + output->spent.handed_records;

	for (file = output->turn.files_first; file; file = file->turn.next) {
		if (file->is_adopted)
			continue;
		if (!file->writer.is_finished || !file->cache.is_regular ||
		    file->writer.is_published || file->writer.is_unnamed)
			sum += file->writer.anchor.records;
	}
	return sum;
}

uint64_t cw_output_unwritten(const struct cw_output *output)
{
	uint64_t explained = written_records(output);

	for (uint32_t cause = 0; cause < CW_LOSS_COUNT; cause++)
		explained += output->turn.lost[cause];
	for (uint32_t cause = 0; cause < CW_LEFT_OUT_COUNT; cause++)
		explained += output->turn.left_out[cause];
	return output->turn.matched - explained;
}

/* Enters the failure's losses in the books; no chunk of the output may be out. */
static void book_losses(struct cw_output *output)
{
	output->turn.lost[output->writer.failure_cause] += cw_output_unwritten(output);
}

/* Continues at the file's end, or at its start if not even its header was written. */
static int go_on(struct cw_outputs *outputs, struct cw_output *output)
{
	struct cw_file *file = output->turn.file;

	if (file && file->writer.is_finished) {
		cw_output_note_end(outputs, output);
		output->turn.file = file = NULL;
	}
	if (!file)
		return 0;
	if (cw_file_forget_ifaces(&file->turn, file->writer.offset))
		return -ENOMEM;
	output->turn.offset = file->writer.offset;
	output->turn.anchor_offset = file->writer.anchor.offset;
	output->turn.file_records = file->writer.anchor.records;
	output->turn.file_bytes = file->writer.anchor.bytes;
	if (file->writer.offset)
		return 0;
	output->turn.restart = file;
	output->turn.file = NULL;
	return 0;
}

static void retry(struct cw_outputs *outputs, struct cw_output *output, uint64_t now_ns)
{
	if (!output->turn.retry_ns) {
		/* The writer drops these chunks; once all are back, none is out. */
		cw_output_seal_all(outputs, output);
		output->turn.retry_ns = now_ns + RETRY_NS;
	}
	/* [RETRY-1] acquire: the writer's state of the output, which may_retry reads. */
	if (now_ns < output->turn.retry_ns ||
	    atomic_load_explicit(&output->shared.chunks_out, memory_order_acquire))
		return;
	cw_output_tell_failure(outputs, output);
	if (!cw_output_may_retry(outputs, output))
		return;
	output->turn.retry_ns = 0;
	book_losses(output);
	if (go_on(outputs, output))
		return;
	atomic_store(&output->shared.is_retrying, true);
	atomic_store(&output->shared.is_cut_off, false);
	atomic_store(&output->shared.failure, 0);
}

/* Returns whether the output failed for good: its pipe or device file is gone. */
static bool is_lost(const struct cw_outputs *outputs, const struct cw_output *output)
{
	/* [RETRY-1] acquire, as in retry. */
	return atomic_load(&output->shared.failure) &&
	       !atomic_load_explicit(&output->shared.chunks_out, memory_order_acquire) &&
	       !cw_output_may_retry(outputs, output);
}

/* Stops the capture if every output failed for good. */
static void stop_if_all_lost(struct cw_outputs *outputs)
{
	if (!outputs->run->is_live || atomic_load(&outputs->run->is_stopping))
		return;
	for (uint32_t index = 0; index < outputs->count; index++) {
		if (outputs->at[index].shared.state == CW_OUTPUT_USED &&
		    !is_lost(outputs, &outputs->at[index]))
			return;
	}
	cw_run_tell(outputs->run, CW_PROBLEM, "no output is left to write to: stopping");
	cw_run_stop_reading(outputs->run);
}

void cw_outputs_tend(struct cw_outputs *outputs, uint64_t now_ns, bool flush)
{
	cw_outputs_free_space(outputs);
	for (uint32_t index = 0; index < outputs->count; index++) {
		struct cw_output *output = &outputs->at[index];

		if (output->shared.state != CW_OUTPUT_USED)
			continue;
		if (atomic_load(&output->shared.failure)) {
			retry(outputs, output, now_ns);
			continue;
		}
		cw_output_rotate_by_clock(outputs, output);
		if (flush)
			cw_output_seal_all(outputs, output);
	}
	stop_if_all_lost(outputs);
}
