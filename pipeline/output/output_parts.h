/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the outputs share. */
#ifndef CW_PIPELINE_OUTPUT_OUTPUT_PARTS_H
#define CW_PIPELINE_OUTPUT_OUTPUT_PARTS_H

#include "pipeline/output/outputs.h"

/* ---- the reserving side: the turn only ---- */

/* Whether the rule does not want the packet it matched; then that is counted. (limits.c) */
bool cw_output_leaves_out(struct cw_output *output, const struct cw_packet *packet);

/* Count a matched packet that is to be written, or lost. */
void cw_output_note_taken(struct cw_output *output, const struct cw_packet *packet);

/* A file begins with a packet of this time. (rotate.c) */
void cw_output_start_period(struct cw_output *output, uint64_t ts_ns);

/* Whether so much more, of which the latest packet has this time, does not all go into the file. */
bool cw_output_needs_rotation(const struct cw_output *output, uint64_t records, uint64_t bytes,
			      uint64_t latest_ns);

/* What the output keeps grows by the file that was being filled. (expire.c) */
void cw_output_note_end(struct cw_outputs *outputs, struct cw_output *output);

/* The output begins a file: the oldest ones go that its rule or all rules have no room for. */
void cw_output_make_space(struct cw_outputs *outputs, struct cw_output *output);

/* Old files go where a writer found too little free space on a disk. */
void cw_outputs_free_space(struct cw_outputs *outputs);

/* The file being filled is complete: it is put under its name once it is written, and the next
 * record opens another one. There is a file, and it has records. */
void cw_output_end_file(struct cw_outputs *outputs, struct cw_output *output);

/* Live: end the file if its period is over. */
void cw_output_rotate_by_clock(struct cw_outputs *outputs, struct cw_output *output);

/* Nothing more goes into the open chunk: it waits with the output's other full ones. */
void cw_output_close_chunk(struct cw_output *output);

/* Put a mark (cw_chunk_make_mark) behind all that the output holds; no chunk is open. */
void cw_output_hold_mark(struct cw_outputs *outputs, struct cw_output *output,
			 struct cw_chunk *mark);

/*
 * The open chunk is full. Large chunks go to the writer at once. Small ones (many outputs share the
 * pool) gather until they are worth a call, and go when they are wholly copied, so that one call
 * writes them all; cw_outputs_flush_fullest and the end send what still waits.
 */
void cw_output_chunk_full(struct cw_outputs *outputs, struct cw_output *output);

/* Send what gathers before the pool is empty. */
void cw_outputs_keep_room(struct cw_outputs *outputs);

/* ---- the writing side: the output's one writer only, or the end ---- */

/* Fail the output and tell, unless it was told a moment ago. (write.c) */
void cw_writer_fail(struct cw_outputs *outputs, struct cw_output *output,
		    const struct cw_file *file, int failure, bool is_rotation, const char *text);

/*
 * The file holds `offset` good bytes, the last of them perhaps in the middle of a record: find the
 * last whole one from the anchor on, count what is there, cut the rest off.
 */
void cw_writer_cut_to_whole(struct cw_outputs *outputs, struct cw_output *output,
			    struct cw_file *file);

/* Close the file and put it under its name, or throw away what is no file. */
void cw_writer_finish_file(struct cw_outputs *outputs, struct cw_output *output,
			   struct cw_file *file);

/* Finish the file before and open this one; it is acquired then. 0 or a negative errno. */
int cw_writer_switch_file(struct cw_outputs *outputs, struct cw_output *output,
			  struct cw_file *file);

#endif
