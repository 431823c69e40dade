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

struct cw_file_ring {
	struct cw_listing listing; /* for the options of the ring's files; constant */

	/* under the lock; writers of outputs */
	pthread_mutex_t lock;
	struct cw_ring_list list;

	/* The turn raises it, writers read it; a number only, so relaxed. */
	_Atomic uint64_t next_number; /* higher than those of all files so far */

	/* owner: the start, then the reloader */
	uint32_t user_count; /* outputs */
	dev_t device;        /* of the list's folder */
	ino_t inode;
	struct cw_file_ring *next, **at; /* rings of the run; where this one hangs */
};

/* Makes a ring without a list, used by one output, and hangs it in. NULL: no memory. */
struct cw_file_ring *cw_file_ring_new(struct cw_file_ring **rings);

/* Ends one output's use; the last one closes the list. Accepts NULL. */
void cw_file_ring_release(struct cw_file_ring *ring);

#endif
