/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opens, renames and removes the files of a run's outputs with the rights of the user that they
 * belong to, or with root's in folders that only root can write. At the start the process itself
 * asks it; afterwards it serves a process without those rights (opener_serve.h), which can name
 * nothing but files of the outputs in the table. Parses nothing but names. One thread.
 */
#ifndef CW_CORE_OUTPUT_OPENER_H
#define CW_CORE_OUTPUT_OPENER_H

#include "core/output/entry.h"
#include "core/output/folder.h"
#include "core/output/target.h"

#define CW_OPENER_OUTPUTS_MAX (1u << 20)
#define CW_OPENER_FILES_MAX (1u << 26) /* of the run: a ring may remove any of them */
#define CW_OPENER_FOLDERS_MAX 65536u   /* folders that outputs may be in */
#define CW_OPENER_LIST_BYTES 240u      /* of the name of a file ring's list */

/* Who files belong to. */
struct cw_opener_owner {
	uid_t user;
	gid_t group;
	const gid_t *groups; /* supplementary; borrows until cw_opener_free */
	size_t group_count;
};

struct cw_opener;

/* `owner`: NULL for this process's user; else this process is root, and if it cannot act for the
 * owner, all files are root's. Returns 0 or -ENOMEM. */
int cw_opener_new(struct cw_opener **opener, const struct cw_opener_owner *owner);
void cw_opener_free(struct cw_opener *opener); /* accepts NULL */

/* Lets outputs be in this folder and below it. Returns 0 or a negative errno. */
int cw_opener_allow(struct cw_opener *opener, const char *folder, struct cw_error *error);

/*
 * Two more files: that of the rules, which is only read, also if its owner alone can; and the
 * control socket, which is removed at the end. Return 0 or a negative errno.
 */
int cw_opener_set_rules(struct cw_opener *opener, const char *path, struct cw_error *error);
int cw_opener_set_socket(struct cw_opener *opener, const char *path, struct cw_error *error);

/* Opens the file of the rules. -EINVAL: not a regular file, which could not be read again. */
int cw_opener_rules(struct cw_opener *opener, int *fd, struct cw_error *error);
void cw_opener_remove_socket(struct cw_opener *opener);

/* How published files get to the hooks of their rules. */
struct cw_opener_hooks {
	int socket;       /* to the process that runs them (opener_wire.h); borrows; -1: none */
	bool may_be_root; /* hooks run as root for files of root */
	bool has_user;    /* files with a hook are given to this user */
	uid_t user;
	gid_t group;
};
void cw_opener_set_hooks(struct cw_opener *opener, const struct cw_opener_hooks *hooks);
int cw_opener_hooks_socket(const struct cw_opener *opener);

enum cw_opener_use {
	CW_OPENER_OUTPUTS, /* a folder that outputs may be in */
	CW_OPENER_STREAM,  /* a stream that is an output */
	CW_OPENER_READS,   /* a folder of the rules */
	CW_OPENER_REMOVES, /* a folder of the control socket */
};

/* Calls `see` with all that the opener needs to reach from now on; the descriptors stay open. */
void cw_opener_see(const struct cw_opener *opener,
		   void (*see)(void *context, int fd, enum cw_opener_use use), void *context);

/* Forbids folders outside those of the outputs so far and of cw_opener_allow, and other groups than
 * those of the outputs so far. The process then acts as root. */
void cw_opener_close_list(struct cw_opener *opener);

/* The names that an output's files may have. Copied. */
struct cw_opener_output {
	const char *path;   /* is_fixed: of its first file; else any path of the output */
	size_t fixed_bytes; /* leading bytes of each path that name its folder, with the last "/" */
	const char *prefix; /* all paths begin with it, from fixed_bytes on */
	const char *suffix; /* all paths end with it, behind the prefix */
	const char *ring;   /* name of the list of its file ring, in its folder; "": none */
	bool is_fixed;
	bool no_clobber;
	bool sync;
	struct cw_access access; /* of its files, and of the folders made for them */
	const char *hook; /* rule whose hook runs for each published file; NULL or "": none */
};

/* What an output's name stands for. */
struct cw_opener_found {
	uint32_t number;          /* of the output */
	uid_t owner;              /* user that its files belong to */
	uid_t given_to;           /* that user, or the one of its hook: has its published files */
	enum cw_target_kind kind; /* fixed names; else CW_TARGET_MISSING */
	struct stat status;
	struct stat folder_status;
	char base[PATH_MAX]; /* name in that folder, after links, with missing folders */
};

/*
 * Adds an output, whose files belong to the owner if that user can write the folder, else to root.
 * The caller judges the target found. -EXDEV: the folder is outside; -EPERM: its hook would run as
 * root; other errors as cw_target_find. After cw_opener_close_list also -EPERM: no output had this
 * group before, its name is hidden, or there are no rules to read again.
 */
int cw_opener_add(struct cw_opener *opener, const struct cw_opener_output *output,
		  struct cw_opener_found *found, struct cw_error *error);

/* Finds again what an output's name stands for. -EINVAL: no such output; errors as cw_target_find.
 */
int cw_opener_find(struct cw_opener *opener, uint32_t number, struct cw_opener_found *found,
		   struct cw_error *error);

/*
 * Forgets the output and its files, which stay as they are. `heir` is another output of the same
 * file ring, which takes over the published ones; CW_OPENER_NO_HEIR: none. -EINVAL: no such output.
 */
#define CW_OPENER_NO_HEIR UINT32_MAX
int cw_opener_drop(struct cw_opener *opener, uint32_t number, uint32_t heir);

/* ---- files: as struct cw_entry_ops, by handle ---- */

enum cw_opener_flag {
	CW_OPENER_IS_LATER = 1,  /* as cw_outfile_options.is_later */
	CW_OPENER_NEW_NAME = 32, /* publish: the name must be free */
	CW_OPENER_KEEPS = 64,    /* publish: the file is never removed, so its number is free */
};

/* A file to open for the first time. */
struct cw_opener_wish {
	uint32_t output;
	uint32_t flags; /* CW_OPENER_IS_LATER */
	const char *path;
	const char *random; /* part of the hidden name */
};

/* Opens a file, and gives it a number. -EPERM: not a name of this output; else as the operation. */
int cw_opener_open(struct cw_opener *opener, const struct cw_opener_wish *wish, uint32_t *handle,
		   int *fd, struct cw_error *error);
int cw_opener_reopen(struct cw_opener *opener, uint32_t handle, int *fd, struct cw_error *error);

/* `base` may be another name than at the opening. Does not sync the folder: the caller may do so
 * for several files at once. */
int cw_opener_publish(struct cw_opener *opener, uint32_t handle, const char *base, uint32_t flags,
		      struct cw_entry_outcome *outcome);
int cw_opener_discard(struct cw_opener *opener, uint32_t handle);
int cw_opener_remove(struct cw_opener *opener, uint32_t handle, struct cw_error *error);
int cw_opener_free_space(struct cw_opener *opener, uint32_t output, uint64_t *bytes);

/* Asks for the hook of a published file, if its output has one. Returns 0 or a negative errno. */
int cw_opener_run_hook(struct cw_opener *opener, uint32_t handle);

/* Opens the file's folder, to sync it. Returns a descriptor or a negative errno. */
int cw_opener_folder(struct cw_opener *opener, uint32_t handle);

/* Returns the entry, or NULL: no such file. */
const struct cw_entry *cw_opener_entry(const struct cw_opener *opener, uint32_t handle);

/* Returns whether the output's files are synced. */
bool cw_opener_syncs(const struct cw_opener *opener, uint32_t handle);

/* Forgets a file; it stays as it is. */
void cw_opener_forget(struct cw_opener *opener, uint32_t handle);

/*
 * ---- file rings (opener_ring.c) ----
 *
 * As struct cw_folder_ops for the folder of an output. Names are the output's list, the list's next
 * version, names of the output and their hidden names; all others give -EPERM, and so does a call
 * that is not for names of that kind. Only the lists are opened, renamed and removed once the
 * output has opened a file: nothing is adopted afterwards.
 */
int cw_opener_status(struct cw_opener *opener, uint32_t output, const char *name,
		     struct stat *status);
int cw_opener_open_name(struct cw_opener *opener, uint32_t output, const char *name,
			enum cw_folder_access access);
int cw_opener_rename(struct cw_opener *opener, uint32_t output, const char *from, const char *to,
		     bool replaces);
int cw_opener_remove_name(struct cw_opener *opener, uint32_t output, const char *name);
int cw_opener_sync_folder(struct cw_opener *opener, uint32_t output);
int cw_opener_names(struct cw_opener *opener, uint32_t output, const char *below);

/* A published file of an earlier run. */
struct cw_opener_adoptee {
	uint32_t output;
	const char *path;
	uint64_t device, inode, bytes;
	struct timespec time; /* of its last change */
};

/* Gives a file of the output's ring a number, so that it can be removed. -ESTALE: it is not the
 * file that was meant, or not a regular file of the owner with one link; -EPERM: as above. */
int cw_opener_adopt(struct cw_opener *opener, const struct cw_opener_adoptee *adoptee,
		    uint32_t *handle);

#endif
