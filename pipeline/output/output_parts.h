/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the outputs' reserving side share. The turn only. (output_gather.c) */
#ifndef CW_PIPELINE_OUTPUT_PARTS_H
#define CW_PIPELINE_OUTPUT_PARTS_H

#include <stdbool.h>
#include <stdint.h>

struct cw_chunk;
struct cw_output;
struct cw_packet;
struct cw_pipeline;
struct cw_rule;
struct cw_rules;

/* Whether the rule does not want the packet it matched; then that is counted. (output_thin.c) */
bool cw_output_leaves_out(struct cw_output *output, const struct cw_packet *packet);

/* Count a matched packet that is to be written, or lost. */
void cw_output_note_taken(struct cw_output *output, const struct cw_packet *packet);

/* A file begins with a packet of this time. (output_rotate.c) */
void cw_output_start_period(struct cw_output *output, uint64_t ts_ns);

/* Whether so much more, of which the latest packet has this time, does not all go into the file. */
bool cw_output_needs_rotation(const struct cw_output *output, uint64_t records, uint64_t bytes,
			      uint64_t latest_ns);

/* What the output keeps grows by the file that was being filled. (output_ring.c) */
void cw_output_note_end(struct cw_pipeline *pipeline, struct cw_output *output);

/* The output begins a file: the oldest ones go that its rule or all rules have no room for. */
void cw_output_make_space(struct cw_pipeline *pipeline, struct cw_output *output);

/* Old files go where a writer found too little free space on a disk. */
void cw_outputs_free_space(struct cw_pipeline *pipeline);

/* The turn: the rule is gone, and the ring has no more to do with its files: they stay. */
void cw_output_leave_ring(struct cw_pipeline *pipeline, struct cw_output *output);

/* The turn (or before the output is in use): what the rule asks is in force from now on. */
void cw_output_adopt(struct cw_pipeline *pipeline, struct cw_output *output,
		     const struct cw_rule *rule);

/* Likewise what all rules together ask. */
void cw_rules_adopt(struct cw_pipeline *pipeline, const struct cw_rules *rules);

/* The file being filled is complete: it is put under its name once it is written, and the next
 * record opens another one. There is a file, and it has records. */
void cw_output_end_file(struct cw_pipeline *pipeline, struct cw_output *output);

/* Live: end the file if its period is over. */
void cw_output_rotate_by_clock(struct cw_pipeline *pipeline, struct cw_output *output);

/* Nothing more goes into the open chunk: it waits with the output's other full ones. */
void cw_output_close_chunk(struct cw_output *output);

/* Put a mark (cw_chunk_make_mark) behind all that the output holds; no chunk is open. */
void cw_output_hold_mark(struct cw_pipeline *pipeline, struct cw_output *output,
			 struct cw_chunk *mark);

/*
 * The open chunk is full. Large chunks go to the writer at once. Small ones (many outputs share the
 * pool) gather until they are worth a call, and go when they are wholly copied, so that one call
 * writes them all; cw_outputs_flush_fullest and the end send what still waits.
 */
void cw_output_chunk_full(struct cw_pipeline *pipeline, struct cw_output *output);

/* Give all that the output keeps to its writer. */
void cw_output_seal_all(struct cw_pipeline *pipeline, struct cw_output *output);

/* Send what gathers before the pool is empty. */
void cw_outputs_keep_room(struct cw_pipeline *pipeline);

#endif
