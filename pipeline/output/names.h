/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file names that a run has used, so that it never uses one twice. Owner: the turn.
 */
#ifndef CW_PIPELINE_OUTPUT_NAMES_H
#define CW_PIPELINE_OUTPUT_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct cw_name {
	char *path; /* owned */
	uint64_t next_number;
};

struct cw_names {
	struct cw_name *table; /* open hash table */
	size_t count;
	size_t capacity; /* power of two, or 0 */
};

/*
 * Claims `path`, or the first free "NAME.N.EXT" if `path` was claimed before. The caller frees the
 * result. NULL: no memory, or the numbered name is too long.
 */
char *cw_names_claim(struct cw_names *names, const char *path);

/* Claims the first free "NAME.NNNNN.EXT" with a number from `number` on. Returns as
 * cw_names_claim. */
char *cw_names_claim_number(struct cw_names *names, const char *path, uint64_t number);

/* Forgets a path that was claimed, if it is there: it may be claimed again. */
void cw_names_forget(struct cw_names *names, const char *path);
void cw_names_fini(struct cw_names *names);

#endif
