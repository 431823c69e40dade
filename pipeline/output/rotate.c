/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rotation: an output's file ends by records, bytes and packet timestamps, and, live, by the clock
 * if no packet follows. The packets alone decide which file a record goes to, so the files are the
 * same for any number of threads; the clock only closes a file before the next packet would. Runs
 * in the sequencer's turn.
 */

#include "core/base/clock.h"
#include "pipeline/output/output_parts.h"

/* When a period is over, its packets may still be in rings and batches. */
#define GRACE_NS CW_NS_PER_S

void cw_output_start_period(struct cw_output *output, uint64_t ts_ns)
{
	uint64_t every_ns = output->limits.rotate_every_ns;
	uint64_t start_ns =
	    output->limits.is_rotate_aligned && every_ns ? ts_ns - ts_ns % every_ns : ts_ns;

	output->turn.period_start_ns = ts_ns;
	output->turn.period_end_ns = UINT64_MAX;
	if (every_ns && start_ns < UINT64_MAX - every_ns)
		output->turn.period_end_ns = start_ns + every_ns;
}

bool cw_output_is_early(const struct cw_output *output, uint64_t ts_ns)
{
	const struct cw_output_limits *limits = &output->limits;
	const struct cw_output_turn *turn = &output->turn;

	if (!limits->rotate_every_ns)
		return false;
	if (!limits->is_rotate_aligned)
		return ts_ns < turn->period_start_ns;
	return turn->period_end_ns != UINT64_MAX &&
	       ts_ns < turn->period_end_ns - limits->rotate_every_ns;
}

bool cw_output_needs_rotation(const struct cw_output *output, uint64_t records, uint64_t bytes,
			      uint64_t latest_ns)
{
	const struct cw_output_limits *limits = &output->limits;
	const struct cw_output_turn *turn = &output->turn;

	if (turn->file_records == 0)
		return false;
	if (turn->shall_rotate)
		return true;
	if (limits->rotate_records && turn->file_records + records > limits->rotate_records)
		return true;
	if (limits->rotate_bytes && turn->offset + bytes > limits->rotate_bytes)
		return true;
	return limits->rotate_every_ns && latest_ns >= turn->period_end_ns;
}

void cw_output_end_file(struct cw_outputs *outputs, struct cw_output *output)
{
	struct cw_chunk *mark = &output->turn.file->turn.end_mark;

	cw_output_note_end(outputs, output);
	cw_output_close_chunk(output);
	cw_chunk_make_mark(mark, CW_MARK_ENDED, output->turn.file, output->turn.offset);
	cw_output_hold_mark(outputs, output, mark);
	cw_output_seal_all(outputs, output);
	output->turn.file = NULL;
}

bool cw_output_has_all_files(const struct cw_output *output)
{
	return output->rule->stop_files && !output->turn.restart &&
	       output->turn.file_count >= output->rule->stop_files;
}

void cw_output_stop_run(struct cw_outputs *outputs, struct cw_output *output)
{
	output->limits.is_at_limit = true;
	cw_run_stop_reading(outputs->run);
}

void cw_output_rotate_by_clock(struct cw_outputs *outputs, struct cw_output *output)
{
	uint64_t now_ns;

	if (!output->limits.rotate_every_ns || !output->turn.file || !output->turn.file_records)
		return;
	now_ns = cw_wall_ns();
	if (now_ns < GRACE_NS || now_ns - GRACE_NS < output->turn.period_end_ns)
		return;
	cw_output_end_file(outputs, output);
	if (cw_output_has_all_files(output))
		cw_output_stop_run(outputs, output);
}
