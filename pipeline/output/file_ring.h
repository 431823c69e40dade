/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file ring that knows its files: the list beside them (core/output/ring_list.h), shared by the
 * outputs of one name, of which there are two while a reload replaces one.
 */
#ifndef CW_PIPELINE_OUTPUT_FILE_RING_H
#define CW_PIPELINE_OUTPUT_FILE_RING_H

#include <pthread.h>

#include "core/output/outfile.h"
#include "core/output/ring_list.h"

/* What a run found of the files of earlier runs. */
struct cw_ring_adopted {
	uint32_t files;
	uint64_t bytes;     /* of these */
	uint32_t recovered; /* of these, unfinished before */
	uint32_t missing;   /* forgotten: gone */
	uint32_t changed;   /* forgotten: not as the list says */
	uint32_t unlisted;  /* of the ring's names, and in no list */
};

struct cw_file_ring {
	struct cw_listing listing; /* for the options of the ring's files; constant */

	/* under the lock; writers of outputs */
	pthread_mutex_t lock;
	struct cw_ring_list list;

	/* The turn raises it, writers read it; a number only, so relaxed. */
	_Atomic uint64_t next_number; /* higher than those of all files so far */

	/* owner: the start, then the reloader */
	_Atomic uint32_t user_count; /* outputs; relaxed: the turn changes theirs */
	struct cw_ring_adopted adopted;
	dev_t device; /* of the list's folder */
	ino_t inode;
	struct cw_file_ring *next, **at; /* rings of the run; where this one hangs */
};

/* Makes a ring without a list, used by one output, and hangs it in. NULL: no memory. */
struct cw_file_ring *cw_file_ring_new(struct cw_file_ring **rings);

/* Adds an output to the ring's users. Returns the ring. */
struct cw_file_ring *cw_file_ring_use(struct cw_file_ring *ring);

/* Lets another of its outputs ask for the list. Waits for writers. */
void cw_file_ring_move(struct cw_file_ring *ring, uint32_t asked);

/* Ends one output's use; the last one closes the list. Accepts NULL. */
void cw_file_ring_release(struct cw_file_ring *ring);

#endif
