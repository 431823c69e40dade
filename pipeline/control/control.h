/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket of a live run: queries and commands over a unix stream socket, one line of
 * JSON each way:
 *
 *	{"command": "stats"}			{"ok": true, "command": "stats", "stats": {...}}
 *	{"command": "rules"}			the rules in force
 *	{"command": "reload"}			answered when it is done: ok, generation, text
 *	{"command": "rotate", "rule": NAME}	without a rule: every output begins a new file
 *	{"command": "flush"}, {"command": "stop"}
 *	{"command": "log", "level": "note"}	or "warning", "problem": the least severe reported
 *	anything else				{"ok": false, "error": "what is wrong"}
 *
 * Use: open it before privileges are dropped; then poll its descriptors and serve it from one
 * thread, which must not handle packets. Nothing here blocks: a client that does not read its
 * answer is not read from, and the number of clients is limited. The socket belongs to the user who
 * made it (mode 0600); clients of other users than that one and root are refused.
 */
#ifndef CW_PIPELINE_CONTROL_CONTROL_H
#define CW_PIPELINE_CONTROL_CONTROL_H

#include <poll.h>

#include "pipeline/pipeline.h"

#define CW_CONTROL_CLIENTS_MAX 8u
#define CW_CONTROL_LINE_BYTES_MAX 4096u
#define CW_CONTROL_FDS_MAX (CW_CONTROL_CLIENTS_MAX + 2)

enum cw_control_command {
	CW_CONTROL_STATS,
	CW_CONTROL_RULES,
	CW_CONTROL_RELOAD,
	CW_CONTROL_ROTATE,
	CW_CONTROL_FLUSH,
	CW_CONTROL_STOP,
	CW_CONTROL_LOG,
	CW_CONTROL_COMMANDS,
};

struct cw_control_request {
	enum cw_control_command command;
	char rule[CW_RULE_NAME_BYTES_MAX + 1]; /* rotate: empty for all */
	enum cw_severity level;                /* log: the least severe reported */
};

/* Parses a line, without its newline. 0, or -EINVAL with the reason. (The fuzz target's entry.) */
int cw_control_parse(const char *line, size_t bytes, struct cw_control_request *request,
		     struct cw_error *error);

const char *cw_control_command_name(enum cw_control_command command);

/* Commands that the caller carries out. Called by the serving thread. */
struct cw_control_actions {
	void (*stop)(void *context);
	void (*reloading)(void *context); /* before a reload is requested; may be NULL */
	void (*set_level)(void *context, enum cw_severity level);
	void *context;
};

struct cw_control;

/*
 * Listens at `path` (copied). Replaces a socket of the same user that no process listens at. One
 * thread. -EADDRINUSE, -EEXIST, -ENAMETOOLONG or a system error; `error` says what to do.
 */
int cw_control_open(struct cw_control **control, const char *path,
		    const struct cw_control_actions *actions, struct cw_error *error);

/* Checks a socket's path as cw_control_open, which creates it. 0 or a negative errno with `error`.
 */
int cw_control_check_path(const char *path, struct cw_error *error);

/* Fills the descriptors to poll (room for CW_CONTROL_FDS_MAX) and returns their number. */
uint32_t cw_control_fds(struct cw_control *control, struct pollfd *fds);

/* Answers requests, after polling. */
void cw_control_serve(struct cw_control *control, struct cw_pipeline *pipeline,
		      const struct pollfd *fds, uint32_t count);

/* Makes the serving thread check whether a reload that a client waits for is done. Any thread. */
void cw_control_wake(struct cw_control *control);

/* Disconnects the clients, and removes the socket if that is still allowed. Accepts NULL. */
void cw_control_close(struct cw_control *control);

#endif
