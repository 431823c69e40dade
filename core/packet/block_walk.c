/* SPDX-License-Identifier: BSD-3-Clause */
/* Which blocks of pcapng inputs an output copies before a record. */
#include "core/packet/block_walk.h"

void cw_block_walk_start(struct cw_block_walk *walk, const struct cw_ifaces *ifaces,
			 const struct cw_block_place *place, const struct cw_section *section,
			 uint32_t end, bool is_new_file)
{
	*walk = (struct cw_block_walk){.ifaces = ifaces,
				       .before = place->section,
				       .section = section,
				       .before_from = place->next,
				       .from = place->next,
				       .end = end};
	if (section && (is_new_file || section != place->section))
		walk->from = section->first_block;
	walk->at = walk->from < walk->before_from ? walk->from : walk->before_from;
}

const struct cw_block *cw_block_walk_next(struct cw_block_walk *walk)
{
	while (walk->at < walk->end) {
		uint32_t index = walk->at++;
		const struct cw_block *block = cw_ifaces_block(walk->ifaces, index);

		if (block->kind == CW_BLOCK_STATISTICS && !walk->has_statistics)
			continue;
		if (block->section == walk->section
			? index >= walk->from
			: block->section == walk->before && index >= walk->before_from)
			return block;
	}
	return NULL;
}
