/* SPDX-License-Identifier: BSD-3-Clause */
/* The blocks of pcapng inputs that precede a record, and the statistics that end a file. */
#include "pipeline/output/blocks.h"

#include "core/base/grow.h"
#include "pipeline/output/output_parts.h"

#define STATISTICS_IFACE 8u /* offset in the block of the interface's number */

static bool is_copied(const struct cw_output *output, const struct cw_block *block)
{
	return output->format == CW_FORMAT_PCAPNG &&
	       !(block->kind == CW_BLOCK_SECRETS && output->discards_secrets);
}

bool cw_output_count_block(struct cw_output *output, const struct cw_block *block, bool is_again)
{
	bool is_kept = is_copied(output, block);

	if (is_kept)
		output->blocks.copied[block->kind]++;
	else if (block->kind == CW_BLOCK_SECRETS && output->discards_secrets)
		output->blocks.dropped += !is_again;
	else
		output->blocks.left_out++;
	return is_kept;
}

size_t cw_output_blocks_bytes(const struct cw_outputs *outputs, const struct cw_output *output,
			      const struct cw_preface *preface)
{
	const struct cw_block *block;
	struct cw_block_walk walk;
	size_t bytes = 0;

	if (output->format != CW_FORMAT_PCAPNG ||
	    (!preface->is_new_file &&
	     cw_block_place_has(&output->blocks.place, preface->section, preface->block_end)))
		return 0;
	cw_block_walk_start(&walk, &outputs->inputs->ifaces, &output->blocks.place,
			    preface->section, preface->block_end, preface->is_new_file);
	while ((block = cw_block_walk_next(&walk)))
		bytes += is_copied(output, block) ? block->bytes : 0;
	return bytes;
}

static uint64_t option_count(const struct cw_section *section)
{
	return section->options ? section->options->count : 0;
}

int cw_output_write_blocks(struct cw_outputs *outputs, struct cw_output *output,
			   const struct cw_preface *preface)
{
	bool is_pcapng = output->format == CW_FORMAT_PCAPNG;
	struct cw_output_blocks *blocks = &output->blocks;
	const struct cw_block *block;
	struct cw_block_walk walk;

	if ((!is_pcapng || !preface->is_new_file) &&
	    cw_block_place_has(&output->blocks.place, preface->section, preface->block_end))
		return 0;
	cw_block_walk_start(&walk, &outputs->inputs->ifaces, &blocks->place, preface->section,
			    preface->block_end, is_pcapng && preface->is_new_file);
	walk.has_statistics = !is_pcapng;
	while ((block = cw_block_walk_next(&walk))) {
		/* A rotated file has the earlier blocks of the section, too. */
		bool is_again =
		    block->section == blocks->place.section && walk.at <= blocks->place.next;

		if (cw_output_count_block(output, block, is_again))
			cw_output_append(outputs, output, block->data, block->bytes);
	}
	if (preface->section && preface->section != blocks->place.section) {
		if (cw_output_end_section(output) < 0)
			return -ENOMEM;
		blocks->place.has_ended = false;
		if (is_pcapng && !preface->is_new_file) /* its header is of another section */
			blocks->left_out_options += option_count(preface->section);
	}
	cw_block_place_move(&blocks->place, preface->section, preface->block_end);
	return 0;
}

static int lack_memory(struct cw_output *output)
{
	cw_output_fail(output, -ENOMEM, output->turn.file_count > 0,
		       "no memory for the statistics of interfaces");
	return -ENOMEM;
}

int cw_output_end_section(struct cw_output *output)
{
	struct cw_output_blocks *blocks = &output->blocks;
	const struct cw_section *section = blocks->place.section;

	if (!section || blocks->place.has_ended)
		return 0;
	blocks->place.has_ended = true;
	if (output->format != CW_FORMAT_PCAPNG)
		blocks->left_out_options += option_count(section) + section->iface_options;
	if (output->format != CW_FORMAT_PCAPNG || !section->statistics_first)
		return 0;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): its elements are pointers */
	if (CW_GROW(&blocks->ended, 1) < 0)
		return lack_memory(output);
	blocks->ended.at[blocks->ended.count++] = section;
	return 0;
}

/* Returns whether the file has or may get this interface. libpcap reads only files whose interfaces
 * have one link type and snapshot length, so an interface without packets must not differ. */
static bool can_have_iface(const struct cw_outputs *outputs, const struct cw_output *output,
			   uint32_t index)
{
	const struct cw_ifaces *ifaces = &outputs->inputs->ifaces;
	const struct cw_file_turn *file = &output->turn.file->turn;
	const struct cw_iface *iface = cw_ifaces_at(ifaces, index);
	const struct cw_iface *first = cw_ifaces_at(ifaces, file->iface_first);

	return cw_file_find_iface(file, index) != CW_FILE_IFACE_NONE ||
	       (iface->linktype == first->linktype &&
		(output->snaplen != UINT32_MAX || iface->snaplen == first->snaplen));
}

size_t cw_output_statistics_bytes(const struct cw_outputs *outputs, const struct cw_output *output)
{
	const struct cw_ifaces *ifaces = &outputs->inputs->ifaces;
	size_t bytes = 0;

	for (uint32_t index = 0; index < output->blocks.ended.count; index++) {
		const struct cw_block *block = output->blocks.ended.at[index]->statistics_first;

		for (; block; block = block->statistics_next) {
			bytes += block->bytes;
			if (cw_file_find_iface(&output->turn.file->turn, block->iface) ==
			    CW_FILE_IFACE_NONE)
				bytes += cw_format_iface_bytes(cw_ifaces_at(ifaces, block->iface));
		}
	}
	return bytes;
}

/* Appends to the turn's block, which has the room, an interface block that the file lacks. */
static int take_iface(struct cw_outputs *outputs, struct cw_output *output, uint32_t index)
{
	const struct cw_iface *iface = cw_ifaces_at(&outputs->inputs->ifaces, index);
	struct cw_bytes *to = &outputs->turn.block;
	uint32_t snaplen = output->snaplen == UINT32_MAX ? 0 : output->snaplen;

	if (cw_file_find_iface(&output->turn.file->turn, index) != CW_FILE_IFACE_NONE)
		return 0;
	to->count += (uint32_t)cw_format_iface(iface, snaplen, to->at + to->count);
	return cw_file_add_iface(&output->turn.file->turn, index, output->turn.offset + to->count);
}

int cw_output_take_statistics(struct cw_outputs *outputs, struct cw_output *output)
{
	struct cw_sections *ended = &output->blocks.ended;
	struct cw_bytes *to = &outputs->turn.block;

	to->count = 0;
	if (CW_GROW(to, cw_output_statistics_bytes(outputs, output)) < 0)
		return lack_memory(output);
	for (uint32_t index = 0; index < ended->count; index++) {
		const struct cw_block *block = ended->at[index]->statistics_first;

		for (; block; block = block->statistics_next) {
			uint8_t *at;

			if (!can_have_iface(outputs, output, block->iface)) {
				output->blocks.left_out++;
				continue;
			}
			if (take_iface(outputs, output, block->iface) < 0)
				return lack_memory(output);
			cw_output_count_block(output, block, false);
			at = memcpy(to->at + to->count, block->data, block->bytes);
			cw_store_u32(at + STATISTICS_IFACE,
				     cw_file_find_iface(&output->turn.file->turn, block->iface));
			to->count += block->bytes;
		}
	}
	ended->count = 0;
	return 0;
}
