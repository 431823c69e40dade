/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The writing side of the outputs: passes complete chunks to the kernel in offset order, one file
 * at a time. A failed write fails the output: its file is truncated after the last intact record;
 * later records are dropped and counted as lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "pipeline/output/output_parts.h"

#define VECTORS_MAX 64 /* chunks in one write call */
#define WRITE_BYTES_MAX ((size_t)4 << 20)
#define TELL_EVERY_NS (10 * CW_NS_PER_S)

/* Moves sealed chunks to the writer's queue, oldest first. */
static void empty_inbox(struct cw_output *output)
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

/* Takes the complete chunks at the queue's head that one call can write, or one mark. */
static int take_complete(struct cw_output *output, struct cw_chunk **chunks)
{
	size_t bytes = 0;
	int count = 0;

	while (output->writer.queue_first && count < VECTORS_MAX && bytes < WRITE_BYTES_MAX) {
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

/* A full disk may fail and recover twice a second: limits the reports. */
static bool may_tell(struct cw_output *output)
{
	uint64_t now_ns = cw_now_ns();

	if (atomic_load(&output->shared.is_retrying) ||
	    (output->writer.reported_ns && now_ns - output->writer.reported_ns < TELL_EVERY_NS))
		return false;
	output->writer.reported_ns = now_ns;
	output->writer.has_reported_failure = true;
	return true;
}

static void tell_recovery(struct cw_outputs *outputs, struct cw_output *output,
			  const struct cw_file *file)
{
	if (!atomic_exchange(&output->shared.is_retrying, false) ||
	    !output->writer.has_reported_failure)
		return;
	output->writer.has_reported_failure = false;
	cw_run_tell(outputs->run, CW_NOTE, "rule %s: %s is written again", output->rule->name,
		    file->path);
}

/* Warns once a run that `--direct on` is refused. */
static void tell_refusal(struct cw_outputs *outputs, const struct cw_file *file)
{
	int refusal = outputs->direct_share ? cw_direct_share_refusal(outputs->direct_share) : 0;

	if (refusal == 0 || outputs->run->options.output.direct != CW_DIRECT_ON ||
	    atomic_exchange(&outputs->has_reported_direct, true))
		return;
	cw_run_tell(outputs->run, CW_WARNING,
		    "%s cannot be written directly (%s): this file and perhaps others are written "
		    "through the page cache",
		    file->path,
		    refusal == -ENOSYS ? "no io_uring in this build or kernel"
				       : strerror(-refusal));
}

/* Returns the consequence of a failure, and what to do about it. */
static const char *advice(int failure, bool may_retry)
{
	bool is_full = failure == -ENOSPC || failure == -EDQUOT;

	if (!may_retry)
		return is_full ? "the rest of its packets is lost. Free space and run again"
			       : "the rest of its packets is lost";
	return is_full ? "its packets are lost until writing works again. Free space and capweir "
			 "resumes by itself"
		       : "its packets are lost until writing works again. capweir tries twice a "
			 "second";
}

bool cw_writer_fail(struct cw_outputs *outputs, struct cw_output *output,
		    const struct cw_file *file, int failure, bool is_rotation, const char *text)
{
	bool is_sentence = text && strncmp(text, "cannot ", 7) == 0;

	if (failure == -ESRCH && output->is_asked)
		cw_outputs_lose_opener(outputs);
	if (!text)
		text = failure == CW_PACK_FAILED ? "no memory to compress it" : strerror(-failure);

	atomic_store(&output->shared.is_cut_off, true);
	if (!cw_output_fail(output, failure, is_rotation, text) || !may_tell(output))
		return false;
	cw_run_tell(outputs->run, CW_PROBLEM, "rule %s: %s%s%s%s; %s", output->rule->name,
		    is_sentence ? "" : "cannot write ", is_sentence ? "" : file->path,
		    is_sentence ? "" : ": ", text,
		    advice(failure, cw_output_may_retry(outputs, output)));
	return true;
}

void cw_output_tell_failure(struct cw_outputs *outputs, struct cw_output *output)
{
	int failure = atomic_load(&output->shared.failure);

	if (output->writer.has_reported_failure || failure == -ECANCELED || !may_tell(output))
		return;
	cw_run_tell(outputs->run, CW_PROBLEM, "rule %s: %s; %s", output->rule->name,
		    output->writer.failure_text,
		    advice(failure, cw_output_may_retry(outputs, output)));
}

/* Counts the bytes and records handed before that the kernel has accepted by now. */
static void advance_file(struct cw_output *output, struct cw_file *file)
{
	struct cw_file_writer *writer = &file->writer;
	uint64_t before = writer->anchor.records;

	writer->offset = cw_outfile_reached(file->outfile);
	while (writer->ahead_count && writer->ahead[0].offset <= writer->offset) {
		writer->anchor = writer->ahead[0];
		writer->ahead[0] = writer->ahead[1];
		writer->ahead_count--;
	}
	atomic_fetch_add_explicit(&output->shared.written, writer->anchor.records - before,
				  memory_order_relaxed);
}

/* Counts as advance_file does, including the chunks handed last. */
static void advance_over(struct cw_output *output, struct cw_file *file,
			 struct cw_chunk *const *chunks, int count)
{
	struct cw_file_writer *writer = &file->writer;
	uint64_t before;

	advance_file(output, file);
	before = writer->anchor.records;
	for (int index = 0; index < count; index++) {
		const struct cw_anchor anchor = chunks[index]->anchor;

		if (anchor.offset <= writer->offset)
			writer->anchor = anchor;
		else
			writer->ahead[writer->ahead_count ? 1 : 0] = anchor;
		if (anchor.offset > writer->offset && writer->ahead_count < 2)
			writer->ahead_count++;
	}
	atomic_fetch_add_explicit(&output->shared.written, writer->anchor.records - before,
				  memory_order_relaxed);
}

void cw_writer_cut_to_whole(struct cw_output *output, struct cw_file *file)
{
	struct cw_file_writer *writer = &file->writer;
	uint64_t records = 0;
	uint64_t data_bytes = 0;
	size_t bytes;
	uint8_t *data;

	if (!file->cache.is_regular)
		return; /* a pipe cannot be truncated; the anchor counts its intact records */
	cw_outfile_drop(file->outfile);
	advance_file(output, file);
	writer->ahead_count = 0;
	if (writer->anchor.offset == 0 && writer->offset >= file->header_bytes)
		writer->anchor.offset = file->header_bytes;
	bytes = writer->offset > writer->anchor.offset
		    ? (size_t)(writer->offset - writer->anchor.offset)
		    : 0;
	data = bytes && writer->anchor.offset ? malloc(bytes) : NULL;
	if (data &&
	    cw_outfile_read(file->outfile, data, bytes, writer->anchor.offset) == (int64_t)bytes)
		writer->anchor.offset +=
		    cw_format_whole_records(output->format, data, bytes, &records, &data_bytes);
	free(data);
	writer->anchor.records += records;
	writer->anchor.bytes += data_bytes;
	writer->offset = writer->handed = writer->anchor.offset;
	writer->is_unusable = writer->anchor.offset == 0;
	writer->is_torn = cw_outfile_cut(file->outfile, writer->offset) < 0;
	atomic_fetch_add_explicit(&output->shared.written, records, memory_order_relaxed);
}

/* Returns 0, or a negative errno and the reason that the file must not be replaced. */
static int find_obstacle(const struct cw_outputs *outputs, const struct cw_file *file,
			 struct cw_error *error)
{
	struct stat status;

	if (!outputs->run->options.input_count) /* and a live capture may have no right to look */
		return 0;
	if (stat(file->path, &status))
		return errno == ENOENT
			   ? 0
			   : cw_error_set_errno(error, -errno, "cannot look for a file named %s",
						file->path);
	/* Device files and FIFOs are opened in place: nothing is replaced. */
	if (S_ISREG(status.st_mode) &&
	    cw_inputs_have(outputs->inputs, (uint64_t)status.st_dev, (uint64_t)status.st_ino))
		return cw_error_set(error, -EINVAL, "the file is one of the inputs");
	return 0;
}

/* Passes all handed bytes of an ending file to the kernel. */
static void drain_file(struct cw_outputs *outputs, struct cw_output *output, struct cw_file *file)
{
	int failure = cw_outfile_finish(file->outfile);

	advance_file(output, file);
	if (failure == 0)
		return;
	cw_writer_fail(outputs, output, file, failure, false, NULL);
	cw_writer_cut_to_whole(output, file);
}

/* Passes the file's bytes to the kernel, and makes the file end after an intact record. False: the
 * file may end within one. */
static bool make_whole(struct cw_outputs *outputs, struct cw_output *output, struct cw_file *file)
{
	struct cw_file_writer *writer = &file->writer;

	if (writer->is_torn)
		cw_writer_cut_to_whole(output, file);
	if (!writer->is_torn)
		drain_file(outputs, output, file);
	/* After a failure outside write_run, the last chunk written may end within a record. */
	if (file->cache.is_regular && !writer->is_torn && writer->offset != writer->anchor.offset)
		cw_writer_cut_to_whole(output, file);
	return !writer->is_torn;
}

/* Fills the reason that a file keeps its temporary name, and the command that reads the file. */
static int keep_torn(const struct cw_output *output, const struct cw_file *file,
		     struct cw_error *error)
{
	if (cw_outfile_reached(file->outfile) <= file->header_bytes)
		return cw_error_set(error, -EIO,
				    "cannot truncate %s after its last intact record: %s has no "
				    "intact packet",
				    file->path, cw_outfile_part_path(file->outfile));
	return cw_error_set(error, -EIO,
			    "cannot truncate %s after its last intact record: its packets are in "
			    "%s. \"capweir %s\" reads them",
			    file->path, cw_outfile_part_path(file->outfile),
			    output->name->is_zst ? "split -r" : "repair");
}

/* Publishes an open file, which ends after an intact record. */
static int publish_file(const struct cw_outputs *outputs, struct cw_output *output,
			struct cw_file *file, struct cw_error *error)
{
	const struct cw_pipeline_options *options = &outputs->run->options;
	int result = cw_outfile_publish(file->outfile, error);

	file->writer.is_published = cw_outfile_is_published(file->outfile);
	if (!file->writer.is_published)
		return result;
	if (strcmp(file->path, cw_outfile_path(file->outfile)) != 0) { /* its name was taken */
		char *path = strdup(cw_outfile_path(file->outfile));

		if (path) {
			free(file->path);
			file->path = path;
		}
	}
	if (file->cache.is_regular && output->rule->hook && options->on_file)
		options->on_file(options->context, output->rule, file->path,
				 cw_outfile_hook_failure(file->outfile));
	if (!cw_outfile_flaw(file->outfile))
		return result;
	atomic_fetch_add_explicit(&output->shared.failures, 1, memory_order_relaxed);
	cw_run_tell(outputs->run, CW_PROBLEM, "rule %s: %s", output->rule->name, error->text);
	return 0;
}

/* Returns whether the failure concerns the name of a complete file, which the start could not
 * check: something is in its way. Then only this file is lost, and keeps its temporary name. */
static bool is_obstacle(const struct cw_output *output, const struct cw_file *file, int failure)
{
	return (file->is_later || cw_rule_rotates(output->rule)) && !file->writer.is_published &&
	       !file->writer.is_torn && file->cache.is_regular &&
	       cw_outfile_part_path(file->outfile) &&
	       (failure == -EISDIR || failure == -EEXIST || failure == -EPERM ||
		failure == -EACCES);
}

/* Adds where the packets are, and without the process that opens files how to read them. */
static void name_part(const struct cw_output *output, const struct cw_file *file,
		      struct cw_error *error)
{
	const char *part = cw_outfile_part_path(file->outfile);
	struct cw_error before = *error;

	if (part && !strstr(before.text, part))
		cw_error_set(error, before.code, "%s; the data is in %s", before.text, part);
	before = *error;
	if (part && before.code == -ESRCH)
		cw_error_set(error, before.code, "%s: \"capweir %s\" reads it", before.text,
			     output->name->is_zst ? "split -r" : "repair");
}

void cw_writer_finish_file(struct cw_outputs *outputs, struct cw_output *output,
			   struct cw_file *file)
{
	struct cw_file_writer *writer = &file->writer;
	struct cw_error error = {0};
	int result;

	if (writer->is_finished)
		return;
	writer->is_finished = true;
	if (!cw_outfile_was_created(file->outfile))
		return;
	result = cw_files_acquire(&outputs->files, file, &error);
	if (result == 0) {
		bool is_whole = make_whole(outputs, output, file);

		if (!writer->is_unusable)
			result = is_whole ? publish_file(outputs, output, file, &error)
					  : keep_torn(output, file, &error);
		if (!writer->is_published) {
			int failure = cw_outfile_discard(file->outfile, !writer->is_unusable);

			if (failure)
				result = cw_error_set_errno(&error, failure,
							    "cannot remove the unusable %s",
							    cw_outfile_part_path(file->outfile));
		}
		cw_files_closed(&outputs->files, file);
	}
	/* Even after another failure: the file that keeps its temporary name is named. */
	if (result < 0)
		name_part(output, file, &error);
	if (result < 0 && is_obstacle(output, file, result)) {
		writer->is_unnamed = true;
		atomic_fetch_add_explicit(&output->shared.failures, 1, memory_order_relaxed);
		cw_run_tell(outputs->run, CW_PROBLEM, "rule %s: %s%s", output->rule->name,
			    error.text,
			    cw_rule_rotates(output->rule) ? ". Later files are written" : "");
		return;
	}
	if (result < 0 && !cw_writer_fail(outputs, output, file, result, false, error.text))
		cw_run_tell(outputs->run, CW_PROBLEM, "rule %s: %s", output->rule->name,
			    error.text);
}

/* Asks for old files to expire if the disk has too little space for a file about to begin. */
static void look_at_space(struct cw_outputs *outputs, const struct cw_file *file)
{
	uint64_t floor = atomic_load_explicit(&outputs->free_bytes, memory_order_relaxed);
	uint64_t free_bytes;

	/* NOLINTNEXTLINE(clang-analyzer-core*): there is a file, compared with the last one only */
	if (!floor || cw_outfile_was_created(file->outfile) ||
	    cw_outfile_free_space(file->outfile, &free_bytes) < 0)
		return;
	floor += file->bytes_max;
	if (free_bytes < floor)
		atomic_store_explicit(&outputs->wanted_bytes, floor - free_bytes,
				      memory_order_relaxed); /* as in cw_outputs_free_space */
}

int cw_writer_switch_file(struct cw_outputs *outputs, struct cw_output *output,
			  struct cw_file *file)
{
	struct cw_file *before = output->writer.file;
	struct cw_error error = {0};
	int result;

	if (before != file) {
		if (before) {
			cw_writer_finish_file(outputs, output, before);
			if (atomic_load(&output->shared.is_cut_off))
				return atomic_load(&output->shared.failure);
		}
		result = find_obstacle(outputs, file, &error);
		if (result < 0) {
			cw_writer_fail(outputs, output, file, result, false, error.text);
			return result;
		}
	}
	look_at_space(outputs, file);
	output->writer.file = file;
	result = cw_files_acquire(&outputs->files, file, &error);
	if (result < 0) /* NOLINTNEXTLINE(clang-analyzer-core*): as above */
		cw_writer_fail(outputs, output, file, result, file->is_rotation, error.text);
	return result;
}

/* Returns whether the open file ends after an intact record. If not, the output fails again. */
static bool is_writable(struct cw_outputs *outputs, struct cw_output *output, struct cw_file *file)
{
	struct cw_error error;

	if (file->writer.is_torn)
		cw_writer_cut_to_whole(output, file);
	if (!file->writer.is_torn)
		return true;
	cw_writer_fail(outputs, output, file, keep_torn(output, file, &error), false, error.text);
	cw_files_release(&outputs->files, file);
	return false;
}

/* Writes consecutive chunks of one file. */
static void write_run(struct cw_outputs *outputs, struct cw_output *output,
		      struct cw_chunk *const *chunks, int count)
{
	struct iovec vectors[VECTORS_MAX];
	struct cw_file *file = chunks[0]->file;
	bool is_input_damaged = false;
	bool is_flushed = false;
	size_t accepted;
	int failure = 0;
	int index;

	if (cw_writer_switch_file(outputs, output, file) < 0)
		return;
	if (!is_writable(outputs, output, file))
		return;
	for (index = 0; index < count && !is_input_damaged; index++) {
		uint32_t intact = atomic_load_explicit(&chunks[index]->intact_bytes,
						       memory_order_relaxed); /* [CHUNK-1] */

		is_input_damaged = intact < chunks[index]->used;
		vectors[index].iov_base = chunks[index]->memory;
		vectors[index].iov_len = cw_min_size(intact, chunks[index]->used);
		is_flushed |= chunks[index]->is_flushed;
	}
	accepted = cw_outfile_write(file->outfile, vectors, index, file->writer.handed, &failure);
	file->writer.handed += accepted;
	if (accepted)
		file->writer.is_unusable =
		    false; /* set by an earlier try; cut_to_whole may set it again */
	if (failure == 0 && (is_flushed || is_input_damaged))
		failure = cw_outfile_flush(file->outfile);
	advance_over(output, file, chunks, index);
	tell_refusal(outputs, file);
	if (failure == 0)
		tell_recovery(outputs, output, file);
	if (failure < 0) {
		cw_writer_fail(outputs, output, file, failure, false, NULL);
		cw_writer_cut_to_whole(output, file);
	} else if (is_input_damaged) {
		cw_writer_fail(outputs, output, file, -EIO, false,
			       "an input was truncated while its packets were copied");
		cw_writer_cut_to_whole(output, file);
	}
	cw_files_release(&outputs->files, file);
}

/* Handles a file's end mark. */
static void end_file(struct cw_outputs *outputs, struct cw_output *output, struct cw_file *file)
{
	if (output->writer.file != file)
		return; /* the file failed before its first byte */
	cw_writer_finish_file(outputs, output, file);
	output->writer.file = NULL;
}

/* Removes an expired file. Reports a failure once an output. */
static void expire_file(struct cw_outputs *outputs, struct cw_output *output, struct cw_file *file)
{
	struct cw_error error = {0};

	end_file(outputs, output, file);
	if (!file->writer.is_published || !file->cache.is_regular)
		return;
	file->writer.is_expired = cw_outfile_remove(file->outfile, &error) == 0;
	if (file->writer.is_expired)
		return;
	atomic_fetch_add_explicit(&output->shared.failures, 1, memory_order_relaxed);
	if (output->writer.has_reported_expiry)
		return;
	output->writer.has_reported_expiry = true;
	cw_run_tell(outputs->run, CW_PROBLEM, "rule %s: %s", output->rule->name, error.text);
}

static void write_chunks(struct cw_outputs *outputs, struct cw_output *output,
			 struct cw_chunk *const *chunks, int count)
{
	/*
	 * [ABORT-1] Sequentially consistent, as the stores and loads of an abort: either the abort
	 * is seen here, or the writer is seen there and waited for.
	 */
	atomic_store(&output->shared.is_writing, true);
	if (atomic_load(&outputs->run->is_aborting))
		atomic_store(&output->shared.is_cut_off, true);
	else if (chunks[0]->mark == CW_MARK_EXPIRED) /* even after a failure: it makes room */
		expire_file(outputs, output, chunks[0]->file);
	else if (atomic_load(&output->shared.is_cut_off))
		; /* the chunks are lost */
	else if (chunks[0]->mark == CW_MARK_ENDED)
		end_file(outputs, output, chunks[0]->file);
	else
		write_run(outputs, output, chunks, count);
	atomic_store(&output->shared.is_writing, false);
}

/* ---- the queue of the one writer ---- */

static void give_chunks_back(struct cw_outputs *outputs, struct cw_output *output,
			     struct cw_chunk *const *chunks, int count)
{
	for (int index = 0; index < count; index++)
		cw_chunk_give_back_any(&outputs->pool, chunks[index]);
	/* [RETRY-1] release: the writer's state of the output. */
	atomic_fetch_sub_explicit(&output->shared.chunks_out, (uint32_t)count,
				  memory_order_release);
	atomic_fetch_sub(&outputs->run->live_chunks, (uint32_t)count);
	outputs->pool.on_return(outputs->pool.context);
}

void cw_output_write(struct cw_outputs *outputs, struct cw_output *output)
{
	struct cw_chunk *chunks[VECTORS_MAX];
	struct cw_file *spent;
	uint32_t seen;
	int count;

	do {
		/* [KICK-1] acquire: the last writer's state, and the chunks announced by kicks. */
		seen = atomic_load_explicit(&output->shared.kicks, memory_order_acquire);
		empty_inbox(output);
		while ((count = take_complete(output, chunks)) > 0) {
			spent = chunks[0]->mark == CW_MARK_EXPIRED ? chunks[0]->file : NULL;
			write_chunks(outputs, output, chunks, count);
			give_chunks_back(outputs, output, chunks, count);
			/* [SPENT-1] release: the writer's state of the file, whose mark this was.
			 */
			if (spent)
				atomic_store_explicit(&spent->is_spent, true, memory_order_release);
			empty_inbox(output);
		}
	} while (
	    !atomic_compare_exchange_strong_explicit(&output->shared.kicks, &seen, 0, /* [KICK-1] */
						     memory_order_acq_rel, memory_order_relaxed));
}
