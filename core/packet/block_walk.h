/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which blocks of pcapng inputs an output copies beside packets: decryption secrets, names, custom
 * blocks. A file has all that its section had before its first packet of that section; later ones
 * follow where they are met. Statistics belong to a section's end and have numbers of interfaces: a
 * walk passes over them. Single owner.
 *
 *	cw_block_walk_start(&walk, ifaces, &place, section, end, false);
 *	while ((block = cw_block_walk_next(&walk)))
 *		... write block->bytes of block->data
 *	cw_block_place_move(&place, section, end);
 */
#ifndef CW_CORE_PACKET_BLOCK_WALK_H
#define CW_CORE_PACKET_BLOCK_WALK_H

#include "core/packet/packet.h"

/* How far an output has copied blocks. Zero-initialise to start. */
struct cw_block_place {
	const struct cw_section *section; /* of the last record; NULL: none, or a pcap file's */
	uint32_t next;                    /* first block of the run that the file may lack */
	bool has_ended;                   /* the section, as noted by the output; unused here */
};

/* A walk over the blocks that the next record of a section needs. */
struct cw_block_walk {
	const struct cw_ifaces *ifaces;  /* borrows */
	const struct cw_section *before; /* of the file's last record */
	const struct cw_section *section;
	uint32_t before_from; /* first block of `before` that the file does not have */
	uint32_t from;        /* the same for `section` */
	uint32_t at;
	uint32_t end;
	bool has_statistics; /* returns those, too: the caller sets it after the start */
};

/* Returns whether the file has all blocks that a record of this section needs. */
static inline bool cw_block_place_has(const struct cw_block_place *place,
				      const struct cw_section *section, uint32_t end)
{
	return !section || (place->section == section && place->next >= end);
}

/* Starts a walk for a record of this section (NULL: the run's end); `is_new_file`: the file has no
 * block yet. */
void cw_block_walk_start(struct cw_block_walk *walk, const struct cw_ifaces *ifaces,
			 const struct cw_block_place *place, const struct cw_section *section,
			 uint32_t end, bool is_new_file);
/* Returns the next block; NULL: that was all. */
const struct cw_block *cw_block_walk_next(struct cw_block_walk *walk);

/* Moves the place after a walk to `end` for a record of this section. */
static inline void cw_block_place_move(struct cw_block_place *place,
				       const struct cw_section *section, uint32_t end)
{
	if (section)
		place->section = section;
	if (place->next < end)
		place->next = end;
}

#endif
