/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The folder that an output's files lie in or below, and the calls that name a file there. They go
 * through a table of operations, so that another process can make them. Names are relative, and
 * their folders are never links. Any thread.
 */
#ifndef CW_CORE_OUTPUT_FOLDER_H
#define CW_CORE_OUTPUT_FOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum cw_folder_access {
	CW_FOLDER_EXISTING,
	CW_FOLDER_CREATE, /* makes the file if it is missing */
	CW_FOLDER_NEW,    /* -EEXIST: there is a file */
};

struct cw_folder;

/* All return 0 unless they say more, or a negative errno. */
struct cw_folder_ops {
	/* As lstat; of the folder itself for "". */
	int (*status)(const struct cw_folder *folder, const char *name, struct stat *status);
	/*
	 * Opens a file for reading and writing. Returns its descriptor; -EPERM: it is not a regular
	 * file of the folder's owner with one link at most; -ELOOP: it is a link.
	 */
	int (*open)(const struct cw_folder *folder, const char *name, enum cw_folder_access access);
	/* Renames within one folder. Without `replaces`, -EEXIST: there is a file. */
	int (*rename)(const struct cw_folder *folder, const char *from, const char *to,
		      bool replaces);
	int (*remove)(const struct cw_folder *folder, const char *name);
	int (*sync)(const struct cw_folder *folder);
	/* Opens the folder, or the one below it with a "/" at its end, to read its names. Returns
	 * its descriptor. */
	int (*names)(const struct cw_folder *folder, const char *below);
};

struct cw_folder {
	const struct cw_folder_ops *ops; /* NULL: closed */
	uid_t owner;                     /* user that files belong to */
	int fd;                          /* owned; -1: another process has the folder */
	void *context;                   /* to ask it; borrows */
	uint32_t output;                 /* number there */
};

/* The operations made by this process itself, on `fd`. */
extern const struct cw_folder_ops cw_folder_here;

/* Opens a folder for this process itself, whose user owns the files. Returns 0 or a negative
 * errno. */
int cw_folder_open(struct cw_folder *folder, const char *path);
void cw_folder_close(struct cw_folder *folder); /* accepts a zeroed one */

#endif
