/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * File rings: which of the run's files are removed, so that the others fit. Decided in the
 * sequencer's turn whenever an output begins a file, from the sizes reserved: the result depends on
 * the packets only, not on threads, except where a disk's free space decides. The output's writer
 * removes the file when it finds the mark in its queue (write.c). A file being filled counts at its
 * maximum size.
 */
#include "pipeline/output/output_parts.h"

/* Files of earlier runs expire first: their numbers are times, and less than this. */
#define OWN_FILES (UINT64_C(1) << 63)

void cw_output_note_end(struct cw_outputs *outputs, struct cw_output *output)
{
	struct cw_file *file = output->turn.file;

	file->turn.is_ended = true;
	file->turn.end_number = OWN_FILES + outputs->turn.ended_files++;
	file->turn.kept_bytes = output->turn.offset;
	output->turn.kept_count++;
	output->turn.kept_bytes += file->turn.kept_bytes;
	outputs->turn.kept_bytes += file->turn.kept_bytes;
}

/* What a file ring has on the disk. */
struct ring_use {
	uint64_t files;
	uint64_t bytes;
	struct cw_output *oldest; /* whose oldest file is the ring's oldest one; NULL: none ended */
};

static bool has_ended_file(const struct cw_output *output)
{
	return output->turn.kept_first && output->turn.kept_first->turn.is_ended;
}

static void expire_oldest(struct cw_outputs *outputs, struct cw_output *output)
{
	struct cw_file *file = output->turn.kept_first;

	output->turn.kept_first = file->turn.next;
	output->turn.kept_count--;
	output->turn.kept_bytes -= file->turn.kept_bytes;
	outputs->turn.kept_bytes -= file->turn.kept_bytes;
	cw_chunk_make_mark(&file->turn.expiry_mark, CW_MARK_EXPIRED, file, 0);
	/* After the file's own chunks, which are all full, and before the open chunk. */
	cw_output_hold_mark(outputs, output, &file->turn.expiry_mark);
}

/* Returns the output whose oldest file expires first: lowest priority, then earliest end. */
static struct cw_output *find_least(struct cw_outputs *outputs)
{
	struct cw_output *least = NULL;

	for (uint32_t index = 0; index < outputs->count; index++) {
		struct cw_output *output = &outputs->at[index];

		if (output->shared.state == CW_OUTPUT_FREE || !has_ended_file(output))
			continue;
		if (!least || output->limits.priority < least->limits.priority ||
		    (output->limits.priority == least->limits.priority &&
		     output->turn.kept_first->turn.end_number <
			 least->turn.kept_first->turn.end_number))
			least = output;
	}
	return least;
}

/* Frees the oldest files as far as they are removed, so that a run of months needs no more memory
 * than its files on the disk. Files that could not be removed or named stay for the report. */
static void free_spent(struct cw_outputs *outputs, struct cw_output *output)
{
	struct cw_output_turn *turn = &output->turn;
	struct cw_file *file;

	/* [SPENT-1] acquire: the writer's state of the file. */
	while ((file = turn->files_first) != NULL && file != turn->kept_first &&
	       atomic_load_explicit(&file->is_spent, memory_order_acquire) &&
	       ((file->is_adopted && !file->is_inherited) || file->writer.is_expired)) {
		if (file->is_inherited) {
			output->spent.inherited_records += file->writer.anchor.records;
			output->spent.inherited_files++;
		} else if (!file->is_adopted) {
			output->spent.records += file->writer.anchor.records;
			output->spent.bytes += file->writer.anchor.bytes;
			output->spent.files++;
		}
		if (!file->is_adopted || file->is_inherited)
			cw_names_forget(&outputs->names, file->path);
		turn->files_first = file->turn.next;
		if (!turn->files_first)
			turn->files_last = NULL;
		cw_output_free_file(file);
	}
}

/* Counts what another output has in the ring, its file being filled too, and finds the oldest. */
static void add_user(struct ring_use *use, struct cw_output *other)
{
	use->files += other->turn.kept_count + other->turn.has_begun;
	use->bytes += other->turn.kept_bytes;
	if (other->turn.has_begun)
		use->bytes += other->limits.rotate_bytes;
	if (has_ended_file(other) &&
	    (!use->oldest || other->turn.kept_first->turn.end_number <
				 use->oldest->turn.kept_first->turn.end_number))
		use->oldest = other;
}

/* Returns what the output's ring has, but for the file that the output fills. After a reload that
 * replaced an output, both count until the old one is closed. */
static struct ring_use use_of_ring(struct cw_outputs *outputs, struct cw_output *output)
{
	struct ring_use use = {.files = output->turn.kept_count,
			       .bytes = output->turn.kept_bytes,
			       .oldest = has_ended_file(output) ? output : NULL};

	if (!output->ring ||
	    atomic_load_explicit(&output->ring->user_count, memory_order_relaxed) == 1)
		return use;
	for (uint32_t index = 0; index < outputs->count; index++) {
		if (&outputs->at[index] != output && outputs->at[index].ring == output->ring)
			add_user(&use, &outputs->at[index]);
	}
	return use;
}

/* Removes the oldest files of the output's ring until so much more fits. */
static void make_room(struct cw_outputs *outputs, struct cw_output *output, uint64_t more_files,
		      uint64_t more_bytes)
{
	const struct cw_output_limits *limits = &output->limits;

	while (limits->ring_files || limits->ring_bytes) {
		struct ring_use use = use_of_ring(outputs, output);

		if (!use.oldest ||
		    ((!limits->ring_files || use.files + more_files <= limits->ring_files) &&
		     (!limits->ring_bytes || use.bytes + more_bytes <= limits->ring_bytes)))
			return;
		expire_oldest(outputs, use.oldest);
		if (use.oldest != output)
			cw_output_seal_all(outputs, use.oldest);
	}
}

void cw_output_make_space(struct cw_outputs *outputs, struct cw_output *output)
{
	uint64_t total_bytes = outputs->turn.kept_bytes_max;
	struct cw_output *least;

	free_spent(outputs, output);
	if (!output->turn.has_begun)
		outputs->turn.open_bytes += output->limits.rotate_bytes;
	output->turn.has_begun = true;
	make_room(outputs, output, 1, output->limits.rotate_bytes);
	while (total_bytes && outputs->turn.kept_bytes + outputs->turn.open_bytes > total_bytes &&
	       (least = find_least(outputs)) != NULL) {
		expire_oldest(outputs, least);
		cw_output_seal_all(outputs, least);
	}
}

void cw_outputs_free_space(struct cw_outputs *outputs)
{
	struct cw_output *least;
	uint64_t wanted;

	/* Relaxed: the number publishes no other data. */
	if (!atomic_load_explicit(&outputs->wanted_bytes, memory_order_relaxed))
		return;
	wanted = atomic_exchange_explicit(&outputs->wanted_bytes, 0, memory_order_relaxed);
	while (wanted && (least = find_least(outputs)) != NULL) {
		wanted -= cw_min_size(wanted, least->turn.kept_first->turn.kept_bytes);
		expire_oldest(outputs, least);
		cw_output_seal_all(outputs, least);
	}
}

void cw_output_leave_ring(struct cw_outputs *outputs, struct cw_output *output)
{
	outputs->turn.kept_bytes -= output->turn.kept_bytes;
	output->turn.kept_bytes = output->turn.kept_count = 0;
	output->turn.kept_first = NULL;
	if (output->turn.has_begun)
		outputs->turn.open_bytes -= output->limits.rotate_bytes;
	output->turn.has_begun = false;
}

struct cw_output *cw_output_heir(struct cw_outputs *outputs, const struct cw_output *output)
{
	for (uint32_t index = 0; output->ring && index < outputs->count; index++) {
		struct cw_output *other = &outputs->at[index];

		if (other != output && other->ring == output->ring &&
		    atomic_load(&other->shared.state) == CW_OUTPUT_USED)
			return other;
	}
	return NULL;
}

/* Adds a file as the newest of those that end before the heir's own. */
static void inherit(struct cw_outputs *outputs, struct cw_output *heir, struct cw_file *file)
{
	struct cw_output_turn *turn = &heir->turn;
	struct cw_file **at = &turn->files_first;

	while (*at && *at != turn->kept_first)
		at = &(*at)->turn.next;
	while (*at && (*at)->turn.is_ended && (*at)->turn.end_number < file->turn.end_number)
		at = &(*at)->turn.next;
	if (*at == turn->kept_first)
		turn->kept_first = file;
	file->turn.next = *at;
	*at = file;
	if (!file->turn.next)
		turn->files_last = file;
	file->is_inherited |= !file->is_adopted;
	file->is_adopted = true; /* its records are in the books of the output before */
	turn->kept_count++;
	turn->kept_bytes += file->turn.kept_bytes;
	outputs->turn.kept_bytes += file->turn.kept_bytes;
}

struct cw_output *cw_output_hand_over(struct cw_outputs *outputs, struct cw_output *output)
{
	struct cw_output *heir = cw_output_heir(outputs, output);
	struct cw_file **at = &output->turn.files_first;

	while (heir && *at) {
		struct cw_file *file = *at;

		if (!file->writer.is_published || file->writer.is_expired ||
		    !file->cache.is_regular) {
			at = &file->turn.next;
			continue;
		}
		*at = file->turn.next;
		if (!file->turn.is_ended)
			file->turn.end_number = OWN_FILES + outputs->turn.ended_files++;
		if (!file->turn.is_ended)
			file->turn.kept_bytes = cw_outfile_reached(file->outfile);
		file->turn.is_ended = true;
		if (!file->is_adopted) {
			output->spent.handed_records += file->writer.anchor.records;
			output->spent.handed_bytes += file->writer.anchor.bytes;
		}
		inherit(outputs, heir, file);
	}
	if (heir) {
		bool is_open = heir->turn.file && !heir->turn.file->turn.is_ended;

		make_room(outputs, heir, is_open, is_open ? heir->limits.rotate_bytes : 0);
		cw_output_seal_all(outputs, heir);
	}
	return heir;
}
