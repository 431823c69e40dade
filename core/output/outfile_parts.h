/* SPDX-License-Identifier: BSD-3-Clause */
/* An output file's fields, for its sources: outfile.c (life cycle), outfile_write.c (bytes). */
#ifndef CW_CORE_OUTPUT_OUTFILE_PARTS_H
#define CW_CORE_OUTPUT_OUTFILE_PARTS_H

#include <stdatomic.h>

#include "core/output/direct.h"
#include "core/output/entry.h"

/* Shared by threads. */
struct cw_direct_share {
	bool is_paced;                                     /* constant */
	struct cw_direct_ring *rings[CW_DIRECT_FILES_MAX]; /* constant; NULL: no such place */
	_Atomic uint32_t free_places;                      /* a bit for each */
	_Atomic int refusal; /* first refusal (negative errno), or 0 */
};

/* false: no place is free. The ring of *place is the caller's until the place is given back. */
bool cw_direct_share_take_any(struct cw_direct_share *share, uint32_t *place);
/* The place stays taken for good if its ring is spoilt. */
void cw_direct_share_give_back_any(struct cw_direct_share *share, uint32_t place);
void cw_direct_share_refuse_any(struct cw_direct_share *share, int failure); /* keeps the first */

struct cw_outfile {
	/* Life cycle: written by outfile.c. */
	struct cw_outfile_options options;
	struct cw_entry entry; /* its place; entry.c */
	int fd;                /* -1: closed */
	bool was_created;
	int close_failure; /* failure of fdatasync or close; permanent: data may be lost */
	const char *flaw;  /* what a complete file lacks; NULL: nothing */
	int flaw_failure;  /* why (negative errno) */
	int hook_failure;  /* why its hook was refused (negative errno) */

	/* Bytes: written by outfile_write.c. */
	uint64_t reached;         /* see cw_outfile_reached; while direct, the value before it */
	int write_failure;        /* failure of bytes taken earlier, until they are dropped */
	struct cw_direct *direct; /* NULL: written buffered */
	uint32_t direct_place;    /* while direct */
	struct cw_packer *packer; /* outfile_pack.c; NULL before the first byte, or not packed */
	bool is_refused;          /* direct writing was refused: never try again */
	bool is_fast;             /* fills blocks fast enough for direct writing */
	size_t pace_bytes;        /* bytes written since pace_ns */
	uint64_t pace_ns;         /* start of the measured block; 0: none since opening */
};

/* Closes the descriptor, if open. Returns 0 or the failure. */
int cw_outfile_close_fd(struct cw_outfile *file);

/* Write and read plain bytes at an offset of the file on disk, as cw_outfile_write and _read. */
size_t cw_outfile_write_plain(struct cw_outfile *file, struct iovec *vectors, int count,
			      uint64_t offset, int *failure);
int64_t cw_outfile_read_plain(struct cw_outfile *file, void *buffer, size_t bytes, uint64_t offset);

/* Truncates the file on disk. Returns 0 or a negative errno. */
int cw_outfile_truncate(struct cw_outfile *file, uint64_t bytes);

#endif
