/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The blocks of pcapng inputs that outputs copy beside packets: those that precede a record
 * (block_walk.h), and statistics of interfaces, which end the file of their section's last packet.
 * The turn only.
 */
#ifndef CW_PIPELINE_OUTPUT_BLOCKS_H
#define CW_PIPELINE_OUTPUT_BLOCKS_H

#include "pipeline/output/outputs.h"

/* Counts a block as copied, dropped as the rule wants (unless `is_again`), or left out by a pcap
 * output. Returns whether it is copied. */
bool cw_output_count_block(struct cw_output *output, const struct cw_block *block, bool is_again);

/* Returns the bytes of the blocks that precede a record. */
size_t cw_output_blocks_bytes(const struct cw_outputs *outputs, const struct cw_output *output,
			      const struct cw_preface *preface);
/* Writes these blocks; a pcap output counts them. 0, or -ENOMEM and the output has failed. */
int cw_output_write_blocks(struct cw_outputs *outputs, struct cw_output *output,
			   const struct cw_preface *preface);

/* Notes that the output has the last packet of its section, if it has one, and counts what a pcap
 * output has not of that section. 0, or -ENOMEM and the output has failed. */
int cw_output_end_section(struct cw_output *output);
/* Returns a bound of the bytes of the statistics that end the file; 0: there are none. */
size_t cw_output_statistics_bytes(const struct cw_outputs *outputs, const struct cw_output *output);
/* Puts these statistics, after the interface blocks that the file lacks, into the turn's block. 0,
 * or -ENOMEM and the output has failed. */
int cw_output_take_statistics(struct cw_outputs *outputs, struct cw_output *output);

#endif
