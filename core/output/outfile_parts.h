/* SPDX-License-Identifier: BSD-3-Clause */
/* An output file as its own sources see it: outfile.c (names and life), outfile_write.c
 * (bytes). */
#ifndef CW_CORE_OUTPUT_OUTFILE_PARTS_H
#define CW_CORE_OUTPUT_OUTFILE_PARTS_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "core/output/outfile.h"
#include "core/output/direct.h"

enum target_kind {
	TARGET_UNKNOWN,   /* not opened yet */
	TARGET_REGULAR,   /* a .part file to be renamed */
	TARGET_IN_PLACE,  /* device or FIFO: ours to close */
	TARGET_BORROWED,  /* the caller's standard output: never closed here */
	TARGET_PUBLISHED, /* closed for good */
};

/* Counters between threads: relaxed, as no data depends on them. */
struct cw_direct_share {
	bool is_paced;              /* constant */
	_Atomic int32_t free_count; /* places */
	_Atomic int refusal;
};

bool cw_direct_share_take_any(struct cw_direct_share *share); /* a place, if one is free */
void cw_direct_share_give_back_any(struct cw_direct_share *share);
void cw_direct_share_refuse_any(struct cw_direct_share *share, int failure); /* the first stays */

/* Names and life: written by outfile.c. */
struct cw_outfile {
	char *path;
	char *directory; /* of path, "." when it names none */
	char *part_path; /* room for the longest; its name starts at part_name */
	char *part_name;
	const char *base; /* last component, in path */
	struct cw_outfile_options options;
	enum target_kind kind;
	int fd; /* -1 when closed */
	bool was_created;
	bool has_part;     /* the .part file exists, as far as we know */
	int close_failure; /* of fdatasync or close: data may be lost, for ever */
	dev_t device;      /* of the .part file */
	ino_t inode;
	off_t published_bytes; /* what it was like when it got its name */
	struct timespec published_time;

	/* Bytes: written by outfile_write.c. */
	uint64_t reached;         /* see cw_outfile_reached; while direct, what was before that */
	int write_failure;        /* of bytes that were taken before: until they are dropped */
	struct cw_direct *direct; /* NULL: written buffered */
	struct cw_packer *packer; /* outfile_pack.c; NULL before the first byte, or not packed */
	bool is_refused;          /* direct writing: never try again */
	bool is_fast;             /* enough to fill blocks */
	size_t pace_bytes;        /* written since */
	uint64_t pace_ns;         /* this time; 0: not since it was opened */
};

/* Bytes as they are, at an offset in the file on the disk; as cw_outfile_write and _read. */
size_t cw_outfile_write_plain(struct cw_outfile *file, struct iovec *vectors, int count,
			      uint64_t offset, int *failure);
int64_t cw_outfile_read_plain(struct cw_outfile *file, void *buffer, size_t bytes, uint64_t offset);

#endif
