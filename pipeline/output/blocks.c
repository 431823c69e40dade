/* SPDX-License-Identifier: BSD-3-Clause */
/* Which blocks of pcapng inputs an output copies before a record. */
#include "pipeline/output/blocks.h"

void cw_block_walk_start(struct cw_block_walk *walk, const struct cw_ifaces *ifaces,
			 const struct cw_output *output, const struct cw_section *section,
			 uint32_t end, bool is_new_file)
{
	const struct cw_output_blocks *blocks = &output->blocks;

	*walk = (struct cw_block_walk){.ifaces = ifaces,
				       .before = blocks->section,
				       .section = section,
				       .before_from = blocks->next,
				       .from = blocks->next,
				       .end = end};
	if (section && (is_new_file || section != blocks->section))
		walk->from = section->first_block;
	walk->at = walk->from < walk->before_from ? walk->from : walk->before_from;
}

const struct cw_block *cw_block_walk_next(struct cw_block_walk *walk)
{
	while (walk->at < walk->end) {
		uint32_t index = walk->at++;
		const struct cw_block *block = cw_ifaces_block(walk->ifaces, index);

		if (block->section == walk->section
			? index >= walk->from
			: block->section == walk->before && index >= walk->before_from)
			return block;
	}
	return NULL;
}

void cw_output_count_block(struct cw_output *output, const struct cw_block *block)
{
	if (output->format == CW_FORMAT_PCAPNG)
		output->blocks.copied[block->kind]++;
	else
		output->blocks.left_out++;
}
