/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the outputs' reserving side share. The turn only. (output_gather.c) */
#ifndef CW_PIPELINE_OUTPUT_PARTS_H
#define CW_PIPELINE_OUTPUT_PARTS_H

struct cw_output;
struct cw_pipeline;

/* Nothing more goes into the open chunk: it waits with the output's other full ones. */
void cw_output_close_chunk(struct cw_output *output);

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
