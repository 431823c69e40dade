/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The writing side of the outputs: complete chunks in offset order to the kernel, a file at a time.
 * A failed write ends the output: its file is cut back to its last whole record, what comes later
 * is dropped and, at the end, counted as lost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "pipeline/state.h"

#define TELL_EVERY_NS (10 * CW_NS_PER_S)
#define WRITE_VECTORS_MAX 64
#define ABORT_PATIENCE_MS 2000u
#define WRITE_BYTES_MAX ((size_t)4 << 20)

bool cw_output_fail(struct cw_output *output, int failure, bool is_rotation, const char *text)
{
	int expected = 0;

	if (!atomic_compare_exchange_strong(&output->failure, &expected, failure))
		return false;
	/* Read only after the threads ended. */
	output->failure_cause = cw_loss_from_errno(failure, is_rotation);
	snprintf(output->failure_text, sizeof(output->failure_text), "%s", text);
	return true;
}

/* A disk that is full may fail and work again twice a second: that is told now and then only. */
static bool may_tell(struct cw_output *output)
{
	uint64_t now_ns = cw_now_ns();

	if (atomic_load(&output->is_retrying) ||
	    (output->told_ns && now_ns - output->told_ns < TELL_EVERY_NS))
		return false;
	output->told_ns = now_ns;
	output->has_told = true;
	return true;
}

static void tell_recovery(struct cw_pipeline *pipeline, struct cw_output *output,
			  const struct cw_file *file)
{
	if (!atomic_exchange(&output->is_retrying, false) || !output->has_told)
		return;
	output->has_told = false;
	cw_pipeline_tell(pipeline, CW_NOTE, "rule %s: output %s: it is written again",
			 output->rule->name, file->path);
}

/* `--direct on` where that cannot be: said once a run. */
static void tell_refusal(struct cw_pipeline *pipeline, const struct cw_file *file)
{
	int refusal = pipeline->direct_share ? cw_direct_share_refusal(pipeline->direct_share) : 0;

	if (refusal == 0 || pipeline->options.direct != CW_DIRECT_ON ||
	    atomic_exchange(&pipeline->has_told_direct, true))
		return;
	cw_pipeline_tell(
	    pipeline, CW_WARNING,
	    "%s cannot be written directly (%s): it is written through the page cache, "
	    "and so may others be",
	    file->path,
	    refusal == -ENOSYS ? "no io_uring in this build or kernel" : strerror(-refusal));
}

static void fail_and_tell(struct cw_pipeline *pipeline, struct cw_output *output,
			  const struct cw_file *file, int failure, bool is_rotation,
			  const char *text)
{
	if (!cw_output_fail(output, failure, is_rotation, text) || !may_tell(output))
		return;
	cw_pipeline_tell(pipeline, CW_PROBLEM,
			 cw_output_may_retry(pipeline, output)
			     ? "rule %s: output %s: %s; its packets are lost until that works again"
			     : "rule %s: output %s: %s; the rest of its packets is lost",
			 output->rule->name, file->path, text);
}

static void set_anchor(struct cw_file *file, const struct cw_anchor *anchor)
{
	file->anchor_offset = anchor->offset;
	file->anchor_records = anchor->records;
	file->anchor_bytes = anchor->bytes;
}

/* Count what the kernel has by now of what was handed before. */
static void advance_file(struct cw_output *output, struct cw_file *file)
{
	uint64_t before = file->anchor_records;

	file->offset = cw_outfile_reached(file->outfile);
	while (file->ahead_count && file->ahead[0].offset <= file->offset) {
		set_anchor(file, &file->ahead[0]);
		file->ahead[0] = file->ahead[1];
		file->ahead_count--;
	}
	atomic_fetch_add_explicit(&output->written, file->anchor_records - before,
				  memory_order_relaxed);
}

/* Likewise of the chunks that were handed last. */
static void advance_over(struct cw_output *output, struct cw_file *file,
			 struct cw_chunk *const *chunks, int count)
{
	uint64_t before;
	int index;

	advance_file(output, file);
	before = file->anchor_records;
	for (index = 0; index < count; index++) {
		const struct cw_anchor anchor = {.offset = chunks[index]->anchor_offset,
						 .records = chunks[index]->anchor_records,
						 .bytes = chunks[index]->anchor_bytes};

		if (anchor.offset <= file->offset)
			set_anchor(file, &anchor);
		else
			file->ahead[file->ahead_count ? 1 : 0] = anchor;
		if (anchor.offset > file->offset && file->ahead_count < 2)
			file->ahead_count++;
	}
	atomic_fetch_add_explicit(&output->written, file->anchor_records - before,
				  memory_order_relaxed);
}

/*
 * The file holds `offset` good bytes, the last of them perhaps in the middle of a record: find the
 * last whole one from the anchor on, count what is there, cut the rest off.
 */
static void cut_to_whole(struct cw_pipeline *pipeline, struct cw_output *output,
			 struct cw_file *file)
{
	uint64_t records = 0;
	uint64_t data_bytes = 0;
	size_t bytes;
	uint8_t *data;

	if (!file->is_regular)
		return; /* what a pipe took is gone; the anchor tells what was whole */
	cw_outfile_drop(file->outfile);
	advance_file(output, file);
	file->ahead_count = 0;
	if (file->anchor_offset == 0 && file->offset >= cw_format_header_bytes(output->format))
		file->anchor_offset = cw_format_header_bytes(output->format);
	bytes = (size_t)(file->offset - file->anchor_offset);
	data = bytes && file->anchor_offset ? malloc(bytes) : NULL;
	if (data &&
	    cw_outfile_read(file->outfile, data, bytes, file->anchor_offset) == (int64_t)bytes)
		file->anchor_offset +=
		    cw_format_whole_records(output->format, data, bytes, &records, &data_bytes);
	free(data);
	file->anchor_records += records;
	file->anchor_bytes += data_bytes;
	file->offset = file->handed = file->anchor_offset;
	file->is_unusable = file->anchor_offset == 0;
	if (cw_outfile_cut(file->outfile, file->offset) < 0)
		cw_pipeline_tell(pipeline, CW_PROBLEM,
				 "rule %s: output %s cannot be cut to %llu bytes, its last record "
				 "may be torn",
				 output->rule->name, file->path, (unsigned long long)file->offset);
}

static bool is_an_input(const struct cw_pipeline *pipeline, const struct cw_file *file)
{
	struct stat status;

	/* Devices and FIFOs are opened in place: nothing is replaced. */
	if (stat(file->path, &status) || !S_ISREG(status.st_mode))
		return false;
	return cw_pipeline_is_input(pipeline, (uint64_t)status.st_dev, (uint64_t)status.st_ino);
}

/* Nothing more comes: let the kernel have what was handed, to the byte. */
static void settle_file(struct cw_pipeline *pipeline, struct cw_output *output,
			struct cw_file *file)
{
	int failure = cw_outfile_finish(file->outfile);

	advance_file(output, file);
	if (failure == 0)
		return;
	fail_and_tell(pipeline, output, file, failure, false, strerror(-failure));
	cut_to_whole(pipeline, output, file);
}

/* Close the file and put it under its name, or throw away what is no file. */
static void finish_file(struct cw_pipeline *pipeline, struct cw_output *output,
			struct cw_file *file)
{
	struct cw_error error = {0};
	bool was_open = cw_outfile_was_created(file->outfile);
	int result = 0;

	if (file->is_finished)
		return;
	file->is_finished = true;
	if (was_open)
		result = cw_files_acquire(&pipeline->files, file, &error);
	if (result == 0 && was_open)
		settle_file(pipeline, output, file);
	if (result == 0 && was_open && file->is_unusable) {
		cw_outfile_discard(file->outfile, false);
	} else if (result == 0 && was_open) {
		result = cw_outfile_publish(file->outfile, &error);
		file->is_published = result == 0;
		if (file->is_published && file->is_regular && output->rule->hook &&
		    pipeline->options.on_file)
			pipeline->options.on_file(pipeline->options.context, output->rule,
						  file->path);
	}
	if (was_open)
		cw_files_closed(&pipeline->files, file);
	if (result < 0)
		fail_and_tell(pipeline, output, file, result, false, error.text);
}

/* Before a file is begun: ask for old ones to go where the disk would have too little space left.
 */
static void look_at_space(struct cw_pipeline *pipeline, const struct cw_file *file)
{
	uint64_t floor = atomic_load_explicit(&pipeline->free_bytes, memory_order_relaxed);
	uint64_t free_bytes;

	if (!floor || cw_outfile_was_created(file->outfile) ||
	    cw_outfile_free_space(file->outfile, &free_bytes) < 0)
		return;
	floor += file->bytes_max;
	if (free_bytes < floor)
		atomic_store_explicit(&pipeline->wanted_bytes, floor - free_bytes,
				      memory_order_relaxed); /* as cw_outputs_free_space says */
}

/* Open the file of the next chunks. */
static int switch_file(struct cw_pipeline *pipeline, struct cw_output *output, struct cw_file *file)
{
	struct cw_error error = {0};
	int result;

	if (output->writing && output->writing != file) {
		finish_file(pipeline, output, output->writing);
		result = atomic_load(&output->failure);
		if (result)
			return result;
	}
	if (output->writing != file && is_an_input(pipeline, file)) {
		fail_and_tell(pipeline, output, file, -EINVAL, false, "it is one of the inputs");
		return -EINVAL;
	}
	look_at_space(pipeline, file);
	output->writing = file;
	result = cw_files_acquire(&pipeline->files, file, &error);
	if (result < 0)
		fail_and_tell(pipeline, output, file, result, file->is_rotation, error.text);
	return result;
}

/* Write consecutive chunks of one file. */
static void write_run(struct cw_pipeline *pipeline, struct cw_output *output,
		      struct cw_chunk *const *chunks, int count)
{
	struct iovec vectors[WRITE_VECTORS_MAX];
	struct cw_file *file = chunks[0]->file;
	bool is_input_damaged = false;
	bool is_flushed = false;
	size_t accepted;
	int failure = 0;
	int index;

	if (switch_file(pipeline, output, file) < 0)
		return;
	for (index = 0; index < count && !is_input_damaged; index++) {
		uint32_t intact = atomic_load_explicit(&chunks[index]->intact_bytes,
						       memory_order_relaxed); /* [CHUNK-1] */

		is_input_damaged = intact < chunks[index]->used;
		vectors[index].iov_base = chunks[index]->memory;
		vectors[index].iov_len = cw_min_size(intact, chunks[index]->used);
		is_flushed |= chunks[index]->used < chunks[index]->capacity;
	}
	accepted = cw_outfile_write(file->outfile, vectors, index, file->handed, &failure);
	file->handed += accepted;
	if (accepted)
		file->is_unusable = false; /* of an earlier try; cut_to_whole has the last word */
	/* A chunk that was not full is sent because its bytes shall be in the file now. */
	if (failure == 0 && (is_flushed || is_input_damaged))
		failure = cw_outfile_settle(file->outfile);
	advance_over(output, file, chunks, index);
	tell_refusal(pipeline, file);
	if (failure == 0)
		tell_recovery(pipeline, output, file);
	if (failure < 0) {
		fail_and_tell(pipeline, output, file, failure, false, strerror(-failure));
		cut_to_whole(pipeline, output, file);
	} else if (is_input_damaged) {
		fail_and_tell(pipeline, output, file, -EIO, false,
			      "an input was truncated while its packets were copied");
		cut_to_whole(pipeline, output, file);
	}
	cw_files_release(&pipeline->files, file);
}

/* The file that was written last ended. */
static void end_file(struct cw_pipeline *pipeline, struct cw_output *output, struct cw_file *file)
{
	if (output->writing != file)
		return; /* it failed before its first byte */
	finish_file(pipeline, output, file);
	output->writing = NULL;
}

/* The file has to make room. That it cannot be removed is told, once an output. */
static void expire_file(struct cw_pipeline *pipeline, struct cw_output *output,
			struct cw_file *file)
{
	struct cw_error error = {0};

	end_file(pipeline, output, file);
	if (!file->is_published || !file->is_regular)
		return;
	file->is_expired = cw_outfile_remove(file->outfile, &error) == 0;
	if (file->is_expired || output->has_told_expiry)
		return;
	output->has_told_expiry = true;
	cw_pipeline_tell(pipeline, CW_PROBLEM, "rule %s: %s", output->rule->name, error.text);
}

static void write_chunks(struct cw_pipeline *pipeline, struct cw_output *output,
			 struct cw_chunk *const *chunks, int count)
{
	/*
	 * [ABORT-1] Sequentially consistent, as the stores and loads of cw_pipeline_abort: either
	 * the abort is seen here, or the writer is seen there and waited for.
	 */
	atomic_store(&output->is_writing, true);
	if (!atomic_load(&pipeline->is_aborting)) {
		if (chunks[0]->mark == CW_MARK_EXPIRED) /* after a failure too: it makes room */
			expire_file(pipeline, output, chunks[0]->file);
		else if (atomic_load(&output->failure))
			; /* they are lost */
		else if (chunks[0]->mark == CW_MARK_ENDED)
			end_file(pipeline, output, chunks[0]->file);
		else
			write_run(pipeline, output, chunks, count);
	}
	atomic_store(&output->is_writing, false);
}

/* ---- the queue of the one writer ---- */

/* Move what was sealed to the writer's queue, oldest first. */
static void empty_inbox(struct cw_output *output)
{
	/* [INBOX-1] acquire */
	struct cw_chunk *chunk =
	    atomic_exchange_explicit(&output->inbox, NULL, memory_order_acquire);
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
	if (output->queue_last)
		output->queue_last->queued = oldest;
	else
		output->queue_first = oldest;
	output->queue_last = newest;
}

/* Take the complete chunks at the queue's head that go into one file with one call, or a mark. */
static int take_complete(struct cw_output *output, struct cw_chunk **chunks)
{
	size_t bytes = 0;
	int count = 0;

	while (output->queue_first && count < WRITE_VECTORS_MAX && bytes < WRITE_BYTES_MAX) {
		struct cw_chunk *chunk = output->queue_first;

		/* [CHUNK-1] acquire: every byte copied into it. */
		if (atomic_load_explicit(&chunk->pending, memory_order_acquire) != 0 ||
		    (count && (chunk->mark || chunk->file != chunks[0]->file)))
			break;
		output->queue_first = chunk->queued;
		if (!output->queue_first)
			output->queue_last = NULL;
		chunks[count++] = chunk;
		bytes += chunk->used;
		if (chunk->mark)
			break;
	}
	return count;
}

static void give_chunks_back(struct cw_pipeline *pipeline, struct cw_output *output,
			     struct cw_chunk *const *chunks, int count)
{
	int index;

	for (index = 0; index < count; index++)
		cw_chunk_give_back_any(&pipeline->pool, chunks[index]);
	/* [RETRY-1] release: the writer's state of the output. */
	atomic_fetch_sub_explicit(&output->chunks_out, (uint32_t)count, memory_order_release);
	atomic_fetch_sub(&pipeline->live_chunks, (uint32_t)count);
	cw_pipeline_settle(pipeline);
}

void cw_output_write(struct cw_pipeline *pipeline, struct cw_output *output)
{
	struct cw_chunk *chunks[WRITE_VECTORS_MAX];
	uint32_t seen;
	int count;

	do {
		/* [KICK-1] acquire: the last writer's state, and what the kicks announce. */
		seen = atomic_load_explicit(&output->kicks, memory_order_acquire);
		empty_inbox(output);
		while ((count = take_complete(output, chunks)) > 0) {
			write_chunks(pipeline, output, chunks, count);
			give_chunks_back(pipeline, output, chunks, count);
			empty_inbox(output);
		}
	} while (!atomic_compare_exchange_strong_explicit(&output->kicks, &seen, 0, /* [KICK-1] */
							  memory_order_acq_rel,
							  memory_order_relaxed));
}

void cw_output_kick(struct cw_pipeline *pipeline, struct cw_output *output)
{
	/* [KICK-1] release */
	if (atomic_fetch_add_explicit(&output->kicks, 1, memory_order_acq_rel) != 0)
		return;
	cw_ready_add(&pipeline->writable, output->index);
	cw_gate_signal(&pipeline->worker_gate);
}

/* ---- the end of the run ---- */

/* Wait until nobody is at the output's file, now that nobody comes to it any more. */
static bool wait_for_writer(struct cw_output *output, uint32_t *patience_ms)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	while (atomic_load(&output->is_writing)) { /* [ABORT-1] */
		if (*patience_ms == 0)
			return false;
		--*patience_ms;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* Likewise until what was handed to the disk is done with; the file is acquired. */
static bool wait_for_disk(struct cw_file *file, uint32_t *patience_ms)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	while (cw_outfile_is_busy(file->outfile)) {
		if (*patience_ms == 0)
			return false;
		--*patience_ms;
		nanosleep(&pause, NULL);
	}
	return true;
}

void cw_pipeline_abort(struct cw_pipeline *pipeline)
{
	uint32_t patience_ms = ABORT_PATIENCE_MS;
	struct cw_error error;
	uint32_t index;

	atomic_store(&pipeline->is_aborting, true); /* [ABORT-1] */
	cw_pipeline_request_stop(pipeline);
	for (index = 0; index < pipeline->output_count; index++) {
		struct cw_output *output = &pipeline->outputs[index];
		struct cw_file *file;

		if (!wait_for_writer(output, &patience_ms) || output->state == CW_OUTPUT_FREE)
			continue; /* a pipe nobody reads, or a disk that does not answer */
		file = output->writing;
		if (!file || file->is_finished || !file->is_regular ||
		    file->handed == file->anchor_offset ||
		    cw_files_acquire(&pipeline->files, file, &error) < 0)
			continue;
		if (!wait_for_disk(file, &patience_ms))
			continue;
		cut_to_whole(pipeline, output, file);
		cw_files_release(&pipeline->files, file);
	}
}

struct naming {
	struct cw_pipeline *pipeline;
	struct cw_output *output;
	struct cw_file *file;
};

/* The turn owns the names of files. */
static void name_empty(void *context)
{
	struct naming *naming = context;

	naming->file = cw_output_new_file(naming->pipeline, naming->output, NULL, 0);
}

/* A rule that matched nothing still gets its file, when its name does not depend on a packet. */
static void make_empty_file(struct cw_pipeline *pipeline, struct cw_output *output)
{
	uint8_t header[CW_FORMAT_HEADER_BYTES_MAX];
	struct iovec vector = {.iov_base = header};
	struct naming naming = {.pipeline = pipeline, .output = output};
	struct cw_file *file;
	int failure = 0;

	if (cw_template_has_time(output->name) || cw_template_has_iface(output->name))
		return;
	cw_sequencer_hold_any(pipeline, name_empty, &naming);
	file = naming.file;
	if (!file || switch_file(pipeline, output, file) < 0)
		return;
	vector.iov_len = cw_format_header(output->format, pipeline->empty_linktype,
					  cw_output_snaplen_field(pipeline, output), header);
	file->handed = cw_outfile_write(file->outfile, &vector, 1, 0, &failure);
	file->offset = file->anchor_offset = file->handed;
	if (failure) {
		fail_and_tell(pipeline, output, file, failure, false, strerror(-failure));
		file->is_unusable = true;
	}
	cw_files_release(&pipeline->files, file);
}

void cw_output_close(struct cw_pipeline *pipeline, struct cw_output *output)
{
	if (!output->files_first && !atomic_load(&output->failure))
		make_empty_file(pipeline, output);
	if (output->writing)
		finish_file(pipeline, output, output->writing);
}

void cw_outputs_finish(struct cw_pipeline *pipeline)
{
	uint32_t index;

	for (index = 0; index < pipeline->output_count; index++) {
		if (pipeline->outputs[index].state != CW_OUTPUT_FREE)
			cw_output_close(pipeline, &pipeline->outputs[index]);
	}
}

void cw_output_fini(struct cw_output *output)
{
	struct cw_file *file = output->files_first;

	while (file) {
		struct cw_file *next = file->next;

		cw_outfile_free(file->outfile);
		free(file->ifaces);
		free(file->iface_ends);
		free(file->path);
		free(file);
		file = next;
	}
	cw_template_free(output->name);
	cw_rule_free(output->own_rule);
	cw_rule_free(output->last_rule);
	output->name = NULL;
	output->own_rule = output->last_rule = NULL;
	output->files_first = output->files_last = NULL;
	output->file = output->restart = output->writing = NULL;
}
