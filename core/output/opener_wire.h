/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages between a process that asks for files and the one that opens them, over a pair of
 * SOCK_SEQPACKET sockets: one request, then its answer, which may carry a descriptor. Both are one
 * program, so the structs are as the machine has them; the asking side is not trusted.
 */
#ifndef CW_CORE_OUTPUT_OPENER_WIRE_H
#define CW_CORE_OUTPUT_OPENER_WIRE_H

#include "core/output/opener.h"

enum cw_opener_call {
	CW_OPENER_ADD,  /* an output: texts path, prefix, suffix, ring, hook */
	CW_OPENER_FIND, /* an output again */
	CW_OPENER_DROP, /* handle: the heir */
	CW_OPENER_OPEN, /* text path */
	CW_OPENER_REOPEN,
	CW_OPENER_PUBLISH,
	CW_OPENER_DISCARD,
	CW_OPENER_REMOVE,
	CW_OPENER_FREE_SPACE,
	CW_OPENER_RULES,  /* the file of the rules */
	CW_OPENER_STATUS, /* texts name; as the following ones */
	CW_OPENER_OPEN_NAME,
	CW_OPENER_RENAME, /* texts from, to */
	CW_OPENER_REMOVE_NAME,
	CW_OPENER_SYNC_FOLDER,
	CW_OPENER_NAMES,
	CW_OPENER_ADOPT, /* text path */
	CW_OPENER_CALLS,
};

/* Calls to the process that runs hooks, which answers none of them: from the one that opens files,
 * or from a process that opens its own. `output`: an output with a hook. */
enum cw_hook_call {
	CW_HOOK_ADD = 64, /* from now on these are the output's; text: its rule's name */
	CW_HOOK_RUN,      /* the output has a new file; text: its path */
	CW_HOOK_DROP,
	CW_HOOK_RULES, /* the rules file has changed; with its descriptor */
};

enum cw_opener_request_flag {
	CW_OPENER_FIXED = 4,
	CW_OPENER_NO_CLOBBER = 8,
	CW_OPENER_SYNC = 16,
	CW_OPENER_REPLACES = 128, /* a rename */
	CW_HOOK_ROOTS = 256,      /* CW_HOOK_RUN: the file is root's */
};

#define CW_OPENER_TEXTS_MAX 5u
#define CW_OPENER_TEXT_BYTES (CW_OPENER_TEXTS_MAX * (PATH_MAX + 1u))

struct cw_opener_request {
	uint32_t call;
	uint32_t output;
	uint32_t handle;
	uint32_t flags;
	uint32_t fixed_bytes;
	struct cw_access access;
	uint32_t how; /* enum cw_folder_access */
	/* adopted file */
	uint64_t device, inode, bytes;
	struct timespec time;
	char random[CW_ENTRY_RANDOM_CHARS + 2];
};

struct cw_opener_answer {
	int32_t result;       /* as the call's; CW_ENTRY_TAKEN, ...; or a negative errno */
	int32_t error_code;   /* of the error's text; 0: none */
	int32_t sync_failure; /* publish */
	uint32_t step;        /* publish: 1 if the folder could not be opened */
	uint32_t obstacle;    /* publish: type of file */
	uint32_t handle;
	uint32_t kind; /* enum cw_entry_kind, enum cw_target_kind */
	uint32_t owner, given_to;
	uint64_t device, inode;
	uint64_t bytes; /* published length, free space */
	struct timespec time;
	struct stat status, folder_status;
	int32_t hook_failure; /* publish: its hook was refused, negative errno */
};

/* A message as it is on the wire: the head, then the texts, each with its NUL. */
struct cw_opener_message {
	union {
		struct cw_opener_request request;
		struct cw_opener_answer answer;
	};
	char text[CW_OPENER_TEXT_BYTES];
	uint32_t text_bytes;
	int fd; /* owned; -1: none */
};

/* Appends a text; too long ones are truncated, which the other side refuses. */
void cw_opener_put(struct cw_opener_message *message, const char *text);

/* Fills the texts. Returns 0, or -EBADMSG: not exactly `count` texts. */
int cw_opener_texts(const struct cw_opener_message *message, const char **texts, uint32_t count);

/* Send and receive a message with a head of so many bytes. Return 0 or a negative errno; -ESRCH:
 * the other side has ended; receiving: -EBADMSG: too short, or too long. `flags` as of recvmsg. */
int cw_opener_send(int socket, const struct cw_opener_message *message, size_t head_bytes);
int cw_opener_receive(int socket, struct cw_opener_message *message, size_t head_bytes, int flags);

#endif
