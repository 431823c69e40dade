/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The capture thread of files: cuts the inputs, one after the other, into batches and numbers the
 * batches. It walks an input's first records, and cuts the rest into segments without looking at
 * them (turn/chain.h). Where a walk of the workers stops, at something that is no usual record, it
 * walks again. It walks all of an input that is a stream, small, or no good for segments.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/plural.h"
#include "core/packet/linktype.h"
#include "pipeline/capture/capture.h"

/* Outputs write the packets of a pipe after at most twice this time. */
#define FLUSH_EVERY_MS 500

#define RUN_SEGMENTS_MIN 4u /* fewer are left to the parser */

/* State between batches, over all inputs. */
struct reader {
	struct cw_lane *lane;
	struct cw_batch *batch; /* to be filled next; NULL: none taken yet */
	uint32_t prepared;      /* interfaces whose link types are compiled */
	/* of the current input */
	uint32_t index;
	struct cw_input *input;
	uint64_t read_before; /* bytes of the inputs before */
	uint64_t walked_to;   /* without segments up to this byte */
};

/* Compiles the rules for the link types met since the last call, and notes fine timestamps. */
static int prepare_linktypes(struct reader *reader, struct cw_error *error)
{
	struct cw_capture *capture = reader->lane->owner;

	for (; reader->prepared < capture->inputs->ifaces.count; reader->prepared++) {
		const struct cw_iface *iface =
		    cw_ifaces_at(&capture->inputs->ifaces, reader->prepared);
		int result = cw_matcher_prepare(&capture->generations->current->matcher, iface,
						cw_run_report_rule, capture->run, error);

		capture->inputs->has_ns |= iface->has_ns;
		if (result < 0)
			return result;
	}
	return 0;
}

/* Waits until the lane's gate was signalled since `seen`. */
static void wait_idle(struct cw_lane *lane, uint32_t seen)
{
	cw_run_note_work(lane->owner->run, CW_WORK_IDLE);
	cw_gate_wait(&lane->shared.gate, seen);
	cw_run_note_work(lane->owner->run, CW_WORK_READ);
}

/* Waits for a batch to fill; NULL: reading must stop. */
static struct cw_batch *take_batch(struct cw_lane *lane)
{
	for (;;) {
		uint32_t seen = cw_gate_look(&lane->shared.gate);
		struct cw_batch *batch;

		if (atomic_load(&lane->owner->run->is_stopping))
			return NULL;
		batch = cw_lane_take_batch(lane);
		if (batch)
			return batch;
		wait_idle(lane, seen);
	}
}

static bool is_due(uint64_t flushed_ns)
{
	return cw_now_ns() - flushed_ns >= FLUSH_EVERY_MS * (CW_NS_PER_S / 1000);
}

static void flush_outputs(void *context)
{
	cw_outputs_flush_all(context);
}

/* Notes the progress to byte `at` of the input; never back. */
static void note_read(const struct reader *reader, uint64_t at)
{
	struct cw_inputs *inputs = reader->lane->owner->inputs;

	/* Relaxed: this thread alone writes it. */
	if (reader->read_before + at >
	    atomic_load_explicit(&inputs->read_bytes, memory_order_relaxed))
		atomic_store_explicit(&inputs->read_bytes, reader->read_before + at,
				      memory_order_relaxed);
}

/* ---- runs of segments ---- */

static bool is_run_possible(const struct reader *reader)
{
	const struct cw_run *run = reader->lane->owner->run;
	const struct cw_source_info *info = &reader->input->info;

	/* The sample of verify_every counts packets from the start. */
	return info->consumed_bytes >= reader->walked_to && !run->options.sizes.no_segments &&
	       !run->options.match.verify_every && info->file_bytes > info->consumed_bytes &&
	       (info->file_bytes - info->consumed_bytes) / run->options.sizes.segment_bytes >=
		   RUN_SEGMENTS_MIN;
}

/* Cuts the run's next segment, after those up to byte `cut_to`, and hands it out. Returns as
 * cw_source_raw: 0 for the first segment only. */
static int cut_segment(struct reader *reader, const struct cw_boundary *boundary, uint64_t *cut_to)
{
	struct cw_batch *batch = reader->batch;
	struct cw_segment *segment = &batch->walk.segment;
	static const uint8_t nothing[1];
	bool is_first = !*cut_to;
	int result = cw_source_raw(reader->input->source,
				   reader->lane->owner->run->options.sizes.segment_bytes, segment,
				   &batch->lease, NULL);

	if (result < 0 || (result == 0 && is_first))
		return result;
	if (result == 0) /* cutting failed: an empty segment ends the run */
		*segment = (struct cw_segment){
		    .span = {.data = nothing, .offset = *cut_to}, .from = *cut_to, .to = *cut_to};
	segment->start = is_first ? segment->from : UINT64_MAX;
	*cut_to = segment->to;
	batch->walk.run = reader->lane->capture.run;
	batch->walk.boundary = *boundary;
	batch->span = segment->span;
	batch->walk.ends_run =
	    result == 0 ||
	    (segment->is_at_end && segment->to == segment->span.offset + segment->span.bytes);
	note_read(reader, segment->to);
	return 1;
}

/* Cuts a run of segments, and waits until the turn ends it. */
static void read_run(struct reader *reader)
{
	struct cw_lane *lane = reader->lane;
	const uint64_t run = ++lane->capture.run;
	struct cw_boundary boundary;
	uint64_t cut_to = 0;
	bool is_cut = false; /* the run's last segment was handed out */

	cw_source_boundary(reader->input->source, &boundary);
	for (;;) {
		uint32_t seen = cw_gate_look(&lane->shared.gate);
		int result = -EAGAIN;

		if (atomic_load(&lane->owner->run->is_stopping))
			return;
		/* [RUN-1] acquire */
		if (atomic_load_explicit(&lane->shared.over_run, memory_order_acquire) == run)
			break;
		if (!reader->batch && !is_cut)
			reader->batch = cw_lane_take_batch(lane);
		if (reader->batch && !is_cut)
			result = cut_segment(reader, &boundary, &cut_to);
		if (result == 0)
			return;
		if (result == 1) {
			is_cut = reader->batch->walk.ends_run;
			cw_lane_hand_out(lane, reader->batch, reader->index);
			reader->batch = NULL;
		} else if (result == -EAGAIN) { /* no batch, no window, or nothing to cut */
			wait_idle(lane, seen);
		}
	}
	cw_source_continue(reader->input->source, lane->shared.over.at, lane->shared.over.last_s);
	/* Segments did not pay; they may after as many bytes again. */
	if (lane->shared.over.is_serial)
		reader->walked_to = 2 * lane->shared.over.at;
}

/* ---- inputs ---- */

/* Hands out the batch, whose span and lease are set. */
static int hand_out_span(struct reader *reader, struct cw_error *error)
{
	int result = prepare_linktypes(reader, error);

	if (result < 0) {
		cw_lease_give_back(&reader->batch->lease);
		return result;
	}
	reader->batch->walk.run = 0;
	cw_lane_hand_out(reader->lane, reader->batch, reader->index);
	reader->batch = NULL;
	cw_source_info(reader->input->source, &reader->input->info);
	note_read(reader, reader->input->info.consumed_bytes);
	return 0;
}

/* Reads one input to its end. 0, or a negative errno with the error filled. */
static int read_input(struct reader *reader, struct cw_error *error)
{
	struct cw_lane *lane = reader->lane;
	struct cw_capture *capture = lane->owner;
	struct cw_source *source = reader->input->source;
	bool is_stream = cw_source_set_idle(source, FLUSH_EVERY_MS);
	uint64_t flushed_ns = is_stream ? cw_now_ns() : 0;
	int result;

	for (;;) {
		uint32_t seen = cw_gate_look(&lane->shared.gate);

		if (!reader->batch)
			reader->batch = take_batch(lane);
		if (!reader->batch || atomic_load(&capture->run->is_stopping))
			return 0;
		result = cw_source_next(source, capture->run->options.sizes.batch_bytes,
					capture->run->options.sizes.batch_records,
					&reader->batch->span, &reader->batch->lease, error);
		if (result == -EAGAIN) { /* every window is leased */
			wait_idle(lane, seen);
			continue;
		}
		if (result == -EINTR)
			continue; /* to stop, or by a signal that is not for us */
		if (result == -ETIME || (is_stream && is_due(flushed_ns))) {
			cw_turn_hold_any(capture->turn, flush_outputs, capture->turn->outputs);
			flushed_ns = cw_now_ns();
		}
		if (result == -ETIME)
			continue;
		if (result > 0)
			result = hand_out_span(reader, error);
		else if (result == 0)
			return 0;
		if (result < 0)
			return result;
		if (is_run_possible(reader))
			read_run(reader);
	}
}

/* Gives the packets read so far to the writers, once workers have copied them. */
static void flush_before_waiting(struct cw_lane *lane)
{
	for (;;) {
		uint32_t seen = cw_gate_look(&lane->shared.gate);

		/* Relaxed: the gate orders the count before its signal, and this thread cuts. */
		if (atomic_load(&lane->owner->run->is_stopping) ||
		    atomic_load_explicit(&lane->shared.finished, memory_order_relaxed) ==
			atomic_load_explicit(&lane->shared.cut_count, memory_order_relaxed))
			break;
		wait_idle(lane, seen);
	}
	cw_turn_hold_any(lane->owner->turn, flush_outputs, lane->owner->turn->outputs);
}

/* Opens an input that is a stream or was closed after it was checked. */
static int reopen(struct cw_lane *lane, uint32_t index, struct cw_error *error)
{
	struct cw_capture *capture = lane->owner;
	struct cw_input *input = &capture->inputs->at[index];
	uint64_t device = 0, inode = 0;
	int result;

	if (input->source)
		return 0;
	if (!input->has_identity) /* a stream: opening waits for its sender, without limit */
		flush_before_waiting(lane);
	result = cw_inputs_open(capture->inputs, index, capture->run, error);
	if (result == -EINTR && atomic_load(&capture->run->is_stopping))
		return 0; /* no error of the input, which is not read */
	if (result < 0)
		return result;
	if (cw_source_identity(input->source, &device, &inode) &&
	    (device != input->device || inode != input->inode))
		return cw_error_set(error, -ESTALE,
				    "%s was replaced by another file during the run", input->path);
	return 0;
}

void cw_lane_hand_out(struct cw_lane *lane, struct cw_batch *batch, uint32_t input)
{
	struct cw_capture *capture = lane->owner;

	batch->input = input;
	batch->has_fine = capture->inputs->has_ns || input < capture->inputs->stream_last;
	batch->first_packet = lane->capture.cut_packets;
	cw_generation_stamp(capture->generations, lane, batch);
	lane->capture.cut_packets += batch->span.record_count;
	batch->sequence = atomic_load_explicit(&lane->shared.cut_count, memory_order_relaxed);
	atomic_store_explicit(&lane->shared.cut_count, batch->sequence + 1, memory_order_relaxed);
	atomic_fetch_add(&capture->run->live_batches, 1);
	cw_ring_push_spmc(lane->cut, batch); /* has room for every batch */
	cw_gate_signal(&capture->run->worker_gate);
}

void cw_lane_end(struct cw_lane *lane)
{
	atomic_store(&lane->shared.is_cut, true); /* [END-1] release */
	cw_turn_offer_any(lane->owner->turn, lane->index);
}

/* Reports what pcapng files hold and no output has. */
static void tell_left_out(struct cw_run *run, const struct cw_input *input)
{
	const struct cw_block_counts *blocks = &input->info.blocks;

	if (blocks->left_out || blocks->left_out_options)
		cw_run_tell(run, CW_NOTE,
			    "%s: %" PRIu64 " block%s and %" PRIu64 " option%s are in no output",
			    input->path, blocks->left_out, cw_plural(blocks->left_out),
			    blocks->left_out_options, cw_plural(blocks->left_out_options));
}

/* Reports the damage that was skipped. */
static void tell_resynced(struct cw_run *run, const struct cw_input *input)
{
	const struct cw_source_resynced *resynced = &input->info.resynced;

	if (resynced->places)
		cw_run_tell(run, CW_PROBLEM,
			    "%s: resynced at %" PRIu64 " place%s, %" PRIu64
			    " bytes skipped; the first: %s",
			    input->path, resynced->places, cw_plural(resynced->places),
			    resynced->bytes, cw_source_damage(input->source));
}

/* Notes what is known at the input's end, and closes it. */
static void end_input(struct cw_capture *capture, struct cw_input *input)
{
	char name[64];

	if (!input->source)
		return;
	cw_source_info(input->source, &input->info);
	tell_left_out(capture->run, input);
	tell_resynced(capture->run, input);
	if (input->info.has_grown)
		cw_run_tell(capture->run, CW_WARNING,
			    "%s grew while it was read; packets added later are not read",
			    input->path);
	if (input->info.joined_count)
		input->joined = calloc(CW_SOURCE_JOINED_MAX, sizeof(*input->joined));
	if (input->info.joined_count && !input->joined)
		cw_run_tell(capture->run, CW_PROBLEM, "%s: no memory to list the joined files",
			    input->path);
	if (input->joined) {
		input->joined_shown =
		    cw_source_joined(input->source, CW_SOURCE_JOINED_MAX, input->joined);
		cw_run_tell(capture->run, CW_NOTE,
			    "%s holds %u capture files: the second is joined at byte %" PRIu64
			    ", %s of link type %s",
			    input->path, input->info.joined_count + 1, input->joined->at,
			    input->joined->format,
			    cw_linktype_name(input->joined->linktype, name, sizeof(name)));
	}
	cw_source_close(input->source);
	input->source = NULL;
}

void *cw_capture_main(void *argument)
{
	struct cw_lane *lane = argument;
	struct cw_capture *capture = lane->owner;
	struct reader reader = {.lane = lane};

	cw_run_note_work(capture->run, CW_WORK_READ);
	for (uint32_t index = 0; index < capture->inputs->count; index++) {
		struct cw_input *input = &capture->inputs->at[index];
		struct cw_error error = {0};
		int result;

		reader.index = index;
		reader.input = input;
		reader.walked_to = 0;
		reader.read_before =
		    atomic_load_explicit(&capture->inputs->read_bytes, memory_order_relaxed);
		if (input->error.code || atomic_load(&capture->run->is_stopping))
			continue;
		result = reopen(lane, index, &error);
		if (result == 0 && input->source)
			result = read_input(&reader, &error);
		if (result < 0) {
			input->error = error;
			cw_run_tell(capture->run, CW_PROBLEM, "%s", error.text);
		}
		end_input(capture, input);
	}
	cw_lane_end(lane);
	cw_run_note_work(capture->run, CW_WORK_IDLE);
	cw_run_thread_ends(capture->run);
	return NULL;
}
