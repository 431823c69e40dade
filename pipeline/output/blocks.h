/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The blocks of pcapng inputs that outputs copy beside packets: decryption secrets, names, custom
 * blocks. A file has all that its section had before its first packet of that section; later ones
 * follow where they are met. The turn only.
 */
#ifndef CW_PIPELINE_OUTPUT_BLOCKS_H
#define CW_PIPELINE_OUTPUT_BLOCKS_H

#include "pipeline/output/output.h"

/* A walk over the blocks that the next record of a section needs. */
struct cw_block_walk {
	const struct cw_ifaces *ifaces;  /* borrows */
	const struct cw_section *before; /* of the file's last record */
	const struct cw_section *section;
	uint32_t before_from; /* first block of `before` that the file does not have */
	uint32_t from;        /* the same for `section` */
	uint32_t at;
	uint32_t end;
};

/* Returns whether the file has all blocks that a record of this section needs. */
static inline bool cw_output_has_blocks(const struct cw_output *output,
					const struct cw_section *section, uint32_t end)
{
	return !section || (output->blocks.section == section && output->blocks.next >= end);
}

/* Starts a walk for a record of this section (NULL: the run's end); `is_new_file`: the file has no
 * block yet. */
void cw_block_walk_start(struct cw_block_walk *walk, const struct cw_ifaces *ifaces,
			 const struct cw_output *output, const struct cw_section *section,
			 uint32_t end, bool is_new_file);
/* Returns the next block; NULL: that was all. */
const struct cw_block *cw_block_walk_next(struct cw_block_walk *walk);

/* Counts a block as copied, or as left out by a pcap output. */
void cw_output_count_block(struct cw_output *output, const struct cw_block *block);

#endif
