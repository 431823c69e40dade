/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of an opener, for its sources: opener.c (rights, folders), opener_outputs.c,
 * opener_files.c, opener_ring.c, opener_hooks.c. */
#ifndef CW_CORE_OUTPUT_OPENER_PARTS_H
#define CW_CORE_OUTPUT_OPENER_PARTS_H

#include "core/base/grow.h"
#include "core/output/opener.h"

struct folder {
	int fd; /* O_PATH */
	enum cw_opener_use use;
	dev_t device;
	ino_t inode;
};

struct folders {
	struct folder *at;
	uint32_t count, capacity;
};

struct output {
	bool is_fixed;
	bool is_roots;      /* its files belong to root */
	bool is_late;       /* added by the process that asks */
	bool may_be_hidden; /* names, or folders in them: the name of the start was */
	bool no_clobber;
	bool sync;
	struct cw_access access;
	bool has_opened; /* a file was opened: nothing is adopted any more */
	bool has_hook;
	bool is_given; /* published files are given to the user of the hooks */
	uint32_t file_count;
	size_t fixed_bytes;
	char *path; /* is_fixed: the given one */
	char *prefix;
	char *suffix;
	char *ring;             /* name of the list of its file ring; "": none */
	struct cw_place place;  /* of fixed_bytes; owns the text, not the descriptor */
	struct cw_place target; /* is_fixed: the folder after links; likewise */
	char *base;             /* is_fixed: the name in it */
	struct stat fifo;       /* is_fixed: of root, which the owner need not be able to open */
};

struct outputs {
	struct output **at; /* NULL: free. Their places have fixed addresses. */
	uint32_t count, capacity;
};

struct file {
	struct cw_entry entry;
	struct cw_outfile_options options;
	uint32_t output;
	bool was_given; /* belongs to the user of the hooks */
};

struct files {
	struct file **at; /* NULL: free */
	uint32_t count, capacity;
};

struct cw_opener {
	struct cw_opener_owner owner;
	bool has_owner; /* this process is root, and files belong to `owner` where it can write */
	bool is_root;   /* acts as root now */
	bool is_closed; /* no further folders and groups */
	uid_t root;     /* user of the process */
	gid_t *root_groups;
	int root_group_count;
	gid_t root_group;
	struct folders folders;
	struct cw_u32s groups; /* of outputs, before is_closed */
	struct folders others; /* of the rules and the control socket */
	char *rules;           /* path; NULL: none */
	char *socket;
	struct stat socket_status;
	struct cw_opener_hooks hooks;
	struct outputs outputs;
	struct files files;
	struct cw_u32s free_files;
	struct cw_u32s free_outputs;
};

/* Acts with the rights that files of the output need. */
void cw_opener_become(struct cw_opener *opener, bool is_root);

/* Returns the user that such files belong to. */
uid_t cw_opener_owner(const struct cw_opener *opener, bool is_roots);

/* Adds a folder or a stream; takes its descriptor, and fills the one to use. Returns 0 or -ENOMEM.
 */
int cw_opener_keep(struct cw_opener *opener, int fd, const struct stat *status, int *kept);

/* Returns 1 if the folder is allowed, the number of folders from it up to one that is (2: its
 * parent), 0 if there is none, or a negative errno. Fills the descriptor of the one that is. */
int cw_opener_lies_within(const struct cw_opener *opener, int folder_fd, int *allowed_fd);

/* Returns whether this is a folder or a stream of the table. */
bool cw_opener_knows(const struct cw_opener *opener, const struct stat *status);

/* Finds the folder that the beginning of a path names: as the owner, or as root where the owner may
 * not write it. The process then acts with those rights. Errors as cw_target_find. */
int cw_opener_find_writable(struct cw_opener *opener, const char *path, size_t bytes,
			    struct cw_target *target, struct cw_error *error);

/* Returns 0 if this process, as it acts now, may make files in the folder. */
int cw_opener_may_write(int folder_fd);

/* Whether the path is relative and names a file, without "..", and nothing in it is hidden unless
 * allowed. */
bool cw_opener_has_only_names(const char *path, bool may_be_hidden);

/* Tells the process that runs hooks of an output that is not in the table yet. Returns 0 or a
 * negative errno. */
int cw_opener_add_hook(struct cw_opener *opener, struct output *output, uint32_t number,
		       const char *rule, struct cw_error *error);
void cw_opener_drop_hook(const struct cw_opener *opener, uint32_t number);

/* Asks for the hook of an output, if it has one, for the file. Returns 0 or a negative errno. */
int cw_opener_ask_hook(const struct cw_opener *opener, uint32_t number, const char *path);

/* Passes on the rules file that has this status. Returns 0 or a negative errno. */
int cw_opener_pass_rules(const struct cw_opener *opener, const struct stat *status,
			 struct cw_error *error);

/* Whether a path, from the folder of the output's place on, is a name of the output. */
bool cw_opener_is_name(const struct output *output, const char *name);

/* Whether the first CW_ENTRY_RANDOM_CHARS bytes can be the random part of a hidden name. */
bool cw_opener_is_random(const char *text);

/* Whether a file begins as one that a capture writes, or is empty: what a process that asks may
 * have replaced and removed, beside the files of the outputs of the start. */
bool cw_opener_is_capture(int folder_fd, const char *base);

/* Adds a file of the output. Returns 0, -ENOMEM or -ENFILE. */
int cw_opener_add_file(struct cw_opener *opener, uint32_t output, uint32_t *handle);

/* NULL: no such output. */
struct output *cw_opener_output_at(const struct cw_opener *opener, uint32_t number);
void cw_opener_free_output(struct output *output); /* accepts NULL */

#endif
