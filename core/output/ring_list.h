/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list of a file ring: a text file beside the ring's files, which names the files that a run
 * made. A later run removes and adopts files of the list only. One line a fact, fields separated by
 * tabs:
 *
 *	capweir-ring 1 PID TEMPLATE            PID of the run that holds the list, 20 bytes
 *	part HIDDEN NAME                       before the .part file HIDDEN is made
 *	file NAME BYTES MTIME CONTENT HIDDEN   before HIDDEN, or -, gets its name; MTIME in ns since
 *	                                       the epoch, CONTENT bytes before compression
 *	gone NAME                              after the file, or the .part file, was removed
 *	next NUMBER                            lowest number that no file had
 *
 * NAME lies below the list's folder, HIDDEN in NAME's folder. The last line of a HIDDEN counts.
 * Because each line precedes what it announces, every file and every .part file has its line,
 * whatever is cut off: a last line without its end is ignored. A run locks the list while it lasts.
 *
 * Single owner at a time; no locks of threads.
 */
#ifndef CW_CORE_OUTPUT_RING_LIST_H
#define CW_CORE_OUTPUT_RING_LIST_H

#include <sys/stat.h>

#include "core/base/error.h"
#include "core/output/folder.h"

/* A file that the list names. */
struct cw_ring_file {
	char *name;   /* below the list's folder; owned */
	char *hidden; /* name of its .part file, in its folder; NULL: unknown; owned */
	bool is_complete;
	uint64_t bytes;         /* if complete: its length */
	int64_t mtime_ns;       /* if complete: its modification time */
	uint64_t content_bytes; /* if complete: its length before compression */
	bool is_gone;           /* while the list is read: to be left out */
};

/* Files in the order of their first lines. */
struct cw_ring_files {
	struct cw_ring_file *at;
	uint32_t count;
	uint32_t capacity;
};

struct cw_ring_list {
	struct cw_folder folder; /* owned */
	int fd;                  /* locked; -1: closed */
	char *name;              /* of the list in its folder; owned */
	char *of;                /* template that the header names; owned */
	bool sync;               /* lines are on the disk when the functions return */
	uint64_t bytes;
	uint64_t reserved_bytes; /* room on the disk for the list up to here */
	uint64_t line_count;     /* without the header */
	uint64_t live_count;     /* files and .part files that the list names */
	uint64_t part_count;     /* of these, .part files */
	uint64_t next;           /* the number of its last `next` line; 0: none */
};

/*
 * Opens and locks the list `name` in the folder, or makes it, and takes over `folder`, also if
 * it fails. `of` is the template. Returns 0; -EBUSY: another run holds it, and `error` names its
 * PID; -EINVAL: it is another template's, or not a list of the folder's owner; or the system's
 * errno.
 */
int cw_ring_list_open(struct cw_ring_list *list, const struct cw_folder *folder, const char *name,
		      const char *of, bool sync, struct cw_error *error);

/* Fills `files` with the files that the list names. Lines that are not understood are skipped.
 * Returns 0, -ENOMEM or the system's errno. */
int cw_ring_list_read(struct cw_ring_list *list, struct cw_ring_files *files);
void cw_ring_files_fini(struct cw_ring_files *files);

/* The same for a list's text, which it changes; also fills the number of lines and the last number
 * of a `next` line. Returns 0 or -ENOMEM. (ring_lines.c) */
int cw_ring_files_parse(struct cw_ring_files *files, char *text, size_t bytes, uint64_t *line_count,
			uint64_t *next);

/* Add a line. All return 0 or a negative errno; the list is then as before. */
int cw_ring_list_part(struct cw_ring_list *list, const char *hidden, const char *name);
int cw_ring_list_file(struct cw_ring_list *list, const struct cw_ring_file *file);
int cw_ring_list_gone(struct cw_ring_list *list, const char *name, bool is_part);

/* Writes the list anew, with the files it names and `next`. */
int cw_ring_list_rewrite(struct cw_ring_list *list, uint64_t next);

/* The same with these files, for a start that adopted some and forgot others. */
int cw_ring_list_replace(struct cw_ring_list *list, const struct cw_ring_files *files,
			 uint64_t next);

/* Returns whether most of the list is about files that are gone: time to write it anew. */
bool cw_ring_list_is_long(const struct cw_ring_list *list);

/* Closes and unlocks the list. Accepts a zeroed one. */
void cw_ring_list_close(struct cw_ring_list *list);

/* Returns the time in nanoseconds since the epoch. */
int64_t cw_ring_time_ns(const struct timespec *time);

#endif
