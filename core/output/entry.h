/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An output file's place in a folder: the calls that name a file, and nothing about its bytes. All
 * of them go through a table of operations, so that another process can make them: it needs the
 * entry, and passes a descriptor back. Single owner at a time; no locks.
 */
#ifndef CW_CORE_OUTPUT_ENTRY_H
#define CW_CORE_OUTPUT_ENTRY_H

#include <limits.h>
#include <sys/stat.h>

#include "core/output/outfile.h"

#define CW_ENTRY_RANDOM_CHARS 6u
#define CW_ENTRY_NAME_BYTES (NAME_MAX + 1u)
#define CW_ENTRY_ENDED "the process that opens files has ended" /* the reason of -ESRCH */
#define CW_ENTRY_EXTRA_BYTES (sizeof("..XXXXXX.part") - 1)      /* of a hidden name */
#define CW_ENTRY_NO_HANDLE UINT32_MAX

enum cw_entry_kind {
	CW_ENTRY_UNKNOWN,   /* not opened yet */
	CW_ENTRY_REGULAR,   /* a .part file to be renamed */
	CW_ENTRY_IN_PLACE,  /* device file or FIFO */
	CW_ENTRY_BORROWED,  /* the caller's standard output: never closed */
	CW_ENTRY_PUBLISHED, /* closed for good */
};

/* Results of `open` beside 0 and a negative errno. */
#define CW_ENTRY_TAKEN 1     /* another file has the hidden name: choose another one */
#define CW_ENTRY_NO_READER 2 /* the FIFO has no reader yet */

struct cw_entry {
	const struct cw_outfile_options *options; /* borrows */
	char *path;
	char *directory; /* folder of the file, after links once it was opened; ".": none */
	char *base;      /* name in the folder, after links once it was opened */
	char random[CW_ENTRY_RANDOM_CHARS + 1]; /* part of the hidden name; cw_entry_choose */

	/* Filled by the operations. */
	uint32_t handle; /* its number at another process, while that process has the entry */
	enum cw_entry_kind kind;
	char *part_path; /* path of the .part file; room for the longest one; NULL before */
	char *part_name; /* name of the .part file, in part_path */
	bool has_part;   /* the .part file exists, unless another program removed it */
	dev_t device;    /* device of the .part file */
	ino_t inode;
	off_t published_bytes;          /* length when published */
	struct timespec published_time; /* modification time when published */
};

/* What publishing did beside its result. */
struct cw_entry_outcome {
	const char *step; /* the step that failed, as "rename to" */
	mode_t obstacle;  /* type of what has the name and cannot be replaced; 0: none */
	int sync_failure; /* published, but its folder was not synced: negative errno */
	int hook_failure; /* published, but its hook was refused: negative errno */
};

/* All return 0 or a negative errno unless they say more. `error` is filled if it says more than the
 * errno; its code is 0 otherwise. Any thread; each entry by one thread at a time. */
struct cw_entry_ops {
	/*
	 * Opens the target for the first time: makes the .part file, whose hidden name the entry
	 * chose, or opens a stream in place. May return CW_ENTRY_TAKEN or CW_ENTRY_NO_READER. Does
	 * not wait for a FIFO's reader.
	 */
	int (*open)(void *context, struct cw_entry *entry, int *fd, struct cw_error *error);
	/* Opens the .part file again. -ESTALE: it was removed or replaced. */
	int (*reopen)(void *context, struct cw_entry *entry, int *fd, struct cw_error *error);
	/* Renames the .part file to `base`, and syncs the folder if options.sync says so. */
	int (*publish)(void *context, struct cw_entry *entry, struct cw_entry_outcome *outcome);
	/* Removes the .part file. */
	int (*discard)(void *context, struct cw_entry *entry);
	/* As cw_outfile_remove, for a published regular file. */
	int (*remove)(void *context, struct cw_entry *entry, struct cw_error *error);
	/* Takes over a published file of an earlier run, whose facts are filled. -ESTALE: they are
	 * not the file's. NULL: nothing to do. */
	int (*adopt)(void *context, struct cw_entry *entry);
	/* As cw_outfile_free_space. */
	int (*free_space)(void *context, const struct cw_entry *entry, uint64_t *bytes);
};

struct cw_entries {
	const struct cw_entry_ops *ops;
	void *context;
};

/* The operations made by this process itself. Their context is the user that files belong to
 * (const uid_t *), or NULL: the effective one. */
extern const struct cw_entries cw_entries_here;

/* Names the folder and the file in it. Returns 0, -EINVAL, -EISDIR or -ENOMEM as cw_outfile_new. */
int cw_entry_init(struct cw_entry *entry, const char *path,
		  const struct cw_outfile_options *options);
void cw_entry_fini(struct cw_entry *entry);

/* Chooses the random part of a hidden name. Returns 0 or -EIO. */
int cw_entry_choose(struct cw_entry *entry);

/* Gives the entry another path in the same folder, before it is published. Returns 0 or -ENOMEM. */
int cw_entry_set_path(struct cw_entry *entry, const char *path);

/* Fills the hidden name of the file `base`: ".BASE.XXXXXX.part", within NAME_MAX. */
void cw_entry_hidden_name(const char *base, const char *random, char name[CW_ENTRY_NAME_BYTES]);

/* Opens the entry's folder, in its place, for the access (O_PATH or O_RDONLY). Returns its
 * descriptor or a negative errno. */
int cw_entry_open_directory(const struct cw_entry *entry, int access);

/* Opens a folder below another one without following a link. Returns its descriptor, or -1 with
 * errno. */
int cw_entry_open_below(int folder_fd, const char *path, int flags);

/* Renames without replacing, even if the file system lacks RENAME_NOREPLACE. */
int cw_entry_rename_new(int folder_fd, const char *from, const char *to);

/* Returns whether this is the regular file that the .part file was when created. */
bool cw_entry_has_inode(const struct cw_entry *entry, const struct stat *status);

/* Calls fsync or fdatasync until no signal interrupts the call. Returns 0 or -1 with errno. */
int cw_entry_sync(int fd, int (*sync)(int fd));

/* Locks a file for writing for as long as its open file description lives. Returns 0; -EBUSY:
 * another process holds it; or the errno of a file system without locks. */
int cw_entry_lock(int fd);

/* Unlocks the file. Closing it is not enough: a write that io_uring has completed may hold the open
 * file description a little longer. */
void cw_entry_unlock(int fd);

#endif
