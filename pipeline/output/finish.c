/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of outputs: all at the run's end, one whose rule is gone, or all at an abort. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "pipeline/output/blocks.h"
#include "pipeline/output/output_parts.h"

#define ABORT_PATIENCE_MS 2000u
#define LEFT_REPORTED_MAX 10u
#define SETTLE_PATIENCE_MS 500u
#define SETTLE_STILL_MS 100u /* nothing moves for so long: the rest is stuck */

/* Sleeps 1 ms. False: no patience is left. */
static bool wait_a_moment(uint32_t *patience_ms)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	if (*patience_ms == 0)
		return false;
	--*patience_ms;
	nanosleep(&pause, NULL);
	return true;
}

/* Waits until no writer uses the output's file; the abort keeps new writers away. */
static bool wait_for_writer(struct cw_output *output, uint32_t *patience_ms)
{
	while (atomic_load(&output->shared.is_writing)) { /* [ABORT-1] */
		if (!wait_a_moment(patience_ms))
			return false;
	}
	return true;
}

/* Waits until the disk is done with the file's direct writes. The file is acquired. */
static bool wait_for_disk(struct cw_file *file, uint32_t *patience_ms)
{
	while (cw_outfile_is_busy(file->outfile)) {
		if (!wait_a_moment(patience_ms))
			return false;
	}
	return true;
}

/* Acquires the file. The process that opens files may hang: then an evicted file stays closed. */
static bool acquire_at_abort(struct cw_outputs *outputs, const struct cw_output *output,
			     struct cw_file *file)
{
	struct cw_error error;

	return output->is_asked ? cw_files_acquire_open(&outputs->files, file)
				: cw_files_acquire(&outputs->files, file, &error) == 0;
}

/* Truncates the output's unfinished file after its last intact record, if nothing hangs. */
static void abort_file(struct cw_outputs *outputs, struct cw_output *output, struct cw_file *file,
		       uint32_t *patience_ms)
{
	if (file->writer.handed == file->writer.anchor.offset ||
	    !acquire_at_abort(outputs, output, file) || !wait_for_disk(file, patience_ms))
		return;
	cw_writer_cut_to_whole(output, file);
	cw_files_release(&outputs->files, file);
}

void cw_outputs_settle(struct cw_outputs *outputs)
{
	uint32_t patience_ms = SETTLE_PATIENCE_MS, still_ms = 0;
	uint64_t before = UINT64_MAX;

	while (still_ms++ < SETTLE_STILL_MS && wait_a_moment(&patience_ms)) {
		uint64_t out = 0, written = 0;

		for (uint32_t index = 0; index < outputs->count; index++) {
			out += atomic_load(&outputs->at[index].shared.chunks_out);
			written += atomic_load(&outputs->at[index].shared.written);
		}
		if (!out)
			return;
		if (written - out != before)
			still_ms = 0;
		before = written - out;
	}
}

void cw_outputs_silence(struct cw_outputs *outputs)
{
	atomic_store(&outputs->run->is_aborting, true); /* [ABORT-1] */
}

/* Returns whether every reserved record is in the output's files. So it may be for an output that
 * failed only because the drain was given up. */
static bool has_every_record(const struct cw_output *output)
{
	const struct cw_file *file = output->writer.file;
	int failure = atomic_load(&output->shared.failure);
	uint64_t handed = 0;

	if (!failure)
		return !atomic_load(&output->shared.is_cut_off);
	if (failure != -ECANCELED)
		return false;
	if (file && file->writer.ahead_count)
		handed = file->writer.ahead[file->writer.ahead_count - 1].records -
			 file->writer.anchor.records;
	return cw_output_unwritten(output) == handed;
}

void cw_outputs_judge(struct cw_outputs *outputs)
{
	for (uint32_t index = 0; index < outputs->count; index++) {
		struct cw_output *output = &outputs->at[index];

		/* [RETRY-1] acquire: is_cut_off, which the writer sets in an abort. */
		output->writer.is_whole =
		    !atomic_load_explicit(&output->shared.chunks_out, memory_order_acquire) &&
		    !output->turn.open && !output->turn.held_first && has_every_record(output);
	}
}

/* Returns the output's file if it is regular and begun and not yet published. */
static struct cw_file *unfinished_file(const struct cw_output *output)
{
	struct cw_file *file = output->writer.file;

	return file && !file->writer.is_finished && file->cache.is_regular ? file : NULL;
}

void cw_outputs_abort(struct cw_outputs *outputs)
{
	uint32_t patience_ms = ABORT_PATIENCE_MS;
	uint32_t left_count = 0;

	for (uint32_t index = 0; index < outputs->count; index++) {
		struct cw_output *output = &outputs->at[index];
		struct cw_file *file;
		const char *part;

		if (output->is_stream || output->shared.state == CW_OUTPUT_FREE)
			continue;
		if (!wait_for_writer(output, &patience_ms)) { /* its state is the writer's */
			output->writer.is_whole = false;
			if (++left_count <= LEFT_REPORTED_MAX)
				cw_run_tell(
				    outputs->run, CW_WARNING,
				    "rule %s: the disk of %s does not answer. Once it does, "
				    "\"capweir %s\" reads the .part file there",
				    output->rule->name, output->rule->write,
				    output->name->is_zst ? "split -r" : "repair");
			continue;
		}
		file = unfinished_file(output);
		/* An evicted file would have to wait for a descriptor. */
		output->writer.is_whole =
		    output->writer.is_whole && file && cw_files_acquire_open(&outputs->files, file);
		if (!file || output->writer.is_whole)
			continue;
		abort_file(outputs, output, file, &patience_ms);
		part = cw_outfile_part_path(file->outfile);
		if (part && ++left_count <= LEFT_REPORTED_MAX)
			cw_run_tell(outputs->run, CW_WARNING,
				    "%s is unfinished; to read it: capweir %s %s", file->path,
				    output->name->is_zst ? "split -r" : "repair", part);
	}
	if (left_count > LEFT_REPORTED_MAX)
		cw_run_tell(outputs->run, CW_WARNING, "and %u more unfinished files",
			    left_count - LEFT_REPORTED_MAX);
}

void cw_outputs_publish(struct cw_outputs *outputs)
{
	for (uint32_t index = 0; index < outputs->count; index++) {
		struct cw_output *output = &outputs->at[index];

		if (output->writer.is_whole && !output->is_stream)
			cw_writer_finish_file(outputs, output, output->writer.file);
	}
}

struct cw_file *cw_output_name_empty(struct cw_outputs *outputs, struct cw_output *output)
{
	struct cw_file *file;

	/* Nor beside files of earlier runs, which it would push out of the file ring. */
	if (output->turn.file_count || output->turn.files_first ||
	    atomic_load(&output->shared.failure) || output->name->has_kind[CW_PART_TIME] ||
	    output->name->has_kind[CW_PART_IFACE])
		return NULL;
	file = cw_output_new_file(outputs, output, NULL, 0);
	if (!file)
		cw_run_tell(outputs->run, CW_PROBLEM, "rule %s: cannot write its empty file: %s",
			    output->rule->name, output->writer.failure_text);
	return file;
}

static void write_empty(struct cw_outputs *outputs, struct cw_output *output, struct cw_file *file)
{
	uint8_t header[CW_FORMAT_HEADER_BYTES_MAX];
	struct iovec vector = {.iov_base = header};
	int failure = 0;

	if (cw_writer_switch_file(outputs, output, file) < 0)
		return;
	vector.iov_len = cw_format_header(
	    cw_output_choose_format(outputs, output, outputs->inputs->has_ns),
	    outputs->empty_linktype,
	    cw_output_snaplen_field(outputs, output, outputs->empty_linktype), header);
	file->header_bytes = vector.iov_len;
	file->writer.ahead[file->writer.ahead_count++].offset = vector.iov_len;
	file->writer.handed = cw_outfile_write(file->outfile, &vector, 1, 0, &failure);
	if (failure) {
		cw_writer_fail(outputs, output, file, failure, false, NULL);
		cw_writer_cut_to_whole(output, file);
	}
	cw_files_release(&outputs->files, file);
}

/* Appends blocks to the output's file, which is acquired. */
static void write_late(struct cw_outputs *outputs, struct cw_output *output, const uint8_t *data,
		       size_t bytes)
{
	struct cw_file *file = output->writer.file;
	struct iovec vector = {(void *)data, bytes};
	struct cw_file_writer *writer = &file->writer;
	int failure = 0;

	writer->handed += cw_outfile_write(file->outfile, &vector, 1, writer->handed, &failure);
	writer->ahead[writer->ahead_count ? 1 : 0] =
	    (struct cw_anchor){writer->handed, output->turn.file_records, output->turn.file_bytes};
	if (writer->ahead_count < 2)
		writer->ahead_count++;
	if (failure) {
		cw_writer_fail(outputs, output, file, failure, false, NULL);
		cw_writer_cut_to_whole(output, file);
	}
}

/* Acquires the output's file to append blocks, unless it is lost. */
static bool open_late(struct cw_outputs *outputs, struct cw_output *output)
{
	struct cw_file *file = output->writer.file;

	return file && file == output->turn.file && !file->writer.is_finished &&
	       cw_writer_switch_file(outputs, output, file) == 0;
}

static void write_late_statistics(struct cw_outputs *outputs, struct cw_output *output)
{
	const struct cw_bytes *block = &outputs->turn.block;

	if (cw_output_end_section(output) < 0 || !cw_output_statistics_bytes(outputs, output) ||
	    atomic_load(&output->shared.failure) || !open_late(outputs, output))
		return;
	if (cw_output_take_statistics(outputs, output) == 0 && block->count)
		write_late(outputs, output, block->at, block->count);
	cw_files_release(&outputs->files, output->writer.file);
}

/* Appends the blocks that follow the output's last record in its section. */
static void write_late_blocks(struct cw_outputs *outputs, struct cw_output *output)
{
	const struct cw_ifaces *ifaces = &outputs->inputs->ifaces;
	bool is_open = false;
	const struct cw_block *block;
	struct cw_block_walk walk;

	if (!output->blocks.place.section)
		return;
	cw_block_walk_start(&walk, ifaces, &output->blocks.place, NULL, ifaces->kept_count, false);
	walk.has_statistics = output->format != CW_FORMAT_PCAPNG;
	while ((block = cw_block_walk_next(&walk)) && !atomic_load(&output->shared.failure)) {
		if (output->format == CW_FORMAT_PCAPNG && !is_open) {
			if (!open_late(outputs, output))
				return;
			is_open = true;
		}
		if (cw_output_count_block(output, block, false))
			write_late(outputs, output, block->data, block->bytes);
	}
	if (is_open)
		cw_files_release(&outputs->files, output->writer.file);
	write_late_statistics(outputs, output);
}

/* Enters the files in the list of their ring, if a reload began it after them. */
static void enlist_files(const struct cw_outputs *outputs, const struct cw_output *output)
{
	const struct cw_file *file = output->turn.files_first;

	for (; file && output->ring; file = file->turn.next) {
		int failure = 0;

		if (file->writer.is_published && !file->writer.is_expired && file->cache.is_regular)
			failure = cw_outfile_enlist(file->outfile, &output->ring->listing);
		if (!failure)
			continue;
		cw_run_tell(outputs->run, CW_WARNING,
			    "cannot enter %s in the list of its file ring: %s; later runs do not "
			    "count it",
			    file->path, strerror(-failure));
		break;
	}
}

void cw_output_close(struct cw_outputs *outputs, struct cw_output *output, struct cw_file *empty)
{
	if (empty)
		write_empty(outputs, output, empty);
	write_late_blocks(outputs, output);
	if (output->writer.file)
		cw_writer_finish_file(outputs, output, output->writer.file);
	enlist_files(outputs, output);
}

void cw_outputs_finish(struct cw_outputs *outputs)
{
	for (uint32_t index = 0; index < outputs->count; index++) {
		struct cw_output *output = &outputs->at[index];

		if (output->shared.state != CW_OUTPUT_FREE)
			cw_output_close(outputs, output, cw_output_name_empty(outputs, output));
	}
}
