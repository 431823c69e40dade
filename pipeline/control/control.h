/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket of a live run: who may, asks how it goes and what it shall do, over a unix
 * stream socket, a line of JSON each way:
 *
 *	{"command": "stats"}			{"ok": true, "command": "stats", "stats": {...}}
 *	{"command": "rules"}			the rules in force
 *	{"command": "reload"}			answered when it is done: ok, generation, text
 *	{"command": "rotate", "rule": NAME}	without a rule: every output begins a new file
 *	{"command": "flush"}, {"command": "stop"}
 *	{"command": "log", "level": "note"}	or "warning", "problem": the least severe reported
 *	anything else				{"ok": false, "error": "what is wrong"}
 *
 * Use: open it before privileges are given up; have its descriptors polled and serve it, by one
 * thread, which is none that packets need. Nothing here blocks: a client that does not read its
 * answer is not read from, and there is room for a few. The socket is its maker's (mode 0600), and
 * others than root and the maker are sent away also where they could open it.
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

/* A line, without its end. 0, or -EINVAL and what is wrong. (What the fuzz target calls.) */
int cw_control_parse(const char *line, size_t bytes, struct cw_control_request *request,
		     struct cw_error *error);

const char *cw_control_command_name(enum cw_control_command command);

/* What the user's side does; NULL: refused. Called by the thread that serves. */
struct cw_control_actions {
	void (*stop)(void *context);
	void (*set_level)(void *context, enum cw_severity level);
	void *context;
};

struct cw_control;

/*
 * Listen at `path` (copied). A socket that is there and that nobody listens at any more is replaced
 * where it is ours. One thread. -EADDRINUSE, -EEXIST, -ENAMETOOLONG, the system's; error says what
 * to do.
 */
int cw_control_open(struct cw_control **control, const char *path,
		    const struct cw_control_actions *actions, struct cw_error *error);

/* Fills what to poll for (room for CW_CONTROL_FDS_MAX); how many. */
uint32_t cw_control_fds(struct cw_control *control, struct pollfd *fds);

/* After polling: answer what came. */
void cw_control_serve(struct cw_control *control, struct cw_pipeline *pipeline,
		      const struct pollfd *fds, uint32_t count);

/* Something that is waited for may be done (a reload). Any thread. */
void cw_control_wake(struct cw_control *control);

/* Send clients away; remove the socket where that is allowed still. Accepts NULL. */
void cw_control_close(struct cw_control *control);

#endif
